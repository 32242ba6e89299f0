"""Fine-tuning against fastai, Keras and a plain PyTorch loop: the same work, measured in turn, as ratios.

600 training and 150 validation images of the textile task, 224 pixels, batches of 32, two threads, random weights, no
augmentation: only speed is measured. Each job is a process of its own. What costs the same in every epoch is measured for
two of them and counted for all. Peers are installed into build/peers/ for this alone.

    python -m benchmarks.speed        once
    python -m benchmarks.speed 3      medians of three rounds
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = HERE.parent / "build" / "peers"
PACKAGES = {"fastai": ["fastai", "timm"], "keras": ["keras", "tensorflow-cpu"]}
EPOCHS = 10
Found = dict[str, Any]

HEAD = {"strategy": "lp", "epochs": EPOCHS}
TRAINED = {**HEAD, "probe": "sgd", "optimiser": "adam"}
OURS: dict[str, dict[str, Any]] = {
    "resnet18 head, solved": {"backbone": "resnet18", **HEAD},
    "resnet18 head, trained": {"backbone": "resnet18", **TRAINED},
    "vgg16 head, trained": {"backbone": "vgg16", **TRAINED},
    "resnet18 last stage": {"backbone": "resnet18", "strategy": "last_stage", "epochs": EPOCHS},
    "resnet18 all": {"backbone": "resnet18", "strategy": "ft", "epochs": 2},
    "efficientnet_lite0 all": {"backbone": "efficientnet_lite0", "strategy": "ft", "epochs": 2},
}


def measure(rounds: int = 1) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = lay_out(Path(name) / "images")
        jobs = all_jobs(folder)
        found: dict[str, list[Found]] = {name: [] for name in jobs}
        for _ in range(rounds):
            for job, work in jobs.items():
                result = work()
                if result is not None:
                    found[job].append(result)
                    print(f"  {job}: {result['seconds']:.1f} s", file=sys.stderr, flush=True)
        return figures({job: results for job, results in found.items() if results})


def lay_out(root: Path) -> Path:
    """The images as all peers can read them: root/train/CLASS/IMAGE and root/val/CLASS/IMAGE."""
    import nbtransfer as nt

    task = nt.Task.demo("textile", per_class=250, holdout=0.2)
    for sample in task.samples:
        target = root / sample.split / task.classes[sample.label] / Path(sample.source).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(Path(task.root) / sample.source)
    return root


def all_jobs(folder: Path) -> dict[str, Callable[[], Found | None]]:
    """Ours and theirs in turn, so that both meet the same neighbours on a shared machine."""
    jobs: dict[str, Callable[[], Found | None]] = {}
    for name, settings in OURS.items():
        for precision in ("fp32", "auto"):
            jobs[f"{name}, {precision}"] = functools.partial(ours, folder, {**settings, "precision": precision})
    for what in ("forward", "frozen", "last_stage", "full"):
        for precision in ("fp32", "autocast"):
            jobs[f"plain resnet18 {what}, {precision}"] = functools.partial(plain, folder, "resnet18", what, precision)
    jobs["plain resnet18 full, bf16"] = functools.partial(plain, folder, "resnet18", "full", "bf16")
    for precision in ("fp32", "autocast"):
        jobs[f"plain efficientnet_lite0 full, {precision}"] = functools.partial(
            plain, folder, "efficientnet_lite0", "full", precision
        )
    for what in ("frozen", "full"):
        jobs[f"fastai resnet18 {what}"] = functools.partial(peer, "fastai", "with_fastai.py", folder, "resnet18", what, "2")
    jobs["keras vgg16 frozen"] = functools.partial(peer, "keras", "with_keras.py", folder, "1")
    return jobs


def ours(folder: Path, settings: dict[str, Any]) -> Found:
    return carried_out([sys.executable, "-m", "benchmarks.peers.ours", str(folder), json.dumps(settings)])


def plain(folder: Path, backbone: str, what: str, precision: str) -> Found:
    epochs = "1" if what == "forward" else "2"
    return carried_out([sys.executable, str(HERE / "peers" / "plain.py"), str(folder), backbone, what, epochs, precision])


def peer(name: str, script: str, folder: Path, *words: str) -> Found | None:
    python = installed(name)
    return carried_out([str(python), str(HERE / "peers" / script), str(folder), *words]) if python else None


@functools.cache
def installed(name: str) -> Path | None:
    """The Python of a peer's own environment; None where it cannot be installed."""
    python = PEERS / name / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", PEERS / name], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
        except subprocess.CalledProcessError as error:
            print(f"  {name} cannot be installed and is left out: {error}", file=sys.stderr)
            python.unlink(missing_ok=True)
            return None
    return python


