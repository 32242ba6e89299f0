"""Which snapshots of a run there are, and which one a comparison begins with, on real runs."""

from __future__ import annotations

import pytest
import torch

import nbtransfer as nt
from nbtransfer.comparison import snapshots
from nbtransfer.errors import InputError, RunError
from nbtransfer.jobs.run import Run
from nbtransfer.store import runs
from tests.support.runs import carried_out


@pytest.fixture
def start(images):
    """Carry out a small recipe in this process."""
    task = nt.Task.from_folder(images, holdout=0.25)

    def started(strategy, **settings):
        recipe = nt.Recipe(
            task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy=strategy, batch_size=9, device="cpu",
            precision="fp32", threads=1, **{"epochs": 1, "image_size": 32, **settings},
        )  # fmt: skip
        return carried_out(recipe)

    return started


def test_a_run_of_two_phases_brings_its_own_probe(start):
    run = start("lp_ft", epochs=2)
    assert snapshots.names(run) == ("start", "0-lp", "1-ft", "best")
    assert snapshots.find_before(run, None) == snapshots.Snapshot(run, "0-lp")
    assert snapshots.names_before(run)[0] == "0-lp"
    assert str(snapshots.find_before(run, None)) == f"0-lp of run {run.id} (lp_ft)"
    # What ends with the probe begins where it began.
    assert snapshots.find_before(run, None, "0-lp").name == "start"


def test_a_probe_begins_at_the_start(start):
    run = start("lp")
    before = snapshots.find_before(run, None)
    assert (before.run.id, before.name) == (run.id, "start")
    model = before.model()
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.head.weight.any()
    probe, shared = snapshots.find_snapshot(run, "best").model(), model.backbone.state_dict()
    assert all(torch.equal(tensor, shared[name]) for name, tensor in probe.backbone.state_dict().items())


def test_fine_tuning_takes_the_newest_probe_that_fits(start):
    run = start("ft")
    with pytest.raises(InputError, match=r"strategy='lp'.* before=that_run"):
        snapshots.find_before(run, None)
    start("lp", image_size=40)  # another input
    start("lp", seed=1)  # other random weights
    assert list(snapshots.find_probes(run)) == []
    assert snapshots.names_before(run) == ("start", "0-ft", "best")
    first, second = start("lp"), start("lp", epochs=2)
    newest = max(first.id, second.id)
    assert snapshots.find_before(run, None).run.id == newest
    assert str(snapshots.find_before(run, None)) == f"best of run {newest} (lp)"
    assert set(snapshots.names_before(run)) == {"start", "0-ft", "best", first.id, second.id}


def test_statistics_that_are_updated_make_no_probe(start):
    """All weights frozen but normalisation's own: the shared layers changed."""
    run = start("ft")
    start("lp", freeze=nt.FreezePlan.all().norm("affine_only"))
    assert list(snapshots.find_probes(run)) == []


def test_before_can_be_a_run_its_id_or_a_moment(start):
    run, other = start("lp_ft", epochs=2), start("lp")
    for wanted in (other, other.id, other.id[-6:]):
        found = snapshots.find_before(run, wanted)
        assert (found.run.id, found.name) == (other.id, "best")
    assert snapshots.find_before(run, "1-ft") == snapshots.Snapshot(run, "1-ft")
    with pytest.raises(InputError, match=r"neither a run nor a snapshot .* start, 0-lp, 1-ft, best"):
        snapshots.find_before(run, "nonsense")
    with pytest.raises(InputError, match="did you mean '0-lp'"):
        snapshots.find_snapshot(run, "o-lp")


def test_snapshots_differ_and_the_best_is_one_of_them(start):
    run = start("lp_ft", epochs=2)
    heads = [snapshots.find_snapshot(run, name).model().head.weight for name in snapshots.names(run)]
    assert not torch.equal(heads[1], heads[2])
    assert any(torch.equal(heads[3], head) for head in heads[1:3])


def test_a_run_that_has_not_begun_says_so(images):
    task = nt.Task.from_folder(images, holdout=0.25)
    run = Run(runs.create(nt.Recipe(task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="ft")))
    assert snapshots.names(run) == ("start",)
    with pytest.raises(RunError, match="is created and has no model yet; wait for its first epoch to end"):
        snapshots.find_before(run, None)
