"""Metrics of ranked lists against held-out targets, counted per item; the ID-level recall stands beside them.

A list holds catalog rows, best first, padded with -1 where it is short: a short list misses. A user may have several
targets (offsets and rows, CSR). Every metric is computed per user, then averaged over users with equal weight.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_USERS_PER_CHUNK = 8192


def ranking_metrics(
    lists: npt.NDArray[np.integer],
    target_offsets: npt.NDArray[np.integer],
    target_rows: npt.NDArray[np.integer],
    ks: Sequence[int],
    num_items: int,
    id_of_row: npt.NDArray[np.integer] | None = None,
) -> dict[str, float]:
    """Mean metrics at every k.

    Args:
        lists: rows `[num_users, width]`, best first, -1 = nothing; width >= max(ks).
        target_offsets: `[num_users + 1]`; user u's targets are `target_rows[target_offsets[u]:target_offsets[u + 1]]`.
        target_rows: rows of the targets, each once per user, at least one per user.
        ks: cut-offs.
        num_items: items of the catalog, for the coverage.
        id_of_row: `[num_items]`, the semantic ID of each row; None leaves `id_recall@k` out.

    Returns:
        `recall@k`, `ndcg@k`, `mrr@k`, `id_recall@k` (see `per_user_metrics`), `coverage@k` (share of the catalog
        that appears in at least one list) and `length@k` (mean number of items listed within the first k).

    Raises:
        ValueError: a list narrower than k, a row listed twice for one user, a user without a target or with a repeated one.
    """
    means = {name: float(values.mean()) for name, values in per_user_metrics(lists, target_offsets, target_rows, ks, id_of_row).items()}
    for k in ks:
        head = lists[:, :k]
        means[f"coverage@{k}"] = len(np.unique(head[head >= 0])) / num_items
        means[f"length@{k}"] = float(np.count_nonzero(head >= 0)) / len(lists)
    return means


def per_user_metrics(
    lists: npt.NDArray[np.integer],
    target_offsets: npt.NDArray[np.integer],
    target_rows: npt.NDArray[np.integer],
    ks: Sequence[int],
    id_of_row: npt.NDArray[np.integer] | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Metrics per user, each `[num_users]`.

    recall@k = targets among the first k / targets. ndcg@k = sum of 1 / log2(rank + 1) over the hits, divided by its
    largest possible value (all targets, at most k, on top). mrr@k = 1 / rank of the first hit, 0 without one.
    id_recall@k = targets whose ID is the ID of some item among the first k / targets; never below recall@k.

    Args and Raises as `ranking_metrics`.
    """
    _check(lists, target_offsets, target_rows, ks)
    names = ["recall", "ndcg", "mrr"] + (["id_recall"] if id_of_row is not None else [])
    values = {f"{name}@{k}": np.zeros(len(lists)) for k in ks for name in names}
    for start in range(0, len(lists), _USERS_PER_CHUNK):
        stop = min(start + _USERS_PER_CHUNK, len(lists))
        offsets = target_offsets[start : stop + 1] - target_offsets[start]
        rows = target_rows[target_offsets[start] : target_offsets[stop]]
        chunk = lists[start:stop, : max(ks)]
        users = np.repeat(np.arange(stop - start), np.diff(offsets))
        hits = _contains(users, rows, chunk)
        for k in ks:
            for name, part in _item_metrics(hits[:, :k], np.diff(offsets)).items():
                values[f"{name}@{k}"][start:stop] = part
            if id_of_row is not None:
                values[f"id_recall@{k}"][start:stop] = _id_recall(chunk[:, :k], users, rows, id_of_row)
    return values


def _item_metrics(hits: npt.NDArray[np.bool_], num_targets: npt.NDArray[np.integer]) -> dict[str, npt.NDArray[np.float64]]:
    """Recall, NDCG and MRR of `hits [users, k]`."""
    k = hits.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(num_targets, k) - 1]
    first = np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)
    return {"recall": hits.sum(axis=1) / num_targets, "ndcg": (hits * discounts).sum(axis=1) / ideal, "mrr": first}


def _id_recall(
    lists: npt.NDArray[np.integer], users: npt.NDArray[np.integer], rows: npt.NDArray[np.integer], id_of_row: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Share of each user's targets whose ID is listed."""
    listed = np.where(lists >= 0, id_of_row[np.maximum(lists, 0)], -1)
    listed_users, places = np.nonzero(listed >= 0)
    found = _contains(listed_users, listed[listed_users, places], id_of_row[rows][:, None], users)[:, 0]
    counts = np.bincount(users, minlength=len(lists))
    return np.bincount(users, weights=found, minlength=len(lists)) / counts


def _contains(
    users: npt.NDArray[np.integer],
    members: npt.NDArray[np.integer],
    asked: npt.NDArray[np.integer],
    asked_users: npt.NDArray[np.integer] | None = None,
) -> npt.NDArray[np.bool_]:
    """Whether `asked[i, j]` is among the `members` of user `asked_users[i]` (default i); negative entries never are."""
    if len(members) == 0:
        return np.zeros(asked.shape, dtype=bool)
    base = int(max(members.max(), asked.max(initial=0))) + 1
    keys = np.unique(users.astype(np.int64) * base + members)
    owners = np.arange(len(asked)) if asked_users is None else asked_users
    wanted = owners.astype(np.int64)[:, None] * base + asked
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return (keys[places] == wanted) & (asked >= 0)


def _check(
    lists: npt.NDArray[np.integer], target_offsets: npt.NDArray[np.integer], target_rows: npt.NDArray[np.integer], ks: Sequence[int]
) -> None:
    if len(ks) == 0 or min(ks) < 1 or lists.ndim != 2 or lists.shape[1] < max(ks):
        raise ValueError(
            f"Lists of shape {lists.shape} cannot be measured at k = {list(ks)}; give at least that many columns, padded with -1."
        )
    if len(lists) == 0 or len(target_offsets) != len(lists) + 1:
        raise ValueError(
            f"{len(lists)} lists, {len(target_offsets)} target offsets; expected at least one list and one offset more than lists."
        )
    counts = np.diff(target_offsets)
    if counts.min() < 1 or target_offsets[0] != 0 or target_offsets[-1] != len(target_rows):
        raise ValueError("Every user needs at least one target, and the offsets must run from 0 to the number of targets.")
    users = np.repeat(np.arange(len(lists), dtype=np.int64), counts)
    if len(np.unique(users * (int(target_rows.max()) + 1) + target_rows)) != len(target_rows):
        raise ValueError("A user's targets hold an item twice; count each item once.")
    for start in range(0, len(lists), _USERS_PER_CHUNK):
        ordered = np.sort(lists[start : start + _USERS_PER_CHUNK], axis=1)
        if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
            raise ValueError("A list holds an item twice, which would count its hit twice; each item may be listed once.")
