"""What a run came to: the metrics, the weights of the fusion, three users to look at."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.data.splits import HeldOut
from cobrarec.errors import RunError
from cobrarec.evaluation.evaluate import Masking, Ranker, evaluate, sample_users
from cobrarec.evaluation.metrics import ranking_metrics
from cobrarec.prepared import Prepared
from cobrarec.progress import Progress
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.retrieval.list_search import ListSearch
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.score_terms import has_direct_query
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.semantic_ids.typical_words import TypicalWords

DIRECT_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the direct query that are tried on validation."""
MEMORY_WEIGHTS = (0.0, 0.4, 0.8, 1.2, 1.6)
"""Weights of the memory that are tried on validation, with each share of the direct query."""
KS = (5, 10)
NUM_EXAMPLES = 3


def choose_weights(prepared: Prepared, recommender: Recommender, progress: Progress) -> FusionWeights:
    """The weights of direct query and memory with the best NDCG@10 on validation, the smallest of equals.

    Where the settings give one it is kept; without that part or without a validation set there is nothing to choose.
    """
    settings, valid, present = prepared.config.retrieval, prepared.split.valid, recommender.weights
    direct: tuple[float, ...] = (present.direct,)
    memory: tuple[float, ...] = (present.memory,)
    if valid is not None and settings.direct_weight is None and has_direct_query(recommender.model):
        direct = DIRECT_WEIGHTS
    if valid is not None and settings.memory_weight is None and recommender.network.memory is not None:
        memory = MEMORY_WEIGHTS
    tried = [FusionWeights(*pair) for pair in itertools.product(direct, memory)]
    if valid is None or len(tried) == 1:
        return tried[0]
    held_out = sample_users(valid, prepared.config.training.max_valid_users, prepared.seed)
    k = min(10, prepared.catalog.num_items)
    lists = recommender.rank_with_weights(held_out.histories, k, tried, progress)
    offsets, rows = held_out.target_offsets, held_out.target_rows
    ndcg = [ranking_metrics(ranked.rows, offsets, rows, [k], prepared.catalog.num_items)[f"ndcg@{k}"] for ranked in lists]
    best = int(np.argmax(np.round(ndcg, 12)))
    chosen, plain = tried[best], ndcg[tried.index(FusionWeights(direct[0], memory[0]))]
    weights = f"direct query {chosen.direct:g}, memory {chosen.memory:g}"
    progress.message(f"Weights chosen on validation: {weights} (NDCG@{k} {ndcg[best]:.4f}; with the smallest weights {plain:.4f})")
    return chosen


def held_out_of(prepared: Prepared, split: str) -> HeldOut:
    """Validation or test users; raises RunError where the run's split has none."""
    held_out = {"valid": prepared.split.valid, "test": prepared.split.test}[split]
    if held_out is None:
        raise RunError(f"{prepared.run.path} was made with split {prepared.split.name}, which holds no {split} interactions out.")
    return held_out


def evaluate_rankers(
    prepared: Prepared, rankers: Mapping[str, Ranker], split: str, ks: Sequence[int], masking: Masking, progress: Progress
) -> dict[str, dict[str, float]]:
    """Metrics on `split` of each ranker, the run's own first: recall and NDCG at every k, at the largest MRR, coverage, ID recall."""
    held_out, num_items = held_out_of(prepared, split), prepared.catalog.num_items
    own = next(iter(rankers.values()))
    ids = own.semantic_ids if isinstance(own, Recommender) and prepared.config.ranker == "cobra" else None
    id_of_row = None if ids is None else measured_ids(ids)
    results = {}
    for name, ranker in rankers.items():
        progress.message(f"Evaluating {name} on {split}: {held_out.num_users:,} users")
        metrics = evaluate(ranker, held_out, ks, num_items, id_of_row, masking, progress)
        results[name] = shown_metrics(metrics, ks)
    return results


def measured_ids(ids: SemanticIds) -> npt.NDArray[np.int64] | None:
    """`[num_items]`, the ID of each row, for `id_recall@k`; None without levels, where all share the empty one."""
    return ids.id_of_row if ids.num_levels else None


def shown_metrics(metrics: Mapping[str, float], ks: Sequence[int]) -> dict[str, float]:
    """What stands in `metrics.json`; the mean list length only where lists are short, recall of IDs only where there are any."""
    last = max(ks)
    names = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg")]
    names += [f"{name}@{last}" for name in ("mrr", "coverage", "id_recall") if f"{name}@{last}" in metrics]
    if metrics[f"length@{last}"] < last:
        names.append(f"length@{last}")
    return {name: metrics[name] for name in names}


def protocol(prepared: Prepared, masking: Masking) -> str:
    """How the numbers were made, in words."""
    shown = "history masked" if masking == "masked" else "history not masked"
    return f"split {prepared.split.name}, full ranking of {prepared.catalog.num_items:,} items, item level, {shown}"


def examples(prepared: Prepared, recommender: Recommender, k: int = 10) -> list[dict[str, Any]]:
    """Three users, drawn by seed, of the validation set (of the training set where there is none): history, target, list and why.

    Where items bear semantic IDs, target and list have them in words too: `id_words`, the words of each code.
    """
    catalog, split = prepared.catalog, prepared.split
    histories = split.train if split.valid is None else split.valid.histories
    drawn = np.random.default_rng(prepared.seed).permutation(histories.num_users)[:NUM_EXAMPLES]
    ids = recommender.semantic_ids if isinstance(recommender.engine, ListSearch) and recommender.semantic_ids.num_levels else None
    named = None if ids is None else TypicalWords.of(catalog.texts, ids)

    def item(row: int) -> dict[str, Any]:
        return {"item_id": catalog.item_ids[[row]].tolist()[0], "title": catalog.titles[row]}

    def in_words(codes: Sequence[int]) -> dict[str, Any]:
        return {} if named is None else {"semantic_id": list(codes), "id_words": named.path(codes)}

    records = []
    for user, items in zip(drawn.tolist(), recommender.recommend_to(histories.select(drawn), k, explain=True), strict=True):
        rows = catalog.rows([recommendation.item_id for recommendation in items])
        listed = [
            dataclasses.asdict(one) | {"title": catalog.titles[row]} | in_words(one.semantic_id)
            for one, row in zip(items, rows, strict=True)
        ]
        taken = None if split.valid is None else int(split.valid.targets_of(user)[0])
        target = None if taken is None else item(taken) | ({} if ids is None else in_words(ids.codes[taken].tolist()))
        history = [item(int(row)) for row in histories.of(user)]
        records.append({"user_id": histories.user_ids[[user]].tolist()[0], "history": history, "target": target, "items": listed})
    return records
