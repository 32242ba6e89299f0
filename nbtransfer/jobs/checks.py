"""Checks that take milliseconds, before a worker starts."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.code import Code
from nbtransfer.core.missing import too_many_missing
from nbtransfer.core.recipe import OWN_NET, WEIGHT_SUFFIXES, Recipe
from nbtransfer.core.task import TaskCard
from nbtransfer.errors import CodeError, MissingExtraError, RecipeError, TaskError
from nbtransfer.pretrained import saved
from nbtransfer.pretrained.cards import TIMM, TRANSFORMERS, card_of
from nbtransfer.usercode import trusted
from nbtransfer.usercode.module import with_code


def preflight(recipe: Recipe) -> Recipe:
    """The recipe as a worker can use it, with absolute paths; otherwise raises an error that says what to do."""
    card = card_of(recipe)
    recipe = with_code(recipe)
    recipe = replace(recipe, code=(*recipe.code, *_saved_code(recipe, card)))
    trusted.require(recipe.code)
    recipe.check_against(card)
    _check_packages(recipe, card)
    _check_size(recipe, card)
    _check_task(recipe)
    _check_device(recipe)
    _try_code(recipe, card)
    recipe = _with_absolute_weights(recipe)
    _try_weights(recipe, card)
    return recipe


def _saved_code(recipe: Recipe, card: BackboneCard) -> Iterator[Code]:
    """The code of saved shared layers that the recipe lacks; raises CodeError if it has another version of it."""
    own = {code.name: code for code in recipe.code}
    for code in saved.codes_of(card):
        if code.name not in own:
            yield code
        elif own[code.name].sha256 != code.sha256:
            raise CodeError(
                f"{card.name} comes with another version of the code {code.name!r}; write yours in a cell of another name"
            )


def _check_packages(recipe: Recipe, card: BackboneCard) -> None:
    if card.origin in ("timm", "transformers") and importlib.util.find_spec(card.origin) is None:
        raise MissingExtraError(f"backbone {card.name!r}", card.origin)
    if recipe.weights is not None and recipe.weights_file is None:
        package = card.weights_named(recipe.weights).package
        if package and importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"the pretrained {card.name}", "demo")


def _check_size(recipe: Recipe, card: BackboneCard) -> None:
    """Built-in backbones take any size from `min_size` up; others were tried with their own when their card was made."""
    shape = recipe.input_for(card).shape
    if card.built_as.startswith((TIMM, TRANSFORMERS, OWN_NET)) and shape != card.input.shape:
        from nbtransfer.pretrained import registry  # loads torch

        registry.try_shape(card, shape, recipe.code)


def _check_task(recipe: Recipe) -> None:
    task = recipe.task
    if task.kind != "code" and not Path(task.root).exists():
        raise TaskError(f"the images of {task.name} are no longer in {task.root}; say where they are with task.at(folder)")
    if task.sizes["train"] < 2 or task.sizes["val"] < 1:
        raise TaskError(f"{task!r} is too small; it needs at least 2 training images and 1 to validate on")
    if task.kind == "folder" and (why := too_many_missing(_gone(task), task, recipe.max_missing)):
        raise TaskError(why)


def _gone(task: TaskCard) -> Iterator[str]:
    """The examples whose files are gone. Each folder is listed once: on a network drive, every question takes its time."""
    present: dict[Path, set[Path]] = {}
    for sample in task.samples:
        path = Path(task.root, sample.source)
        if path.parent not in present:
            present[path.parent] = set(path.parent.iterdir()) if path.parent.is_dir() else set()
        if path not in present[path.parent]:
            yield sample.source


def _check_device(recipe: Recipe) -> None:
    """Whether this machine has the GPU that is asked for. What runs anywhere loads nothing here."""
    if recipe.device not in ("auto", "cpu") or recipe.precision == "fp16":
        from nbtransfer.engine import device  # loads torch

        device.choose(recipe.device, recipe.precision)


def _try_weights(recipe: Recipe, card: BackboneCard) -> None:
    """Load the user's own weights once: what does not fit here would not fit in the worker."""
    if recipe.weights_file is not None:
        from nbtransfer.pretrained import registry  # loads torch

        registry.build(card, recipe.weights, own_file=True, size=recipe.input_for(card).size, codes=recipe.code)


def _try_code(recipe: Recipe, card: BackboneCard) -> None:
    """Try custom code once: what fails here would fail in the worker."""
    if not recipe.references:
        return
    from nbtransfer.engine.data.custom_transform import try_transform  # loads torch, as custom code does
    from nbtransfer.engine.model.custom_head import try_head

    if recipe.head is not None:
        try_head(recipe.head, recipe.code, card.width, len(recipe.task.classes), recipe.seed)
    if recipe.transform is not None:
        try_transform(recipe)


def _with_absolute_weights(recipe: Recipe) -> Recipe:
    if recipe.weights_file is None:
        return recipe
    path = Path(recipe.weights_file).expanduser().absolute()
    if path.is_dir():
        inside = next((file.name for file in sorted(path.iterdir()) if file.suffix in WEIGHT_SUFFIXES), "a weights file")
        raise RecipeError(f"{path} is a folder, not a weights file; give {inside} in it")
    if not path.is_file():
        raise RecipeError(f"there is no weights file {path}; give a path that exists, or weights='default'")
    if path.suffix not in WEIGHT_SUFFIXES:
        raise RecipeError(f"{path.name} is not a supported weights file; use one of {', '.join(WEIGHT_SUFFIXES)}")
    return replace(recipe, weights=str(path))
