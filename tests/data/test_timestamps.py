"""Times in every form that is accepted, and those that are refused."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from cobrarec.data.timestamps import UNKNOWN_TIME, read_positions, read_seconds, read_times
from cobrarec.errors import DataError

SECOND = 1_404_210_600  # 2014-07-01 10:30:00 UTC
MOMENT = datetime.datetime(2014, 7, 1, 10, 30)


def times_of(values, kind=None):
    return read_times(pa.chunked_array([pa.array(values, kind)]), "timestamp", "interactions table")


@pytest.mark.parametrize(
    ("values", "kind", "unit"),
    [
        ([SECOND], pa.int32(), "s"),
        ([SECOND], pa.int64(), "s"),
        ([SECOND + 0.75], pa.float64(), "s"),
        ([SECOND * 1000 + 5], pa.int64(), "ms"),
        ([SECOND * 10**6], pa.int64(), "us"),
        ([SECOND * 10**9], pa.int64(), "ns"),
        ([MOMENT], pa.timestamp("ms"), "date"),
        ([MOMENT], pa.timestamp("ns", "Europe/Berlin"), "date"),
        ([str(SECOND)], pa.string(), "s"),
        ([f" {SECOND}.5 "], pa.large_string(), "s"),
        (["2014-07-01T10:30:00"], pa.string(), "date"),
        (["2014-07-01 10:30"], pa.string(), "date"),
        (["2014-07-01T10:30:00Z"], pa.string(), "date"),
        (["2014-07-01T12:30:00.25+02:00"], pa.string(), "date"),
        (["2014-07-01 10:30:00.123456789"], pa.string(), "date"),
    ],
)
def test_one_moment_in_many_forms_is_the_same_second(values, kind, unit):
    times = times_of(values, kind)
    assert times.seconds.tolist() == [SECOND]
    assert times.unit == unit


def test_dates_are_midnight():
    midnight = SECOND - 10 * 3600 - 30 * 60
    assert times_of([datetime.date(2014, 7, 1)]).seconds.tolist() == [midnight]
    assert times_of(["2014-07-01"]).seconds.tolist() == [midnight]


def test_order_keeps_the_full_resolution():
    times = times_of([SECOND + 0.75, SECOND + 0.25])
    assert times.seconds.tolist() == [SECOND, SECOND]
    assert np.argsort(times.values).tolist() == [1, 0]


def test_times_before_1970_are_rounded_down():
    assert times_of([-0.5]).seconds.tolist() == [-1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, None], "1 null values, the first in data row 2"),
        ([1.0, float("nan")], "nan in data row 2"),
        ([1.0, float("inf")], "inf in data row 2"),
        ([True], "holds bool"),
        (["2014-07-01", "yesterday"], "'yesterday' in data row 2"),
        (["1404210600", "2014-07-01"], "'2014-07-01' in data row 2"),
        (["01.07.2014"], "'01.07.2014' in data row 1"),
        (["2014-07-01", "2014-07-01T10:30:00Z"], "one form throughout"),
        (["2014-02-31"], "expected numbers, or ISO dates"),
        ([b"x"], "holds binary"),
        ([[1]], "holds list"),
    ],
)
def test_other_times_are_refused(values, words):
    with pytest.raises(DataError) as caught:
        times_of(values)
    assert words in str(caught.value)


def test_integers_beyond_64_bits_are_refused():
    with pytest.raises(DataError, match="no time that we can read"):
        times_of([2**63], pa.uint64())


def positions_of(values):
    return read_positions(pa.chunked_array([values]), "position", "interactions table").tolist()


def test_positions_are_numbers_or_text_of_numbers():
    assert positions_of([2, 1]) == [2, 1]
    assert positions_of(["2", "1"]) == [2, 1]
    assert positions_of(["2.5", "1"]) == [2.5, 1.0]
    with pytest.raises(DataError, match="'first' in data row 1; expected numbers"):
        positions_of(["first"])
    with pytest.raises(DataError, match="null"):
        positions_of([1, None])


def test_times_that_order_nothing_may_be_unknown():
    column = pa.chunked_array([[None, str(SECOND)], [None]])
    assert read_seconds(column, "timestamp", "interactions table").seconds.tolist() == [UNKNOWN_TIME, SECOND, UNKNOWN_TIME]


@pytest.mark.parametrize("value", [99999999999999999999999.0, -1e30, 3e11])
def test_a_time_beyond_all_years_is_refused_with_its_row(value):
    with pytest.raises(DataError, match="data row 3"):
        read_times(pa.chunked_array([pa.array([1e9, 1.1e9, value, 1.2e9])]), "timestamp", "interactions table")
