"""`python -m benchmarks.cuts`: where the models of timm can be entered and left, written to docs/reference/cuts.md.

Of each of timm's modules, the smallest model with a classifier is cut, and each boundary is proved on it; the cheapest come
first. It takes over an hour on one core. What has been measured is kept in benchmarks/results/cuts.jsonl and not done again.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import timm
import torch

from nbtransfer.core.outlines import BackboneOutline, outlines
from nbtransfer.core.text.counts import short_number
from nbtransfer.pretrained import registry, timm_models
from nbtransfer.pretrained.backbone import SplicedBackbone
from nbtransfer.pretrained.cards import TIMM

ENOUGH = 4
MOST = 22e9
"""Multiply-adds for one image, above which the proof takes a quarter of an hour and more."""
KEPT = Path(__file__).parent / "results" / "cuts.jsonl"
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "cuts.md"
HEAD = """# Where the models of timm are cut

A model of timm runs as its authors wrote it. It can be entered and left at **boundaries**, each of which is proved on the
model itself when its card is made: what follows gives the same output, bit for bit, and the same gradients, to rounding,
whatever stands before it ([how it is proved](../architecture.md)). More boundaries mean finer freezing, and more places to
cache activations. A model without any runs in one piece: it is frozen or trained as a whole.

Below, for each module of timm {timm} that has image classifiers, its smallest model (torch {torch}).
**{enough} of {all} ({share:.0%}) have {least} or more boundaries.** Those not tried count as having none.
Where there are fewer, the reasons are given, with the number of boundaries that each rules out.

`python -m benchmarks.cuts` writes this page.

| module | smallest model | boundaries | stages, or why there are fewer than {least} |
|---|---|--:|---|
"""


@dataclass(frozen=True)
class Row:
    """One module of timm: its smallest model, how many boundaries it has (None: not tried), and why not more."""

    module: str
    model: str
    stages: tuple[str, ...] = ()
    boundaries: int | None = 0
    why: str = ""


def smallest() -> dict[str, BackboneOutline]:
    """Of each module, the model with the fewest parameters among those with a classifier; the cheapest first."""
    by_name = {entry.name.removeprefix(TIMM).partition(".")[0]: entry for entry in outlines()}
    found: dict[str, BackboneOutline] = {}
    for module in timm.list_modules():
        models = [by_name[name] for name in timm.list_models(module=module) if name in by_name and has_classifier(name)]
        if models:
            found[module] = min(models, key=lambda entry: entry.params)
    return dict(sorted(found.items(), key=lambda item: item[1].multiply_adds))


def has_classifier(name: str) -> bool:
    """Whether a model is made to classify images."""
    config = timm.get_pretrained_cfg(name)
    return bool(config and config.classifier)


def row(module: str, name: str) -> Row:
    """What the cut of one model comes to."""
    try:
        net = registry.random_net(TIMM + name)
        family = registry.TIMM_CUTS.get(type(net).__name__, timm_models.ORIGIN)
        backbone = registry.cut_anew(family, net, timm_models.input_spec(net).shape)
    except Exception as error:  # noqa: BLE001 - whatever a foreign model raises is the reason
        return Row(module, name, why=" ".join(str(error).split())[:200].replace("|", "/"))
    boundaries = len(backbone.ends) or len(backbone.stages) - 1
    refused = backbone.cut.refused if isinstance(backbone, SplicedBackbone) else {}
    why = "; ".join(f"{reason} ({count})" for reason, count in refused.items()) if boundaries < ENOUGH else ""
    return Row(module, name, backbone.stages, boundaries, why)


def kept() -> dict[str, Row]:
    """The rows measured so far."""
    lines = KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else []
    rows = (Row(**{**found, "stages": tuple(found["stages"])}) for found in map(json.loads, lines))
    return {row.module: row for row in rows}


def measured() -> Iterator[Row]:
    """A row for each module; new ones are kept at once."""
    before = kept()
    KEPT.parent.mkdir(exist_ok=True)
    for module, entry in smallest().items():
        name = entry.name.removeprefix(TIMM).partition(".")[0]
        dear = entry.multiply_adds > MOST
        untried = Row(
            module, name, boundaries=None, why=f"not tried: {short_number(entry.multiply_adds)} multiply-adds for one image"
        )
        found = before.get(module) or (untried if dear else row(module, name))
        if module not in before and not dear:
            with KEPT.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(found)) + "\n")
        yield found


def page(rows: list[Row]) -> str:
    """The page in Markdown, modules in alphabetical order."""
    enough = sum((row.boundaries or 0) >= ENOUGH for row in rows)
    head = HEAD.format(
        timm=timm.__version__,
        torch=torch.__version__.partition("+")[0],
        enough=enough,
        all=len(rows),
        share=enough / len(rows),
        least=ENOUGH,
    )
    found = sorted(rows, key=lambda row: row.module)
    lines = (f"| {r.module} | {r.model} | {count(r)} | {r.why or short(r.stages)} |\n" for r in found)
    return head + "".join(lines)


def count(row: Row) -> str:
    """How many boundaries it has; a dash where that is not known."""
    return "–" if row.boundaries is None else str(row.boundaries)


def short(stages: tuple[str, ...]) -> str:
    """The names of stages; of many, the first and the last."""
    return ", ".join(stages if len(stages) <= 8 else (*stages[:4], "…", *stages[-2:]))


def main() -> None:
    """Measure what is missing, and write the page."""
    warnings.simplefilter("ignore")  # of the models
    PAGE.write_text(page(list(measured())), encoding="utf-8")


if __name__ == "__main__":
    main()
