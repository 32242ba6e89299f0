"""nbtransfer, from the recipe to the scores: python -m benchmarks.peers.ours FOLDER SETTINGS

`SETTINGS` are fields of a Recipe as JSON, and "thaw": the only shared layers that learn. Timed from building the model to the
last event, final evaluation in fp32 included.
"""

import json
import os
import resource
import sys
import tempfile
import time

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.store import runs


def main(folder: str, settings: dict) -> None:
    from nbtransfer.engine.training import carry_out

    with tempfile.TemporaryDirectory() as home:
        os.environ["NBTRANSFER_HOME"] = home
        settings = dict(settings)
        task = nt.Task.from_folder(folder)
        if "thaw" in settings:
            settings["freeze"] = nt.FreezePlan.all().thaw(*settings.pop("thaw"))
        recipe = nt.Recipe(task=task, **{"weights": None, "augment": (), "threads": 2, **settings})
        nt.backbone(recipe.backbone)  # whose card is made once, not for each run
        paths = runs.create(recipe)
        started = time.perf_counter()
        marks, told = [], []
        for event in carry_out(recipe, paths):
            marks.append(time.perf_counter() - started)
            told.append(event)
        seconds = time.perf_counter() - started
        kept = sum(cache.bytes for cache in nt.caches())
    decided = {event.subject: (event, mark) for event, mark in zip(told, marks, strict=True) if isinstance(event, ev.Decided)}
    ended = next(mark for event, mark in zip(told, marks, strict=True) if isinstance(event, ev.PhaseEnded))
    cache, at = decided.get("cache", (None, 0.0))
    found = {
        "seconds": seconds,
        "epochs": sum(isinstance(event, ev.EpochEnded) for event in told),
        "epoch_seconds": [event.seconds for event in told if isinstance(event, ev.EpochEnded)],
        "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "accuracy": next(event.evaluation.accuracy for event in told if isinstance(event, ev.Evaluated)),
        "precision": told[0].precision,
        "cache": cache.choice if cache else None,
        "kept": kept,
        "predicted": cache.seconds if cache else None,
        "took": ended - at,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
