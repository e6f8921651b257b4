import numpy as np
import pytest
import torch
from reference_retrieval import best_ids, paths
from small_world import PAPER, make_recommender, some_histories

from cobrarec.retrieval.beam_search import AllowedItems, beam_search, prune
from cobrarec.retrieval.encoded_histories import RemovedItems, encode_histories

CPU = torch.device("cpu")
ALL_LISTED = np.ones(60, np.bool_)
LEVELS = pytest.mark.parametrize(("num_levels", "codebook_size"), [(1, 12), (2, 5), (3, 4), (4, 3)])


def _search(recommender, histories, num_beams, allowed=None, removed=None):
    tables = recommender.model.tables
    removed = RemovedItems.none(CPU) if removed is None else removed
    with torch.no_grad():
        encoded = encode_histories(recommender.model, recommender.items, histories, removed, scan=False)
        filters = None if allowed is None else AllowedItems(allowed, tables)
        pruning = prune(tables, removed.users, removed.rows, filters)
        return beam_search(recommender.model, encoded.states, tables, num_beams, encoded.mass, pruning)


def _left(recommender, histories, user, mask=None):
    gone = set(histories.of(user).tolist())
    rows = range(recommender.semantic_ids.num_items)
    return {row for row in rows if row not in gone and (mask is None or mask[row])}


@LEVELS
@pytest.mark.parametrize("model", [{}, PAPER], ids=["default", "paper"])
def test_with_as_many_beams_as_ids_it_is_enumeration(num_levels, codebook_size, model):
    recommender, histories = make_recommender(num_levels, codebook_size, **model), some_histories(4)
    beams = _search(recommender, histories, recommender.semantic_ids.num_ids)
    for user in range(4):
        found, _ = paths(recommender, histories.of(user))
        assert sorted(beams.ids[user].tolist()) == sorted(found)
        expected = [found[index][0] for index in beams.ids[user].tolist()]
        assert beams.log_probs[user].tolist() == pytest.approx(expected, abs=1e-4)
        assert (beams.log_probs[user].diff() <= 1e-5).all()


@LEVELS
@pytest.mark.parametrize("num_beams", [1, 3, 7])
def test_few_beams_keep_the_best_prefixes_level_by_level(num_levels, codebook_size, num_beams):
    recommender, histories = make_recommender(num_levels, codebook_size), some_histories(5)
    beams = _search(recommender, histories, num_beams)
    for user in range(5):
        _, by_level = paths(recommender, histories.of(user))
        expected = best_ids(recommender, by_level, num_beams, set(range(recommender.semantic_ids.num_items)))
        assert sorted(beams.ids[user].tolist()) == expected


@LEVELS
@pytest.mark.parametrize("evidence", ["auto", "off"])
def test_probabilities_are_over_all_codes_so_missing_prefixes_are_not_renormalized(num_levels, codebook_size, evidence):
    recommender = make_recommender(num_levels, codebook_size, seed=99, item_evidence=evidence)
    recommender.model.evidence_gain.data.fill_(0.1)  # so that what no item has keeps a share that one can see
    ids = recommender.semantic_ids
    beams = _search(recommender, some_histories(3), ids.num_ids)
    total = torch.logsumexp(beams.log_probs, 1)
    if ids.num_ids < codebook_size**num_levels:
        assert (total < -1e-3).all()
    else:
        assert torch.allclose(total, torch.zeros(3), atol=1e-4)


@LEVELS
@pytest.mark.parametrize("num_beams", [2, 1000])
def test_removed_and_filtered_items_close_prefixes_and_change_no_probability(num_levels, codebook_size, num_beams):
    recommender, histories = make_recommender(num_levels, codebook_size), some_histories(6, longest=40)
    mask = torch.rand(60, generator=torch.Generator().manual_seed(1)) < 0.3
    removed = RemovedItems.of(histories, ALL_LISTED, CPU)
    beams = _search(recommender, histories, num_beams, mask, removed)
    for user in range(6):
        found, by_level = paths(recommender, histories.of(user))
        kept = [index for index in beams.ids[user].tolist() if index >= 0]
        assert sorted(kept) == best_ids(recommender, by_level, num_beams, _left(recommender, histories, user, mask))
        expected = [found[index][0] for index in kept]
        assert beams.log_probs[user, : len(kept)].tolist() == pytest.approx(expected, abs=1e-4)
        assert torch.isneginf(beams.log_probs[user, len(kept) :]).all()


def test_a_user_whose_history_is_the_whole_catalog_has_no_beam():
    recommender = make_recommender(2, 4)
    histories = type(some_histories()).from_lists([list(range(60)), [3]])
    beams = _search(recommender, histories, 5, removed=RemovedItems.of(histories, ALL_LISTED, CPU))
    assert (beams.ids[0] == -1).all()
    assert (beams.ids[1] >= 0).all()
    assert not torch.isnan(beams.log_probs).any()


def test_without_levels_the_one_beam_is_the_root():
    beams = _search(make_recommender(0), some_histories(3), 5)
    assert beams.ids.tolist() == [[0]] * 3
    assert beams.log_probs.tolist() == [[0.0]] * 3


def test_states_are_those_at_the_last_code():
    recommender, histories = make_recommender(3, 4), some_histories(3)
    beams = _search(recommender, histories, 8)
    with torch.no_grad():
        encoded = encode_histories(recommender.model, recommender.items, histories, RemovedItems.none(CPU), scan=False)
        queries = recommender.model.dense_queries(beams.states, encoded.states.last_state)
    for user in range(3):
        found, _ = paths(recommender, histories.of(user))
        for beam, index in enumerate(beams.ids[user].tolist()):
            assert torch.allclose(queries[user, beam], found[index][1], atol=1e-4)
