"""The experiment `cold`: how well items are recommended that are added after `fit`, and what adding them does to the others.

A seeded tenth of the items is held out of all that `fit` gets (`cold_items`), then put into the live catalog. Lists are those that are
served, over the whole catalog, the history masked. One record per data set, seed, ranker, settings and protocol: `added`, over the grown
catalog, for users whose target is new, for the others (known) and for all; `not-added`, before, for the known alone; `pretended`, what
validation says of a level of new items, where some of the known ones are treated as new (`cold_pretended`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.config import Config, RetrievalConfig, RunOptions
from cobrarec.errors import ConfigError
from cobrarec.evaluation.evaluate import Ranker
from cobrarec.experiments.bootstrap import METRICS, user_values
from cobrarec.experiments.cold_items import hold_out_items
from cobrarec.experiments.cold_world import ColdProtocol, ColdWorld, cold_world
from cobrarec.experiments.datasets import Tables, load_datasets, scaled_config
from cobrarec.experiments.definition import difference
from cobrarec.experiments.estimate import minutes, training_seconds
from cobrarec.experiments.measures import rank, ranks_to_keep
from cobrarec.experiments.plan import Selection
from cobrarec.experiments.provenance import provenance
from cobrarec.experiments.records import Ranks, Record, Results, key_of
from cobrarec.experiments.run_experiment import check_same_data, places
from cobrarec.progress import Progress, Silent
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_folder import RunFolder, settings_read
from cobrarec.training.job import torch_threads

NAME = "cold"
DATASETS = ("beauty", "toys")
SHARE = 0.1
"""Of the items that are held out."""
K = 10
LEVELS = (-1.0, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Values of `retrieval.new_item_level` beside the one of the settings."""
BASELINES = ("counts", "content", "popularity")
PARTS = {
    "no-memory": {"memory_weight": 0.0},
    "direct": {"direct_weight": 1.0, "memory_weight": 0.0},
    "cascade": {"direct_weight": 0.0, "memory_weight": 0.0},
}
"""Lists of the same network that are ordered by some of its terms alone."""
NO_STAND_INS = "no-stand-ins"
"""The same lists, but with a memory that knows nothing of new items."""
MODELS = ("cobra", NO_STAND_INS, *PARTS, *BASELINES)


@dataclass(frozen=True)
class ColdJob:
    """One record to be made: a ranker's lists over the catalog with the new items, or before they came."""

    dataset: str
    model: str
    config: Config
    seed: int
    protocol: ColdProtocol

    @property
    def facts(self) -> Record:
        """What its record is found by."""
        return {**vars(self), "config_hash": _hash_of(self.config)}

    @property
    def key(self) -> tuple[Any, ...]:
        """The same in the order of records."""
        return key_of(self.facts)


def run_cold(
    selection: Selection | None = None, progress: Progress | None = None, estimate_only: bool = False, config: Config | None = None
) -> Results:
    """Run what is missing of the experiment and return its results.

    Args:
        selection: which data sets, rankers and seeds (0 where none is named), where, and how.
        progress: told what will run and how far it is.
        estimate_only: stop after saying what will run.
        config: hyper-parameters; None: the defaults.

    Raises:
        ConfigError: an unknown ranker, or a choice of protocols, which here belong together.
        DataError: a data set is missing, or is not the one that the records are of.
        Interrupted: Ctrl-C; the same call goes on.
    """
    selection, progress, config = selection or Selection(), progress or Silent(), config or Config()
    config = config if selection.scale is None else scaled_config(config, selection.scale)
    jobs = cold_jobs(selection, config)
    out, folder = places(NAME, selection)
    results = Results(folder, NAME)
    tables = load_datasets(selection.data, dict.fromkeys(job.dataset for job in jobs), selection.scale)
    check_same_data(tables, results.complete(), results)
    progress.message(f"Experiment {NAME}: runs in {out}, records in {results.path}")
    for dataset, seed in dict.fromkeys((job.dataset, job.seed) for job in jobs):
        todo = _missing([job for job in jobs if (job.dataset, job.seed) == (dataset, seed)], results)
        run = RunFolder(out / dataset / f"{NAME}-{_hash_of(config)[:8]}" / f"seed-{seed}")
        seconds = 0.0 if run.artifact.exists() or not todo else training_seconds(config, tables[dataset])
        progress.message(f"  {dataset}, seed {seed}: {len(todo)} records to make; training about {minutes(seconds)} by a rough rule")
        if todo and not estimate_only:
            with torch_threads(selection.num_threads):
                _make_records(todo, tables[dataset], run, config, results, selection, progress)
    return results


def cold_jobs(selection: Selection, config: Config) -> list[ColdJob]:
    """The selected records, data set by data set."""
    if selection.protocols:
        raise ConfigError(f"The experiment {NAME} measures in one way; leave --protocols {','.join(selection.protocols)} away.")
    if foreign := [name for name in selection.models if name not in MODELS]:
        raise ConfigError(f"--models names {foreign[0]}, which the experiment {NAME} does not have; it has {', '.join(MODELS)}.")
    return [
        ColdJob(dataset, model, own, seed, protocol)
        for dataset in selection.datasets or DATASETS
        for seed in selection.seeds or (0,)
        for model, own, protocols in _rankers(config)
        for protocol in protocols
        if not selection.models or model in selection.models
    ]


