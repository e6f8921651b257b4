"""The tables of the experiment `cold` in Markdown, from its records."""

from collections.abc import Sequence

import numpy as np

from cobrarec.experiments.bootstrap import METRICS, Difference, intervals, user_values
from cobrarec.experiments.cold import NO_STAND_INS
from cobrarec.experiments.records import Record, Results
from cobrarec.experiments.result_tables import NOTHING, difference, figure, spread

HEAD = "| ranker | a new item | a known item, before | a known item, after | all, after | places of new items |\n|---|---|---|---|---|---|"
LEVELS_HEAD = "| level | a new item | a known item | all | N@10 of all, above level 0 | places of new items |\n|---|---|---|---|---|---|"


def render_cold(results: Results) -> str:
    """A table per data set: recall@10 / NDCG@10 by what the target is, before and after the new items were added."""
    records = results.records()
    parts = []
    for dataset in dict.fromkeys(record["dataset"] for record in records):
        of = [record for record in records if record["dataset"] == dataset]
        parts.append("\n".join([_title(dataset, of), "", HEAD, *_rows(of)]))
        if len(curve := _levels(of, "added", results)) > 1:
            parts.append("\n".join([f"**{dataset}**, `cobra` after the adding, by `retrieval.new_item_level`:", "", LEVELS_HEAD, *curve]))
        if pretended := _levels(of, "pretended", results):
            told = f"**{dataset}**, on validation, a share of the known items treated as new: {_users(of, 'pretended')}"
            parts.append("\n".join([told, "", LEVELS_HEAD, *pretended]))
        first = of[0]
        seconds, num_items = first["put_seconds"], first["new_items"]
        parts.append(f"Adding the {num_items:,} items in one table took {seconds:.1f} s, {1000 * seconds / num_items:.1f} ms an item.")
    return "\n\n".join(parts) if parts else NOTHING


def _title(dataset: str, records: Sequence[Record]) -> str:
    left_out = records[0]["users"]["left_out"]
    seeds = sorted({record["seed"] for record in records})
    drawn = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    return f"**{dataset}**, {drawn}: {_users(records, 'added')}; {left_out} left out"


def _users(records: Sequence[Record], protocol: str) -> str:
    """How many users have a target of either kind."""
    users = next((record["users"] for record in records if record["protocol"] == protocol), {"new": 0, "known": 0})
    return f"target new {users['new']:,} users, known {users['known']:,}"


def _level(record: Record) -> float:
    return float(record["config"].get("retrieval", {}).get("new_item_level", 0.0))


def _levels(records: Sequence[Record], protocol: str, results: Results) -> list[str]:
    """A line per level of the network's lists, and one for those without stand-ins."""
    lines = []
    of_network = [record for record in records if record["model"] in ("cobra", NO_STAND_INS) and record["protocol"] == protocol]
    gains = _above_zero(of_network, results)
    for model, level in sorted({(record["model"], _level(record)) for record in of_network}):
        own = [record for record in of_network if (record["model"], _level(record)) == (model, level)]
        name = f"{level:g}" if model == "cobra" else f"{level:g}, without stand-ins"
        cells = [name, *(_pair(own, group) for group in ("new", "known", "all"))]
        cells += [difference(gains[model, level]) if (model, level) in gains else "", spread([one["places_of_new"] for one in own])]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _above_zero(records: Sequence[Record], results: Results) -> dict[tuple[str, float], Difference]:
    """By model and level what the NDCG@10 of all users is above that of `cobra` at level 0, users of all seeds together.

    Only where all ranks are kept.
    """
    found: dict[tuple[str, float], list[np.ndarray]] = {}
    for record in sorted(records, key=lambda one: one["seed"]):
        if (ranks := results.ranks(record)) is not None:
            found.setdefault((record["model"], _level(record)), []).append(user_values(ranks.ranks)[:, 1])
    values = {name: np.concatenate(of) for name, of in found.items()}
    base = values.pop(("cobra", 0.0), np.zeros(0))
    apart = {name: of - base for name, of in values.items() if len(of) == len(base)}
    if not apart:
        return {}
    columns = np.stack(list(apart.values()), axis=1)
    limits = zip(columns.mean(0).tolist(), intervals(columns).tolist(), strict=True)
    return {name: Difference(mean, *around) for name, (mean, around) in zip(apart, limits, strict=True)}


def _rows(records: Sequence[Record]) -> list[str]:
    """A line per ranker, at level 0, the best over all users first."""
    records = [record for record in records if _level(record) == 0]
    records = sorted(records, key=lambda one: -one["metrics"].get("all", {"ndcg@10": 0.0})["ndcg@10"])
    lines = []
    for model, config_hash in dict.fromkeys((record["model"], record["config_hash"]) for record in records):
        own = [record for record in records if (record["model"], record["config_hash"]) == (model, config_hash)]
        after = [record for record in own if record["protocol"] == "added"]
        before = [record for record in own if record["protocol"] == "not-added"]
        cells = [f"`{model}`", _pair(after, "new"), _pair(before, "known"), _pair(after, "known"), _pair(after, "all")]
        cells.append(spread([record["places_of_new"] for record in after]))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _pair(records: Sequence[Record], group: str) -> str:
    """recall@10 / NDCG@10, means over the seeds."""
    if not records:
        return "–"
    return " / ".join(figure(sum(record["metrics"][group][metric] for record in records) / len(records)) for metric in METRICS)
