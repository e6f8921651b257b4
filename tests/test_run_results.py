import numpy as np
import pytest

from cobrarec import pipeline, run_results
from cobrarec.artifact import load_artifact
from cobrarec.errors import RunError
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.transition_memory import TransitionMemory
from cobrarec.run_folder import RunFolder
from cobrarec.run_results import DIRECT_WEIGHTS, MEMORY_WEIGHTS, choose_weights, examples, held_out_of, shown_metrics
from cobrarec.semantic_ids.typical_words import TypicalWords
from small_run import SMALL, small_config, small_world


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("results") / "run"
    pipeline.fit(*small_world(), folder, small_config())
    return RunFolder(folder)


def test_the_weights_with_the_best_validation_ndcg_are_chosen_and_the_smallest_of_equals(run, monkeypatch):
    prepared, recommender = load_prepared(run), load_artifact(run.artifact)
    memory = TransitionMemory.fit(prepared.split.train, prepared.catalog.num_items)
    recommender = with_memory(recommender, memory)
    tried = [(direct, weight) for direct in DIRECT_WEIGHTS for weight in MEMORY_WEIGHTS]
    for best, chosen in (((0.25, 0.8), (0.25, 0.8)), ((1.0, 1.6), (1.0, 1.6)), (None, (0.0, 0.0))):
        scores = iter([float(one == best) for one in tried])
        monkeypatch.setattr(run_results, "ranking_metrics", lambda *_, scores=scores: {"ndcg@10": next(scores)})
        assert choose_weights(prepared, recommender, Silent()) == FusionWeights(*chosen)


def test_without_a_memory_only_the_share_of_the_direct_query_is_chosen(run, monkeypatch):
    prepared, recommender = load_prepared(run), with_memory(load_artifact(run.artifact), None)
    scores = iter((0.1, 0.3, 0.2, 0.3, 0.0))
    monkeypatch.setattr(run_results, "ranking_metrics", lambda *_: {"ndcg@10": next(scores)})
    assert choose_weights(prepared, recommender, Silent()) == FusionWeights(0.25, 0.0)


def with_memory(recommender, memory):
    parts = (recommender.catalog, recommender.semantic_ids, recommender.model, recommender.items, recommender.config, recommender.info)
    return Recommender.of_network(*parts, memory)


def test_weights_that_are_given_are_kept(tmp_path):
    pipeline.fit(
        *small_world(), tmp_path / "run", small_config(retrieval={"direct_weight": 0.3, "memory_weight": 0.0}, training={"num_epochs": 1})
    )
    recommender = load_artifact(tmp_path / "run" / "artifact")
    assert recommender.weights == FusionWeights(0.3, 0.0)
    assert recommender.network.memory is None


def test_the_chosen_weights_are_among_those_tried_and_in_the_artifact(run):
    config = load_artifact(run.artifact).config
    assert config.direct_weight in DIRECT_WEIGHTS
    assert config.memory_weight in MEMORY_WEIGHTS


def test_examples_are_the_lists_that_recommend_gives(run):
    prepared, recommender = load_prepared(run), load_artifact(run.artifact)
    histories = prepared.split.valid.histories
    for record in examples(prepared, recommender, k=4):
        user = np.flatnonzero(histories.user_ids == record["user_id"])
        assert len(record["history"]) == histories.lengths[user[0]]
        listed = [item["item_id"] for item in record["items"]]
        assert listed == [item.item_id for item in recommender.recommend_to(histories.select(user), 4)[0]]
        assert prepared.catalog.titles[int(prepared.catalog.rows([listed[0]])[0])] == record["items"][0]["title"]


def test_examples_name_the_codes_of_each_item_and_of_the_target(run):
    prepared, recommender = load_prepared(run), load_artifact(run.artifact)
    named = TypicalWords.of(prepared.catalog.texts, recommender.semantic_ids)
    for record in examples(prepared, recommender, k=4):
        for item in (*record["items"], record["target"]):
            row = prepared.catalog.rows([item["item_id"]])[0]
            assert list(item["semantic_id"]) == recommender.semantic_ids.codes[row].tolist()
            assert item["id_words"] == named.path(item["semantic_id"])
            assert all(item["id_words"])


def test_examples_read_the_times_of_a_model_that_was_trained_on_them(tmp_path):
    decoder = {**SMALL["model"]["decoder"], "day_gap": True, "month": True}
    pipeline.fit(*small_world(), tmp_path / "run", small_config(model={"decoder": decoder}))
    prepared, recommender = load_prepared(RunFolder(tmp_path / "run")), load_artifact(tmp_path / "run" / "artifact")
    valid = prepared.split.valid
    ranked = recommender.rank(valid.histories, 10)
    users = valid.histories.user_ids.tolist()
    for record in examples(prepared, recommender):
        scores = [item["score"] for item in record["items"]]
        # users searched together or alone: log scores agree within the last of their five digits
        assert scores == pytest.approx(ranked.scores[users.index(record["user_id"])].tolist(), rel=1.1e-5)


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


def test_without_ids_no_recall_of_ids_is_told(tmp_path):
    config = small_config(
        semantic_ids={"num_levels": 0},
        model={"direct_query": False, "item_evidence": "off", "dense_skip": False},
        loss={"dense_negatives": "catalog"},
        training={"num_epochs": 1},
    )
    pipeline.fit(*small_world(), tmp_path / "run", config)
    shown = pipeline.evaluate(tmp_path / "run")
    assert not any("id_recall" in name for metrics in shown["valid"].values() for name in metrics)
