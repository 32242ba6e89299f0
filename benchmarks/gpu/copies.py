"""How images get to the GPU: from pinned memory, beside the computing, and from how many processes."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator

import torch

import nbtransfer as nt
from benchmarks.gpu.ours import carried_out, place, recipe, watched
from benchmarks.gpu.scene import Scene
from benchmarks.gpu.steps import Finding, LeftOutError
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.optimiser import build_optimiser, set_rates
from nbtransfer.engine.model.step import forward_loss
from nbtransfer.engine.model.transfer_model import build
from nbtransfer.pretrained import cards

STEPS = 20
Pair = tuple[torch.Tensor, torch.Tensor]


def pinned(scene: Scene) -> Finding:
    """Where batches are when the training loop gets them: pixels pinned, activations on the GPU."""
    figures = {}
    for name, strategy, settings in (
        ("pixels", "ft", {"loader_workers": 0}),
        ("pixels from helpers", "ft", {"loader_workers": 2}),
        ("activations", "last_stage", {"cache": "on"}),
    ):
        with watched() as seen:
            carried_out(recipe(scene.small, scene, scene.sizes.network, strategy=strategy, epochs=1, **settings))
        figures[name] = dict(Counter(seen.places))
    wanted = {"pixels": "pinned", "pixels from helpers": "pinned", "activations": "cuda"} if scene.gpu else {}
    good = all(set(figures[name]) == {where} for name, where in wanted.items())
    return Finding(good, str(figures), figures)


def overlap(scene: Scene) -> Finding:
    """Milliseconds of a step with images on the GPU already, and with copies of three kinds. A measurement."""
    if not scene.gpu:
        raise LeftOutError("there is nothing to copy to without a GPU")
    step, figures = _stepper(scene), {}
    batch = scene.sizes.batch
    pixels = [torch.randint(256, (batch, 3, 224, 224), dtype=torch.uint8) for _ in range(4)]
    labels = torch.randint(3, (batch,))
    sources: dict[str, list[Pair]] = {
        "on the GPU": [(p.to(scene.device), labels.to(scene.device)) for p in pixels],
        "pinned": [(p.pin_memory(), labels.pin_memory()) for p in pixels],
        "pageable": [(p, labels) for p in pixels],
    }
    for name, pairs in sources.items():
        figures[name] = _milliseconds(step, lambda pairs=pairs: itertools.cycle(pairs), scene)
    figures["pinned, copied beside the computing"] = _milliseconds(
        step, lambda: _beside(itertools.cycle(sources["pinned"]), scene.device), scene
    )
    text = ", ".join(f"{name} {value:.2f} ms" for name, value in figures.items())
    places = {name: place(pairs[0][0]) for name, pairs in sources.items()}
    return Finding(
        places["pinned"] == "pinned", f"a step of resnet50 in bf16, batch {batch}: {text}", {**figures, "places": places}
    )


def _stepper(scene: Scene) -> Callable[[Pair], None]:
    """One training step of our parts, without a run around it."""
    made = recipe(scene.rated, scene, "resnet50", strategy="ft", image_size=224)
    card = cards.card("resnet50")
    model = build(made, card)[0].to(scene.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser, device, normalise = (
        build_optimiser(model, made),
        Device(scene.device, "bf16"),
        Normalise(model.spec, scene.device),
    )
    set_rates(optimiser, 1e-3, 0.9, nt.FreezePlan.none().resolve(card))

    def step(pair: Pair) -> None:
        optimiser.zero_grad()
        _, loss = forward_loss(model, normalise(pair[0]), pair[1].to(scene.device, non_blocking=True), device)
        loss.backward()
        optimiser.step()

    return step


def _milliseconds(step: Callable[[Pair], None], source: Callable[[], Iterator[Pair]], scene: Scene) -> float:
    best = float("inf")
    for _ in range(3):
        pairs = source()
        step(next(pairs))
        scene.wait()
        began = time.perf_counter()
        for pair in itertools.islice(pairs, STEPS):
            step(pair)
        scene.wait()
        best = min(best, 1000 * (time.perf_counter() - began) / STEPS)
    return best


def _beside(pairs: Iterator[Pair], device: torch.device) -> Iterator[Pair]:
    """The same pairs on the GPU, copied by a stream of its own one pair ahead."""
    stream = torch.cuda.Stream(device)

    def copied(pair: Pair) -> Pair:
        with torch.cuda.stream(stream):
            return pair[0].to(device, non_blocking=True), pair[1].to(device, non_blocking=True)

    coming = copied(next(pairs))
    for pair in pairs:
        torch.cuda.current_stream(device).wait_stream(stream)
        ready = coming
        for tensor in ready:
            tensor.record_stream(torch.cuda.current_stream(device))
        coming = copied(pair)
        yield ready


def helpers(scene: Scene) -> Finding:
    """Images a second from JPEG files by the number of processes that decode them, in the first epoch and the second."""
    figures = {}
    for workers in (0, 4, 8) if scene.gpu else (0, 1):
        settings = {"epochs": 2, "crop": None, "loader_workers": workers, "image_size": scene.sizes.rated_side}
        settings |= {"precision": "bf16" if scene.gpu else "fp32", "batch_size": scene.sizes.batch}
        made = recipe(scene.files, scene, scene.sizes.network, strategy="ft", **settings)
        train = made.task.sizes["train"]
        told = carried_out(made)
        figures[str(workers)] = [train / epoch for epoch in told.epoch_seconds]
        scene.tidy_up()
    text = ", ".join(f"{workers} helpers: {first:.0f} and {later:.0f}" for workers, (first, later) in figures.items())
    return Finding(good=True, text=f"images/s in the first epoch and the second, {text}", figures=figures)
