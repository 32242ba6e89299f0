"""One boundary of one run: what leaves it, how large that is and what it depends on; had from a cache or computed."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.codec import dumps, from_plain, to_plain
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import Split
from nbtransfer.core.text.counts import byte_size
from nbtransfer.engine.cache import cost_model
from nbtransfer.engine.cache.activations import Activations, CachedBatches, Layout, read_rows
from nbtransfer.engine.cache.build import ActivationBuild
from nbtransfer.engine.cache.prefix import Folding, Prefix
from nbtransfer.engine.data import batches
from nbtransfer.engine.data.batches import Batch, Batches, PixelBatches, TaskData
from nbtransfer.engine.data.order import Sweep
from nbtransfer.engine.data.prefetch import prefetch
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.device import DTYPES, Device, available_memory
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import RunError
from nbtransfer.store import caches

FORMAT = 2
BATCH_ON_A_GPU = 256
SHARE_OF_MEMORY = 0.25
SPLITS: tuple[Split, ...] = ("train", "val")

BothSplits = dict[Split, Activations]
T = TypeVar("T")
Resumable = Generator[ev.Event | None, None, T]
"""What yields events, and None where it can be left because somebody waits, and in the end returns something."""


@dataclass
class Boundary:
    """The boundary behind the first `count` stages in one run, at the `moment` when what leaves it is wanted.

    obtained    the activations with their key, once they are there
    """

    recipe: Recipe
    model: TransferModel
    data: TaskData
    device: Device
    waiting: Callable[[], bool]
    count: int
    moment: str
    obtained: tuple[str, BothSplits] | None = None

    @property
    def layer(self) -> str:
        """The last stage before it."""
        return self.model.card.stages[self.count - 1]

    @property
    def views(self) -> int:
        """Views of each training image."""
        return self.data.train.images.views or 1

    def split(self, split: Split) -> Batches:
        """The images of a split."""
        return self.data.train if split == "train" else self.data.val

    @functools.cached_property
    def costs(self) -> cost_model.Costs | None:
        """What decoding, prefix, suffix and reading cost, measured once; None where no image could be decoded."""
        train = self.data.train
        stored = DTYPES[self.recipe.cache_dtype] if self.recipe.cache_dtype else None
        return cost_model.measure(self.model, train.images, train.workers, self._source()[0], self.count, self.device, stored)

    @property
    def shared(self) -> bool:
        """Whether what leaves it is kept on the disk, for other runs.

        What a dataset of the user's own gives may be another thing tomorrow, and nobody can see that.
        """
        return self.recipe.cache != "off" and self.recipe.task.kind != "code"

    @property
    def room(self) -> int:
        """Bytes that there are for what leaves it."""
        return caches.room(self.recipe.cache_budget) if self.shared else self._memory

    @property
    def _memory(self) -> int:
        """Bytes of main memory that it may take."""
        return int(SHARE_OF_MEMORY * available_memory())

    @property
    def kept(self) -> bool:
        """Whether what leaves it is on the disk."""
        return self._kept_behind(self.count) is not None

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
        """What this boundary's activations are kept under, by the weights as they were when it was first asked for."""
        return self.key_behind(self.count)

    def key_behind(self, count: int) -> str:
        """The digest of everything that what leaves the first `count` stages depends on."""
        r = self.recipe
        facts = {
            "format": FORMAT, "root": r.task.root, "task": r.task.digest, "input": self.model.spec, "augment": r.augment,
            "transform": (r.transform, [c.sha256 for c in r.code]) if r.transform else None,
            "views": self.views, "seed": r.seed if r.transform or set(r.augment) - {"flip", "flip_vertical"} else None,
            "backbone": self.model.card.name, "stages": self._digests[:count], "dtype": r.cache_dtype, "fold": r.fold,
            "precision": self.device.precision, "device": self.device.torch.type, "batch": self.batch,
            "versions": versions(self.model.card.origin),
        }  # fmt: skip
        return hashlib.sha256(dumps(facts).encode()).hexdigest()[:32]

    @functools.cached_property
    def _digests(self) -> list[str]:
        """For each stage, the sha256 of its parameters and buffers as they are now."""
        model, stages = self.model, self.model.card.stages
        layers = {stage: [x.name for x in model.card.layers if x.stage == stage] for stage in stages}
        return [digest(t for name in layers[stage] for t in model.tensors(name).values()) for stage in stages]

    def activations(self) -> Resumable[BothSplits]:
        """Read from the disk, else computed; in memory where the disk takes nothing, or should not, and there is plenty."""
        if not self.shared:
            if self.bytes > self._memory:
                raise RunError(f"there is room for {byte_size(self._memory)} in memory, not for {byte_size(self.bytes)}")
            return (yield from self._computed(None))[0]
        both = yield from self._found()
        if both is not None:
            return both
        try:
            caches.make_room(self.bytes, self.recipe.cache_budget)
            return (yield from self._built())
        except (OSError, RunError) as error:
            if self.bytes > self._memory:
                raise
            yield ev.Warned(f"what leaves {self.layer} is kept in memory, for this run only: {error}")
            return (yield from self._computed(None))[0]

    def _built(self) -> Resumable[BothSplits]:
        """Compute it and keep it on the disk, unless another run does so right now: then wait for that."""
        while True:
            with caches.alone(self.key, waiting=lambda: not self.waiting()) as mine:
                found = yield from self._found()
                if found is not None:
                    return found
                if mine:
                    with caches.draft(self.key) as folder:
                        both, folding = yield from self._computed(folder)
                        return self.read(caches.publish(folder, self.key, self._facts(both, folding)))
            yield None

    def _found(self) -> Resumable[BothSplits | None]:
        """What was computed before, saying how; None where it was not."""
        found = self._kept_behind(self.count)
        if found is None:
            return None
        cache, both = found
        if cache.facts["folding"]:
            yield from_plain(Folding, cache.facts["folding"]).decided(self.moment)
        return both

    def _kept_behind(self, count: int) -> tuple[caches.Cache, BothSplits] | None:
        """What is kept on the disk of what leaves the first `count` stages; None where nothing is, or is just being removed.

        An image that could not be decoded then and can be now was away for a while: what lacks it is of no more use.
        """
        found = caches.find(self.key_behind(count)) if self.shared else None
        if found is None:
            return None
        try:
            both = self.read(found)
        except OSError:
            return None
        if any(self._decodable(split, number) for split in SPLITS for number in both[split].failed):
            caches.clear(found.key)
            return None
        return found, both

    def _decodable(self, split: Split, number: int) -> bool:
        return isinstance(self.split(split).images[0, number][1], torch.Tensor)

    @property
    def batch(self) -> int:
        """Images that are run through the prefix at once."""
        gpu = self.device.torch.type == "cuda"
        return max(self.recipe.batch_size, BATCH_ON_A_GPU if gpu else 0)

    def _computed(self, folder: Path | None) -> Resumable[tuple[BothSplits, Folding | None]]:
        start, source = self._source()
        size = self.batch
        prefix = Prefix(self.model, start, self.count, fold=self.recipe.fold)
        normalise = Normalise(self.model.spec, self.device.torch)
        both: BothSplits = {}
        for split in SPLITS:
            images, sweep = self.split(split).images, Sweep(len(self.split(split).images), self._views(split), size)
            swept = CachedBatches(source[split], start, images, sweep).epoch(0) if source else self._pixels(split, sweep)
            least = size if split == "train" else 0  # validation is computed in the same batches with a cache or without
            # Scores are taken in fp32 in the end: validation that is kept like that is not computed once more for them.
            device = self.device if split == "train" else self.device.exactly()
            build = ActivationBuild(
                sweep=sweep, batches=swept, least=least, prefix=prefix, device=device, layout=self.layouts[split],
                normalise=normalise, said=self._said(both), waiting=self.waiting,
            )  # fmt: skip
            both[split] = yield from build.into(folder / f"{split}.bin" if folder else None)
        if prefix.folding is not None:
            yield prefix.folding.decided(self.moment)
        return both, prefix.folding

    def _source(self) -> tuple[int, BothSplits | None]:
        """What to start from, and how many stages are behind it: what is kept just as it was computed, else the images."""
        exactly = self.recipe.cache_dtype in (None, "fp32")
        for count in range(self.count - 1, 0, -1) if self.model.backbone.divisible and exactly else ():
            found = self._kept_behind(count)
            if found is not None:
                return count, found[1]
        return 0, None

    def _pixels(self, split: Split, sweep: Sweep) -> Iterator[Batch]:
        given = self.split(split)
        swept = PixelBatches(given.images, sweep, given.workers, pin=self.device.torch.type == "cuda").epoch(0)
        return swept if given.workers else prefetch(swept)

    def _said(self, both: BothSplits) -> Callable[[int, float], ev.Computing]:
        before = sum(len(activations.rows) for activations in both.values())
        of = sum(len(self.split(split).images) * self._views(split) for split in SPLITS)
        return lambda done, speed: ev.Computing(self.layer, before + done, of, speed)

    def _facts(self, both: BothSplits, folding: Folding | None) -> dict[str, Any]:
        splits = {
            split: {"images": a.images, "views": a.views, "failed": list(a.failed.items()), "layout": to_plain(a.layout)}
            for split, a in both.items()
        }
        about = {"backbone": self.model.card.name, "layer": self.layer, "task": self.recipe.task.name}
        return {**about, "splits": splits, "folding": to_plain(folding)}

    def read(self, cache: caches.Cache) -> BothSplits:
        """The activations in a cache."""
        caches.use(cache)
        both: BothSplits = {}
        for split in SPLITS:
            facts = cache.facts["splits"][split]
            layout = from_plain(Layout, facts["layout"])
            rows = read_rows(cache.folder / f"{split}.bin", layout, facts["images"] * facts["views"])
            both[split] = Activations(layout, rows, facts["images"], dict(facts["failed"]))
        return both

    def batches(self, both: BothSplits, split: Split) -> CachedBatches:
        """A split's batches, just as they would be of images."""
        images = self.split(split).images
        activations = both[split].on(self.device.torch)
        return CachedBatches(activations, self.count, images, batches.order(self.recipe, images, split))

    def _views(self, split: Split) -> int:
        return self.views if split == "train" else 1


def versions(origin: str) -> list[str]:
    """What computes, with its versions: other code may compute other values from the same weights."""
    own = [torch.backends.cpu.get_cpu_capability()]
    return own + [importlib.metadata.version(name) for name in dict.fromkeys(("torch", "torchvision", "pillow", origin))]
