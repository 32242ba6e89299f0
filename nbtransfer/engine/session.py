"""One run in this process: everything that lives from its first phase to its last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.state import RunState
from nbtransfer.core.training_plan import PLANNING, Change, TrainingPlan, merge
from nbtransfer.engine import device, precision, summary
from nbtransfer.engine.cache.activations import CachedBatches
from nbtransfer.engine.cache.policy import BoundaryCache
from nbtransfer.engine.checkpoints import checkpoint, result, resume
from nbtransfer.engine.checkpoints.receipt import Receipt
from nbtransfer.engine.control import CommandHandler, Control, Unattended
from nbtransfer.engine.data import batches
from nbtransfer.engine.data.skipped import failures
from nbtransfer.engine.fit.evaluate import Predictions, predict
from nbtransfer.engine.fit.linear_probe import LinearProbe
from nbtransfer.engine.fit.loop import Events, Loop
from nbtransfer.engine.fit.progress import Meter, Progress
from nbtransfer.engine.model import transfer_model
from nbtransfer.engine.model.optimiser import build_optimiser
from nbtransfer.engine.model.transfer_model import HEAD, TransferModel
from nbtransfer.pretrained import registry
from nbtransfer.store.paths import RunPaths

KEEP_CHECKPOINTS = 3
SECONDS_BETWEEN_CHECKPOINTS = 120.0


class Session:
    """Builds a run, carries out its phases one by one, and judges the result. All of it yields events."""

    def __init__(
        self,
        recipe: Recipe,
        paths: RunPaths,
        control: Control | None = None,
        past: RunState | None = None,
        repeat: Repeat | None = None,
    ) -> None:
        past, repeat = past or RunState(), repeat or Repeat()
        card = registry.card(recipe.backbone)
        recipe.check_against(card)
        self.recipe, self.card, self.paths, self.past = recipe, card, paths, past
        self.threads = device.use_threads(recipe.threads or (past.prepared.threads if past.prepared else None))
        self.device = device.choose(recipe.device, recipe.precision)
        torch.manual_seed(recipe.seed)
        built, self.weights = transfer_model.build(recipe, card)
        self.model: TransferModel = built.to(self.device.torch, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.compile:
            self.model.compile()
        # What was stopped goes on: that is why there is a next attempt.
        own = [change for change in past.changes if change.op != "stop"]
        self.training_plan = TrainingPlan(recipe, card, merge(repeat.changes, own))
        self.acknowledged = max(((change.phase, change.step) for change in own), default=(0, 0))
        self.originals: resume.Tensors = {}
        self.progress, self.receipt, self.saved = Progress(), Receipt(), dict[int, str]()
        self.progress.named = {skipped.source for skipped in past.skipped}
        self.optimiser = build_optimiser(self.model, recipe)
        self.scaler = torch.amp.GradScaler(self.device.torch.type, enabled=self.device.precision == "fp16")
        self.data = batches.prepare(recipe, self.model.spec, self.device.torch)
        self.handler = CommandHandler(control or Unattended(), self)
        chosen = {(d.subject, d.moment): d.choice for d in (*repeat.decisions, *past.decisions)}
        plan = self.training_plan.phases[-1].plan.resolve(card)
        self.device, self.decisions = precision.decided(
            recipe, self.model, self.data.val.images, self.device, plan, chosen.get(("precision", ""))
        )
        self.cache = BoundaryCache(recipe, self.model, self.data, self.device, self.handler.waiting, chosen)
        self._replanned, self._saved_at, self._saved_step = False, time.monotonic(), 0

    @property
    def over(self) -> bool:
        """No further phase should begin."""
        return self.handler.over or self.progress.failure is not None

    @property
    def moment(self) -> tuple[int, int]:
        """Number of the phase at work, and steps done."""
        return max(self.progress.phase, 0), self.progress.step

    @property
    def learned(self) -> list[str]:
        """Layers whose weights may differ from those the run started from."""
        return self.training_plan.learning()

    @property
    def written(self) -> list[str]:
        """Layers that are stored. Random weights cannot be had again from a file, so all are stored with them."""
        return [layer.name for layer in self.card.layers] if self.weights is None else self.learned

    def prepared(self) -> ev.Prepared:
        """What is going to happen, and with what."""
        sizes = self.recipe.task.sizes
        return ev.Prepared(
            device=str(self.device.torch),
            device_name=self.device.name,
            precision=self.device.precision,
            threads=self.threads,
            train=sizes["train"],
            val=sizes["val"],
            test=sizes["test"],
            total=sum(p.numel() for p in self.model.parameters()),
            weights=self.weights or f"random, seed {self.recipe.seed}",
            phases=summary.phase_plans(self.training_plan, self.model),
            versions=summary.versions(),
        )

    def restored(self) -> Iterator[ev.Event]:
        """Go back to the newest checkpoint, if earlier attempts have left one."""
        found = yield from resume.newest(self.paths.checkpoints, self.weights)
        if found is not None:
            self._put_back(found)
        if self.past.pid is not None:
            then = self.past.prepared
            differences = resume.differences(then, self.prepared()) if then else ()
            if differences:
                yield ev.Warned(f"from here on results are not bit-identical to an uninterrupted run: {'; '.join(differences)}")
            yield ev.Resumed(self.progress.step, self.progress.epoch, found.name if found else None, differences)

    def _put_back(self, found: resume.StoredCheckpoint) -> None:
        facts, tensors = found.facts, found.tensors
        self.training_plan.go_on_with(facts.strategy, facts.changes)
        self._keep_originals()
        own = {name: t for name, t in tensors.items() if name.startswith(("backbone.", f"{HEAD}."))}
        result.overlay(self.model, own)
        named = self.progress.named
        self.progress = Progress.again(facts.progress)
        self.progress.named = named
        if facts.images is not None:
            self.progress.meter = Meter.again(tensors, facts.images, self.device.torch)
        if self.progress.phase >= 0:
            self.model.follow(self.training_plan.phases[self.progress.phase].plan.resolve(self.card))
        resume.fill_optimiser(self.optimiser, tensors)
        if facts.scaler:
            self.scaler.load_state_dict(facts.scaler)
        self.saved = {int(epoch): name for epoch, name in facts.best.items()}
        self.receipt = Receipt.again(facts.stretches, facts.receipt, facts.stretch, facts.watched)
        self._saved_step = self.progress.step

    def phase(self, index: int) -> Iterator[ev.Event]:
        """What is left of one phase, ending with its best weights in the model and a snapshot of them on the disk."""
        began, p, name = time.monotonic(), self.progress, self.training_plan.phases[index].name
        self.model.follow(self.training_plan.phases[index].plan.resolve(self.card))
        if p.phase != index:
            p.begin_phase(index)
            self.optimiser.state.clear()  # another schedule begins, from weights the old moments do not belong to
            self.receipt.watch(self.model, name, self._frozen())
        yield ev.PhaseStarted(name, index)
        while not self.over:
            self._replanned = False
            yield from self._attended(self._work(began))
            if not self._replanned:
                break
        if self.handler.left:
            return
        self.receipt.check(self.model)
        why = p.why_phase_ended(self.training_plan.phases[index].epochs, stopped=self.handler.stopped is not None)
        yield ev.PhaseEnded(name, index, p.phase_best_epoch, why)
        if p.epoch > p.phase_first:
            self._restore(p.phase_best_epoch)
            result.save_layers(self.paths.snapshots / f"{index}-{name}", self.model, self.written, self.weights)

    def _attended(self, work: Events) -> Iterator[ev.Event]:
        """Do the work, and in between what is asked; leave it where the run should end or the plan is another one."""
        for event in work:
            if event is not None:
                yield event
                continue
            yield from self.handler.attend()
            if self.over or self._replanned:
                work.close()
                return

    def _work(self, began: float) -> Events:
        """Train or solve for what learns in the phase at work."""
        if self.handler.waiting():
            yield None
        p, index = self.progress, self.progress.phase
        phase, solver = self.training_plan.phases[index], self.training_plan.solver(index)
        moment = f"{index}.{self.training_plan.replanned}"
        inputs = yield from self.cache.inputs(phase, p.left(phase.epochs), solver, moment)
        if solver and isinstance(inputs.train, CachedBatches) and isinstance(inputs.val, CachedBatches):
            if p.epoch == p.phase_first:
                probe = LinearProbe(
                    self.model, inputs.train, inputs.val, self.recipe, self.device, phase, solver, p, began, self.save
                )
                yield from probe.events()
            return
        loop = Loop(
            self.model, self.optimiser, self.scaler, inputs, self.training_plan, self.device, p,
            self.handler.waiting, self._is_due, self.save,
        )  # fmt: skip
        yield from loop.events()

    def change(self, change: Change) -> Iterator[ev.Event]:
        """Change the course from the next step on; raises an InputError when that cannot be."""
        p = self.progress
        self.training_plan.apply(change, begun=p.epoch - p.phase_first + (p.batch > 0))
        if change.op in PLANNING:
            self._follow_new_plan()
        yield ev.Planned(summary.phase_plans(self.training_plan, self.model))

    def _follow_new_plan(self) -> None:
        """Another plan is in force. What goes on learning keeps its moments, what begins to learn begins without any."""
        p = self.progress
        phase = self.training_plan.phases[max(p.phase, 0)]
        if p.phase >= 0:
            self.receipt.check(self.model)
        self._keep_originals()
        self.model.follow(phase.plan.resolve(self.card))
        for parameter in self.model.parameters():
            if not parameter.requires_grad:
                self.optimiser.state.pop(parameter, None)
        if p.phase >= 0:
            self.receipt.watch(self.model, f"{phase.name} from step {p.step}", self._frozen())
        self._replanned = True

    def _frozen(self) -> list[str]:
        """Layers that must not change from here on."""
        plan = self.training_plan.phases[self.progress.phase].plan.resolve(self.card)
        return [name for name, entry in plan.items() if not entry.learns]

    def _keep_originals(self) -> None:
        """Remember layers that were not to learn at first: checkpoints made before they did have nothing of them."""
        plans = (phase.plan.resolve(self.card) for phase in self.training_plan.planned.phases)
        planned = {name for plan in plans for name, entry in plan.items() if entry.learns}
        for layer in self.learned:
            if layer not in planned:
                for name, tensor in self.model.tensors(layer).items():
                    self.originals.setdefault(name, tensor.clone())

    def _restore(self, epoch: int) -> None:
        """Put the weights of an epoch back into the model, where it learned. Nothing else is touched."""
        tensors, _ = checkpoint.load(self.paths.checkpoints / self.saved[epoch])
        tensors = {**self.originals, **tensors}
        names = (name for layer in [*self.learned, HEAD] for name in self.model.tensors(layer))
        result.overlay(self.model, {name: tensors[name] for name in names})

    def judge(self) -> Iterator[ev.Event]:
        """Keep the best weights, then score them in full precision, as whoever loads the model will."""
        self._restore(self.progress.best_epoch)
        yield self.receipt.event()
        result.save_model(self.paths, self.model, self.written, self.weights, self.receipt)
        for split, given in (("val", self.cache.exact_val()), ("test", self.data.test)):
            if given is not None:
                yield from self._scored(split, given)

    def _scored(self, split: str, batches: batches.Batches) -> Iterator[ev.Event]:
        found = Predictions()
        for found in predict(self.model, batches, self.device.exactly()):  # noqa: B007 - the last one counts
            self.handler.control.waiting()  # shows that work goes on; what is asked comes too late
        yield from failures(found.failed, batches, split, self.recipe, self.progress.named)
        if found.labels:
            result.save_predictions(self.paths, split, found)
            yield ev.Evaluated(found.evaluation(split, self.model.classes))
        else:
            yield ev.Warned(f"none of the {split} images can be decoded, so there are no scores on them")

    def _is_due(self) -> bool:
        """Whether it is time for a checkpoint inside an epoch."""
        if self.recipe.checkpoint_every is not None:
            return self.progress.step - self._saved_step >= self.recipe.checkpoint_every
        return time.monotonic() - self._saved_at >= SECONDS_BETWEEN_CHECKPOINTS

    def save(self) -> Iterator[ev.Event]:
        """Put everything that is needed to go on from here onto the disk; where that is full, wait for room."""
        p, folder = self.progress, self.paths.checkpoints
        name = checkpoint.name_for(folder, p.step)
        if p.meter is None and p.epoch > p.phase_first:  # an epoch has ended, and nothing has learned since
            self.saved[p.epoch] = name
        self.saved = {epoch: kept for epoch, kept in self.saved.items() if epoch in (p.best_epoch, p.phase_best_epoch)}
        yield from checkpoint.save_when_room(folder / name, self._tensors(), self._facts(), self.handler.control.rest)
        self._saved_at, self._saved_step = time.monotonic(), p.step
        checkpoint.prune(folder, KEEP_CHECKPOINTS, frozenset(self.saved.values()))
        yield ev.CheckpointSaved(name, p.step)

    def _tensors(self) -> resume.Tensors:
        own = {t: v for layer in [*self.written, HEAD] for t, v in self.model.tensors(layer).items()}
        meter = self.progress.meter.tensors() if self.progress.meter else {}
        return {**own, **meter, **resume.optimiser_tensors(self.optimiser)}

    def _facts(self) -> Mapping[str, object]:
        p = self.progress
        facts = resume.Facts(
            base=self.weights,
            strategy=self.training_plan.strategy,
            changes=len(self.training_plan.made),
            progress=p.plain(),
            images=p.meter.images if p.meter else None,
            best={str(epoch): name for epoch, name in self.saved.items()},
            stretches=tuple(self.receipt.phases),
            receipt=dict(self.receipt.checks),
            watched=self.receipt.watched.digests,
            stretch=self.receipt.stretch,
            scaler=self.scaler.state_dict() if self.scaler.is_enabled() else {},
        )
        return vars(facts)
