"""What the tests of lists share: worlds of every shape, and the comparison with the slow version."""

import pytest
from reference_retrieval import ordered, slow_scores
from small_world import PAPER

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
