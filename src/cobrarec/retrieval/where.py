"""`where`: which items meet conditions on the columns of the catalog.

    {"brand": "X", "categories": ["A", "B"], "price": {"min": 1, "max": 9}}

A value: equal to it. A list: equal to any of its values. `min` and `max`, one of them or both: in that range, both ends included. Several
columns: all of them. On a list column a condition is met where a value of the item's list meets it. Null meets none.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.data.catalog import Catalog
from cobrarec.data.timestamps import UNITS
from cobrarec.errors import DataError
from cobrarec.retrieval.list_engine import Mask

Kind: TypeAlias = Literal["text", "number", "boolean", "date"]
"""What is asked for, or what a column holds."""
Number: TypeAlias = int | float
Interval: TypeAlias = tuple[Number, Number]
"""First and last value of a column that an asked value stands for; none where the first is above the last."""

_WAYS: dict[Kind, str] = {
    "text": 'give text, such as "X"',
    "number": "give a number",
    "boolean": "give true or false",
    "date": 'give an ISO date, such as "2026-11-27"',
}
_BEYOND = 2**64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATES = (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.timestamp("ns", "UTC"))


def rows_where(catalog: Catalog, where: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Mask `[num_items]` of the items that meet every condition; the module says what conditions mean.

    Numbers are compared in the column's own precision. A number asked of a text column (tables from CSV hold text only) is compared
    with the numbers that its values read as; so are dates. A date without a time stands for its whole day, and times without a zone
    for UTC. Booleans equal booleans only.

    Raises:
        DataError: a column that the catalog lacks, an empty condition or range, an unknown key of a range, NaN or null, or a value of
            a kind that the column cannot equal.
    """
    names = catalog.table.schema.names
    unknown = [name for name in where if name not in names]
    if unknown:
        asked = ", ".join(repr(name) for name in unknown)
        raise DataError(f"`where` names {asked}, which the catalog lacks; its columns are: {', '.join(names)}. Name one of these.")
    mask = np.ones(catalog.num_items, dtype=bool)
    for name, condition in where.items():
        mask &= _rows_meeting(catalog.table.column(name), condition, name)
    return mask


def _rows_meeting(column: pa.ChunkedArray, condition: Any, name: str) -> Mask:
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return _values_meeting(column, condition, name)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    rows = np.repeat(np.arange(len(column)), lengths)
    mask = np.zeros(len(column), dtype=bool)
    mask[rows[_values_meeting(pc.list_flatten(column), condition, name)]] = True
    return mask


def _values_meeting(values: pa.ChunkedArray, condition: Any, name: str) -> Mask:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    if isinstance(condition, Mapping):
        return _in_range(values, condition, name)
    condition = condition.tolist() if isinstance(condition, np.ndarray) else condition
    asked = list(condition) if isinstance(condition, list | tuple | set | frozenset) else [condition]
    if not asked:
        raise DataError(f"`where` gives column {name} an empty list, which no item can meet; give a value, or leave the column away.")
    by_kind: dict[Kind, list[Any]] = {}
    for value in (_plain(one, name) for one in asked):
        by_kind.setdefault(_kind_of(value, name), []).append(value)
    mask = np.zeros(len(values), dtype=bool)
    for kind, some in by_kind.items():
        mask |= _equal_to_any(_readable(values, kind, some[0], name), some, name)
    return mask


def _equal_to_any(values: pa.ChunkedArray, asked: list[Any], name: str) -> Mask:
    if _holds(values.type) not in ("number", "date"):
        return _is_in(values, asked)
    intervals = [_interval(value, values.type, name) for value in asked]
    points = [first for first, last in intervals if first == last]
    mask = _is_in(values, [*points, *(-point for point in points if not point)])  # arrow tells 0.0 from -0.0
    for first, last in intervals:
        if first < last:
            mask |= _between(values, first, last)
    return mask


def _in_range(values: pa.ChunkedArray, condition: Mapping[Any, Any], name: str) -> Mask:
    unknown = [key for key in condition if key not in ("min", "max")]
    if unknown or not condition:
        told = f"the key {unknown[0]!r}" if unknown else "no bound"
        raise DataError(f"`where` gives the range of column {name} {told}; expected `min`, `max` or both.")
    bounds = {key: _plain(value, name) for key, value in condition.items()}
    kinds: dict[str, Kind] = {key: _kind_of(value, name) for key, value in bounds.items()}
    if len(bounds) == 2:
        _refuse_two_kinds(bounds, kinds, name)
    for key, bound in bounds.items():
        values = _readable(values, kinds[key], bound, name, ranged=True)
    if len(bounds) == 2:
        _refuse_empty(bounds, kinds, name)
    first = _interval(bounds["min"], values.type, name)[0] if "min" in bounds else -math.inf
    last = _interval(bounds["max"], values.type, name)[1] if "max" in bounds else math.inf
    return _between(values, first, last)


def _refuse_two_kinds(bounds: Mapping[str, Any], kinds: Mapping[str, Kind], name: str) -> None:
    low, high = bounds["min"], bounds["max"]
    if kinds["min"] != kinds["max"] and set(kinds.values()) != {"text", "date"}:
        told = f"from a {kinds['min']} ({low!r}) to a {kinds['max']} ({high!r}); give two bounds of a kind."
        raise DataError(f"`where` gives column {name} a range {told}")


def _refuse_empty(bounds: Mapping[str, Any], kinds: Mapping[str, Kind], name: str) -> None:
    """Refuse two bounds between which nothing lies."""
    low, high = bounds["min"], bounds["max"]
    is_empty = low > high if kinds["min"] in ("number", "boolean") else _nanoseconds(low, name)[0] > _nanoseconds(high, name)[1]
    if is_empty:
        raise DataError(f"`where` gives column {name} the empty range from {low!r} to {high!r}; `min` must not be above `max`.")


