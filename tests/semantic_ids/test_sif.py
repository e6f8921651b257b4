import numpy as np
import pytest

from cobrarec.errors import ArtifactError
from cobrarec.semantic_ids.sif import Sif, load_array, principal_components, token_weights, unit_rows


def test_frequent_tokens_weigh_less_and_unseen_ones_fully() -> None:
    weights = token_weights(np.array([0, 1, 99]))
    assert weights == pytest.approx([1, 1e-3 / (1e-3 + 0.01), 1e-3 / (1e-3 + 0.99)])


def test_the_removed_components_are_the_first_singular_vectors() -> None:
    rows = unit_rows(np.random.default_rng(0).normal(1, 1, size=(80, 6)).astype(np.float32))
    found = principal_components(rows, 3)
    expected = np.linalg.svd(rows)[2][:3]
    assert np.abs((found * expected).sum(axis=1)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("num_texts", "num_kept"), [(0, 0), (19, 0), (20, 1), (45, 2), (500, 3)])
def test_few_texts_lose_fewer_components(num_texts: int, num_kept: int) -> None:
    rows = np.random.default_rng(0).normal(size=(num_texts, 8)).astype(np.float32)
    assert len(principal_components(rows, 3)) == num_kept


def test_finished_rows_are_unit_length_and_free_of_the_components() -> None:
    rows = np.random.default_rng(0).normal(1, 1, size=(80, 6)).astype(np.float32)
    sif = Sif.off(5, 6).with_components_of(rows)
    finished = sif.finish(rows)
    assert np.linalg.norm(finished, axis=1) == pytest.approx(1, abs=1e-5)
    assert finished @ sif.components.T == pytest.approx(0, abs=1e-5)


def test_what_only_repeats_what_all_share_becomes_zeros() -> None:
    same = np.tile(np.array([[1.0, 2.0, 3.0, 4.0]], np.float32), (40, 1))
    assert not Sif.off(5, 4).with_components_of(same).finish(same).any()


def test_zeros_stay_zeros() -> None:
    assert not unit_rows(np.zeros((2, 3), np.float32)).any()
    assert not Sif.off(5, 3).finish(np.zeros((2, 3), np.float32)).any()


def test_a_damaged_array_is_refused(tmp_path) -> None:
    (tmp_path / "a.npy").write_bytes(b"nothing")
    np.save(tmp_path / "b.npy", np.zeros(3))
    for name in ("a.npy", "b.npy", "c.npy"):
        with pytest.raises(ArtifactError, match=name):
            load_array(tmp_path / name)
