"""A report on one or more runs as a single HTML file that needs nothing else. Names are text in it, never markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

from nbtransfer.comparison.compare_runs import Comparison
from nbtransfer.comparison.figures import html
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.task import SPLITS, Sample
from nbtransfer.core.text.counts import quantity, short_number
from nbtransfer.core.text.durations import duration
from nbtransfer.core.text.tables import html_table, text_table
from nbtransfer.jobs.run import Run
from nbtransfer.store import atomic
from nbtransfer.tasks.task import Task
from nbtransfer.ui.confusion import confusion_html
from nbtransfer.ui.curves import curves
from nbtransfer.ui.pictures import Judged, data_url, examples, worst_first

MISTAKES = 8


@dataclass(frozen=True)
class Report:
    """Runs on one task, side by side, under the names they go by in the report, and comparisons to show with them."""

    task: Task
    runs: Mapping[str, Run]
    comparisons: Sequence[Comparison] = ()

    HEADER = ("strategy", "validation accuracy (95 %)", "test accuracy (95 %)", "seconds", "trainable parameters")

    def rows(self) -> Iterator[tuple[str, ...]]:
        for name, run in self.runs.items():
            state = run.state
            trainable = max(phase.trainable for phase in state.prepared.phases) if state.prepared else 0
            scores = (_score(state.evaluation("val")), _score(state.evaluation("test")))
            yield name, *scores, f"{state.seconds:.0f}", short_number(trainable)

    def table(self) -> str:
        """The results as text."""
        return text_table(self.HEADER, self.rows())

    def write(self, path: Path) -> Path:
        """Write the report to a file."""
        head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(self.task.name)}</title>'
        body = "".join(self.sections())
        meta = f'<meta name="viewport" content="width=device-width"><style>{report_css()}</style>'
        atomic.write_text(path, f"{head}{meta}<body class=nbtransfer-report>{body}</body></html>")
        return path

    def sections(self) -> Iterator[str]:
        """The report, piece by piece; a run without scores has no matrix and no mistakes in it."""
        yield f"<h1>{escape(self.task.name)}</h1><p class=note>{escape(repr(self.task))}</p>"
        yield f"<h2>Results</h2>{html_table(self.HEADER, self.rows())}"
        for name, run in self.runs.items():
            yield verdict_html(run, f"{name}: ")
        yield _fineprint(self.runs)
        yield f"<h2>Examples</h2>{self._examples()}"
        yield f"<h2>Learning curves</h2>{curves_html(self.runs)}"
        scored = {name: run for name, run in self.runs.items() if run.state.evaluations}
        if scored:
            yield f"<h2>Confusion matrices</h2><div class=side>{''.join(_confusion(n, r) for n, r in scored.items())}</div>"
        if self.comparisons:
            yield f"<h2>What changed: shared vs task-specific layers</h2>{''.join(map(_comparison, self.comparisons))}"
        for name, run in scored.items():
            yield f"<h2>Worst mistakes: {escape(name)}</h2>{self._mistakes(run)}"
        for name, run in self.runs.items():
            yield f"<h2>Receipt: {escape(name)}</h2>{_receipt(run)}"

    def _examples(self) -> str:
        used = [split for split in SPLITS if self.task.sizes[split]]
        rows = [(name, *(counts[s] for s in used)) for name, counts in self.task.class_counts.items()]
        strips = []
        for name, samples in examples(self.task).items():
            chosen = map(self._thumbnail, samples)
            strips.append(f"<p class=note>{escape(name)}</p><div class=images>{''.join(chosen)}</div>")
        notes = "".join(f"<p class=note>{escape(note)}</p>" for note in self.task.notes)
        return html_table(("class", *used), rows) + notes + "".join(strips)

    def _mistakes(self, run: Run) -> str:
        """The answers that gave the truth the least probability; without a wrong one, the least certain right ones."""
        split = run.evaluate().split
        answers = list(worst_first(run, split))
        wrong = [judged for judged in answers if not judged.right]
        images = quantity(len(answers), f"{split} image")
        intro = (
            f"{quantity(len(wrong), 'mistake')} on {images}, worst first."
            if wrong
            else f"No mistakes on {images}; these predictions were the least certain."
        )
        figures = "".join(self._figure(judged) for judged in (wrong or answers)[:MISTAKES])
        return f"<p class=note>{intro}</p><div class=images>{figures}</div>"

    def _figure(self, judged: Judged) -> str:
        answer = f"{judged.answer} ({judged.probability:.2f})"
        picture = _image(data_url(self.task, judged.sample, 170), "")
        return f"<figure>{picture}<figcaption>{escape(answer)}<br>{escape(judged.sample.source)}</figcaption></figure>"

    def _thumbnail(self, sample: Sample) -> str:
        return f"<figure>{_image(data_url(self.task, sample, 110), sample.source)}</figure>"


def report_css() -> str:
    """The style sheet of a report."""
    return resources.files(__package__).joinpath("static/report.css").read_text(encoding="utf-8")


def _image(url: str | None, alt: str) -> str:
    """An image, or words in its place when it cannot be read."""
    return f'<img src="{url}" alt="{escape(alt, quote=True)}">' if url else "<p class=note>image not available</p>"


def curves_html(runs: Mapping[str, Run]) -> str:
    """The learning curves of runs as HTML."""
    return html(curves({name: run.history() for name, run in runs.items()}), "Accuracy and loss over the epochs")


def _comparison(comparison: Comparison) -> str:
    """Each image as a picture, and in words."""
    figures = (
        f"<figure class=wide>{comparison.svg(n)}<figcaption>{escape(example.caption())}</figcaption></figure>"
        for n, example in enumerate(comparison.examples)
    )
    intro = f"{comparison!r}. How to read this, and what it cannot say: docs/explanation/explaining.md."
    return f"<p class=note>{escape(intro)}</p>{''.join(figures)}"


def verdict_html(run: Run, name: str = "") -> str:
    """How a run ended, or where it is, with what to know before its score is believed."""
    found = run.verdict
    caveats = "".join(f"<li>{escape(caveat)}</li>" for caveat in found.caveats)
    return f"<p>{escape(name + found.headline)}</p>{f'<ul class=caveats>{caveats}</ul>' if caveats else ''}"


def _score(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "–"
    low, high = evaluation.interval
    return f"{evaluation.accuracy:.3f} ({low:.3f}–{high:.3f})"


def _fineprint(runs: Mapping[str, Run]) -> str:
    selection = "The best epoch was selected on the validation images, so their score is slightly optimistic"
    parts = [f"{selection}; the test images were not used for selection."]
    for name, run in runs.items():
        p = run.state.prepared
        if p:
            phases = "; ".join(f"{x.name}: {x.how}, {x.summary}" for x in p.phases)
            parts.append(
                f"{name}: {run.recipe.backbone} on {p.device} in {p.precision}, {quantity(p.threads, 'thread')}; {phases}."
            )
    return "".join(f"<p class=note>{escape(part)}</p>" for part in parts)


def _confusion(name: str, run: Run) -> str:
    found = run.evaluate()
    return f"<div><p class=note>{escape(name)}</p>{confusion_html(found)}{html_table(found.HEADER, found.rows())}</div>"


def _receipt(run: Run) -> str:
    issued = run.state.receipt
    if issued is None:
        return "<p class=note>This run ended before it could compare its layers.</p>"
    lines = run.receipt()
    if not lines:
        return "<p class=note>No shared layer was frozen in this run.</p>"
    total = quantity(issued.frozen, "frozen layer")
    verdict = f"{issued.unchanged} of {total} did not change while frozen: parameters and buffers, compared bit for bit."
    table = html_table(("layer", "receipt"), lines.items())
    details = f"<details><summary>Layer by layer</summary>{table}</details>"
    return f"<p>{escape(verdict)}</p><p class=note>Run {escape(run.id)}, {duration(run.state.seconds)}.</p>{details}"
