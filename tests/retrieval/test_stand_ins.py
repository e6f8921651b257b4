import numpy as np
import pytest
import torch

from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval import stand_ins as module
from cobrarec.retrieval.stand_ins import StandIns


@pytest.fixture
def items():
    vectors = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    return ItemVectors(vectors, torch.zeros(30), torch.zeros(30))


def slow(vector, items, is_known):
    """Known items by falling cosine, each with its cosine."""
    cosines = {row: float(torch.cosine_similarity(vector, items.vectors[row], dim=0)) for row in np.flatnonzero(is_known).tolist()}
    return sorted(cosines.items(), key=lambda pair: -pair[1])


@pytest.mark.parametrize("cosines_at_once", [1, 60, 1000])
def test_the_nearest_known_items_stand_in_by_their_cosine(items, cosines_at_once, monkeypatch):
    monkeypatch.setattr(module, "NUM_NEIGHBORS", 3)
    monkeypatch.setattr(module, "_COSINES_AT_ONCE", cosines_at_once)
    is_known = np.arange(30) % 3 > 0
    vectors = 5 * torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    found = StandIns.nearest(vectors, np.array([True, True, False, True]), items, is_known)
    for place in (0, 1, 3):
        expected = slow(vectors[place], items, is_known)[:3]
        assert found.neighbors[place].tolist() == [row for row, _ in expected]
        cosines = np.maximum([cosine for _, cosine in expected], 0)
        np.testing.assert_allclose(found.weights[place], cosines / cosines.sum(), rtol=1e-5)
    assert not found.weights[2].any(), "it has counts of its own"


def test_what_is_like_nothing_has_no_stand_ins(items):
    opposed = ItemVectors(torch.tensor([[1.0, 0], [1, 1]]), torch.zeros(2), torch.zeros(2))
    found = StandIns.nearest(torch.tensor([[-1.0, -1]]), np.array([True]), opposed, np.array([True, True]))
    assert found.neighbors.shape == (1, 2)
    assert not found.weights.any()


@pytest.mark.parametrize(("needed", "known"), [(0, 30), (3, 0)])
def test_no_item_in_need_and_no_known_item_are_no_fault(items, needed, known):
    found = StandIns.nearest(items.vectors[:3], np.arange(3) < needed, items, np.arange(30) < known)
    assert not found.weights.any()


def test_parts_are_joined_in_an_order_and_what_is_missing_has_no_weight():
    first = StandIns(np.array([[5, 6], [7, 8]]), np.array([[0.5, 0.5], [0.9, 0.1]], np.float32))
    joined = StandIns.joined([(2, first), (1, None), (1, StandIns(np.array([[4]]), np.array([[1]], np.float32)))], np.array([3, 2, 1]))
    assert joined.neighbors.tolist() == [[4, 0], [0, 0], [7, 8]]
    np.testing.assert_allclose(joined.weights, [[1, 0], [0, 0], [0.9, 0.1]])
    assert StandIns.joined([(1, None), (2, None)], np.array([0])) is None
