import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cobrarec.errors import DataError
from cobrarec.experiments.records import MAX_RANKS_BYTES, Ranks, Results, key_of, settings_on_validation
from small_experiment import record


def some_ranks(config_hash: str = "hash of cobra", num_users: int = 40) -> Ranks:
    return Ranks((np.arange(num_users) % 101).astype(np.uint8), "users", "targets", config_hash)


def test_records_are_added_and_those_of_the_same_key_replaced(tmp_path):
    results = Results(tmp_path / "new", "table2")
    assert results.records() == []
    results.add(record("cobra", 0.1), some_ranks())
    results.add(record("cobra", 0.2, seed=1), some_ranks())
    results.add(record("cobra", 0.3), some_ranks())
    assert [(one["seed"], one["metrics"]["ndcg@10"]) for one in results.records()] == [(0, 0.3), (1, 0.2)]
    assert json.loads(results.path.read_text()) == results.records()
    assert not list((tmp_path / "new").rglob("*.partial"))


def test_another_process_may_add_in_between(tmp_path):
    first, second = Results(tmp_path, "table2"), Results(tmp_path, "table2")
    first.add(record("cobra", 0.1), some_ranks())
    second.add(record("counts", 0.1), some_ranks())
    first.add(record("sasrec", 0.1), some_ranks())
    assert [one["model"] for one in first.records()] == ["cobra", "counts", "sasrec"]


def test_no_record_is_lost_where_several_write_at_once(tmp_path):
    def write(model: str) -> None:
        results = Results(tmp_path, "table2")
        for seed in range(15):
            results.add(record(model, 0.1, seed=seed), some_ranks())

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, "abcd"))
    assert len(Results(tmp_path, "table2").records()) == 60


def test_the_key_tells_settings_seeds_and_protocols_apart():
    keys = {key_of(record("cobra", 0.1, **change)) for change in ({}, {"seed": 1}, {"protocol": "unmasked"}, {"config_hash": "x"})}
    assert len(keys) == 4


def test_ranks_come_back_and_only_with_the_record_of_their_settings(tmp_path):
    results = Results(tmp_path, "table2")
    results.add(record("cobra", 0.1), some_ranks())
    assert results.ranks_path(record("cobra", 0.1)).name == "beauty-cobra-masked-seed0.npz"
    loaded = results.ranks(record("cobra", 0.1))
    assert loaded.ranks.dtype == np.uint8
    assert np.array_equal(loaded.ranks, some_ranks().ranks)
    assert (loaded.users, loaded.targets, loaded.config_hash) == ("users", "targets", "hash of cobra")
    assert results.ranks(record("cobra", 0.1, config_hash="other")) is None
    assert results.ranks(record("counts", 0.1)) is None


def test_files_that_grow_too_large_are_not_written(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, size=2 * MAX_RANKS_BYTES).astype(np.uint8)
    with pytest.raises(AssertionError, match="bytes"):
        Ranks(noise, "", "", "").save(tmp_path / "ranks.npz")
    assert list(tmp_path.iterdir()) == []


def test_the_ranks_of_thirty_five_thousand_users_fit(tmp_path):
    rng = np.random.default_rng(0)
    ranks = np.where(rng.random(35_598) < 0.25, rng.integers(1, 101, size=35_598), 0).astype(np.uint8)
    Ranks(ranks, "u" * 64, "t" * 64, "c" * 16).save(tmp_path / "ranks.npz")
    assert (tmp_path / "ranks.npz").stat().st_size < MAX_RANKS_BYTES


@pytest.mark.parametrize("text", ["{", "{}", '[{"dataset": 1}]'])
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "table2.json").write_text(text)
    with pytest.raises(DataError, match="no list of records"):
        Results(tmp_path, "table2").records()


def test_damaged_ranks_are_refused(tmp_path):
    (tmp_path / "ranks.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="Run the experiment again"):
        Ranks.load(tmp_path / "ranks.npz")


def test_settings_are_judged_by_their_mean_on_validation():
    records = [
        record("cobra", 0.1, config_hash="a"),
        record("cobra", 0.3, config_hash="a", seed=1),
        record("cobra", 0.25, config_hash="b"),
        record("cobra", 0.9, config_hash="c", protocol="unmasked"),
        record("counts", 0.2, protocol="unmasked"),
    ]
    values = settings_on_validation(records)
    assert values == {("beauty", "cobra"): {"a": pytest.approx(0.2), "b": 0.25}, ("beauty", "counts"): {"hash of counts": 0.2}}
