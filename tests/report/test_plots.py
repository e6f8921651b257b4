import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobrarec.report.plots import HEIGHT, WIDTH, Mark, Series, histogram, line_chart, nice_ticks, size_bins


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_cover_the_values_and_are_few(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert ticks[0] <= low + span * 1e-6 + abs(low) * 1e-6
    assert ticks[-1] >= low + span - span * 1e-6 - abs(low) * 1e-6
    assert 2 <= len(ticks) <= 12


def test_ticks_of_one_value_surround_it_and_stay_above_zero() -> None:
    assert nice_ticks(0.0, 0.0)[0] == 0.0
    assert nice_ticks(7.1, 7.1)[0] < 7.1 < nice_ticks(7.1, 7.1)[-1]


@given(st.integers(1, 5000), st.integers(0, 20000))
def test_every_size_lies_in_exactly_one_bin(low: int, span: int) -> None:
    bins = size_bins(low, low + span)
    assert bins[0][0] <= low <= bins[0][1]
    assert bins[-1][0] <= low + span <= bins[-1][1]
    assert all(left[1] + 1 == right[0] for left, right in zip(bins, bins[1:], strict=False))
    assert len(bins) <= 18


def test_widely_differing_sizes_get_doubling_bins() -> None:
    assert size_bins(1, 40) == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 64)]


def test_a_histogram_counts_every_size_once() -> None:
    svg = histogram("Sizes", [1, 2, 2, 3, 60, 61], "items", "IDs")
    counts = [int(count) for count in re.findall(r": (\d+) IDs</title>", svg)]
    assert sum(counts) == 6
    assert "6 IDs with 1 to 61 items, median 3." in svg


def test_a_bar_of_one_among_thousands_still_shows() -> None:
    svg = histogram("Sizes", [1] * 5000 + [9], "items", "IDs")
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)]
    assert heights[-1] == 2.0
    assert heights[1:-1] == [0.0] * 7


def test_points_stay_inside_the_picture() -> None:
    svg = line_chart("Loss", [Series("a", [(1, 3.0), (2, 2.0)]), Series("b", [(1, 0.5), (2, 0.25)])], "epoch", Mark(2, "best"))
    places = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert len(places) == 4
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in places)
    assert "best" in svg


def test_a_larger_value_stands_higher() -> None:
    svg = line_chart("Loss", [Series("a", [(1, 3.0), (2, 2.0), (3, 1.0)])], "epoch")
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', svg)]
    assert heights == sorted(heights)


@pytest.mark.parametrize("points", [[], [(1.0, float("nan"))]])
def test_nothing_to_draw_draws_nothing(points: list[tuple[float, float]]) -> None:
    assert line_chart("Loss", [Series("a", points)], "epoch") == ""
    assert histogram("Sizes", [], "items", "IDs") == ""


def test_one_epoch_is_a_dot() -> None:
    assert line_chart("Loss", [Series("a", [(1, 3.0)])], "epoch").count("<circle") == 1


def test_names_are_escaped() -> None:
    assert "<b>" not in line_chart("<b>", [Series("<b>", [(1, 3.0)])], "<b>")


def test_values_that_differ_by_rounding_alone_are_one_value() -> None:
    value = 0.1 + 0.2
    assert len(nice_ticks(0.3, value)) > 1
    assert line_chart("Distance", [Series("a", [(0, 0.3), (1, value)])], "tau").count("<circle") == 2


def test_a_few_whole_numbers_have_whole_ticks() -> None:
    svg = line_chart("IDs", [Series("a", [(0, 4), (1, 3), (2, 4)])], "tau")
    assert re.findall(r'text-anchor="end">([^<]*)<', svg) == ["3", "4"]
    same = line_chart("IDs", [Series("a", [(0, 4), (1, 4)])], "tau")
    assert re.findall(r'text-anchor="end">([^<]*)<', same) == ["3", "4", "5"]
    assert ">0<" in line_chart("IDs", [Series("a", [(0, 0), (1, 0)])], "tau")
