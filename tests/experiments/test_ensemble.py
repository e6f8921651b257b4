import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from cobrarec.experiments import ensemble
from cobrarec.experiments.ensemble import choose_mixture, list_probabilities, mixed_lists, pool, simplex

NUM_ITEMS = 30


@dataclass(frozen=True)
class Scored:
    rows: np.ndarray
    log_scores: np.ndarray


def some_members(num_users: int = 40, widths: tuple[int, ...] = (12, 12, 8), seed: int = 0) -> list[Scored]:
    """Lists of distinct items with falling scores, some of them short, one empty."""
    rng, members = np.random.default_rng(seed), []
    for width in widths:
        rows = rng.permuted(np.tile(np.arange(NUM_ITEMS), (num_users, 1)), axis=1)[:, :width].astype(np.int32)
        log_scores = -np.sort(rng.exponential(2.0, size=(num_users, width)).round(1), axis=1)
        lengths = rng.integers(width // 2, width + 1, size=num_users)
        lengths[3] = 0
        ends = np.arange(width) >= lengths[:, None]
        members.append(Scored(np.where(ends, -1, rows).astype(np.int32), np.where(ends, -np.inf, log_scores)))
    return members


def slow_list(members: list[Scored], user: int, weights: tuple[float, ...], ties: list[int]) -> list[int]:
    """Add up weighted probabilities in a dictionary and sort it."""
    mixture: dict[int, float] = {}
    for member, weight in zip(members, weights, strict=True):
        pairs = [(int(row), math.exp(score)) for row, score in zip(member.rows[user], member.log_scores[user], strict=True) if row >= 0]
        total = sum(odds for _, odds in pairs)
        for row, odds in pairs:
            mixture[row] = mixture.get(row, 0.0) + weight * odds / total
    listed = [row for row in mixture if round(mixture[row], 15) > 0]
    return sorted(listed, key=lambda row: (-round(mixture[row], 15), ties[row]))


def slow_ndcg(members: list[Scored], targets: list[int], weights: tuple[float, ...], ties: list[int]) -> float:
    gains = 0.0
    for user, target in enumerate(targets):
        listed = slow_list(members, user, weights, ties)[:10]
        gains += 1 / math.log2(listed.index(target) + 2) if target in listed else 0.0
    return gains / len(targets)


@pytest.fixture
def ties() -> np.ndarray:
    return np.random.default_rng(5).permutation(NUM_ITEMS).astype(np.uint64)


@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (0.3, 0.3, 0.4), (0.0, 0.5, 0.5)])
@pytest.mark.parametrize("chunk", [7, 2048])
def test_mixed_lists_equal_their_slow_version(monkeypatch, ties, weights, chunk):
    monkeypatch.setattr(ensemble, "_USERS_PER_CHUNK", chunk)
    members = some_members()
    lists = mixed_lists(members, weights, ties, 10)
    for user in range(len(lists)):
        expected = slow_list(members, user, weights, ties.tolist())[:10]
        assert lists[user].tolist() == expected + [-1] * (10 - len(expected))


def test_the_whole_weight_of_one_member_gives_its_own_list(ties):
    first, second, third = some_members()
    third = Scored(third.rows, np.where(third.rows >= 0, -np.arange(8.0), -np.inf))
    assert np.array_equal(mixed_lists([first, second, third], (0.0, 0.0, 1.0), ties, 8), third.rows)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_chosen_weights_are_the_first_with_the_best_ndcg(monkeypatch, ties, seed):
    monkeypatch.setattr(ensemble, "_USERS_PER_CHUNK", 16)
    members = some_members(seed=seed)
    targets = np.random.default_rng(seed).integers(NUM_ITEMS, size=40)
    values = [slow_ndcg(members, targets.tolist(), weights, ties.tolist()) for weights in simplex(3, 5)]
    best = simplex(3, 5)[int(np.argmax(np.round(values, 9)))]
    assert choose_mixture(members, targets, ties, steps=5) == best


def test_a_member_that_knows_gets_all_the_weight(ties):
    targets = np.arange(20)
    knows = Scored(targets[:, None].astype(np.int32), np.zeros((20, 1)))
    guesses = Scored(((targets[:, None] + 1 + np.arange(12)) % NUM_ITEMS).astype(np.int32), -np.arange(12.0) * np.ones((20, 1)))
    weights = choose_mixture([guesses, knows], targets, ties)
    assert mixed_lists([guesses, knows], weights, ties, 1)[:, 0].tolist() == targets.tolist()


def test_the_simplex_has_every_share_once():
    grid = simplex(3)
    assert len(grid) == len(set(grid)) == 66
    assert all(sum(round(10 * weight) for weight in weights) == 10 for weights in grid)
    assert set(grid) == {tuple(c / 10 for c in one) for one in product(range(11), repeat=3) if sum(one) == 10}


def test_probabilities_sum_to_one_over_the_list_and_an_empty_list_has_none():
    probabilities = list_probabilities(np.array([[0.0, math.log(0.5), -np.inf], [-np.inf] * 3, [-1000.0, -1000.0, -np.inf]]))
    assert probabilities == pytest.approx(np.array([[2 / 3, 1 / 3, 0], [0, 0, 0], [0.5, 0.5, 0]]))


def test_the_pool_holds_each_item_once_a_user():
    pooled = pool(some_members())
    for user in range(40):
        listed = pooled.rows[user][pooled.rows[user] >= 0].tolist()
        assert len(listed) == len(set(listed))
    assert pooled.probabilities.sum(axis=2)[:, :3] == pytest.approx(1.0)
    assert np.all(pooled.probabilities.sum(axis=2)[:, 3] == 0)
