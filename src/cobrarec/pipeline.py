"""The chapters in their order, from two tables to an artifact: what `cobrarec.fit` and the command line call.

prepare -> semantic IDs -> train -> weights of the fusion -> refit -> artifact -> metrics -> report. Each step stores its result in the
run folder; the separate functions compose to the same as `fit`. A ranker without a network has no IDs, and only choices to train.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cobrarec.artifact import load_artifact, verify_artifact
from cobrarec.artifact_manifest import learned_from, write_text
from cobrarec.baselines.storage import Baseline
from cobrarec.config import Config, RunOptions, load_config, parse_config
from cobrarec.continuation import Origin, continued_ids, continued_training
from cobrarec.errors import ArtifactError, DataError, RunError, UserError
from cobrarec.evaluation.evaluate import Ranker, masking
from cobrarec.prepared import Prepared, is_refitted, load_prepared, prepare_run
from cobrarec.progress import Progress, Silent
from cobrarec.report import write_report
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.request_checks import check_k
from cobrarec.run_baselines import baseline_step, baselines, refit_baseline
from cobrarec.run_folder import RunFolder, machine_limits, read_json
from cobrarec.run_results import KS, evaluate_rankers, examples, held_out_of, protocol
from cobrarec.run_steps import Identified, artifact_step, refit_step, semantic_ids_step, train_step
from cobrarec.training.checkpoint import read_state
from cobrarec.training.job import torch_threads

SPLITS = ("valid", "test")
TRAINING_SHARE = 0.8
"""Of the time that a limit leaves after the semantic IDs; the rest is for the choice of the fusion weight and the metrics."""
REFIT_SHARE = 0.2
"""Of the time of the training, where the chosen model learns from the validation interactions too."""
SHORTEST_TRAINING = 0.01
"""Minutes that training is always given."""


def fit(
    items: Any,
    interactions: Any,
    out: Path | str,
    config: Config | Mapping[str, Any] | Path | str | None = None,
    options: RunOptions | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Recommender:
    """Two tables in, a recommender out; everything on the way lies in the folder `out`.

    Args:
        items: table of items, a path (parquet, CSV, JSONL) or a pandas, polars or arrow table: `item_id` and any attributes.
        interactions: table of interactions: `user_id`, `item_id`, and `position` or `timestamp` for the order.
        out: folder of the run, made anew.
        config: hyper-parameters: a `Config`, nested settings, a YAML file, or the name of a packaged configuration; default: those of
            `options.like`, else the defaults.
        options: seed, device, time limit, whether to go on with a stopped run, whether to read the test split at the end.
        progress: told how far it is.

    Returns:
        The recommender of `out/artifact`.

    Raises:
        UserError: what was given cannot be used; then nothing is written.
        MachineError: the disk is full or the memory spent.
        Interrupted: Ctrl-C; a checkpoint is on disk.
    """
    options = options if isinstance(options, RunOptions) else RunOptions(**(options or {}))
    progress, run, start = progress or Silent(), RunFolder(out), time.monotonic()
    with machine_limits(), torch_threads(options.num_threads):
        is_new = run.identity is None
        prepared = prepare_run(items, interactions, run, _resolved(config, options), options, progress)
        try:
            if options.from_artifact is not None:
                _continue(prepared, options, _with_time_left(options, start), progress)
            elif prepared.config.ranker == "cobra":
                identified = semantic_ids_step(prepared, progress, options.embedding_cache, options.device)
                _train(prepared, identified, _with_time_left(options, start), progress)
            else:
                _train_baseline(prepared, options, progress)
        except UserError:
            if is_new and read_state(run.checkpoints) is None:
                run.clear()
            raise
        splits = ["valid", "test"] if options.test else ["valid"]
        if prepared.split.valid is None or options.from_artifact is not None:  # what it goes on from may have learned the validation
            splits = splits[1:]
        _store_metrics(prepared, splits, progress)
        write_report(run.path)
        if options.time_limit is not None and time.monotonic() - start > 60 * options.time_limit:
            minutes = (time.monotonic() - start) / 60
            progress.message(f"All took {minutes:.1f} min, the limit was {options.time_limit:g}: what is not training alone takes longer.")
        return load_artifact(run.artifact)


def prepare(
    items: Any,
    interactions: Any,
    out: Path | str,
    config: Config | Mapping[str, Any] | Path | str | None = None,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> None:
    """The first step of `fit`, with the same arguments and errors."""
    options = options or RunOptions()
    with machine_limits():
        prepare_run(items, interactions, RunFolder(out), _resolved(config, options), options, progress or Silent())


def build_semantic_ids(
    run_folder: Path | str, allow_collapse: bool = False, progress: Progress | None = None, embedding_cache: Path | None = None
) -> Path:
    """The second step of `fit`; the folder with the IDs is returned.

    Raises:
        CollapseError: the IDs do not tell the items apart, and neither the settings nor `allow_collapse` permit that.
        RunError: the folder was not prepared, or its ranker has no semantic IDs.
    """
    run = RunFolder(run_folder)
    with machine_limits():
        prepared = load_prepared(run)
        if prepared.config.ranker != "cobra":
            told = f"{run.path} is a run of the ranker {prepared.config.ranker}, which has no semantic IDs"
            raise RunError(f"{told}; go on with `cobrarec train --run {run.path}`.")
        if allow_collapse and not prepared.config.semantic_ids.allow_collapse:
            run.write_config(_allowing_collapse(prepared.config))
            prepared = load_prepared(run)
        if run.semantic_ids.exists():
            (progress or Silent()).message(f"{run.semantic_ids} is there already and stays as it is.")
        semantic_ids_step(prepared, progress or Silent(), embedding_cache)
    return run.semantic_ids


def train(run_folder: Path | str, options: RunOptions | None = None, progress: Progress | None = None) -> Path:
    """The third step of `fit`: train, choose what validation chooses, refit, write the artifact, whose folder is returned.

    The seed is the run's. Raises RunError where the folder lacks the semantic IDs that its ranker needs, or holds a started training
    while `resume` is off.
    """
    run, options, progress = RunFolder(run_folder), options or RunOptions(), progress or Silent()
    with machine_limits(), torch_threads(options.num_threads):
        prepared = load_prepared(run)
        if prepared.config.ranker != "cobra":
            return _train_baseline(prepared, options, progress)
        run.require("semantic_ids", f"cobrarec semantic-ids --run {run.path}")
        return _train(prepared, semantic_ids_step(prepared, progress, device=options.device), options, progress)


def evaluate(
    run_folder: Path | str,
    split: str = "valid",
    *,
    ks: Sequence[int] | int = KS,
    include_history: bool | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Metrics of a run's model and of the baselines on a split; the usual ones are stored in `metrics.json` and the report too.

    On `test` they are those of the artifact. On `valid` they are those of the model as validation chose it, before it learned from the
    validation interactions too (`RunOptions.refit`). The baselines beside it have learned from the same interactions.

    Args:
        run_folder: a run with an artifact.
        split: `valid`, or `test`, which should be read once.
        ks: list lengths.
        include_history: leave the history's items in the lists; None: as the run's settings say.
        progress: told how far it is.

    Returns:
        `{"protocol", "users", split: {"cobra": {"recall@5", ...}, "popularity": {...}, "counts": {...}, "content": {...}}}`, the run's
        own model first, by its `name` where it has one (`sasrec`).

    Raises:
        RunError: there is no artifact, or the run held nothing out.
        DataError: another split than these two, or list lengths that are no counts.
    """
    if split not in SPLITS:
        raise DataError(f"The split is {split!r}, expected 'valid' or 'test'.")
    ks = [check_k(k) for k in ([ks] if isinstance(ks, int) else ks)]
    if not ks:
        raise DataError("`ks` is empty, expected list lengths such as (5, 10).")
    run, progress = RunFolder(run_folder), progress or Silent()
    with machine_limits():
        prepared = load_prepared(run)
        run.require("artifact", f"cobrarec train --run {run.path}")
        judged = prepared.masking if include_history is None else masking(include_history)
        if tuple(ks) == KS and judged == prepared.masking:
            shown = _store_metrics(prepared, [split], progress)
            write_report(run.path)
            return shown
        rankers = _rankers(prepared, split, baselines(prepared, progress), progress)
        results = evaluate_rankers(prepared, rankers, split, ks, judged, progress)
        return {"protocol": protocol(prepared, judged), "users": held_out_of(prepared, split).num_users, split: results}


