import numpy as np
import pytest

from cobrarec import pipeline, run_results
from cobrarec.artifact import load_artifact
from cobrarec.errors import RunError
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from cobrarec.run_results import DIRECT_WEIGHTS, choose_direct_weight, examples, held_out_of, shown_metrics
from small_run import SMALL, small_config, small_world


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("results") / "run"
    pipeline.fit(*small_world(), folder, small_config())
    return RunFolder(folder)


def test_the_weight_with_the_best_validation_ndcg_is_chosen_and_the_smallest_of_equals(run, monkeypatch):
    prepared, recommender = load_prepared(run), load_artifact(run.artifact)
    for values, chosen in (((0.1, 0.3, 0.2, 0.3, 0.0), 0.25), ((0.1,) * 5, 0.0), ((0, 0, 0, 0, 1), 1.0)):
        scores = iter(values)
        monkeypatch.setattr(run_results, "ranking_metrics", lambda *_, scores=scores: {"ndcg@10": next(scores)})
        assert choose_direct_weight(prepared, recommender, Silent()) == chosen


def test_a_weight_that_is_given_is_kept(tmp_path):
    pipeline.fit(*small_world(), tmp_path / "run", small_config(retrieval={"direct_weight": 0.3}, training={"num_epochs": 1}))
    assert load_artifact(tmp_path / "run" / "artifact").direct_weight == 0.3


def test_the_chosen_weight_is_one_of_those_tried_and_in_the_artifact(run):
    assert load_artifact(run.artifact).config.direct_weight in DIRECT_WEIGHTS


def test_examples_are_the_lists_that_recommend_gives(run):
    prepared, recommender = load_prepared(run), load_artifact(run.artifact)
    for record in examples(prepared, recommender, k=4):
        history = [item["item_id"] for item in record["history"]]
        listed = [item["item_id"] for item in record["items"]]
        assert listed == [item.item_id for item in recommender.recommend([history], 4)[0]]
        assert prepared.catalog.titles[int(prepared.catalog.rows([listed[0]])[0])] == record["items"][0]["title"]


def test_examples_read_the_times_of_a_model_that_was_trained_on_them(tmp_path):
    decoder = {**SMALL["model"]["decoder"], "day_gap": True, "month": True}
    pipeline.fit(*small_world(), tmp_path / "run", small_config(model={"decoder": decoder}))
    prepared, recommender = load_prepared(RunFolder(tmp_path / "run")), load_artifact(tmp_path / "run" / "artifact")
    valid = prepared.split.valid
    ranked = recommender.rank(valid.histories, 10)
    users = valid.histories.user_ids.tolist()
    for record in examples(prepared, recommender):
        scores = [item["score"] for item in record["items"]]
        assert scores == ranked.scores[users.index(record["user_id"])].tolist()


def test_the_mean_list_length_is_shown_where_lists_are_short():
    metrics = {f"{name}@{k}": 0.5 for k in (5, 10) for name in ("recall", "ndcg", "mrr", "coverage", "id_recall")}
    assert "length@10" not in shown_metrics(metrics | {"length@5": 5, "length@10": 10.0}, (5, 10))
    assert shown_metrics(metrics | {"length@5": 5, "length@10": 9.5}, (5, 10))["length@10"] == 9.5


def test_a_split_without_held_out_users_is_told(run):
    import dataclasses

    prepared = load_prepared(run)
    bare = dataclasses.replace(prepared, split=dataclasses.replace(prepared.split, valid=None))
    with pytest.raises(RunError, match="holds no valid"):
        held_out_of(bare, "valid")
    assert np.all(held_out_of(prepared, "test").target_rows >= 0)
