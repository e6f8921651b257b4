import numpy as np
import pytest
from list_worlds import ALL_BEAMS, EVERY_WORLD, assert_lists_are, assert_same_list, assert_same_lists, users_of
from small_world import NUM_ITEMS, make_recommender, some_histories, with_popularity, without_scans

from cobrarec.data.interactions import Histories
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.retrieval.recommendations import SOURCES


def test_small_chunks_change_nothing(monkeypatch):
    recommender, histories = make_recommender(2, 5, retrieval={"num_beams": 4}), some_histories(20)
    whole = recommender.rank(histories, 25)
    monkeypatch.setattr("cobrarec.retrieval.list_search.NUMBERS_PER_CHUNK", 200)
    assert_same_lists(recommender.rank(histories, 25), whole)


def test_an_id_whose_items_are_all_in_the_history_makes_no_nan_and_leaves_the_beams():
    recommender = make_recommender(1, 6, retrieval=ALL_BEAMS)
    bucket = recommender.semantic_ids.bucket(2).tolist()
    histories = Histories.from_lists([bucket, bucket + [0]])
    ranked = recommender.rank(histories, NUM_ITEMS)
    assert not np.isnan(ranked.log_scores).any()
    assert_lists_are(recommender, histories, ranked, 1000, NUM_ITEMS)


def test_the_probabilities_of_the_bucket_reading_sum_to_one():
    recommender = make_recommender(2, 5, retrieval={**ALL_BEAMS, "direct_weight": 0.0})
    assert recommender.rank(some_histories(5), NUM_ITEMS).scores.sum(1) == pytest.approx(np.ones(5), abs=1e-3)
    direct = recommender.with_settings(direct_weight=1.0).rank(some_histories(5), NUM_ITEMS)
    assert direct.scores.sum(1) == pytest.approx(np.ones(5), abs=1e-3)


@pytest.mark.parametrize("num_levels", [1, 2, 3])
def test_beams_grow_until_they_hold_k_items_and_only_for_the_users_who_lack_them(num_levels):
    recommender, histories = make_recommender(num_levels, 5, retrieval={"num_beams": 2}), some_histories(12)
    few, many = recommender.rank(histories, 3), recommender.rank(histories, 30)
    assert (many.lengths == 30).all()
    assert (many.sources == SOURCES.index("beam")).all()
    assert (many.num_beams > few.num_beams).all()
    assert set(many.num_beams.tolist()) <= {2, 4, 8, 16, 32, recommender.semantic_ids.num_ids}
    for user in range(12):
        wide = recommender.with_settings(num_beams=int(many.num_beams[user])).rank(histories.select(np.array([user])), 30)
        assert_same_lists(wide, users_of(many, [user]), up_to_a_constant=True)


def test_growth_for_one_user_leaves_the_others_lists_alone():
    recommender = make_recommender(2, 5, retrieval={"num_beams": 4})
    full = recommender.semantic_ids
    greedy = recommender.rank(some_histories(12), 12)
    assert len(set(greedy.num_beams.tolist())) > 1
    for user in np.flatnonzero(greedy.num_beams == 4):
        alone = recommender.rank(some_histories(12).select(np.array([user])), 12)
        assert_same_lists(alone, users_of(greedy, [user]))
    assert greedy.num_beams.max() <= full.num_ids


@EVERY_WORLD
def test_too_few_candidates_are_filled_with_nearest_items_ranked_below(world):
    recommender, histories = make_recommender(**world, retrieval={"num_beams": 2, "items_per_beam": 1}), some_histories(8)
    ranked = recommender.rank(histories, 40)
    for user in range(8):
        allowed = NUM_ITEMS - len(set(histories.of(user).tolist()))
        assert ranked.lengths[user] == min(40, allowed) == len(set(ranked.rows[user][ranked.rows[user] >= 0].tolist()))
        sources = ranked.sources[user, : ranked.lengths[user]]
        assert (np.diff(sources) >= 0).all()
        num_beam = int((sources == 0).sum())
        left = np.setdiff1d(np.arange(NUM_ITEMS), histories.of(user))
        assert num_beam == min(40, len(set(recommender.semantic_ids.id_of_row[left].tolist())))
        scores = ranked.log_scores[user, : ranked.lengths[user]]
        assert (np.diff(scores) <= 0).all()
        assert num_beam == len(scores) or scores[num_beam] < scores[num_beam - 1]


