"""Times and positions as numbers: what orders a history, and the seconds that the model may read."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.data.tables import refuse_nulls
from cobrarec.errors import DataError

UNKNOWN_TIME = int(np.iinfo(np.int64).min)
"""Seconds of an interaction whose time is not known."""
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"


@dataclass(frozen=True)
class Times:
    """A column of times.

    Attributes:
        values: what orders, in the column's own unit and full resolution (int64 or float64).
        seconds: int64 seconds since 1970, rounded down.
        unit: how numbers were read: `s`, `ms`, `us` or `ns`; `date` for dates.
    """

    values: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    seconds: npt.NDArray[np.int64]
    unit: str


LATEST_SECOND = 253_402_300_799
"""The end of the year 9999; times further from 1970 than that are mistakes."""


def read_times(column: pa.ChunkedArray, name: str, what: str) -> Times:
    """Read a column of times.

    Accepted: integers and floats (seconds since 1970; milli-, micro- or nanoseconds where the median is beyond what
    seconds reach, 1e11, 1e14, 1e17), dates, timestamps with or without zone, and text that holds such a number or an
    ISO 8601 date (`2014-07-01`, `2014-07-01T10:30`, `2014-07-01 10:30:00.5`, `...Z`, `...+02:00`), one form in the
    whole column. Times without a zone count as UTC.

    Raises:
        DataError: nulls, NaN or infinity, other types, other forms of text.
    """
    refuse_nulls(column, name, what)
    if _is_text(column.type):
        column = _parse_text(column, name, what)
    kind = column.type
    if pa.types.is_timestamp(kind):
        values = _int64(column)
        return Times(values, values // UNITS[kind.unit], "date")
    if pa.types.is_date(kind):
        days = _int64(column.cast(pa.date32()).cast(pa.int32()))
        return Times(days, days * 86_400, "date")
    numbers = _numbers(column, name, what)
    unit = _unit_of(numbers)
    too_far = np.abs(numbers.astype(np.float64)) / UNITS[unit] > LATEST_SECOND
    if too_far.any():
        first = int(np.argmax(too_far))
        raise DataError(
            f"Column {name} of the {what} has {numbers[first]:g} in data row {first + 1}, read as {unit} since 1970: no time that we know. "
            "Correct it."
        )
    return Times(numbers, np.floor_divide(numbers, UNITS[unit]).astype(np.int64), unit)


def read_seconds(column: pa.ChunkedArray, name: str, what: str) -> Times:
    """Like `read_times` for times that order nothing: nulls are accepted and become `UNKNOWN_TIME`."""
    if not column.null_count:
        return read_times(column, name, what)
    times = read_times(column.drop_null(), name, what)
    seconds = np.full(len(column), UNKNOWN_TIME, dtype=np.int64)
    seconds[np.asarray(column.is_valid().to_numpy(), dtype=bool)] = times.seconds
    return Times(seconds, seconds, times.unit)


def read_positions(column: pa.ChunkedArray, name: str, what: str) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
    """Read a column of numbers that only orders.

    Raises:
        DataError: nulls, NaN or infinity, anything but numbers or text that holds numbers.
    """
    refuse_nulls(column, name, what)
    if _is_text(column.type):
        column = _parse_numbers(column, name, what)
    return _numbers(column, name, what)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _int64(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _numbers(column: pa.ChunkedArray, name: str, what: str) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
    kind = column.type
    if pa.types.is_integer(kind):
        try:
            return _int64(column)
        except pa.ArrowInvalid:
            raise DataError(f"Column {name} of the {what} has integers above 2^63 - 1, which is no time that we can read.") from None
    if not (pa.types.is_floating(kind) or pa.types.is_decimal(kind) or len(column) == 0):
        raise DataError(f"Column {name} of the {what} holds {kind}; expected numbers, dates or text of these. Convert it.")
    values = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values)))
        raise DataError(f"Column {name} of the {what} has {values[first]} in data row {first + 1}; expected finite numbers. Fill it in.")
    return values


def _unit_of(numbers: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> str:
    size = float(np.median(np.abs(numbers))) if len(numbers) else 0.0
    return "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"


def _parse_text(column: pa.ChunkedArray, name: str, what: str) -> pa.ChunkedArray:
    texts = pc.utf8_trim_whitespace(column)
    for kind in (pa.int64(), pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    pattern = _NUMBER if _matches(texts[0:1], _NUMBER)[0].as_py() else _DATE
    raise DataError(
        f"Column {name} of the {what} has {_first_without(texts, pattern)}; expected numbers, or ISO dates such as 2014-07-01 or "
        "2014-07-01T10:30:00, in one form throughout. Convert it."
    )


def _parse_numbers(column: pa.ChunkedArray, name: str, what: str) -> pa.ChunkedArray:
    texts = pc.utf8_trim_whitespace(column)
    for kind in (pa.int64(), pa.float64()):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    raise DataError(f"Column {name} of the {what} has {_first_without(texts, _NUMBER)}; expected numbers. Convert or remove it.")


def _matches(texts: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.match_substring_regex(texts, pattern)


def _first_without(texts: pa.ChunkedArray, pattern: str) -> str:
    row = max(pc.index(_matches(texts, pattern), False).as_py(), 0)
    return f"{texts[row].as_py()!r} in data row {row + 1}"
