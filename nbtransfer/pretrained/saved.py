"""Shared layers that a run has learned, saved under a name for other tasks: `mine/NAME`.

    card.json          the card with its lineage, and the format
    model.safetensors  the shared layers
    head.safetensors   the task-specific layers of the source task, if they are one linear layer
    code/NAME.py       the class of shared layers of one's own

A folder of these can be given to somebody else. Adding it executes nothing; its code runs only where it is trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.calls import checked
from nbtransfer.core.code import Code
from nbtransfer.core.formats.numbers import BACKBONE, refusal
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import BackboneError, CodeError, InputError, WeightsError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.usercode import trusted

PREFIX = "mine/"
FOLDER = "backbones"
CARD, WEIGHTS, HEAD, CODE = "card.json", "model.safetensors", "head.safetensors", "code"
_NAME = re.compile(r"[^\W_][\w.+-]{0,39}")


def check_name(name: str) -> str:
    """The name without `mine/`; raises BackboneError unless it can name a folder."""
    own = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(own) or own.endswith("."):
        raise BackboneError(
            f"{name!r} is not a valid name for a saved backbone; use up to 40 letters, digits and . _ - +, starting with a "
            "letter or digit and not ending with a dot"
        )
    return own


def folder_of(name: str) -> Path:
    """Where the backbone of this name is kept, whether it exists or not."""
    return home() / FOLDER / check_name(name)


def names() -> list[str]:
    """All saved backbones, as `mine/NAME`, in alphabetical order."""
    folder = home() / FOLDER
    found = (path.name for path in folder.iterdir() if (path / CARD).is_file()) if folder.is_dir() else ()
    return sorted(f"{PREFIX}{name}" for name in found if _NAME.fullmatch(name))


def card(name: str) -> BackboneCard:
    """The card of a saved backbone; raises BackboneError if there is none, or if it cannot be read here."""
    return _read(_existing(name), name)


def origin(name: str, digest: str | None) -> str | None:
    """Where the weights that a run began with came from, in words; None where they are no saved ones.

    `digest` is the sha256 of the run's weights: another backbone may have the name by now.
    """
    if not name.startswith(PREFIX) or digest is None:
        return None
    try:
        found = card(name)
    except BackboneError:
        return f"{name}, which was deleted since"
    return f"{name}, from {found.lineage}" if found.weights[0].digest == digest else f"{name}, which holds other weights by now"


def require_weights(name: str, digest: str | None, run_id: str) -> None:
    """Raise BackboneError if saved shared layers are not those that a run began with."""
    if name.startswith(PREFIX) and digest is not None and card(name).weights[0].digest != digest:
        raise BackboneError(f"{name} holds other weights than run {run_id} began with; add the folder it began with again")


def cards() -> Iterator[BackboneCard]:
    """The cards of all saved backbones that can be read here."""
    for name in names():
        try:
            yield card(name)
        except BackboneError:
            continue  # asking for it by name says why


def _existing(name: str) -> Path:
    folder = folder_of(name)
    if not (folder / CARD).is_file():
        known = names()
        hint = suggest(f"{PREFIX}{check_name(name)}", known) if known else "none is saved here; see run.save_backbone"
        raise BackboneError(f"there are no saved shared layers {name!r} in {home()}, or they were deleted; {hint}")
    return folder


def _read(folder: Path, name: str) -> BackboneCard:
    """The card in a folder, under the name it has here."""
    try:
        facts = json.loads((folder / CARD).read_text(encoding="utf-8"))
        why = refusal(facts["format"], BACKBONE)
        found = None if why else catalog.decode(json.dumps(facts["card"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, InputError) as error:
        raise BackboneError(f"{folder} holds no shared layers that can be used here ({error})") from error
    if found is None:
        raise BackboneError(f"{folder} {why}")
    if found.lineage is None or found.architecture is None or len(found.weights) != 1:
        raise BackboneError(
            f"{folder} holds no shared layers that can be used here (lineage, architecture or weights are missing)"
        )
    # What the card says of files and packages decides nothing: it may be somebody else's.
    entry = replace(found.weights[0], name="default", file=WEIGHTS, package=None)
    return replace(found, name=f"{PREFIX}{check_name(name)}", weights=(entry,))


def require_free(name: str) -> Path:
    """Where a backbone of this new name goes; raises BackboneError if it is taken or not valid."""
    target = folder_of(name)
    if target.exists():
        raise BackboneError(
            f"{PREFIX}{target.name} exists already; delete it with nbtransfer.delete_backbone, or use another name"
        )
    return target


def write(name: str, made: BackboneCard, write_tensors: Callable[[Path], None], codes: Sequence[Code] = ()) -> BackboneCard:
    """Save a backbone under a new name: all of it, or nothing. `write_tensors` writes its files into a folder.

    Its card states the sha256 of the weights. Raises BackboneError if the name is taken or not valid.
    """
    target = require_free(name)
    private_folder(target.parent)
    draft = atomic.temporary_beside(target)
    try:
        draft.mkdir(mode=0o700)
        write_tensors(draft)
        file = draft / WEIGHTS
        entry = replace(made.weights[0], digest=_digest(file), size=file.stat().st_size)
        made = replace(made, name=f"{PREFIX}{target.name}", weights=(entry,))
        for code in codes:
            (draft / CODE).mkdir(exist_ok=True)
            (draft / CODE / f"{code.name}.py").write_text(code.source, encoding="utf-8", newline="")
        stated = [(code.name, code.sha256) for code in codes]
        facts = {"format": BACKBONE, "card": json.loads(catalog.encode(made)), "code": stated}
        atomic.write_text(draft / CARD, json.dumps(facts, indent=1))
        atomic.publish(draft, target)
    except (OSError, SafetensorError) as error:
        if target.exists():  # another process was faster
            require_free(name)
        raise BackboneError(f"the shared layers cannot be saved in {target} ({error})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def codes_of(of: BackboneCard) -> list[Code]:
    """The code of saved shared layers of one's own; raises CodeError if it was changed."""
    return _read_codes(_existing(of.name)) if of.lineage is not None else []


