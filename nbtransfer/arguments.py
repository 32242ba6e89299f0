"""What each command of the tree takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from nbtransfer.core.recipe import AUGMENTATIONS
from nbtransfer.core.strategy import STRATEGIES

DEMO_PREFIX = "demo:"

RECIPE_OPTIONS: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("epochs", int, "length of the run"),
    ("lr", float, "peak learning rate of the last phase"),
    ("batch-size", int, "images in a step"),
    ("optimiser", str, "adamw, adam or sgd"),
    ("schedule", str, "one_cycle, cosine or constant"),
    ("weight-decay", float, "decay of weights"),
    ("label-smoothing", float, "share of each label spread over all classes"),
    ("image-size", int, "pixels"),
    ("crop", float, "share of the shorter side the central crop keeps"),
    ("patience", int, "epochs without a better validation score before a phase ends"),
    ("seed", int, "of every random choice"),
    ("device", str, "auto, cpu, cuda, cuda:N or mps"),
    ("precision", str, "auto, fp32, bf16 or fp16"),
    ("threads", int, "of the worker"),
    ("title", str, "text of your own"),
)


def start(p: argparse.ArgumentParser) -> None:
    """A task, and whatever a recipe may say."""
    p.add_argument("task", help=f"a folder with one folder per class, or {DEMO_PREFIX}textile, {DEMO_PREFIX}digits")
    p.add_argument("--backbone", default="resnet18", help="shared layers, see `backbones` (default: %(default)s)")
    p.add_argument("--weights", default="default", help='"default", a name, "none" for random, or a file')
    p.add_argument("--strategy", default="lp_ft", help=f"one of {', '.join(STRATEGIES)} (default: %(default)s)")
    p.add_argument("--freeze", nargs="+", metavar="LAYER", help="layers that stay frozen in the last phase, as globs")
    p.add_argument("--thaw", nargs="+", metavar="LAYER", help="layers that learn in the last phase, all others frozen")
    for option, kind, text in RECIPE_OPTIONS:
        p.add_argument(f"--{option}", type=kind, help=text)
    p.add_argument("--augment", nargs="*", metavar="NAME", help=f"any of {', '.join(AUGMENTATIONS)}; nothing for none")
    p.add_argument("--holdout", type=float, default=0.2, help="share of each class to validate on (default: %(default)s)")
    p.add_argument("--test", type=float, default=0.0, help="share of each class to keep untouched (default: %(default)s)")
    p.add_argument("--per-class", type=int, help="take at most so many images of each class")
    p.add_argument("--skip-bad", action="store_true", help="leave out unreadable images and conflicting copies")
    p.add_argument("--wait", action="store_true", help="show progress until the run ends")
    json(p)


def run(p: argparse.ArgumentParser) -> None:
    """Which run."""
    p.add_argument("run", nargs="?", help="id of a run, or part of its beginning or end (default: the newest)")
    json(p)


def wait(p: argparse.ArgumentParser) -> None:
    """Which run, and for how long."""
    run(p)
    p.add_argument("--timeout", type=float, metavar="SECONDS", help="give up waiting, not the run, after so long")


def log(p: argparse.ArgumentParser) -> None:
    """Which run, and how much of its log."""
    run(p)
    p.add_argument("--lines", type=int, default=40, help="how many (default: %(default)s)")


def export(p: argparse.ArgumentParser) -> None:
    """Where to, and which run."""
    p.add_argument("folder", help="a new folder")
    run(p)


def backbones(p: argparse.ArgumentParser) -> None:
    """What to look for."""
    p.add_argument("text", nargs="?", default="", help='part of a name; "timm/…" searches timm')
    json(p)


def demo(p: argparse.ArgumentParser) -> None:
    """Where the report goes."""
    p.add_argument("--report", default="demo-report.html", help="where to write the report (default: %(default)s)")
    json(p)


def json(p: argparse.ArgumentParser) -> None:
    """Every command can speak to scripts."""
    p.add_argument("--json", action="store_true", help="plain data for scripts")
