"""A catalog that changes: items put in, replaced or delisted, without a row of any other item moving."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.data.item_texts import item_texts
from cobrarec.data.tables import id_array, id_column
from cobrarec.errors import DataError

MAX_CHUNKS = 64
"""Pieces that a column may lie in before they are copied into one."""


@dataclass(frozen=True, eq=False)
class CatalogEdit:
    """What putting items into a catalog does to each of them, and the catalog afterwards, which is made when it is asked for.

    before: the catalog. table: the items put, `conformed`. texts: their texts. rows: `[num_put]`, the row of each. is_new: whether the row
    is a new one. is_reworded: whether an item that was there before says something else now.
    """

    before: Catalog
    table: pa.Table
    texts: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    is_new: npt.NDArray[np.bool_]
    is_reworded: npt.NDArray[np.bool_]

    @cached_property
    def catalog(self) -> Catalog:
        """New items have the next rows, others what they say now in their own; none of them is delisted any more."""
        before = self.before
        texts = [*before.texts, *(text for text, new in zip(self.texts, self.is_new, strict=True) if new)]
        for place in np.flatnonzero(~self.is_new):
            texts[self.rows[place]] = self.texts[place]
        changed = replace(
            before,
            table=_replaced(before.table, self.table, self.rows, self.is_new),
            texts=tuple(texts),
            item_ids=np.concatenate([before.item_ids, id_array(self.table.column("item_id"))[self.is_new]]),
            delisted=np.setdiff1d(before.delisted, self.rows),
        )
        return changed.begins_with(before)


def conformed(table: pa.Table, catalog: Catalog, what: str) -> pa.Table:
    """`table` with the columns of the catalog, in their order and types; columns that it lacks are null.

    Raises:
        DataError: no `item_id`, a column that the catalog lacks, values that its type cannot hold, or one id twice with two contents.
    """
    schema = catalog.table.schema
    foreign = [name for name in table.schema.names if name not in schema.names]
    if foreign:
        known = ", ".join(schema.names)
        raise DataError(f"The {what} has the column {foreign[0]}, which the catalog lacks (it has {known}). Leave it away, or fit again.")
    ids = _conformed_ids(id_column(table, "item_id", what), catalog, what)
    columns = [ids]
    for name in schema.names[1:]:
        place = schema.field(name)
        given = table.column(name) if name in table.schema.names else pa.nulls(table.num_rows, place.type)
        columns.append(_cast(given, place, what))
    return _distinct(pa.table(columns, schema=schema), what)


def with_items(catalog: Catalog, table: pa.Table, config: DataConfig) -> CatalogEdit:
    """The catalog with the items of a `conformed` table put in: new ids get the next rows, others replace what their row said."""
    rows = _rows_of(catalog, table)
    is_new = rows < 0
    rows[is_new] = catalog.num_items + np.arange(is_new.sum())
    texts = tuple(item_texts(table, config))
    reworded = np.array([not new and texts[i] != catalog.texts[rows[i]] for i, new in enumerate(is_new)], np.bool_)
    return CatalogEdit(catalog, table, texts, rows, is_new, reworded)


def without_items(catalog: Catalog, rows: npt.NDArray[np.int64]) -> Catalog:
    """The catalog with the items of `rows` delisted; raises DataError where none would be left."""
    delisted = np.union1d(catalog.delisted, rows)
    if len(delisted) == catalog.num_items:
        raise DataError("No item would be left to recommend; a catalog keeps at least one. Add other items first.")
    return replace(catalog, delisted=delisted).begins_with(catalog)


def _conformed_ids(ids: pa.ChunkedArray, catalog: Catalog, what: str) -> pa.ChunkedArray:
    """The ids in the catalog's type; texts that read as integers are integers where the catalog's ids are (CSV holds text only)."""
    if pa.types.is_large_string(ids.type) and pc.any(pc.equal(pc.utf8_trim_whitespace(ids), "")).as_py():
        raise DataError(f"The {what} has an empty item_id; give every item an id.")
    if catalog.id_type is str and not pa.types.is_large_string(ids.type):
        example = catalog.item_ids[0]
        raise DataError(f"The {what} has integers as item_id, the catalog's ids are strings (such as {example!r}). Give strings.")
    if catalog.id_type is int and not pa.types.is_integer(ids.type):
        return pa.chunked_array([pa.array([catalog.parse_id(text) for text in ids.to_pylist()], pa.int64())])
    return ids


def _cast(column: Any, place: pa.Field, what: str) -> pa.ChunkedArray:
    try:
        cast = column.cast(place.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"Column {place.name} of the {what} holds {column.type}, the catalog's holds {place.type}: {reason}.") from None
    return cast if isinstance(cast, pa.ChunkedArray) else pa.chunked_array([cast])


def _distinct(table: pa.Table, what: str) -> pa.Table:
    """The table with each id once; raises DataError where two of its rows differ."""
    ids = table.column("item_id").to_pylist()
    first: dict[Any, int] = {}
    for row, item in enumerate(ids):
        kept = first.setdefault(item, row)
        if kept != row and repr(table.slice(kept, 1).to_pylist()) != repr(table.slice(row, 1).to_pylist()):
            raise DataError(f"The {what} has item_id {item!r} twice with different content, in data rows {kept + 1} and {row + 1}.")
    return table if len(first) == len(ids) else table.take(pa.array(list(first.values())))


def _replaced(old: pa.Table, put: pa.Table, rows: npt.NDArray[np.int64], is_new: npt.NDArray[np.bool_]) -> pa.Table:
    """The old rows, some of them as `put` has them, then the new ones."""
    if is_new.all():
        grown = pa.concat_tables([old, put])
    else:
        source = np.arange(old.num_rows + int(is_new.sum()))
        source[rows] = old.num_rows + np.arange(len(rows))
        grown = pa.concat_tables([old, put]).take(pa.array(source))
    return grown.combine_chunks() if grown.column(0).num_chunks > MAX_CHUNKS else grown


def changing(catalog: Catalog, table: pa.Table) -> pa.Table:
    """The rows of a `conformed` table that say something else than the catalog does, or bring back what was delisted."""
    rows = _rows_of(catalog, table)
    known = np.flatnonzero((rows >= 0) & catalog.is_listed[rows])
    before = catalog.table.take(pa.array(rows[known])).to_pylist()
    now = table.take(pa.array(known)).to_pylist()
    same = {place for place, a, b in zip(known.tolist(), before, now, strict=True) if repr(a) == repr(b)}  # NaN is NaN
    return table.take(pa.array([place for place in range(table.num_rows) if place not in same], pa.int64()))


def _rows_of(catalog: Catalog, table: pa.Table) -> npt.NDArray[np.int64]:
    """Rows of the items of a `conformed` table, -1 for new ones; looked up one by one, since a change is small beside the catalog."""
    return np.array([catalog.find(item) for item in table.column("item_id").to_pylist()], np.int64)
