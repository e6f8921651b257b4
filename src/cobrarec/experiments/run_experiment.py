"""Running a named experiment: every record that is not there yet is trained, measured and written, one after the other."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cobrarec.errors import ConfigError, DataError
from cobrarec.experiments.datasets import Tables, load_datasets
from cobrarec.experiments.definition import Definition, load_definition, packaged_definitions
from cobrarec.experiments.ensemble import MEMBER_LISTED, choose_mixture, mixed_lists
from cobrarec.experiments.estimate import plan_lines
from cobrarec.experiments.measures import (
    NUM_LISTED,
    Lists,
    direct_share,
    is_ranked_by_direct_query,
    list_metrics,
    rank,
    ranks_to_keep,
    without_length,
)
from cobrarec.experiments.plan import Job, Selection, plan_jobs, runs_of, still_to_do
from cobrarec.experiments.provenance import provenance
from cobrarec.experiments.records import Ranks, Record, Results
from cobrarec.experiments.runs import Runs, TrainedRun
from cobrarec.prepared import Prepared
from cobrarec.progress import Progress, Silent
from cobrarec.retrieval.list_search import ListSearch
from cobrarec.run_results import KS, held_out_of
from cobrarec.training.job import torch_threads

PUBLIC_RESULTS = Path("docs/results")
"""Where the records of whole experiments lie."""
RUNS = Path("runs/experiments")
"""Where trained runs lie; experiments share those that they have in common."""


def run_experiment(
    source: str | Path, selection: Selection | None = None, progress: Progress | None = None, estimate_only: bool = False
) -> Results:
    """Run what is missing of an experiment and return its results.

    Args:
        source: name of a packaged experiment, or a YAML file of the same form.
        selection: which part of it, where, and how.
        progress: told what will run, about how long, and how far it is.
        estimate_only: stop after saying what will run.

    Raises:
        ConfigError: no such experiment, model, data set or seed; a scaled experiment whose records would lie among those of whole ones.
        DataError: a data set is missing, or is not the one that the records are of.
        Interrupted: Ctrl-C; the same call goes on.
    """
    selection, progress = selection or Selection(), progress or Silent()
    name, definition = load_definition(source)
    jobs = plan_jobs(definition, selection)
    out, folder = places(name, selection)
    results = Results(folder, name)
    tables = load_datasets(selection.data, dict.fromkeys(job.dataset for job in jobs), selection.scale)
    records = results.complete()
    check_same_data(tables, records, results)
    todo = still_to_do(jobs, records)
    progress.message(f"Experiment {name}: runs in {out}, records in {results.path}")
    timed = [record for one in packaged_definitions().keys() | {name} for record in Results(folder, one).records()]
    for line in plan_lines(jobs, todo, definition, tables, timed, out, selection.scale):
        progress.message("  " + line)
    for model in [one for one in selection.models if one not in {job.model for job in jobs}]:
        progress.message(f"  {model}: nothing of it has these seeds and protocols")
    if estimate_only:
        return results
    runs = Runs(definition, tables, out, selection, progress)
    with torch_threads(selection.num_threads):
        for place, job in enumerate(todo):
            if not still_to_do([job], results.complete()):  # another process has made it meanwhile
                continue
            progress.message(f"Record {place + 1} of {len(todo)}: {job.dataset}, {job.model}, seed {job.seed}, {job.protocol}")
            results.add(*make_record(job, definition, runs), definition.settings_of(job.model, selection.scale))
    return results


def places(name: str, selection: Selection) -> tuple[Path, Path]:
    """Folder of the runs and folder of the records; those of a scaled experiment are apart from those of whole ones."""
    scale = selection.scale
    out = selection.out or RUNS
    out = out if scale is None else out / f"scale-{scale:g}"
    results = selection.results or (PUBLIC_RESULTS if scale is None else out / "results")
    if scale is not None and results.resolve() == PUBLIC_RESULTS.resolve():
        raise ConfigError(f"--scale makes records that do not belong into {PUBLIC_RESULTS}; give another folder with --results.")
    return out, results


def check_same_data(tables: Mapping[str, Tables], records: Iterable[Record], results: Results) -> None:
    """Refuse to add to records that were measured on other tables of the same name."""
    for record in records:
        own = tables.get(record["dataset"])
        if own is not None and record.get("data") not in (None, own.content_hash):
            raise DataError(
                f"{results.path} holds records of another {record['dataset']} ({record['data']}; the tables given are {own.content_hash}). "
                "Give the data that they are of, or another folder with --results."
            )


def make_record(job: Job, definition: Definition, runs: Runs) -> tuple[Record, Ranks]:
    """Train what a record needs and measure it."""
    trained = [runs.trained(name) for name in runs_of(job, definition, runs.selection.scale)]
    made = _ensemble_lists if definition.rows[job.model].ensemble else _own_lists
    lists, facts = made(job, definition, runs, trained)
    prepared, selection = trained[0].prepared, runs.selection
    num_items, valid, test = prepared.catalog.num_items, held_out_of(prepared, "valid"), held_out_of(prepared, "test")
    measured = list_metrics(lists.test, test, num_items)
    record: Record = {
        "dataset": job.dataset,
        "model": job.model,
        "config": definition.difference_of(job.model, selection.scale),
        "config_hash": job.config_hash,
        "seed": job.seed,
        "protocol": job.protocol,
        "metrics": without_length(measured),
        "valid": without_length(list_metrics(lists.valid, valid, num_items)),
        "mean_list_length": measured[f"length@{max(KS)}"],
        "users": test.num_users,
        "data": runs.tables[job.dataset].content_hash,
        **facts,
    }
    return record, ranks_to_keep(lists.test, test, prepared.catalog, job.config_hash)


def _own_lists(job: Job, definition: Definition, runs: Runs, trained: list[TrainedRun]) -> tuple[Lists, dict[str, Any]]:
    """The lists of a row that is no ensemble, and what is recorded of it beside the metrics."""
    (run,) = trained
    recommender = runs.serving(job.model, run, job.protocol)
    valid, test = (held_out_of(run.prepared, split) for split in ("valid", "test"))
    lists = Lists(rank(recommender, valid, runs.progress), rank(recommender, test, runs.progress))
    facts: dict[str, Any] = {"networks": _networks(definition, (job.model,), trained), "epochs": run.best_epoch, **run.made}
    if isinstance(recommender.engine, ListSearch):
        facts["memory_weight"] = recommender.weights.memory
    if is_ranked_by_direct_query(recommender):
        facts["direct_weight"] = recommender.weights.direct
        facts["direct_share"] = direct_share(recommender, test, lists.test, runs.progress)
    return lists, facts


def _ensemble_lists(job: Job, definition: Definition, runs: Runs, trained: list[TrainedRun]) -> tuple[Lists, dict[str, Any]]:
    """The mixed lists of an ensemble, its weights chosen on validation; its seconds are those of its members and its own."""
    start, names = time.monotonic(), definition.rows[job.model].ensemble
    prepared = trained[0].prepared
    ties = prepared.catalog.tie_breakers(job.seed)
    valid, test = (held_out_of(prepared, split) for split in ("valid", "test"))
    members = [runs.serving(name, run, job.protocol) for name, run in zip(names, trained, strict=True)]
    _check_same_users([run.prepared for run in trained])
    listed = [[member.rank(of.histories, MEMBER_LISTED, runs.progress) for member in members] for of in (valid, test)]
    weights = choose_mixture(listed[0], valid.target_rows, ties)
    shown = ", ".join(f"{name} {weight:g}" for name, weight in zip(names, weights, strict=True))
    runs.progress.message(f"Weights of the ensemble chosen on validation: {shown}")
    lists = Lists(*(mixed_lists(of, weights, ties, NUM_LISTED) for of in listed))
    parts = [run.made["seconds"] for run in trained]
    seconds = None if None in parts else round(sum(parts) + time.monotonic() - start, 1)
    networks = _networks(definition, names, trained)
    facts = {"weights": dict(zip(names, weights, strict=True)), "networks": networks, "epochs": None, "seconds": seconds}
    return lists, facts | provenance(runs.selection.device, runs.selection.num_threads)


def _networks(definition: Definition, models: Iterable[str], trained: Iterable[TrainedRun]) -> dict[str, str | None]:
    """By the row that was trained, which network it became."""
    return {definition.run_of(model): run.network for model, run in zip(models, trained, strict=True)}


def _check_same_users(members: list[Prepared]) -> None:
    first, *others = (held_out_of(one, "test") for one in members)
    for other in others:
        assert first.target_rows.tolist() == other.target_rows.tolist(), "members of an ensemble were made from other data"
