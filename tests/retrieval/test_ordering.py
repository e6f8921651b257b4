import numpy as np
import pytest
import torch

from cobrarec.retrieval.ordering import log_scores_of_keys, order_keys, rounded, tie_ranks_of


def _order(log_scores, tie_ranks):
    keys = order_keys(torch.tensor(log_scores), torch.arange(len(log_scores)), torch.tensor(tie_ranks))
    return torch.argsort(keys, descending=True).tolist()


def test_the_larger_score_comes_first():
    assert _order([-3.0, -1.0, -2.0], [0, 1, 2]) == [1, 2, 0]


def test_scores_closer_than_a_step_are_ties_and_go_by_their_rank():
    assert _order([-1.000001, -1.0, -1.000002], [2, 1, 0]) == [2, 1, 0]


def test_scores_a_step_apart_are_no_ties():
    assert _order([-1.00002, -1.0], [0, 1]) == [1, 0]


def test_struck_out_things_come_last_even_behind_the_lowest_score():
    assert _order([-torch.inf, -1e9], [0, 1]) == [1, 0]


def test_keys_hold_the_rounded_score():
    log_scores = torch.tensor([-1.2345678, 0.0, -19999.5, -torch.inf], dtype=torch.float64)
    keys = order_keys(log_scores, torch.tensor([3, 1, 0, 2]), torch.tensor([0, 3, 1, 2]))
    expected = torch.tensor([-1.23457, 0.0, -19999.5, -torch.inf], dtype=torch.float64)
    assert torch.allclose(log_scores_of_keys(keys, 4), expected, atol=1e-9)


def test_keys_of_a_billion_things_do_not_overflow():
    lowest = order_keys(torch.tensor([-1e5]), torch.tensor([0]), torch.tensor([0]))
    assert lowest.item() >= 0
    steps = (2 * 2e4) / 1e-5
    assert steps * 10**9 < 2**62


def test_ranks_are_the_places_in_the_order_of_the_tie_breakers():
    assert tie_ranks_of(np.array([30, 10, 20], dtype=np.uint64)).tolist() == [2, 0, 1]


def test_rounding_gives_multiples_of_a_step():
    assert rounded(np.array([-1.000004, -2.000006])).tolist() == pytest.approx([-1.0, -2.00001], abs=1e-9)
