"""The picture of an experiment: NDCG@10 on test of every model, a panel per data set, as one SVG that follows light and dark."""

from collections.abc import Sequence

from cobrarec.experiments.definition import Definition
from cobrarec.experiments.published import PUBLISHED
from cobrarec.experiments.records import Results
from cobrarec.experiments.result_tables import figure, spread
from cobrarec.experiments.summaries import Summary, deviation, mean, summarize
from cobrarec.report.markup import Markup, join, tag
from cobrarec.report.plots import Scale, nice_ticks, rounded, tick_labels
from cobrarec.report.style import PALETTE

METRIC = "ndcg@10"
WIDTH, RIGHT = 760, 24
"""Of the picture, and what is right of the plotted area, in units of the view box."""
LETTER = 7.2
"""Room for a letter of a name, which stands left of the plotted area."""
ROW, ABOVE, BELOW = 22, 44, 34
"""Height of a model's row; of what is above and below the rows of a panel."""
RULES = """
text { fill: var(--quiet); font: 13px system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; }
.name { fill: var(--ink); } .head { fill: var(--ink); font-weight: 650; font-size: 15px; } .ground { fill: var(--ground); }
.grid { stroke: var(--line); } .mean { fill: var(--s0); } .spread { stroke: var(--ink); stroke-width: 1.6; }
.published { fill: none; stroke: var(--s2); stroke-width: 2; }
"""


def render_picture(results: Results, definition: Definition) -> str | None:
    """The SVG of the protocol `masked`; None where nothing is recorded under it.

    A bar is the mean over the seeds, its line the deviation to both sides; a ring is a figure published in a paper.
    """
    panels = {dataset: models for (dataset, protocol), models in summarize(results.records(), definition).items() if protocol == "masked"}
    if not panels:
        return None
    published = {f"{one.name}, published": one for one in (PUBLISHED if definition.beside_papers else ())}
    left = left_of([*(one.model for models in panels.values() for one in models), *published])
    parts, top = [], 0
    for dataset, summaries in panels.items():
        papers = [(name, values[METRIC]) for name, one in published.items() if (values := one.metrics(dataset)) is not None]
        parts.append(tag("g", _panel(dataset, summaries, papers, left), transform=f"translate(0 {top})"))
        top += ABOVE + BELOW + ROW * (len(summaries) + len(papers))
    said = "; ".join(
        f"{dataset}: {', '.join(f'{one.model} {spread(one.values(METRIC))}' for one in models)}" for dataset, models in panels.items()
    )
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


def _panel(dataset: str, summaries: Sequence[Summary], papers: Sequence[tuple[str, float]], left: float) -> Markup:
    means = [mean(summary.values(METRIC)) for summary in summaries]
    apart = [deviation(summary.values(METRIC)) or 0.0 for summary in summaries]
    highest = max([*(value + error for value, error in zip(means, apart, strict=True)), *(value for _, value in papers)])
    ticks = nice_ticks(0.0, highest)
    x_of = Scale(ticks[0], ticks[-1], left, WIDTH - RIGHT)
    bottom = ABOVE + ROW * (len(summaries) + len(papers))
    grid = [tag("line", x1=rounded(x), x2=rounded(x), y1=ABOVE - 6, y2=bottom, class_="grid") for x, _ in tick_labels(ticks, x_of)]
    labels = [tag("text", label, x=rounded(x), y=bottom + 17, text_anchor="middle") for x, label in tick_labels(ticks, x_of)]
    bars = [
        _bar(summary, ABOVE + ROW * place, x_of, left, value, error)
        for place, (summary, value, error) in enumerate(zip(summaries, means, apart, strict=True))
    ]
    rings = [_ring(name, ABOVE + ROW * (len(summaries) + place), x_of, left, value) for place, (name, value) in enumerate(papers)]
    return join(tag("text", f"{dataset}: NDCG@10 on test", x=20, y=26, class_="head"), *grid, *labels, *bars, *rings)


def _name(text: str, top: int, left: float) -> Markup:
    return tag("text", text, x=rounded(left - 10), y=rounded(top + 15), text_anchor="end", class_="name")


def _bar(summary: Summary, top: int, x_of: Scale, left: float, value: float, error: float) -> Markup:
    said = tag("title", f"{summary.model}: {spread(summary.values(METRIC))}")
    bar = tag("rect", said, x=rounded(left), y=rounded(top + 4), width=rounded(x_of(value) - left), height=ROW - 8, rx=2, class_="mean")
    low, high = rounded(x_of(max(0.0, value - error))), rounded(x_of(value + error))
    line = tag("line", x1=low, x2=high, y1=rounded(top + ROW / 2), y2=rounded(top + ROW / 2), class_="spread") if error else None
    return tag("g", _name(summary.model, top, left), bar, line)


def _ring(name: str, top: int, x_of: Scale, left: float, value: float) -> Markup:
    said = tag("title", f"{name}: {figure(value)}")
    return tag(
        "g", _name(name, top, left), tag("circle", said, cx=rounded(x_of(value)), cy=rounded(top + ROW / 2), r=5, class_="published")
    )
