import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_retrieval import ordered
from scipy import sparse

from cobrarec.retrieval.list_engine import Request
from cobrarec.retrieval.recommendations import SOURCES
from cobrarec.retrieval.scored_lists import scored_lists

TIES = np.random.default_rng(3).permutation(8)
SCORES = st.lists(st.dictionaries(st.integers(0, 7), st.sampled_from([-1.0, -1.000003, -2.5, -7.0]), max_size=8), max_size=5)


def matrix(scores):
    values = [(user, row, value) for user, one in enumerate(scores) for row, value in one.items()]
    users, rows, data = (list(part) for part in zip(*values, strict=True)) if values else ([], [], [])
    return sparse.csr_array((np.array(data, dtype=np.float64), (users, rows)), shape=(len(scores), 8))


@settings(max_examples=80, deadline=None)
@given(SCORES, st.integers(1, 8), st.integers(0, 8))
def test_lists_are_the_stored_items_in_the_order_of_everything_that_is_ranked(scores, k, num_allowed):
    allowed = np.arange(8) < num_allowed
    ranked = scored_lists(matrix(scores), Request(k, allowed=allowed), TIES, "counts")
    for user, one in enumerate(scores):
        expected = ordered({row: value for row, value in one.items() if allowed[row]}, TIES.tolist())[:k]
        assert ranked.rows[user].tolist() == expected + [-1] * (k - len(expected))
        assert ranked.log_scores[user, : len(expected)] == pytest.approx([one[row] for row in expected], abs=1e-5)
        assert np.isneginf(ranked.log_scores[user, len(expected) :]).all()


def test_the_term_bears_the_name_of_the_source():
    ranked = scored_lists(matrix([{2: -1.0}, {}]), Request(2, explain=True), TIES, "content")
    assert ranked.sources.tolist() == [[SOURCES.index("content"), -1], [-1, -1]]
    assert ranked.explanations.terms["content"][0, 0] == -1
    assert np.isnan(ranked.explanations.terms["content"][1]).all()
    assert np.isnan(ranked.explanations.terms["counts"]).all()
