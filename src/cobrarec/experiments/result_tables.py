"""Tables of an experiment in Markdown: means over the seeds, published figures beside them, differences with their intervals."""

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
        definition: gives the order of the rows and those that are compared with all others.
        scale: of the records, where they are of a share of the users; what papers report stands beside whole ones alone.

    Raises:
        DataError: the results cannot be read, or ranks that are compared are of different data.
    """
    groups = summarize(results.records(), definition, scale)
    parts = []
    for (dataset, protocol), summaries in groups.items():
        papers = _published_rows(dataset) if definition.beside_papers and scale is None and protocol == "masked" else []
        users = summaries[0].records[0]["users"]
        parts.append("\n".join([f"**{dataset}, {protocol}**, {users:,} test users", "", HEAD, *map(_row, summaries), *papers]))
        if short := [f"`{one.model}` {mean(one.facts('mean_list_length')):.2f}" for one in summaries if _is_short(one)]:
            parts.append(f"Mean length of the first 10 where it is less: {', '.join(short)}.")
        if compared := _comparisons(summaries, definition.compared, results):
            parts.append("\n".join(compared))
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


def _comparisons(summaries: Sequence[Summary], compared: Sequence[str], results: Results) -> list[str]:
    """A table of what each compared model is above every other one, each pair once; no lines where there is none."""
    of = {summary.model: summary for summary in summaries}
    columns: dict[str, dict[str, dict[str, Difference]]] = {}
    left = list(summaries)
    for model in compared:
        if found := differences(left, model, results):
            columns[model] = found
            left.remove(of[model])

    def cell(other: str, model: str, metric: str) -> str:
        if other not in columns[model]:
            return ""
        return difference(columns[model][other][metric]) + " (other training)" * other_training(of[model], of[other])

    lines = [f"| above | | {' | '.join(f'`{model}`' for model in columns)} |", "|---|---|" + "---|" * len(columns)]
    for other in of:
        if any(other in found for found in columns.values()):
            for first, name, metric in ((f"`{other}`", "R@10", "recall@10"), ("", "N@10", "ndcg@10")):
                lines.append(f"| {first} | {name} | {' | '.join(cell(other, model, metric) for model in columns)} |")
    return lines if columns else []


def difference(found: Difference) -> str:
    """A difference and its interval, in bold where that does not hold 0: **+.0022** [+.0014, +.0030]."""
    value = signed(found.mean)
    return f"{value if found.low <= 0 <= found.high else f'**{value}**'} [{signed(found.low)}, {signed(found.high)}]"


def signed(value: float) -> str:
    """A difference with its sign: −.0012."""
    return ("−" if round(value, 4) < 0 else "+") + figure(abs(value))


def _is_short(summary: Summary) -> bool:
    return mean(summary.facts("mean_list_length")) < 9.995


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
            cells = [f"{paper.name} as published ({paper.source})", *(figure(values[one]) if one in values else "–" for one in METRICS)]
            cells += ["–"] * 5
            rows.append("| " + " | ".join(cells) + " |")
    return rows
