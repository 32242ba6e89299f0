"""The boundary cache: the same results, sooner; never a wrong one."""

from __future__ import annotations

import errno
import importlib.metadata
import json
from dataclasses import replace

import pytest
import torch

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.code import Code
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.engine import device, precision
from nbtransfer.engine.cache import activations, boundary, cost_model, key, policy, prefix
from nbtransfer.engine.cache.boundary import Boundary
from nbtransfer.engine.cache.cost_model import Costs
from nbtransfer.engine.cache.lookup import Lookup
from nbtransfer.engine.data import batches
from nbtransfer.engine.data.prefetch import prefetch
from nbtransfer.engine.device import Device, choose, why_not_bf16
from nbtransfer.engine.evaluate import predict_all
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.model.transfer_model import build
from nbtransfer.engine.versions import computing_versions
from nbtransfer.errors import RunError
from nbtransfer.store import caches, runs
from tests.support.commands import stop_after
from tests.support.sessions import new_session
from tests.support.training import of, told, weights

STAGES = nt.backbone("shufflenet_v2_x0_5").stages


@pytest.fixture
def frozen(recipe):
    """Everything but the last stage is frozen; the activations of the stage before are kept."""
    return replace(recipe, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", "stage4"), cache="on", fold=False, augment=("flip",))


def decided(events, subject="cache"):
    return [e for e in of(events, ev.Decided) if e.subject == subject]


def story(events):
    """What training came to."""
    return [(e.train_loss, e.val_loss, e.val_correct) for e in of(events, ev.EpochEnded)]


def carried_out(recipe):
    paths = runs.create(recipe)
    events = told(recipe, paths)
    return story(events), weights(paths, recipe), events


class TestSameResults:
    @pytest.mark.parametrize("stage", STAGES)
    def test_bit_for_bit_at_every_boundary(self, frozen, stage):
        """27 images in batches of 9: every batch is a full one."""
        recipe = replace(frozen, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", stage), batch_size=9, probe="sgd")
        plain, kept = carried_out(replace(recipe, cache="off")), carried_out(recipe)
        assert plain[:2] == kept[:2]
        assert decided(plain[2]) == []
        assert decided(kept[2])[0].choice == stage

    def test_closely_where_batches_are_not_full(self, frozen):
        plain, kept = carried_out(replace(frozen, cache="off")), carried_out(frozen)
        for one, other in zip(plain[0], kept[0], strict=True):
            assert one == pytest.approx(other, abs=1e-5)

    @pytest.mark.parametrize("augment", [("flip", "flip_vertical"), ("crop", "colour")])
    def test_with_several_views(self, frozen, augment):
        recipe = replace(frozen, augment=augment, views=3, batch_size=9)
        plain, kept = carried_out(replace(recipe, cache="off")), carried_out(recipe)
        assert plain[:2] == kept[:2]
        assert f"for {3 if 'crop' in augment else 4} views of each image" in decided(kept[2])[0].reason

    def test_helpers_that_load_images(self, frozen):
        found = [carried_out(replace(frozen, loader_workers=workers))[:2] for workers in (0, 2)]
        assert found[0] == found[1]

    def test_folding_is_reported(self, frozen):
        exact, folded = carried_out(frozen), carried_out(replace(frozen, fold=True))
        for one, other in zip(exact[0], folded[0], strict=True):
            assert one == pytest.approx(other, abs=1e-4)
        said = decided(folded[2], "folding")
        assert said[0].choice == "yes"
        assert "features differ by" in said[0].reason
        assert decided(carried_out(replace(frozen, fold=True))[2], "folding") == said  # also by who finds them computed

    def test_folding_that_would_change_too_much_is_not_done(self, frozen, monkeypatch):
        exact = carried_out(frozen)
        monkeypatch.setattr(prefix, "LARGEST_DEVIATION", -1.0)
        refused = carried_out(replace(frozen, fold=True))
        assert refused[:2] == exact[:2]
        assert decided(refused[2], "folding")[0].choice == "no"

    @pytest.mark.parametrize(("dtype", "close"), [("fp16", 1e-3), ("bf16", 2e-2)])
    def test_stored_in_fewer_bytes_on_request(self, frozen, dtype, close):
        exact, short = carried_out(frozen), carried_out(replace(frozen, cache_dtype=dtype))
        assert exact[0][0][1] == pytest.approx(short[0][0][1], abs=close)
        sizes = sorted(cache.bytes for cache in caches.caches())
        assert sizes[1] == 2 * sizes[0]


class TestSharing:
    def test_the_next_run_computes_nothing(self, frozen, monkeypatch):
        first = carried_out(frozen)
        monkeypatch.setattr(boundary, "BuildPlan", None)
        second = carried_out(replace(frozen, epochs=3))
        assert "computed before" in decided(second[2])[0].reason
        assert of(second[2], ev.Computing) == []
        assert of(first[2], ev.Computing)[-1].done == 27 * 2 + 9

    @pytest.mark.parametrize(
        "change",
        [
            {"seed": 1}, {"image_size": 48}, {"crop": 0.5}, {"augment": ()}, {"precision": "bf16"}, {"cache_dtype": "fp16"},
            {"fold": True}, {"freeze": FreezePlan.up_to("shufflenet_v2_x0_5", "stage3")}, {"batch_size": 4},
        ],
        ids=str,
    )  # fmt: skip
    def test_whatever_matters_is_in_the_key(self, frozen, change):
        """Another seed means other random weights."""
        carried_out(replace(frozen, epochs=1))
        events = carried_out(replace(frozen, epochs=1, **change))[2]
        assert "computed once" in decided(events)[0].reason
        assert len(caches.caches()) == 2

    def test_what_does_not_matter_is_not(self, frozen):
        carried_out(frozen)
        others = {"epochs": 1, "lr": 0.1, "optimiser": "sgd", "title": "x", "weight_decay": 0.3}
        assert "computed before" in decided(carried_out(replace(frozen, **others))[2])[0].reason

    @pytest.mark.parametrize(
        "change",
        [
            {"backbone": "shufflenet_v2_x1_0"}, {"augment": ("flip_vertical",)}, {"views": 3}, {"image_size": 48},
            {"crop": 0.5}, {"batch_size": 4}, {"cache_dtype": "bf16"}, {"fold": True}, {"precision": "bf16"}, {"seed": 3},
            {"transform": "own.twice"}, "root", "manifest", "device", "versions",
        ],
        ids=str,
    )  # fmt: skip
    def test_each_fact_of_the_key(self, frozen, change, monkeypatch):
        """With the same weights: other ones have another key in any case."""
        code = Code("own", "def once(image):\n    return image\n\ndef twice(image):\n    return image\n")
        nt.code(code.name, code.source)
        frozen = replace(frozen, transform="own.once", views=2, code=(code,))
        monkeypatch.setattr(key.CacheKeys, "_digests", ["the same"] * len(STAGES))

        def key_of(recipe):
            return Boundary(new_session(recipe).context, 4, "").key

        before = key_of(frozen)
        assert key_of(frozen) == before
        if isinstance(change, dict):
            assert key_of(replace(frozen, **change)) != before
        elif change == "root":
            assert key_of(replace(frozen, task=replace(frozen.task, root="/elsewhere"))) != before
        elif change == "manifest":
            first, *rest = frozen.task.samples
            later = replace(first, mtime_ns=first.mtime_ns + 1)
            assert key_of(replace(frozen, task=replace(frozen.task, samples=(later, *rest)))) != before
        elif change == "versions":
            monkeypatch.setattr(key, "computing_versions", lambda _: ["another"])
            assert key_of(frozen) != before
        else:
            session = new_session(frozen)
            session.context.device = Device(torch.device("meta"), "fp32")
            assert Boundary(session.context, 4, "").key != before

    def test_the_library_that_computes_is_in_the_key(self):
        assert computing_versions("timm")[-1] == importlib.metadata.version("timm")
        assert len(computing_versions("timm")) == len(computing_versions("torchvision")) + 1

    def test_one_that_is_removed_while_it_is_looked_for_is_computed_again(self, frozen, monkeypatch):
        first, finds, original = carried_out(frozen), [], caches.find

        def find(key):
            found = original(key)
            if found:
                finds.append(found)
                if len(finds) == 2:
                    (found.folder / "train.bin").unlink()
            return found

        monkeypatch.setattr(caches, "find", find)
        second = carried_out(frozen)
        assert second[:2] == first[:2]
        assert of(second[2], ev.Computing) != []

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_a_boundary_that_moves_with_folding(self, frozen, precision):
        early, late = (Phase(name, FreezePlan.up_to("shufflenet_v2_x0_5", name), 1) for name in ("stage3", "stage4"))
        events = told(replace(frozen, strategy=Strategy("both", (early, late)), freeze=None, fold=True, precision=precision))
        assert [d.choice for d in decided(events)] == ["stage3", "stage4"]
        assert len(decided(events, "folding")) == 2
        assert isinstance(events[-1], ev.Finished)

    def test_a_boundary_that_moves_deeper_starts_from_the_last(self, frozen):
        early, late = (Phase(name, FreezePlan.up_to("shufflenet_v2_x0_5", name), 1) for name in ("stage3", "stage4"))
        both = replace(frozen, strategy=Strategy("both", (early, late)), freeze=None, batch_size=9)
        seen = []
        original = Lookup.find_nearest
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Lookup, "find_nearest", lambda it, count: seen.append(original(it, count)) or seen[-1])
            kept = carried_out(both)
        # In its first phase stage 4 learned, so its activations are new; those of stage 3 are where they start from.
        assert [start for start, _ in seen] == 2 * [0] + 2 * [STAGES.index("stage3") + 1]  # to expect, and to compute
        assert ["from the activations of stage3" in d.reason for d in decided(kept[2])] == [False, True]
        assert kept[:2] == carried_out(replace(both, cache="off"))[:2]

    def test_what_is_kept_in_fewer_bytes_is_no_source(self, frozen):
        """Errors would add up, and depend on what else happens to be kept."""
        recipe = replace(frozen, cache_dtype="fp16")
        first = carried_out(recipe)
        caches.clear()
        carried_out(replace(recipe, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", "stage3")))
        assert carried_out(recipe)[:2] == first[:2]

    def test_weights_that_changed_on_the_disk(self, frozen, tmp_path):
        from nbtransfer.pretrained import torchvision_models

        file = tmp_path / "own.pth"
        state = torchvision_models.build("shufflenet_v2_x0_5", 40).state_dict()
        torch.save(state, file)
        recipe = replace(frozen, weights=str(file), epochs=1)
        carried_out(recipe)
        torch.save({k: 1.01 * v if v.is_floating_point() else v for k, v in state.items()}, file)
        assert "computed once" in decided(carried_out(recipe)[2])[0].reason


class TestImages:
    @pytest.mark.parametrize("split", ["train", "val"])
    def test_one_that_cannot_be_decoded_is_left_out_and_named_once(self, images, frozen, split):
        sample = next(s for s in frozen.task.samples if s.split == split)
        (images / sample.source).unlink()
        plain, kept = carried_out(replace(frozen, cache="off")), carried_out(frozen)
        again = carried_out(frozen)
        for one, other in zip(plain[0], kept[0], strict=True):
            assert one == pytest.approx(other, abs=1e-5)
        assert kept[:2] == again[:2]
        for events in (plain[2], kept[2], again[2]):
            assert of(events, ev.ImageSkipped) == [ev.ImageSkipped(sample.source, split, "it is gone")]

    def test_one_that_changed_after_it_was_cached(self, images, frozen):
        carried_out(frozen)
        sample = frozen.task.samples[0]
        (images / sample.source).write_bytes(b"something else")
        events = carried_out(frozen)[2]
        assert of(events, ev.ImageSkipped)[0].reason == "it changed after the task was made"
        remade = replace(frozen, task=nt.Task.from_folder(images, holdout=0.25, unreadable="skip"))
        assert "computed once" in decided(carried_out(remade)[2])[0].reason

    def test_one_that_can_be_decoded_again_is_used_again(self, images, frozen):
        """It failed while the others were cached: a drive was away, say."""
        first = carried_out(frozen)
        caches.clear()
        sample = next(s for s in frozen.task.samples if s.split == "train")
        file = images / sample.source
        file.rename(file.with_suffix(".away"))
        carried_out(frozen)
        file.with_suffix(".away").rename(file)
        again = carried_out(frozen)
        assert of(again[2], ev.ImageSkipped) == []
        assert again[:2] == first[:2]
        assert len(caches.caches()) == 1

    def test_nor_is_it_missing_behind_a_later_boundary(self, images, frozen):
        sample = next(s for s in frozen.task.samples if s.split == "train")
        file = images / sample.source
        file.rename(file.with_suffix(".away"))
        carried_out(replace(frozen, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", "stage3")))
        file.with_suffix(".away").rename(file)
        assert of(carried_out(frozen)[2], ev.ImageSkipped) == []

    def test_none_that_can_be_decoded(self, images, frozen):
        for sample in frozen.task.split("train"):
            (images / sample.source).unlink()
        with pytest.raises(nt.NbTransferError, match="none of the training images"):
            told(frozen)


class TestWhereItDoesNotPay:
    def test_new_views_in_every_epoch(self, frozen):
        events = told(replace(frozen, augment=("crop",)))
        assert decided(events)[0].choice == "no"
        assert "views=8 draws eight" in decided(events)[0].reason

    def test_no_room(self, frozen):
        plain, events = carried_out(replace(frozen, cache="off")), carried_out(replace(frozen, cache_budget=1000))
        assert "there is room for 1 kB" in decided(events[2])[0].reason
        assert plain[:2] == events[:2]

    def test_architectures_without_boundaries(self, recipe):
        recipe = replace(recipe, backbone="timm/resnet10t", strategy="last_stage", image_size=64, epochs=1)
        assert "only after its last stage" in decided(told(recipe))[0].reason
        assert decided(told(replace(recipe, strategy="lp")))[0].choice == nt.backbone("timm/resnet10t").stages[-1]

    def test_what_saves_no_time(self, frozen, monkeypatch):
        """The first stage makes more of an image than there was."""
        layout = activations.Layout((24, 40, 40), (1600, 40, 1), "float32", "float32")
        layouts = {"train": layout, "val": layout}
        monkeypatch.setattr(cost_model, "measure", lambda *_: Costs(layouts, 0, 0, True, 0, 1e-9, 1e-9, 1, 1, 1, 1))
        decision = decided(told(replace(frozen, cache="auto")))[0]
        assert decision.choice == "no"
        assert "more than the images themselves" in decision.reason
        assert decision.seconds < decision.otherwise

    def test_what_saves_too_little_is_not_written_but_used_where_it_is_there(self, frozen, monkeypatch):
        layout = activations.Layout((24, 40, 40), (1600, 40, 1), "float32", "float32")
        auto = replace(frozen, cache="auto")
        found = Costs({"train": layout, "val": layout}, 0, 0, True, 0, 0.03, 0.03, 1, 1, 0, 0)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(cost_model, "measure", lambda *_: found)
            decision = decided(told(auto))[0]
            assert decision.choice == "no"
            assert decision.reason.endswith("too little to be worth it")
            assert decision.seconds > decision.otherwise > policy.WORTH_IT * decision.seconds
        told(replace(frozen, cache="on"))
        monkeypatch.setattr(cost_model, "measure", lambda *_: found)
        assert decided(told(auto))[0].choice != "no"


class TestDisk:
    @pytest.mark.parametrize("block", ["file", "link to nowhere"])
    def test_a_folder_that_cannot_be_written(self, frozen, home, block):
        home.mkdir(parents=True, exist_ok=True)
        if block == "file":
            (home / "caches").write_text("in the way")
        else:
            (home / "caches").symlink_to(home / "gone")
        kept, plain = carried_out(frozen), carried_out(replace(frozen, cache="off"))
        assert "are kept in memory, for this run only" in of(kept[2], ev.Warned)[-1].message
        for one, other in zip(plain[0], kept[0], strict=True):
            assert one == pytest.approx(other, abs=1e-5)

    @pytest.mark.parametrize("memory", [10**12, 0])
    def test_a_disk_that_is_full(self, frozen, monkeypatch, memory):
        def full(writer, rows):
            if writer._file is not None:
                raise OSError(errno.ENOSPC, "No space left on device")
            original(writer, rows)

        original = activations.Writer.add
        monkeypatch.setattr(activations.Writer, "add", full)
        monkeypatch.setattr(boundary, "available_memory", lambda: memory)
        events = carried_out(frozen)[2]
        if memory:
            assert "No space left" in of(events, ev.Warned)[-1].message
        else:
            assert "cannot be kept" in decided(events)[-1].reason
        assert isinstance(events[-1], ev.Finished)
        assert caches.caches() == ()

    def test_a_head_that_is_solved_for_needs_room_somewhere(self, recipe, home, monkeypatch):
        home.mkdir(parents=True, exist_ok=True)
        (home / "caches").write_text("in the way")
        monkeypatch.setattr(boundary, "available_memory", lambda: 0)
        with pytest.raises(RunError, match="use probe='sgd'"):
            told(replace(recipe, strategy="lp"))

    def test_what_was_left_half_written_is_never_read(self, frozen, home):
        session = new_session(frozen)
        work = session.run_phase(0)
        while not isinstance(next(work), ev.Computing):
            pass
        drafts = list((home / "caches").glob(".tmp-*"))
        assert len(drafts) == 1
        assert caches.caches() == ()
        work.close()
        assert list((home / "caches").glob(".tmp-*")) == []

    def test_abandoned_drafts_go_when_the_key_is_built_again(self, frozen, home):
        carried_out(frozen)
        key = caches.caches()[0].key
        caches.clear()
        draft = home / "caches" / f".tmp-0123456789ab-{key}"
        draft.mkdir()
        (draft / "train.bin").write_bytes(b"half")
        carried_out(frozen)
        assert [p.name for p in (home / "caches").iterdir()] == [key]

    def test_stopping_while_it_is_computed(self, frozen):
        events = list(told(frozen, runs.create(frozen), stop_after(2)))
        assert isinstance(events[-1], ev.Stopped)
        assert caches.caches() == ()


def exhausted(generator):
    """What a generator yields, and what it returns."""
    yielded = []
    try:
        while True:
            yielded.append(next(generator))
    except StopIteration as end:
        return yielded, end.value


class TestPhases:
    def test_what_is_held_in_memory_is_used_again(self, frozen, home):
        """The plan may change without the boundary."""
        session = new_session(frozen)
        (home / "caches").write_text("in the way")
        phase = session.context.training_plan.phases[0]
        session.context.model.apply_plan(phase.plan.resolve(session.context.card))
        first, data = exhausted(session.cache.inputs(phase, 2, None, "0.0"))
        again, same = exhausted(session.cache.inputs(phase, 1, None, "0.1"))
        assert of(first, ev.Computing)
        assert of(again, ev.Computing) == []
        assert same.train.activations.rows is data.train.activations.rows

    def test_only_epochs_to_come_are_expected(self, frozen, monkeypatch):
        layout = activations.Layout((1,), (1,), "float32", "float32")
        layouts = {"train": layout, "val": layout}
        monkeypatch.setattr(cost_model, "measure", lambda *_: Costs(layouts, 0, 0, True, 0, 3, 3, 1, 1, 0, 0))
        session = new_session(frozen)
        phase = replace(session.context.training_plan.phases[0], epochs=100)
        said = next(session.cache.inputs(phase, 2, None, "0.0"))
        assert (said.seconds, said.otherwise) == (63 * 3 + 2 * 36, 2 * 36 * 4)

    @pytest.mark.parametrize("probe", ["sgd", "logistic"])
    def test_scores_of_a_head_are_those_of_the_model_that_is_handed_on(self, recipe, probe):
        """In bf16, logits would differ in their third digit."""
        events = told(replace(recipe, strategy="lp", probe=probe, precision="bf16"))
        best = [e for e in of(events, ev.EpochEnded) if e.best][-1]
        assert best.val_loss == pytest.approx(of(events, ev.Evaluated)[0].evaluation.loss, rel=1e-6)

    def test_judging_takes_validation_from_the_cache_only_where_it_holds(self, frozen, paths):
        session = new_session(frozen, paths)
        list(session.run_phase(0))
        assert isinstance(session.cache.exact_val(), activations.CachedBatches)
        with torch.no_grad():
            session.context.model.backbone.stem.conv1[0].weight += 1e-6
        assert session.cache.exact_val() is session.context.data.val

    @pytest.mark.parametrize("stage", STAGES[-2:])
    def test_validation_is_kept_in_fp32_and_scored_from_there(self, frozen, monkeypatch, stage):
        """Whatever the precision of the run: the last scores are those of whoever loads the model, and cost no second pass."""
        recipe = replace(frozen, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", stage), precision="bf16", probe="sgd")
        session = new_session(recipe)
        list(session.run_phase(0))
        kept = session.cache.exact_val()
        assert isinstance(kept, activations.CachedBatches)
        assert kept.activations.layout.computed == "float32"
        found = [
            predict_all(session.context.model, batches, session.context.device.in_fp32())
            for batches in (kept, session.context.data.val)
        ]
        assert found[0].probabilities == found[1].probabilities
        monkeypatch.setattr(session.context.data.val, "epoch", None)  # the images are not looked at again
        assert of(session.judge_result(), ev.Evaluated)[0].evaluation.loss == pytest.approx(found[1].loss)


class TestPrefix:
    def test_the_largest_batch_that_fits_is_looked_for_once(self, recipe, monkeypatch):
        """A stand-in for a GPU whose memory holds five images."""
        card = nt.backbone(recipe.backbone)
        model, device, x = build(recipe, card)[0].eval(), Device(torch.device("cpu"), "fp32"), torch.rand(16, 3, 40, 40)
        expected, sizes, run = model.features(x).detach(), [], prefix.Prefix._run

        def small(self, model, x, device):
            sizes.append(len(x))
            if len(x) > 5:
                raise torch.cuda.OutOfMemoryError("out of memory")
            return run(self, model, x, device)

        monkeypatch.setattr(prefix.Prefix, "_run", small)
        made = prefix.Prefix(model, 0, len(card.stages), fold=False)
        assert torch.allclose(made(x, device), expected, atol=1e-6)
        assert sizes == [16, 8, 4, 4, 4, 4]
        assert torch.allclose(made(x[:6], device), expected[:6], atol=1e-6)
        assert sizes[6:] == [4, 2]
        monkeypatch.setattr(
            prefix.Prefix, "_run", lambda *_: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError("out of memory"))
        )
        with pytest.raises(torch.cuda.OutOfMemoryError):
            made(x, device)


class TestLayout:
    @pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
    def test_a_batch_that_lies_otherwise_is_brought_into_order(self, memory):
        batch = torch.rand(4, 3, 5, 2)
        layout = activations.Layout.of(batch.contiguous(memory_format=memory), None)
        for given in (
            batch,
            batch.contiguous(memory_format=torch.channels_last),
            batch.expand(2, 4, 3, 5, 2)[1],
            batch[:, :, :, :2],
        ):
            assert torch.equal(layout.batch(layout.rows(given)), batch)


class TestCosts:
    @pytest.mark.parametrize("nearer", [0, 2])
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_measuring_leaves_no_trace(self, frozen, nearer, precision):
        run = new_session(frozen).context
        run.model.apply_plan(frozen.freeze.resolve(run.card))
        run.model.train()
        before = digest(run.model.state_dict().values()), torch.random.get_rng_state()
        found = cost_model.measure(
            run.model,
            run.data.train.images,
            0,
            nearer,
            4,
            Device(run.device.torch, precision),
            None,
        )
        assert (found.nearer, found.before > 0) == (nearer, nearer > 0)
        assert min(found.decode, found.rest, found.exact, found.judge, found.learn, found.read, found.write) > 0
        assert digest(run.model.state_dict().values()) == before[0]
        assert torch.equal(torch.random.get_rng_state(), before[1])
        assert run.model.training
        assert all(p.grad is None for p in run.model.parameters())

    def test_only_images_that_are_to_be_decoded_cost_decoding(self, frozen):
        session = new_session(frozen)
        images = session.context.data.train.images
        assert list(images.undecoded) == list(range(27))
        for number in range(27):
            assert isinstance(images[0, number][1], torch.Tensor)
        assert images.undecoded == []
        assert cost_model.measure(session.context.model, images, 0, 0, 4, session.context.device, None).decode == 0

    def test_arithmetic(self):
        made = Costs({}, 0, 1.0, True, 0.0, 10.0, 20.0, 2.0, 6.0, 0.5, 0.25)
        assert made.without_cache(5, 100, 20) == 120 + 5 * (100 * 16 + 20 * 12)
        assert made.build(100, 20, 2) == 120 + 200 * 10.25 + 20 * 20.25
        assert made.with_cache(5, 100, 20) == 5 * (100 * 6.5 + 20 * 2.5)

    def test_what_is_kept_of_a_nearer_boundary_is_not_computed_for_a_cache(self):
        made = Costs({}, 2, 1.0, True, 7.0, 3.0, 4.0, 2.0, 6.0, 0.5, 0.25)
        assert made.without_cache(5, 100, 20) == 120 + 5 * (100 * 16 + 20 * 12)
        assert made.build(100, 20, 2) == 200 * 3.25 + 20 * 4.25


class TestMemory:
    @pytest.mark.parametrize(("limit", "left"), [("1000", 1000 - 700 + 200), ("max", None), ("10", 0)])
    def test_a_container_has_less(self, tmp_path, monkeypatch, limit, left):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("700\n")
        (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")
        if limit == "10":
            (tmp_path / "memory.stat").write_text("inactive_file 0\n")
        monkeypatch.setattr(device, "CONTAINERS", ((tmp_path, "memory.max", "memory.current", "inactive_file"),))
        available = device.available_memory()
        assert available == left if left is not None else available > 10**6


class TestPrecision:
    def test_it_is_measured_and_said(self, recipe):
        events = told(replace(recipe, precision="auto", epochs=1))
        found = decided(events, "precision")
        assert found[0].choice == events[0].precision
        assert found[0].reason.startswith(("bf16 takes", "cpu here"))

    @pytest.mark.parametrize(("seconds", "choice"), [((1.0, 0.5), "bf16"), ((1.0, 0.95), "fp32")])
    def test_the_faster_one(self, recipe, monkeypatch, seconds, choice):
        card = nt.backbone(recipe.backbone)
        model, _ = build(recipe, card)
        before, plan = digest(model.state_dict().values()), FreezePlan.none().resolve(card)
        images = batches.prepare(recipe, model.spec, torch.device("cpu")).val.images
        times = iter(seconds)
        monkeypatch.setattr(precision, "why_not_bf16", lambda _: None)
        monkeypatch.setattr(precision, "time_call", lambda work, *_, **__: (work(), next(times)))
        device, decision = precision.measure_precision(model, images, Device(torch.device("cpu"), "fp32"), plan)
        assert (device.precision, decision.choice) == (choice, choice)
        assert "a training step" in decision.reason
        assert digest(model.state_dict().values()) == before
        assert all(p.grad is None for p in model.parameters())

    def test_where_the_hardware_cannot(self, recipe, monkeypatch):
        monkeypatch.setattr(precision, "why_not_bf16", lambda _: "this one cannot")
        events = told(replace(recipe, precision="auto", epochs=1))
        assert events[0].precision == "fp32"
        assert decided(events, "precision")[0].reason == "this one cannot"

    def test_where_it_cannot_be_known(self, monkeypatch):
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
        assert "2.11 and newer can" in why_not_bf16(torch.device("cpu"))

    def test_what_was_measured_before_is_not_measured_again(self, recipe):
        session = new_session(recipe)
        auto, plan = replace(recipe, precision="auto"), FreezePlan.none().resolve(session.context.card)
        images = session.context.data.val.images
        device, said = precision.choose_precision(auto, session.context.model, images, session.context.device, plan, "bf16")
        assert (device.precision, said) == ("bf16", [])

    def test_asked_for(self):
        assert choose("cpu", "bf16").precision == "bf16"


class TestProbe:
    def test_a_linear_probe_is_solved_for(self, recipe, paths):
        events = told(replace(recipe, strategy="lp"), paths)
        plan = events[0].phases[0]
        assert (plan.solver, plan.epochs, plan.lr) == ("logistic", 1, 0.0)
        solved = of(events, ev.Solved)[0]
        assert solved.chosen in solved.strengths
        assert solved.converged
        assert len(story(events)) == 1
        assert of(events, ev.Evaluated)[0].evaluation.correct == 9
        lines = json.loads((paths.result / "receipt.json").read_text())
        assert set(lines.values()) == {"unchanged, checked"}

    def test_by_ridge_regression(self, recipe):
        events = told(replace(recipe, strategy="lp", probe="ridge", label_smoothing=0.1))
        assert of(events, ev.Solved)[0].solver == "ridge"
        assert of(events, ev.Evaluated)[0].evaluation.correct == 9

    @pytest.mark.parametrize(
        "settings", [{"probe": "sgd"}, {"lr": 0.01}, {"schedule": "cosine"}, {"augment": ("crop",)}], ids=str
    )
    def test_or_trained_where_that_is_meant(self, recipe, settings):
        events = told(replace(recipe, strategy="lp", **settings))
        assert events[0].phases[0].solver is None
        assert len(story(events)) == recipe.epochs

    @pytest.mark.parametrize("setting", [{"cache": "off"}, {"cache_budget": 0}], ids=str)
    def test_also_where_nothing_may_be_kept_on_the_disk(self, recipe, setting):
        probe = replace(recipe, strategy="lp")
        plain, kept = carried_out(replace(probe, **setting)), carried_out(probe)
        assert plain[:2] == kept[:2]
        assert len(caches.caches()) == 1

    def test_with_too_little_memory_for_features(self, recipe, monkeypatch):
        monkeypatch.setattr(boundary, "available_memory", lambda: 0)
        with pytest.raises(RunError, match=r"the features need .* room for 0 bytes in memory.*use probe='sgd'"):
            told(replace(recipe, strategy="lp", cache="off"))

    @pytest.mark.parametrize("solver", ["logistic", "ridge"])
    def test_asked_for_where_it_cannot_be(self, recipe, solver):
        with pytest.raises(nt.NbTransferError, match=f"probe is '{solver}', but every epoch draws new views"):
            told(replace(recipe, strategy="lp", probe=solver, augment=("crop",)))

    def test_before_fine_tuning_it_takes_one_epoch(self, recipe):
        events = told(replace(recipe, strategy="lp_ft", epochs=3))
        assert [(p.name, p.epochs, p.solver) for p in events[0].phases] == [("lp", 1, "logistic"), ("ft", 2, None)]

    def test_a_lesser_penalty_is_not_taken_for_a_difference_that_is_noise(self, recipe):
        solved = of(told(replace(recipe, strategy="lp")), ev.Solved)[0]
        assert solved.chosen >= solved.strengths[solved.losses.index(min(solved.losses))]

    @pytest.mark.parametrize("solver", ["logistic", "ridge"])
    def test_features_that_are_no_numbers(self, recipe, tmp_path, solver):
        from nbtransfer.pretrained import torchvision_models

        state = torchvision_models.build("shufflenet_v2_x0_5", 40).state_dict()
        state["conv5.0.weight"][0, 0] = float("nan")
        torch.save(state, tmp_path / "own.pth")
        with pytest.raises(RunError, match=r"features of some images are NaN or infinite.*check the weights"):
            told(replace(recipe, strategy="lp", probe=solver, weights=str(tmp_path / "own.pth")))

    def test_bad_images_are_left_out(self, images, recipe):
        gone = [next(s for s in recipe.task.samples if s.split == split) for split in ("train", "val")]
        for sample in gone:
            (images / sample.source).unlink()
        events = told(replace(recipe, strategy="lp"))
        assert [e.source for e in of(events, ev.ImageSkipped)] == [s.source for s in gone]
        assert of(events, ev.EpochEnded)[0].val_examples == 8

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_nothing_left(self, images, recipe, split):
        for sample in recipe.task.split(split):
            (images / sample.source).unlink()
        with pytest.raises(nt.NbTransferError, match="none of the"):
            told(replace(recipe, strategy="lp"))


class TestAhead:
    def test_the_same_things_in_order(self):
        assert list(prefetch(iter(range(50)))) == list(range(50))
        assert list(prefetch([])) == []

    def test_errors_arrive_where_things_are_used(self):
        def things():
            yield 1
            raise ValueError("two")

        made = prefetch(things())
        assert next(made) == 1
        with pytest.raises(ValueError, match="two"):
            next(made)

    def test_it_can_be_left_early(self):
        made = prefetch(iter(range(10**9)))
        assert next(made) == 0
        made.close()
