"""What a home folder may hold, written without training anything."""

from __future__ import annotations

import os

from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import Sample, TaskCard
from nbtransfer.store import caches

FACTS = {"task": "cloth", "backbone": "resnet18", "layer": "layer4", "splits": {"train": {"images": 3}, "val": {"images": 2}}}


def recipe(source="a/1.png", **settings):
    samples = (Sample(source, 0, "train", "1f"), Sample("b/2.png", 1, "val", "2e"))
    task = TaskCard("t", "folder", "/images", ("a", "b"), samples, ("a note",))
    return Recipe(**{"task": task, "backbone": "resnet18", **settings})


def write_cache(key, content=b"12345", used=None):
    with caches.draft(key) as folder:
        (folder / "train.bin").write_bytes(content)
        cache = caches.publish(folder, key, FACTS)
    if used is not None:
        os.utime(cache.folder / caches.FACTS, (used, used))
    return cache