def _rankers(config: Config) -> list[tuple[str, Config, tuple[ColdProtocol, ...]]]:
    """Name, settings and protocols of all that is measured; other levels of new items change nothing before these came."""
    both: tuple[ColdProtocol, ...] = ("added", "not-added")
    every: tuple[ColdProtocol, ...] = (*both, "pretended")
    raised: tuple[ColdProtocol, ...] = ("added", "pretended")
    baselines = [(name, config.model_copy(update={"ranker": name}), both) for name in BASELINES]
    levels = [("cobra", _with(config, new_item_level=level), raised) for level in LEVELS if level != config.retrieval.new_item_level]
    parts = [(name, _with(config, **changes), raised[:1]) for name, changes in PARTS.items()]
    return [("cobra", config, every), (NO_STAND_INS, config, raised), *parts, *levels, *baselines]


def _with(config: Config, **changes: float) -> Config:
    return config.model_copy(update={"retrieval": config.retrieval.model_copy(update=changes)})


def _hash_of(config: Config) -> str:
    return hashlib.sha256(settings_read(config).encode()).hexdigest()[:16]


def _missing(jobs: Sequence[ColdJob], results: Results) -> list[ColdJob]:
    done = {key_of(record) for record in results.complete()}
    return [job for job in jobs if job.key not in done]


def _make_records(
    jobs: Sequence[ColdJob],
    tables: Tables,
    run: RunFolder,
    config: Config,
    results: Results,
    selection: Selection,
    progress: Progress,
) -> None:
    """Train, put the held-out items, and measure `jobs`, all of one data set and seed."""
    seed, own = jobs[0].seed, provenance(selection.device, selection.num_threads)
    options = RunOptions(seed=seed, device=selection.device, num_threads=selection.num_threads, resume=True)
    held_out = hold_out_items(tables, SHARE, seed)
    world = cold_world(run, held_out, tables.interactions, config, options, own, progress)
    for job in jobs:
        level = f", level {job.config.retrieval.new_item_level:g}" if job.model == "cobra" else ""
        progress.message(f"Measuring {job.model}{level}, {job.protocol}")
        record, ranks = make_record(job, world)
        record |= {"data": tables.content_hash, "measured": {"commit": own["commit"], "date": own["date"]}}
        results.add(record, ranks, settings_read(job.config))


def make_record(job: ColdJob, world: ColdWorld) -> tuple[Record, Ranks]:
    """Measure one ranker."""
    measured = world.measured(job.protocol)
    users, catalog, retrieval = measured.users, measured.recommender.catalog, job.config.retrieval
    ranker: Ranker
    if job.model in BASELINES:
        ranker = world.baseline(job.model, catalog)
    else:
        changes = {name: value for name, value in retrieval if value != RetrievalConfig.model_fields[name].get_default()}
        recommender = _without_stand_ins(measured.recommender) if job.model == NO_STAND_INS else measured.recommender
        ranker = recommender.with_settings(**changes)
    lists = rank(ranker, users, world.progress, K)
    ranks = ranks_to_keep(lists, users, catalog, _hash_of(job.config))
    of = {"new": measured.is_new, "known": ~measured.is_new, "all": np.ones(users.num_users, bool)}
    of = {group: chosen for group, chosen in of.items() if measured.is_new.any() or group == "known"}
    record: Record = {
        "dataset": job.dataset,
        "model": job.model,
        "config": _difference_of(job),
        "config_hash": _hash_of(job.config),
        "seed": job.seed,
        "protocol": job.protocol,
        "metrics": {group: _means(ranks, chosen) for group, chosen in of.items()},
        "users": {**{group: int(chosen.sum()) for group, chosen in of.items()}, "left_out": world.users.num_left_out},
        "new_items": world.grown.catalog.num_items - world.num_items,
        "places_of_new": round(float(measured.is_new_item[lists[lists >= 0]].mean()), 6),
        "put_seconds": round(world.put_seconds, 3),
        "networks": {"cobra": world.trained.network} if job.model not in BASELINES else None,
        "epochs": world.trained.best_epoch,
        **world.trained.made,
    }
    return record, ranks


def _without_stand_ins(recommender: Recommender) -> Recommender:
    memory = recommender.network.memory
    memory = None if memory is None else replace(memory, shares=None)
    parts = (recommender.catalog, recommender.semantic_ids, recommender.model, recommender.items, recommender.config, recommender.info)
    return Recommender.of_network(*parts, memory)


def _difference_of(job: ColdJob) -> dict[str, Any]:
    """What a record's settings are beside the defaults."""
    return difference(job.config.model_dump(mode="json"), Config().model_dump(mode="json"))


def _means(ranks: Ranks, chosen: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Recall and NDCG at 10 of some users; zeros where there are none."""
    values = user_values(ranks.ranks)[chosen]
    return dict(zip(METRICS, (values.mean(0) if len(values) else np.zeros(2)).round(6).tolist(), strict=True))
