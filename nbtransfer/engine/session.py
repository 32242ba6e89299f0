"""One attempt: its phases, and the evaluation of the result. All of it yields events."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
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
    """One attempt of a run: restores the newest checkpoint, runs the remaining phases and evaluates the result."""

    def __init__(self, setup: Setup, past: RunState) -> None:
        self.context, self.past = setup.context, past
        self.checkpointer = Checkpointer(setup.context)
        self.handler = CommandHandler(setup.context, self)
        self.cache = BoundaryCache(setup.context, setup.past_choices)
        positions = ((change.phase, change.step) for change in past.changes if change.op != "stop")
        self.last_change = max(positions, default=(0, 0))
        self._replanned = False

    @property
    def is_over(self) -> bool:
        """Whether no further phase may begin."""
        return self.handler.is_over or self.context.progress.failure is not None

    def restore(self) -> Iterator[ev.Event]:
        """Restore the newest checkpoint, if earlier attempts saved one."""
        name = yield from self.checkpointer.restore_newest()
        if self.past.pid is not None:
            then, p = self.past.prepared, self.context.progress
            differences = resume.differences(then, summary.prepared_event(self.context)) if then else ()
            if differences:
                yield ev.Warned(message("warn.different", differences=list(differences)))
            yield ev.Resumed(p.step, p.epoch, name, differences)

    def run_phase(self, index: int) -> Iterator[ev.Event]:
        """Run the rest of one phase; at its end, restore its best weights and save a snapshot of them."""
        context, p = self.context, self.context.progress
        began, name = time.monotonic(), context.training_plan.phases[index].name
        if p.phase != index:
            p.begin_phase(index)
            context.optimiser.state.clear()  # a new schedule begins, from weights that the old state does not belong to
            context.receipt.watch(context.model, name, context.frozen_layers)
        context.model.apply_plan(context.plan)
        yield ev.PhaseStarted(name, index)
        while not self.is_over:
            self._replanned = False
            yield from self._run_with_commands(self._train_or_solve(began))
            if not self._replanned:
                break
        if self.handler.has_left:
            return
        context.receipt.check(context.model)
        why = p.phase_end_reason(context.phase.epochs, stopped=self.handler.stop_reason is not None)
        yield ev.PhaseEnded(name, index, p.phase_best_epoch, why)
        if p.epoch > p.phase_first:
            self.checkpointer.restore_epoch(p.phase_best_epoch)
            result.save_layers(
                context.paths.snapshots / f"{index}-{name}", context.model, context.stored_layers, context.weights
            )

    def _run_with_commands(self, work: Resumable[None]) -> Iterator[ev.Event]:
        """Do the work, with commands at its safe points; abandon it if the run must end or its plan has changed."""
        for event in work:
            if event is not SAFE_POINT:
                yield event
                continue
            yield from self.handler.handle()
            if self.is_over or self._replanned:
                work.close()
                return

    def _train_or_solve(self, began: float) -> Resumable[None]:
        """Train the layers that learn in the current phase, or solve for the head."""
        context, p = self.context, self.context.progress
        if context.is_interrupted():
            yield SAFE_POINT
        phase, solver = context.phase, context.training_plan.solver(p.phase)
        decision = f"{p.phase}.{context.training_plan.replan_count}"
        inputs = yield from self.cache.inputs(phase, p.epochs_left(phase.epochs), solver, decision)
        if solver and isinstance(inputs.train, CachedBatches) and isinstance(inputs.val, CachedBatches):
            if p.epoch == p.phase_first:
                yield from LinearProbe(context, self.checkpointer, inputs.train, inputs.val, solver, began).events()
            return
        yield from Loop(context, self.checkpointer, inputs).events()

    def save(self) -> Iterator[ev.Event]:
        """Save a checkpoint."""
        return self.checkpointer.save()

    def change(self, change: Change) -> Iterator[ev.Event]:
        """Change the training plan from the next step on; raises InputError if that is not possible."""
        context, p = self.context, self.context.progress
        context.training_plan.apply(change, begun=p.epoch - p.phase_first + (p.batch > 0))
        if change.op in PLANNING:
            self._follow_new_plan()
        yield ev.Planned(summary.phase_plans(context.training_plan, context.model))

    def _follow_new_plan(self) -> None:
        """Apply a changed freeze plan. Layers that keep learning keep their optimiser state; others begin without."""
        context, p = self.context, self.context.progress
        if p.phase >= 0:
            context.receipt.check(context.model)
        self.checkpointer.keep_originals()
        context.model.apply_plan(context.plan)
        for parameter in context.model.parameters():
            if not parameter.requires_grad:
                context.optimiser.state.pop(parameter, None)
        if p.phase >= 0:
            context.receipt.watch(context.model, f"{context.phase.name} from step {p.step}", context.frozen_layers)
        self._replanned = True

    def judge_result(self) -> Iterator[ev.Event]:
        """Save the best weights, then evaluate them in fp32, as any later use of the model does."""
        context = self.context
        self.checkpointer.restore_epoch(context.progress.best_epoch)
        yield context.receipt.event()
        result.save_model(context.paths, context.model, context.stored_layers, context.weights, context.receipt)
        yield from self._score("val", (yield from self._exact_val()))
        if context.data.test is not None:
            yield from self._score("test", context.data.test)

    def _exact_val(self) -> Generator[ev.Event, None, Batches]:
        """The batches that the validation score comes from. Commands come too late, and nothing is decided any more."""
        work = self.cache.exact_val()
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if event is not SAFE_POINT and not isinstance(event, ev.Decided):
                yield event

    def _score(self, split: str, batches: Batches) -> Iterator[ev.Event]:
        context, predictions = self.context, Predictions()
        for predictions in predict(context.model, batches, context.device.in_fp32()):  # noqa: B007 - only the last is used
            context.control.waiting()  # shows that the worker is alive; commands come too late
        yield from report_skipped(predictions.failed, batches, split, context.recipe, context.progress.reported)
        if predictions.labels:
            result.save_predictions(context.paths, split, predictions)
            yield ev.Evaluated(predictions.evaluation(split, context.model.classes))
        else:
            yield ev.Warned(message("warn.no_scores", split=split))
