"""nt.explain on a real run: what goes in, and every form what comes out can take."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text
from PIL import Image

import nbtransfer as nt
from nbtransfer.comparison.evidence_figure import _block_size, _block_sums, _scale_limit
from nbtransfer.comparison.example import ENTANGLED, signed
from nbtransfer.comparison.figures import COLOURS
from nbtransfer.core.codec import dumps
from nbtransfer.errors import InputError
from nbtransfer.ui.report import Report
from tests.support.pictures import picture


@pytest.fixture
def samples(lp_ft):
    return list(lp_ft.recipe.task.split("test"))


def test_samples_come_with_their_truth_and_classes_with_their_split(lp_ft, samples):
    found = nt.explain(lp_ft, samples[:2])
    assert len(found) == 2
    for sample, example in zip(samples, found.examples, strict=False):
        assert (example.name, example.truth) == (sample.source, lp_ft.recipe.task.classes[sample.label])
        assert example.pixels.shape == (40, 40, 3)
        change = example.finding.change
        assert abs(change.residual) < 1e-4
        assert change.shared != 0
    ticks = {d.stage: d.bitwise_equal for d in found[0].finding.drift}
    assert [stage for stage, equal in ticks.items() if not equal] == ["conv5", "features"]
    assert (found.before, found.after) == (f"0-lp of run {lp_ft.id} (lp_ft)", f"best of run {lp_ft.id} (lp_ft)")
    assert repr(found).startswith("Comparison(2 images, evidence for ")
    assert "0x" not in repr(found)


def test_explaining_is_the_same_each_time(lp_ft, samples):
    first, second = (nt.explain(lp_ft, samples[:1], "red") for _ in range(2))
    assert first.table() == second.table()
    assert dumps(first.to_dict()) == dumps(second.to_dict())
    assert first.png() == second.png()


def test_what_predict_takes_is_taken(lp_ft, images):
    path = next((images / "red").iterdir())
    array = np.asarray(Image.open(path))
    found = nt.explain(lp_ft, [path, str(path), Image.open(path), array], "red")
    names = [example.name for example in found.examples]
    assert names == [str(path), str(path), "image 2", "image 3"]
    assert {example.truth for example in found.examples} == {None}
    assert len({example.finding.change for example in found.examples}) == 1
    assert len(nt.explain(lp_ft, array)) == 1
    answer = lp_ft.predict(path)[0]
    assert found[0].finding.probabilities[1] == pytest.approx(tuple(answer.probabilities.values()), abs=1e-5)


def test_a_probe_has_exactly_no_shared_part(lp_ft, samples):
    found = nt.explain(lp_ft, samples[0], after="0-lp")
    assert found.before.startswith("start of run")
    assert found[0].finding.change.shared == 0
    assert found[0].finding.change.before == 0
    assert not found[0].finding.evidence.shared.map.any()
    assert "Bitwise equal: stem, stage2" in found[0].caption()


def test_parts_that_cannot_be_told_apart_are_called_so(lp_ft, samples):
    example = nt.explain(lp_ft, samples[0])[0]
    assert ENTANGLED not in example.caption()
    change = replace(example.finding.change, only_features=-50.0, only_head=-50.0)
    assert ENTANGLED in replace(example, finding=replace(example.finding, change=change)).caption()


def test_targets_can_be_named_numbered_or_left_to_the_model(lp_ft, samples):
    found = nt.explain(lp_ft, samples[:3], ["green", 2, None])
    assert [example.target for example in found.examples][:2] == ["green", "red"]
    assert found[2].target == found[2].answers[1].split()[0]
    for target, text in [
        ("gren", r"no class 'gren'; did you mean 'green'\? \(classes: blue, green, red\)"),
        (3, "no class 3; give a name or a number from 0 to 2"),
        (True, "no class True"),
        (["red"], "1 targets for 3 images; give one, or one for each image"),
    ]:
        with pytest.raises(InputError, match=text):
            nt.explain(lp_ft, samples[:3], target)


def test_what_cannot_be_explained_is_said_in_one_sentence(lp_ft, samples, images):
    with pytest.raises(InputError, match="no image to explain"):
        nt.explain(lp_ft, [])
    with pytest.raises(InputError, match="no baseline 'white'"):
        nt.explain(lp_ft, samples[0], baseline="white")
    with pytest.raises(InputError, match="no snapshot 'bets'; did you mean 'best'"):
        nt.explain(lp_ft, samples[0], after="bets")
    with pytest.raises(InputError, match="no image 1; this comparison holds 1 image"):
        nt.explain(lp_ft, samples[0]).figure(1)
    source = Path(lp_ft.task.root) / samples[0].source
    away = source.rename(source.with_suffix(".away"))
    with pytest.raises(InputError, match=f"{samples[0].source} cannot be used: it is gone"):
        nt.explain(lp_ft, samples[0])
    away.rename(source)


def test_everything_is_plain_data(lp_ft, samples):
    found = nt.explain(lp_ft, samples[0])
    plain = json.loads(dumps(found.to_dict()))
    example = plain["examples"][0]
    evidence = example["evidence"]
    assert np.allclose(evidence["shared"]["map"], found[0].finding.evidence.shared.map, atol=1e-6)
    assert np.shape(example["inputs"]["after"]["map"]) == (40, 40)
    assert example["change"]["shared"] + example["change"]["head"] + example["change"]["residual"] == pytest.approx(
        example["change"]["after"] - example["change"]["before"]
    )
    assert [stage["stage"] for stage in example["drift"]][-1] == "features"


def test_the_table_adds_up(lp_ft, samples):
    found = nt.explain(lp_ft, samples[0], "red")
    rows = {row[1]: row[2:] for row in found.rows()}
    before, after, change, shared, head, _ = map(float, rows["evidence for red"])
    assert change == pytest.approx(after - before, abs=2e-3)
    assert change == pytest.approx(shared + head, abs=2e-3)
    assert {"drift of stem", "drift of conv5", "agreement with a random head"} <= set(rows)
    assert rows["drift of stem"][2] == "bitwise equal"
    lines = found.table().splitlines()
    assert lines[0].startswith("image  what")
    assert len(lines) == 2 + len(rows)


def test_figures_say_what_they_show_and_are_no_business_of_pyplot(lp_ft, samples):
    found = nt.explain(lp_ft, samples[0], "red", baseline="black")
    open_before = plt.get_fignums()
    figure = found.figure(ink="#dddddd")
    texts = {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}
    assert {"evidence before", "evidence after", "change: shared features", "change: head", "is red"} <= texts | {"is red"}
    assert any("baseline: black" in text for text in texts)
    assert any(re.search(r"error \d+\.\d% in \d+ steps", text) for text in texts)
    assert any("exact, conv5 2 × 2" in text for text in texts)
    assert sum(text == "✓" for text in texts) == 1
    assert plt.get_fignums() == open_before
    assert {text.get_color() for text in figure.findobj(Text)} <= {"#dddddd", COLOURS[1]}
    assert figure.patch.get_alpha() == 0
    image = Image.open(io.BytesIO(found.png(ink="#dddddd")))
    assert image.size == (1100, 580)
    assert np.asarray(image)[0, 0, 3] == 0


def test_maps_of_one_row_share_one_symmetric_scale(lp_ft, samples):
    figure = nt.explain(lp_ft, samples[0]).figure()
    drawn = {axes.get_title(): axes.images[0].get_clim() for axes in figure.get_axes() if axes.images and axes.get_title()}
    upper = {drawn[title] for title in ("evidence before", "evidence after", "change: shared features", "change: head")}
    lower = {drawn[f"input attribution {when}"] for when in ("before", "after")}
    assert len(upper) == len(lower) == 1
    assert all(low == -high < 0 for low, high in upper | lower)


def test_summing_over_squares_keeps_the_sum():
    values = np.random.default_rng(0).normal(size=(225, 225))
    size = _block_size(values)
    summed = _block_sums(values, size)
    assert summed.shape == (45, 45)
    assert summed.sum() == pytest.approx(values.sum())
    assert summed[0, 0] == pytest.approx(values[:5, :5].sum())
    assert _scale_limit(np.zeros((3, 3))) > 0
    assert (signed(-0.001), signed(0.5), signed(-1.234, 1)) == ("+0.00", "+0.50", "-1.2")


def test_html_holds_pictures_with_words_and_no_markup_from_names(lp_ft, images, tmp_path):
    hostile = tmp_path / "<img src=x onerror=alert(1)>.png"
    picture((200, 50, 50), 3).save(hostile)
    html = nt.explain(lp_ft, hostile)._repr_html_()
    assert "<img src=x" not in html
    assert html.count("<img ") == 1  # on white, for pages that take out SVG
    assert re.search(r'alt="[^"]*due to shared features', html)


def test_a_figure_takes_the_colour_of_the_page(lp_ft, samples):
    found = nt.explain(lp_ft, samples[0])
    wide, narrow = found.svg(), found.svg(narrow=True)
    for svg in (wide, narrow):
        assert "currentColor" in svg
        assert not re.search(r"(fill|stroke): *(#000000|#ffffff|black|white)", svg)
        width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
        assert (width < height) == (svg is narrow)
    assert found.svg() == wide
    ids, others = (set(re.findall(r'\bid="(f[0-9a-f]{10}-\d+)"', svg)) for svg in (wide, narrow))
    assert ids
    assert not ids & others  # on one page


def test_the_report_shows_comparisons(lp_ft, samples, tmp_path):
    found = nt.explain(lp_ft, samples[:2])
    html = Report(lp_ft.recipe.task, {"lp_ft": lp_ft}, [found]).write(tmp_path / "report.html").read_text()
    section = html.split("<h2>What changed: shared vs task-specific layers</h2>")[1].split("<h2>")[0]
    assert section.count("<svg") == 2
    assert samples[1].source in section
    assert "due to the head" in section
