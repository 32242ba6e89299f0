"""The arguments of each command."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import Any

from nbtransfer.core.recipe import AUGMENTATIONS
from nbtransfer.core.strategy import STRATEGIES
from nbtransfer.core.text import typed
from nbtransfer.engine.handoff import formats
from nbtransfer.errors import InputError
from nbtransfer.tasks.task import DEMO_PREFIX

A_RUN = "name or id of a run, or part of the id's beginning or end"
THE_DEFAULT = "default: the one started or attached here last; on the command line, the newest"


def number(text: str) -> float:
    """A number as in the form of the dashboard, such as 0.001 or 0,001. Raises what argparse turns into one sentence."""
    try:
        return float(typed.number(text, ""))
    except typed.AmbiguousNumberError as error:
        raise argparse.ArgumentTypeError(str(error).strip()) from None
    except InputError as error:
        raise ValueError(text) from error


def whole(text: str) -> int:
    """A whole number. Raises like `number`."""
    with contextlib.suppress(ValueError):
        return int(text)  # exact, however long
    value = number(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


def amount(text: str) -> float:
    """A number that may end with k, M or G, such as 25M. Raises like `number`."""
    unit = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text.strip()[-1:].lower())
    return number(text) if unit is None else number(text.strip()[:-1]) * unit


RECIPE_OPTIONS: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("epochs", whole, "length of the run"),
    ("lr", number, "peak learning rate of the last phase"),
    ("batch-size", whole, "images per step"),
    ("optimiser", str, "adamw, adam or sgd"),
    ("schedule", str, "one_cycle, cosine or constant"),
    ("weight-decay", number, "weight decay"),
    ("label-smoothing", number, "share of each label spread over all classes"),
    ("image-size", whole, "pixels"),
    ("crop", number, "share of the shorter side the central crop keeps"),
    ("patience", whole, "epochs without a better validation score until a phase ends"),
    ("max-missing", number, "share of the images of a split or class that may be left out"),
    ("seed", whole, "of all random choices"),
    ("device", str, "auto, cpu, cuda, cuda:N or mps"),
    ("precision", str, "auto, fp32, bf16 or fp16"),
    ("probe", str, "how to fit a head on frozen layers: auto, logistic, ridge or sgd"),
    ("cache", str, "whether to cache the activations of frozen layers: auto, on or off"),
    ("cache-budget", whole, "disk space for all caches, in bytes"),
    ("cache-dtype", str, "how to store cached activations: fp32, bf16 or fp16"),
    ("views", whole, "random views of each image under crop and colour, so that they can be cached"),
    ("threads", whole, "of the worker"),
    ("transform", str, "a transform of training images in custom code, such as augment.noisy"),
    ("head", str, "task-specific layers in custom code, such as heads.MLP"),
    ("title", str, "free text"),
)


def task(p: argparse.ArgumentParser) -> None:
    """Which examples, and how to split them. Task.from_folder has the defaults."""
    p.add_argument("task", help=f"a folder with one folder per class, or {DEMO_PREFIX}textile, {DEMO_PREFIX}digits")
    add_optional(p, "--groups", metavar="REGEX", help="keep images whose paths match in the same text in one split")
    add_optional(p, "--layout", help="what the levels of folders are: class, split/class, '*/class', or with names of folders")
    for split in ("train", "val"):
        add_optional(
            p, f"--{split}", nargs="+", metavar="FOLDER", help=f"folders in it that hold the class folders for {split}"
        )
    add_optional(p, "--ignore", nargs="+", metavar="PATTERN", help="names or paths to leave out, such as '*_mask.png'")
    add_optional(p, "--holdout", type=number, help="share of each class for validation (default: 0.2)")
    add_optional(
        p,
        "--test",
        type=share_or_folder,
        metavar="SHARE",
        help="share of each class for the final test (default: 0), or a folder",
    )
    add_optional(p, "--white-level", type=whole, metavar="VALUE", help="of 16-bit images (default: by the bits in use)")
    add_optional(p, "--max-aspect", type=number, metavar="TIMES", help="how much longer a side may be (default: 100)")
    add_optional(p, "--per-class", type=whole, help="use at most this many images of each class")
    p.add_argument("--skip-bad", action="store_true", help="leave out unreadable images and conflicting copies")


def share_or_folder(text: str) -> float | str:
    """A number, or the name of a folder."""
    try:
        return number(text)
    except ValueError:
        return text


def split_seed(p: argparse.ArgumentParser) -> None:
    """The seed of a task; a run has its own."""
    add_optional(p, "--seed", type=whole, help="of the split (default: 0)")


def backbone(p: argparse.ArgumentParser) -> None:
    """Which shared layers."""
    p.add_argument("backbone", metavar="NAME", help="see `backbones`")
    weights(p)


def weights(p: argparse.ArgumentParser) -> None:
    """Which pretrained weights."""
    add_optional(p, "--weights", type=parse_weights, help='"default", a name, "none" for random, or a file')


def layers(p: argparse.ArgumentParser) -> None:
    """Which layers."""
    p.add_argument("layers", nargs="+", metavar="LAYER", help="a stage such as layer4, or layers as globs such as *.bn1")


def multiplier(p: argparse.ArgumentParser) -> None:
    """How fast they learn."""
    p.add_argument("--lr", type=number, metavar="TIMES", help="learn at this multiple of the learning rate of the head")


def recipe(p: argparse.ArgumentParser) -> None:
    """All settings of a recipe except the task. Options that are not given are absent from the result."""
    add_optional(p, "--backbone", metavar="NAME", help="shared layers, see `backbones` (default: as chosen, else resnet18)")
    weights(p)
    add_optional(p, "--strategy", help=f"one of {', '.join(STRATEGIES)} (default: as chosen, else lp_ft)")
    add_optional(p, "--freeze", nargs="+", metavar="LAYER", help="layers that stay frozen in the last phase, as globs")
    add_optional(p, "--thaw", nargs="+", metavar="LAYER", help="layers that learn in the last phase, all others frozen")
    for option, kind, text in RECIPE_OPTIONS:
        add_optional(p, f"--{option}", type=kind, help=text)
    add_optional(p, "--code", nargs="+", metavar="FILE.py", help="custom code; augment.py is the module augment")
    add_optional(p, "--augment", nargs="*", metavar="NAME", help=f"any of {', '.join(AUGMENTATIONS)}; nothing for none")


def changes(p: argparse.ArgumentParser) -> None:
    """What to change while a run is running."""
    add_optional(p, "--freeze", nargs="+", metavar="LAYER", help="layers to freeze, as globs")
    add_optional(p, "--thaw", nargs="+", metavar="LAYER", help="layers to thaw, as globs")
    add_optional(p, "--lr", type=number, help="peak learning rate of the present phase")
    add_optional(p, "--epochs", type=whole, help="length of the run, all phases together")


def watching(p: argparse.ArgumentParser) -> None:
    """Whether to wait."""
    p.add_argument("--wait", action="store_true", help="show progress until the run ends")


def unusual(p: argparse.ArgumentParser) -> None:
    """Whether settings that are hardly ever meant are meant."""
    p.add_argument("--unusual", action="store_true", help="take values that are hardly ever meant, too")


def run(p: argparse.ArgumentParser) -> None:
    """Which run."""
    p.add_argument("run", nargs="?", metavar="RUN", help=f"{A_RUN} ({THE_DEFAULT})")


def moved(p: argparse.ArgumentParser) -> None:
    """Where the images of the run are now."""
    add_optional(p, "--data", metavar="PATH", help="where its images lie now, if they have moved; their content is checked")


def longer(p: argparse.ArgumentParser) -> None:
    """How a run that has ended goes on as another."""
    add_optional(p, "--epochs", type=whole, help="length of the new run (default: that of the last phase)")
    add_optional(p, "--lr", type=number, help="peak learning rate (default: as it was)")
    naming(p)
    unusual(p)


def naming(p: argparse.ArgumentParser) -> None:
    """What the new run is called."""
    add_optional(p, "--name", help="a name for the run, accepted wherever an id is")


def backbone_name(p: argparse.ArgumentParser) -> None:
    """The name of saved shared layers."""
    p.add_argument("name", help="of the saved shared layers, which are then called mine/NAME")


def backbone_folder(p: argparse.ArgumentParser) -> None:
    """A folder of saved shared layers, and what to call them."""
    p.add_argument("folder", help="a folder of saved shared layers")
    p.add_argument("--name", help="what to call them here (default: the folder's name)")
    p.add_argument("--yes", action="store_true", help="I have read the code in the folder; allow it to run here")


def rename(p: argparse.ArgumentParser) -> None:
    """The new name, and which run."""
    p.add_argument("name", help='its name from now on; "" removes it')
    run(p)


def a_run(p: argparse.ArgumentParser) -> None:
    """Which run; there is no default for what cannot be undone."""
    p.add_argument("run", metavar="RUN", help=A_RUN)


def trusting(p: argparse.ArgumentParser) -> None:
    """Whether the code has been read."""
    p.add_argument("--yes", action="store_true", help="I have read the code; allow it to run here")


def timeout(p: argparse.ArgumentParser) -> None:
    """How long to wait."""
    p.add_argument("--timeout", type=number, metavar="SECONDS", help="stop waiting after this time; the run continues")


def lines(p: argparse.ArgumentParser) -> None:
    """How much of a log."""
    p.add_argument("--lines", type=whole, default=40, help="number of lines (default: %(default)s)")


def folder(p: argparse.ArgumentParser) -> None:
    """The target folder."""
    p.add_argument("folder", help="a new folder")


def export_format(p: argparse.ArgumentParser) -> None:
    """What can read it."""
    names = ", ".join(formats.NAMES)
    add_optional(p, "--format", metavar="NAME", help=f"one of {names} (default: {formats.DEFAULT})")


def explain(p: argparse.ArgumentParser) -> None:
    """Which run and images, and what to compare with."""
    p.add_argument(
        "words", nargs="*", metavar="RUN IMAGE", help=f"{A_RUN} ({THE_DEFAULT}); then files (default: its worst mistakes)"
    )
    p.add_argument("--target", metavar="CLASS", help="the class to explain (default: the one predicted)")
    p.add_argument(
        "--before", metavar="RUN_OR_SNAPSHOT", help="another run or a snapshot of this one (default: its linear probe)"
    )
    add_optional(p, "--baseline", help="baseline of input attributions: mean, blur or black (default: mean)")


def predict(p: argparse.ArgumentParser) -> None:
    """Which images and run, and where to write the table."""
    p.add_argument("images", nargs="+", metavar="FILE", help="files, folders of images, or patterns such as new/*.jpg")
    p.add_argument("--run", metavar="RUN", help=f"{A_RUN} ({THE_DEFAULT})")
    p.add_argument("--csv", metavar="FILE", help="write the table to this file as well")


def searched(p: argparse.ArgumentParser) -> None:
    """Which backbones to list."""
    p.add_argument("text", nargs="*", help="parts of a name, such as dinov2 small")
    add_optional(p, "--max-params", type=amount, metavar="NUMBER", help="at most so many parameters, such as 25M")
    add_optional(p, "--max-multiply-adds", type=amount, metavar="NUMBER", help="at most so many for one image, such as 4.5G")
    add_optional(p, "--max-size", type=whole, metavar="PIXELS", help="images of at most so many pixels in height and width")
    add_optional(p, "--licence", metavar="TEXT", help="a part of the licence of the weights, such as apache")
    p.add_argument("--downloaded", action="store_true", help="only backbones with pretrained weights on this machine")


def caches(p: argparse.ArgumentParser) -> None:
    """Which caches to remove."""
    p.add_argument("--clear", nargs="*", metavar="KEY", help="remove these, or all if none is named; runs compute them again")


def report(p: argparse.ArgumentParser) -> None:
    """Where to write the report."""
    p.add_argument("--report", default="demo-report.html", help="where to write the report (default: %(default)s)")


def topic(p: argparse.ArgumentParser) -> None:
    """What to explain."""
    p.add_argument("topic", nargs="?", metavar="COMMAND", help="one command (default: all of them)")


def add_optional(p: argparse.ArgumentParser, option: str, **how: Any) -> None:
    """Add an option without a default: functions have their own, and so has a draft."""
    p.add_argument(option, default=argparse.SUPPRESS, **how)


def parse_weights(text: str) -> str | None:
    """The name of weights, or None for "none"."""
    return None if text == "none" else text
