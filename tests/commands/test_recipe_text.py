"""Recipes in YAML: whatever is written makes a recipe or is refused in one line, and nothing is ever carried out."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbtransfer as nt
from nbtransfer.commands import plain_yaml, recipe_text
from nbtransfer.commands.choosing import recipe_with
from nbtransfer.errors import InputError
from nbtransfer.jobs.draft import Draft

CARD = nt.backbone("resnet18")


def read(text):
    return recipe_text.read(text, "resnet18")


class TestWhatIsMeant:
    @pytest.mark.parametrize(
        ("text", "options"),
        [
            ("", {}),
            ("# only a remark", {}),
            ("lr: 1e-3", {"lr": 0.001}),
            ("lr: 1", {"lr": 1.0}),
            ("title: no", {"title": "no"}),
            ("title: 2026-01-01", {"title": "2026-01-01"}),
            ('title: "12"', {"title": "12"}),
            ("patience: null", {"patience": None}),
            ("weights: none", {"weights": None}),
            ("weights:", {"weights": None}),
            ("augment: []", {"augment": ()}),
            ("augment: [flip, crop]\nepochs: 3", {"augment": ("flip", "crop"), "epochs": 3}),
        ],
    )
    def test_plain_values(self, text, options):
        assert read(text) == options

    @pytest.mark.parametrize(
        ("text", "plan"),
        [
            ("[stem, layer1]", nt.FreezePlan.none().freeze("stem", "layer1")),
            ("stem", nt.FreezePlan.none().freeze("stem")),
            ("{up_to: layer3}", nt.FreezePlan.up_to("resnet18", "layer3")),
            ("{up_to: layer3, thaw: [layer1]}", nt.FreezePlan.up_to("resnet18", "layer3").thaw("layer1")),
            ("{thaw: [layer4]}", nt.FreezePlan.all().thaw("layer4")),
            ("{freeze: ['layer*'], thaw: [layer4]}", nt.FreezePlan.none().freeze("layer*").thaw("layer4")),
            ("[]", nt.FreezePlan.none()),
        ],
    )
    def test_freeze_plans(self, text, plan):
        assert read(f"freeze: {text}")["freeze"].resolve(CARD) == plan.resolve(CARD)

    def test_a_stage_belongs_to_the_backbone_of_the_recipe(self):
        plan = read("backbone: vgg11\nfreeze: {up_to: block2}")["freeze"]
        assert plan == nt.FreezePlan.up_to("vgg11", "block2")

    def test_a_strategy_of_ones_own(self):
        text = "strategy:\n  name: mine\n  phases:\n  - {name: a, plan: {thaw: [layer4]}, epochs: 2, lr: 1e-2}\n"
        phase = nt.Phase("a", nt.FreezePlan.all().thaw("layer4"), 2, 0.01)
        assert read(text)["strategy"] == nt.Strategy("mine", (phase,))

    def test_a_task(self, images):
        assert read(f"task: {images}")["task"] == nt.Task.from_folder(images)
        task = read(f"task: {{path: {images}, holdout: 0.25, seed: 3, per_class: 8, name: small}}")["task"]
        assert task == nt.Task.from_folder(images, holdout=0.25, seed=3, per_class=8, name="small")
        assert read("task: {demo: digits, holdout: 0.3}")["task"] == nt.Task.demo("digits", holdout=0.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "a recipe consists of lines `key: value`"),
        ("epochs: 3\nepochs: 4", "line 2: 'epochs' is given twice, first on line 1"),
        ("epochs: 3\noptimizer: adam", "line 2: there is no setting 'optimizer'; did you mean 'optimiser'"),
        ("epochs: 3\n\tlr: 4", "line 2: there is a tab; indent with spaces"),
        ("epochs: 1.5", "line 1: epochs should be a whole number, not 1.5"),
        ("lr: true", "line 1: lr should be a number, not True"),
        ("lr: fast", "line 1: lr should be a number, not 'fast'"),
        ("epochs:", "line 1: epochs should be a whole number, not None"),
        ("epochs: " + "9" * 5000, "line 1: epochs should be a whole number, not inf"),
        ("augment: flip", "line 1: augment should be a list, not 'flip'"),
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("lr: !!python/object/apply:os.system ['x']", "line 1: tags such as !name are not supported"),
        ("lr: !!binary aa", "line 1: tags such as"),
        ("augment: &a [*a]", "line 1: anchors and aliases are not supported"),
        ("? [a]\n: b", "line 1: a key should be a word"),
        ("[" * 5000, "the text is not valid YAML"),
        ("a\x00b: 1", "the text is not valid YAML"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
        ("lr: " + "[" * 20 + "]" * 20, "nested too deep"),
        ("lr: 3\nfreeze: [layer9]", "line 2: no layer of resnet18 is called 'layer9'"),
        ("freeze: {upto: layer3}", "line 1: there is no setting 'upto'; did you mean 'up_to'"),
        ("freeze: 3", "line 1: freeze should be a list of layers"),
        ("strategy: {name: mine}", "line 1: a custom strategy needs a name and phases"),
        ("strategy: lpft", "line 1: there is no strategy 'lpft'; did you mean 'lp_ft'"),
        ("task:\n  path: a\n  holdot: 3", "line 3: there is no setting 'holdot'; did you mean 'holdout'"),
        ("task: {holdout: 0.2}", "line 1: task needs either path"),
        ("task: {path: a, demo: b}", "line 1: task needs either path"),
        ("task: {demo: digits, per_class: 3}", "line 1: per_class: for folders of images only"),
        ('task: "a\\0b"', "line 1: "),
        ("task: {path: a, holdout: off}", "line 1: holdout should be a number, not 'off'"),
        ("backbone: [a]\nfreeze: {up_to: b}", "line 1: backbone should be text, not ['a']"),
    ],
)
def test_mistakes_are_one_line(text, message):
    with pytest.raises(InputError) as caught:
        read(text)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
WORDS = st.sampled_from(["flip", "layer1", "lp", "resnet18", "auto", "adam", "1e-3", "no", "~", "-1", "0x1f", "1_000"])
DATA = st.recursive(
    SCALARS | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | SCALARS, inner, max_size=3)
)
SMALL = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
# Real folders are left alone: a text of one's own could name one that takes hours to read.
KEYS = st.sampled_from([key for key in recipe_text.KEYS if key != "task"])
TASK = nt.Task("t", "folder", "", ("a", "b"), ())


def one_line_or_a_recipe(text):
    refusal = None
    try:
        options = read(text)
        recipe = recipe_with(Draft(TASK), options)
    except InputError as error:
        refusal = str(error)
    assert len((refusal or "one").splitlines()) == 1, refusal
    assert refusal or {key: getattr(recipe, key) for key in options} == options


@SMALL
@given(st.dictionaries(KEYS | st.text(max_size=5), DATA, max_size=4))
def test_any_data(data):
    one_line_or_a_recipe(yaml.safe_dump(data, allow_unicode=True))


@SMALL
@given(st.text(alphabet=st.sampled_from("abe:[]{}-,&*!|>'\"#%@?~ \n\t\\01.\x85\u2028"), max_size=30))
def test_any_text(text):
    one_line_or_a_recipe(text)


@SMALL
@given(
    KEYS,
    st.sampled_from(["!!python/name:os.system", "!!python/object/new:os.system", "!x", "!!int", "!!set", "!!timestamp"]),
    WORDS,
)
def test_tags_carry_nothing_out(key, tag, word):
    one_line_or_a_recipe(f"{key}: {tag} {word}")


@given(DATA.filter(lambda data: data is not None))
def test_reading_yields_plain_data_only(data):
    def check(value):
        if isinstance(value, dict):
            assert all(type(key) is str for key in value)
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                check(item)
        else:
            assert type(value) in (str, int, float, bool, type(None))

    with contextlib.suppress(InputError):
        check(plain_yaml.read(yaml.safe_dump(data)))