def test_filled_items_are_the_nearest_by_the_direct_query():
    recommender, histories = make_recommender(1, 6, retrieval={"fusion": "top-id", "num_beams": 3}), some_histories(4)
    whole = recommender.with_settings(fusion="beam-fusion", direct_weight=1.0, **ALL_BEAMS).rank(histories, NUM_ITEMS)
    ranked = recommender.rank(histories, 45)
    for user in range(4):
        filled, kept = ranked.sources[user] == 1, ~np.isin(whole.rows[user], ranked.rows[user, ranked.sources[user] == 0])
        nearest = whole.rows[user, kept][: filled.sum()], whole.log_scores[user, kept][: filled.sum()]
        assert_same_list((ranked.rows[user, filled], ranked.log_scores[user, filled]), nearest, up_to_a_constant=True)


def test_filled_items_obey_the_filters():
    recommender = make_recommender(1, 6, retrieval={"fusion": "top-id"})
    allowed = [f"B{row:03d}" for row in range(20)]
    lists = recommender.recommend([["B050"], ["B003", "B051"]], 60, allow=allowed)
    assert [{r.item_id for r in one} for one in lists] == [set(allowed), set(allowed) - {"B003"}]


def test_without_fill_lists_stay_short_and_beams_few():
    recommender = make_recommender(1, 6, retrieval={"num_beams": 2, "fill": False})
    ranked = recommender.rank(some_histories(8), 50)
    assert (ranked.lengths < 50).all()
    assert (ranked.num_beams == 2).all()


def test_top_id_lists_the_best_ids_items_first():
    recommender, histories = make_recommender(2, 4, retrieval={"fusion": "top-id", "fill": False, "direct_weight": 0.0}), some_histories(5)
    ranked, one = recommender.rank(histories, 50), recommender.with_settings(fusion="beam-fusion", **ALL_BEAMS).rank(histories, 60)
    for user in range(5):
        own = ranked.rows[user, : ranked.lengths[user]]
        ids = set(recommender.semantic_ids.id_of_row[own].tolist())
        assert len(ids) == 1
        same = np.array([row >= 0 and recommender.semantic_ids.id_of_row[row] in ids for row in one.rows[user]])
        expected = one.rows[user, same], one.log_scores[user, same]
        assert_same_list((own, ranked.log_scores[user, : len(own)]), expected, up_to_a_constant=True)


def test_without_dense_vectors_the_items_of_an_id_share_its_score_and_go_by_hash():
    recommender = make_recommender(1, 6, use_dense=False, retrieval={**ALL_BEAMS, "direct_weight": 0.0})
    ranked = recommender.rank(Histories.from_lists([[5, 9]]), NUM_ITEMS)
    rows = ranked.rows[0, : ranked.lengths[0]]
    for index in range(recommender.semantic_ids.num_ids):
        places = np.flatnonzero(recommender.semantic_ids.id_of_row[rows] == index)
        assert len(set(ranked.log_scores[0, places].tolist())) <= 1
        assert (np.diff(recommender._tie_ranks[rows[places]]) > 0).all()


@pytest.mark.parametrize("direct_weight", [0.0, 0.3])
def test_a_memory_adds_the_log_of_its_counts_to_the_items_of_the_beams(direct_weight):
    settings = {"num_beams": 3, "direct_weight": direct_weight, "memory_weight": 0.7}
    recommender, histories = make_recommender(1, 6, retrieval=settings), some_histories(10)
    assert_lists_are(recommender, histories, recommender.rank(histories, 8), 3, 8)
    plain = recommender.with_settings(memory_weight=0.0).rank(histories, 8)
    assert (plain.rows != recommender.rank(histories, 8).rows).any()
    for items in recommender.recommend_to(histories, 8, explain=True):
        for item in items:
            assert sum(item.why.terms.values()) == pytest.approx(np.log(item.score), abs=2e-5)
        assert any(item.why.terms["memory"] > 0 for item in items) or len(items) < 8


