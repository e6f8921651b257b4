import numpy as np
import pytest
import torch
from reference_retrieval import random_codes

from cobrarec.retrieval.item_index import ExactIndex, nearest_in_history, nearest_per_pair
from cobrarec.semantic_ids.semantic_ids import SemanticIds

NONE = torch.zeros(0, dtype=torch.int64)


def _world(num_items=60, num_levels=2, codebook_size=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = SemanticIds.from_codes(random_codes(num_items, num_levels, codebook_size, seed), codebook_size)
    vectors = torch.nn.functional.normalize(torch.randn(num_items, 8, generator=generator), dim=1)
    biases = torch.randn(num_items, generator=generator) * 0.1
    tie_ranks = np.random.default_rng(seed).permutation(num_items)
    return ids, vectors, biases, tie_ranks, ExactIndex(vectors, biases, ids, tie_ranks)


def _queries(num, seed=1):
    return torch.nn.functional.normalize(torch.randn(num, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize(("num_items", "codebook_size"), [(60, 3), (600, 2), (40, 16)])
@pytest.mark.parametrize("num_levels", [0, 1, 2, 3, 4])
def test_in_bucket_search_is_an_argsort_of_the_bucket(num_items, codebook_size, num_levels):
    ids, vectors, biases, _, index = _world(num_items, num_levels, codebook_size)
    asked = torch.from_numpy(np.random.default_rng(2).integers(0, ids.num_ids, 37))
    queries = _queries(37)
    found = index.search(queries, asked, NONE, NONE)
    for pair in range(37):
        bucket = ids.bucket(int(asked[pair]))
        expected = vectors[bucket] @ queries[pair] + biases[bucket]
        places = slice(int(found.offsets[pair]), int(found.offsets[pair + 1]))
        assert (found.pairs[places] == pair).all()
        order = torch.argsort(found.similarities[places], descending=True)
        assert found.rows[places][order].tolist() == bucket[torch.argsort(expected, descending=True).numpy()].tolist()
        assert torch.allclose(found.similarities[places].sort().values, expected.sort().values, atol=1e-6)


def test_removed_items_are_struck_out_of_their_pair_alone():
    ids, _, _, _, index = _world()
    asked = torch.tensor([0, 1, 0])
    row = int(ids.bucket(0)[1])
    found = index.search(_queries(3), asked, torch.tensor([2]), torch.tensor([row]))
    gone = torch.isneginf(found.similarities)
    assert gone.sum() == 1
    assert found.pairs[gone].item() == 2
    assert found.rows[gone].item() == row


def test_a_beam_that_is_none_finds_nothing():
    _, _, _, _, index = _world()
    found = index.search(_queries(2), torch.tensor([-1, 0]), NONE, NONE)
    assert (found.pairs == 1).all()
    assert found.num_pairs == 2
    nothing = index.search(_queries(2), torch.tensor([-1, -1]), NONE, NONE)
    assert len(nothing.rows) == 0


def test_one_product_per_bucket_and_gathered_vectors_agree(monkeypatch):
    _, _, _, _, index = _world()
    queries, asked = _queries(30), torch.arange(30) % 9 - 1
    results = []
    for threshold in (0, 10**9):
        monkeypatch.setattr("cobrarec.retrieval.item_index.GATHER_BELOW", threshold)
        results.append(index.search(queries, asked, NONE, NONE))
    assert results[0].rows.tolist() == results[1].rows.tolist()
    assert torch.allclose(results[0].similarities, results[1].similarities, atol=1e-6)


def test_without_queries_all_items_of_an_id_are_alike():
    _, _, _, _, index = _world()
    assert (index.search(None, torch.tensor([0, 1]), NONE, NONE).similarities == 0).all()


def test_other_biases_keep_the_layout():
    _, vectors, biases, _, index = _world()
    asked, queries = torch.tensor([2, 0]), _queries(2)
    one, two = index.search(queries, asked, NONE, NONE), index.with_biases(biases + 1).search(queries, asked, NONE, NONE)
    assert one.rows.tolist() == two.rows.tolist()
    assert torch.allclose(one.similarities + 1, two.similarities, atol=1e-6)


def test_items_of_a_bucket_lie_in_the_order_of_their_ties():
    _, _, _, tie_ranks, index = _world()
    found = index.search(_queries(1), torch.tensor([3]), NONE, NONE)
    ranks = tie_ranks[found.rows.numpy()]
    assert (np.diff(ranks) > 0).all()


def test_the_nearest_per_pair_are_its_best_scores():
    _, _, _, _, index = _world()
    found = index.search(_queries(5), torch.tensor([0, 1, 2, 1, -1]), torch.tensor([0]), torch.tensor([int(index.rows[0])]))
    kept = nearest_per_pair(found, found.similarities, 2)
    for pair in range(5):
        own = found.similarities[found.pairs == pair]
        expected = own[torch.isfinite(own)].sort(descending=True).values[:2]
        assert found.similarities[kept & (found.pairs == pair)].sort(descending=True).values.tolist() == expected.tolist()


def test_equal_scores_at_the_cut_go_by_the_ties_rank():
    _, _, _, tie_ranks, index = _world()
    found = index.search(None, torch.tensor([0, 3]), NONE, NONE)
    kept = nearest_per_pair(found, found.similarities, 1)
    for pair in (0, 1):
        own = found.rows[found.pairs == pair].numpy()
        assert found.rows[kept & (found.pairs == pair)].item() == own[np.argmin(tie_ranks[own])]


def test_the_nearest_item_of_a_history_has_the_largest_cosine_and_is_the_latest_of_equals():
    unit = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, 1.0]])
    assert nearest_in_history(unit, np.array([0, 1, 3]), np.array([2, 0, 1])).tolist() == [3, 0, 3]
    assert nearest_in_history(unit, np.array([3, 1, 0]), np.array([2])).tolist() == [1]
