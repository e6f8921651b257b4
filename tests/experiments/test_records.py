import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cobrarec.errors import DataError
from cobrarec.experiments.records import Ranks, Results, key_of, settings_on_validation
from small_experiment import hash_in_table2, record


def some_ranks(config_hash: str = hash_in_table2("cobra"), num_users: int = 40) -> Ranks:
    return Ranks((np.arange(num_users) % 101).astype(np.uint8), "users", "targets", config_hash)


def _flipped(whole: bytes) -> bytes:
    middle = len(whole) // 4
    return whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 16]) + whole[middle + 16 :]


def test_records_are_added_and_those_of_the_same_key_replaced(tmp_path):
    results = Results(tmp_path / "new", "table2")
    assert results.records() == []
    results.add(record("cobra", 0.1), some_ranks(), "settings")
    results.add(record("cobra", 0.2, seed=1), some_ranks(), "settings")
    results.add(record("cobra", 0.3), some_ranks(), "settings")
    assert [(one["seed"], one["metrics"]["ndcg@10"]) for one in results.records()] == [(0, 0.3), (1, 0.2)]
    assert json.loads(results.path.read_text()) == results.records()
    assert not list((tmp_path / "new").rglob("*.partial"))


def test_another_process_may_add_in_between(tmp_path):
    first, second = Results(tmp_path, "table2"), Results(tmp_path, "table2")
    first.add(record("cobra", 0.1), some_ranks(), "settings")
    second.add(record("counts", 0.1), some_ranks(), "settings")
    first.add(record("sasrec", 0.1), some_ranks(), "settings")
    assert [one["model"] for one in first.records()] == ["cobra", "counts", "sasrec"]


def test_no_record_is_lost_where_several_write_at_once(tmp_path):
    def write(model: str) -> None:
        results = Results(tmp_path, "table2")
        for seed in range(15):
            results.add(record(model, 0.1, seed=seed), some_ranks(), "settings")

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, "abcd"))
    assert len(Results(tmp_path, "table2").records()) == 60


def test_the_key_tells_settings_seeds_and_protocols_apart():
    keys = {key_of(record("cobra", 0.1, **change)) for change in ({}, {"seed": 1}, {"protocol": "unmasked"}, {"config_hash": "x"})}
    assert len(keys) == 4


def test_ranks_come_back_and_only_with_the_record_of_their_settings(tmp_path):
    results = Results(tmp_path, "table2")
    results.add(record("cobra", 0.1), some_ranks(), "settings")
    assert results.ranks_path(record("cobra", 0.1)).name == f"table2-beauty-cobra-masked-seed0-{hash_in_table2('cobra')[:8]}.npz"
    loaded = results.ranks(record("cobra", 0.1))
    assert loaded.ranks.dtype == np.uint8
    assert np.array_equal(loaded.ranks, some_ranks().ranks)
    assert (loaded.users, loaded.targets, loaded.config_hash) == ("users", "targets", hash_in_table2("cobra"))
    assert results.ranks(record("cobra", 0.1, config_hash="other")) is None
    assert results.ranks(record("counts", 0.1)) is None


def test_the_ranks_of_thirty_five_thousand_users_fit(tmp_path):
    rng = np.random.default_rng(0)
    ranks = np.where(rng.random(35_598) < 0.25, rng.integers(1, 101, size=35_598), 0).astype(np.uint8)
    Ranks(ranks, "u" * 64, "t" * 64, "c" * 16).save(tmp_path / "ranks.npz")
    assert (tmp_path / "ranks.npz").stat().st_size < 65_536


@pytest.mark.parametrize("text", ["{", "{}", '[{"dataset": 1}]'])
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "table2.json").write_text(text)
    with pytest.raises(DataError, match="no list of records"):
        Results(tmp_path, "table2").records()


def test_the_ranks_of_other_settings_stay_and_a_record_without_its_ranks_is_not_complete(tmp_path):
    results, other = Results(tmp_path, "table2"), record("cobra", 0.2, config_hash="other")
    results.add(record("cobra", 0.1), some_ranks(), "settings")
    results.add(other, some_ranks("other"), "settings")
    assert results.ranks(record("cobra", 0.1)) is not None
    assert results.complete() == results.records()
    results.ranks_path(other).unlink()
    assert results.complete() == [record("cobra", 0.1)]


@pytest.mark.parametrize("damage", [lambda whole: b"PK nonsense", lambda whole: b"", lambda whole: whole[: len(whole) // 2], _flipped])
def test_damaged_ranks_are_refused(tmp_path, damage):
    some_ranks().save(tmp_path / "ranks.npz")
    (tmp_path / "ranks.npz").write_bytes(damage((tmp_path / "ranks.npz").read_bytes()))
    with pytest.raises(DataError, match="run the experiment again"):
        Ranks.load(tmp_path / "ranks.npz")


def test_the_settings_lie_beside_the_records_under_their_hash(tmp_path):
    results = Results(tmp_path, "table2")
    results.add(record("cobra", 0.1), some_ranks(), "training: {}")
    assert (tmp_path / f"settings/{hash_in_table2('cobra')}.yaml").read_text() == "training: {}"


def test_settings_are_judged_by_each_seed_on_validation():
    records = [
        record("cobra", 0.1, config_hash="a"),
        record("cobra", 0.3, config_hash="a", seed=1),
        record("cobra", 0.25, config_hash="b"),
        record("cobra", 0.9, config_hash="c", protocol="unmasked"),
        record("counts", 0.2, protocol="unmasked"),
    ]
    values = settings_on_validation(records)
    assert values == {
        ("beauty", "cobra"): {"a": {0: 0.1, 1: 0.3}, "b": {0: 0.25}},
        ("beauty", "counts"): {hash_in_table2("counts"): {0: 0.2}},
    }
