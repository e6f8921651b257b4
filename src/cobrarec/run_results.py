"""What a run came to: the metrics, the weight of the direct query, three users to look at."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cobrarec.data.splits import HeldOut
from cobrarec.errors import RunError
from cobrarec.evaluation.evaluate import Masking, Ranker, evaluate, sample_users
from cobrarec.evaluation.metrics import ranking_metrics
from cobrarec.prepared import Prepared
from cobrarec.progress import Progress
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.score_terms import has_direct_query

DIRECT_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the direct query that are tried on validation."""
KS = (5, 10)
NUM_EXAMPLES = 3


def choose_direct_weight(prepared: Prepared, recommender: Recommender, progress: Progress) -> float:
    """The share of the direct query with the best NDCG@10 on validation, the smallest of equals.

    Where the settings give one it is kept; without a direct query or a validation set there is nothing to choose.
    """
    given, valid = prepared.config.retrieval.direct_weight, prepared.split.valid
    if given is not None or valid is None or not has_direct_query(recommender.model):
        return recommender.direct_weight
    held_out = sample_users(valid, prepared.config.training.max_valid_users, prepared.seed)
    k = min(10, prepared.catalog.num_items)
    lists = recommender.rank_with_direct_weights(held_out.histories, k, DIRECT_WEIGHTS, progress)
    offsets, rows = held_out.target_offsets, held_out.target_rows
    ndcg = [ranking_metrics(ranked.rows, offsets, rows, [k], prepared.catalog.num_items)[f"ndcg@{k}"] for ranked in lists]
    best = int(np.argmax(np.round(ndcg, 12)))
    shown = ", ".join(f"{weight:g}: {value:.4f}" for weight, value in zip(DIRECT_WEIGHTS, ndcg, strict=True))
    progress.message(f"Weight of the direct query chosen on validation: {DIRECT_WEIGHTS[best]:g} (NDCG@{k} of {shown})")
    return DIRECT_WEIGHTS[best]


def held_out_of(prepared: Prepared, split: str) -> HeldOut:
    """Validation or test users; raises RunError where the run's split has none."""
    held_out = {"valid": prepared.split.valid, "test": prepared.split.test}[split]
    if held_out is None:
        raise RunError(f"{prepared.run.path} was made with split {prepared.split.name}, which holds no {split} interactions out.")
    return held_out


def evaluate_rankers(
    prepared: Prepared, rankers: Mapping[str, Ranker], split: str, ks: Sequence[int], masking: Masking, progress: Progress
) -> dict[str, dict[str, float]]:
    """Metrics of each ranker on `split`: recall and NDCG at every k; at the largest MRR, coverage and, beside a network, recall of IDs."""
    held_out, num_items = held_out_of(prepared, split), prepared.catalog.num_items
    recommender = rankers.get("cobra")
    id_of_row = recommender.semantic_ids.id_of_row if isinstance(recommender, Recommender) else None
    results = {}
    for name, ranker in rankers.items():
        progress.message(f"Evaluating {name} on {split}: {held_out.num_users:,} users")
        metrics = evaluate(ranker, held_out, ks, num_items, id_of_row, masking, progress)
        results[name] = shown_metrics(metrics, ks)
    return results


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
    """Three users, drawn by seed, of the validation set (of the training set where there is none): history, target, list and why."""
    catalog, split = prepared.catalog, prepared.split
    histories = split.train if split.valid is None else split.valid.histories
    drawn = np.random.default_rng(prepared.seed).permutation(histories.num_users)[:NUM_EXAMPLES]

    def item(row: int) -> dict[str, Any]:
        return {"item_id": catalog.item_ids[[row]].tolist()[0], "title": catalog.titles[row]}

    records = []
    for user, items in zip(drawn.tolist(), recommender.recommend_to(histories.select(drawn), k, explain=True), strict=True):
        rows = catalog.rows([recommendation.item_id for recommendation in items])
        listed = [dataclasses.asdict(one) | {"title": catalog.titles[row]} for one, row in zip(items, rows, strict=True)]
        target = None if split.valid is None else item(int(split.valid.targets_of(user)[0]))
        history = [item(int(row)) for row in histories.of(user)]
        records.append({"user_id": histories.user_ids[[user]].tolist()[0], "history": history, "target": target, "items": listed})
    return records
