import dataclasses

import numpy as np
import pytest
from list_worlds import ALL_BEAMS, EVERY_WORLD, READINGS, assert_lists_are, assert_same_list, assert_same_lists, users_of
from small_world import NUM_ITEMS, PAPER, ids_of, make_recommender, replaced, some_histories, with_popularity

from cobrarec.config import DataConfig
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import Histories
from cobrarec.errors import ConfigError, DataError
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.semantic_ids.semantic_ids import SemanticIds


def _ids(recommender, lists):
    return [[r.item_id for r in one] for one in lists]


def _numbers(records):
    return [int(r.item_id[1:]) for r in records], np.log([r.score for r in records])


@EVERY_WORLD
@READINGS
def test_with_all_beams_the_list_is_the_enumeration_of_all_items(world, reading):
    recommender = make_recommender(**world, retrieval={**ALL_BEAMS, "similarity_softmax": reading})
    histories = some_histories(4)
    assert_lists_are(recommender, histories, recommender.rank(histories, NUM_ITEMS), 1000, NUM_ITEMS)


@EVERY_WORLD
@pytest.mark.parametrize("num_nearest", [None, 2])
def test_few_beams_give_the_list_of_the_slow_version(world, num_nearest):
    settings = {"num_beams": 3, "items_per_beam": num_nearest, "fill": False, "tau": 0.9, "psi": 5.0, "similarity_softmax": "candidates"}
    recommender, histories = make_recommender(**world, retrieval=settings), some_histories(5)
    assert_lists_are(recommender, histories, recommender.rank(histories, 10), 3, 10)


@EVERY_WORLD
def test_a_user_gets_the_same_list_alone_and_in_any_batch(world):
    recommender, histories = make_recommender(**world, retrieval={"num_beams": 4}), some_histories(30, longest=20)
    together = recommender.rank(histories, 15)
    shuffled = np.random.default_rng(0).permutation(30)
    mixed = recommender.rank(histories.select(shuffled), 15)
    assert_same_lists(users_of(together, shuffled), mixed)
    for user in np.argsort(histories.lengths, kind="stable")[::3]:  # from 1 item, which the others pad, to more than are read
        alone = recommender.rank(histories.select(np.array([user])), 15)
        assert_same_lists(alone, users_of(together, [user]))
        assert np.abs(alone.log_scores[0] - together.log_scores[user]).max() <= 1.01e-5


@EVERY_WORLD
def test_filters_strike_out_of_the_unfiltered_ranking_and_change_no_score(world):
    recommender, histories = make_recommender(**world, retrieval=ALL_BEAMS), some_histories(4)
    lists = [ids_of(recommender, histories.of(user)) for user in range(4)]
    whole = recommender.recommend(lists, NUM_ITEMS)
    excluded = [f"B{row:03d}" for row in range(0, NUM_ITEMS, 3)]
    allowed = [f"B{row:03d}" for row in range(0, NUM_ITEMS, 2)]
    for filters, passes in [
        ({"exclude": excluded}, lambda item: item not in excluded),
        ({"allow": allowed}, lambda item: item in allowed),
        ({"exclude": excluded, "allow": allowed}, lambda item: item in allowed and item not in excluded),
        ({"where": {"title": [f"title {int(item[1:])}" for item in allowed]}}, lambda item: item in allowed),
        ({"exclude": excluded, "where": {"item_id": allowed}}, lambda item: item in allowed and item not in excluded),
        ({"allow": allowed, "where": {"item_id": excluded}}, lambda item: item in allowed and item in excluded),
    ]:
        filtered = recommender.recommend(lists, NUM_ITEMS, **filters)
        for one, two in zip(whole, filtered, strict=True):
            assert_same_list(_numbers([r for r in one if passes(r.item_id)]), _numbers(two))


@EVERY_WORLD
@READINGS
def test_filters_with_few_beams_give_the_list_of_the_slow_version(world, reading):
    settings = {"num_beams": 3, "items_per_beam": 4, "fill": False, "similarity_softmax": reading}
    recommender, histories = make_recommender(**world, retrieval=settings), some_histories(4)
    struck = list(range(0, NUM_ITEMS, 2))
    lists = [ids_of(recommender, histories.of(user)) for user in range(4)]
    filtered = recommender.recommend(lists, 10, exclude=ids_of(recommender, struck))
    assert_lists_are(recommender, histories, filtered.ranked, 3, 10, struck)


