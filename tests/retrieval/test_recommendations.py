import numpy as np
import pytest
import torch
from small_world import NUM_ITEMS, make_recommender, some_histories, without_scans

from cobrarec.errors import DataError
from cobrarec.retrieval.recommendations import RankedLists


def _listed(recommender, **more):
    return recommender.recommend([["B001", "B002", "B003"], [], ["B007"]], 8, **more)


def test_a_record_says_item_score_rank_semantic_id_and_source():
    recommender = make_recommender(2, 5)
    lists = _listed(recommender)
    assert len(lists) == 3
    for place, record in enumerate(lists[0]):
        row = int(record.item_id[1:])
        assert record.rank == place + 1
        assert record.semantic_id == tuple(recommender.semantic_ids.codes[row].tolist())
        assert record.source == "beam"
        assert record.why is None
    scores = [record.score for record in lists[0]]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert scores[0] < 1


def test_lists_behave_like_a_sequence():
    lists = _listed(make_recommender())
    assert lists[-1] == lists[2]
    assert lists[0:2] == [lists[0], lists[1]]
    assert [len(one) for one in lists] == [8, 8, 8]
    with pytest.raises(IndexError):
        lists[3]


@pytest.mark.parametrize("num_levels", [0, 1, 3])
@pytest.mark.parametrize("scan", [True, False])
def test_the_terms_of_why_sum_to_the_log_score(num_levels, scan):
    recommender = make_recommender(num_levels, 4, retrieval={"num_beams": 2, "items_per_beam": 2})
    recommender = recommender if scan else without_scans(recommender)
    for one in _listed(recommender, explain=True):
        for record in one:
            assert sum(record.why.terms.values()) == pytest.approx(np.log(record.score), abs=2e-5)
            names = {"beam": {"beam", "similarity", "direct"}, "fill": {"fill"}, "popular": {"popularity"}}[record.source]
            assert set(record.why.terms) == names


def test_filled_items_of_a_model_without_queries_have_reasons_too():
    recommender = make_recommender(1, 6, use_dense=False, retrieval={"num_beams": 2, "items_per_beam": 1})
    filled = [record for record in recommender.recommend([["B001"]], 8, explain=True)[0] if record.source == "fill"]
    assert filled
    assert all(r.why.terms == {"fill": pytest.approx(np.log(r.score), abs=2e-5)} for r in filled)


def test_an_empty_batch_is_an_empty_table_and_ids_pair_with_lists():
    recommender = make_recommender()
    assert recommender.recommend([]).to_arrow([]).schema.names == ["user_id", "rank", "item_id", "score", "source"]
    assert len(recommender.recommend([]).to_arrow()) == 0
    with pytest.raises(DataError, match="1 user ids for 3 lists"):
        _listed(recommender).to_arrow(["a"])


def test_explaining_changes_no_list():
    recommender = make_recommender(2, 5, retrieval={"num_beams": 2})
    plain, explained = _listed(recommender), _listed(recommender, explain=True)
    assert [[(r.item_id, r.score) for r in one] for one in plain] == [[(r.item_id, r.score) for r in one] for one in explained]


def test_why_gives_the_beams_probability_and_the_cosine_with_the_dense_prediction():
    recommender = make_recommender(1, 6, retrieval={"num_beams": 6, "direct_weight": 0.0, "tau": 1.0, "psi": 3.0})
    one = recommender.recommend([["B001", "B002"]], NUM_ITEMS, explain=True)[0]
    by_id = {record.semantic_id: record.why.beam_probability for record in one}
    assert sum(by_id.values()) <= 1 + 1e-6
    normalized = {key: np.log(value / sum(by_id.values())) for key, value in by_id.items()}
    items, temperature = recommender.items, recommender.model.dense_temperature.item()
    for record in one:
        row = int(record.item_id[1:])
        assert record.why.terms["beam"] == pytest.approx(normalized[record.semantic_id], abs=1e-4)
        bucket = [r for r in one if r.semantic_id == record.semantic_id]
        logits = [3 * (r.why.cosine + temperature * items.dense_bias[int(r.item_id[1:])].item()) for r in bucket]
        own = 3 * (record.why.cosine + temperature * items.dense_bias[row].item())
        assert record.why.terms["similarity"] == pytest.approx(own - np.logaddexp.reduce(logits), abs=1e-4)
        assert -1 <= record.why.cosine <= 1


def test_why_names_the_history_item_of_the_nearest_vector():
    recommender = make_recommender()
    unit = torch.nn.functional.normalize(recommender.items.vectors, dim=1)
    for record in _listed(recommender, explain=True)[0]:
        cosines = {f"B{row:03d}": (unit[row] @ unit[int(record.item_id[1:])]).item() for row in (1, 2, 3)}
        assert record.why.nearest_history_item == max(cosines, key=cosines.get)


def test_popular_items_have_no_beam_no_cosine_and_no_nearest_item():
    record = _listed(make_recommender(), explain=True)[1][0]
    assert record.source == "popular"
    assert record.why.beam_probability is record.why.cosine is record.why.nearest_history_item is None


def test_lists_can_be_appended_to_as_far_as_there_is_room():
    lists = RankedLists.empty(2, 3)
    lists.rows[0, :2], lists.log_scores[0, :2], lists.sources[0, :2] = [5, 6], [-1.0, -2.0], 0
    more = RankedLists.empty(2, 3)
    more.rows[0], more.log_scores[0], more.sources[0] = [7, 8, 9], [-3.0, -4.0, -5.0], 1
    lists.append(np.array([0, 1]), more)
    assert lists.rows.tolist() == [[5, 6, 7], [-1, -1, -1]]
    assert lists.sources.tolist() == [[0, 0, 1], [-1, -1, -1]]
    assert lists.scores[0, 2] == pytest.approx(np.exp(-3.0))


def test_all_lists_are_as_wide_as_asked_for_and_marked_where_they_end():
    ranked = make_recommender(retrieval={"num_beams": 1, "fill": False}).rank(some_histories(4), 40)
    ends = ranked.rows < 0
    assert ranked.rows.shape == (4, 40)
    assert (ranked.rows.dtype, ranked.sources.dtype, ranked.log_scores.dtype) == (np.int32, np.int8, np.float64)
    assert np.isneginf(ranked.log_scores[ends]).all()
    assert (ranked.sources[ends] == -1).all()
    assert (ranked.scores[ends] == 0).all()


def test_a_table_of_the_lists_holds_what_the_records_say():
    recommender = make_recommender()
    lists = recommender.recommend([["B001", "B002"], [], ["B003"]], 4)
    table = lists.to_arrow(["u", "v", "w"])
    assert table.schema.names == ["user_id", "rank", "item_id", "score", "source"]
    records = [(user, r.rank, r.item_id, r.score, r.source) for user, one in zip("uvw", lists, strict=True) for r in one]
    assert [tuple(row.values()) for row in table.to_pylist()] == records
    assert {row["source"] for row in table.to_pylist() if row["user_id"] == "v"} == {"popular"}
    assert lists.to_arrow()["user_id"].to_pylist() == [0] * 4 + [1] * 4 + [2] * 4


def test_no_users_and_no_items_make_an_empty_table_of_the_same_form():
    recommender = make_recommender()
    whole = recommender.recommend([["B001"]], 4).to_arrow(["u"])
    assert recommender.recommend([["B001"]], 4, allow=[]).to_arrow(["u"]).schema == whole.schema
    assert recommender.recommend([], 4).to_arrow().num_rows == 0


def test_lists_show_themselves_briefly():
    assert repr(_listed(make_recommender())) == "Recommendations(3 lists of up to 8 items)"
