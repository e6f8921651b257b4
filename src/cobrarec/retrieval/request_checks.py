"""What people ask for, checked before any work: how many items, which histories, which filters."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import numpy as np

from cobrarec.data.catalog import UnknownPolicy
from cobrarec.data.timestamps import LATEST_SECOND
from cobrarec.errors import DataError


class Filters(TypedDict, total=False):
    """Which items lists may hold; an item must pass all of them, None lets all pass.

    exclude: items that no list may hold. allow: the only items that lists may hold. where: conditions on the columns of the items
    table, see `cobrarec.retrieval.where`.
    """

    exclude: Iterable[Any] | None
    allow: Iterable[Any] | None
    where: Mapping[str, Any] | None


def check_k(k: Any) -> int:
    """The number of items per list.

    Raises:
        DataError: not a whole number, or below 1.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise DataError(f"k is {k!r}, expected a whole number of items per list, at least 1. Ask for `k=10`, for example.")
    return int(k)


def check_histories(histories: Any) -> list[Any]:
    """One sequence of item ids per user.

    Raises:
        DataError: something else, above all a single history that is not inside a list.
    """
    if isinstance(histories, str | bytes | dict) or not isinstance(histories, Iterable):
        raise DataError(f"The histories are {histories!r}, expected one list of item ids per user. Give `[[id, id, ...]]` for one user.")
    lists = list(histories)
    for history in lists:
        if isinstance(history, str | bytes | dict) or not isinstance(history, Iterable) or getattr(history, "ndim", 1) == 0:
            raise DataError(
                f"The histories hold {history!r} where one list of item ids per user was expected. Give `[[id, id, ...]]` for one user."
            )
    return [list(history) for history in lists]


def check_timestamps(timestamps: Any, histories: list[Any]) -> list[list[int]]:
    """Seconds since 1970 of every item of `histories`.

    Raises:
        DataError: anything but one time per item, or times that are no seconds of the years that tables may have.
    """
    try:
        times = [list(seconds) for seconds in timestamps]
    except TypeError:
        raise DataError(f"The timestamps are {timestamps!r}, expected one list of seconds since 1970 per history.") from None
    lengths, expected = [len(seconds) for seconds in times], [len(history) for history in histories]
    if lengths != expected:
        raise DataError(f"The timestamps have lengths {lengths[:5]} where the histories have {expected[:5]}. Give one time per item.")
    for seconds in times:
        for value in seconds:
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not abs(float(value)) <= LATEST_SECOND:
                raise DataError(f"The timestamps hold {value!r}, expected seconds since 1970 (not milliseconds), such as 1764201600.")
    return [[int(value) for value in seconds] for seconds in times]


def check_unknown(unknown: Any) -> UnknownPolicy:
    """The policy for ids that the catalog lacks.

    Raises:
        DataError: another word.
    """
    if unknown not in ("skip", "error"):
        raise DataError(
            f"`unknown` is {unknown!r}, expected 'skip' (leave unknown items out) or 'error' (refuse them). Give one of the two."
        )
    return "error" if unknown == "error" else "skip"


def check_item_ids(item_ids: Any, name: str) -> list[Any]:
    """The ids of a filter called `name`.

    Raises:
        DataError: a single id instead of a list.
    """
    if isinstance(item_ids, str | bytes) or not isinstance(item_ids, Iterable):
        raise DataError(f"`{name}` is {item_ids!r}, expected a list of item ids. Give `{name}=[id, id, ...]`.")
    return list(item_ids)


def check_filters(filters: Filters) -> Filters:
    """Filters as they were given by name.

    Raises:
        TypeError: a name that is none of a filter, as for any argument that a function does not take.
    """
    unknown = [name for name in filters if name not in Filters.__annotations__]
    if unknown:
        raise TypeError(f"unexpected argument {unknown[0]!r}; the filters are {', '.join(Filters.__annotations__)}")
    return filters


def check_where(where: Any) -> Mapping[str, Any]:
    """Conditions by column.

    Raises:
        DataError: something else, or no condition at all.
    """
    if not isinstance(where, Mapping) or not where:
        raise DataError(
            f'`where` is {where!r}, expected conditions by column. Give `where={{"price": {{"max": 9}}}}`, or nothing for all items.'
        )
    return where
