"""Taken: the history that a person has put together on the page, held by the browser, so that any process can answer the next click."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cobrarec.data.catalog import Catalog, ItemId
from cobrarec.data.interactions import Histories
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.errors import DataError
from cobrarec.serving.schemas import MAX_HISTORY

Taking = tuple[ItemId, int | None]
"""An item and when it was taken, in seconds since 1970; None where that is not known."""


@dataclass(frozen=True)
class Taken:
    """Items in the order in which they were taken, oldest first; `held_back` is the one that a user took next, kept out of the history."""

    items: tuple[Taking, ...] = ()
    user: ItemId | None = None
    held_back: ItemId | None = None

    @classmethod
    def of(cls, value: Any, catalog: Catalog) -> "Taken":
        """What the browser holds; items that the catalog lacks are left out, since the artifact may be another one by now."""
        if not isinstance(value, dict):
            return cls()
        items = value.get("items")
        kept: list[Taking] = []
        for one in items[-MAX_HISTORY:] if isinstance(items, list) else []:
            if isinstance(one, list) and len(one) == 2 and one[0] in catalog:
                kept.append((one[0], one[1] if isinstance(one[1], int) else None))
        user, held_back = value.get("user"), value.get("held_back")
        return cls(tuple(kept), user if isinstance(user, int | str) else None, held_back if held_back in catalog else None)

    def value(self) -> dict[str, Any]:
        """The form that the browser holds."""
        return {"items": [list(one) for one in self.items], "user": self.user, "held_back": self.held_back}

    def with_item(self, item_id: ItemId) -> "Taken":
        """The item at the end.

        Raises:
            DataError: the history would be longer than a request may hold.
        """
        if len(self.items) >= MAX_HISTORY:
            raise DataError(f"The history has {len(self.items):,} items, and this server takes no more; remove some.")
        return replace(self, items=(*self.items, (item_id, None)))

    def without(self, place: int) -> "Taken":
        """Without the item at a place, counted from 0; itself where there is no such place."""
        return replace(self, items=tuple(one for number, one in enumerate(self.items) if number != place))

    def histories(self, catalog: Catalog) -> Histories:
        """The one history in rows of the catalog, with times where any is known."""
        rows = catalog.rows([item for item, _ in self.items])
        if all(time is None for _, time in self.items):
            return Histories.from_lists([rows])
        return Histories.from_lists([rows], timestamps=[[UNKNOWN_TIME if time is None else time for _, time in self.items]])


def taken_ids(item_ids: Sequence[ItemId]) -> Taken:
    """A history of these items, taken at unknown times."""
    return Taken(tuple((item, None) for item in item_ids))
