import numpy as np
import pytest

from cobrarec.errors import DataError
from cobrarec.retrieval.request_checks import (
    check_filters,
    check_histories,
    check_item_ids,
    check_k,
    check_timestamps,
    check_unknown,
    check_where,
)


@pytest.mark.parametrize("k", [0, -3, 2.5, True, "10", None])
def test_k_that_is_no_count_is_refused(k):
    with pytest.raises(DataError, match="k is"):
        check_k(k)


def test_numpy_counts_are_counts():
    assert check_k(np.int64(3)) == 3


@pytest.mark.parametrize("wrong", ["B001", ["B001", "B002"], [1, 2], 5, None, [["B001"], "B002"], [None], np.array([1, 2]), {"a": 1}])
def test_one_history_where_several_are_expected_is_refused(wrong):
    with pytest.raises(DataError, match=r"\[\[id"):
        check_histories(wrong)


@pytest.mark.parametrize("right", [[], [[]], [(1, 2), [3]], np.array([[1, 2], [3, 4]]), ([i] for i in range(2)), [{1}, iter([2])]])
def test_anything_that_holds_sequences_of_ids_is_accepted(right):
    assert isinstance(check_histories(right), list)


@pytest.mark.parametrize("wrong", ["B001", 7])
def test_one_id_as_a_filter_is_refused(wrong):
    with pytest.raises(DataError, match="exclude"):
        check_item_ids(wrong, "exclude")


def test_another_policy_for_unknown_items_is_refused():
    assert check_unknown("error") == "error"
    with pytest.raises(DataError, match="'skip'"):
        check_unknown("raise")


@pytest.mark.parametrize(
    "wrong", [5, [5], [[1, 2], [3]], [[1]], [[1, 2], [float("nan"), 4]], [["1", "2"], [3, 4]], [[1, 2], [10**18, 4]], [[1, 2], [1e30, 4]]]
)
def test_timestamps_that_do_not_pair_with_the_items_are_refused(wrong):
    with pytest.raises(DataError, match="timestamps"):
        check_timestamps(wrong, [["a", "b"], ["c", "d"]])


def test_timestamps_become_whole_seconds():
    assert check_timestamps([np.array([1, 2.5]), ()], [["a", "b"], []]) == [[1, 2], []]


def test_filters_are_given_by_their_names():
    assert check_filters({"allow": ["a"]}) == {"allow": ["a"]}
    with pytest.raises(TypeError, match="'exlude'; the filters are exclude, allow, where"):
        check_filters({"exlude": ["a"]})


@pytest.mark.parametrize("wrong", [{}, [], "brand", ["brand"], 5])
def test_conditions_that_are_none_by_column_are_refused(wrong):
    with pytest.raises(DataError, match="`where` is"):
        check_where(wrong)
