import numpy as np
import pytest
from small_page import popularity_run
from small_server import fitted_run, item_ids

from cobrarec.artifact import load_artifact
from cobrarec.serving.page.shown_list import LENGTH, diversity, shown_list
from cobrarec.serving.page.taken import Taken, taken_ids

RECOMMENDER = load_artifact(fitted_run() / "artifact")
TAKEN = taken_ids(item_ids()[:3])


def test_the_list_is_that_of_the_library_and_says_why():
    shown = shown_list(RECOMMENDER, TAKEN, {})
    assert shown.items == RECOMMENDER.recommend([item_ids()[:3]], LENGTH, explain=True)[0]
    assert not shown.is_turned
    assert not shown.gone
    assert [shown.move(item) for item in shown.items] == [""] * LENGTH


def test_turned_dials_tell_where_each_item_stood():
    settings = {"direct_weight": 0.0, "memory_weight": 0.0, "psi": 0.0}
    shown = shown_list(RECOMMENDER, TAKEN, settings)
    before = [item.item_id for item in RECOMMENDER.recommend([item_ids()[:3]], LENGTH)[0]]
    now = [item.item_id for item in RECOMMENDER.with_settings(**settings).recommend([item_ids()[:3]], LENGTH)[0]]
    assert [item.item_id for item in shown.items] == now
    assert now != before
    for place, item in enumerate(shown.items):
        steps = before.index(item.item_id) - place if item.item_id in before else None
        expected = "new" if steps is None else f"up {steps}" if steps > 0 else f"down {-steps}" if steps else ""
        assert shown.move(item) == expected
    assert shown.gone == [item for item in before if item not in now]


def test_diversity_is_the_mean_over_pairs():
    items = shown_list(RECOMMENDER, TAKEN, {}).items
    found = diversity(RECOMMENDER, items)
    unit = RECOMMENDER.items.unit[RECOMMENDER.catalog.rows([item.item_id for item in items])].double().numpy()
    pairs = [1 - unit[one] @ unit[other] for one in range(LENGTH) for other in range(one)]
    assert found.distance == pytest.approx(np.mean(pairs))
    assert found.num_ids == len({item.semantic_id for item in items})
    assert diversity(RECOMMENDER, items[:1]).distance is None


def test_a_ranker_without_vectors_has_no_diversity():
    recommender = load_artifact(popularity_run() / "artifact")
    found = shown_list(recommender, Taken(), {}).diversity
    assert (found.num_ids, found.distance) == (None, None)
