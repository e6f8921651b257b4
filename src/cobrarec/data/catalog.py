"""The catalog: which items there are, which row each has, what its text says.

`row` is ours (0 .. num_items - 1, the order of the file), `item_id` is the caller's and comes back with its own type. A *delisted* item
was removed: it keeps its row, because histories hold it, and is in no list.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.config import DataConfig
from cobrarec.data.item_texts import full_texts, item_texts, render_column
from cobrarec.data.tables import id_array, id_column, read_table, write_table
from cobrarec.errors import DataError

__all__ = ["Catalog", "ItemId", "UnknownPolicy", "item_texts"]

ItemId: TypeAlias = int | str
"""An item id as the caller wrote it."""
UnknownPolicy: TypeAlias = Literal["error", "skip"]
"""What to do with an id that the catalog lacks."""

TITLE_CHARACTERS = 80
DELISTED = "delisted.npy"


@dataclass(frozen=True, eq=False)
class Catalog:
    """The items, one row each.

    Attributes:
        table: `item_id` first, then the caller's attributes; rows as in the file, identical duplicates dropped.
        texts: the text of each row by the template, cut to `max_text_characters`; "" where all attributes are null.
        item_ids: [num_items], int64 or object (str).
        num_duplicates: rows that were dropped because they repeat an item.
        num_cut_texts: texts that were cut.
        delisted: rows of the delisted items, ascending.
    """

    table: pa.Table
    texts: tuple[str, ...]
    item_ids: npt.NDArray[Any]
    num_duplicates: int = 0
    num_cut_texts: int = 0
    delisted: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def from_table(cls, table: pa.Table, config: DataConfig) -> "Catalog":
        """Check the items table and number its items.

        Raises:
            DataError: no `item_id`, null ids, ids that are neither integers nor strings, one id with two texts, fewer
                than 2 items.
            ConfigError: a template that does not fit the columns.
        """
        ids = id_column(table, "item_id", "items table")
        others = [name for name in table.schema.names if name != "item_id"]
        table = pa.table([ids, *(table.column(name) for name in others)], names=["item_id", *others])
        texts = full_texts(table, config.text_template)
        rows = _first_rows(ids.to_pylist(), texts)
        if len(rows) < 2:
            raise DataError(f"The items table holds {len(rows)} items, expected at least 2. Give the whole catalog.")
        num_duplicates = table.num_rows - len(rows)
        if num_duplicates:
            table = table.take(pa.array(rows))
            texts = [texts[row] for row in rows]
        limit = config.max_text_characters
        return cls(
            table=table,
            texts=tuple(text[:limit] for text in texts),
            item_ids=id_array(table.column("item_id")),
            num_duplicates=num_duplicates,
            num_cut_texts=sum(len(text) > limit for text in texts),
        )

    @property
    def num_items(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @cached_property
    def is_listed(self) -> npt.NDArray[np.bool_]:
        """`[num_items]`: whether lists may hold the item."""
        mask = np.ones(self.num_items, np.bool_)
        mask[self.delisted] = False
        return mask

    @property
    def id_type(self) -> type:
        """`int` or `str`."""
        return str if self.item_ids.dtype == object else int

    def __contains__(self, item_id: object) -> bool:
        """Whether this is the id of an item; one of another type is not."""
        value = item_id.item() if isinstance(item_id, np.generic) else item_id
        return isinstance(value, self.id_type) and not isinstance(value, bool) and value in self._row_of

    def find(self, item_id: Any) -> int:
        """The row of an id of the catalog's type, -1 where the catalog lacks it."""
        return self._row_of.get(item_id, -1)

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """A name to show per row: column `title`, else `name`, else the beginning of the text, else the id."""
        name = next((name for name in ("title", "name") if name in self.table.schema.names), None)
        titles = render_column(self.table.column(name), name) if name else [None] * self.num_items
        rest = zip(titles, self.texts, self.item_ids, strict=True)
        return tuple(title or text[:TITLE_CHARACTERS] or str(item_id) for title, text, item_id in rest)

    def rows(self, item_ids: Iterable[Any], unknown: UnknownPolicy = "error") -> npt.NDArray[np.int64]:
        """Rows of `item_ids`, in their order; with `unknown="skip"` those that the catalog lacks are left out.

        Raises:
            DataError: an id of another type than the catalog's, or, with `unknown="error"`, an unknown one.
        """
        ids = [item.item() if isinstance(item, np.generic) else item for item in item_ids]
        for item in ids:
            if not isinstance(item, self.id_type) or isinstance(item, bool):
                raise DataError(
                    f"The item id {item!r} is of type {type(item).__name__}, the catalog's ids are {self.id_type.__name__} "
                    f"(such as {self.item_ids[:1].tolist()[0]!r}). Give ids of that type."
                )
        rows = [self._row_of.get(item, -1) for item in ids]
        if unknown == "error" and -1 in rows:
            raise DataError(unknown_ids_message([item for item, row in zip(ids, rows, strict=True) if row < 0]))
        return np.array([row for row in rows if row >= 0], dtype=np.int64)

    def rows_of_column(self, column: pa.ChunkedArray, what: str) -> npt.NDArray[np.int32]:
        """Rows of a column of ids (see `tables.id_column`), -1 for those that the catalog lacks.

        Raises:
            DataError: the column's ids are of another type than the catalog's.
        """
        own = self.table.column("item_id")
        if len(column) and column.type != own.type:
            raise DataError(
                f"Column item_id holds {_kind(own.type)} in the items table and {_kind(column.type)} in the {what}; expected one type "
                "in both (CSV holds text only). Convert one of them."
            )
        rows = pc.fill_null(pc.index_in(column.cast(own.type), value_set=own.combine_chunks()), -1)
        return np.asarray(rows.to_numpy(), dtype=np.int32)

    def parse_id(self, text: str) -> ItemId:
        """The id that a text from a command line or a form stands for.

        Raises:
            DataError: the catalog's ids are integers and `text` is none.
        """
        if self.id_type is str:
            return text
        try:
            return int(text)
        except ValueError:
            raise DataError(f"The item id {text!r} is not an integer, as the catalog's ids are (such as {self.item_ids[0]}).") from None

    def tie_breakers(self, seed: int) -> npt.NDArray[np.uint64]:
        """[num_items] seeded hashes of the ids: the order of equally scored items, whatever their rows."""
        known = self._hashes.get(seed, np.zeros(0, np.uint64))
        if len(known) < self.num_items:
            rest = self.item_ids[len(known) :].tolist()
            digests = b"".join(hashlib.blake2b(f"{seed}:{item}".encode(), digest_size=8).digest() for item in rest)
            known = self._hashes[seed] = np.concatenate([known, np.frombuffer(digests, dtype="<u8").astype(np.uint64)])
        return known

    def begins_with(self, before: "Catalog") -> "Catalog":
        """This catalog, with what was computed for one whose ids its own begin with, so that a change costs what it changes."""
        self.__dict__["_hashes"] = dict(before._hashes)
        new = self.item_ids[before.num_items :].tolist()
        self.__dict__["_row_of"] = before._row_of | {item: before.num_items + place for place, item in enumerate(new)}
        return self

    def save(self, folder: Path) -> None:
        """Write `items.parquet`, `item_id` first, and `delisted.npy` where items are delisted."""
        write_table(self.table, folder / "items.parquet")
        if len(self.delisted):
            np.save(folder / DELISTED, self.delisted, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, config: DataConfig) -> "Catalog":
        """Read what `save` wrote; `config` gives the template of the texts."""
        catalog = cls.from_table(read_table(folder / "items.parquet", "items table"), config)
        if not (folder / DELISTED).exists():
            return catalog
        return replace(catalog, delisted=np.load(folder / DELISTED, allow_pickle=False))

    @cached_property
    def _hashes(self) -> dict[int, npt.NDArray[np.uint64]]:
        """By seed, the hashes of the first ids, or of all."""
        return {}

    @cached_property
    def _row_of(self) -> dict[ItemId, int]:
        return {item: row for row, item in enumerate(self.item_ids.tolist())}


def unknown_ids_message(ids: list[Any], num_unknown: int | None = None) -> str:
    """One sentence on ids that the catalog lacks; `num_unknown` where `ids` are only examples."""
    count = num_unknown or len(ids)
    shown = ", ".join(repr(item) for item in ids[:3]) + (" ..." if count > 3 else "")
    return f"The catalog lacks {count:,} of the item ids given: {shown}. Add them to the items or skip unknown items."


def _first_rows(ids: list[ItemId], texts: list[str]) -> list[int]:
    first: dict[ItemId, int] = {}
    for row, item in enumerate(ids):
        kept = first.setdefault(item, row)
        if texts[row] != texts[kept]:
            raise DataError(
                f"The items table has item_id {item!r} twice with different text, in data rows {kept + 1} and {row + 1}; "
                "expected one row an item. Keep one of them."
            )
    return list(first.values())


def _kind(kind: pa.DataType) -> str:
    return "integers" if pa.types.is_integer(kind) else "strings"
