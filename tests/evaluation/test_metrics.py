"""The metrics agree with an independent library and with hand-computed cases."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from cobrarec.evaluation import metrics
from cobrarec.evaluation.metrics import per_user_metrics, ranking_metrics

NUM_ITEMS = 12
KS = (1, 3, 5, 8)
Case = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32]]


@st.composite
def ranked_lists(draw: st.DrawFn) -> Case:
    """Lists of distinct rows padded with -1, and one or more distinct targets for each."""
    items = st.integers(0, NUM_ITEMS - 1)
    users = draw(st.integers(1, 6))
    lists = np.full((users, max(KS)), -1, dtype=np.int32)
    targets = []
    for user in range(users):
        listed = draw(st.lists(items, max_size=max(KS), unique=True))
        lists[user, : len(listed)] = listed
        targets.append(draw(st.lists(items, min_size=1, max_size=NUM_ITEMS, unique=True)))
    offsets = np.cumsum([0] + [len(rows) for rows in targets])
    return lists, offsets.astype(np.int64), np.concatenate(targets).astype(np.int32)


def trec_metrics(case: Case, k: int) -> dict[str, list[float]]:
    """Per user, by trec_eval; an empty list, which trec_eval leaves out, is 0."""
    lists, offsets, targets = case
    wanted = {str(u): {str(row): 1 for row in targets[offsets[u] : offsets[u + 1]]} for u in range(len(lists))}
    found = {str(u): {str(row): float(-place) for place, row in enumerate(rows[:k]) if row >= 0} for u, rows in enumerate(lists)}
    judged = pytrec_eval.RelevanceEvaluator(wanted, {f"recall.{k}", f"ndcg_cut.{k}", "recip_rank"}).evaluate(found)
    users = [judged.get(str(u), {}) for u in range(len(lists))]
    names = {"recall": f"recall_{k}", "ndcg": f"ndcg_cut_{k}", "mrr": "recip_rank"}
    return {f"{ours}@{k}": [user.get(theirs, 0.0) for user in users] for ours, theirs in names.items()}


@settings(max_examples=150, deadline=None)
@given(ranked_lists())
def test_recall_ndcg_and_mrr_agree_with_trec_eval(case: Case) -> None:
    ours = per_user_metrics(*case, KS)
    means = ranking_metrics(*case, KS, NUM_ITEMS)
    for k in KS:
        for name, theirs in trec_metrics(case, k).items():
            np.testing.assert_allclose(ours[name], theirs, atol=1e-9)
            assert means[name] == pytest.approx(np.mean(theirs))


@settings(max_examples=60, deadline=None)
@given(ranked_lists(), st.integers(0, 2**32 - 1))
def test_id_recall_agrees_with_a_slow_loop(case: Case, seed: int) -> None:
    lists, offsets, targets = case
    id_of_row = np.random.default_rng(seed).integers(0, 4, NUM_ITEMS)
    ours = per_user_metrics(*case, KS, id_of_row)
    for k in KS:
        for user, rows in enumerate(lists):
            listed = {int(id_of_row[row]) for row in rows[:k] if row >= 0}
            wanted = targets[offsets[user] : offsets[user + 1]]
            assert ours[f"id_recall@{k}"][user] == pytest.approx(sum(int(id_of_row[row]) in listed for row in wanted) / len(wanted))
            assert ours[f"id_recall@{k}"][user] >= ours[f"recall@{k}"][user] - 1e-12


def one_user(row: list[int], targets: list[int], k: int) -> dict[str, float]:
    return ranking_metrics(np.array([row]), np.array([0, len(targets)]), np.array(targets), [k], NUM_ITEMS)


def test_a_single_target_at_rank_three() -> None:
    measured = one_user([7, 8, 2, 4], [2], 4)
    assert measured == {
        "recall@4": 1.0,
        "ndcg@4": pytest.approx(1 / math.log2(4)),
        "mrr@4": pytest.approx(1 / 3),
        "coverage@4": pytest.approx(4 / NUM_ITEMS),
        "length@4": 4.0,
    }


def test_the_ideal_gain_is_cut_at_k() -> None:
    assert one_user([1, 2], [1, 2, 3], 2)["ndcg@2"] == pytest.approx(1.0)
    assert one_user([1, 2], [1, 2, 3], 2)["recall@2"] == pytest.approx(2 / 3)


def test_a_short_list_misses_and_its_length_is_told() -> None:
    measured = one_user([5, -1, -1], [2], 3)
    assert measured["recall@3"] == 0.0
    assert measured["length@3"] == 1.0


def test_users_weigh_the_same_however_many_targets_they_have() -> None:
    measured = ranking_metrics(np.array([[0], [9]]), np.array([0, 1, 5]), np.array([0, 1, 2, 3, 4]), [1], NUM_ITEMS)
    assert measured["recall@1"] == pytest.approx(0.5)


def test_coverage_counts_every_listed_item_once() -> None:
    measured = ranking_metrics(np.array([[0, 1], [1, -1]]), np.array([0, 1, 2]), np.array([5, 5]), [1, 2], NUM_ITEMS)
    assert measured["coverage@1"] == pytest.approx(2 / NUM_ITEMS)
    assert measured["coverage@2"] == pytest.approx(2 / NUM_ITEMS)


def test_chunks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    lists = np.array([generator.permutation(30)[:5] for _ in range(50)])
    offsets, targets = np.arange(51) * 2, np.concatenate([generator.permutation(30)[:2] for _ in range(50)])
    whole = per_user_metrics(lists, offsets, targets, [5], np.arange(30) // 3)
    monkeypatch.setattr(metrics, "_USERS_PER_CHUNK", 7)
    for name, values in per_user_metrics(lists, offsets, targets, [5], np.arange(30) // 3).items():
        np.testing.assert_array_equal(values, whole[name])


@pytest.mark.parametrize(
    ("lists", "offsets", "targets", "said"),
    [
        ([[1, 1, 2]], [0, 1], [1], "twice"),
        ([[1, 2]], [0, 1], [1], "at least that many columns"),
        ([[1, 2, 3]], [0, 0], [], "at least one target"),
        ([[1, 2, 3]], [0, 2], [4, 4], "each item once"),
        ([[1, 2, 3]], [0, 1, 2], [4, 4], "one offset more"),
    ],
)
def test_input_that_would_flatter_a_metric_is_refused(lists: list[list[int]], offsets: list[int], targets: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ranking_metrics(np.array(lists), np.array(offsets), np.array(targets, dtype=int), [3], NUM_ITEMS)
