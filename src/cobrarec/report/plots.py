"""Line charts and histograms as inline SVG whose colors follow the page: light, dark and printed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cobrarec.report.markup import Markup, Number, join, tag

WIDTH, HEIGHT = 440, 250
"""Units of a chart's view box; charts stand two in a row on a desk and one in a row on a phone, so text stays legible."""
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 14, 40
"""Margins around the plotted area, same units."""
DASHES = (None, "7 4", "2 4", "10 3 2 3")
"""One per series, beside its color, so that the lines can be told apart without color."""


@dataclass(frozen=True)
class Series:
    """One line: a name and its points (x, y), x ascending."""

    name: str
    points: Sequence[tuple[Number, Number]]


@dataclass(frozen=True)
class Mark:
    """A vertical line at `x` with a short text."""

    x: Number
    text: str


@dataclass(frozen=True)
class Scale:
    """A linear map from [low, high] to [start, end]."""

    low: Number
    high: Number
    start: Number
    end: Number

    def __call__(self, value: Number) -> float:
        """Where `value` lies."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def nice_ticks(low: Number, high: Number, num_ticks: int = 5) -> list[float]:
    """Return about `num_ticks` round numbers from at most `low` to at least `high`, spaced by 1, 2, 2.5 or 5 times a power of ten."""
    if not high - low > 1e-9 * max(abs(low), abs(high)):  # equal, but for the rounding of sums
        pad = abs(low) * 0.1 or 1.0
        low, high = (max(low - pad, 0.0) if low >= 0 else low - pad), high + pad
    rough = (high - low) / max(num_ticks - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def line_chart(title: str, series: Sequence[Series], x_label: str, mark: Mark | None = None) -> Markup:
    """Return a figure with one line per series, its legend in the caption, and every value readable by pointing at its dot."""
    series = [Series(s.name, [p for p in s.points if math.isfinite(p[1])]) for s in series]
    series = [s for s in series if s.points]
    if not series:
        return Markup("")
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points]
    x_ticks, y_ticks = _x_ticks(min(xs), max(xs)), _y_ticks(ys)
    x_of = Scale(min(xs) - (min(xs) == max(xs)), max(xs) + (min(xs) == max(xs)), LEFT + 8, WIDTH - RIGHT - 8)
    y_of = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    content = join(
        _axes([(x_of(x), f"{x:g}") for x in x_ticks], tick_labels(y_ticks, y_of), x_label),
        _mark(mark, x_of) if mark else "",
        *[_line(s, number, x_of, y_of, x_label) for number, s in enumerate(series)],
    )
    described = "; ".join(f"{s.name} goes from {s.points[0][1]:.4g} to {s.points[-1][1]:.4g}" for s in series)
    legend = join(*[tag("li", _swatch(number), s.name) for number, s in enumerate(series)])
    return _figure(title, f"{title} by {x_label}: {described}.", content, tag("ul", legend, class_="legend"))


def histogram(title: str, sizes: Sequence[int], x_label: str, y_label: str) -> Markup:
    """Return a figure that counts `sizes` (whole numbers, at least 1), one bar per bin of `size_bins`."""
    if not sizes:
        return Markup("")
    bins = size_bins(min(sizes), max(sizes))
    counts = [sum(low <= size <= high for size in sizes) for low, high in bins]
    y_ticks = [tick for tick in nice_ticks(0, max(counts)) if tick.is_integer()]
    y_of = Scale(0, y_ticks[-1], HEIGHT - BOTTOM, TOP)
    slot = (WIDTH - LEFT - RIGHT) / len(bins)
    labels = [_bin_label(low, high) for low, high in bins]
    every = math.ceil(len(bins) * max(len(label) for label in labels) / 44)
    bars = [
        _bar(LEFT + n * slot, slot, y_of(count), f"{label} {x_label}: {count:,} {y_label}")
        for n, (label, count) in enumerate(zip(labels, counts, strict=True))
    ]
    x_labels = [(LEFT + (n + 0.5) * slot, label) for n, label in enumerate(labels) if n % every == 0]
    content = join(_axes(x_labels, tick_labels(y_ticks, y_of), x_label), *bars)
    described = (
        f"{title}: {len(sizes):,} {y_label} with {min(sizes):,} to {max(sizes):,} {x_label}, median {sorted(sizes)[len(sizes) // 2]:,}."
    )
    return _figure(title, described, content, Markup(""))


def size_bins(low: int, high: int, max_bins: int = 16) -> list[tuple[int, int]]:
    """Return inclusive bins that cover low..high: single sizes where few, else of equal width, or doubling where high > 12 x low."""
    if high - low < max_bins:
        return [(size, size) for size in range(low, high + 1)]
    if high > 12 * low:
        powers = range((low - 1).bit_length(), (high - 1).bit_length() + 1)
        return [(2 ** (power - 1) + 1 if power else 1, 2**power) for power in powers]
    width = int(nice_ticks(0, (high - low) / max_bins, 2)[-1] + 0.5)
    first = (low - 1) // width
    return [(n * width + 1, (n + 1) * width) for n in range(first, (high - 1) // width + 1)]


def _bin_label(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low}–{high}"


def _x_ticks(low: Number, high: Number) -> list[Number]:
    step = max(1, math.ceil((high - low) / 8))
    return [low + n * step for n in range(int((high - low) / step) + 1)]


def _y_ticks(values: Sequence[Number]) -> list[float]:
    """Round numbers, and whole ones where a few whole numbers are counted."""
    low, high = min(values), max(values)
    if high - low < 5 and all(float(value).is_integer() for value in values):
        alone = int(low == high)
        return [float(tick) for tick in range(int(low) - (alone if low else 0), int(high) + alone + 1)]
    return nice_ticks(low, high)


def tick_labels(ticks: Sequence[Number], scale: Callable[[Number], float]) -> list[tuple[Number, str]]:
    """Place and text of each tick, with as many digits as tell them apart."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += int(abs(round(step, digits) - step) > step * 1e-6)
    return [(scale(tick), f"{tick:,.{digits}f}") for tick in ticks]


