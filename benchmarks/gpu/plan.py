"""What is checked and measured, the important things first."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu import ceilings, copies, exact, killing, memory, precisions, rates
from benchmarks.gpu.scene import Sizes
from benchmarks.gpu.steps import Step


def steps(sizes: Sizes) -> list[Step]:
    """All steps, in order."""
    return [*correctness(), *speed(sizes, "bf16"), *details(), *peers(sizes), *speed(sizes, "fp32"), *extras(sizes)]


def correctness() -> Iterator[Step]:
    yield Step("rates of the device", 10, ceilings.rates)
    yield Step("a convolutional network like on the CPU", 20, exact.like_the_cpu)
    yield Step("a transformer like on the CPU", 20, exact.transformer_like_the_cpu)
    yield Step("frozen layers unchanged", 10, exact.frozen)
    yield Step("cached like uncached", 20, exact.cached)
    yield Step("mixed precision close to fp32", 15, precisions.mixed)
    yield Step("fp16 passes over overflowing steps", 15, precisions.scaled)
    yield Step("a batch that does not fit", 15, memory.in_parts)
    yield Step("a killed worker goes on", 45, killing.resumed)
    yield Step("pinned memory", 15, copies.pinned)
    yield Step("what auto decides", 20, precisions.automatic)


def speed(sizes: Sizes, precision: str) -> Iterator[Step]:
    """Our jobs and the plain loop's. The most usual ones come first."""
    for what in ("all", "head", "last stage"):
        for backbone in sizes.backbones:
            yield Step(f"rate: {backbone}, {what}, {precision}", 20, rates.job(backbone, what, precision))
    first = sizes.backbones[0]
    if precision == "bf16":
        small, kept = min(32, sizes.batch), "images kept in memory"
        yield Step(f"rate: {first}, all, bf16, batch {small}", 20, rates.job(first, "all", precision, batch_size=small))
        yield Step(f"rate: {first}, all, bf16, {kept}", 20, rates.job(first, "all", precision, kept, loader_workers=0))
        yield Step(f"rate: {first}, head, trained, bf16", 20, rates.job(first, "head, trained", precision))


def details() -> Iterator[Step]:
    yield Step("copies beside the computing", 15, copies.overlap)
    yield Step("helpers that decode", 30, copies.helpers)
    yield Step("a forked worker", 45, killing.forked)
    yield Step("two equal runs", 20, exact.again)


def peers(sizes: Sizes) -> Iterator[Step]:
    """fastai: each job is a process of its own."""
    for what in ("all", "head"):
        for backbone in sizes.backbones:
            yield Step(f"fastai: {backbone}, {what}, bf16", 25, rates.fastai(backbone, what))


def extras(sizes: Sizes) -> Iterator[Step]:
    first = sizes.backbones[0]
    yield Step("what a plain loop gains by tuning", 25, rates.tuned(first))
    yield Step("a compiled model", 90, rates.compiled(first))
