import numpy as np
from small_world import make_recommender

from cobrarec.retrieval.list_engine import LIST_SETTINGS, ListEngine, Request, no_codes
from cobrarec.retrieval.recommendations import TERMS


def test_the_networks_search_is_an_engine_that_reads_every_setting():
    engine = make_recommender(2, 5).engine
    assert isinstance(engine, ListEngine)
    assert engine.read_settings > LIST_SETTINGS
    assert engine.codes.shape == (60, 2)
    assert engine.max_history == 6


def test_empty_lists_have_explanations_where_they_are_asked_for():
    lists = Request(3, explain=True).empty_lists(2)
    assert lists.rows.tolist() == [[-1] * 3] * 2
    assert list(lists.explanations.terms) == list(TERMS)
    assert Request(3).empty_lists(2).explanations is None


def test_no_codes_are_codes_of_no_level():
    assert no_codes(4).shape == (4, 0)
    assert no_codes(4).dtype == np.int32
