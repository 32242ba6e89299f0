"""The training loop, where a batch is too large for it."""

from __future__ import annotations

import torch

from nbtransfer.engine.fit.loop import Loop
from tests.support.stories import Story, killed_again_and_again


def test_a_batch_that_does_not_fit_into_a_gpu(small, monkeypatch):
    """Computed in parts, with one step of the optimiser for all of them."""
    real, sizes = Loop._step, []

    def step(self, batch, meter):
        if self.progress.parts == 1 and self.progress.step >= 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        sizes.append(self.progress.parts)
        real(self, batch, meter)

    monkeypatch.setattr(Loop, "_step", step)
    story = Story(small)
    assert story.attempt()
    assert sizes[:3] == [1, 1, 4]
    assert len(story.state.history) == 2
    assert "does not fit into the memory of the GPU" in story.state.warnings[-1]
    killed = killed_again_and_again(small, 3)
    assert killed.outcome() == story.outcome()