def report(run_folder: Path | str) -> Path:
    """Write `report.html` of a run and return its path; raises RunError where the folder holds no run."""
    with machine_limits():
        return write_report(RunFolder(run_folder).path)


def _train(prepared: Prepared, identified: Identified, options: RunOptions, progress: Progress) -> Path:
    run, refits = prepared.run, options.refit and prepared.split.before_test is not None
    if options.resume and run.artifact.exists():
        return _as_it_is(prepared, options, progress)
    share = REFIT_SHARE
    if options.resume and run.chosen.exists():
        share = 1.0
    else:
        trained = train_step(prepared, identified, _part(options, 1 - share if refits else 1.0), progress)
        _store_examples(prepared, trained.recommender)
        artifact_step(prepared, identified, trained, run.chosen if refits else run.artifact)
    if refits:
        whole = prepared.refitting()
        artifact_step(whole, identified, refit_step(whole, identified, _part(options, share), progress), run.artifact)
    elif run.chosen.exists():  # it was to be refitted when it was begun
        run.chosen.rename(run.artifact)
    return run.artifact


def _continue(prepared: Prepared, given: RunOptions, options: RunOptions, progress: Progress) -> Path:
    """From the artifact that `given` names to one that has learned from the new tables too, but not from the test."""
    run, folder = prepared.run, given.from_artifact
    assert folder is not None
    origin = Origin.load(folder)
    origin.check(prepared, given.test)
    identified = continued_ids(prepared, origin, progress)
    if options.resume and run.artifact.exists():
        return _as_it_is(prepared, options, progress)
    whole = prepared if prepared.split.before_test is None else prepared.refitting()
    trained = continued_training(whole, identified, origin, options, progress)
    _store_examples(prepared, trained.recommender)
    info = origin.recommender.info
    more = {"continued_from": info.artifact, "continued_from_catalog_version": info.catalog_version}
    return artifact_step(whole, identified, trained, run.artifact, more)


