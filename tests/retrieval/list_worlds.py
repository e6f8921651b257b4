"""What the tests of lists share: worlds of every shape, and the comparison with the slow version."""

import numpy as np
import pytest
from reference_retrieval import ordered, slow_scores
from small_world import PAPER

from cobrarec.retrieval.recommendations import RankedLists

ALL_BEAMS = {"num_beams": 1000}
WORLDS = [
    {"num_levels": 0},
    {"num_levels": 1, "codebook_size": 6},
    {"num_levels": 2, "codebook_size": 5},
    {"num_levels": 3, "codebook_size": 4},
    {"num_levels": 4, "codebook_size": 3},
    {"num_levels": 1, "use_dense": False},
    {"num_levels": 3, "codebook_size": 3, "use_dense": False, **PAPER},
    {"num_levels": 2, **PAPER},
]
NAMES = ["no ID", "1 level", "2 levels", "3 levels", "4 levels", "no dense", "no dense, paper", "paper"]
EVERY_WORLD = pytest.mark.parametrize("world", WORLDS, ids=NAMES)
CLOSE = 3e-5
"""Log scores nearer than this may swap their places: two roundings to 1e-5 of numbers that differ by float32 noise."""
READINGS = pytest.mark.parametrize("reading", ["bucket", "candidates", "all"])


def assert_lists_are(recommender, histories, ranked, num_beams, k, struck=()):
    """Each list is the top k of the slow version's scores, among equals any."""
    for user in range(histories.num_users):
        scores = slow_scores(recommender, histories.of(user), num_beams, struck)
        listed = ranked.rows[user, : ranked.lengths[user]].tolist()
        assert len(listed) == min(k, len(scores)) == len(set(listed))
        assert ranked.log_scores[user, : len(listed)].tolist() == pytest.approx([scores[row] for row in listed], abs=1e-4)
        best = ordered(scores, recommender._tie_ranks.tolist())[: len(listed)]
        assert [scores[row] for row in listed] == pytest.approx([scores[row] for row in best], abs=1e-4)


def assert_same_list(one, two, up_to_a_constant=False):
    """Two lists, each (rows, log scores), hold the same items in the same order, except among those closer than `CLOSE`."""
    (rows, scores), (other_rows, other_scores) = ([np.asarray(part) for part in ranked] for ranked in (one, two))
    rows, scores = rows[rows >= 0], scores[np.isfinite(scores)]
    other_rows, other_scores = other_rows[other_rows >= 0], other_scores[np.isfinite(other_scores)]
    assert len(rows) == len(other_rows)
    shift = np.median(scores - other_scores) if up_to_a_constant and len(rows) else 0.0
    other = dict(zip(other_rows.tolist(), other_scores.tolist(), strict=True))
    assert np.abs(scores - other_scores - shift).max(initial=0) <= CLOSE
    assert all(abs(score - shift - other.get(row, other_scores[-1])) <= CLOSE for row, score in zip(rows, scores, strict=True))


def assert_same_lists(one, two, up_to_a_constant=False):
    """`assert_same_list` for all users of two `RankedLists`."""
    assert len(one.rows) == len(two.rows)
    for user in range(len(one.rows)):
        assert_same_list((one.rows[user], one.log_scores[user]), (two.rows[user], two.log_scores[user]), up_to_a_constant)


def users_of(ranked, users):
    """The `RankedLists` of some users."""
    return RankedLists(ranked.rows[users], ranked.log_scores[users], ranked.sources[users], ranked.num_beams[users])