def carried_out(command: list[str]) -> Found:
    """The line of JSON that a job prints last."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def figures(found: dict[str, list[Found]]) -> dict[str, float]:
    """Seconds of each job, ratios against the goals, and what the engine had predicted."""

    def seconds(job: str, epochs: int | None = None) -> float | None:
        """Of a whole job; of so many epochs where every one costs the same."""
        rows = found.get(job)
        if not rows:
            return None
        return statistics.median(r["seconds"] * ((epochs or r["epochs"]) / r["epochs"]) for r in rows)

    def in_epochs(job: str) -> float | None:
        """One epoch of ours with its validation; building the model and scoring it in the end left out."""
        rows = found.get(job)
        return statistics.median(statistics.mean(r["epoch_seconds"]) for r in rows) if rows else None

    def least(*values: float | None) -> float | None:
        return min((v for v in values if v is not None), default=None)

    result = {f"{job} (s)": statistics.median(r["seconds"] for r in rows) for job, rows in found.items()}
    fastai, fastai_full = seconds("fastai resnet18 frozen", EPOCHS), seconds("fastai resnet18 full", 1)
    keras = seconds("keras vgg16 frozen", EPOCHS)
    plain_frozen, plain_last = (
        seconds("plain resnet18 frozen, fp32", EPOCHS),
        seconds("plain resnet18 last_stage, fp32", EPOCHS),
    )
    plain_full = seconds("plain resnet18 full, fp32", 1)
    best_full = least(seconds("plain resnet18 full, autocast", 1), seconds("plain resnet18 full, bf16", 1))
    ratios = {
        "head against fastai, fp32 (goal 15)": (fastai, seconds("resnet18 head, solved, fp32", 1)),
        "head against fastai, auto (goal 25)": (fastai, seconds("resnet18 head, solved, auto", 1)),
        "head, trained, against fastai, fp32": (fastai, seconds("resnet18 head, trained, fp32")),
        "head, trained, against the plain loop, fp32 (goal 8)": (plain_frozen, seconds("resnet18 head, trained, fp32")),
        "head against the plain loop, fp32": (plain_frozen, seconds("resnet18 head, solved, fp32", 1)),
        "vgg16 head against Keras, fp32 (goal 9)": (keras, seconds("vgg16 head, trained, fp32")),
        "vgg16 head against Keras, auto (goal 16)": (keras, seconds("vgg16 head, trained, auto")),
        "last stage against the plain loop, fp32 (goal 1.9)": (plain_last, seconds("resnet18 last stage, fp32")),
        "all layers against fastai, fp32 (goal 1.0)": (fastai_full, in_epochs("resnet18 all, fp32")),
        "all layers against fastai, auto (goal 2)": (fastai_full, in_epochs("resnet18 all, auto")),
        "all layers against the plain loop, fp32 (goal 0.97)": (plain_full, in_epochs("resnet18 all, fp32")),
        "all layers against the best plain loop in bf16": (best_full, in_epochs("resnet18 all, auto")),
        "efficientnet_lite0, all layers, against the plain loop, fp32 (goal 0.97)": (
            seconds("plain efficientnet_lite0 full, fp32", 1), in_epochs("efficientnet_lite0 all, fp32"),
        ),
        "efficientnet_lite0, all layers, against autocast, auto": (
            seconds("plain efficientnet_lite0 full, autocast", 1), in_epochs("efficientnet_lite0 all, auto"),
        ),
        "head job over one bare forward pass, fp32 (goal 1.25 at most)": (
            seconds("resnet18 head, solved, fp32", 1), seconds("plain resnet18 forward, fp32"),
        ),
        "head job over one bare forward pass, auto (goal 1.25 at most)": (
            seconds("resnet18 head, solved, auto", 1), seconds("plain resnet18 forward, autocast"),
        ),
    }  # fmt: skip
    result |= {name: above / below for name, (above, below) in ratios.items() if above is not None and below is not None}
    for job, rows in found.items():
        predicted = [r["took"] / r["predicted"] for r in rows if r.get("predicted")]
        if predicted:
            result[f"{job}: took, over what was predicted (goal 0.8 to 1.2)"] = statistics.median(predicted)
    memory = {"ours": "resnet18 last stage, fp32", "the plain loop": "plain resnet18 last_stage, fp32"}
    result |= {
        f"peak memory, last stage, {who} (MB)": found[job][0]["peak"] / 1e6 for who, job in memory.items() if job in found
    }
    return result | floors()


def floors() -> dict[str, float]:
    """What the hardware allows: the rate of matrix products, and what a forward pass of all images would take at it."""
    import torch

    import nbtransfer as nt

    torch.set_num_threads(2)
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
        times = []
        for _ in range(6):
            started = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - started)
        rate = 2 * 2048**3 / min(times)
        found[f"rate of matrix products, {name} (GFLOP/s)"] = rate / 1e9
        found[f"floor of a forward pass of 750 images, resnet18, {name} (s)"] = (
            750 * 2 * nt.backbone("resnet18").multiply_adds / rate
        )
    return found


if __name__ == "__main__":
    for what, value in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1).items():
        print(f"{what:85} {value:10.3f}")
