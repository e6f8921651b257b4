"""From records to what a table or a picture shows: each model's published settings, averaged over its seeds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cobrarec.experiments.bootstrap import Difference, compare
from cobrarec.experiments.definition import Definition
from cobrarec.experiments.protocols import PROTOCOLS, Protocol
from cobrarec.experiments.records import Ranks, Record, Results, settings_on_validation

LEAST_GAIN = 1e-4
"""Settings whose NDCG@10 differs by less are equally good: seeds differ by more."""


@dataclass(frozen=True)
class Summary:
    """A model's records on one data set under one protocol, one per seed, all of the same settings."""

    model: str
    records: tuple[Record, ...]

    def values(self, metric: str, split: Literal["metrics", "valid"] = "metrics") -> list[float]:
        """A metric of every seed, on test (`metrics`) or on validation."""
        return [float(record[split][metric]) for record in self.records]

    def facts(self, name: str) -> list[float]:
        """What is recorded under `name`, of the seeds that have it."""
        return [float(record[name]) for record in self.records if record.get(name) is not None]


Group = tuple[str, Protocol]
"""Data set and protocol."""


def summarize(records: Sequence[Record], definition: Definition, scale: float | None = None) -> dict[Group, list[Summary]]:
    """For each data set and protocol the rows of the definition in their order, with the records of their present settings.

    Groups without a record are absent.
    """
    groups: dict[Group, list[Summary]] = {}
    for dataset in definition.datasets:
        for protocol in PROTOCOLS:
            for model in definition.rows:
                wanted = (dataset, protocol, model, definition.hash_of(model, scale))
                found = [one for one in records if (one["dataset"], one["protocol"], one["model"], one["config_hash"]) == wanted]
                if found:
                    summary = Summary(model, tuple(sorted(found, key=lambda one: one["seed"])))
                    groups.setdefault((dataset, protocol), []).append(summary)
    return groups


def mean(values: Sequence[float]) -> float:
    """Mean over the seeds."""
    return statistics.fmean(values)


def deviation(values: Sequence[float]) -> float | None:
    """Sample deviation over the seeds; None of a single one."""
    return statistics.stdev(values) if len(values) > 1 else None


def differences(summaries: Sequence[Summary], compared: str, results: Results) -> dict[str, dict[str, Difference]]:
    """The compared model less each other one, by name and metric, of those whose ranks are kept; nothing without the compared one's.

    Rows that were measured on the same networks are compared on these.
    """
    ranks: dict[str, dict[int, Ranks]] = {}
    for summary in summaries:
        found = {record["seed"]: results.ranks(record) for record in summary.records}
        kept = {seed: one for seed, one in found.items() if one is not None}
        if len(kept) == len(found):
            ranks[summary.model] = kept
    if compared not in ranks:
        return {}
    first, by_name = ranks.pop(compared), {summary.model: summary for summary in summaries}
    paired = [name for name in ranks if _share_a_training(by_name[compared], by_name[name])]
    return compare(first, ranks, paired=paired)


def other_training(first: Summary, second: Summary) -> bool:
    """Whether two rows were measured on different networks of one training's name; not known of records that do not name theirs."""
    one, other = _networks(first), _networks(second)
    return any(one[training] != other[training] for training in one.keys() & other.keys())


def _share_a_training(first: Summary, second: Summary) -> bool:
    return bool(_networks(first).items() & _networks(second).items())


def _networks(summary: Summary) -> dict[tuple[int, str], str]:
    """By seed and the row that was trained, the networks that the records name."""
    named = [(record["seed"], record.get("networks") or {}) for record in summary.records]
    return {(seed, row): network for seed, networks in named for row, network in networks.items() if network}


def unpublished(records: Sequence[Record], definition: Definition) -> list[str]:
    """What is wrong with the definition in the light of the records: rows whose settings are not recorded, or not the best.

    A row has one setting for all data sets, so another one is better where its NDCG@10 on validation is by `LEAST_GAIN`, in the mean over
    the data sets on which both are recorded, and there over the seeds that both have.
    """
    wrong, values = [], settings_on_validation(records)
    for model in dict.fromkeys(model for _, model in values):
        if model not in definition.rows:
            wrong.append(f"{model} is recorded but no row of the definition")
            continue
        own, of_model = definition.hash_of(model), {dataset: found for (dataset, name), found in values.items() if name == model}
        wrong += [f"{dataset}: the settings of {model} ({own}) are not recorded" for dataset, found in of_model.items() if own not in found]
        for other in dict.fromkeys(name for found in of_model.values() for name in found if name != own):
            gains = [gain for found in of_model.values() if (gain := _gain(found.get(other, {}), found.get(own, {}))) is not None]
            if gains and mean(gains) >= LEAST_GAIN:
                wrong.append(f"the settings of {model} ({own}) are not those with the best validation NDCG@10 ({other})")
    return wrong


def _gain(first: Mapping[int, float], second: Mapping[int, float]) -> float | None:
    """Mean over the seeds that both have of one's value less the other's; None where they have none in common."""
    shared = first.keys() & second.keys()
    return mean([first[seed] - second[seed] for seed in shared]) if shared else None
