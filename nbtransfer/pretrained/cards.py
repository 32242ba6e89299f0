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
from collections.abc import Callable, Iterable
from pathlib import Path

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.code import Code, find, parts
from nbtransfer.core.recipe import OWN_NET, Recipe
from nbtransfer.errors import BackboneError, InputError, MissingExtraError
from nbtransfer.pretrained import saved, transformers_disk, transformers_files
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.store.search_path import python_path
from nbtransfer.usercode.module import find_code

TIMM, TRANSFORMERS = "timm/", transformers_disk.PREFIX
CUT = 2
"""The version of the cut: raised when a model may be cut into other stages than before."""


def card(name: str, codes: Iterable[Code] | None = None) -> BackboneCard:
    """The card of any backbone. `codes` holds the code of the user's own; by default it is what was written in this process.

    Raises BackboneError if there is none of this name, or if it cannot be used, and CodeError for what is wrong in own code.
    """
    if name.startswith(OWN_NET):
        return _own(name, codes)
    if name.startswith(saved.PREFIX):
        return saved.card(name)
    if name.startswith(TRANSFORMERS):
        return _of_transformers(name)
    return _of_timm(name, home()) if name.startswith(TIMM) else catalog.card(name)


def card_of(recipe: Recipe) -> BackboneCard:
    """The card of a recipe's backbone. Raises like `card`."""
    return card(recipe.backbone, recipe.code or None)


@functools.cache
def _of_timm(name: str, folder: Path) -> BackboneCard:
    if importlib.util.find_spec("timm") is None:
        raise MissingExtraError("this backbone", "timm")
    version = importlib.metadata.version("timm")
    return _kept(
        folder / f"{name.removeprefix(TIMM).replace('/', '_')}-{version}",
        lambda: _make(name),
    )


def _of_transformers(name: str) -> BackboneCard:
    """One per text of the files that describe the model: a later version of it may have others."""
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtraError("this backbone", "transformers")
    files = transformers_files.described(name)
    return _of_files(name, transformers_files.digest(files), home())


@functools.cache
def _of_files(name: str, digest: str, folder: Path) -> BackboneCard:
    version = importlib.metadata.version("transformers")
    return _kept(folder / f"{name.replace('/', '_')}-{digest[:16]}-{version}", lambda: _make(name))


def _make(name: str) -> BackboneCard:
    return _made_here(name) if "torch" in sys.modules else _made_apart(name)


def _own(name: str, codes: Iterable[Code] | None) -> BackboneCard:
    """One per text of the code, and only that text can say what it imports."""
    reference = name.removeprefix(OWN_NET)
    code = find_code(reference) if codes is None else find(parts(reference)[0], codes)

    def make() -> BackboneCard:
        import torch  # as the code does

        from nbtransfer.pretrained import own_nets

        with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"):
            return own_nets.make_card(name, [code])

    versions = "-".join(
        importlib.metadata.version(library) for library in ("torch", "timm") if importlib.util.find_spec(library)
    )
    return _kept(home() / f"{reference}-{code.sha256[:16]}-{versions}", make)


def _kept(file: Path, make: Callable[[], BackboneCard]) -> BackboneCard:
    """The card kept under this name in the folder of cards, made if there is none."""
    kept = file.parent / "cards" / f"{file.name}-cut{CUT}.json"
    try:
        return catalog.decode(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError, InputError):
        pass
    made = make()
    private_folder(kept.parent)
    atomic.write_text(kept, catalog.encode(made))
    return made


def _made_here(name: str) -> BackboneCard:
    import torch

    from nbtransfer.pretrained import registry, transformers_models

    # Whatever a notebook has set for itself.
    with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"):
        return transformers_models.make_card(name) if name.startswith(TRANSFORMERS) else registry.make_card(name)


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
