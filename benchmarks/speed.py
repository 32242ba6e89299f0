"""Fine-tuning against fastai, Keras and a plain PyTorch loop: the same work, measured in turn, as ratios.

600 training and 150 validation images of the textile task, 224 pixels, batches of 32, two threads, random weights, no
augmentation: only speed is measured. Each job is a process of its own. Where every epoch costs the same, one is measured
and counted for all; a peer's first batch, which prepares kernels, is not timed. Peers are installed into build/peers/ for
this alone.

    python -m benchmarks.speed                  three rounds
    python -m benchmarks.speed 1                one
    python -m benchmarks.speed 3 head frozen    three, of the jobs whose names contain one of the words

A ratio is taken within a round, between jobs that ran one after the other; what is told is the median of the rounds.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks import goals
from nbtransfer.jobs.environment import KEEP_MEMORY, SPIN_SHORTLY

HERE = Path(__file__).parent
PEERS = HERE.parent / "build" / "peers"
PACKAGES = {"fastai": ["fastai==2.8.*", "timm"], "keras": ["keras==3.15.*", "tensorflow-cpu==2.21.*"]}
ROUNDS = 3

HEAD = {"strategy": "lp", "epochs": goals.EPOCHS}
TRAINED = {**HEAD, "probe": "sgd", "optimiser": "adam"}
VIT, LAST_BLOCKS = f"timm/{goals.VIT}", ("blocks.10", "blocks.11", "norm")
Job = Callable[[], goals.Found | None]


def measure(rounds: int = ROUNDS, words: Sequence[str] = ("",)) -> dict[str, float]:
    """The figures of so many rounds of the jobs whose names contain one of the words."""
    with tempfile.TemporaryDirectory() as name:
        jobs = all_jobs(lay_out(Path(name) / "images"), mixed=computes_bf16())
        jobs = {job: work for job, work in jobs.items() if any(word in job for word in words)}
        found: list[goals.Round] = []
        for _ in range(rounds):
            found.append({})
            for job, work in jobs.items():
                result = work()
                if result is not None:
                    goals.check(job, result)
                    found[-1][job] = result
                    keep(found)
                    print(f"  {job}: {result['seconds']:.1f} s", file=sys.stderr, flush=True)
    return goals.figures(found)


def keep(found: list[goals.Round]) -> None:
    """What was measured stays, also where the rest is never measured."""
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "speed-rounds.json").write_text(json.dumps(found, indent=1))


def computes_bf16() -> bool:
    """Whether there is anything to measure but fp32: else "auto" is fp32."""
    import torch

    from nbtransfer.engine.device import why_not_bf16

    lacking = why_not_bf16(torch.device("cpu"))
    if lacking:
        print(f"  {lacking}: precision='auto' is fp32, and its rows are left out", file=sys.stderr)
    return lacking is None


def lay_out(root: Path) -> Path:
    """The images as all peers can read them: root/train/CLASS/IMAGE and root/val/CLASS/IMAGE."""
    import nbtransfer as nt

    task = nt.Task.demo("textile", per_class=250, holdout=0.2)
    for sample in task.samples:
        target = root / sample.split / task.classes[sample.label] / Path(sample.source).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(Path(task.root) / sample.source)
    return root


def all_jobs(folder: Path, *, mixed: bool) -> dict[str, Job]:
    """Jobs that are compared stand beside each other, so that both meet the same neighbours on a shared machine."""
    jobs: dict[str, Job] = {}

    def ours(name: str, **settings: Any) -> None:
        for precision in ("fp32", "auto") if mixed else ("fp32",):
            words = [str(folder), json.dumps({**settings, "precision": precision})]
            command = [sys.executable, "-m", "benchmarks.peers.ours", *words]
            jobs[f"{name}, {precision}"] = functools.partial(carried_out, command, {**SPIN_SHORTLY, **KEEP_MEMORY})

    def plain(backbone: str, what: str, *precisions: str) -> None:
        for precision in precisions if mixed else ("fp32",):
            words = [str(folder), backbone, what, "1", precision]
            script = str(HERE / "peers" / "plain.py")
            jobs[f"plain {backbone} {what}, {precision}"] = functools.partial(carried_out, [sys.executable, script, *words])

    def peer(job: str, *words: str) -> None:
        name = job.partition(" ")[0]
        jobs[job] = functools.partial(by_peer, name, [str(HERE / "peers" / f"with_{name}.py"), str(folder), *words])

    plain("resnet18", "forward", "fp32", "autocast")
    ours("resnet18 head, solved", backbone="resnet18", **HEAD)
    peer("fastai resnet18 frozen", "resnet18", "frozen", "1")
    ours("resnet18 head, trained", backbone="resnet18", **TRAINED)
    plain("resnet18", "frozen", "fp32")
    ours("resnet18 last stage", backbone="resnet18", strategy="last_stage", epochs=goals.EPOCHS)
    plain("resnet18", "last_stage", "fp32")
    ours("vit_small last two blocks", backbone=VIT, strategy="ft", thaw=LAST_BLOCKS, epochs=goals.EPOCHS)
    plain(goals.VIT, "last_blocks", "fp32")
    ours("vit_small head, solved", backbone=VIT, **HEAD)
    peer("fastai vit_small_patch16_224 frozen", goals.VIT, "frozen", "1")
    ours("convnext_tiny last stage", backbone="convnext_tiny", strategy="last_stage", epochs=goals.EPOCHS)
    plain("convnext_tiny", "last_stage", "fp32")
    peer("keras vgg16 frozen", "1")
    ours("vgg16 head, trained", backbone="vgg16", **TRAINED)
    peer("fastai resnet18 full", "resnet18", "full", str(goals.EPOCHS_OF_ALL))
    ours("resnet18 all", backbone="resnet18", strategy="ft", epochs=goals.EPOCHS_OF_ALL)
    plain("resnet18", "kept", "fp32")
    plain("resnet18", "full", "fp32", "autocast", "bf16")
    peer("fastai efficientnet_lite0 full", "efficientnet_lite0", "full", str(goals.EPOCHS_OF_ALL))
    ours("efficientnet_lite0 all", backbone="efficientnet_lite0", strategy="ft", epochs=goals.EPOCHS_OF_ALL)
    plain("efficientnet_lite0", "full", "fp32", "autocast")
    return jobs


def by_peer(name: str, words: list[str]) -> goals.Found | None:
    python = installed(name)
    return carried_out([str(python), *words]) if python else None


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


def carried_out(command: list[str], environment: Mapping[str, str] = MappingProxyType({})) -> goals.Found:
    """The line of JSON that a job prints last. Ours has a worker's environment, others what they find."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    for what, value in measure(int((sys.argv[1:] or [ROUNDS])[0]), sys.argv[2:] or [""]).items():
        print(f"{what:85} {value:10.3f}")
