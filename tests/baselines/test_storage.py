import numpy as np
import pytest
from safetensors.numpy import save_file

from cobrarec.baselines.content import ContentNeighbors
from cobrarec.baselines.popularity import Popularity
from cobrarec.baselines.storage import EMBEDDINGS, TRANSITIONS, choices_of_baseline, load_baseline, save_baseline
from cobrarec.baselines.transitions import TransitionCounts
from cobrarec.config import parse_config
from cobrarec.data.interactions import Histories
from cobrarec.errors import ArtifactError

TRAIN = Histories.from_lists([[0, 1, 2, 1], [3, 1, 0], [2, 0]])
TIES = np.array([3, 1, 0, 2, 4], dtype=np.uint64)
MADE = {
    "counts": TransitionCounts.fit(TRAIN, 5, TIES, window=2, last=3),
    "content": ContentNeighbors.fit(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), TRAIN, TIES, last=2),
    "popularity": Popularity.fit(TRAIN, 5, TIES),
}
HISTORIES = Histories.from_lists([[0, 1], [3], [], [4, 2]])


def config(ranker):
    return parse_config({"ranker": ranker, "content": {"last": 2}, "retrieval": {"include_history": True}})


def load(folder, ranker):
    return load_baseline(folder, config(ranker), MADE[ranker].popular, TIES.astype(np.int64))


@pytest.mark.parametrize("ranker", MADE)
def test_what_is_loaded_gives_the_lists_of_what_was_saved(tmp_path, ranker):
    save_baseline(MADE[ranker], tmp_path)
    loaded = load(tmp_path, ranker)
    first, second = MADE[ranker].with_settings(include_history=True).rank(HISTORIES, 5), loaded.rank(HISTORIES, 5)
    assert first.rows.tolist() == second.rows.tolist()
    assert first.log_scores.tolist() == second.log_scores.tolist()
    assert choices_of_baseline(loaded) == choices_of_baseline(MADE[ranker])
    assert all(path.suffix in (".npy", ".safetensors") for path in tmp_path.iterdir())


def test_the_choices_bear_the_names_of_their_settings():
    assert choices_of_baseline(MADE["counts"]) == {"window": 2, "last": 3}
    assert choices_of_baseline(MADE["content"]) == {"last": 2}
    assert choices_of_baseline(MADE["popularity"]) == {}


def test_arrays_of_another_catalog_or_form_are_refused(tmp_path):
    save_file(TransitionCounts.fit(TRAIN, 6, np.arange(6, dtype=np.uint64)).memory.arrays(), tmp_path / TRANSITIONS)
    with pytest.raises(ArtifactError, match="6 items, the catalog has 5"):
        load(tmp_path, "counts")
    np.save(tmp_path / EMBEDDINGS, np.zeros((4, 3), np.float32))
    with pytest.raises(ArtifactError, match="4 items, the catalog has 5"):
        load(tmp_path, "content")
    np.save(tmp_path / EMBEDDINGS, np.zeros(5))
    with pytest.raises(ArtifactError, match="float64"):
        load(tmp_path, "content")


def test_places_outside_the_catalog_are_refused(tmp_path):
    arrays = MADE["counts"].memory.arrays()
    save_file({**arrays, "indices": arrays["indices"] + 3}, tmp_path / TRANSITIONS)
    with pytest.raises(ValueError):
        load(tmp_path, "counts")
