"""The boundary cache: what leaves the frozen stages is computed once, where that pays, and had again by whoever needs it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from nbtransfer.core import events as ev
from nbtransfer.core.codec import dumps, from_plain, to_plain
from nbtransfer.core.recipe import Recipe, Solver
from nbtransfer.core.strategy import Phase
from nbtransfer.core.task import Split
from nbtransfer.core.text import counted, duration, in_bytes
from nbtransfer.engine import costs, data
from nbtransfer.engine.activations import Activations, CachedBatches, Layout, read_rows
from nbtransfer.engine.ahead import ahead
from nbtransfer.engine.computing import Computing
from nbtransfer.engine.data import Batch, Batches, PixelBatches, TaskData
from nbtransfer.engine.device import DTYPES, Device, available_memory
from nbtransfer.engine.draws import Sweep
from nbtransfer.engine.freezing import digest
from nbtransfer.engine.model import TransferModel
from nbtransfer.engine.prefix import Folding, Prefix
from nbtransfer.engine.preprocess import Normalise
from nbtransfer.errors import RunError
from nbtransfer.store import caches

FORMAT = 2
BATCH_ON_A_GPU = 256
SHARE_OF_MEMORY = 0.25
SPLITS: tuple[Split, ...] = ("train", "val")

Both = dict[Split, Activations]
T = TypeVar("T")
Had = Generator[ev.Event | None, None, T]


@dataclass
class BoundaryCache:
    """Gives each phase its data: pixels, or what leaves the stages that the phase leaves frozen."""

    recipe: Recipe
    model: TransferModel
    data: TaskData
    device: Device
    waiting: Callable[[], bool]
    chosen: Mapping[tuple[str, str], str]
    _last: _Place | None = None

    def inputs(self, phase: Phase, epochs: int, solver: Solver | None, moment: str) -> Had[TaskData]:
        """The data for a phase whose plan is in force, with so many epochs to come, saying what was decided and how it goes.

        What `chosen` says about this `moment` was decided by an earlier attempt, and is done again. Yields None where it can
        be left because somebody waits.
        """
        boundary = phase.plan.boundary(self.model.card)
        if boundary == 0 or self.recipe.cache == "off":
            return self.data
        held = self._last.used if self._last else None
        self._last = place = _Place(self, boundary, moment)
        choice = self.chosen.get(("cache", moment))
        if choice is None or (choice != "no" and place.costs is None):
            decision = self._refused(place) or self._decided(place, epochs, solver)
            yield replace(decision, moment=moment)
            choice = decision.choice
        if choice == "no":
            return self.data
        try:
            both = held[1] if held and held[0] == place.key else (yield from place.had())
        except (OSError, RunError) as error:
            if solver:
                raise RunError(
                    f"the features need {in_bytes(place.bytes)} ({error}); free space, or use probe='sgd'"
                ) from error
            yield ev.Decided("cache", "no", f"what leaves {place.layer} cannot be kept ({error})", moment=moment)
            return self.data
        place.used = place.key, both
        train, val = (place.batches(both, split) for split in SPLITS)
        return TaskData(train, val, self.data.test)

    def exact_val(self) -> Batches:
        """Validation as the model that is there now sees it in fp32: from the cache where that holds just this."""
        place = self._last
        if place and place.used and self.recipe.cache_dtype in (None, "fp32"):
            key, both = place.used
            if key == _Place(self, place.boundary).key:  # no stage before the boundary has learned meanwhile
                return place.batches(both, "val")
        return self.data.val

    def _refused(self, place: _Place) -> ev.Decided | None:
        if not self.model.backbone.divisible and place.boundary < len(self.model.card.stages):
            return ev.Decided("cache", "no", "this architecture can be left behind its last stage only")
        if self.data.train.images.views is None:
            why = "every epoch draws new views of the images; with views=8, that many are drawn once and kept"
            return ev.Decided("cache", "no", why)
        return None

    def _decided(self, place: _Place, epochs: int, solver: Solver | None) -> ev.Decided:
        """Whether to keep what leaves a boundary, with the reason and the times that are expected."""
        measured = place.costs
        if measured is None:
            return ev.Decided("cache", "no", "no image to measure on could be decoded")
        found = caches.find(place.key)
        wanted, room = place.bytes, caches.room(self.recipe.cache_budget)
        amount = f"what leaves {place.layer} is {in_bytes(wanted)} for {counted(place.views, 'view')} of each image"
        if wanted > room and not solver:  # features that are solved on are needed once, and in memory anyway
            return ev.Decided("cache", "no", f"{amount}, and there is room for {in_bytes(room)}")
        train, val = (len(place.split(split).images) for split in SPLITS)
        plain = measured.plain(epochs, train, val)
        build = 0.0 if found else measured.build(train, val, place.views)
        cached = build + measured.from_cache(epochs, train, val)
        said = f"{amount}, {'computed before' if found else 'computed once'}: {duration(cached)} expected"
        if solver:
            return ev.Decided("cache", place.layer, said, cached)
        if cached < plain or self.recipe.cache == "on":
            return ev.Decided("cache", place.layer, f"{said} instead of {duration(plain)}", cached, plain)
        larger = measured.layouts["train"].bytes > 3 * self.model.spec.size**2
        why = ", more than the images themselves" if larger else ""
        said = f"{amount}{why}; keeping it would take {duration(cached)} instead of {duration(plain)}"
        return ev.Decided("cache", "no", said, plain, cached)


class _Place:
    """One boundary in one run, at the `moment` when its activations are wanted."""

    def __init__(self, owner: BoundaryCache, boundary: int, moment: str = "") -> None:
        self.owner, self.boundary, self.moment = owner, boundary, moment
        self.layer = owner.model.card.stages[boundary - 1]
        self.views = owner.data.train.images.views or 1
        self.used: tuple[str, Both] | None = None

    def split(self, split: Split) -> Batches:
        """The images of a split."""
        return self.owner.data.train if split == "train" else self.owner.data.val

    @functools.cached_property
    def costs(self) -> costs.Costs | None:
        owner, train = self.owner, self.owner.data.train
        stored = DTYPES[owner.recipe.cache_dtype] if owner.recipe.cache_dtype else None
        return costs.measure(owner.model, train.images, train.workers, self.boundary, owner.device, stored)

    @property
    def layouts(self) -> Mapping[Split, Layout]:
        assert self.costs is not None
        return self.costs.layouts

    @property
    def bytes(self) -> int:
        """Bytes of all activations of both splits."""
        return sum(len(self.split(s).images) * self._views(s) * self.layouts[s].bytes for s in SPLITS)

    @property
    def key(self) -> str:
        return self.key_at(self.boundary)

    def key_at(self, boundary: int) -> str:
        """The digest of everything that what leaves a boundary depends on."""
        o, r = self.owner, self.owner.recipe
        facts = {
            "format": FORMAT, "root": r.task.root, "task": r.task.digest, "input": o.model.spec, "augment": r.augment,
            "transform": (r.transform, [c.sha256 for c in r.code]) if r.transform else None,
            "views": self.views, "seed": r.seed if r.transform or set(r.augment) - {"flip", "flip_vertical"} else None,
            "backbone": o.model.card.name, "stages": self._digests[:boundary], "dtype": r.cache_dtype, "fold": r.fold,
            "precision": o.device.precision, "device": o.device.torch.type, "batch": self.batch,
            "versions": _versions(o.model.card.origin),
        }  # fmt: skip
        return hashlib.sha256(dumps(facts).encode()).hexdigest()[:32]

    @functools.cached_property
    def _digests(self) -> list[str]:
        """For each stage, the sha256 of its parameters and buffers as they are now."""
        model = self.owner.model
        layers = {stage: [x.name for x in model.card.layers if x.stage == stage] for stage in model.card.stages}
        return [digest(t for name in layers[stage] for t in model.tensors(name).values()) for stage in model.card.stages]

    def had(self) -> Had[Both]:
        """From the disk, or computed now; in memory where the disk takes nothing and there is plenty of that."""
        both = yield from self._found()
        if both is not None:
            return both
        try:
            caches.make_room(self.bytes, self.owner.recipe.cache_budget)
            return (yield from self._kept())
        except (OSError, RunError) as error:
            if self.bytes > SHARE_OF_MEMORY * available_memory():
                raise
            yield ev.Warned(f"what leaves {self.layer} is kept in memory, for this run only: {error}")
            return (yield from self._computed(None))[0]

    def _kept(self) -> Had[Both]:
        """Compute it and keep it on the disk, unless another run does so right now: then wait for that."""
        while True:
            with caches.alone(self.key, waiting=lambda: not self.owner.waiting()) as mine:
                found = yield from self._found()
                if found is not None:
                    return found
                if mine:
                    with caches.draft(self.key) as folder:
                        both, folding = yield from self._computed(folder)
                        return self.read(caches.publish(folder, self.key, self._facts(both, folding)))
            yield None

    def _found(self) -> Had[Both | None]:
        """What was computed before; None where it was not, or is just being removed."""
        found = caches.find(self.key)
        if found is None:
            return None
        try:
            both = self.read(found)
        except OSError:
            return None
        if found.facts["folding"]:
            yield from_plain(Folding, found.facts["folding"]).decided(self.moment)
        return both

    @property
    def batch(self) -> int:
        """Images that are run through the prefix at once."""
        gpu = self.owner.device.torch.type == "cuda"
        return max(self.owner.recipe.batch_size, BATCH_ON_A_GPU if gpu else 0)

    def _computed(self, folder: Path | None) -> Had[tuple[Both, Folding | None]]:
        start, source = self._nearest()
        owner, size = self.owner, self.batch
        prefix = Prefix(owner.model, start, self.boundary, fold=owner.recipe.fold)
        normalise = Normalise(owner.model.spec, owner.device.torch)
        both: Both = {}
        for split in SPLITS:
            images, sweep = self.split(split).images, Sweep(len(self.split(split).images), self._views(split), size)
            swept = CachedBatches(source[split], start, images, sweep).epoch(0) if source else self._pixels(split, sweep)
            least = size if split == "train" else 0  # validation is computed in the same batches with a cache or without
            # Scores are taken in fp32 in the end: validation that is kept like that is not computed once more for them.
            device = owner.device if split == "train" else owner.device.exactly()
            computing = Computing(
                sweep, swept, least, prefix, device, self.layouts[split], normalise, self._said(both), owner.waiting
            )
            both[split] = yield from computing.into(folder / f"{split}.bin" if folder else None)
        if prefix.folding is not None:
            yield prefix.folding.decided(self.moment)
        return both, prefix.folding

    def _nearest(self) -> tuple[int, Both | None]:
        """The last boundary before this one whose activations are on the disk, else the images themselves."""
        for boundary in range(self.boundary - 1, 0, -1) if self.owner.model.backbone.divisible else ():
            found = caches.find(self.key_at(boundary))
            with contextlib.suppress(OSError):  # it may be removed just now
                if found:
                    return boundary, self.read(found)
        return 0, None

    def _pixels(self, split: Split, sweep: Sweep) -> Iterator[Batch]:
        given = self.split(split)
        swept = PixelBatches(given.images, sweep, given.workers, pin=self.owner.device.torch.type == "cuda").epoch(0)
        return swept if given.workers else ahead(swept)

    def _said(self, both: Both) -> Callable[[int, float], ev.Computing]:
        before = sum(len(activations.rows) for activations in both.values())
        of = sum(len(self.split(split).images) * self._views(split) for split in SPLITS)
        return lambda done, speed: ev.Computing(self.layer, before + done, of, speed)

    def _facts(self, both: Both, folding: Folding | None) -> dict[str, Any]:
        splits = {
            split: {"images": a.images, "views": a.views, "failed": list(a.failed.items()), "layout": to_plain(a.layout)}
            for split, a in both.items()
        }
        about = {"backbone": self.owner.model.card.name, "layer": self.layer, "task": self.owner.recipe.task.name}
        return {**about, "splits": splits, "folding": to_plain(folding)}

    def read(self, cache: caches.Cache) -> Both:
        """The activations in a cache."""
        caches.use(cache)
        both: Both = {}
        for split in SPLITS:
            facts = cache.facts["splits"][split]
            layout = from_plain(Layout, facts["layout"])
            rows = read_rows(cache.folder / f"{split}.bin", layout, facts["images"] * facts["views"])
            both[split] = Activations(layout, rows, facts["images"], dict(facts["failed"]))
        return both

    def batches(self, both: Both, split: Split) -> CachedBatches:
        """A split's batches, just as they would be of images."""
        images, owner = self.split(split).images, self.owner
        activations = both[split].on(owner.device.torch)
        return CachedBatches(activations, self.boundary, images, data.order(owner.recipe, images, split))

    def _views(self, split: Split) -> int:
        return self.views if split == "train" else 1


def _versions(origin: str) -> list[str]:
    """Versions of what computes: other code may compute other values from the same weights."""
    return [importlib.metadata.version(name) for name in dict.fromkeys(("torch", "torchvision", "pillow", origin))]
