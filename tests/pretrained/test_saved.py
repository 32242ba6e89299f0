"""Shared layers that a run has learned, under a name, for other tasks and other people."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import nbtransfer as nt
from nbtransfer.errors import BackboneError, NbTransferError, WeightsError
from nbtransfer.pretrained import cards, registry, saved


@pytest.fixture
def cloth(lp_ft):
    """The shared layers of a finished run, and the run."""
    return lp_ft.save_backbone("cloth"), lp_ft


class TestSaved:
    def test_they_are_those_of_the_best_model(self, cloth):
        card, run = cloth
        found, expected = registry.build(card, "default").module.state_dict(), run.model().backbone.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())

    def test_the_head_of_the_source_task_is_kept_too(self, cloth):
        _, run = cloth
        assert torch.equal(load_file(saved.folder_of("cloth") / saved.HEAD)["weight"], run.model().head.weight)

    def test_the_card_says_how_they_came(self, cloth):
        card, run = cloth
        lineage, score = card.lineage, run.evaluate("val")
        assert (card.name, card.architecture) == ("mine/cloth", run.recipe.backbone)
        assert (lineage.run, lineage.task_digest, lineage.classes) == (run.id, run.task.digest, run.task.classes)
        assert (lineage.parent, lineage.before) == (None, None)
        found = next(one for one in lineage.scores if one.split == "val")
        assert (found.value, found.low, found.high) == (score.accuracy, *score.interval)
        assert str(lineage).endswith("← random weights")
        assert card.input == run.recipe.input_for(nt.backbone(run.recipe.backbone))

    def test_capitals_do_not_matter(self, cloth):
        cloth[1].save_backbone("Linen")
        assert [card.name for card in nt.backbones("LINEN")] == ["mine/Linen"]

    def test_they_are_listed_and_found(self, cloth):
        assert [card.name for card in nt.backbones("cloth")] == ["mine/cloth"]
        assert nt.backbone("mine/cloth") == cloth[0] == cards.card("mine/cloth")

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("cloth", "mine/cloth exists already; delete it"),
            ("mine/cloth", "mine/cloth exists already"),
            *(
                (name, "is not a valid name for a saved backbone")
                for name in ("", "../x", "a/b", ".hidden", "x" * 41, "a\0", "mine/", "a.")
            ),
        ],
    )
    def test_a_name_that_cannot_be_is_refused(self, cloth, name, why):
        with pytest.raises(BackboneError, match=why):
            cloth[1].save_backbone(name)
        assert saved.names() == ["mine/cloth"]

    def test_a_run_without_a_model_has_none_to_save(self, images):
        from nbtransfer.jobs.run import Run
        from nbtransfer.store import runs
        from tests.support.runs import recipe

        with pytest.raises(NbTransferError, match="has no model yet"):
            Run(runs.create(recipe(images))).save_backbone("cloth")


class TestGiven:
    def test_a_folder_is_added_under_its_name_or_another(self, cloth, tmp_path):
        folder = shutil.copytree(saved.folder_of("cloth"), tmp_path / "linen")
        assert nt.add_backbone(folder).name == "mine/linen"
        added = nt.add_backbone(folder, name="silk")
        assert added.lineage == cloth[0].lineage
        assert registry.build(added, "default").digest == cloth[0].weights[0].digest

    def spoilt(self, tmp_path, change):
        folder = shutil.copytree(saved.folder_of("cloth"), tmp_path / "linen")
        facts = json.loads((folder / saved.CARD).read_text())
        change(folder, facts)
        (folder / saved.CARD).write_text(json.dumps(facts))
        return folder

    @pytest.mark.parametrize(
        ("change", "error", "why"),
        [
            (lambda folder, facts: facts.update(format=99), BackboneError, "has format 99, and this nbtransfer reads up to 1"),
            (lambda folder, facts: facts.pop("card"), BackboneError, "holds no shared layers that can be used here"),
            (lambda folder, facts: facts["card"].update(stages=7), BackboneError, "holds no shared layers"),
            (lambda folder, facts: facts["card"].pop("lineage"), BackboneError, "lineage, architecture or weights are missing"),
            (lambda folder, facts: facts["card"].update(weights=[]), BackboneError, "or weights are missing"),
            (lambda folder, facts: (folder / saved.WEIGHTS).unlink(), WeightsError, "is missing or was changed"),
            (
                lambda folder, facts: save_file({"x": torch.zeros(1)}, folder / saved.WEIGHTS),
                WeightsError,
                "its sha256 is not that of its card",
            ),
        ],
    )
    def test_a_folder_that_is_not_whole_is_refused(self, cloth, tmp_path, change, error, why):
        with pytest.raises(error, match=why):
            nt.add_backbone(self.spoilt(tmp_path, change))
        assert saved.names() == ["mine/cloth"]

    def test_what_a_card_says_of_packages_imports_nothing(self, cloth, tmp_path, monkeypatch):
        """Looking for `evil.x` would import `evil`."""
        (tmp_path / "evil").mkdir()
        (tmp_path / "evil" / "__init__.py").write_text("raise SystemExit('imported')")
        monkeypatch.syspath_prepend(str(tmp_path))
        card = nt.add_backbone(self.spoilt(tmp_path, lambda _, facts: facts["card"]["weights"][0].update(package="evil.x")))
        assert card.weights[0].package is None
        task = cloth[1].task
        nt.start(nt.Recipe(task=task, backbone="mine/linen", strategy="lp", epochs=1, device="cpu")).kill()

    def test_any_other_folder_is_refused(self, home, tmp_path):
        with pytest.raises(BackboneError, match=r"there is no card\.json; give the folder itself"):
            nt.add_backbone(tmp_path)

    def test_a_newer_one_is_not_listed_and_says_why(self, cloth):
        file = saved.folder_of("cloth") / saved.CARD
        file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
        assert not nt.backbones("cloth")
        with pytest.raises(BackboneError, match=r"has format 2, .* update nbtransfer"):
            nt.backbone("mine/cloth")


class TestGone:
    def test_a_run_says_where_its_weights_came_from(self, cloth):
        digest = cloth[0].weights[0].digest
        assert saved.origin("mine/cloth", digest) == f"mine/cloth, from {cloth[0].lineage}"
        assert saved.origin("mine/cloth", "0") == "mine/cloth, which holds other weights by now"
        assert saved.origin("mine/cloth", None) is None
        assert saved.origin("resnet18", digest) is None
        nt.delete_backbone("cloth")
        assert saved.origin("mine/cloth", digest) == "mine/cloth, which was deleted since"

    def test_what_is_broken_can_be_deleted(self, cloth):
        (saved.folder_of("cloth") / saved.CARD).unlink()
        nt.delete_backbone("cloth")
        assert not saved.folder_of("cloth").exists()

    def test_deleted_they_are_unknown(self, cloth):
        nt.delete_backbone("cloth")
        with pytest.raises(
            BackboneError, match=r"no saved shared layers 'mine/cloth' .* or they were deleted; none is saved here"
        ):
            nt.backbone("mine/cloth")
        with pytest.raises(BackboneError, match="or they were deleted"):
            nt.delete_backbone("mine/cloth")

    def test_weights_that_were_changed_are_not_used(self, cloth):
        file = saved.folder_of("cloth") / saved.WEIGHTS
        save_file({name: 2 * tensor for name, tensor in load_file(file).items()}, file)
        with pytest.raises(WeightsError, match="is not what was saved as mine/cloth"):
            registry.build(cloth[0], "default")