def _train_baseline(prepared: Prepared, options: RunOptions, progress: Progress) -> Path:
    if options.resume and prepared.run.artifact.exists():
        return _as_it_is(prepared, options, progress)
    _store_examples(prepared, baseline_step(prepared, options, progress))
    return prepared.run.artifact


def _as_it_is(prepared: Prepared, options: RunOptions, progress: Progress) -> Path:
    """The artifact that is there already; told where the options ask for another one."""
    run = prepared.run
    try:
        verify_artifact(run.artifact)
    except ArtifactError as error:
        raise RunError(f"{error} To have it made again, remove {run.artifact} and go on with --resume.") from None
    if prepared.split.before_test is not None and is_refitted(run) != options.refit:
        told = learned_from(run.artifact)
        progress.message(f"{run.artifact} has learned from {told} and stays as it is; give another folder for another one.")
    return run.artifact


def _store_examples(prepared: Prepared, recommender: Recommender) -> None:
    write_text(prepared.run.examples_file, json.dumps(examples(prepared, recommender), indent=2, ensure_ascii=False) + "\n")


def _rankers(prepared: Prepared, split: str, beside: Mapping[str, Baseline], progress: Progress) -> dict[str, Ranker]:
    """What is measured on a split: the run's own ranker first, and those `beside` it; see `evaluate`."""
    run, own = prepared.run, prepared.config.shown_name
    if not is_refitted(run):
        return {own: _own_artifact(prepared, run.artifact), **beside}
    if split == "test":
        refitted = {name: refit_baseline(name, one, prepared, progress) for name, one in beside.items()}
        return {own: _own_artifact(prepared, run.artifact), **refitted}
    if not run.chosen.exists():
        told = f"{run.artifact} has learned from the validation interactions, and {run.chosen}, the model before that, is missing"
        raise RunError(f"{told}; metrics on validation would mean nothing. Fit again in another folder.")
    return {own: _own_artifact(prepared, run.chosen), **beside}


def _own_artifact(prepared: Prepared, folder: Path) -> Recommender:
    """The recommender of an artifact of the run; raises RunError where one of another run lies there."""
    recommender = load_artifact(folder, catalog_version=0)  # items may have been changed since
    told = f"{folder} was not made by this run"
    if recommender.info.split != prepared.split.name:
        raise RunError(
            f"{told}: its split is {recommender.info.split}, that of the run {prepared.split.name}; evaluate it where it was made."
        )
    if not np.array_equal(recommender.catalog.item_ids, prepared.catalog.item_ids):
        raise RunError(f"{told}: its items are others than those of the run's tables; evaluate it where it was made.")
    return recommender


def _store_metrics(prepared: Prepared, splits: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Evaluate on `splits`, write them into `metrics.json` beside what is there, and return them alone.

    `users` is the number of validation users; `test_users`, which a split by time makes another one, stands beside the test.
    """
    run = prepared.run
    stored: dict[str, Any] = {"protocol": protocol(prepared, prepared.masking), "users": 0, "valid": None, "test": None}
    stored |= read_json(run.metrics_file) or {}
    shown: dict[str, Any] = {"protocol": stored["protocol"], "users": 0}
    beside = baselines(prepared, progress) if splits else {}
    for split in splits:
        shown["users"] = held_out_of(prepared, split).num_users
        stored["users" if split == "valid" else "test_users"] = shown["users"]
        rankers = _rankers(prepared, split, beside, progress)
        stored[split] = shown[split] = evaluate_rankers(prepared, rankers, split, KS, prepared.masking, progress)
    write_text(run.metrics_file, json.dumps(stored, indent=2) + "\n")
    return shown


def _resolved(config: Config | Mapping[str, Any] | Path | str | None, options: RunOptions) -> Config:
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        return parse_config(dict(config), "`config`")
    if config is not None:
        return load_config(config)
    if options.from_artifact is not None:
        return load_config(options.from_artifact / "config.yaml")
    if options.like is None:
        return Config()
    like = RunFolder(options.like).config()
    return like.model_copy(update={"data": like.data.model_copy(update={"split": "none"})})


def _allowing_collapse(config: Config) -> Config:
    return config.model_copy(update={"semantic_ids": config.semantic_ids.model_copy(update={"allow_collapse": True})})


def _part(options: RunOptions, share: float) -> RunOptions:
    """The options with a share of the time limit."""
    return options.model_copy(update={"time_limit": None if options.time_limit is None else share * options.time_limit})


def _with_time_left(options: RunOptions, start: float) -> RunOptions:
    """The options with the part of the time limit that training may use; even where none is left it ends with a valid artifact."""
    if options.time_limit is None:
        return options
    left = options.time_limit - (time.monotonic() - start) / 60
    return options.model_copy(update={"time_limit": max(TRAINING_SHARE * left, SHORTEST_TRAINING)})
