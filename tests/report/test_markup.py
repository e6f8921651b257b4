import pytest

from cobrarec.report.markup import Markup, format_number, fraction, join, number, percent, tag, user_text


def test_children_are_escaped_unless_they_are_markup() -> None:
    assert tag("p", "<b>", tag("b", "x & y")) == "<p>&lt;b&gt;<b>x &amp; y</b></p>"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    assert tag("a", class_='x"', aria_label="<", hidden=True, title=None) == '<a class="x&quot;" aria-label="&lt;" hidden></a>'


def test_nothing_is_left_out_but_none() -> None:
    assert join("a", None, 0, Markup("<br>")) == "a0<br>"


def test_words_of_the_data_are_isolated() -> None:
    assert user_text("<i>") == "<bdi>&lt;i&gt;</bdi>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(22363, "22,363"), (3.0, "3"), (0.000733512, "0.0007335"), (1234.5, "1,234"), (0.00001234, "1.23e-05"), (-2.5, "-2.5")],
)
def test_numbers_are_shown_for_reading(value: float, shown: str) -> None:
    assert format_number(value) == shown


def test_a_number_keeps_its_exact_value() -> None:
    assert number(0.12345678) == '<data value="0.12345678">0.1235</data>'
    assert fraction(0.12345678) == '<data value="0.12345678">0.1235</data>'
    assert percent(0.0022) == '<data value="0.0022">0.2 %</data>'
    assert percent(0.614) == '<data value="0.614">61 %</data>'


@pytest.mark.parametrize("value", [float("nan"), None, True, "x"])
def test_what_is_no_number_is_a_dash_in_a_metrics_table(value: object) -> None:
    assert fraction(value) == percent(value) == "–"


def test_text_in_the_place_of_a_number_is_shown_escaped() -> None:
    assert number("<5>") == "<bdi>&lt;5&gt;</bdi>"
    assert number(float("inf")) == number(None).replace("<bdi>", "").replace("</bdi>", "") == "–"


def test_control_characters_are_replaced_and_joiners_stay() -> None:
    assert join("a\x00b\u200dc\u00a0") == "a\N{REPLACEMENT CHARACTER}b\u200dc\u00a0"
