"""Items given as JSON, made into a table."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from cobrarec.data.catalog import Catalog
from cobrarec.errors import DataError
from cobrarec.serving.schemas import INT64


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
                f"Item {place + 1} has the item_id {item_id!r}, expected {catalog.id_type.__name__} as in the catalog ({example!r})."
            )
        if isinstance(item_id, int) and not -INT64 <= item_id < INT64:
            raise DataError(f"Item {place + 1} has the item_id {item_id}, which is no 64-bit integer.")
    columns = {}
    for name in names:
        try:
            columns[name] = _column([item.get(name) for item in items], schema.field(name).type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError) as error:
            reason = " ".join(str(error).split())[:120]
            raise DataError(f"{name} holds {schema.field(name).type} in the catalog; the items have other values: {reason}.") from None
    return pa.table(columns)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """The values in a type; raises what arrow raises where it cannot hold them as they are."""
    column = pa.array(values, kind)
    # `pa.array` makes 1 of 1.5 among whole numbers and times without a word
    if pa.types.is_nested(kind):
        pa.array(values).cast(kind)
    elif not pa.types.is_floating(kind) and (cut := next((value for value in values if isinstance(value, float)), None)) is not None:
        raise ValueError(f"{cut!r} is no whole number")
    return column
