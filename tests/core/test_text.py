import pytest

from nbtransfer.core.text import counted, duration, html_table, listed, nearest, scaled, text_table


def test_nearest_names():
    assert nearest("resnet81", ["resnet18", "vgg16"]) == "did you mean 'resnet18'?"
    assert nearest("RESNET18", ["resnet18"]) == "did you mean 'resnet18'?"
    assert nearest("zzz", ["alpha", "beta"]) == "choose one of alpha, beta"


@pytest.mark.parametrize(("n", "text"), [(0, "0 images"), (1, "1 image"), (12000, "12,000 images")])
def test_counted(n, text):
    assert counted(n, "image") == text


def test_listed():
    assert listed(["a", "b"], most=2) == "a, b"
    assert listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"


@pytest.mark.parametrize(("n", "text"), [(950, "950"), (3_372_000, "3.37 M"), (1.81e9, "1.81 G"), (1234, "1.23 k")])
def test_scaled(n, text):
    assert scaled(n) == text


@pytest.mark.parametrize(("s", "text"), [(1.25, "1.2 s"), (42, "42 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")])
def test_duration(s, text):
    assert duration(s) == text


def test_tables():
    assert text_table(("name", "n"), [("a", "1"), ("long", "20")]).splitlines() == [
        "name   n",
        "────  ──",
        "a      1",
        "long  20",
    ]
    assert html_table(("<b>",), [("<img src=x onerror=alert(1)>",)]).count("<b>") == 0
    assert "&lt;img" in html_table(("x",), [("<img>",)])