def _axes(x_labels: Sequence[tuple[Number, str]], y_labels: Sequence[tuple[Number, str]], x_label: str) -> Markup:
    grid = [tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=rounded(y), y2=rounded(y), class_="grid") for y, _ in y_labels]
    y_texts = [tag("text", label, x=LEFT - 8, y=rounded(y + 4), text_anchor="end") for y, label in y_labels]
    x_texts = [tag("text", label, x=rounded(x), y=HEIGHT - BOTTOM + 17, text_anchor="middle") for x, label in x_labels]
    name = tag("text", x_label, x=rounded((LEFT + WIDTH - RIGHT) / 2), y=HEIGHT - 5, text_anchor="middle", class_="axis")
    return tag("g", *grid, *y_texts, *x_texts, name, aria_hidden="true")


def _line(series: Series, number: int, x_of: Scale, y_of: Scale, x_label: str) -> Markup:
    places = [(rounded(x_of(x)), rounded(y_of(y))) for x, y in series.points]
    path = "M" + " L".join(f"{x} {y}" for x, y in places)
    dots = [
        tag("circle", tag("title", f"{series.name}, {x_label} {x:g}: {y:.4g}"), cx=cx, cy=cy, r=3.2)
        for (x, y), (cx, cy) in zip(series.points, places, strict=True)
    ]
    return tag("g", tag("path", d=path, stroke_dasharray=DASHES[number % 4]), *dots, class_=f"series s{number % 4}")


def _mark(mark: Mark, x_of: Scale) -> Markup:
    x = x_of(mark.x)
    anchor, shift = ("end", -6) if x > (LEFT + WIDTH) / 2 else ("start", 6)
    line = tag("line", x1=rounded(x), x2=rounded(x), y1=TOP, y2=HEIGHT - BOTTOM)
    return tag("g", line, tag("text", mark.text, x=rounded(x + shift), y=HEIGHT - BOTTOM - 7, text_anchor=anchor), class_="mark")


def _bar(left: Number, slot: float, top: float, text: str) -> Markup:
    height = max(HEIGHT - BOTTOM - top, 0.0)
    height = max(height, 2.0) if height else height  # one of thousands still shows
    top = HEIGHT - BOTTOM - height
    rect = tag(
        "rect",
        tag("title", text),
        x=rounded(left + slot * 0.08),
        y=rounded(top),
        width=rounded(slot * 0.84),
        height=rounded(height),
        rx=rounded(min(3.0, slot * 0.2)),
    )
    return tag("g", rect, class_="bar")


def _swatch(number: int) -> Markup:
    line = tag("line", x1=0, x2=26, y1=5, y2=5, stroke_dasharray=DASHES[number % 4])
    return tag("svg", tag("g", line, class_=f"series s{number % 4}"), viewBox="0 0 26 10", width=26, height=10, aria_hidden="true")


def _figure(title: str, description: str, content: Markup, legend: Markup) -> Markup:
    picture = tag("svg", tag("title", description), content, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
    return tag("figure", tag("figcaption", tag("strong", title), legend), picture)


def rounded(value: Number) -> str:
    """A coordinate with one digit, if it needs one."""
    return f"{value:.1f}".removesuffix(".0")
