"""Rankers without training in a run: beside the network in its table, or in its place (`ranker: counts`, `content`, `popularity`)."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cobrarec.artifact import save_baseline_artifact
from cobrarec.artifact_manifest import write_text
from cobrarec.baselines.content import LAST as CONTENT_LAST
from cobrarec.baselines.content import ContentNeighbors, choose_content
from cobrarec.baselines.popularity import Popularity
from cobrarec.baselines.storage import Baseline, choices_of_baseline
from cobrarec.baselines.transitions import LAST, WINDOWS, TransitionCounts, choose_transitions
from cobrarec.config import RunOptions
from cobrarec.config_checks import BASELINES
from cobrarec.data.splits import HeldOut
from cobrarec.errors import RunError
from cobrarec.evaluation.evaluate import sample_users
from cobrarec.prepared import Prepared
from cobrarec.progress import Progress
from cobrarec.retrieval.recommender import ArtifactInfo, Recommender
from cobrarec.semantic_ids.text_embeddings import cached_embeddings

CONTENT_USERS = 2000
"""Validation users on whom the setting of content neighbors is chosen: each is compared with the text of every item."""


def baselines(prepared: Prepared, progress: Progress) -> dict[str, Baseline]:
    """What stands beside the run's own ranker: the others that count, and content neighbors where the run embeds the texts."""
    own = prepared.config.ranker
    names = [name for name in BASELINES if name != own and (name != "content" or own == "cobra")]
    return {name: fit_baseline(name, prepared, progress) for name in names}


def refit_baseline(ranker: str, chosen: Baseline, prepared: Prepared, progress: Progress, embedding_cache: Path | None = None) -> Baseline:
    """The ranker of that name with the settings of `chosen`, over the training and validation histories."""
    section = getattr(prepared.config, ranker, None)
    settled = {} if section is None else {ranker: section.model_copy(update=choices_of_baseline(chosen))}
    whole = replace(prepared.refitting(), config=prepared.config.model_copy(update=settled))
    return fit_baseline(ranker, whole, progress, embedding_cache)


def fit_baseline(ranker: str, prepared: Prepared, progress: Progress, embedding_cache: Path | None = None) -> Baseline:
    """The ranker of that name over the training histories; settings that are left open are chosen on validation."""
    train, num_items = prepared.split.train, prepared.catalog.num_items
    ties = prepared.catalog.tie_breakers(prepared.seed)
    if ranker == "popularity":
        return Popularity.fit(train, num_items, ties)
    if ranker == "counts":
        valid, given = _validation_sample(prepared), prepared.config.counts
        if valid is None:
            defaults = {name: value for name, value in given.model_dump().items() if value is not None}
            return TransitionCounts.fit(train, num_items, ties, **defaults)
        windows, lasts = _tried(given.window, WINDOWS), _tried(given.last, LAST)
        return choose_transitions(train, valid, ties, windows, lasts, prepared.masking, progress)
    valid, config, last = _validation_sample(prepared, CONTENT_USERS), prepared.config, prepared.config.content.last
    _, embeddings = cached_embeddings(prepared.catalog.texts, config.text, prepared.run.prepared / "embeddings", progress, embedding_cache)
    if valid is None:
        return ContentNeighbors.fit(embeddings, train, ties, **({} if last is None else {"last": last}))
    return choose_content(embeddings, train, valid, ties, _tried(last, CONTENT_LAST), prepared.masking, progress)


def baseline_step(prepared: Prepared, options: RunOptions, progress: Progress) -> Recommender:
    """In place of training: choose on validation, note the choices, write the artifact, and return the recommender that was chosen.

    Raises:
        RunError: there is an artifact already.
    """
    run, config = prepared.run, prepared.config
    if run.artifact.exists():
        raise RunError(f"{run.path} already has an artifact; add --resume to keep it, or give another folder.")
    chosen = fit_baseline(config.ranker, prepared, progress, options.embedding_cache)
    progress.message(f"Ranker {config.ranker}: {chosen}")
    write_text(run.checkpoints / "choices.json", json.dumps(choices_of_baseline(chosen), indent=2) + "\n")
    if not (options.refit and prepared.split.before_test is not None):
        return _save(chosen, prepared, run.artifact)
    recommender = _save(chosen, prepared, run.chosen)
    refitted = refit_baseline(config.ranker, chosen, prepared, progress, options.embedding_cache)
    _save(refitted, prepared.refitting(), run.artifact)
    return recommender


def _save(baseline: Baseline, prepared: Prepared, folder: Path) -> Recommender:
    """Write the artifact of a ranker that was fitted to the training histories of `prepared`."""
    config, catalog, split = prepared.config, prepared.catalog, prepared.split
    baseline = baseline.with_config(config.retrieval)
    recommender = Recommender(catalog, baseline, ArtifactInfo(split.train.item_counts(catalog.num_items), split.name, prepared.seed))
    facts: dict[str, Any] = {"items": catalog.num_items, **choices_of_baseline(baseline), "score": recommender.score_formula}
    save_baseline_artifact(folder, recommender, baseline, config, {**facts, "trained_on": prepared.learned_from})
    return recommender


def _tried(given: int | None, usual: tuple[int, ...]) -> tuple[int, ...]:
    return usual if given is None else (given,)


def _validation_sample(prepared: Prepared, at_most: int | None = None) -> HeldOut | None:
    valid, num_users = prepared.split.valid, prepared.config.training.max_valid_users
    return None if valid is None else sample_users(valid, min(num_users, at_most or num_users), prepared.seed)
