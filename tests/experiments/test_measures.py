import numpy as np
import pytest

from cobrarec import pipeline
from cobrarec.artifact import load_artifact
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.experiments.measures import (
    direct_share,
    is_ranked_by_direct_query,
    list_metrics,
    rank,
    ranks_to_keep,
    served,
    target_ranks,
    without_length,
)
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from small_run import small_config, small_world


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measures") / "run"
    pipeline.fit(*small_world(), folder, small_config(training={"num_epochs": 1}, retrieval={"num_beams": 1}))
    return load_prepared(RunFolder(folder)), load_artifact(folder / "artifact")


def slow_ranks(lists: list[list[int]], targets: list[int]) -> list[int]:
    return [one.index(target) + 1 if target in one else 0 for one, target in zip(lists, targets, strict=True)]


def test_target_ranks_equal_their_slow_version():
    rng = np.random.default_rng(0)
    lists = rng.permuted(np.tile(np.arange(300), (50, 1)), axis=1)[:, :100].astype(np.int32)
    lists[:10, 60:] = -1
    targets = rng.integers(300, size=50)
    found = target_ranks(lists, targets)
    assert found.dtype == np.uint8
    assert found.tolist() == slow_ranks(lists.tolist(), targets.tolist())


def test_metrics_are_those_of_the_evaluation_and_short_lists_stay_short(run):
    prepared, recommender = run
    test, num_items = prepared.split.test, prepared.catalog.num_items
    own = served(recommender, "masked")
    lists = rank(own, test, Silent())
    assert lists.shape == (test.num_users, 100)
    metrics = list_metrics(lists, test, num_items)
    expected = evaluate(recommender.with_settings(fill=False), test, (5, 10), num_items)
    assert metrics == {name: round(expected[name], 6) for name in metrics}
    assert metrics["length@10"] < 10  # one beam holds too few items
    assert set(without_length(metrics)) == {"recall@5", "ndcg@5", "recall@10", "ndcg@10", "coverage@10"}


def test_unmasked_lists_may_hold_the_history(run):
    prepared, recommender = run
    test = prepared.split.test
    listed = {protocol: rank(served(recommender, protocol), test, Silent()) for protocol in ("masked", "unmasked")}
    histories = [set(test.histories.of(user).tolist()) for user in range(test.num_users)]
    shared = {name: sum(bool(set(lists[user]) & histories[user]) for user in range(len(lists))) for name, lists in listed.items()}
    assert shared["masked"] == 0
    assert shared["unmasked"] > 0


def test_the_direct_share_counts_the_hits_that_the_direct_query_has_too(run):
    prepared, recommender = run
    test, own = prepared.split.test, served(recommender, "masked").with_settings(direct_weight=0.0, memory_weight=0.0, num_beams=5)
    lists = rank(own, test, Silent())
    alone = rank(own.with_settings(direct_weight=1.0), test, Silent(), 10)
    targets = test.target_rows.tolist()
    hits = [user for user, target in enumerate(targets) if target in lists[user, :10].tolist()]
    both = [user for user in hits if targets[user] in alone[user].tolist()]
    assert hits
    assert direct_share(own, test, lists, Silent()) == round(len(both) / len(hits), 4)
    assert direct_share(own, test, np.full_like(lists, -1), Silent()) is None
    assert is_ranked_by_direct_query(own)


def test_ranks_know_whose_they_are(run):
    prepared, recommender = run
    test, lists = prepared.split.test, np.full((prepared.split.test.num_users, 100), -1, dtype=np.int32)
    ranks = ranks_to_keep(lists, test, prepared.catalog, "hash")
    assert not ranks.ranks.any()
    valid = ranks_to_keep(lists, prepared.split.valid, prepared.catalog, "hash")
    assert ranks.users == valid.users
    assert ranks.targets != valid.targets
    fewer = ranks_to_keep(lists[1:], test.select(np.arange(1, test.num_users)), prepared.catalog, "hash")
    assert fewer.users != ranks.users
