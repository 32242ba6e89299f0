"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
WORDS = {"head": "head, fitted", "head, trained": "head, trained", "last stage": "last stage and head", "all": "all layers"}

HEAD = (
    "work", "precision", "batch", "images/s", "of the rate of products", "whole job (s)", "plain loop, images/s",
    "over the plain loop", "fastai, images/s",
)  # fmt: skip


def markdown(contents: Mapping[str, Any]) -> str:
    """Both tables, of what `benchmarks.gpu` wrote."""
    results = contents["results"]
    parts = [
        f"{contents['device']}, torch {contents['torch']}, {contents['date']}, commit {contents['commit']}.",
        ceilings(results),
        rates(results),
        checks(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def ceilings(results: Sequence[Row]) -> str:
    """The rates of the device, in a sentence."""
    found = next((row["figures"] for row in results if row["name"] == "rates of the device" and row["figures"]), None)
    if found is None:
        return ""
    products = ", ".join(f"{found[name] / 1e12:.1f} in {name}" for name in ("fp32", "tf32", "bf16"))
    return f"Products of large matrices: {products} (TFLOP/s); copies {found['bytes'] / 1e12:.2f} TB/s."


def rates(results: Sequence[Row]) -> str:
    """Images a second of ours, the plain loop and fastai, and the share of the rate of products."""
    peers = {(r["figures"]["backbone"], r["figures"]["what"]): r["figures"] for r in results if _is(r, "fastai")}
    found = [r["figures"] for r in results if _is(r, "rate")]
    return table(HEAD, [_rate(row, peers, _without(results)) for row in found]) if found else ""


def _rate(found: Row, peers: Mapping[tuple[str, str], Row], without: str) -> Sequence[str]:
    peer = peers.get((found["backbone"], found["what"].partition(",")[0])) if found["precision"] == "bf16" else None
    return (
        ", ".join(filter(None, (found["backbone"], WORDS[found["what"]], found["variant"]))),
        found["precision"],
        str(found["batch"]),
        f"{found['images/s']:,.0f}",
        f"{found['share']:.0%}" if "share" in found else "–",
        f"{found['seconds']:.1f}",
        f"{found['plain images/s']:,.0f}",
        f"{found['over plain']:.2f} ×",
        f"{peer['images/s']:,.0f}" if peer else without,
    )


def checks(results: Sequence[Row]) -> str:
    """Every step that is no rate, with what was seen."""
    rows = [(r["name"], r["outcome"], r["text"]) for r in results if not r["name"].startswith(("rate:", "fastai:"))]
    return table(("check", "outcome", "seen"), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text."""
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells)


def _is(result: Row, kind: str) -> bool:
    return result["name"].startswith(f"{kind}:") and "images/s" in result["figures"]


def _without(results: Sequence[Row]) -> str:
    missing = any("not installed" in r["text"] for r in results if r["name"].startswith("fastai:"))
    return "not installed" if missing else "–"
