import numpy as np
import pytest

from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.records import Ranks, Results
from cobrarec.experiments.summaries import deviation, differences, mean, summarize, unpublished
from small_experiment import hash_in_table2, record


@pytest.fixture
def table2():
    return load_definition("table2")[1]


def test_models_come_in_the_order_of_the_definition_and_seeds_in_theirs(table2):
    records = [record("counts", 0.1), record("cobra", 0.3, seed=1), record("cobra", 0.2), record("no row", 0.1)]
    (group,) = summarize(records, table2).items()
    assert group[0] == ("beauty", "masked")
    assert [summary.model for summary in group[1]] == ["cobra", "counts"]
    assert group[1][0].values("ndcg@10") == [0.2, 0.3]
    assert group[1][0].values("recall@10", "valid") == [0.4, 0.6]


def test_of_a_row_only_its_present_settings_are_shown(table2):
    both = [record("cobra", 0.2), record("cobra", 0.3, config_hash="other"), record("counts", 0.1, config_hash="other")]
    (summaries,) = summarize(both, table2).values()
    assert [(one.model, one.values("ndcg@10")) for one in summaries] == [("cobra", [0.2])]


def test_mean_and_deviation_over_seeds():
    assert mean([1.0, 2.0, 4.0]) == pytest.approx(7 / 3)
    assert deviation([1.0, 3.0]) == pytest.approx(2**0.5)
    assert deviation([1.0]) is None


def test_only_models_whose_ranks_are_all_kept_are_compared(tmp_path, table2):
    results = Results(tmp_path, "table2")
    for name, seed in (("cobra", 0), ("cobra", 1), ("counts", 0), ("sasrec", 0)):
        ranks = np.full(40, 1 if name == "cobra" else 2, dtype=np.uint8)
        results.add(record(name, 0.1, seed=seed), Ranks(ranks, "users", "targets", hash_in_table2(name)), "settings")
    results.ranks_path(record("sasrec", 0.1)).unlink()
    (summaries,) = summarize(results.records(), table2).values()
    found = differences(summaries, "cobra", results)
    assert list(found) == ["counts"]
    assert found["counts"]["ndcg@10"].mean > 0
    assert differences(summaries, "sasrec", results) == {}


@pytest.mark.parametrize(("network", "mean_apart"), [("abc", 0.0), ("another", -0.5), (None, -0.5)])
def test_rows_of_one_network_are_compared_on_the_seeds_that_both_were_measured_on(tmp_path, table2, network, mean_apart):
    results = Results(tmp_path, "table2")
    for name, seed, rank in (("cobra-memory", 0, 1), ("cobra-memory", 1, 0), ("cobra", 0, 1)):
        networks = {"cobra-memory": {0: "abc", 1: "def"}[seed] if name == "cobra-memory" else network}
        ranks = Ranks(np.full(40, rank, dtype=np.uint8), "users", "targets", hash_in_table2(name))
        results.add(record(name, 0.1, seed=seed, networks=networks), ranks, "settings")
    (summaries,) = summarize(results.records(), table2).values()
    assert differences(summaries, "cobra-memory", results)["cobra"]["recall@10"].mean == mean_apart


def test_a_definition_that_is_not_the_best_recorded_is_told(table2):
    own = table2.hash_of("cobra")
    assert unpublished([], table2) == []
    assert unpublished([record("cobra", 0.3, config_hash=own), record("cobra", 0.2, config_hash="other")], table2) == []
    (told,) = unpublished([record("cobra", 0.3, config_hash=own), record("cobra", 0.4, config_hash="other")], table2)
    assert "settings of cobra" in told
    (told,) = unpublished([record("cobra", 0.3, config_hash="other")], table2)
    assert "not recorded" in told
    (told,) = unpublished([record("newcomer", 0.4)], table2)
    assert "no row" in told


def test_settings_are_better_by_their_mean_over_the_data_sets_that_both_have(table2):
    own = table2.hash_of("cobra")
    tried = [record("cobra", 0.35, config_hash="tried"), record("cobra", 0.3, config_hash=own)]
    toys = [record("cobra", value, config_hash=name, dataset="toys") for name, value in (("tried", 0.3), (own, 0.4))]
    assert unpublished([*tried, *toys], table2) == []
    assert len(unpublished([*tried, toys[1]], table2)) == 1


def test_settings_that_differ_in_no_digit_that_is_shown_are_equally_good(table2):
    own = record("cobra", 0.3)
    assert unpublished([own, record("cobra", 0.30009, config_hash="tried")], table2) == []
    assert len(unpublished([own, record("cobra", 0.30011, config_hash="tried")], table2)) == 1


def test_settings_are_compared_on_the_seeds_that_both_have(table2):
    own = [record("cobra", value, seed=seed) for seed, value in ((0, 0.3), (1, 0.1))]
    assert unpublished([*own, record("cobra", 0.29, config_hash="tried")], table2) == []
    assert len(unpublished([*own, record("cobra", 0.11, seed=1, config_hash="tried")], table2)) == 1
    assert unpublished([*own, record("cobra", 0.9, seed=2, config_hash="tried")], table2) == []
