import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import cobrarec
from cobrarec import pipeline
from cobrarec.config import RunOptions, load_config
from cobrarec.errors import ArtifactError, CollapseError, ConfigError, DataError, Interrupted, MachineError, RunError, UserError
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from cobrarec.run_results import held_out_of
from small_run import ThreadsSeen, Told, artifact_contents, differing, small_config, small_world


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    """A finished small run; tests may read it."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    pipeline.fit(*small_world(), folder, small_config(), RunOptions(test=True))
    return folder


def test_a_run_holds_what_the_documentation_says(fitted):
    names = {path.name for path in fitted.iterdir()}
    expected = {
        "prepared",
        "semantic_ids",
        "checkpoints",
        "chosen",
        "artifact",
        "config.yaml",
        "metrics.json",
        "log.jsonl",
        "examples.json",
        "report.html",
    }
    assert names == expected
    assert load_config(fitted / "config.yaml") == small_config()


def test_metrics_have_the_documented_form(fitted):
    metrics = json.loads((fitted / "metrics.json").read_text())
    assert metrics["users"] == 60
    assert "last-two" in metrics["protocol"]
    for split in ("valid", "test"):
        assert set(metrics[split]) == {"cobra", "popularity", "counts", "content"}
        for values in metrics[split].values():
            assert set(values) == {"recall@5", "ndcg@5", "recall@10", "ndcg@10", "mrr@10", "coverage@10", "id_recall@10"}
            assert all(0 <= value <= 1 for value in values.values())
            assert values["id_recall@10"] >= values["recall@10"] >= values["recall@5"]


def test_the_log_has_one_line_an_epoch(fitted):
    lines = [json.loads(line) for line in (fitted / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all("ndcg@10" in line["valid"] and "loss" in line["losses"] for line in lines)


def test_three_examples_are_kept_for_the_report(fitted):
    records = json.loads((fitted / "examples.json").read_text())
    assert len(records) == 3
    for record in records:
        assert record["target"]["title"]
        assert len(record["items"]) == 10
        assert record["items"][0]["why"]


def test_the_artifact_recommends_for_anyone(fitted):
    recommender = cobrarec.load(fitted / "artifact")
    known = recommender.catalog.item_ids[:3].tolist()
    lists = recommender.recommend([known, [], known], k=5)
    assert [len(items) for items in lists] == [5, 5, 5]
    assert lists[0] == lists[2]
    assert lists[1][0].source == "popular"
    assert not {item.item_id for item in lists[0]} & set(known)


def test_the_separate_commands_compose_to_the_same_as_fit(fitted, tmp_path):
    folder = tmp_path / "run"
    pipeline.prepare(*small_world(), folder, small_config())
    pipeline.build_semantic_ids(folder)
    assert pipeline.train(folder) == folder / "artifact"
    assert differing(folder, fitted) == set()
    for split in ("valid", "test"):
        pipeline.evaluate(folder, split)
    assert json.loads((folder / "metrics.json").read_text()) == json.loads((fitted / "metrics.json").read_text())
    assert pipeline.report(folder) == folder / "report.html"


def test_all_of_a_fit_runs_on_the_threads_that_were_asked_for(tmp_path):
    before, told = torch.get_num_threads(), ThreadsSeen()
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(num_threads=before + 1), told)
    assert told.threads == {before + 1}
    assert torch.get_num_threads() == before


def test_training_alone_runs_on_the_threads_that_were_asked_for(tmp_path):
    before, told = torch.get_num_threads(), ThreadsSeen()
    pipeline.prepare(*small_world(), tmp_path / "run", small_config())
    pipeline.build_semantic_ids(tmp_path / "run")
    pipeline.train(tmp_path / "run", RunOptions(num_threads=before + 1), told)
    assert told.threads == {before + 1}
    assert torch.get_num_threads() == before


def test_validation_is_measured_as_chosen_and_test_as_served(fitted):
    metrics, prepared = json.loads((fitted / "metrics.json").read_text()), load_prepared(RunFolder(fitted))
    measured = {
        folder: {
            split: evaluate(cobrarec.load(fitted / folder), held_out_of(prepared, split), (5, 10), prepared.catalog.num_items)
            for split in ("valid", "test")
        }
        for folder in ("chosen", "artifact")
    }
    assert metrics["valid"]["cobra"]["ndcg@10"] == measured["chosen"]["valid"]["ndcg@10"] != measured["artifact"]["valid"]["ndcg@10"]
    assert metrics["test"]["cobra"]["ndcg@10"] == measured["artifact"]["test"]["ndcg@10"]
    facts = {folder: cobrarec.verify(fitted / folder)["model"]["trained_on"] for folder in ("chosen", "artifact")}
    assert facts == {"chosen": "training interactions", "artifact": "training and validation interactions"}


def test_without_a_refit_what_was_chosen_is_served(fitted, tmp_path):
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(refit=False))
    assert not (tmp_path / "run" / "chosen").exists()
    chosen, served = artifact_contents(fitted, "chosen"), artifact_contents(tmp_path / "run")
    assert chosen == served
    assert cobrarec.verify(tmp_path / "run" / "artifact")["model"]["trained_on"] == "training interactions"


def test_a_run_that_holds_nothing_out_is_not_refitted(fitted, tmp_path):
    pipeline.fit(*small_world(), tmp_path / "run", None, RunOptions(like=fitted))
    assert not (tmp_path / "run" / "chosen").exists()
    assert cobrarec.verify(tmp_path / "run" / "artifact")["model"]["trained_on"] == "all interactions"


def killed_at_call(number):
    """A step that is killed when it is called for the `number`th time."""

    def wrap(step):
        calls = []

        def wrapped(*arguments, **keywords):
            calls.append(1)
            if len(calls) == number:
                raise KeyboardInterrupt
            return step(*arguments, **keywords)

        return wrapped

    return wrap


STOPS = {
    "semantic IDs": ("semantic_ids_step", 1),
    "training": ("train_step", 1),
    "chosen": ("artifact_step", 1),
    "refit": ("refit_step", 1),
    "artifact": ("artifact_step", 2),
    "metrics": ("_store_metrics", 1),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_fit_that_was_stopped_goes_on_to_the_same_result(fitted, tmp_path, monkeypatch, stop):
    folder = tmp_path / "run"
    name, number = STOPS[stop]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, name, killed_at_call(number)(getattr(pipeline, name)))
        with pytest.raises(KeyboardInterrupt):
            pipeline.fit(*small_world(), folder, small_config(), RunOptions(test=True))
    pipeline.fit(*small_world(), folder, small_config(), RunOptions(test=True, resume=True))
    assert differing(folder, fitted) == set()
    assert (folder / "metrics.json").read_text() == (fitted / "metrics.json").read_text()


@pytest.mark.parametrize("where", ["checkpoints", "refit"])
def test_ctrl_c_in_training_leaves_a_checkpoint_to_go_on_from(fitted, tmp_path, monkeypatch, where):
    from cobrarec import run_steps
    from cobrarec.training.job import TrainingJob

    def stopping(**settings):
        def stop(step: int) -> None:
            if step == 1 and settings["folder"].name == where:
                raise KeyboardInterrupt

        return TrainingJob(**settings, on_step=stop)

    with monkeypatch.context() as patch:
        patch.setattr(run_steps, "TrainingJob", stopping)
        with pytest.raises(Interrupted, match="step 1 of"):
            pipeline.fit(*small_world(), tmp_path / "run", small_config())
    with pytest.raises(RunError, match="--resume"):
        pipeline.fit(*small_world(), tmp_path / "run", small_config())
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(resume=True))
    assert differing(tmp_path / "run", fitted) == set()


def test_a_refit_that_was_stopped_can_be_given_up(fitted, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "refit_step", killed_at_call(1)(pipeline.refit_step))
        with pytest.raises(KeyboardInterrupt):
            pipeline.fit(*small_world(), tmp_path / "run", small_config())
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(resume=True, refit=False))
    assert artifact_contents(tmp_path / "run") == artifact_contents(fitted, "chosen")
    assert cobrarec.verify(tmp_path / "run" / "artifact")["model"]["trained_on"] == "training interactions"
    metrics = [json.loads((run / "metrics.json").read_text())["valid"] for run in (fitted, tmp_path / "run")]
    assert metrics[0] == metrics[1]


def test_validation_is_not_measured_on_a_model_that_has_learned_from_it(fitted, tmp_path):
    shutil.copytree(fitted, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "chosen")
    with pytest.raises(RunError, match="would mean nothing"):
        pipeline.evaluate(tmp_path / "run", "valid")
    assert pipeline.evaluate(tmp_path / "run", "test")["test"] == json.loads((fitted / "metrics.json").read_text())["test"]


def test_an_artifact_that_is_there_stays_as_it_is_and_says_so(fitted, tmp_path):
    shutil.copytree(fitted, tmp_path / "run")
    told = Told()
    pipeline.train(tmp_path / "run", RunOptions(resume=True, refit=False), told)
    assert "has learned from training and validation interactions and stays as it is" in told.lines[-1]
    assert differing(tmp_path / "run", fitted) == set()


def test_a_folder_of_another_run_is_refused_and_left_alone(fitted):
    before = sorted(path.stat().st_mtime_ns for path in fitted.rglob("*"))
    for options in (RunOptions(), RunOptions(resume=True)):
        with pytest.raises(RunError, match="another run"):
            pipeline.fit(*small_world(seed=1), fitted, small_config(), options)
    assert sorted(path.stat().st_mtime_ns for path in fitted.rglob("*")) == before


def test_collapse_leaves_nothing_behind_unless_it_is_allowed(tmp_path):
    items, interactions = small_world(num_users=150, num_items=120)
    flat = items.select(["item_id"]).append_column("text", [["the same"] * len(items)])
    config = small_config(semantic_ids={"signal": "text", "codebook_size": 8, "balanced": False})
    with pytest.raises(CollapseError, match="--allow-collapse"):
        pipeline.fit(flat, interactions, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()
    pipeline.prepare(flat, interactions, tmp_path / "run", config)
    with pytest.raises(CollapseError):
        pipeline.build_semantic_ids(tmp_path / "run")
    assert not RunFolder(tmp_path / "run").semantic_ids.exists()
    pipeline.build_semantic_ids(tmp_path / "run", allow_collapse=True)
    card = json.loads((tmp_path / "run" / "semantic_ids" / "health_card.json").read_text())
    assert card["collapse_reasons"]


def test_the_artifact_of_another_run_is_not_evaluated(fitted, tmp_path):
    shutil.copytree(fitted, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "artifact")
    pipeline.fit(*small_world(), tmp_path / "all", options=RunOptions(like=fitted))
    shutil.copytree(tmp_path / "all" / "artifact", tmp_path / "run" / "artifact")
    with pytest.raises(RunError, match="its split is none, that of the run last-two"):
        pipeline.evaluate(tmp_path / "run", "test")
    shutil.rmtree(tmp_path / "run" / "artifact")
    pipeline.fit(*small_world(num_items=30), tmp_path / "other", {"ranker": "popularity"}, {"seed": 1})
    shutil.copytree(tmp_path / "other" / "artifact", tmp_path / "run" / "artifact")
    with pytest.raises(RunError, match="its items are others"):
        pipeline.evaluate(tmp_path / "run", "test")


def test_a_damaged_artifact_is_named_before_anything_is_done_again(fitted, tmp_path):
    shutil.copytree(fitted, tmp_path / "run")
    (tmp_path / "run" / "artifact" / "codes.npy").unlink()
    with pytest.raises(RunError, match=r"remove .*artifact and go on with --resume"):
        pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(test=True, resume=True))
    shutil.rmtree(tmp_path / "run" / "artifact")
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(test=True, resume=True))
    assert differing(tmp_path / "run", fitted) == set()


def test_split_none_trains_on_everything_as_long_as_the_run_it_is_like(fitted, tmp_path):
    recommender = pipeline.fit(*small_world(), tmp_path / "final", options=RunOptions(like=fitted))
    chosen = json.loads((fitted / "checkpoints" / "choices.json").read_text())
    config = load_config(tmp_path / "final" / "config.yaml")
    assert config.training.num_epochs == chosen["num_epochs"]
    assert recommender.config.direct_weight == chosen["direct_weight"]
    assert recommender.info.split == "none"
    assert recommender.info.popularity.sum() == len(small_world()[1])
    metrics = json.loads((tmp_path / "final" / "metrics.json").read_text())
    assert metrics["valid"] is None
    assert metrics["test"] is None
    with pytest.raises(RunError, match="holds no valid"):
        pipeline.evaluate(tmp_path / "final", "valid")


def test_by_time_is_a_split_too(tmp_path):
    config = small_config(data={"split": "time:0.9"})
    recommender = pipeline.fit(*small_world(num_users=120), tmp_path / "run", config)
    assert recommender.info.split == "time:0.9"
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["users"] > 0


def test_the_papers_text_encoder_goes_through_the_same_pipeline(tmp_path):
    item = {"kind": "text-encoder", "id_embedding": False}
    item["text_encoder"] = {"vocabulary_size": 300, "max_tokens": 12, "num_heads": 2, "feedforward_dim": 32}
    config = small_config(
        semantic_ids={"quantizer": "rqvae", "num_levels": 2, "codebook_size": 4, "signal": "text", "rqvae": {"num_steps": 50}},
        model={"item": item, "direct_query": False, "item_evidence": "off", "dense_skip": False, "item_bias": False},
        loss={"direct_weight": 0.0, "dense_negatives": "batch"},
        training={"num_epochs": 1},
        retrieval={"direct_weight": 0.0},
    )
    recommender = pipeline.fit(*small_world(), tmp_path / "run", config)
    again = cobrarec.load(tmp_path / "run" / "artifact")
    history = [recommender.catalog.item_ids[:2].tolist()]
    assert again.recommend(history, 5)[0] == recommender.recommend(history, 5)[0]


def test_a_time_limit_ends_with_a_valid_artifact(tmp_path):
    config = small_config(training={"num_epochs": 10000, "patience": 0})
    pipeline.fit(*small_world(), tmp_path / "run", config, RunOptions(time_limit=0.1))
    assert cobrarec.verify(tmp_path / "run" / "artifact")


def test_other_list_lengths_and_unmasked_lists_are_not_stored(fitted):
    before = (fitted / "metrics.json").read_text()
    results = pipeline.evaluate(fitted, "valid", ks=(1, 20))
    assert "recall@20" in results["valid"]["cobra"]
    unmasked = pipeline.evaluate(fitted, "valid", include_history=True)
    assert "not masked" in unmasked["protocol"]
    assert (fitted / "metrics.json").read_text() == before


def test_a_run_that_recommends_the_history_too_is_judged_so(tmp_path):
    config = small_config(retrieval={"include_history": True}, training={"num_epochs": 1})
    run = tmp_path / "run"
    pipeline.fit(*small_world(), run, config, RunOptions(refit=False))
    stored = json.loads((run / "metrics.json").read_text())
    assert "not masked" in stored["protocol"]
    assert pipeline.evaluate(run, "valid")["valid"] == stored["valid"]
    masked = pipeline.evaluate(run, "valid", include_history=False)
    assert "history masked" in masked["protocol"]
    assert masked["valid"] != stored["valid"]


def test_steps_out_of_order_name_the_missing_one(tmp_path):
    with pytest.raises(RunError, match="cobrarec prepare"):
        pipeline.train(tmp_path)
    pipeline.prepare(*small_world(), tmp_path / "run", small_config())
    with pytest.raises(RunError, match="cobrarec semantic-ids"):
        pipeline.train(tmp_path / "run")
    with pytest.raises(RunError, match="cobrarec train"):
        pipeline.evaluate(tmp_path / "run")


def test_a_second_training_in_the_same_run_asks_to_resume(fitted):
    with pytest.raises(RunError, match="--resume"):
        pipeline.train(fitted)
    assert pipeline.train(fitted, RunOptions(resume=True)) == fitted / "artifact"


def test_a_full_disk_is_the_machines_fault_and_leaves_no_half_artifact(tmp_path, monkeypatch):
    import errno

    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(MachineError):
        pipeline.fit(*small_world(), tmp_path / "run", small_config())
    assert not (tmp_path / "run" / "artifact").exists()


def test_a_configuration_can_be_named(tmp_path):
    with pytest.raises(ConfigError, match="paper-amazon"):
        pipeline.fit(*small_world(), tmp_path / "run", "nothing")


def test_files_and_tables_in_memory_give_the_same_run(fitted, tmp_path):
    items, interactions = small_world()
    pq.write_table(items, tmp_path / "items.parquet")
    pq.write_table(interactions, tmp_path / "interactions.parquet")
    pipeline.prepare(tmp_path / "items.parquet", str(tmp_path / "interactions.parquet"), tmp_path / "run", small_config())
    assert RunFolder(tmp_path / "run").identity == RunFolder(fitted).identity


def test_a_missing_artifact_is_told(tmp_path):
    with pytest.raises(ArtifactError):
        cobrarec.load(tmp_path)


def short_world():
    """Three interactions a user: after the last two nothing is left to learn from."""
    items, interactions = small_world()
    table = interactions.to_pandas().groupby("user_id", sort=False).head(3)
    return items, table


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": {"decoder": {"num_heads": 3}}}, "num_heads"),
        ({"model": {"item": {"kind": "text-encoder"}}, "loss": {"direct_negatives": "catalog"}}, "direct_negatives"),
        ({"model": {"item": {"kind": "text-encoder", "text_encoder": {"tokenizer": "/nowhere"}}}}, "tokenizer"),
        ({"model": {"exact_catalog_limit": 5, "item_evidence": "exact"}}, "exact_catalog_limit"),
    ],
)
def test_settings_that_cannot_work_leave_nothing_behind_and_the_folder_free(tmp_path, changes, told):
    with pytest.raises(UserError, match=told):
        pipeline.fit(*small_world(), tmp_path / "run", small_config(**changes))
    assert not (tmp_path / "run").exists()


def test_tables_without_anything_to_learn_leave_nothing_behind(tmp_path):
    with pytest.raises(DataError, match="nothing to learn"):
        pipeline.fit(*short_world(), tmp_path / "run", small_config())
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_any_work(tmp_path, fitted):
    with pytest.raises(ConfigError, match="GPU"):
        pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(device="cuda"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="GPU"):
        cobrarec.load(fitted / "artifact", device="cuda:0")


def test_settings_can_be_given_as_nested_mappings(tmp_path):
    pipeline.prepare(*small_world(), tmp_path / "run", {"model": {"dim": 24, "decoder": {"num_heads": 4}}})
    assert load_config(tmp_path / "run" / "config.yaml").model.dim == 24
    with pytest.raises(ConfigError, match=r"`model\.dims`.*`model\.dim`"):
        pipeline.prepare(*small_world(), tmp_path / "other", {"model": {"dims": 24}})


@pytest.mark.parametrize(("words", "told"), [({"split": "tset"}, "tset"), ({"ks": ()}, "ks"), ({"ks": (0,)}, "k is")])
def test_what_cannot_be_evaluated_is_refused(fitted, words, told):
    with pytest.raises(DataError, match=told):
        cobrarec.evaluate(fitted, **words)


class Heard(Silent):
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


def test_a_time_limit_that_is_too_short_is_said_to_have_been(tmp_path):
    heard = Heard()
    pipeline.fit(*small_world(), tmp_path / "run", small_config(training={"num_epochs": 500}), RunOptions(time_limit=0.001), heard)
    assert any("The time limit ended training after" in line for line in heard.lines)
    assert any(line.startswith("All took") for line in heard.lines)


def test_a_final_run_says_what_it_took_over_and_reads_no_test(tmp_path, fitted):
    heard, options = Heard(), RunOptions(like=fitted)
    pipeline.prepare(*small_world(), tmp_path / "run", small_config(data={"split": "none"}), options, heard)
    assert any(line.startswith("Split none:") and str(fitted) in line for line in heard.lines)
    with pytest.raises(ConfigError, match="no test"):
        pipeline.fit(*small_world(), tmp_path / "x", small_config(data={"split": "none"}), RunOptions(like=fitted, test=True))
