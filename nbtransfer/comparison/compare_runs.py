"""`explain`: what a run changed, split between shared layers and head, on chosen images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from nbtransfer.comparison.example import HEADER, Example
from nbtransfer.comparison.inputs import class_numbers, open_images
from nbtransfer.comparison.snapshots import BEST, Snapshot, find_before, find_snapshot
from nbtransfer.core.calls import checked
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.core.text.tables import html_table, text_table
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nbtransfer.engine.model.transfer_model import TransferModel

DPI = 100


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What changed between two models, image by image. Plain data: numbers, text and NumPy arrays.

    before, after   the two models, in words
    examples        one for each image, with its `finding`
    """

    before: str
    after: str
    backbone: str
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> Example:
        """One image; raises InputError if there is no such number."""
        if not -len(self) <= number < len(self):
            raise InputError(
                f"there is no image {number}; this comparison holds {quantity(len(self), 'image')}, counted from 0"
            )
        return self.examples[number]

    def figure(self, number: int = 0, ink: str = "black", *, narrow: bool = False) -> Figure:
        """One image as a matplotlib figure with a transparent background.

        `ink` is the colour of text and lines, for dark pages; `narrow` is a form that can be read on a telephone.
        """
        from nbtransfer.comparison.evidence_figure import draw  # matplotlib takes a while to load
        from nbtransfer.comparison.figures import in_ink

        return in_ink(draw(self[number], self.before, self.after, narrow=narrow), ink)

    def png(self, number: int = 0, ink: str = "black", dpi: int = DPI) -> bytes:
        """The figure as a PNG file, 1100 pixels wide at 100 dpi."""
        from nbtransfer.comparison.figures import png

        return png(self.figure(number, ink), dpi)

    def svg(self, number: int = 0, *, narrow: bool = False) -> str:
        """The figure as an `<svg>` element that has the colour of the text around it."""
        from nbtransfer.comparison.figures import INK, svg

        return svg(self.figure(number, INK, narrow=narrow))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """All numbers of all images as cells of a table."""
        for number, example in enumerate(self.examples):
            yield from ((str(number), *row) for row in example.rows())

    HEADER = ("image", *HEADER)

    def table(self) -> str:
        """All numbers of all images as text."""
        return text_table(self.HEADER, self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything, maps included, as plain data for JSON."""
        examples = [example.to_dict() for example in self.examples]
        return {"before": self.before, "after": self.after, "backbone": self.backbone, "examples": examples}

    def __repr__(self) -> str:
        targets = short_list(list(dict.fromkeys(example.target for example in self.examples)))
        images = quantity(len(self), "image")
        return f"Comparison({images}, evidence for {targets}, before: {self.before}, after: {self.after})"

    def _repr_html_(self) -> str:
        from nbtransfer.comparison.figures import INK, html

        pictures = (html(self.figure(number, INK), example.caption()) for number, example in enumerate(self.examples))
        table = html_table(self.HEADER, self.rows())
        return f"<p>{escape(repr(self))}</p>{''.join(pictures)}<details><summary>Numbers</summary>{table}</details>"


@checked()
def explain(
    run: Run, images: Any, target: Any = None, *, before: Run | str | None = None, after: str = BEST, baseline: str = "mean"
) -> Comparison:
    """What a run changed, and how much of it is due to the shared features and how much to the head.

    images     one or many in any form that `predict` takes, or samples of the run's task, whose class is then shown
    target     the class to explain: a name, a number, one for each image, or None for the answer of the model after
    before     a run, its id, or a snapshot of this run ("start", "0-lp", …); None is the linear probe: this run's own, else the
               newest finished one on the same task, weights and input
    after      a snapshot of this run
    baseline   where the path of integrated gradients starts: the source task's "mean" colour, "black", or a "blur" of the image

    Takes a few seconds per image. Works on snapshots only: neither the run nor a model of yours is touched. Raises InputError
    if the two models cannot be compared, RunError if the run has no model yet. Method and limits:
    docs/explanation/explaining.md.
    """
    return explain_with(Snapshot.model, run, images, target, before=before, after=after, baseline=baseline)


def explain_with(
    load: Callable[[Snapshot], TransferModel],
    run: Run,
    images: Any,
    target: Any,
    *,
    before: Run | str | None,
    after: str,
    baseline: str = "mean",
) -> Comparison:
    """`explain` with models from `load`, such as a cache."""
    last = find_snapshot(run, after)
    first = find_before(run, before, after)
    opened, classes = open_images(run, images), run.recipe.task.classes  # before models are loaded, which takes a while
    targets = class_numbers(target, len(opened), classes)
    import torch

    from nbtransfer.attribution.compare import compare  # loads torch and captum
    from nbtransfer.engine.data.preprocess import resize_and_crop

    pair = load(first), load(last)
    pixels = torch.stack([resize_and_crop(image, pair[1].spec) for _, image in opened])
    findings = compare(*pair, pixels, targets, baseline)
    views = pixels.permute(0, 2, 3, 1).numpy()
    examples = tuple(
        Example(given.name, np.ascontiguousarray(view), given.truth, classes, finding)
        for (given, _), view, finding in zip(opened, views, findings, strict=True)
    )
    return Comparison(str(first), str(last), pair[1].card.name, examples)
