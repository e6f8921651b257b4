"""What is recorded of ranked lists: metrics on validation and test, target ranks, and what the direct query alone finds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.data.catalog import Catalog
from cobrarec.data.splits import HeldOut
from cobrarec.evaluation.evaluate import Ranker, widened
from cobrarec.evaluation.metrics import ranking_metrics
from cobrarec.experiments.protocols import Protocol, masking_of
from cobrarec.experiments.records import Ranks
from cobrarec.progress import Progress
from cobrarec.retrieval import score_terms
from cobrarec.retrieval.list_search import ListSearch
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_results import KS

NUM_LISTED = 100
"""Length of the lists in which targets are looked for."""
Rows = npt.NDArray[np.int32]
"""Lists `[num_users, k]`, best first, -1 where they end."""


@dataclass(frozen=True, eq=False)
class Lists:
    """The lists of all users of both splits, `[num_users, NUM_LISTED]`."""

    valid: Rows
    test: Rows


def served(recommender: Recommender, protocol: Protocol) -> Recommender:
    """The recommender as experiments measure it: short lists stay short, and the protocol says whether the history is masked."""
    return recommender.with_settings(fill=False, include_history=masking_of(protocol) == "unmasked")


def rank(ranker: Ranker, held_out: HeldOut, progress: Progress, k: int = NUM_LISTED) -> Rows:
    """Lists of k, padded where the catalog is smaller."""
    return widened(ranker.rank(held_out.histories, k, progress).rows, k).astype(np.int32)


def list_metrics(lists: Rows, held_out: HeldOut, num_items: int) -> dict[str, float]:
    """Recall and NDCG at 5 and 10, coverage at 10, rounded to 6 digits; and `length@10`, the mean number of items in the first 10."""
    metrics = ranking_metrics(lists, held_out.target_offsets, held_out.target_rows, KS, num_items)
    names = [*(f"{name}@{k}" for k in KS for name in ("recall", "ndcg")), f"coverage@{max(KS)}", f"length@{max(KS)}"]
    return {name: round(metrics[name], 6) for name in names}


def target_ranks(lists: Rows, targets: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Rank of each user's one target in the list, from 1; 0 where it is not there. At most 255 places are looked at."""
    assert lists.shape[1] < 256
    hits = lists == targets[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0).astype(np.uint8)


def ranks_to_keep(lists: Rows, test: HeldOut, catalog: Catalog, config_hash: str) -> Ranks:
    """What is kept of a test's lists."""
    users, targets = (_hash_of_ids(ids) for ids in (test.histories.user_ids, catalog.item_ids[test.target_rows]))
    return Ranks(target_ranks(lists, test.target_rows), users, targets, config_hash)


def is_ranked_by_direct_query(recommender: Recommender) -> bool:
    """Whether the recommender's network has a direct query; rankers without a network have none."""
    return isinstance(recommender.engine, ListSearch) and score_terms.has_direct_query(recommender.model)


def direct_share(recommender: Recommender, test: HeldOut, lists: Rows, progress: Progress) -> float | None:
    """Share of the test hits among the first 10 that the lists of the direct query alone have too; None without hits."""
    alone = recommender.with_settings(direct_weight=1.0, memory_weight=0.0)
    hit = target_ranks(lists[:, : max(KS)], test.target_rows) > 0
    hit_alone = target_ranks(rank(alone, test, progress, max(KS)), test.target_rows) > 0
    return round(float(hit_alone[hit].mean()), 4) if hit.any() else None


def without_length(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics but for the mean length, which is recorded apart."""
    return {name: value for name, value in metrics.items() if not name.startswith("length")}


def _hash_of_ids(ids: npt.NDArray[Any]) -> str:
    return hashlib.sha256("\n".join(map(str, ids.tolist())).encode()).hexdigest()
