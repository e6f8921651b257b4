"""The one loop behind all lists: popular items for empty histories, the engine, chunk by chunk, for the others."""

import numpy as np

from cobrarec.data.interactions import Histories
from cobrarec.progress import Progress, Silent
from cobrarec.retrieval.list_engine import ListEngine, Mask, Request
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.recommendations import RankedLists


def rank_all(
    engine: ListEngine, popular: PopularItems, histories: Histories, request: Request[Mask], progress: Progress | None = None
) -> list[RankedLists]:
    """Lists of all users in the order of `histories`, one set per pair of weights; chunks hold users of similar history length."""
    results = [request.empty_lists(histories.num_users) for _ in request.weights]
    empty = np.flatnonzero(histories.lengths == 0)
    if len(empty):
        lists = popular.lists(histories.select(empty), request)
        for ranked in results:
            ranked.write(empty, lists)
    read = histories.lengths if engine.max_history is None else np.minimum(histories.lengths, engine.max_history)
    order = np.argsort(read, kind="stable")[len(empty) :]
    step = engine.users_per_chunk()
    chunks = [order[start : start + step] for start in range(0, len(order), step)]
    for users in (progress or Silent()).track(chunks, "ranking", total=len(chunks)):
        for ranked, part in zip(results, engine.lists(histories.select(users), request), strict=True):
            ranked.write(users, part)
    return results
