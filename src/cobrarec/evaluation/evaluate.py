"""Run a ranker over held-out users: full ranking of the catalog, item by item, over the very lists that it serves."""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut
from cobrarec.errors import DataError
from cobrarec.evaluation.metrics import ranking_metrics
from cobrarec.progress import Progress

Masking = Literal["masked", "unmasked"]


def masking(include_history: bool) -> Masking:
    """How lists are measured that may hold the history's items, or may not."""
    return "unmasked" if include_history else "masked"


@runtime_checkable
class Ranked(Protocol):
    """What `rank` gives: anything that holds the lists as `rows [num_users, k]`, -1 = nothing."""

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """Rows, best first."""
        ...


@runtime_checkable
class Ranker(Protocol):
    """What can be evaluated: `Recommender` and the baselines."""

    def rank(self, histories: Histories, k: int, progress: Progress | None = None) -> Ranked:
        """The first k items for every history, in the users' order."""
        ...

    def with_settings(self, *, include_history: bool) -> "Ranker":
        """A copy that keeps or masks the history's items."""
        ...


def evaluate(
    ranker: Ranker,
    held_out: HeldOut,
    ks: Sequence[int],
    num_items: int,
    id_of_row: npt.NDArray[np.int64] | None = None,
    protocol: Masking = "masked",
    progress: Progress | None = None,
) -> dict[str, float]:
    """Metrics of `ranker` on the users of `held_out`.

    Args:
        ranker: its `rank` lists are what is measured; nothing is scored anew.
        held_out: histories and targets.
        ks: cut-offs.
        num_items: items of the catalog, for the coverage.
        id_of_row: `[num_items]` semantic ID of each row, for `id_recall@k`.
        protocol: `masked` removes the history's items from the lists, `unmasked` leaves them in.
        progress: shown by the ranker.

    Returns:
        See `ranking_metrics`.

    Raises:
        DataError: there is no user to evaluate.
    """
    if held_out.histories.num_users == 0:
        raise DataError("No user has a held-out target. Use a split that leaves some, for example `last-two` on users with 3 interactions.")
    judged = ranker.with_settings(include_history=protocol == "unmasked")
    rows = np.asarray(judged.rank(held_out.histories, max(ks), progress).rows)
    return ranking_metrics(widened(rows, max(ks)), held_out.target_offsets, held_out.target_rows, ks, num_items, id_of_row)


def sample_users(held_out: HeldOut, max_users: int, seed: int) -> HeldOut:
    """At most `max_users` users of `held_out`, drawn by `seed`, in their order; all of them where there are fewer."""
    num_users = held_out.histories.num_users
    if num_users <= max_users:
        return held_out
    drawn = np.random.default_rng(seed).choice(num_users, size=max_users, replace=False)
    return held_out.select(np.sort(drawn))


def widened(rows: npt.NDArray[np.integer], width: int) -> npt.NDArray[np.integer]:
    """Lists of a catalog smaller than k, padded with -1."""
    if rows.shape[1] >= width:
        return rows
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=-1)
