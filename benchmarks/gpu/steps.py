"""Steps of a measurement that is cut off after a while: the important ones first, and every result on the disk at once."""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.gpu.scene import Scene

Figures = dict[str, Any]
Outcome = Literal["ok", "FAILED", "left out"]


class LeftOutError(Exception):
    """A step cannot be taken here."""


@dataclass(frozen=True)
class Finding:
    """Whether what was looked at is as it should be, what was seen, in words and in figures."""

    good: bool
    text: str
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One thing to check or measure; `seconds` is what must be left of the time for it to be begun."""

    name: str
    seconds: float
    work: Callable[[Scene], Finding]


@dataclass(frozen=True)
class Result:
    """What became of a step."""

    name: str
    outcome: Outcome
    text: str
    seconds: float
    figures: Figures


def take(steps: Sequence[Step], scene: Scene, budget: float, path: Path, about: Mapping[str, Any]) -> list[Result]:
    """Take all steps that the time is enough for. A step that fails does not stop the others."""
    began, results = time.monotonic(), list[Result]()
    for step in steps:
        left = budget - (time.monotonic() - began)
        if left < step.seconds:
            result = Result(step.name, "left out", f"{left:.0f} s are left, and it may need {step.seconds:.0f}", 0.0, {})
        else:
            result = taken(step, scene)
        results.append(result)
        print(f"{result.outcome:8} {result.seconds:6.1f} s  {result.name}: {result.text}", flush=True)
        seconds = time.monotonic() - began
        write(path, {**about, "seconds": seconds, "results": [asdict(each) for each in results]})
    return results


def taken(step: Step, scene: Scene) -> Result:
    """Take one step, and leave the memory of the device to the next."""
    began = time.monotonic()

    def result(outcome: Outcome, text: str, figures: Figures) -> Result:
        return Result(step.name, outcome, text, round(time.monotonic() - began, 2), figures)

    try:
        found = step.work(scene)
        return result("ok" if found.good else "FAILED", found.text, found.figures)
    except LeftOutError as why:
        return result("left out", str(why), {})
    except Exception as error:  # noqa: BLE001 - whatever it is, the other steps should be taken
        return result("FAILED", f"{type(error).__name__}: {error}".splitlines()[0], {"traceback": traceback.format_exc()})
    finally:
        gc.collect()
        scene.tidy_up()


def write(path: Path, contents: Mapping[str, Any]) -> None:
    """A cut-off process leaves the last whole file."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(contents, indent=1, default=str), encoding="utf-8")
    draft.replace(path)
