"""`explain`: what a run changed, split between shared layers and head, for images of one's choice."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from nbtransfer.comparison import snapshots
from nbtransfer.comparison.example import HEADER, Example
from nbtransfer.core.task import Sample
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list, suggest
from nbtransfer.core.text.tables import html_table, text_table
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

    from nbtransfer.engine.model.transfer_model import TransferModel

DPI = 100


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What changed between two models, image by image. Plain data: numbers, text and NumPy arrays.

    before, after   which models, in words
    examples        one for each image, with its `finding`
    """

    before: str
    after: str
    backbone: str
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> Example:
        """One image; raises InputError when there is no such number."""
        if not -len(self) <= number < len(self):
            raise InputError(
                f"there is no image {number}; this comparison holds {quantity(len(self), 'image')}, counted from 0"
            )
        return self.examples[number]

    def figure(self, number: int = 0, ink: str = "black") -> Figure:
        """One image as a matplotlib figure on a transparent ground; `ink` colours text and lines, for dark pages."""
        from nbtransfer.comparison.evidence_figure import draw  # matplotlib takes a while to load

        return draw(self[number], self.before, self.after, ink)

    def png(self, number: int = 0, ink: str = "black", dpi: int = DPI) -> bytes:
        """The figure as a PNG file, 1100 pixels wide at 100 dpi."""
        from nbtransfer.comparison.figures import png

        return png(self.figure(number, ink), dpi)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """All numbers of all images as cells of a table."""
        for number, example in enumerate(self.examples):
            yield from ((str(number), *row) for row in example.rows())

    HEADER = ("image", *HEADER)

    def table(self) -> str:
        """All numbers of all images as text."""
        return text_table(self.HEADER, self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything, maps too, as plain data that JSON can hold."""
        examples = [example.to_dict() for example in self.examples]
        return {"before": self.before, "after": self.after, "backbone": self.backbone, "examples": examples}

    def __repr__(self) -> str:
        targets = short_list(list(dict.fromkeys(example.target for example in self.examples)))
        images = quantity(len(self), "image")
        return f"Comparison({images}, evidence for {targets}, before: {self.before}, after: {self.after})"

    def _repr_html_(self) -> str:
        # On white: a saved notebook does not know whether it will be read on a dark page.
        style = "background:#fff;border-radius:6px;max-width:100%"
        pictures = (
            f'<img style="{style}" alt="{escape(example.caption(), quote=True)}" '
            f'src="data:image/png;base64,{base64.b64encode(self.png(number)).decode()}">'
            for number, example in enumerate(self.examples)
        )
        table = html_table(self.HEADER, self.rows())
        return f"<p>{escape(repr(self))}</p>{''.join(pictures)}<details><summary>Numbers</summary>{table}</details>"


Models = Callable[[snapshots.Snapshot], "TransferModel"]


def explain(
    run: Run,
    images: Any,
    target: Any = None,
    *,
    before: Run | str | None = None,
    after: str = snapshots.BEST,
    baseline: str = "mean",
    models: Models = snapshots.Snapshot.model,
) -> Comparison:
    """What a run changed, and how much of it is due to the shared features and how much to the head.

    images     paths, PIL images, uint8 arrays (H, W, 3), or samples of the run's task (then the truth is shown); one or many
    target     the class to explain: a name, a number, one for each image, or None for what the model after answers
    before     a run, its id, or a snapshot of this run ("start", "0-lp", …); None is the linear probe: this run's own, else the
               newest finished one on the same task, weights and input
    after      a snapshot of this run
    baseline   what an image is compared with along the path: the source task's "mean" colour, "black", or its own "blur"
    models     how to get the model of a snapshot; for those who keep models

    A few seconds for each image. Works on snapshots only: neither the run nor any model of yours is touched. Raises InputError
    when the two models cannot be compared, RunError when the run has no model yet. Method and limits are described in
    docs/explanation/explaining.md.
    """
    last = snapshots.snapshot(run, after)
    first = snapshots.before(run, before, after)
    from nbtransfer.attribution.compare import compare  # loads torch and captum

    pair = models(first), models(last)
    pixels, named = _opened(run, images, pair[1])
    targets = _targets(target, len(named), pair[1].classes)
    found = compare(*pair, pixels, targets, baseline)
    shown = pixels.permute(0, 2, 3, 1).numpy()
    examples = tuple(
        Example(name, np.ascontiguousarray(image), truth, pair[1].classes, finding)
        for (name, truth), image, finding in zip(named, shown, found, strict=True)
    )
    return Comparison(str(first), str(last), pair[1].card.name, examples)


def _opened(run: Run, images: Any, model: TransferModel) -> tuple[Any, list[tuple[str, str | None]]]:
    """Pixels as the model sees them, uint8 (N, 3, size, size), and for each image its name and its class, if known."""
    import torch

    from nbtransfer.engine.data.open_images import each
    from nbtransfer.engine.data.preprocess import shape

    given = [images] if isinstance(images, Sample) else each(images)
    if not given:
        raise InputError("there is no image to explain; give at least one")
    opened = [_image(run, image) for image in given]
    named = [_named(run, image, number) for number, image in enumerate(given)]
    return torch.stack([shape(image, model.spec) for image in opened]), named


def _image(run: Run, image: Any) -> Image.Image:
    from nbtransfer.engine.data.open_images import opened

    if not isinstance(image, Sample):
        return opened(image)
    try:
        return ImageSource(run.recipe.task).image(image)
    except UndecodableError as error:
        raise InputError(f"{image.source} cannot be used: {error}") from error


def _named(run: Run, image: Any, number: int) -> tuple[str, str | None]:
    if isinstance(image, Sample):
        return image.source, run.recipe.task.classes[image.label]
    return (str(image) if hasattr(image, "__fspath__") or isinstance(image, str) else f"image {number}"), None


def _targets(target: Any, count: int, classes: tuple[str, ...]) -> list[int | None]:
    """The number of a class for each image."""
    many = isinstance(target, (Sequence, np.ndarray)) and not isinstance(target, str)
    wanted = list(target) if many else [target] * count
    if len(wanted) != count:
        raise InputError(f"there are {len(wanted)} targets for {quantity(count, 'image')}; give one, or one for each image")
    return [_target(value, classes) for value in wanted]


def _target(value: Any, classes: tuple[str, ...]) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value in classes:
        return classes.index(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value < len(classes):
        return int(value)
    hint = suggest(value, classes) if isinstance(value, str) else f"give a name or a number from 0 to {len(classes) - 1}"
    raise InputError(f"there is no class {value!r}; {hint} (classes: {short_list(classes, most=20)})")
