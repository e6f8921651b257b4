"""A run before and after the items that it never saw were put into its catalog: who is measured, and by what."""

import dataclasses
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cobrarec.artifact import load_new_item_tools, open_live_catalog
from cobrarec.artifact_manifest import CHANGES
from cobrarec.baselines.content import ContentNeighbors
from cobrarec.baselines.popularity import Popularity
from cobrarec.baselines.storage import Baseline, choices_of_baseline
from cobrarec.baselines.transitions import TransitionCounts
from cobrarec.config import Config, RunOptions
from cobrarec.data.catalog import Catalog
from cobrarec.data.splits import HeldOut
from cobrarec.evaluation.evaluate import Ranker
from cobrarec.experiments.cold_items import ColdTables, ColdUsers, cold_users
from cobrarec.experiments.cold_pretended import pretend_new
from cobrarec.experiments.runs import TrainedRun, train_run
from cobrarec.progress import Progress
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_baselines import fit_baseline
from cobrarec.run_folder import RunFolder

ColdProtocol: TypeAlias = Literal["added", "not-added", "pretended"]
"""Over the grown catalog, over that of the run, or on validation over that of the run with some known items treated as new."""
GROWN = "grown"
"""Folder beside the artifact: a copy, into which the held-out items are put."""


@dataclass(frozen=True)
class Measured:
    """Under one protocol: the network's recommender, the users, and which of them, and which items, count as new."""

    recommender: Recommender
    users: HeldOut
    is_new: npt.NDArray[np.bool_]
    """`[num_users]`, whether the target is new."""
    is_new_item: npt.NDArray[np.bool_]
    """`[num_items]`"""


@dataclass(frozen=True)
class ColdWorld:
    """A run whose tables lacked some items, and what became of it when they were put.

    grown: its recommender after. put_seconds: that putting them took. embeddings: frozen text embeddings of the grown catalog. share: of
    the known items that `pretended` treats as new.
    """

    trained: TrainedRun
    grown: Recommender
    put_seconds: float
    embeddings: npt.NDArray[np.float32]
    users: ColdUsers
    share: float
    progress: Progress
    _chosen: dict[str, Baseline] = dataclasses.field(default_factory=dict)

    @property
    def num_items(self) -> int:
        """Items before; rows from this one on are new."""
        return self.trained.prepared.catalog.num_items

    @cached_property
    def pretended(self) -> Measured:
        """On validation, with some of the known items treated as new."""
        made = pretend_new(self.trained, self.share, str(self.grown.items.vectors.device))
        return Measured(made.recommender, made.users, made.is_new, made.recommender.info.popularity == 0)

    def measured(self, protocol: ColdProtocol) -> Measured:
        """Who is measured by what under a protocol."""
        if protocol == "pretended":
            return self.pretended
        recommender, users, is_new = self.grown, self.users.test, self.users.is_new
        if protocol == "not-added":
            recommender, users, is_new = self.trained.recommender, self.users.before, is_new[~is_new]
        return Measured(recommender, users, is_new, np.arange(recommender.catalog.num_items) >= self.num_items)

    def baseline(self, name: str, catalog: Catalog) -> Ranker:
        """A ranker that counts, over all that the artifact has learned from, with what validation chose for it."""
        prepared = self.trained.prepared
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
    return ColdWorld(trained, grown, seconds, embeddings, users, held_out.share, progress)


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
