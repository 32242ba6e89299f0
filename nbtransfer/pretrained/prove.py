"""Prove a cut: that what follows a boundary depends on the activations there, and on nothing else before it.

On the real model, with random images and whatever weights it has. A boundary is kept if

- the pass entered there gives the output of the whole, bit for bit, whatever the parts before it return (0, 1, NaN), and
  with what they remember of other images
- images of a batch do not depend on one another
- NaN in every earlier parameter and buffer changes nothing
- no module with tensors of its own is called on both sides
- the gradients of everything later are those of the whole
- the activations handed over are not changed by it

A boundary that fails is dropped: what lies before it joins the stage after it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import nn

from nbtransfer.pretrained.calls import Call, evaluation_mode, record_calls
from nbtransfer.pretrained.layer_tensors import layer_tensors, own_tensors
from nbtransfer.pretrained.propose import ENOUGH, Proposal, proposals, stated
from nbtransfer.pretrained.splice import Splice
from nbtransfer.pretrained.trial import filled_with_nan, gradients, learning

SEVERAL = "what is handed on is not one tensor, or comes from a module that is called several times"
CROSSED = "what follows also reads something from before"
SHARED = "a layer is needed on both sides"
MIXED = "images of a batch depend on one another"
EARLIER = "the gradients of what follows depend on something from before"
"""Why a boundary cannot be."""
MIXING = 1e-3
"""The same for activations: a batch of another size is computed by other kernels."""
IMAGES = 3
BODY, STEM, LAST, HEAD = "body", "stem", "prelogits", "head"
TOLERANCE = 1e-5
"""The largest deviation of a gradient, as a share of its norm: some backward passes do not add in the same order twice."""


@dataclass(frozen=True)
class Cut:
    """A model in stages, in forward order.

    ends     the module that ends each stage; where the last stage has none, it ends with the model
    layers   the stage of each layer: of a module with tensors of its own, or of a tensor of the model itself
    leaves   the stage of each module without tensors that is called between layers, such as a dropout
    refused  why other boundaries that were proposed cannot be, and how many
    """

    stages: tuple[str, ...]
    ends: tuple[str, ...]
    layers: Mapping[str, str]
    leaves: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)


def prove(net: nn.Module, shape: tuple[int, int], ends: Sequence[str] | None = None) -> Cut:
    """The coarsest cut with enough boundaries, or the one with most. `net` has values, and is as before afterwards.

    `ends` are the modules that end its stages, if their author states them; then no others are tried.
    """
    source = torch.Generator().manual_seed(0)
    images = torch.randn(IMAGES, 3, *shape, generator=source)
    with evaluation_mode(net):
        try:
            calls = record_calls(net, images)
        except ValueError:  # other modules, or other results, for another number of images: it is used in one piece
            calls = ()
        best: Cut | None = None
        proposed = proposals(net, calls) if ends is None else [stated(calls, ends)]
        for proposal in itertools.chain(proposed, [Proposal((), ())]):
            cut = _Proof(net, calls, proposal, images[1:]).cut()
            best = cut if best is None or len(cut.ends) > len(best.ends) else best
            if len(best.ends) >= ENOUGH:
                break
    assert best is not None
    return best


class _Proof:
    """One proposal on trial."""

    def __init__(self, net: nn.Module, calls: Sequence[Call], proposal: Proposal, images: torch.Tensor) -> None:
        self.net, self.calls, self.parts, self.images = net, calls, proposal.parts, images
        every = {call.module: call for call in itertools.chain.from_iterable(proposal.boundaries)}
        height, width = images.shape[2:]
        self.splice = Splice(calls, tuple(every), (height, width))
        with torch.no_grad():
            self.whole, self.activations = self._pass(images)
            self.alone = self._alone()
            net(-images)  # what the model remembers of a pass is of these from now on
        self.refused = Counter(SEVERAL for ends in proposal.boundaries if not ends)
        # From the last on: entered there, no earlier part is called, and none remembers the right images again.
        chosen = [self._chosen(ends) for ends in reversed(proposal.boundaries) if ends][::-1]
        self.places = list({call.module: call for call in chosen if call}.values())
        self.stage_of: dict[str, int] = {}

    def cut(self) -> Cut:
        """What can be proved of it."""
        self._assign()
        self._drop_empty()
        self._verify()
        return self._named()

    def _pass(self, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The output of the whole, and copies of the activations at every place."""
        found: dict[str, torch.Tensor] = {}
        with ExitStack() as after:
            for name in self.splice.ends:
                hook = self.net.get_submodule(name).register_forward_hook(
                    lambda _module, _args, result, name=name: found.__setitem__(name, result.detach().clone())
                )
                after.callback(hook.remove)
            return self.net(images), found

    def _alone(self) -> dict[str, torch.Tensor]:
        """The activations of the first image by itself; none if the model takes no single image."""
        try:
            return self._pass(self.images[:1])[1]
        except Exception:  # noqa: BLE001 - whatever a foreign model raises
            return {}

    def _rest(self, activations: torch.Tensor, place: Call, stand_in: float) -> torch.Tensor | None:
        """The output of what follows a place; None where it fails, or changes what it was handed."""
        handed = activations.clone()
        try:
            output = self.splice.run(self.net, handed, place.module, None, stand_in)
        except Exception as error:  # whatever a foreign model raises: it cannot be entered here
            if isinstance(error, MemoryError) or "allocate memory" in str(error):
                raise
            return None
        return output if torch.equal(handed, activations) else None

    @torch.no_grad()
    def _is_entered(self, place: Call, stand_in: float = 1.0) -> bool:
        """Whether what follows a place gives the output of the whole."""
        output = self._rest(self.activations[place.module], place, stand_in)
        return output is not None and torch.equal(output, self.whole)

    def _chosen(self, ends: Sequence[Call]) -> Call | None:
        """The first of these calls after which the model can be entered."""
        found = next(filter(self._is_entered, ends), None)
        if found is None:
            self.refused[CROSSED] += 1
        elif self.alone and not _close(self.alone[found.module][0], self.activations[found.module][0], MIXING):
            self.refused[MIXED] += 1
            return None
        return found

    def _assign(self) -> None:
        """The number of each layer's stage; boundaries that a layer is needed on both sides of are dropped."""
        owners = {name: module for name, module in self.net.named_modules() if own_tensors(module)}
        around = {call.module for place in self.places for call in place.around} | {""}
        called: dict[str, list[Call]] = {}
        for call in self.calls:
            if call.inputs and call.module not in around:
                called.setdefault(call.module, []).append(call)
        spans: dict[str, tuple[int, int]] = {}
        for name, module in owners.items():
            if name in around:
                for own in own_tensors(module):
                    tensor = f"{name}.{own}".lstrip(".")
                    spans[tensor] = self._read([own_tensors(module)[own]])
            elif caller := next((outer for outer in _outwards(name) if outer in called), None):
                first, last = called[caller][0].begin, called[caller][-1].begin
                spans[name] = self._number(first), self._number(last)
            else:  # it is read without being called, or its result depends on no image
                spans[name] = self._read(own_tensors(module).values())
        kept = [n for n in range(len(self.places)) if not any(first <= n < last for first, last in spans.values())]
        self.stage_of = {name: sum(n < last for n in kept) for name, (_, last) in spans.items()}
        self.refused[SHARED] += len(self.places) - len(kept)
        self.places = [self.places[n] for n in kept]

    def _number(self, moment: int) -> int:
        """How many boundaries lie before a moment."""
        return sum(place.end < moment for place in self.places)

    @torch.no_grad()
    def _read(self, tensors: Iterable[torch.Tensor]) -> tuple[int, int]:
        """The numbers of the stages that read some tensors first and last, found by trial with NaN."""
        with filled_with_nan(tensors):
            _, activations = self._pass(self.images)
            changed = [not torch.equal(activations[place.module], self.activations[place.module]) for place in self.places]
            done = (number for number, place in enumerate(self.places) if self._is_entered(place))
            last = next(done, len(self.places))
        return changed.index(True) if True in changed else last, last

    def _drop_empty(self) -> None:
        """Drop boundaries after stages without layers; what follows the last layer is pooling."""
        while True:
            used = set(self.stage_of.values())
            empty = next((n for n in range(len(self.places)) if n not in used), None)
            if empty is None:
                return
            self._drop(empty)

    def _drop(self, number: int) -> None:
        self.places = [place for n, place in enumerate(self.places) if n != number]
        self.stage_of = {name: stage - (stage > number) for name, stage in self.stage_of.items()}

    def _verify(self) -> None:
        """Enter at each boundary with NaN in all that lies before it, and compare output and gradients."""
        source = torch.Generator().manual_seed(1)
        weights = torch.randn(self.whole.shape, generator=source).to(self.whole)
        with learning(self.net), ExitStack() as damage:
            whole, activations = self._pass(self.images)  # where gradients are needed, other kernels may give other last bits
            expected, number = gradients(self.net, whole, weights), 0
            damaged: set[str] = set()
            while number < len(self.places):
                for name, stage in self.stage_of.items():
                    if stage <= number and name not in damaged:
                        damaged.add(name)
                        damage.enter_context(filled_with_nan(layer_tensors(self.net, name).values()))
                place, later = self.places[number], {name for name, stage in self.stage_of.items() if stage > number}
                output = self._rest(activations[place.module], place, torch.nan)
                if all(self._is_entered(place, x) for x in (0.0, torch.nan)) and self._same_gradients(
                    output, weights, expected, later
                ):
                    number += 1
                else:
                    self.refused[EARLIER] += 1
                    self._drop(number)

    def _same_gradients(
        self, output: torch.Tensor | None, weights: torch.Tensor, expected: Mapping[str, torch.Tensor], later: set[str]
    ) -> bool:
        if output is None or not output.requires_grad:
            return not later
        found = gradients(self.net, output, weights)
        names = {name for name in expected.keys() | found.keys() if _layer_of(name, later)}
        return all(name in expected and name in found and _close(found[name], expected[name]) for name in names)

    def _named(self) -> Cut:
        """Stages are called after their largest part, the first one "stem"; a model in one piece is the stage "body"."""
        sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in self.net.named_modules()}
        count = max(self.stage_of.values(), default=0) + 1
        names: list[str] = []
        for stage in range(count):
            layers = [name for name, number in self.stage_of.items() if number == stage]
            parts = [part.module for part in self.parts if self._number(part.begin) == stage and sizes[part.module]]
            name = max(reversed(parts), key=lambda part: sizes[part], default=layers[0])
            if name == HEAD:  # which is what the task-specific layers are called
                name = layers[0] if len(layers) == 1 and layers[0] != HEAD else LAST
            names.append((STEM if count > 1 else BODY) if stage == 0 else LAST if name in names else name)
        order = sorted(self.stage_of, key=lambda layer: self.stage_of[layer])
        stages = {layer: names[self.stage_of[layer]] for layer in order}
        leaves = {name: names[number] for name, number in self._leaves() if number < count}
        return Cut(tuple(names), tuple(place.module for place in self.places), stages, leaves, +self.refused)

    def _leaves(self) -> Iterator[tuple[str, int]]:
        """Modules without tensors that no layer contains, with the number of the stage that calls them last."""
        owners = {name for name in self.stage_of if name} | {call.module for call in self.calls if call.inside is None}
        for call in self.calls:
            outside = not any(around.module in owners and not self._is_wide(around) for around in call.around)
            if outside and not any(True for _ in self.net.get_submodule(call.module).state_dict()):
                yield call.module, self._number(call.begin)

    def _is_wide(self, call: Call) -> bool:
        """Whether some boundary lies within a call."""
        return any(call.begin < place.end < call.end for place in self.places)


def _outwards(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _layer_of(tensor: str, layers: set[str]) -> bool:
    return tensor in layers or tensor.rpartition(".")[0] in layers


def _close(a: torch.Tensor, b: torch.Tensor, tolerance: float = TOLERANCE) -> bool:
    return torch.equal(a, b) or bool((a - b).norm() <= tolerance * b.norm())
