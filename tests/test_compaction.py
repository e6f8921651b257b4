import numpy as np
import pytest
import torch

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, open_live_catalog
from cobrarec.artifact_manifest import read_manifest
from cobrarec.compaction import compact
from cobrarec.config import RunOptions
from cobrarec.errors import RunError
from small_run import small_config, small_world

KINDS = {
    "projection": {},
    "centroids": {"exact_catalog_limit": 40, "num_centroids": 2},
    "text encoder": {"item": {"kind": "text-encoder", "text_encoder": {"vocabulary_size": 300, "num_layers": 1}}},
    "ids alone": {"item": {"kind": "id"}},
}


def changed_artifact(folder, model):
    """An artifact whose items were added, changed and removed."""
    pipeline.fit(*small_world(), folder / "run", small_config(model=model), RunOptions(seed=3))
    live = open_live_catalog(folder / "run" / "artifact", "a test")
    table = live.recommender.catalog.table
    fresh = table.slice(0, 5).to_pylist()
    live.put(table.slice(0, 0).from_pylist([{**row, "item_id": f"new{n}"} for n, row in enumerate(fresh)], table.schema))
    live.put(table.slice(0, 0).from_pylist([{**fresh[1], "item_id": fresh[4]["item_id"]}], table.schema))
    live.remove(["new2", table["item_id"][9].as_py()])
    live.close()
    return folder / "run" / "artifact", live.recommender


@pytest.mark.parametrize("kind", KINDS)
def test_a_compacted_artifact_gives_the_lists_of_the_changed_one(tmp_path, kind):
    folder, live = changed_artifact(tmp_path, KINDS[kind])
    compacted = compact(folder, tmp_path / "compacted")
    histories = [[], *([item] for item in live.catalog.item_ids)]
    assert list(compacted.recommend(histories, 60)) == list(live.recommend(histories, 60))
    assert compacted.catalog.table.equals(live.catalog.table)
    assert compacted.info.catalog_version == 3
    assert read_manifest(tmp_path / "compacted")["model"]["compacted_from"] == live.info.artifact
    assert not (tmp_path / "compacted" / "changes").exists()


@pytest.mark.parametrize("kind", ["projection", "text encoder"])
def test_a_compacted_artifact_takes_further_changes_as_the_changed_one_does(tmp_path, kind):
    folder, live = changed_artifact(tmp_path, KINDS[kind])
    compact(folder, tmp_path / "compacted")
    table = live.catalog.table
    more = table.from_pylist([{**table.slice(7, 1).to_pylist()[0], "item_id": "more"}], table.schema)
    after = []
    for place in (folder, tmp_path / "compacted"):
        writer = open_live_catalog(place, "a test")
        writer.put(more)
        writer.close()
        after.append(load_artifact(place))
    assert torch.allclose(after[0].items.vectors, after[1].items.vectors, atol=1e-6)
    assert (after[0].semantic_ids.codes == after[1].semantic_ids.codes).all()
    assert after[0].info.catalog_version == after[1].info.catalog_version == 4


def test_the_model_of_a_compacted_artifact_encodes_its_catalog_as_it_was_trained_to(tmp_path):
    folder, live = changed_artifact(tmp_path, {})
    compacted = compact(folder, tmp_path / "compacted")
    warm = np.flatnonzero(live.info.popularity > 0)
    vectors = compacted.model.eval().item_vectors().vectors
    assert torch.allclose(vectors[torch.from_numpy(warm)], live.items.vectors[torch.from_numpy(warm)], atol=1e-5)


def test_nothing_is_written_over(tmp_path):
    with pytest.raises(RunError, match="is there already"):
        compact(tmp_path, tmp_path)