@EVERY_WORLD
def test_the_history_is_never_listed_unless_asked_for(world):
    histories = some_histories(6, longest=30)
    for include in (False, True):
        recommender = make_recommender(**world, retrieval={**ALL_BEAMS, "include_history": include})
        ranked = recommender.rank(histories, NUM_ITEMS)
        for user in range(6):
            own = set(histories.of(user).tolist())
            assert bool(own & set(ranked.rows[user].tolist())) == include
            assert ranked.lengths[user] == (NUM_ITEMS if include else NUM_ITEMS - len(own))
        if include:
            assert_lists_are(recommender, histories, ranked, 1000, NUM_ITEMS)


@pytest.mark.parametrize("weights", [FusionWeights(1.5), FusionWeights(0.5, -1.0), FusionWeights(0.5, float("nan"))])
def test_weights_out_of_range_are_refused(weights):
    with pytest.raises(DataError, match="between 0 and 1"):
        make_recommender().rank_with_weights(some_histories(2), 5, [weights])


def test_an_empty_history_gets_popular_items():
    recommender = with_popularity(make_recommender(), np.arange(NUM_ITEMS) // 2)
    lists = recommender.recommend([[], ["B001"]], 4)
    assert {r.source for r in lists[0]} == {"popular"}
    assert {r.item_id for r in lists[0][:2]} == {"B058", "B059"}
    assert {r.item_id for r in lists[0][2:]} == {"B056", "B057"}
    assert {r.source for r in lists[1]} == {"beam"}
    order = [recommender._tie_ranks[int(r.item_id[1:])] for r in lists[0]]
    assert order[0] < order[1]
    assert order[2] < order[3]


def test_popular_items_obey_the_filters():
    recommender = with_popularity(make_recommender(), np.arange(NUM_ITEMS))
    assert _ids(recommender, recommender.recommend([[]], 3, exclude=["B059", "B057"])) == [["B058", "B056", "B055"]]
    assert _ids(recommender, recommender.recommend([[]], 3, allow=["B002", "B007"])) == [["B007", "B002"]]


def test_k_above_the_catalog_gives_a_shorter_list():
    recommender = make_recommender()
    lists = recommender.recommend([["B001", "B002"], []], 10_000)
    assert [len(one) for one in lists] == [NUM_ITEMS - 2, NUM_ITEMS]
    assert recommender.rank(Histories.from_lists([[1]]), 10_000).rows.shape == (1, NUM_ITEMS)


def test_an_allow_list_that_leaves_nothing_gives_empty_lists():
    recommender = make_recommender()
    assert list(recommender.recommend([["B001"], []], 5, allow=[])) == [[], []]
    assert list(recommender.recommend([["B001"]], 5, allow=["B001"])) == [[]]
    assert list(recommender.recommend([["B001"]], 5, allow=["B007"], exclude=["B007"])) == [[]]


def test_a_history_of_the_whole_catalog_gives_an_empty_list():
    recommender = make_recommender(2, 5)
    lists = recommender.recommend([[f"B{row:03d}" for row in range(NUM_ITEMS)], ["B001"]], 5, explain=True)
    assert lists[0] == []
    assert len(lists[1]) == 5


def test_no_histories_give_no_lists():
    assert list(make_recommender().recommend([], 5)) == []


def test_unknown_items_are_skipped_or_refused():
    recommender = make_recommender()
    known = recommender.recommend([["B001", "B002"]], 5)
    assert list(recommender.recommend([["B001", "nope", "B002"]], 5)) == list(known)
    assert recommender.recommend([["nope"]], 5)[0][0].source == "popular"
    assert list(recommender.recommend([["B001", "B002"]], 5, exclude=["nope"])) == list(known)
    with pytest.raises(DataError, match="nope"):
        recommender.recommend([["B001", "nope"]], 5, unknown="error")
    with pytest.raises(DataError, match="nope"):
        recommender.recommend([["B001"]], 5, exclude=["nope"], unknown="error")


@pytest.mark.parametrize("unknown", ["skip", "error"])
def test_a_history_of_ids_of_another_type_is_refused_and_the_error_says_so(unknown):
    with pytest.raises(DataError, match="str"):
        make_recommender().recommend([[1, 2]], 5, unknown=unknown)


def test_item_ids_come_back_in_the_callers_type():
    text, numbers = make_recommender(), make_recommender(integer_ids=True)
    assert type(text.recommend([["B001"]], 1)[0][0].item_id) is str
    assert type(numbers.recommend([[101]], 1)[0][0].item_id) is int
    as_array = numbers.recommend(np.array([[101, 102], [103, 104]]), 3)
    assert list(as_array) == list(numbers.recommend([(101, 102), (103, 104)], 3))
    assert type(as_array[0][0].item_id) is int


@pytest.mark.parametrize("wrong", ["B001", ["B001", "B002"], [1, 2]])
def test_one_history_where_several_are_expected_is_refused(wrong):
    with pytest.raises(DataError, match=r"\[\[id"):
        make_recommender().recommend(wrong, 5)


def test_one_id_as_a_filter_is_refused():
    with pytest.raises(DataError, match="exclude"):
        make_recommender().recommend([["B001"]], 5, exclude="B002")


@pytest.mark.parametrize("k", [0, -3])
def test_k_that_is_no_count_is_refused(k):
    with pytest.raises(DataError, match="k is"):
        make_recommender().recommend([["B001"]], k)


def test_rank_and_recommend_give_the_same_lists_in_the_order_of_the_input():
    recommender, histories = make_recommender(2, 5), some_histories(20)
    ranked = recommender.rank(histories, 7)
    lists = recommender.recommend([ids_of(recommender, histories.of(user)) for user in range(20)], 7)
    assert [ids_of(recommender, ranked.rows[user]) for user in range(20)] == _ids(recommender, lists)
    assert [r.score for r in lists[3]] == pytest.approx(ranked.scores[3].tolist())


def test_unknown_settings_are_refused_and_known_ones_leave_the_original_alone():
    recommender = make_recommender()
    assert recommender.with_settings(num_beams=7).config.num_beams == 7
    assert recommender.config.num_beams == 20
    with pytest.raises(ConfigError, match="num_beams"):
        recommender.with_settings(num_beam=7)


def test_the_score_formula_names_its_terms():
    recommender = make_recommender()
    assert "direct" in recommender.score_formula
    assert "direct" not in recommender.with_settings(direct_weight=0.0).score_formula
    assert "best ID alone" in recommender.with_settings(fusion="top-id").score_formula
    assert "beams" not in recommender.with_settings(fusion="top-id").score_formula
    assert make_recommender(**PAPER).weights == FusionWeights()


def test_a_model_in_training_mode_is_given_back_in_training_mode():
    recommender = make_recommender()
    recommender.model.train()
    try:
        first = recommender.rank(some_histories(3), 5)
        assert recommender.model.training
        assert (first.rows == recommender.rank(some_histories(3), 5).rows).all()
    finally:
        recommender.model.eval()
    assert not any(parameter.grad is not None for parameter in recommender.model.parameters())


def test_times_are_optional_where_the_model_reads_them():
    recommender = make_recommender(1, 6, decoder={"day_gap": True, "month": True, "num_layers": 1, "max_history": 6})
    histories = Histories.from_lists([[1, 2, 3]])
    timed = Histories.from_lists([[1, 2, 3]], timestamps=[[10**9, 10**9 + 10**6, 10**9 + 10**7]])
    assert recommender.rank(histories, 5).lengths[0] == 5
    assert (recommender.rank(timed, 5).log_scores != recommender.rank(histories, 5).log_scores).any()


def test_times_given_to_recommend_reach_the_model_and_unknown_items_lose_theirs():
    recommender = make_recommender(1, 6, decoder={"day_gap": True, "month": True, "num_layers": 1, "max_history": 6})
    times = [10**9, 10**9 + 10**6, 10**9 + 10**7]
    ids = recommender.catalog.item_ids[[1, 2, 3]].tolist()
    ranked = recommender.rank(Histories.from_lists([[1, 2, 3]], timestamps=[times]), 5)
    assert (recommender.recommend([ids], 5, timestamps=[times]).ranked.rows == ranked.rows).all()
    assert (recommender.recommend([ids], 5, timestamps=[times]).ranked.log_scores == ranked.log_scores).all()
    with_unknown = recommender.recommend([[ids[0], "nowhere", 7, *ids[1:]]], 5, timestamps=[[times[0], 0, 0, *times[1:]]])
    assert (with_unknown.ranked.log_scores == ranked.log_scores).all()


def test_progress_hears_of_every_chunk(monkeypatch):
    heard = []

    class Listener:
        def track(self, items, label, total=None):
            for number, item in enumerate(items):
                heard.append((label, number, total))
                yield item

        def message(self, text): ...

        def update(self, label, done, total, note=""): ...

    monkeypatch.setattr("cobrarec.retrieval.list_search.MAX_USERS_PER_CHUNK", 4)
    make_recommender().rank(some_histories(10), 5, Listener())
    assert heard == [("ranking", 0, 3), ("ranking", 1, 3), ("ranking", 2, 3)]


@pytest.mark.parametrize("num_levels", [1, 3])
def test_the_catalogs_row_order_does_not_break_ties(num_levels):
    one = make_recommender(num_levels, use_dense=False)  # codes alone: all items of an ID score the same
    order = np.random.default_rng(4).permutation(NUM_ITEMS)
    ids = SemanticIds.from_codes(one.semantic_ids.codes[order], one.semantic_ids.codebook_size)
    model = one.model.with_semantic_ids(ids)
    table = one.catalog.table.take(order)
    parts = {"catalog": Catalog.from_table(table, DataConfig()), "semantic_ids": ids, "model": model}
    other = replaced(one, **parts, info=dataclasses.replace(one.info, popularity=one.info.popularity[order]))
    histories = [ids_of(one, some_histories(6).of(user)) for user in range(6)]
    for ours, theirs in zip(one.recommend(histories, 30), other.recommend(histories, 30), strict=True):
        assert [item.item_id for item in ours] == [item.item_id for item in theirs]
        assert len({item.score for item in ours}) < len(ours), "nothing was tied"


def test_filters_of_another_type_are_refused_and_single_ids_of_one_are_left_out():
    recommender = make_recommender()
    with pytest.raises(DataError, match="float"):
        recommender.recommend([[1.0, 2.0]], 3)
    with pytest.raises(DataError, match="int"):
        recommender.recommend([["B001"]], 3, exclude=[7])
    mixed, plain = recommender.recommend([["B001", 7, None]], 3), recommender.recommend([["B001"]], 3)
    assert (mixed.ranked.rows == plain.ranked.rows).all()


@EVERY_WORLD
def test_conditions_leave_k_items_where_k_meet_them(world):
    recommender = make_recommender(**world, retrieval={"num_beams": 2})
    only = [f"B{row:03d}" for row in (3, 17, 31, 44, 58)]
    lists = recommender.recommend([["B001", "B002"], [], ["B003"]], 4, where={"item_id": only})
    assert [len(one) for one in lists] == [4, 4, 4]
    assert {r.item_id for one in lists for r in one} <= set(only)
    assert list(recommender.recommend([["B001"], []], 4, where={"title": "none of them"})) == [[], []]
    rows = Histories.from_lists([[1, 2], [], [3]])
    assert _ids(recommender, recommender.recommend_to(rows, 4, where={"item_id": only})) == _ids(recommender, lists)


def test_conditions_that_are_none_and_filters_that_are_none_are_refused():
    recommender = make_recommender()
    with pytest.raises(DataError, match="`where` is"):
        recommender.recommend([["B001"]], 5, where=["title"])
    with pytest.raises(DataError, match="lacks; its columns are: item_id, title"):
        recommender.recommend([["B001"]], 5, where={"brand": "X"})
    with pytest.raises(TypeError, match="exlude"):
        recommender.recommend([["B001"]], 5, exlude=["B002"])
    assert list(recommender.recommend([["B001"]], 5, where=None)) == list(recommender.recommend([["B001"]], 5))
