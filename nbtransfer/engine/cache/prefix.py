"""The frozen stages before the boundary, run fast: without gradients, and with normalisation folded."""

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
    """How many normalisation layers were folded, and the deviation of the activations, as a share of their norm."""

    layers: int
    deviation: float

    @property
    def is_accepted(self) -> bool:
        """Whether the deviation is small enough."""
        return self.deviation <= LARGEST_DEVIATION

    def decision(self, decision_id: str) -> ev.Decided:
        """What there is to say about it, on an occasion of this name."""
        if self.is_accepted:
            used = message("folding.used", layers=self.layers, deviation=self.deviation)
            return ev.Decided("folding", "yes", used, id=decision_id)
        return ev.Decided("folding", "no", message("folding.unused", deviation=self.deviation), id=decision_id)


class Prefix:
    """From the inputs of stage `start` to the activations of stage `end` - 1; pooled features after the last stage.

    Folding a normalisation layer with stored statistics into the convolution before it is exact but for rounding (Jacob et
    al. 2018, arXiv 1712.05877, section 3.2). A copy is folded and checked on the first images: `folding` has the number
    of layers, and the norm of the difference in fp32 as a share of the norm. A copy that deviates by more than 1e-4 is not
    used.
    """

    def __init__(self, model: TransferModel, start: int, end: int, *, fold: bool) -> None:
        self.start, self.end = start, end
        self.folding: Folding | None = None
        self._original: TransferModel = model
        self._copy: TransferModel | None = None
        self._fold_pending = fold
        self._max_batch: int | None = None

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, device: Device) -> torch.Tensor:
        """`x` is normalised and on the device. Restores the mode of the model.

        If a batch does not fit into the memory of a GPU, it is run in parts, and so are later ones.
        """
        if self._fold_pending:
            self._fold_pending = False
            self._fold(x[:2].float(), device.in_fp32())
        try:
            parts = [
                self._run(self._copy or self._original, part, device) for part in torch.split(x, self._max_batch or len(x))
            ]
            return parts[0] if len(parts) == 1 else torch.cat(parts)
        except torch.cuda.OutOfMemoryError:
            if self._max_batch == 1 or len(x) == 1:
                raise
        self._max_batch = min(self._max_batch or len(x), len(x)) // 2
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
        expected, actual = (self._run(model, x, exact) for model in (self._original, folded))
        deviation = ((actual - expected).norm() / expected.norm().clamp_min(1e-30)).item()
        self.folding = Folding(count, deviation)
        if self.folding.is_accepted:
            self._copy = folded


def fold(model: nn.Module, run: Callable[[], object]) -> int:
    """Fold normalisation layers into the convolutions right before them; returns how many. `run()` runs the model once."""
    pairs = list(_pairs(model, run))
    for conv_name, norm_name in pairs:
        conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
        _replace(model, conv_name, fuse_conv_bn_eval(conv, norm))  # type: ignore[type-var,arg-type]
        _replace(model, norm_name, _activation_of(norm))
    return len(pairs)


def _pairs(model: nn.Module, run: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """Names of convolutions and of the normalisation layers that alone read their output, each called exactly once.

    Both are in the same module: the output of a module may have other uses, such as a shortcut.
    """
    recorder = _CallRecorder()
    with ExitStack() as after:
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d):
                after.callback(module.register_forward_hook(partial(recorder.record_output, name)).remove)
            elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
                after.callback(module.register_forward_pre_hook(partial(recorder.record_input, name)).remove)
        run()
    for conv, norms in recorder.consumers.items():
        if len(norms) == 1 and recorder.calls[conv] == 1 and conv.rpartition(".")[0] == norms[0].rpartition(".")[0]:
            yield conv, norms[0]


class _CallRecorder:
    """Records which module reads the output of which. Keeps the tensors, so that no id is reused."""

    def __init__(self) -> None:
        self.outputs: dict[int, tuple[str, torch.Tensor]] = {}
        self.calls: Counter[str] = Counter()
        self.consumers: defaultdict[str, list[str]] = defaultdict(list)

    def record_output(self, name: str, _module: nn.Module, _args: object, output: torch.Tensor) -> None:
        self.calls[name] += 1
        self.outputs[id(output)] = name, output

    def record_input(self, name: str, _module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if id(args[0]) in self.outputs:
            self.consumers[self.outputs[id(args[0])][0]].append(name)


def _activation_of(norm: nn.Module) -> nn.Module:
    """What remains of a folded layer: timm's normalisation layers include the activation that follows."""
    rest = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(*rest) if rest else nn.Identity()


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
