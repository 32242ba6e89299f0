"""Cards of models that are not in the catalogue: made once, kept in the home folder, read by kernel and worker alike.

A card says where its model can be cut, which is proved on the model itself. That needs torch, seconds to minutes and memory for
the model, so a process without torch leaves it to another one: `python -m nbtransfer.pretrained.cards NAME`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.errors import BackboneError, InputError, MissingExtraError
from nbtransfer.pretrained import saved
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.store.search_path import python_path

TIMM = "timm/"
CUT = 2
"""The version of the cut: raised when a model may be cut into other stages than before."""


def card(name: str) -> BackboneCard:
    """The card of any backbone. Raises BackboneError if there is none of this name, or if it cannot be used."""
    if name.startswith(saved.PREFIX):
        return saved.card(name)
    return _kept(name, home()) if name.startswith(TIMM) else catalog.card(name)


@functools.cache
def _kept(name: str, folder: Path) -> BackboneCard:
    if importlib.util.find_spec("timm") is None:
        raise MissingExtraError("this backbone", "timm")
    version = importlib.metadata.version("timm")
    file = folder / "cards" / f"{name.removeprefix(TIMM).replace('/', '_')}-{version}-cut{CUT}.json"
    try:
        return catalog.decode(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, InputError):
        pass
    made = _made_here(name) if "torch" in sys.modules else _made_apart(name)
    private_folder(file.parent)
    atomic.write_text(file, catalog.encode(made))
    return made


def _made_here(name: str) -> BackboneCard:
    from nbtransfer.pretrained import registry

    return registry.make_card(name)


def _made_apart(name: str) -> BackboneCard:
    """Made by a process of its own, which prints the card, or why there is none."""
    command = [sys.executable, "-P", "-m", "nbtransfer.pretrained.cards", name]
    given = {**os.environ, "PYTHONPATH": python_path()}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=given)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = done.stderr.strip().splitlines()
        why = said[-1] if said else f"its process ended with {done.returncode}"
        raise BackboneError(f"the card of {name} could not be made ({why}); try again with more free memory") from None
    if "error" in answer:
        raise BackboneError(answer["error"])
    return catalog.decode(answer["card"])


def main() -> None:
    """Print the card of one model as JSON."""
    try:
        answer = {"card": catalog.encode(_made_here(sys.argv[1]))}
    except InputError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
