"""A run before and after the items that it never saw were put into its catalog: who is measured, and by what."""

import dataclasses
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cobrarec.artifact import load_new_item_tools, open_live_catalog
from cobrarec.artifact_manifest import CHANGES
from cobrarec.baselines.content import ContentNeighbors
from cobrarec.baselines.popularity import Popularity
from cobrarec.baselines.storage import Baseline, choices_of_baseline
from cobrarec.baselines.transitions import TransitionCounts
from cobrarec.config import Config, RetrievalConfig, RunOptions
from cobrarec.data.catalog import Catalog
from cobrarec.evaluation.evaluate import Ranker
from cobrarec.experiments.cold_items import ColdTables, ColdUsers, cold_users
from cobrarec.experiments.runs import TrainedRun, train_run
from cobrarec.progress import Progress
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_baselines import fit_baseline
from cobrarec.run_folder import RunFolder

GROWN = "grown"
"""Folder beside the artifact: a copy, into which the held-out items are put."""


@dataclass(frozen=True)
class ColdWorld:
    """A run whose tables lacked some items, and what became of it when they were put.

    grown: its recommender after. put_seconds: that putting them took. embeddings: frozen text embeddings of the grown catalog.
    """

    trained: TrainedRun
    grown: Recommender
    put_seconds: float
    embeddings: npt.NDArray[np.float32]
    users: ColdUsers
    progress: Progress
    _chosen: dict[str, Baseline] = dataclasses.field(default_factory=dict)

    @property
    def num_items(self) -> int:
        """Items before; rows from this one on are new."""
        return self.trained.prepared.catalog.num_items

    def catalog(self, *, added: bool) -> Catalog:
        """With or without the new items."""
        return self.grown.catalog if added else self.trained.recommender.catalog

    def network(self, retrieval: RetrievalConfig, *, added: bool) -> Recommender:
        """The network's lists under the settings that say something other than the defaults."""
        changes = {name: value for name, value in retrieval if value != RetrievalConfig.model_fields[name].get_default()}
        return (self.grown if added else self.trained.recommender).with_settings(**changes)

    def baseline(self, name: str, *, added: bool) -> Ranker:
        """A ranker that counts, over all that the artifact has learned from, with what validation chose for it."""
        prepared, catalog = self.trained.prepared, self.catalog(added=added)
        if name not in self._chosen:
            self._chosen[name] = fit_baseline(name, prepared, self.progress)
        train, ties = prepared.split.before_test, catalog.tie_breakers(prepared.seed)
        assert train is not None
        choices = choices_of_baseline(self._chosen[name])
        if name == "counts":
            return TransitionCounts.fit(train, catalog.num_items, ties, **choices)
        if name == "content":
            return ContentNeighbors.fit(self.embeddings[: catalog.num_items], train, ties, **choices)
        return Popularity.fit(train, catalog.num_items, ties)


def cold_world(
    run: RunFolder,
    held_out: ColdTables,
    interactions: pa.Table,
    config: Config,
    options: RunOptions,
    facts: Mapping[str, Any],
    progress: Progress,
) -> ColdWorld:
    """Train on the reduced tables, unless that is done, and put the held-out items.

    Args:
        run: folder of the run.
        held_out: the reduced tables and the items.
        interactions: the whole table, of which the test users are taken.
        config: hyper-parameters.
        options: as `train_run` takes them.
        facts: noted beside the seconds of the training.
        progress: told how far it is.
    """
    trained = train_run(run, held_out.fitted, config, options, facts, progress)
    grown, seconds = put_into_copy(run, held_out.items, options.device)
    embeddings = np.load(run.artifact / "embeddings.npy", allow_pickle=False)
    texts = grown.catalog.texts[len(embeddings) :]
    embeddings = np.concatenate([embeddings, load_new_item_tools(run.artifact).embedder.encode(texts)])
    users = cold_users(trained.prepared, grown.catalog, interactions)
    return ColdWorld(trained, grown, seconds, embeddings, users, progress)


def put_into_copy(run: RunFolder, items: pa.Table, device: str) -> tuple[Recommender, float]:
    """The recommender of the run after `items` were put into a copy of its artifact, and the seconds that it took, the disk's included."""
    copy = run.path / GROWN
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run.artifact, copy, ignore=shutil.ignore_patterns(CHANGES))
    live = open_live_catalog(copy, "experiment cold", device)
    try:
        start = time.monotonic()
        live.put(items)
        return live.recommender, time.monotonic() - start
    finally:
        live.close()
