"""What the measured jobs come to: ratios against the goals, floors, predictions, memory."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.floor import Floor, Rates, rates

VIT = "vit_small_patch16_224"
EPOCHS = 10
EPOCHS_OF_ALL = 2
"""With all layers learning. The first decodes the images and prepares kernels, any other is like the second."""
TRAIN, VAL = 600, 150
DECODED = (TRAIN + VAL) * 3 * 224**2
"""Bytes of the decoded images. Ours keeps them, beside what leaves frozen layers; the plain loop decodes anew."""
Found = dict[str, Any]
Round = dict[str, Found]


@dataclass(frozen=True)
class Ratio:
    """How many times as long others take for a job of ours; of several of theirs the fastest counts.

    `epochs` of theirs are counted against our whole job, the building of the model and the final scores included. Without
    it one epoch with its validation stands against the mean of ours.
    """

    name: str
    goal: float
    ours: str
    theirs: tuple[str, ...]
    epochs: int | None = EPOCHS

    def of(self, found: Round) -> float | None:
        theirs = [per_epoch(found[job]) for job in self.theirs if job in found]
        if self.ours not in found or not theirs:
            return None
        ours = found[self.ours]
        return min(theirs) * self.epochs / ours["seconds"] if self.epochs else min(theirs) / per_epoch(ours)


RATIOS = (
    Ratio("resnet18 head against fastai, fp32", 15, "resnet18 head, solved, fp32", ("fastai resnet18 frozen",)),
    Ratio("resnet18 head against fastai, auto", 25, "resnet18 head, solved, auto", ("fastai resnet18 frozen",)),
    Ratio(
        "resnet18 head, trained, against the plain loop, fp32", 8, "resnet18 head, trained, fp32",
        ("plain resnet18 frozen, fp32",),
    ),
    Ratio("vgg16 head, trained, against Keras, fp32", 9, "vgg16 head, trained, fp32", ("keras vgg16 frozen",)),
    Ratio("vgg16 head, trained, against Keras, auto", 16, "vgg16 head, trained, auto", ("keras vgg16 frozen",)),
    Ratio(
        "resnet18 last stage against the plain loop, fp32", 1.9, "resnet18 last stage, fp32",
        ("plain resnet18 last_stage, fp32",),
    ),
    Ratio(
        "vit_small last two blocks against the plain loop, fp32", 2, "vit_small last two blocks, fp32",
        (f"plain {VIT} last_blocks, fp32",),
    ),
    Ratio("vit_small head against fastai, fp32", 20, "vit_small head, solved, fp32", (f"fastai {VIT} frozen",)),
    Ratio(
        "convnext_tiny last stage against the plain loop, fp32", 2, "convnext_tiny last stage, fp32",
        ("plain convnext_tiny last_stage, fp32",),
    ),
    Ratio("resnet18 all layers against fastai, fp32", 1, "resnet18 all, fp32", ("fastai resnet18 full",), None),
    Ratio("resnet18 all layers against fastai, auto", 2, "resnet18 all, auto", ("fastai resnet18 full",), None),
    Ratio(
        "resnet18 all layers against the plain loop, fp32", 0.97, "resnet18 all, fp32", ("plain resnet18 full, fp32",), None
    ),
    Ratio(
        "resnet18 all layers against the best plain loop in bf16, auto", 0.97, "resnet18 all, auto",
        ("plain resnet18 full, autocast", "plain resnet18 full, bf16"), None,
    ),
    Ratio(
        "resnet18 all layers against a bare loop over decoded images, fp32", 0.97, "resnet18 all, fp32",
        ("plain resnet18 kept, fp32",), None,
    ),
    Ratio(
        "efficientnet_lite0 all layers against fastai, fp32", 1, "efficientnet_lite0 all, fp32",
        ("fastai efficientnet_lite0 full",), None,
    ),
    Ratio(
        "efficientnet_lite0 all layers against fastai, auto", 2, "efficientnet_lite0 all, auto",
        ("fastai efficientnet_lite0 full",), None,
    ),
    Ratio(
        "efficientnet_lite0 all layers against the plain loop, fp32", 0.97, "efficientnet_lite0 all, fp32",
        ("plain efficientnet_lite0 full, fp32",), None,
    ),
    Ratio(
        "efficientnet_lite0 all layers against the plain loop in bf16, auto", 0.97, "efficientnet_lite0 all, auto",
        ("plain efficientnet_lite0 full, autocast",), None,
    ),
)  # fmt: skip

LIMITED = {
    "convnext_tiny last stage against the plain loop, fp32": ("convnext_tiny", "stage3"),
}
"""Ratios that are held against what the operations allow as well: the backbone, and its last frozen stage."""
OF_THE_LIMIT = 0.85

MEMORY = {
    "resnet18 head, trained, fp32": "plain resnet18 frozen, fp32",
    "resnet18 last stage, fp32": "plain resnet18 last_stage, fp32",
    "resnet18 all, fp32": "plain resnet18 full, fp32",
}
"""Jobs of ours, and the plain loop whose memory each is held against."""


def check(job: str, found: Found) -> None:
    """Raise RuntimeError unless a job of ours did what its name says: what leaves its frozen layers was kept."""
    if "cache" in found and not job.partition(",")[0].endswith(" all") and found["cache"] in (None, "no"):
        raise RuntimeError(f"{job}: nothing was kept, so this is no measurement of the cache")


def per_epoch(found: Found) -> float:
    """Seconds of an epoch with its validation; of ours as the run itself says."""
    own = found.get("epoch_seconds")
    return statistics.mean(own) if own else found["seconds"] / found["epochs"]


def figures(rounds: list[Round]) -> dict[str, float]:
    """Medians of the rounds, each figure taken within one; of ratios the least and the greatest as well."""
    each = [of_one_round(found) for found in rounds]
    names = dict.fromkeys(name for found in each for name in found)
    result = {}
    for name in names:
        values = [found[name] for found in each if name in found]
        result[name] = statistics.median(values)
        if "goal" in name and len(values) > 1:
            result |= {
                f"    {name.split(' (goal')[0]}: least": min(values),
                f"    {name.split(' (goal')[0]}: greatest": max(values),
            }
    return result | against_floors({name: result[name] for name in names})


def of_one_round(found: Round) -> dict[str, float]:
    """Seconds, ratios, predictions and memory."""
    result = {f"{job} (s)": one["seconds"] for job, one in found.items()}
    result |= {f"{job}: accuracy in the end": one["accuracy"] for job, one in found.items() if "accuracy" in one}
    for ratio in RATIOS:
        value = ratio.of(found)
        if value is not None:
            result[f"{ratio.name} (goal {ratio.goal:g})"] = value
        if value is not None and ratio.name in LIMITED:
            most = limit(*LIMITED[ratio.name])
            result[f"{ratio.name}: share of {most:.2f}, the limit by operations (goal {OF_THE_LIMIT})"] = value / most
    for precision, bare in (("fp32", "fp32"), ("auto", "autocast")):
        job, forward = f"resnet18 head, solved, {precision}", f"plain resnet18 forward, {bare}"
        if job in found and forward in found:
            name = f"resnet18 head, whole job over one bare forward pass, {precision} (goal at most 1.25)"
            result[name] = found[job]["seconds"] / found[forward]["seconds"]
    for job, one in found.items():
        if one.get("predicted"):
            result[f"{job}: took, over what was predicted (goal 0.8 to 1.2)"] = one["took"] / one["predicted"]
    for job, plain in MEMORY.items():
        if job in found and plain in found:
            most = found[plain]["peak"] + found[job]["kept"] + DECODED
            result[f"{job}: peak memory (MB)"] = found[job]["peak"] / 1e6
            result[f"{job}: peak memory over the plain loop's plus what is kept (goal at most 1)"] = found[job]["peak"] / most
    return result


def limit(name: str, frozen: str) -> float:
    """How many times as many operations a loop takes that runs the layers up to stage `frozen` in each epoch."""
    net = Floor(name, Rates({"fp32": 1.0}, math.inf))
    every = net.step(TRAIN, "fp32", frozen=frozen) + net.forward(VAL, "fp32", start=frozen)
    once = net.forward(TRAIN + VAL, "fp32", end=frozen)
    return EPOCHS * (once + every) / (once + EPOCHS * every + net.forward(VAL, "fp32", start=frozen))


def against_floors(seconds: dict[str, float]) -> dict[str, float]:
    """The rates of this machine, what each job of ours would take at them, and how many times that it takes."""
    found = rates()
    result = {f"rate of products, {name} (GFLOP/s)": rate / 1e9 for name, rate in found.operations.items()}
    result["rate of memory (GB/s)"] = found.memory / 1e9
    for job, least in floors(found).items():
        took = seconds.get(f"{job} (s)")
        if took is not None:
            result |= {f"{job}: floor (s)": least, f"{job}: times its floor": took / least}
    return result


def floors(found: Rates) -> dict[str, float]:
    """The least seconds of each job of ours. Whatever the precision, frozen layers see validation in fp32, once."""
    resnet, vgg, lite = (Floor(name, found) for name in ("resnet18", "vgg16", "efficientnet_lite0"))
    result = {}
    for name, learning in (("fp32", "fp32"), ("auto", "bf16")):
        if learning not in found.operations:
            continue
        head = {net: net.forward(TRAIN, learning) + net.forward(VAL, "fp32") for net in (resnet, vgg)}
        prefix = resnet.forward(TRAIN, learning, end="layer3") + resnet.forward(VAL, "fp32", end="layer3")
        epoch = resnet.step(TRAIN, learning, frozen="layer3") + resnet.forward(VAL, learning, start="layer3")
        full = {net: net.step(TRAIN, learning) + net.forward(VAL, learning) for net in (resnet, lite)}
        whole = {net: EPOCHS_OF_ALL * seconds + net.forward(VAL, "fp32") for net, seconds in full.items()}
        result |= {
            f"resnet18 head, solved, {name}": head[resnet],
            f"resnet18 head, trained, {name}": head[resnet],
            f"vgg16 head, trained, {name}": head[vgg],
            f"resnet18 last stage, {name}": prefix + EPOCHS * epoch + resnet.forward(VAL, "fp32", start="layer3"),
            f"resnet18 all, {name}": whole[resnet],
            f"efficientnet_lite0 all, {name}": whole[lite],
        }
    return result
