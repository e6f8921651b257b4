"""Tables of an experiment in Markdown: means over the seeds, published figures beside them, and differences with their intervals."""

from collections.abc import Mapping, Sequence

from cobrarec.experiments.bootstrap import Difference
from cobrarec.experiments.definition import Definition
from cobrarec.experiments.published import METRICS, PUBLISHED
from cobrarec.experiments.records import Results
from cobrarec.experiments.summaries import Summary, deviation, differences, mean, other_training, summarize

HEAD = "| model | R@5 | N@5 | R@10 | N@10 | cov@10 | valid N@10 | direct | seeds | seconds |\n|---|---|---|---|---|---|---|---|---|---|"
OVERVIEW = ("recall@10", "ndcg@10")
NOTHING = "No records are there yet."


def render_tables(results: Results, definition: Definition, scale: float | None = None) -> str:
    """All tables of the results, one per data set and protocol, each followed by the comparisons that its ranks allow.

    Args:
        results: records and ranks.
        definition: gives the order of the rows and the one that is compared.
        scale: of the records, where they are of a share of the users; what papers report stands beside whole ones alone.

    Raises:
        DataError: the results cannot be read, or ranks that are compared are of different data.
    """
    groups = summarize(results.records(), definition, scale)
    parts = []
    for (dataset, protocol), summaries in groups.items():
        papers = _published_rows(dataset) if definition.beside_papers and scale is None and protocol == "masked" else []
        users = summaries[0].records[0]["users"]
        lines = [f"**{dataset}, {protocol}**, {users:,} test users", "", HEAD, *map(_row, summaries), *papers]
        apart = differences(summaries, definition.compared, results)
        of = {summary.model: summary for summary in summaries}
        sentences = [
            difference_line(str(definition.compared), other, found)
            + " (of another training of the same settings)" * other_training(of[str(definition.compared)], of[other], definition)
            for other, found in apart.items()
        ]
        parts.append("\n".join([*lines, *([""] if sentences else []), *sentences]))
    return "\n\n".join(parts) if parts else NOTHING


def render_overview(results: Results, definition: Definition) -> str:
    """One table of all data sets: recall@10 / NDCG@10 on test under the protocol `masked`, means over the seeds, the best in bold."""
    groups = summarize(results.records(), definition)
    columns = {dataset: found for (dataset, protocol), found in groups.items() if protocol == "masked"}
    if not columns:
        return NOTHING
    rows: dict[str, dict[str, list[float]]] = {}
    for model in definition.rows:
        of = {dataset: one for dataset, summaries in columns.items() for one in summaries if one.model == model}
        rows[f"`{model}`"] = {dataset: [mean(one.values(metric)) for metric in OVERVIEW] for dataset, one in of.items()}
    for paper in PUBLISHED if definition.beside_papers else ():
        reported = {dataset: values for dataset in columns if (values := paper.metrics(dataset)) is not None}
        rows[f"{paper.name} as published"] = {dataset: [values[metric] for metric in OVERVIEW] for dataset, values in reported.items()}
    best = {
        dataset: [max(of) for of in zip(*(row[dataset] for row in rows.values() if dataset in row), strict=True)] for dataset in columns
    }

    def cell(dataset: str, row: Mapping[str, list[float]]) -> str:
        shown = [f"**{figure(value)}**" if value == top else figure(value) for value, top in zip(row[dataset], best[dataset], strict=True)]
        return " / ".join(shown)

    head = f"| test, recall@10 / NDCG@10 | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"
    lines = [f"| {name} | {' | '.join(cell(one, row) if one in row else '–' for one in columns)} |" for name, row in rows.items() if row]
    return "\n".join([head, *lines])


def figure(value: float, digits: int = 4) -> str:
    """A share in the manner of the documents: .0725."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Mean, and ± the deviation where there are several seeds; a dash for nothing."""
    if not values:
        return "–"
    apart = deviation(values)
    return figure(mean(values), digits) + ("" if apart is None else f" ± {figure(apart, digits)}")


def difference_line(compared: str, other: str, by_metric: Mapping[str, Difference]) -> str:
    """One sentence on how two models compare: better, worse, or not told apart by these users."""
    said = []
    for metric, found in by_metric.items():
        shown = metric.replace("ndcg", "NDCG")
        if found.low <= 0 <= found.high:
            said.append(f"not told apart in {shown}, {signed(found.mean)} [{signed(found.low)}, {signed(found.high)}]")
            continue
        word, (low, high) = ("better", (found.low, found.high)) if found.low > 0 else ("worse", (-found.high, -found.low))
        said.append(f"{word} by {figure(abs(found.mean))} [{figure(low)}, {figure(high)}] in {shown}")
    return f"- `{compared}` beside `{other}`: {'; '.join(said)}"


def signed(value: float) -> str:
    """A difference with its sign: −.0012."""
    return ("−" if round(value, 4) < 0 else "+") + figure(abs(value))


def _row(summary: Summary) -> str:
    cells = [f"`{summary.model}`", *(spread(summary.values(metric)) for metric in METRICS), spread(summary.values("coverage@10"), 2)]
    cells.append(spread(summary.values("ndcg@10", "valid")))
    seconds = summary.facts("seconds")
    cells += [spread(summary.facts("direct_share"), 2), str(len(summary.records)), f"{mean(seconds):,.0f}" if seconds else "–"]
    return "| " + " | ".join(cells) + " |"


def _published_rows(dataset: str) -> list[str]:
    rows = []
    for paper in PUBLISHED:
        if (values := paper.metrics(dataset)) is not None:
            cells = [f"{paper.name} as published ({paper.source})", *map(figure, values.values()), *["–"] * 5]
            rows.append("| " + " | ".join(cells) + " |")
    return rows
