"""Choosing among settings of a ranker by how its lists do on the validation users."""

from collections.abc import Iterable
from typing import TypeVar

from cobrarec.data.splits import HeldOut
from cobrarec.evaluation.evaluate import Masking, Ranker, evaluate
from cobrarec.progress import Progress, Silent

R = TypeVar("R", bound=Ranker)


def best_ranker(
    candidates: Iterable[R],
    total: int,
    valid: HeldOut,
    num_items: int,
    label: str,
    masking: Masking = "masked",
    progress: Progress | None = None,
) -> R:
    """The candidate with the best NDCG@10 on `valid`, the first of equals; a lone one is taken unmeasured.

    Args:
        candidates: rankers, made one after the other.
        total: how many they are, at least one.
        valid: validation users.
        num_items: items of the catalog.
        label: what progress calls it.
        masking: whether lists may hold the history's items.
        progress: one step per candidate.
    """
    if total < 1:
        raise ValueError(f"No settings to choose from for {label}.")
    best: tuple[float, R] | None = None
    for candidate in (progress or Silent()).track(candidates, label, total):
        ndcg = 0.0 if total == 1 else evaluate(candidate, valid, [10], num_items, protocol=masking)["ndcg@10"]
        if best is None or ndcg > best[0]:
            best = (ndcg, candidate)
    assert best is not None, f"{total} candidates were announced, none came"
    return best[1]
