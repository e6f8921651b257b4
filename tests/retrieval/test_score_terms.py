from small_world import PAPER, make_recommender

from cobrarec.config import RetrievalConfig
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.retrieval.score_terms import fusion_weights, has_direct_query, score_formula


def test_weights_are_what_was_chosen_and_nothing_for_a_part_that_is_not_there():
    model, paper = make_recommender().model, make_recommender(**PAPER).model
    assert has_direct_query(model)
    assert not has_direct_query(paper)
    chosen = RetrievalConfig(direct_weight=0.3, memory_weight=0.8)
    assert fusion_weights(model, True, chosen) == FusionWeights(0.3, 0.8)
    assert fusion_weights(model, False, chosen) == FusionWeights(0.3, 0.0)
    assert fusion_weights(paper, True, chosen) == FusionWeights(0.0, 0.8)


def test_where_nothing_was_chosen_the_direct_query_has_half_and_the_memory_nothing():
    assert fusion_weights(make_recommender().model, True, RetrievalConfig()) == FusionWeights(0.5, 0.0)


def test_the_formula_names_its_terms():
    plain = FusionWeights()
    assert score_formula(RetrievalConfig(), plain) == "softmax over beams x softmax over the items of its ID"
    assert score_formula(RetrievalConfig(), FusionWeights(0.25)).endswith("^0.75 x P(item | direct query)^0.25")
    assert score_formula(RetrievalConfig(), FusionWeights(0.25, 0.8)).endswith("^0.25 x (1 + 10 x transition count)^0.8")
    assert score_formula(RetrievalConfig(new_item_level=1.5), plain).endswith(
        "items without training interactions at e^1.5 times their odds"
    )
    assert "best ID alone" in score_formula(RetrievalConfig(fusion="top-id", similarity_softmax="all"), plain)
