"""What a layer is: found out from what it holds and what it does, not from the name of its class."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

WEIGHTS: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (nn.Linear, ("weight",)),
    (nn.Bilinear, ("weight",)),
    (nn.modules.conv._ConvNd, ("weight",)),  # noqa: SLF001 - the base of all convolutions has no other name
    (nn.MultiheadAttention, ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")),
    (nn.RNNBase, ("weight_",)),
)
"""The parameters that multiply activations, by how their names begin: only these decay (He et al. 2019, arXiv 1812.01187)."""
WEIGHTS_BY_CLASS = {
    "CondConv2d": ("weight",),
    "MultiQueryAttentionV2": ("query_proj", "key_proj", "value_proj", "out_proj"),
}
"""The same for modules of timm that compute a convolution or a linear layer without being one."""

LARGE, LARGER = 1e4, 1e6
SAME = 1e-3


def decaying(module: nn.Module) -> Iterator[str]:
    """Names of a module's own parameters that weight decay applies to: the weights of linear and convolution layers.

    Not those that the authors of the model exempt: see `exempt`.
    """
    begins = next((names for kind, names in WEIGHTS if isinstance(module, kind)), None)
    begins = begins or WEIGHTS_BY_CLASS.get(type(module).__name__, ())
    for name, parameter in module.named_parameters(recurse=False):
        if begins and name.startswith(begins) and parameter.ndim > 1 and not getattr(parameter, EXEMPT, False):
            yield name


EXEMPT = "_nbtransfer_no_decay"


def exempt(net: nn.Module) -> None:
    """Mark the parameters that the authors of a model exempt from weight decay, by name or by the module around them."""
    listed = getattr(net, "no_weight_decay", None)
    names = set(listed()) if callable(listed) else set()
    for name, parameter in net.named_parameters():
        if any(name == given or name.startswith(f"{given}.") for given in names):
            setattr(parameter, EXEMPT, True)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What a layer does to its input.

    normalises        it scales its input away, and has a scale or a shift for each channel
    keeps_statistics  its buffers change when it is called in training mode
    """

    normalises: bool = False
    keeps_statistics: bool = False


class NormalisationFinder:
    """Measures each kind of layer of a model once."""

    def __init__(self) -> None:
        self._known: dict[object, Normalisation] = {}

    def of(self, module: nn.Module) -> Normalisation:
        """What a module does to its input. torch's own batch normalisation says it itself; some kinds run on a GPU only."""
        if isinstance(module, nn.modules.batchnorm._NormBase):  # noqa: SLF001 - their common base has no other name
            return Normalisation(module.affine, module.track_running_stats)
        own = dict(module.named_parameters(recurse=False))
        buffers = dict(module.named_buffers(recurse=False))
        nested = any(True for child in module.children() for _ in child.parameters())
        channels = {parameter.numel() for parameter in own.values() if parameter.numel() > 1}
        per_channel = all(max(parameter.shape, default=1) == parameter.numel() for parameter in own.values())
        channels = channels or {buffer.numel() for buffer in buffers.values() if buffer.ndim == 1}
        if nested or len(channels) != 1 or not per_channel:
            return Normalisation()
        shapes = tuple((name, tensor.shape) for name, tensor in itertools.chain(own.items(), buffers.items()))
        key = type(module), shapes, repr(module)
        if key not in self._known:
            self._known[key] = _measure(module, channels.pop(), bool(own))
        return self._known[key]


@torch.no_grad()
def _measure(module: nn.Module, channels: int, learns: bool) -> Normalisation:
    """Run a copy with neutral values, to see whether its output still grows with its input and whether its buffers change."""
    try:
        probe = copy.deepcopy(module).to_empty(device="cpu").float()
    except (RuntimeError, NotImplementedError, TypeError):  # it cannot stand alone
        return Normalisation()
    for tensor in itertools.chain(probe.parameters(), probe.buffers()):
        tensor.fill_(1 if tensor.is_floating_point() else 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for shape in _shapes(channels):
            x = torch.randn(shape)
            before = [buffer.clone() for buffer in probe.buffers()]
            try:
                large, larger = probe.train()(LARGE * x), probe(LARGER * x)
            except Exception:  # noqa: BLE001, S112 - an input of another shape, or one it cannot take alone
                continue
            keeps = any(not torch.equal(a, b) for a, b in zip(before, probe.buffers(), strict=True))
            if not isinstance(large, torch.Tensor) or large.shape != x.shape:
                return Normalisation(keeps_statistics=keeps)
            bounded = (larger - large).norm() <= SAME * large.norm() and large.std() > SAME
            return Normalisation(bool(bounded) and learns, keeps)
    return Normalisation()


def _shapes(channels: int) -> Iterator[tuple[int, ...]]:
    """Inputs of a module over this many channels: images, sequences, images with channels last, rows, volumes."""
    yield 4, channels, 6, 7
    yield 4, 9, channels
    yield 4, 6, 7, channels
    yield 4, channels, 9
    yield 4, channels
    yield 4, channels, 3, 6, 7
