"""`python -m benchmarks.cuts`: where the models of timm can be entered and left, as a table in Markdown.

Of each of timm's modules, the smallest model with a classifier is cut, and each boundary is proved on it. It takes a while.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from nbtransfer.pretrained import registry, timm_models
from nbtransfer.pretrained.backbone import SplicedBackbone
from nbtransfer.pretrained.measure import structure_only

ENOUGH = 4


@dataclass(frozen=True)
class Row:
    """One module of timm: its smallest model, how many boundaries it has, and why not more."""

    module: str
    model: str
    stages: tuple[str, ...] = ()
    boundaries: int = 0
    why: str = ""


def rows() -> Iterator[Row]:
    """One for each of timm's modules that has an image classifier."""
    for module in timm_models.timm().list_modules():
        name = smallest(module)
        if name is not None:
            yield row(module, name)


def smallest(module: str) -> str | None:
    """The model with the fewest parameters, of those with a classifier for colour images."""
    sizes: dict[str, int] = {}
    for name in timm_models.timm().list_models(module=module):
        try:
            with structure_only():
                net = timm_models.build(timm_models.PREFIX + name)
        except Exception:  # noqa: BLE001 - some cannot be built without values, or need another library
            continue
        if net.pretrained_cfg.get("classifier") and net.pretrained_cfg["input_size"][0] == 3:
            sizes[name] = sum(parameter.numel() for parameter in net.parameters())
    return min(sizes, key=sizes.__getitem__, default=None)


def row(module: str, name: str) -> Row:
    """What the cut of one model comes to."""
    try:
        net = registry.random_net(timm_models.PREFIX + name)
        family = registry.TIMM_CUTS.get(type(net).__name__, timm_models.ORIGIN)
        backbone = registry.cut_anew(family, net, timm_models.input_spec(net).shape)
    except Exception as error:  # noqa: BLE001 - whatever a foreign model raises is the reason
        return Row(module, name, why=" ".join(str(error).split())[:200].replace("|", "/"))
    boundaries = len(backbone.ends) or len(backbone.stages) - 1
    refused = backbone.cut.refused if isinstance(backbone, SplicedBackbone) else {}
    why = "; ".join(f"{reason} ({count})" for reason, count in refused.items()) if boundaries < ENOUGH else ""
    return Row(module, name, backbone.stages, boundaries, why)


def table(found: list[Row]) -> str:
    """The rows as Markdown, and how many have enough boundaries."""
    enough = sum(row.boundaries >= ENOUGH for row in found)
    lines = [
        f"{enough} of {len(found)} ({enough / len(found):.0%}) have {ENOUGH} or more boundaries.",
        "",
        "| module | smallest model | boundaries | stages, or why there are fewer |",
        "|---|---|--:|---|",
        *(f"| {r.module} | {r.model} | {r.boundaries} | {r.why or ', '.join(r.stages)} |" for r in found),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table; progress goes to standard error."""
    warnings.simplefilter("ignore")  # of the models
    found: list[Row] = []
    for one in rows():
        print(one, file=sys.stderr, flush=True)
        found.append(one)
    print(table(found))


if __name__ == "__main__":
    main()
