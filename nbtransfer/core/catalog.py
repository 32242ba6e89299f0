"""The cards of all built-in backbones, read from a file that ships with the package.

`python -m nbtransfer.pretrained.catalog` generates the file from the installed libraries; a test compares the two.
Reading it takes milliseconds and loads no framework, so recipes can be checked before a worker starts.
"""

from __future__ import annotations

import functools
import json
from importlib import resources

from nbtransfer.core.backbone import BackboneCard, LayerCard
from nbtransfer.core.codec import from_plain, to_plain
from nbtransfer.core.outlines import outlines
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import BackboneError

FILE = "catalog.jsonl"


@functools.cache
def _lines() -> dict[str, str]:
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    return {line.split('"', 4)[3]: line for line in text.splitlines()}


def names() -> tuple[str, ...]:
    """Names of the built-in backbones, in alphabetical order."""
    return tuple(_lines())


@functools.cache
def card(name: str) -> BackboneCard:
    """The card called `name`; an unknown name raises BackboneError that lists the nearest ones."""
    try:
        return decode(_lines()[name])
    except KeyError:
        pass
    if name.startswith(("timm/", "transformers/")):
        library = name.partition("/")[0]
        raise BackboneError(
            f"models of {library} are not in the catalogue; pass nbtransfer.backbone({name!r}) instead of its name"
        )
    hint = f"did you mean 'timm/{name}'?" if _is_in_timm(name) else suggest(name, names())
    raise BackboneError(f"there is no backbone {name!r}; {hint} (models of timm are called 'timm/NAME')")


def _is_in_timm(name: str) -> bool:
    whole = f"timm/{name}"
    return any(entry.name == whole or entry.name.startswith(f"{whole}.") for entry in outlines())


def encode(entry: BackboneCard) -> str:
    """One line of the file. Layers are short rows, stages numbers."""
    plain = to_plain(entry)
    for name, default in (
        ("ends", []),
        ("leaves", []),
        ("architecture", None),
        ("lineage", None),
    ):  # which the built-in ones do without
        if plain[name] == default:
            del plain[name]
    plain["layers"] = [
        [x.name, x.kind, x.params, entry.stages.index(x.stage), x.decayed, int(x.normalises), int(x.keeps_statistics)]
        for x in entry.layers
    ]
    return json.dumps(plain, separators=(",", ":"))


def decode(line: str) -> BackboneCard:
    """The card on one line of the file."""
    plain = json.loads(line)
    stages = plain["stages"]
    layers = tuple(
        LayerCard(name, kind, params, stages[stage], decayed, bool(normalises), bool(keeps_statistics))
        for name, kind, params, stage, decayed, normalises, keeps_statistics in plain.pop("layers")
    )
    return from_plain(BackboneCard, {**plain, "layers": layers})
