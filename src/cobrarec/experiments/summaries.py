"""From records to what a table or a picture shows: each model's published settings, averaged over its seeds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cobrarec.experiments.bootstrap import Difference, compare
from cobrarec.experiments.definition import Definition
from cobrarec.experiments.protocols import PROTOCOLS, Protocol
from cobrarec.experiments.records import Ranks, Record, Results, settings_on_validation


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
    """For each data set and protocol the models in the order of the definition; groups without a record are absent.

    Of a row only the settings of the definition count; of a model that is no row of it the best on validation, the first of equals.
    """
    own = {model: definition.hash_of(model, scale) for model in definition.rows}
    shown = {
        (dataset, model): own.get(model) or max(values, key=lambda name: values[name])
        for (dataset, model), values in settings_on_validation(records).items()
    }
    published = [record for record in records if record["config_hash"] == shown[record["dataset"], record["model"]]]
    models = [*definition.rows, *dict.fromkeys(one["model"] for one in published if one["model"] not in definition.rows)]
    datasets = [*definition.datasets, *dict.fromkeys(one["dataset"] for one in published if one["dataset"] not in definition.datasets)]
    groups: dict[Group, list[Summary]] = {}
    for dataset in datasets:
        for protocol in PROTOCOLS:
            for model in models:
                wanted = (dataset, model, protocol)
                found = [one for one in published if (one["dataset"], one["model"], one["protocol"]) == wanted]
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


def differences(summaries: Sequence[Summary], compared: str | None, results: Results) -> dict[str, dict[str, Difference]]:
    """The compared model less each other one, by name and metric, of those whose ranks are kept; nothing without the compared one's."""
    ranks: dict[str, dict[int, Ranks]] = {}
    for summary in summaries:
        found = {record["seed"]: results.ranks(record) for record in summary.records}
        kept = {seed: one for seed, one in found.items() if one is not None}
        if len(kept) == len(found):
            ranks[summary.model] = kept
    if compared is None or compared not in ranks:
        return {}
    first = ranks.pop(compared)
    return compare(first, ranks)


def other_training(first: Summary, second: Summary, definition: Definition) -> bool:
    """Whether two rows of one training were measured on different networks; not known of records that do not name theirs."""
    models = (first.model, second.model)
    if not set(models) <= set(definition.rows) or definition.run_of(models[0]) != definition.run_of(models[1]):
        return False
    networks = [{record["seed"]: record["network"] for record in one.records if record.get("network")} for one in (first, second)]
    return any(networks[0][seed] != networks[1][seed] for seed in networks[0].keys() & networks[1].keys())


def unpublished(records: Sequence[Record], definition: Definition) -> list[str]:
    """What is wrong with the definition in the light of the records: rows whose settings are not recorded, or not the best.

    A row has one setting for all data sets, so another one is better where its NDCG@10 on validation is, in the mean over the data sets
    on which both are recorded.
    """
    wrong, values = [], settings_on_validation(records)
    for model in dict.fromkeys(model for _, model in values):
        if model not in definition.rows:
            wrong.append(f"{model} is recorded but no row of the definition")
            continue
        own, of_model = definition.hash_of(model), {dataset: found for (dataset, name), found in values.items() if name == model}
        wrong += [f"{dataset}: the settings of {model} ({own}) are not recorded" for dataset, found in of_model.items() if own not in found]
        for other in dict.fromkeys(name for found in of_model.values() for name in found if name != own):
            both = [found for found in of_model.values() if own in found and other in found]
            if both and mean([found[other] for found in both]) > mean([found[own] for found in both]):
                wrong.append(f"the settings of {model} ({own}) are not those with the best validation NDCG@10 ({other})")
    return wrong
