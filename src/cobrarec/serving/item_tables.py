"""Items given as JSON, made into a table."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from cobrarec.data.catalog import Catalog
from cobrarec.errors import DataError
from cobrarec.serving.schemas import INT64

ID_WORDS = {int: "a whole number", str: "text"}
CANNOT_HOLD = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError)
"""What arrow raises of a value that a type cannot hold."""


def items_table(items: Sequence[dict[str, Any]], catalog: Catalog) -> pa.Table:
    """Items given as JSON as a table with the columns that they name, in the types of the catalog.

    Raises:
        DataError: no `item_id`, a column that the catalog lacks, or a value that its type cannot hold.
    """
    schema = catalog.table.schema
    names = dict.fromkeys(name for item in items for name in item)
    foreign = [name for name in names if name not in schema.names]
    if foreign:
        raise DataError(f"The items have {foreign[0]!r}, which the catalog lacks; its columns are {', '.join(schema.names)}.")
    for place, item in enumerate(items):
        item_id = item.get("item_id")
        if isinstance(item_id, bool) or not isinstance(item_id, catalog.id_type):
            example = catalog.item_ids[0]
            raise DataError(
                f"Item {place + 1} has the item_id {item_id!r}, expected {ID_WORDS[catalog.id_type]} as in the catalog ({example!r})."
            )
        if isinstance(item_id, int) and not -INT64 <= item_id < INT64:
            raise DataError(f"Item {place + 1} has the item_id {item_id}, which is no 64-bit integer.")
    columns = {}
    for name in names:
        try:
            columns[name] = _column([item.get(name) for item in items], schema.field(name).type)
        except CANNOT_HOLD:
            raise DataError(_misfit(items, name, schema.field(name).type)) from None
    return pa.table(columns)


def _misfit(items: Sequence[dict[str, Any]], name: str, kind: pa.DataType) -> str:
    """The first of the values of a column that its type cannot hold, in words."""
    for place, item in enumerate(items):
        try:
            _column([item.get(name)], kind)
        except CANNOT_HOLD:
            return f"Item {place + 1} has {repr(item[name])[:100]} as {name}, where the catalog holds {in_words(kind)}."
    return f"The items have values as {name} that do not go together; the catalog holds {in_words(kind)} there."


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """The values in a type; raises what arrow raises where it cannot hold them as they are."""
    column = pa.array(values, kind)
    # `pa.array` makes 1 of 1.5 among whole numbers and times without a word
    if pa.types.is_nested(kind):
        pa.array(values).cast(kind)
    elif not pa.types.is_floating(kind) and (cut := next((value for value in values if isinstance(value, float)), None)) is not None:
        raise ValueError(f"{cut!r} is no whole number")
    return column


def in_words(kind: pa.DataType) -> str:
    """What a column of a type holds, for whoever writes JSON."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"lists of {in_words(kind.value_type)}"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_integer(kind):
        return "whole numbers"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "numbers"
    if pa.types.is_dictionary(kind):
        return in_words(kind.value_type)
    if pa.types.is_date(kind):
        return "dates"
    if pa.types.is_timestamp(kind):
        return "times"
    return "true or false" if pa.types.is_boolean(kind) else f"values of arrow's type {kind}"
