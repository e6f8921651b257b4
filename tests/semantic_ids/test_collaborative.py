import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from themed_catalogs import themed_histories

from cobrarec.config import SemanticIdsConfig
from cobrarec.data.interactions import Histories
from cobrarec.semantic_ids.collaborative import collaborative_embeddings, cooccurrences, positive_pmi, transitions

LISTS = st.lists(st.lists(st.integers(0, 7), max_size=8), min_size=1, max_size=6)


@settings(deadline=None)
@given(LISTS, st.integers(1, 3))
def test_transitions_are_the_pairs_at_that_distance_within_a_history(lists: list[list[int]], distance: int) -> None:
    earlier, later = transitions(Histories.from_lists(lists), distance)
    by_hand = [pair for rows in lists for pair in zip(rows, rows[distance:], strict=False)]
    assert list(zip(earlier.tolist(), later.tolist(), strict=True)) == by_hand


@settings(deadline=None)
@given(LISTS)
def test_cooccurrences_count_both_directions_within_the_window(lists: list[list[int]]) -> None:
    counts = cooccurrences(Histories.from_lists(lists), 8, window=2).toarray()
    by_hand = np.zeros((8, 8))
    for rows in lists:
        for i, first in enumerate(rows):
            for second in rows[i + 1 : i + 3]:
                if first != second:
                    by_hand[first, second] += 1
                    by_hand[second, first] += 1
    assert np.array_equal(counts, by_hand)


def test_views_of_histories_count_only_what_they_show() -> None:
    histories = Histories.from_lists([[0, 1, 2, 3], [3, 2]])
    counts = cooccurrences(histories.last(2).select(np.array([0])), 4, window=5).toarray()
    assert counts.nonzero()[0].tolist() == [2, 3]


def test_positive_pmi_follows_its_formula() -> None:
    counts = cooccurrences(Histories.from_lists([[0, 1, 2], [0, 1], [2, 3], [3, 0, 1]]), 4, window=2)
    dense, result = counts.toarray(), positive_pmi(counts).toarray()
    context = dense.sum(axis=0) ** 0.75
    for i in range(4):
        for j in range(4):
            expected = dense[i].sum() * context[j] / context.sum()
            assert result[i, j] == pytest.approx(max(0.0, np.log(dense[i, j] / expected)) if dense[i, j] else 0.0)


def test_items_of_one_theme_are_nearer_than_those_of_different_ones() -> None:
    vectors, has = collaborative_embeddings(themed_histories(40, 400), 40, SemanticIdsConfig(collaborative_dim=8), 0)
    assert has.all()
    similarity = vectors @ vectors.T
    same = np.arange(40)[:, None] % 4 == np.arange(40)[None] % 4
    assert similarity[same].mean() > similarity[~same].mean() + 0.3


def test_rows_have_unit_length_or_are_zero_and_marked() -> None:
    vectors, has = collaborative_embeddings(Histories.from_lists([[0, 1, 2], [1, 0], [5]]), 7, SemanticIdsConfig(), 0)
    assert has.tolist() == [True, True, True, False, False, False, False]
    assert np.linalg.norm(vectors[has], axis=1) == pytest.approx(1, abs=1e-5)
    assert not vectors[~has].any()


@pytest.mark.parametrize("lists", [[[]], [[0], [1]], [[1, 1, 1]]])
def test_without_any_transition_there_are_zeros(lists: list[list[int]]) -> None:
    vectors, has = collaborative_embeddings(Histories.from_lists(lists), 3, SemanticIdsConfig(), 0)
    assert not has.any()
    assert not vectors.any()


def test_the_seed_decides() -> None:
    train = themed_histories(30, 60)
    first, second = (collaborative_embeddings(train, 30, SemanticIdsConfig(collaborative_dim=4), 7)[0] for _ in range(2))
    assert np.array_equal(first, second)
