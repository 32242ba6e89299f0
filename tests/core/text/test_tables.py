from nbtransfer.core.text.tables import html_table, text_table


def test_numbers_are_aligned_to_the_right():
    assert text_table(("name", "n"), [("a", "1"), ("long", "20")]).splitlines() == [
        "name   n",
        "────  ──",
        "a      1",
        "long  20",
    ]


def test_html_is_escaped():
    assert html_table(("<b>",), [("<img src=x onerror=alert(1)>",)]).count("<b>") == 0
    assert "&lt;img" in html_table(("x",), [("<img>",)])