def _plain(value: Any, name: str) -> Any:
    """An asked value as Python's own; bounds and values that nothing equals are refused."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        told = "null" if value is None else "NaN"
        raise DataError(f"`where` asks {told} of column {name}, which no value equals; leave it away.")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise DataError(
            f"`where` asks {value!r} of column {name}, which holds half a surrogate pair and so is no text; give whole characters."
        )
    return value


def _kind_of(value: Any, name: str) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, date):
        return "date"
    raise DataError(f"`where` asks {value!r} of column {name}; expected text, a number, a boolean, a date, a list of these or a range.")


def _holds(kind: pa.DataType) -> Kind | None:
    """What a type of values is; None for what can equal nothing that is asked, such as bytes."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "date"
    return "boolean" if pa.types.is_boolean(kind) else None


def _readable(values: pa.ChunkedArray, asked: Kind, example: Any, name: str, ranged: bool = False) -> pa.ChunkedArray:
    """The values in a type in which the asked kind can be compared: text, booleans, integers, floats or timestamps."""
    held = _holds(values.type)
    if pa.types.is_null(values.type):
        types: dict[Kind, pa.DataType] = {"text": pa.timestamp("us") if ranged else pa.large_string(), "date": pa.timestamp("us")}
        return values.cast({"number": pa.int64(), "boolean": pa.bool_(), **types}[asked])
    if held == "text" and asked in ("number", "date"):
        return _parsed(values, asked, example, name)
    if held == "text" and asked == "text":
        return _parsed(values, "date", example, name) if ranged else values.cast(pa.large_string())
    if held == "number" == asked:
        if pa.types.is_decimal(values.type):
            values = values.cast(pa.string())  # which reads as the nearest float; arrow's own cast misses it
        is_own = pa.types.is_integer(values.type) or pa.types.is_float32(values.type)
        return values if is_own else values.cast(pa.float64())
    if held == "date" and asked in ("text", "date"):
        return values.cast(pa.timestamp("s")) if pa.types.is_date(values.type) else values
    if held == "boolean" == asked and not ranged:
        return values
    form = "the bound" if ranged else f"the {asked}"
    way = "name another column" if held is None else _WAYS[held]
    raise DataError(f"`where` asks {form} {example!r} of column {name}, which holds {values.type}; {way}.")


def _parsed(texts: pa.ChunkedArray, kind: Kind, example: Any, name: str) -> pa.ChunkedArray:
    """The numbers or dates that a text column reads as."""
    trimmed = pc.utf8_trim_whitespace(texts.cast(pa.large_string()))
    for form in (pa.int64(), pa.float64()) if kind == "number" else _DATES:
        try:
            return trimmed.cast(form)
        except pa.ArrowInvalid:
            continue
    reads: Callable[[str], Any] = float if kind == "number" else datetime.fromisoformat
    other = next((f", such as {text!r}" for text in trimmed.to_pylist() if text is not None and not _reads(text, reads)), "")
    raise DataError(
        f"`where` asks {example!r} of column {name}, which holds text that does not read as {kind}s throughout{other}; "
        "give text that it may equal, or convert the column."
    )


def _reads(text: str, reader: Callable[[str], Any]) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


def _interval(value: Any, kind: pa.DataType, name: str) -> Interval:
    """The values of a type for which `value` stands: one, none, or those of a day."""
    if pa.types.is_floating(kind):
        try:
            with np.errstate(over="ignore"):
                number = float(kind.to_pandas_dtype()(value))
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
        return number, number
    if pa.types.is_integer(kind):
        if math.isinf(value):
            value = int(math.copysign(_BEYOND, value))
        return math.ceil(value), math.floor(value)
    first, last = _nanoseconds(value, name)
    unit = 10**9 // UNITS[kind.unit]
    return -(-first // unit), last // unit


def _nanoseconds(value: str | date, name: str) -> tuple[int, int]:
    """First and last nanosecond since 1970 of a moment or, without a time, of a day."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) <= len("2026-11-27") else datetime.fromisoformat(value)
        except ValueError:
            raise DataError(f"`where` asks {value!r} of column {name}, which holds dates; {_WAYS['date']}.") from None
    is_day = not isinstance(value, datetime)
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    first = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return first, first + (86_400 * 10**9 - 1 if is_day else 0)


def _between(values: pa.ChunkedArray, first: Number, last: Number) -> Mask:
    """Which values lie from `first` to `last`."""
    kind = values.type
    if not pa.types.is_floating(kind):
        kind = kind if pa.types.is_integer(kind) else pa.int64()
        limits = np.iinfo(kind.to_pandas_dtype())
        if first > last or first > limits.max or last < limits.min:
            return np.zeros(len(values), dtype=bool)
        first, last = max(first, int(limits.min)), min(last, int(limits.max))
    values = values.cast(kind)
    inside = pc.and_(pc.greater_equal(values, pa.scalar(first, kind)), pc.less_equal(values, pa.scalar(last, kind)))
    return _as_mask(inside)


def _is_in(values: pa.ChunkedArray, asked: list[Any]) -> Mask:
    kind = values.type
    if pa.types.is_timestamp(kind):
        values, kind = values.cast(pa.int64()), pa.int64()
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        asked = [number for number in asked if limits.min <= number <= limits.max]
    return _as_mask(pc.is_in(values, value_set=pa.array(asked, kind)))


def _as_mask(answers: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(answers, False).to_numpy(), dtype=bool)
