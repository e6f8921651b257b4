from small_world import PAPER, make_recommender

from cobrarec.config import RetrievalConfig
from cobrarec.retrieval.score_terms import direct_weight, has_direct_query, score_formula


def test_the_direct_weight_is_what_was_chosen_else_half_and_nothing_without_a_direct_query():
    model, paper = make_recommender().model, make_recommender(**PAPER).model
    assert has_direct_query(model)
    assert not has_direct_query(paper)
    assert direct_weight(model, RetrievalConfig(direct_weight=0.3)) == 0.3
    assert direct_weight(model, RetrievalConfig()) == 0.5
    assert direct_weight(paper, RetrievalConfig(direct_weight=0.3)) == 0.0


def test_the_formula_names_its_terms():
    assert score_formula(RetrievalConfig(), 0.0) == "softmax over beams x softmax over the items of its ID"
    assert score_formula(RetrievalConfig(), 0.25).endswith("^0.75 x P(item | direct query)^0.25")
    assert "best ID alone" in score_formula(RetrievalConfig(fusion="top-id", similarity_softmax="all"), 0.0)
