import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, load_new_item_tools, verify_artifact
from cobrarec.artifact_manifest import file_hash, write_manifest
from cobrarec.config import RunOptions
from cobrarec.data.item_texts import item_texts
from cobrarec.errors import ArtifactError
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_folder import RunFolder
from cobrarec.run_steps import artifact_step, semantic_ids_step, train_step
from small_run import small_config, small_world


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> tuple[Path, Recommender]:
    folder = tmp_path_factory.mktemp("artifact") / "run"
    recommender = pipeline.fit(*small_world(), folder, small_config(), RunOptions(seed=3))
    return folder / "artifact", recommender


@pytest.mark.parametrize("model", [{}, {"exact_catalog_limit": 40, "num_centroids": 2}], ids=["exact", "centroids"])
def test_what_is_loaded_gives_the_lists_of_what_was_saved(tmp_path, model):
    """The one that was saved comes straight from training and has never been on a disk; three of its items are cold."""
    items, interactions = small_world()
    cold = items["item_id"].slice(0, 3)
    taken = interactions.filter(pc.invert(pc.is_in(interactions["item_id"], cold)))
    pipeline.prepare(items, taken, tmp_path, small_config(model=model))
    prepared = load_prepared(RunFolder(tmp_path))
    identified = semantic_ids_step(prepared, Silent())
    trained = train_step(prepared, identified, RunOptions(), Silent())
    trained = dataclasses.replace(trained, recommender=trained.recommender.with_settings(direct_weight=0.2, memory_weight=0.7, num_beams=4))
    loaded = load_artifact(artifact_step(prepared, identified, trained, prepared.run.artifact))
    histories = prepared.histories.select(np.arange(20))
    first, second = trained.recommender.rank(histories, 48), loaded.rank(histories, 48)
    assert np.array_equal(first.rows, second.rows)
    assert np.array_equal(first.log_scores, second.log_scores)
    assert loaded.recommend([[]], 5)[0] == trained.recommender.recommend([[]], 5)[0]


def test_the_loaded_recommender_gives_the_same_lists(fitted):
    folder, made = fitted
    loaded = load_artifact(folder)
    ids = made.catalog.item_ids
    histories = [ids[:length].tolist() for length in (0, 1, 5, 20)]
    for first, second in zip(made.recommend(histories, 10, explain=True), loaded.recommend(histories, 10, explain=True), strict=True):
        assert first == second
    assert loaded.weights == made.weights
    assert loaded.info.seed == 3


def test_the_manifest_says_split_and_model(fitted):
    manifest = verify_artifact(fitted[0])
    assert manifest["split"] == "last-two"
    assert manifest["model"]["items"] == 48
    assert manifest["model"]["parameters"] > 0
    assert {"items.parquet", "model.safetensors", "codes.npy", "config.yaml"} <= set(manifest["files"])


def test_items_come_with_their_id_first_and_no_history_is_in_it(fitted):
    assert pq.read_table(fitted[0] / "items.parquet").schema.names[0] == "item_id"
    users = {str(user) for user in small_world()[1]["user_id"].to_pylist()}
    for path in fitted[0].rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(user.encode() in content for user in users), path


def test_nothing_is_pickled(fitted):
    names = {path.suffix for path in fitted[0].rglob("*") if path.is_file()}
    assert names <= {".json", ".yaml", ".parquet", ".npy", ".safetensors"}


def test_it_holds_what_an_item_added_later_needs(fitted):
    folder, recommender = fitted
    tools = load_new_item_tools(folder)
    texts = item_texts(recommender.catalog.table, small_config().data)
    embeddings = tools.embedder.encode(texts)
    assert np.allclose(embeddings, np.load(folder / "embeddings.npy"), atol=1e-5)
    codes = tools.assigner.encode(embeddings)
    assert codes.shape == recommender.semantic_ids.codes.shape
    items = tools.cold_start.new_items(recommender.model, embeddings)
    assert items.vectors.shape == recommender.items.vectors.shape


FILES = ["model.safetensors", "item_vectors.safetensors", "codes.npy", "items.parquet", "config.yaml", "popularity.npy"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_damaged_behind_a_matching_manifest_is_refused_too(fitted, tmp_path, name):
    import shutil

    folder = tmp_path / "artifact"
    shutil.copytree(fitted[0], folder)
    (folder / name).write_bytes(b"\x93damaged")
    with pytest.raises(ArtifactError, match=name.split(".")[0]):
        load_artifact(folder)
    model = json.loads((folder / "manifest.json").read_text())["model"]
    write_manifest(folder, "last-two", "cobra", model)
    assert file_hash(folder / name) == verify_artifact(folder)["files"][name]["sha256"]
    with pytest.raises(ArtifactError):
        load_artifact(folder)
