import json

import numpy as np
import torch

from cobrarec import pipeline
from cobrarec.config import RunOptions
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from cobrarec.run_steps import new_model, semantic_ids_step, train_step
from small_run import small_config, small_world


def prepared_run(path, **sections):
    pipeline.prepare(*small_world(), path, small_config(**sections), RunOptions(seed=5))
    return load_prepared(RunFolder(path))


def test_semantic_ids_that_were_built_are_read_again(tmp_path, monkeypatch):
    prepared = prepared_run(tmp_path / "run")
    built = semantic_ids_step(prepared, Silent())
    read = semantic_ids_step(prepared, Silent())
    assert np.array_equal(built.semantic_ids.codes, read.semantic_ids.codes)
    assert np.array_equal(built.embeddings, read.embeddings)
    assert np.array_equal(built.assigner.encode(built.embeddings), read.assigner.encode(read.embeddings))


def test_the_seed_of_the_run_makes_the_model(tmp_path):
    prepared = prepared_run(tmp_path / "run")
    identified = semantic_ids_step(prepared, Silent())
    first, second = new_model(prepared, identified)[0], new_model(prepared, identified)[0]
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_training_notes_what_was_chosen_and_leaves_the_threads_alone(tmp_path):
    prepared = prepared_run(tmp_path / "run")
    before = torch.get_num_threads()
    trained = train_step(prepared, semantic_ids_step(prepared, Silent()), RunOptions(num_threads=1), Silent())
    assert torch.get_num_threads() == before
    choices = json.loads((prepared.run.checkpoints / "choices.json").read_text())
    weights = trained.recommender.weights
    assert choices == {"num_epochs": trained.best_epoch, "direct_weight": weights.direct, "memory_weight": weights.memory}


def trained_without(path, num_unseen, **sections):
    """A trained run in which the first items of the catalog have no interactions, and the rows of those."""
    items, interactions = small_world(num_users=20)
    unseen = set(items["item_id"].to_pylist()[:num_unseen])
    rows = [row for row in interactions.to_pylist() if row["item_id"] not in unseen]
    pipeline.prepare(items, interactions.from_pylist(rows), path, small_config(**sections))
    prepared = load_prepared(RunFolder(path))
    trained = train_step(prepared, semantic_ids_step(prepared, Silent()), RunOptions(), Silent())
    return trained.recommender, prepared.catalog.rows(sorted(unseen))


def test_items_without_training_interactions_get_a_vector_from_their_text(tmp_path):
    recommender, cold = trained_without(tmp_path / "run", 4)
    assert not torch.allclose(recommender.items.vectors[cold], recommender.model.item_vectors().vectors[cold])


def test_the_centroids_are_those_of_the_vectors_that_are_served(tmp_path):
    recommender, _ = trained_without(tmp_path / "run", 4, model={"exact_catalog_limit": 40, "num_centroids": 2})
    kept = {name: value.clone() for name, value in recommender.model.state_dict().items() if name.startswith("centroids.")}
    assert len(kept) == 4
    recommender.model.refresh_evidence(recommender.items)
    assert all(torch.equal(value, recommender.model.state_dict()[name]) for name, value in kept.items())
