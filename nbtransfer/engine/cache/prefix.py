"""The frozen stages before the boundary, as fast as they can be run: without gradients, normalisation folded away."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.transfer_model import TransferModel

LARGEST_DEVIATION = 1e-4


@dataclass(frozen=True, slots=True)
class Folding:
    """How many normalisation layers were folded, and how far that moves what leaves the prefix, as a share of its norm."""

    layers: int
    deviation: float

    @property
    def used(self) -> bool:
        """Whether it is close enough."""
        return self.deviation <= LARGEST_DEVIATION

    def decided(self, decision_id: str) -> ev.Decided:
        """What there is to say about it, on an occasion of this name."""
        if self.used:
            used = message("folding.used", layers=self.layers, deviation=self.deviation)
            return ev.Decided("folding", "yes", used, id=decision_id)
        return ev.Decided("folding", "no", message("folding.unused", deviation=self.deviation), id=decision_id)


class Prefix:
    """From what enters stage `start` to what leaves stage `end` - 1; pooled features after the last stage.

    Folding a normalisation layer with stored statistics into the convolution before it is exact but for rounding (Jacob et
    al. 2018, arXiv 1712.05877, section 3.2). It is done on a copy, and checked on the first images seen: `folding` says for how
    many layers, and the norm of the difference in fp32 as a share of the norm. A copy that deviates by more than 1e-4 is not
    used.
    """

    def __init__(self, model: TransferModel, start: int, end: int, *, fold: bool) -> None:
        self.start, self.end = start, end
        self.folding: Folding | None = None
        self._original: TransferModel = model
        self._copy: TransferModel | None = None
        self._wanted = fold
        self._most: int | None = None

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, device: Device) -> torch.Tensor:
        """`x` is normalised and on the device. The model is left in the mode it was in.

        Where the memory of a GPU does not hold the whole batch it is run in parts, and so are later ones.
        """
        if self._wanted:
            self._wanted = False
            self._fold(x[:2].float(), device.in_fp32())
        try:
            parts = [self._run(self._copy or self._original, part, device) for part in torch.split(x, self._most or len(x))]
            return parts[0] if len(parts) == 1 else torch.cat(parts)
        except torch.cuda.OutOfMemoryError:
            if self._most == 1 or len(x) == 1:
                raise
        self._most = min(self._most or len(x), len(x)) // 2
        torch.cuda.empty_cache()
        return self(x, device)

    def _run(self, model: TransferModel, x: torch.Tensor, device: Device) -> torch.Tensor:
        before = model.training
        model.eval()
        try:
            with device.autocast():
                return model.features(x, self.start, self.end)
        finally:
            model.train(before)

    def _fold(self, x: torch.Tensor, exact: Device) -> None:
        if not any(isinstance(module, nn.BatchNorm2d) for module in self._original.backbone.modules()):
            return
        folded = copy.deepcopy(self._original).eval().requires_grad_(False)
        count = fold(folded, lambda: self._run(folded, x, exact))
        if not count:
            return
        expected, found = (self._run(model, x, exact) for model in (self._original, folded))
        deviation = ((found - expected).norm() / expected.norm().clamp_min(1e-30)).item()
        self.folding = Folding(count, deviation)
        if self.folding.used:
            self._copy = folded


def fold(model: nn.Module, run: Callable[[], object]) -> int:
    """Fold normalisation layers into the convolutions right before them; returns how many. `run()` runs the model once."""
    pairs = list(_pairs(model, run))
    for conv_name, norm_name in pairs:
        conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
        _replace(model, conv_name, fuse_conv_bn_eval(conv, norm))  # type: ignore[type-var,arg-type]
        _replace(model, norm_name, _what_remains(norm))
    return len(pairs)


def _pairs(model: nn.Module, run: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """Names of convolutions and of the normalisation layers that take just what they give, each met exactly once.

    Both stand in the same module: what leaves it may have other uses, such as a shortcut.
    """
    watch = _Watch()
    with ExitStack() as after:
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d):
                after.callback(module.register_forward_hook(partial(watch.gave, name)).remove)
            elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
                after.callback(module.register_forward_pre_hook(partial(watch.took, name)).remove)
        run()
    for conv, norms in watch.taken.items():
        if len(norms) == 1 and watch.calls[conv] == 1 and conv.rpartition(".")[0] == norms[0].rpartition(".")[0]:
            yield conv, norms[0]


class _Watch:
    """Which module takes what another one gave. Tensors are kept meanwhile, so that no other gets the identity of one."""

    def __init__(self) -> None:
        self.given: dict[int, tuple[str, torch.Tensor]] = {}
        self.calls: Counter[str] = Counter()
        self.taken: defaultdict[str, list[str]] = defaultdict(list)

    def gave(self, name: str, _module: nn.Module, _args: object, output: torch.Tensor) -> None:
        self.calls[name] += 1
        self.given[id(output)] = name, output

    def took(self, name: str, _module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if id(args[0]) in self.given:
            self.taken[self.given[id(args[0])][0]].append(name)


def _what_remains(norm: nn.Module) -> nn.Module:
    """timm's normalisation layers hold the activation that follows."""
    rest = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(*rest) if rest else nn.Identity()


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
