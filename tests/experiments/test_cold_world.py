import numpy as np
import pytest

from cobrarec.artifact import load_artifact, load_new_item_tools
from cobrarec.config import RunOptions
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.experiments.cold_items import hold_out_items
from cobrarec.experiments.cold_world import cold_world, put_into_copy
from cobrarec.experiments.datasets import Tables
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from small_run import small_config, small_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    tables = Tables(*small_world())
    run, held_out = RunFolder(tmp_path_factory.mktemp("world") / "run"), hold_out_items(tables, 0.2, seed=0)
    options = RunOptions(device="cpu", num_threads=1, resume=True)
    return run, held_out, cold_world(run, held_out, tables.interactions, small_config(), options, {"commit": None}, Silent())


def test_the_grown_catalog_lists_the_held_out_items_after_the_others(world):
    _, held_out, made = world
    assert made.measured("not-added").recommender.catalog.num_items == made.num_items == 38
    grown = made.measured("added").recommender.catalog
    assert grown.item_ids[made.num_items :].tolist() == held_out.items["item_id"].to_pylist()
    assert made.grown.info.popularity[made.num_items :].tolist() == [0] * 10


def test_the_artifact_has_learned_from_the_validation_interactions_as_by_default(world):
    run, _, made = world
    assert run.chosen.exists()
    assert made.trained.recommender.info.popularity.sum() == made.trained.prepared.split.before_test.num_interactions


def test_content_neighbors_know_the_texts_of_all_items(world):
    run, _, made = world
    content = made.baseline("content", made.grown.catalog)
    tools = load_new_item_tools(run.artifact)
    expected = tools.embedder.encode(made.grown.catalog.texts)
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(content.unit.numpy(), expected / norms, atol=1e-5)
    assert len(made.baseline("content", made.trained.recommender.catalog).unit) == made.num_items


def test_the_networks_lists_before_are_those_of_the_artifact(world):
    run, _, made = world
    before = made.measured("not-added")
    assert before.users is made.users.before
    assert not before.is_new.any()
    metrics = evaluate(before.recommender, before.users, (10,), made.num_items)
    assert metrics == evaluate(load_artifact(run.artifact), made.users.before, (10,), made.num_items)


def test_under_each_protocol_the_new_items_are_other_ones(world):
    _, _, made = world
    assert made.measured("not-added").is_new_item.sum() == 0
    assert np.flatnonzero(made.measured("added").is_new_item).tolist() == list(range(38, 48))
    pretended = made.measured("pretended")
    assert pretended.is_new_item.sum() == round(0.2 * 38)
    assert pretended.recommender.catalog.num_items == 38
    assert made.measured("pretended") is pretended


def test_putting_is_done_to_a_copy_made_anew(world):
    run, held_out, made = world
    again, seconds = put_into_copy(run, held_out.items, "cpu")
    assert seconds > 0
    assert again.info.catalog_version == 1
    assert np.array_equal(again.semantic_ids.codes, made.grown.semantic_ids.codes)
