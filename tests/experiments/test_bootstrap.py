import numpy as np
import pytest

from cobrarec.errors import DataError
from cobrarec.evaluation.metrics import per_user_metrics
from cobrarec.experiments import bootstrap
from cobrarec.experiments.bootstrap import compare, intervals, mean_values, user_values
from cobrarec.experiments.records import Ranks


def slow_intervals(values: list[list[float]], num_samples: int, seed: int) -> list[tuple[float, float]]:
    """Draw users one sample after the other and add up what they have, a column at a time."""
    rng, columns = np.random.default_rng(seed), list(zip(*values, strict=True))
    means = [[] for _ in columns]
    for _ in range(num_samples):
        drawn = rng.integers(len(values), size=len(values)).tolist()
        for column, found in zip(columns, means, strict=True):
            found.append(sum(column[user] for user in drawn) / len(values))
    return [(float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))) for found in means]


def ranks(values, users="users", targets="targets") -> Ranks:
    return Ranks(np.asarray(values, dtype=np.uint8), users, targets, "hash")


@pytest.mark.parametrize("chunk", [7, 50])
def test_intervals_equal_their_slow_version(monkeypatch, chunk):
    monkeypatch.setattr(bootstrap, "_SAMPLES_PER_CHUNK", chunk)
    values = np.random.default_rng(1).normal(size=(37, 3))
    assert intervals(values, 60, seed=4) == pytest.approx(np.array(slow_intervals(values.tolist(), 60, 4)))


def test_per_user_values_are_the_metrics_of_lists_with_the_target_at_that_rank():
    every = np.arange(101)
    lists = np.full((101, 100), -1)
    lists[every[1:], every[1:] - 1] = every[1:]
    metrics = per_user_metrics(lists, np.arange(102), every, [10])
    values = user_values(every.astype(np.uint8))
    assert values[:, 0].tolist() == metrics["recall@10"].tolist()
    assert values[:, 1] == pytest.approx(metrics["ndcg@10"])


def test_values_are_averaged_over_the_seeds():
    assert mean_values([ranks([1, 0]), ranks([0, 0])])[:, 0].tolist() == [0.5, 0.0]


def test_a_model_that_is_better_for_everyone_is_better_and_one_that_is_equal_is_not_told_apart():
    first = {0: ranks([1] * 30)}
    others = {"worse": {0: ranks([2] * 30)}, "equal": {0: ranks([1] * 30), 1: ranks([1] * 30)}}
    found = compare(first, others, num_samples=50)
    assert list(found) == ["worse", "equal"]
    assert list(found["worse"]) == ["recall@10", "ndcg@10"]
    assert found["worse"]["ndcg@10"].low == pytest.approx(1 - 1 / np.log2(3))
    assert found["worse"]["recall@10"].mean == 0
    assert found["equal"]["ndcg@10"] == bootstrap.Difference(0.0, 0.0, 0.0)


def test_the_interval_covers_the_true_difference_about_95_times_of_100():
    rng, covered = np.random.default_rng(0), 0
    for trial in range(200):
        apart = rng.normal(0.1, 1.0, size=(150, 1))
        low, high = intervals(apart, 200, seed=trial)[0]
        covered += low <= 0.1 <= high
    assert 180 <= covered <= 199


def test_each_comparison_is_what_it_would_be_alone():
    rng = np.random.default_rng(0)
    first, second, third = ({0: ranks(rng.integers(0, 30, size=50))} for _ in range(3))
    both = compare(first, {"second": second, "third": third}, num_samples=80)
    assert both["third"] == compare(first, {"third": third}, num_samples=80)["third"]


def test_nothing_to_compare_with_is_no_comparison():
    assert compare({0: ranks([1])}, {}) == {}


@pytest.mark.parametrize(
    ("second", "words"),
    [({0: ranks([1, 1], users="others")}, "other users"), ({0: ranks([1, 1], targets="others")}, "seed 0 are of other targets")],
)
def test_files_of_other_data_are_not_compared(second, words):
    with pytest.raises(DataError, match=words):
        compare({0: ranks([1, 1])}, {"second": second})


def test_seeds_with_targets_of_their_own_are_compared_where_both_models_have_them():
    first = {0: ranks([1, 1]), 1: ranks([2, 1], targets="of seed 1")}
    second, third = {0: ranks([1, 2])}, {1: ranks([2, 1], targets="of seed 1")}
    found = compare(first, {"second": second, "third": third}, num_samples=20)
    assert found["second"] == compare({0: first[0]}, {"second": second}, num_samples=20)["second"]
    assert found["third"]["ndcg@10"].mean == 0
    assert compare({0: first[0]}, {"third": third}) == {}


def test_seeds_of_the_same_targets_are_all_taken_unless_they_are_one_training():
    first, second = {0: ranks([1, 1]), 1: ranks([0, 0])}, {0: ranks([1, 1])}
    assert compare(first, {"second": second}, num_samples=20)["second"]["recall@10"].mean == -0.5
    assert compare(first, {"second": second}, num_samples=20, paired=["second"])["second"]["recall@10"].mean == 0


def test_a_model_whose_seeds_are_of_other_users_is_refused():
    with pytest.raises(DataError, match="other users"):
        mean_values([ranks([1]), ranks([1, 1])])
