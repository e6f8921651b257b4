"""Runs whose ranker trains no network: the same commands, the same files but those of a network."""

import json

import numpy as np
import pytest

import cobrarec
from cobrarec import pipeline
from cobrarec.artifact import load_artifact, load_new_item_tools
from cobrarec.artifact_manifest import verify_files, write_manifest
from cobrarec.baselines.popularity import Popularity
from cobrarec.baselines.transitions import TransitionCounts
from cobrarec.config import RunOptions, load_config
from cobrarec.errors import ArtifactError, ConfigError, RunError
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.run_baselines import baselines, fit_baseline, refit_baseline
from cobrarec.run_folder import RunFolder
from small_run import differing, small_config, small_world
from test_leakage import replaced

RANKERS = ("counts", "content", "popularity")
EVERY = pytest.mark.parametrize("ranker", RANKERS)


def config(ranker, **sections):
    return small_config(**sections).model_copy(update={"ranker": ranker})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of each ranker; tests may read it."""
    folder = tmp_path_factory.mktemp("baselines")
    for ranker in RANKERS:
        pipeline.fit(*small_world(), folder / ranker, config(ranker), RunOptions(test=True))
    return folder


@EVERY
def test_a_run_holds_no_part_of_a_network_and_its_report_misses_none(runs, ranker):
    names = {path.name for path in (runs / ranker).iterdir()}
    assert names == {"prepared", "checkpoints", "chosen", "artifact", "config.yaml", "metrics.json", "examples.json", "report.html"}
    page = (runs / ranker / "report.html").read_text()
    assert "Left out" not in page
    assert 'id="results"' in page
    assert 'id="semantic-ids"' not in page


@EVERY
def test_its_own_row_comes_first_and_none_twice(runs, ranker):
    metrics = json.loads((runs / ranker / "metrics.json").read_text())
    usual = {"counts": ["popularity"], "content": ["popularity", "counts"], "popularity": ["counts"]}[ranker]
    for split in ("valid", "test"):
        assert list(metrics[split]) == [ranker, *usual]
        assert all("id_recall@10" not in values for values in metrics[split].values())
        assert metrics[split][ranker]["recall@10"] > 0


@EVERY
def test_the_artifact_recommends_like_any_other(runs, ranker):
    recommender = load_artifact(runs / ranker / "artifact")
    ids = recommender.catalog.item_ids.tolist()
    lists = recommender.recommend([ids[:3], [], ids[:3]], 8, exclude=ids[5:7], explain=True)
    assert [len(one) for one in lists] == [8, 8, 8]
    assert lists[0] == lists[2]
    assert not {item.item_id for item in lists[0]} & {*ids[:3], *ids[5:7]}
    assert {item.source for item in lists[1]} == {"popular"}
    assert lists[0][0].source == {"popularity": "popular"}.get(ranker, ranker)
    assert lists[0][0].semantic_id == ()
    assert sum(lists[0][0].why.terms.values()) == pytest.approx(np.log(lists[0][0].score), abs=1e-9)
    assert (lists[0][0].why.nearest_history_item in ids[:3]) == (ranker != "popularity")
    scores = [item.score for item in lists[0]]
    assert scores == sorted(scores, reverse=True)
    allowed = recommender.recommend([ids[:1]], 8, allow=ids[:4])
    assert {item.item_id for item in allowed[0]} == set(ids[1:4])
    again = recommender.with_settings(include_history=True).recommend([ids[:1]], len(ids))
    assert {item.item_id for item in again[0]} == set(ids)
    ranked = recommender.rank(load_prepared(RunFolder(runs / ranker)).split.valid.histories, 5)
    assert ranked.rows.shape == (60, 5)
    assert lists.score_formula


@EVERY
def test_settings_and_parts_of_a_network_are_refused(runs, ranker):
    recommender = load_artifact(runs / ranker / "artifact")
    with pytest.raises(ConfigError, match="`num_beams` has no effect"):
        recommender.with_settings(num_beams=3)
    with pytest.raises(ConfigError, match="num_beam"):
        recommender.with_settings(num_beam=3)
    with pytest.raises(ConfigError, match="no network"):
        _ = recommender.model
    with pytest.raises(ArtifactError, match=ranker):
        load_new_item_tools(runs / ranker / "artifact")
    assert recommender.weights == FusionWeights()


@EVERY
def test_the_lists_are_those_of_the_ranker_itself(runs, ranker):
    prepared = load_prepared(RunFolder(runs / ranker))
    histories = prepared.split.test.histories
    chosen = fit_baseline(ranker, prepared, Silent())
    for made, folder in ((chosen, "chosen"), (refit_baseline(ranker, chosen, prepared, Silent()), "artifact")):
        lists, served = made.rank(histories, 10), load_artifact(runs / ranker / folder).rank(histories, 10)
        assert lists.rows.tolist() == served.rows.tolist()
        assert lists.log_scores.tolist() == served.log_scores.tolist()


def test_a_refitted_baseline_has_counted_all_but_the_test_items(runs):
    prepared = load_prepared(RunFolder(runs / "popularity"))
    served = load_artifact(runs / "popularity" / "artifact").info.popularity
    test = np.bincount(prepared.split.test.target_rows, minlength=len(served))
    assert (served + test == prepared.histories.item_counts(len(served))).all()


@EVERY
def test_the_manifest_names_the_ranker_and_the_configuration_what_was_chosen(runs, ranker):
    manifest = cobrarec.verify(runs / ranker / "artifact")
    assert manifest["ranker"] == ranker
    choices = json.loads((runs / ranker / "checkpoints" / "choices.json").read_text())
    assert set(choices) == {"counts": {"window", "last"}, "content": {"last"}, "popularity": set()}[ranker]
    kept = load_config(runs / ranker / "artifact" / "config.yaml")
    assert kept.ranker == ranker
    if choices:
        assert getattr(kept, ranker).model_dump() == choices
    assert {path.suffix for path in (runs / ranker / "artifact").iterdir()} <= {".json", ".yaml", ".parquet", ".npy", ".safetensors"}


@EVERY
def test_the_separate_commands_compose_to_the_same_as_fit(runs, tmp_path, ranker):
    pipeline.prepare(*small_world(), tmp_path / "run", config(ranker))
    with pytest.raises(RunError, match="no semantic IDs; go on with `cobrarec train"):
        pipeline.build_semantic_ids(tmp_path / "run")
    assert pipeline.train(tmp_path / "run") == tmp_path / "run" / "artifact"
    with pytest.raises(RunError, match="--resume"):
        pipeline.train(tmp_path / "run")
    assert pipeline.train(tmp_path / "run", RunOptions(resume=True)) == tmp_path / "run" / "artifact"
    for split in ("valid", "test"):
        pipeline.evaluate(tmp_path / "run", split)
    assert differing(tmp_path / "run", runs / ranker) == set()
    for name in ("metrics.json", "examples.json"):
        assert (tmp_path / "run" / name).read_bytes() == (runs / ranker / name).read_bytes()
    assert f"{ranker}" in pipeline.report(tmp_path / "run").read_text()


@EVERY
def test_a_fit_that_was_stopped_goes_on_to_the_same_result(runs, tmp_path, monkeypatch, ranker):
    def killed(*arguments, **keywords):
        raise KeyboardInterrupt

    for name in ("baseline_step", "_store_metrics"):
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, name, killed)
            with pytest.raises(KeyboardInterrupt):
                pipeline.fit(*small_world(), tmp_path / name, config(ranker), RunOptions(test=True))
        pipeline.fit(*small_world(), tmp_path / name, config(ranker), RunOptions(test=True, resume=True))
        assert differing(tmp_path / name, runs / ranker) == set()
        assert (tmp_path / name / "metrics.json").read_bytes() == (runs / ranker / "metrics.json").read_bytes()


@EVERY
def test_split_none_counts_everything_with_the_choices_of_another_run(runs, tmp_path, ranker):
    recommender = pipeline.fit(*small_world(), tmp_path / "final", options=RunOptions(like=runs / ranker))
    assert recommender.info.split == "none"
    assert recommender.info.popularity.sum() == len(small_world()[1])
    choices = json.loads((runs / ranker / "checkpoints" / "choices.json").read_text())
    assert json.loads((tmp_path / "final" / "checkpoints" / "choices.json").read_text()) == choices
    assert json.loads((tmp_path / "final" / "metrics.json").read_text())["valid"] is None


def test_split_none_without_a_run_to_be_like_needs_all_settings(runs, tmp_path):
    none = {"data": {"split": "none"}}
    with pytest.raises(ConfigError, match=r"`counts.last`.*--like RUN, or give values"):
        pipeline.prepare(*small_world(), tmp_path / "run", config("counts", **none, counts={"window": 2}))
    pipeline.fit(*small_world(), tmp_path / "run", config("counts", **none, counts={"window": 2, "last": 4}))
    memory = load_artifact(tmp_path / "run" / "artifact").engine.memory
    assert (memory.window, memory.last) == (2, 4)
    pipeline.fit(*small_world(), tmp_path / "popular", config("popularity", **none))
    with pytest.raises(RunError, match="of the ranker content, this one is of counts"):
        pipeline.prepare(*small_world(), tmp_path / "other", config("counts", **none), RunOptions(like=runs / "content"))


def test_settings_that_are_given_are_kept(tmp_path):
    pipeline.fit(*small_world(), tmp_path / "counts", config("counts", counts={"window": 2}))
    assert json.loads((tmp_path / "counts" / "checkpoints" / "choices.json").read_text())["window"] == 2
    pipeline.fit(*small_world(), tmp_path / "content", config("content", content={"last": 4}))
    assert load_artifact(tmp_path / "content" / "artifact").engine.last == 4


FILES = {"counts": "transitions.safetensors", "content": "unit_embeddings.npy", "popularity": "popularity.npy"}


@EVERY
def test_a_damaged_artifact_is_refused_even_behind_a_matching_manifest(runs, tmp_path, ranker):
    import shutil

    folder = tmp_path / "artifact"
    shutil.copytree(runs / ranker / "artifact", folder)
    (folder / FILES[ranker]).write_bytes(b"\x93damaged")
    with pytest.raises(ArtifactError, match=FILES[ranker]):
        load_artifact(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    write_manifest(folder, "last-two", ranker, manifest["model"])
    verify_files(folder)
    with pytest.raises(ArtifactError):
        load_artifact(folder)


@EVERY
def test_nothing_held_out_is_counted(runs, tmp_path, ranker):
    """With the settings given, replacing every held-out item changes no array; replacing a training item does."""
    settings = {"counts": {"window": 2, "last": 3}, "content": {"last": 3}}
    items, interactions = small_world()
    worlds = {"first": interactions, "held out": replaced(interactions, (1, 2)), "trained": replaced(interactions, (3,))}
    for name, table in worlds.items():
        pipeline.fit(items, table, tmp_path / name, config(ranker, **settings), RunOptions(test=True))
    assert differing(tmp_path / "first", tmp_path / "held out", "chosen") == set()
    assert "popularity.npy" in differing(tmp_path / "first", tmp_path / "trained", "chosen")


def test_the_test_items_choose_nothing(tmp_path):
    items, interactions = small_world()
    for name, table in {"first": interactions, "second": replaced(interactions, (1,))}.items():
        pipeline.fit(items, table, tmp_path / name, config("counts"), RunOptions(test=True))
    assert differing(tmp_path / "first", tmp_path / "second") == set()


def test_the_baselines_count_the_training_histories_alone(runs):
    prepared = load_prepared(RunFolder(runs / "content"))
    train, num_items, ties = prepared.split.train, prepared.catalog.num_items, prepared.catalog.tie_breakers(prepared.seed)
    made = baselines(prepared, Silent())
    counts = TransitionCounts.fit(train, num_items, ties, made["counts"].memory.window)
    assert np.array_equal(made["counts"].memory.counts.toarray(), counts.memory.counts.toarray())
    assert made["popularity"].popular.order.tolist() == Popularity.fit(train, num_items, ties).popular.order.tolist()


@pytest.mark.parametrize(("name", "num_levels"), [("sasrec", 0), ("sasrec-text", 0), ("tiger", 3)])
def test_the_packaged_networks_go_through_the_pipeline(tmp_path, name, num_levels):
    packaged, small = load_config(name), small_config()
    changed = {
        "text": small.text,
        "training": small.training,
        "model": packaged.model.model_copy(update={"dim": 16, "decoder": small.model.decoder}),
    }
    if num_levels:
        changed["semantic_ids"] = packaged.semantic_ids.model_copy(update={"codebook_size": 4, "allow_collapse": True})
    recommender = pipeline.fit(*small_world(), tmp_path / "run", packaged.model_copy(update=changed))
    assert recommender.semantic_ids.num_levels == num_levels
    items = [one.item_id for one in recommender.recommend([recommender.catalog.item_ids[:3].tolist()], k=5)[0]]
    assert len(set(items)) == 5
    assert list(json.loads((tmp_path / "run" / "metrics.json").read_text())["valid"]) == [name, "popularity", "counts", "content"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert f">{name}</th>" in page
    assert "COBRA</th>" not in page
