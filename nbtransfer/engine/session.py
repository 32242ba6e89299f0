"""The phases of one attempt, one by one, and the judgement of what they led to. All of it yields events."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nbtransfer.core import events as ev
from nbtransfer.core.state import RunState
from nbtransfer.core.training_plan import PLANNING, Change
from nbtransfer.engine import summary
from nbtransfer.engine.cache.activations import CachedBatches
from nbtransfer.engine.cache.policy import BoundaryCache
from nbtransfer.engine.checkpointer import Checkpointer
from nbtransfer.engine.checkpoints import result, resume
from nbtransfer.engine.command_handler import CommandHandler
from nbtransfer.engine.data.batches import Batches
from nbtransfer.engine.data.skipped import report_skipped
from nbtransfer.engine.evaluate import Predictions, predict
from nbtransfer.engine.fit.linear_probe import LinearProbe
from nbtransfer.engine.fit.loop import Loop
from nbtransfer.engine.resumable import SAFE_POINT, Resumable
from nbtransfer.engine.setup import Setup


class Session:
    """One attempt of a run: goes back to the newest checkpoint, carries out the phases that are left, and judges the result."""

    def __init__(self, setup: Setup, past: RunState) -> None:
        self.context, self.past = setup.context, past
        self.checkpointer = Checkpointer(setup.context)
        self.handler = CommandHandler(setup.context, self)
        self.cache = BoundaryCache(setup.context, setup.decided_before)
        made = ((change.phase, change.step) for change in past.changes if change.op != "stop")
        self.acknowledged = max(made, default=(0, 0))
        self._replanned = False

    @property
    def over(self) -> bool:
        """No further phase should begin."""
        return self.handler.over or self.context.progress.failure is not None

    def restore(self) -> Iterator[ev.Event]:
        """Go back to the newest checkpoint, if earlier attempts have left one."""
        name = yield from self.checkpointer.go_back()
        if self.past.pid is not None:
            then, p = self.past.prepared, self.context.progress
            differences = resume.differences(then, summary.prepared(self.context)) if then else ()
            if differences:
                yield ev.Warned(f"from here on results are not bit-identical to an uninterrupted run: {'; '.join(differences)}")
            yield ev.Resumed(p.step, p.epoch, name, differences)

    def phase(self, index: int) -> Iterator[ev.Event]:
        """What is left of one phase, ending with its best weights in the model and a snapshot of them on the disk."""
        context, p = self.context, self.context.progress
        began, name = time.monotonic(), context.training_plan.phases[index].name
        if p.phase != index:
            p.begin_phase(index)
            context.optimiser.state.clear()  # another schedule begins, from weights the old state does not belong to
            context.receipt.watch(context.model, name, context.frozen)
        context.model.apply_plan(context.plan)
        yield ev.PhaseStarted(name, index)
        while not self.over:
            self._replanned = False
            yield from self._handling_commands(self._work(began))
            if not self._replanned:
                break
        if self.handler.left:
            return
        context.receipt.check(context.model)
        why = p.why_phase_ended(context.phase.epochs, stopped=self.handler.stopped is not None)
        yield ev.PhaseEnded(name, index, p.phase_best_epoch, why)
        if p.epoch > p.phase_first:
            self.checkpointer.restore_epoch(p.phase_best_epoch)
            result.save_layers(context.paths.snapshots / f"{index}-{name}", context.model, context.stored, context.weights)

    def _handling_commands(self, work: Resumable[None]) -> Iterator[ev.Event]:
        """Do the work, and carry out commands at its safe points; leave it where the run should end or its plan has changed."""
        for event in work:
            if event is not SAFE_POINT:
                yield event
                continue
            yield from self.handler.handle()
            if self.over or self._replanned:
                work.close()
                return

    def _work(self, began: float) -> Resumable[None]:
        """Train what learns in the present phase, or solve for it."""
        context, p = self.context, self.context.progress
        if context.is_interrupted():
            yield SAFE_POINT
        phase, solver = context.phase, context.training_plan.solver(p.phase)
        decision = f"{p.phase}.{context.training_plan.replan_count}"
        inputs = yield from self.cache.inputs(phase, p.left(phase.epochs), solver, decision)
        if solver and isinstance(inputs.train, CachedBatches) and isinstance(inputs.val, CachedBatches):
            if p.epoch == p.phase_first:
                yield from LinearProbe(context, self.checkpointer, inputs.train, inputs.val, solver, began).events()
            return
        yield from Loop(context, self.checkpointer, inputs).events()

    def save(self) -> Iterator[ev.Event]:
        """Write everything to the disk."""
        return self.checkpointer.save()

    def change(self, change: Change) -> Iterator[ev.Event]:
        """Change the training plan from the next step on; raises an InputError when that is not possible."""
        context, p = self.context, self.context.progress
        context.training_plan.apply(change, begun=p.epoch - p.phase_first + (p.batch > 0))
        if change.op in PLANNING:
            self._follow_new_plan()
        yield ev.Planned(summary.phase_plans(context.training_plan, context.model))

    def _follow_new_plan(self) -> None:
        """Put a changed freeze plan in force. Layers that go on learning keep their optimiser state, others begin without."""
        context, p = self.context, self.context.progress
        if p.phase >= 0:
            context.receipt.check(context.model)
        self.checkpointer.keep_originals()
        context.model.apply_plan(context.plan)
        for parameter in context.model.parameters():
            if not parameter.requires_grad:
                context.optimiser.state.pop(parameter, None)
        if p.phase >= 0:
            context.receipt.watch(context.model, f"{context.phase.name} from step {p.step}", context.frozen)
        self._replanned = True

    def judge(self) -> Iterator[ev.Event]:
        """Keep the best weights, then score them in full precision, as everyone who loads the model will."""
        context = self.context
        self.checkpointer.restore_epoch(context.progress.best_epoch)
        yield context.receipt.event()
        result.save_model(context.paths, context.model, context.stored, context.weights, context.receipt)
        for split, batches in (("val", self.cache.exact_val()), ("test", context.data.test)):
            if batches is not None:
                yield from self._score(split, batches)

    def _score(self, split: str, batches: Batches) -> Iterator[ev.Event]:
        context, found = self.context, Predictions()
        for found in predict(context.model, batches, context.device.in_fp32()):  # noqa: B007 - the last one counts
            context.control.waiting()  # shows that work goes on; commands come too late
        yield from report_skipped(found.failed, batches, split, context.recipe, context.progress.named)
        if found.labels:
            result.save_predictions(context.paths, split, found)
            yield ev.Evaluated(found.evaluation(split, context.model.classes))
        else:
            yield ev.Warned(f"none of the {split} images can be decoded, so there are no scores on them")