def _read_codes(folder: Path) -> list[Code]:
    try:
        stated = json.loads((folder / CARD).read_text(encoding="utf-8")).get("code", [])
        found = [Code(Code(name, "").name, (folder / CODE / f"{name}.py").read_text("utf-8"), sha) for name, sha in stated]
    except (OSError, ValueError, TypeError) as error:
        raise CodeError(f"the code of the shared layers in {folder} cannot be read ({error})") from error
    if any(not code.unaltered for code in found):
        raise CodeError(f"the code of the shared layers in {folder} was changed after they were saved; copy the folder again")
    return found


def weights_file(of: BackboneCard) -> Path:
    """The verified weights of a saved backbone; raises WeightsError if they are not those of its card."""
    file = _existing(of.name) / WEIGHTS
    if not file.is_file() or _digest(file) != of.weights[0].digest:
        raise WeightsError(
            f"{file} is not what was saved as {of.name}; delete it with nbtransfer.delete_backbone, and save it again"
        )
    return file


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@checked(BackboneError)
def add_backbone(folder: str | os.PathLike[str], name: str | None = None, *, trust: bool = False) -> BackboneCard:
    """Add shared layers that were saved elsewhere: a folder with card and weights, which is copied and checked.

    name   what to call them here; default: the folder's name
    trust  whether code in the folder, which makes layers of somebody's own, may run here; read it first

    Nothing in the folder is executed. Raises BackboneError, WeightsError or CodeError if it is not whole, or if the name is
    taken.
    """
    source = Path(folder).expanduser().absolute()
    if not (source / CARD).is_file():
        raise BackboneError(f"{source} holds no saved shared layers: there is no {CARD}; give the folder itself")
    called = check_name(source.name if name is None else name)
    made, codes = _read(source, called), _read_codes(source)
    if not made.weights or not (source / WEIGHTS).is_file() or _digest(source / WEIGHTS) != made.weights[0].digest:
        raise WeightsError(f"{source / WEIGHTS} is missing or was changed: its sha256 is not that of its card; copy it again")

    def copy(draft: Path) -> None:
        for file in (WEIGHTS, HEAD):
            if (source / file).is_file():
                shutil.copyfile(source / file, draft / file)

    if trust:
        trusted.trust(codes)
    return write(called, made, copy, codes)


@checked(BackboneError)
def delete_backbone(name: str) -> None:
    """Delete saved shared layers for good. Runs that began with them keep their scores, but their models need the weights.

    Raises BackboneError if there are none of this name.
    """
    folder = folder_of(name)
    if not folder.is_dir():
        _existing(name)
    try:
        gone = atomic.temporary_beside(folder)
        folder.rename(gone)  # half a backbone is never seen
        shutil.rmtree(gone)
    except OSError as error:
        raise BackboneError(f"{folder} cannot be deleted ({error.strerror}); remove it by hand") from error
