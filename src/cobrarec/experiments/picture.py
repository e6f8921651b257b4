"""The picture of an experiment, as one SVG that follows light and dark, a panel per data set.

Of a table that stands beside papers: NDCG@10 on test of every model. Of any other experiment: how far each row is from the one compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cobrarec.experiments.definition import Definition
from cobrarec.experiments.published import PUBLISHED
from cobrarec.experiments.records import Results
from cobrarec.experiments.result_tables import figure, signed, spread
from cobrarec.experiments.summaries import Summary, deviation, differences, mean, summarize
from cobrarec.report.markup import Markup, join, tag
from cobrarec.report.plots import Scale, nice_ticks, rounded, tick_labels
from cobrarec.report.style import PALETTE

METRIC = "ndcg@10"
WIDTH, RIGHT = 760, 32
"""Of the picture, and what is right of the plotted area, in units of the view box."""
LETTER = 7.2
"""Room for a letter of a name, which stands left of the plotted area."""
ROW, ABOVE, BELOW = 22, 44, 34
"""Height of a model's row; of what is above and below the rows of a panel."""
RULES = """
text { fill: var(--quiet); font: 13px system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; }
.name { fill: var(--ink); } .head { fill: var(--ink); font-weight: 650; font-size: 15px; } .ground { fill: var(--ground); }
.grid { stroke: var(--line); } .mean { fill: var(--s0); } .spread { stroke: var(--ink); stroke-width: 1.6; }
.zero { stroke: var(--quiet); stroke-width: 1.6; } .published { fill: none; stroke: var(--s2); stroke-width: 2; }
"""


@dataclass(frozen=True)
class Mark:
    """A row's mark: where its line begins, it stands, and its line ends; `said` is what it is in words."""

    name: str
    said: str
    low: float
    value: float
    high: float
    kind: Literal["bar", "ring", "dot"]


@dataclass(frozen=True)
class Panel:
    """A data set's part."""

    dataset: str
    head: str
    rows: tuple[Mark, ...]


def render_picture(results: Results, definition: Definition) -> str | None:
    """The SVG of the protocol `masked`; None where nothing can be drawn.

    A bar is the mean over the seeds, its line the deviation to both sides; a ring is a figure published in a paper. A dot is a difference
    to the compared row, its line the interval that holds 95 % of the resampled differences; a row without ranks has none.
    """
    groups = {dataset: models for (dataset, protocol), models in summarize(results.records(), definition).items() if protocol == "masked"}
    if definition.beside_papers or not definition.compared:
        panels = [_means(dataset, models, definition) for dataset, models in groups.items()]
    else:
        panels = [_differences(dataset, models, definition.compared[0], results) for dataset, models in groups.items()]
    panels = [panel for panel in panels if panel.rows]
    if not panels:
        return None
    left = left_of([row.name for panel in panels for row in panel.rows])
    parts, top = [], 0
    for panel in panels:
        parts.append(tag("g", _drawn(panel, left), transform=f"translate(0 {top})"))
        top += ABOVE + BELOW + ROW * len(panel.rows)
    said = "; ".join(f"{panel.dataset}: {', '.join(row.said for row in panel.rows)}" for panel in panels)
    content = join(
        tag("title", "NDCG@10 on test by model and data set", id="title"),
        tag("desc", f"{said}.", id="desc"),
        tag("style", Markup(PALETTE + RULES)),
        tag("rect", width=WIDTH, height=top, rx=14, class_="ground"),
        *parts,
    )
    named = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {top}", "role": "img", "aria_labelledby": "title desc"}
    return tag("svg", content, **named) + "\n"


def left_of(names: Sequence[str]) -> float:
    """Where the plotted area begins: right of the longest name."""
    return 30 + LETTER * max(map(len, names))


def _means(dataset: str, models: Sequence[Summary], definition: Definition) -> Panel:
    rows = []
    for one in models:
        values = one.values(METRIC)
        value, error = mean(values), deviation(values) or 0.0
        rows.append(Mark(one.model, f"{one.model} {spread(values)}", max(0.0, value - error), value, value + error, "bar"))
    for paper in PUBLISHED if definition.beside_papers else ():
        if (reported := paper.metrics(dataset)) is not None:
            name, value = f"{paper.name}, published", reported[METRIC]
            rows.append(Mark(name, f"{name} {figure(value)}", value, value, value, "ring"))
    return Panel(dataset, f"{dataset}: NDCG@10 on test", tuple(rows))


def _differences(dataset: str, models: Sequence[Summary], compared: str, results: Results) -> Panel:
    rows = []
    for name, by_metric in differences(models, compared, results).items():
        found = by_metric[METRIC]
        said = f"{name} {signed(-found.mean)} [{signed(-found.high)}, {signed(-found.low)}]"
        rows.append(Mark(name, said, -found.high, -found.mean, -found.low, "dot"))
    return Panel(dataset, f"{dataset}: NDCG@10 on test, less that of {compared}", tuple(rows))


def _drawn(panel: Panel, left: float) -> Markup:
    ticks = nice_ticks(min(0.0, *(row.low for row in panel.rows)), max(0.0, *(row.high for row in panel.rows)))
    x_of, bottom = Scale(ticks[0], ticks[-1], left, WIDTH - RIGHT), ABOVE + ROW * len(panel.rows)
    grid = [
        tag("line", x1=rounded(x), x2=rounded(x), y1=ABOVE - 6, y2=bottom, class_="zero" if tick == 0 and ticks[0] < 0 else "grid")
        for tick, (x, _) in zip(ticks, tick_labels(ticks, x_of), strict=True)
    ]
    labels = [tag("text", label, x=rounded(x), y=bottom + 17, text_anchor="middle") for x, label in tick_labels(ticks, x_of)]
    marks = [_mark(row, ABOVE + ROW * place, x_of, left) for place, row in enumerate(panel.rows)]
    return join(tag("text", panel.head, x=20, y=26, class_="head"), *grid, *labels, *marks)


def _mark(row: Mark, top: int, x_of: Scale, left: float) -> Markup:
    name = tag("text", row.name, x=rounded(left - 10), y=rounded(top + 15), text_anchor="end", class_="name")
    said, x, y = tag("title", row.said), rounded(x_of(row.value)), rounded(top + ROW / 2)
    if row.kind == "bar":
        mark = tag(
            "rect", said, x=rounded(left), y=rounded(top + 4), width=rounded(x_of(row.value) - left), height=ROW - 8, rx=2, class_="mean"
        )
    else:
        mark = tag("circle", said, cx=x, cy=y, r=5, class_="published" if row.kind == "ring" else "mean")
    line = None
    if row.low < row.high:
        line = tag("line", x1=rounded(x_of(row.low)), x2=rounded(x_of(row.high)), y1=y, y2=y, class_="spread")
    return tag("g", name, mark, line)
