"""Content neighbors agree with a slow loop, find items that no one took, and are chosen on validation."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.slow_counts import content_scores, popular_lists
from cobrarec.baselines import content
from cobrarec.baselines.content import ContentNeighbors, choose_content
from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut
from cobrarec.retrieval.list_engine import Request
from cobrarec.retrieval.recommendations import SOURCES

NUM_ITEMS = 9
LISTS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=7), min_size=1, max_size=6)
TIES = np.random.default_rng(5).permutation(NUM_ITEMS).astype(np.uint64)


def embeddings(seed: int, without_text: int = 0) -> npt.NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(size=(NUM_ITEMS, 4)).astype(np.float32)
    values[:without_text] = 0
    return values


@settings(max_examples=60, deadline=None)
@given(LISTS, LISTS, st.integers(1, NUM_ITEMS), st.integers(1, 5), st.integers(0, 3), st.integers(0, NUM_ITEMS))
def test_lists_agree_with_a_slow_loop(
    train: list[list[int]], histories: list[list[int]], k: int, last: int, without_text: int, num_allowed: int
) -> None:
    vectors = embeddings(len(train), without_text)
    ranker = ContentNeighbors.fit(vectors, Histories.from_lists(train), TIES, last)
    allowed = np.arange(NUM_ITEMS) < num_allowed
    filled = [rows for rows in histories if rows] or [[0]]
    (ranked,) = ranker.lists(Histories.from_lists(filled), Request(k, allowed=allowed))
    popular = popular_lists(train, filled, TIES, NUM_ITEMS, True)
    for user, history in enumerate(filled):
        scores = {row: score for row, score in content_scores(vectors, history, last).items() if row not in history and allowed[row]}
        expected = sorted(scores, key=lambda row: -scores[row])
        expected += [row for row in popular[user] if row not in scores and allowed[row]]
        listed = ranked.rows[user, : ranked.lengths[user]].tolist()
        assert len(listed) == min(k, len(expected))
        num_found = min(k, len(scores))
        assert ranked.log_scores[user, :num_found] == pytest.approx([scores[row] for row in expected[:num_found]], abs=1e-4)
        assert sorted(listed[:num_found]) == sorted(expected[:num_found])
        assert listed[num_found:] == expected[num_found : len(listed)]
        names = [SOURCES[number] for number in ranked.sources[user, : len(listed)]]
        assert names == ["content"] * num_found + ["fill"] * (len(listed) - num_found)


def test_items_of_equal_texts_come_in_the_order_of_the_tie_breakers_whatever_k_is() -> None:
    vectors = np.ones((6, 3), dtype=np.float32)
    ranker = ContentNeighbors.fit(vectors, Histories.from_lists([[0, 1, 2]]), np.array([5, 4, 3, 2, 1, 0], dtype=np.uint64))
    for k in (1, 2, 5):
        assert ranker.rank(Histories.from_lists([[0]]), k).rows.tolist() == [[5, 4, 3, 2, 1][:k]]


def test_an_item_that_no_one_took_is_found_by_its_text() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0.1], [-1, 0]], dtype=np.float32)
    ranker = ContentNeighbors.fit(vectors, Histories.from_lists([[0, 1, 3]]), np.arange(4, dtype=np.uint64), last=1)
    assert ranker.rank(Histories.from_lists([[1, 0]]), 1).rows.tolist() == [[2]]
    assert ranker.with_settings(include_history=True).rank(Histories.from_lists([[1, 0]]), 2).rows.tolist() == [[0, 2]]
    assert ranker.rank(Histories.from_lists([[]]), 1).rows.tolist() == [[0]]


def test_a_reason_names_the_nearest_text_and_its_cosine() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1]], dtype=np.float32)
    ranker = ContentNeighbors.fit(vectors, Histories.from_lists([[0, 1]]), np.arange(4, dtype=np.uint64), last=1)
    assert ranker.nearest(np.array([0, 1]), np.array([2, 3])).tolist() == [0, 1]
    assert ranker.nearest(np.array([0, 0, 1]), np.array([], dtype=np.int64)).tolist() == []
    (ranked,) = ranker.with_config(RetrievalConfig(fill=False)).lists(Histories.from_lists([[1, 0]]), Request(1, explain=True))
    assert ranked.explanations is not None
    assert ranked.explanations.cosines[0, 0] == pytest.approx(1 / np.sqrt(1.01), abs=1e-4)
    assert ranked.explanations.terms["content"][0, 0] == ranked.log_scores[0, 0]


def test_chunks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    histories = Histories.from_lists([generator.integers(0, NUM_ITEMS, generator.integers(0, 6)) for _ in range(20)])
    ranker = ContentNeighbors.fit(embeddings(0), histories, TIES)
    whole = ranker.rank(histories, 4)
    monkeypatch.setattr(content, "_MAX_USERS_PER_CHUNK", 3)
    parted = ranker.rank(histories, 4)
    assert parted.rows.tolist() == whole.rows.tolist()
    assert np.abs(np.where(whole.rows >= 0, parted.log_scores - whole.log_scores, 0)).max() <= 1.01e-5


def test_the_number_of_last_items_is_chosen_on_validation() -> None:
    """The next item is like the second last, never like the last."""
    vectors = np.eye(8, dtype=np.float32) + 0.01
    vectors[4:] = vectors[:4] + 0.05 * np.eye(8, dtype=np.float32)[4:]
    histories = Histories.from_lists([[0, 1, 2], [1, 2, 3], [2, 3, 0]])
    train, targets = histories.last(3), np.array([5, 6, 7], dtype=np.int32)
    valid = HeldOut(histories, np.arange(4), targets)
    chosen = choose_content(vectors, train, valid, np.arange(8, dtype=np.uint64), lasts=(1, 2))
    assert chosen.last == 2