def test_several_weights_give_the_lists_of_each():
    recommender, histories = make_recommender(2, 5, retrieval={"num_beams": 3}), some_histories(10)
    tried = [FusionWeights(0.0), FusionWeights(0.4, 1.2), FusionWeights(1.0, 0.3)]
    for one, ranked in zip(tried, recommender.rank_with_weights(histories, 12, tried), strict=True):
        single = recommender.with_settings(direct_weight=one.direct, memory_weight=one.memory).rank(histories, 12)
        assert (single.rows == ranked.rows).all()
        assert (single.log_scores == ranked.log_scores).all()


@pytest.mark.parametrize("evidence", ["off", "centroids"])
@pytest.mark.parametrize("num_levels", [0, 1, 2])
def test_catalogs_too_large_to_scan_get_the_same_order_from_the_beams_alone(num_levels, evidence):
    evidence = "off" if num_levels == 0 else evidence
    exact = make_recommender(num_levels, 5, item_evidence=evidence, retrieval={"num_beams": 3})
    large, histories = without_scans(exact), some_histories(8)
    assert_same_lists(exact.rank(histories, 20), large.rank(histories, 20), up_to_a_constant=True)
    one, two = (recommender.with_settings(fusion="top-id").rank(histories, 50) for recommender in (exact, large))
    assert (one.sources == two.sources).all()
    assert (one.sources == SOURCES.index("fill")).any() == (num_levels > 0)  # without IDs the one bucket is the catalog
    assert_same_lists(one, two, up_to_a_constant=True)


def test_the_largest_buckets_bound_how_many_users_are_searched_at_once():
    search = make_recommender(1, 6).network
    assert search.users_per_chunk(1) == 256
    search.largest_buckets[0], kept = 10**6, search.largest_buckets[0]
    try:
        assert search.users_per_chunk(1) == 2
    finally:
        search.largest_buckets[0] = kept


@EVERY_WORLD
@pytest.mark.parametrize("level", [-2.0, 3.0])
def test_the_level_of_new_items_is_added_to_both_of_their_biases(world, level):
    recommender, histories = make_recommender(**world, retrieval={**ALL_BEAMS, "memory_weight": 0.4}), some_histories(8)
    raised = recommender.with_settings(new_item_level=level)
    assert_lists_are(raised, histories, raised.rank(histories, 15), 1000, 15)
    few = raised.with_settings(num_beams=4, fill=False)
    assert_lists_are(few, histories, few.rank(histories, 15), 4, 15)


def test_the_level_holds_for_lists_that_are_filled_and_in_catalogs_that_are_not_scanned():
    recommender = make_recommender(2, 5, retrieval={"num_beams": 3, "items_per_beam": 1, "direct_weight": 1.0})
    is_new = recommender.info.popularity == 0

    def share_of_new(ranked):
        return is_new[ranked.rows].mean()

    for one in (recommender, without_scans(recommender)):
        listed = [share_of_new(one.with_settings(new_item_level=level).rank(some_histories(20), 10)) for level in (-50, 0, 2, 50)]
        assert listed == sorted(listed)
        assert listed[0] == 0 < listed[1] < listed[3]


def test_a_level_of_zero_changes_no_bit_and_comes_back():
    recommender, histories = make_recommender(2, 5), some_histories(20)
    plain, raised = recommender.rank(histories, 20), recommender.with_settings(new_item_level=1.0)
    assert (raised.rank(histories, 20).rows != plain.rows).any()
    for same in (recommender.with_settings(new_item_level=0.0), raised.with_settings(new_item_level=0.0)):
        ranked = same.rank(histories, 20)
        assert ranked.rows.tobytes() == plain.rows.tobytes()
        assert ranked.log_scores.tobytes() == plain.log_scores.tobytes()


def test_under_another_level_no_vector_is_copied_and_the_items_stay_what_they_are():
    network = make_recommender(2, 5).network
    raised = network.with_config(network.config.model_copy(update={"new_item_level": 1.0}))
    assert raised.items is network.items
    assert raised.listed_items.unit is network.items.unit
    assert raised.index.vectors is network.index.vectors
    rows = network.tables.bucket_rows
    assert raised.listed_items.unit_in_order(rows) is network.listed_items.unit_in_order(rows)


def test_where_every_item_was_taken_the_level_changes_nothing():
    recommender = with_popularity(make_recommender(2, 5), np.ones(NUM_ITEMS, np.int64))
    assert_same_lists(recommender.with_settings(new_item_level=3.0).rank(some_histories(9), 10), recommender.rank(some_histories(9), 10))
