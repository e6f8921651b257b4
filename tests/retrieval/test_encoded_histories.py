import numpy as np
import pytest
import torch
from small_world import NUM_ITEMS, make_recommender, some_histories

from cobrarec.data.interactions import Histories
from cobrarec.retrieval.encoded_histories import RemovedItems, encode_histories, log_softmax_without

CPU = torch.device("cpu")
ALL_LISTED = np.ones(NUM_ITEMS, np.bool_)


def _as_sets(removed, num_users):
    return [set(removed.rows[removed.users == user].tolist()) for user in range(num_users)]


def test_each_history_item_is_removed_once_however_old():
    removed = RemovedItems.of(Histories.from_lists([[3, 1, 3, 1, 1], [], [7]]), np.ones(10, np.bool_), CPU)
    assert removed.users.tolist() == [0, 0, 2]
    assert removed.rows.tolist() == [1, 3, 7]


def test_selected_users_are_numbered_anew():
    histories = some_histories(6)
    removed = RemovedItems.of(histories, ALL_LISTED, CPU)
    chosen = torch.tensor([1, 4])
    assert _as_sets(removed.select(chosen, 6), 2) == [set(histories.of(1).tolist()), set(histories.of(4).tolist())]


def test_removed_items_are_found_among_the_beams_that_hold_them():
    recommender, histories = make_recommender(2, 5), some_histories(6, longest=30)
    tables, removed = recommender.model.tables, RemovedItems.of(histories, ALL_LISTED, CPU)
    beams = torch.stack([torch.randperm(tables.num_ids, generator=torch.Generator().manual_seed(u))[:4] for u in range(6)])
    beams[2, 3] = -1
    pairs, rows = removed.pairs(beams, tables)
    id_of_row = recommender.semantic_ids.id_of_row
    expected = {
        (user * 4 + beam, row)
        for user in range(6)
        for beam in range(4)
        for row in set(histories.of(user).tolist())
        if id_of_row[row] == beams[user, beam].item()
    }
    assert set(zip(pairs.tolist(), rows.tolist(), strict=True)) == expected
    assert len(pairs) == len(expected)


def test_log_softmax_leaves_out_what_is_removed():
    logits = torch.randn(3, 5)
    removed = RemovedItems(torch.tensor([0, 0, 2, 2, 2, 2, 2]), torch.tensor([1, 4, 0, 1, 2, 3, 4]))
    kept = logits[0, [0, 2, 3]]
    log_probs = log_softmax_without(logits.clone(), removed)
    assert torch.allclose(log_probs[0, [0, 2, 3]], torch.log_softmax(kept, 0))
    assert torch.isneginf(log_probs[0, [1, 4]]).all()
    assert torch.allclose(log_probs[1], torch.log_softmax(logits[1], 0))
    assert torch.isneginf(log_probs[2]).all()


@torch.no_grad()
def test_the_direct_queries_log_probabilities_are_over_the_catalog_less_the_history():
    recommender, histories = make_recommender(2, 5), some_histories(4)
    removed = RemovedItems.of(histories, ALL_LISTED, CPU)
    encoded = encode_histories(recommender.model, recommender.items, histories, removed, scan=True)
    assert torch.allclose(torch.logsumexp(encoded.log_direct, 1), torch.zeros(4), atol=1e-5)
    assert all(torch.isneginf(encoded.log_direct[u, list(items)]).all() for u, items in enumerate(_as_sets(removed, 4)))
    assert encode_histories(recommender.model, recommender.items, histories, removed, scan=False).log_direct is None


@torch.no_grad()
@pytest.mark.parametrize(("evidence", "error"), [("exact", 1e-4), ("centroids", 0.5)])
def test_the_denominator_of_large_catalogs_comes_from_the_evidence(evidence, error):
    recommender, histories = make_recommender(2, 5, item_evidence=evidence), some_histories(4)
    encoded = encode_histories(recommender.model, recommender.items, histories, RemovedItems.none(CPU), scan=False)
    exact = torch.logsumexp(recommender.model.direct_logits(encoded.direct_query, recommender.items, None), 1, keepdim=True)
    assert (encoded.direct_normalizer - exact).abs().max() < error


@torch.no_grad()
def test_without_evidence_the_denominator_is_left_out():
    recommender = make_recommender(2, 5, item_evidence="off")
    encoded = encode_histories(recommender.model, recommender.items, some_histories(4), RemovedItems.none(CPU), scan=False)
    assert (encoded.direct_normalizer == 0).all()
