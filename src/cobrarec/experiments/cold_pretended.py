"""Choosing a level of new items on validation, where all items were there: some of the known ones are treated as if they were new.

A seeded tenth of the items with training interactions gets what an added item gets: codes by its text, the values of a regression that was
fitted without it, stand-ins in the transition memory. What remains of it is in the network, which has seen it as a target.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cobrarec.artifact import load_artifact, load_new_item_tools
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut
from cobrarec.evaluation.evaluate import sample_users
from cobrarec.experiments.runs import TrainedRun
from cobrarec.model.cold_start import ColdStart
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.transition_memory import TransitionMemory
from cobrarec.run_results import held_out_of
from cobrarec.semantic_ids.semantic_ids import SemanticIds


@dataclass(frozen=True)
class Pretended:
    """A recommender for which some known items are new, and the validation users whom it is judged by."""

    recommender: Recommender
    users: HeldOut
    is_new: npt.NDArray[np.bool_]
    """`[num_users]`, whether the target is one of these items."""


def pretend_new(trained: TrainedRun, share: float, device: str) -> Pretended:
    """Treat that share of the known items, drawn by the run's seed, as new, in the model as validation chose it."""
    prepared = trained.prepared
    chosen = load_artifact(prepared.run.chosen, device)
    known = np.flatnonzero(chosen.info.popularity > 0)
    drawn = np.random.default_rng(prepared.seed).choice(known, size=round(share * len(known)), replace=False)
    popularity = chosen.info.popularity.copy()
    popularity[drawn] = 0
    embeddings = np.load(prepared.run.chosen / "embeddings.npy", allow_pickle=False)
    codes = chosen.semantic_ids.codes.copy()
    codes[drawn] = load_new_item_tools(prepared.run.chosen).assigner.encode(embeddings[drawn])
    semantic_ids = SemanticIds.from_codes(codes, chosen.semantic_ids.codebook_size)
    cold_start = ColdStart.fit(chosen.model, embeddings, popularity > 0)
    items = cold_start.item_vectors(chosen.model, embeddings, popularity > 0)
    model = chosen.model.with_semantic_ids(semantic_ids)
    model.refresh_evidence(items)
    memory = chosen.network.memory
    if memory is not None:
        train = without_items(prepared.split.train, popularity == 0)
        memory = TransitionMemory.fit(train, len(codes), **prepared.config.memory.model_dump()).with_unknown_items(items, popularity > 0)
    info = replace(chosen.info, popularity=popularity)
    recommender = Recommender.of_network(chosen.catalog, semantic_ids, model, items, chosen.config, info, memory)
    users = sample_users(held_out_of(prepared, "valid"), prepared.config.training.max_valid_users, prepared.seed)
    return Pretended(recommender, users, np.isin(users.target_rows, drawn))


def without_items(histories: Histories, is_gone: npt.NDArray[np.bool_]) -> Histories:
    """The histories without the items whose row `is_gone`."""
    whole = histories.compact()
    kept = ~is_gone[whole.rows]
    lengths = np.bincount(whole.users()[kept], minlength=whole.num_users)
    ends = np.cumsum(lengths).astype(np.int64)
    return Histories(whole.user_ids, ends - lengths, ends, whole.rows[kept], None if whole.timestamps is None else whole.timestamps[kept])
