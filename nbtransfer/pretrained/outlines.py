"""Generate `core/outlines.jsonl`: `python -m nbtransfer.pretrained.outlines`, after timm adds models. It takes a while."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbtransfer.core import outlines
from nbtransfer.core.outlines import NO_WEIGHTS, BackboneOutline
from nbtransfer.pretrained import registry, timm_models
from nbtransfer.pretrained.measure import multiply_adds


def of_timm() -> Iterator[BackboneOutline]:
    """One for each set of published weights, and one for each architecture without any, of those that take RGB images."""
    tags: dict[str, list[str]] = {}
    for name in timm_models.timm().list_pretrained():
        tags.setdefault(name.partition(".")[0], []).append(name)
    for architecture in timm_models.timm().list_models():
        yield from _of(tags.get(architecture, [architecture]))


def _of(names: list[str]) -> Iterator[BackboneOutline]:
    """Those of one architecture. What it costs depends on the size of its images."""
    costs: dict[tuple[int, int], tuple[int, int]] = {}
    for name in names:
        config = timm_models.timm().get_pretrained_cfg(name, allow_unregistered=False)
        channels, *shape = config.input_size
        if channels != 3:
            continue
        shape = tuple(shape)
        if shape not in costs:
            try:
                costs[shape] = _cost(name, shape)
            except Exception as error:  # noqa: BLE001 - whatever a foreign model raises: it cannot be used, so it is not listed
                sys.stderr.write(f"{name} is left out: {error}\n")
                return
        yield BackboneOutline(
            name=timm_models.PREFIX + name,
            params=costs[shape][0],
            multiply_adds=costs[shape][1],
            shape=shape,
            licence=(config.license or "see the model's page") if config.hf_hub_id else NO_WEIGHTS,
            repository=_repository(config),
        )


def _repository(config: Any) -> str | None:
    """timm leaves its own name for a model out where the repository has the same."""
    name = config.hf_hub_id
    if not config.has_weights or not name:
        return None
    return name if not name.endswith("/") else f"{name}{config.architecture}.{config.tag}"


def _cost(name: str, shape: tuple[int, int]) -> tuple[int, int]:
    """Parameters and multiply-adds of the shared layers."""

    def measured(net: Any) -> tuple[int, int]:
        net.reset_classifier(0)
        return sum(parameter.numel() for parameter in net.parameters()), multiply_adds(net, shape)[0]

    return registry.with_structure(lambda: timm_models.build(timm_models.PREFIX + name), measured)


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")  # of the models
    target = Path(outlines.__file__).with_name(outlines.FILE)
    lines = [outlines.encode(entry) for entry in of_timm()]
    target.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")
    sys.stdout.write(f"{target}: {len(lines)} models, {target.stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
