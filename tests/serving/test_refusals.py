from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from cobrarec.serving.refusals import told_of
from cobrarec.serving.schemas import FindItems, PutRequest, RecommendRequest, SimilarRequest


def refusal(model, values):
    """What is told of values that `model` refuses."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    errors = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
    return told_of(errors, list(model.model_fields))


@pytest.mark.parametrize(
    ("model", "values", "told"),
    [
        (RecommendRequest, {}, "`histories` is missing."),
        (RecommendRequest, [], "The body is [], expected an object."),
        (RecommendRequest, {"histories": []}, "`histories` has 0 entries, expected at least 1."),
        (RecommendRequest, {"histories": ["a"]}, "`histories[0]` is 'a', expected a list."),
        (RecommendRequest, {"histories": [["a", None]]}, "`histories[0][1]` is None, expected a whole number or text."),
        (RecommendRequest, {"histories": [["a"]], "k": "3"}, "`k` is '3', expected a whole number."),
        (RecommendRequest, {"histories": [["a"]], "k": 0}, "`k` is 0, expected at least 1."),
        (RecommendRequest, {"histories": [["a"]], "tau": "much"}, "`tau` is 'much', expected a number."),
        (RecommendRequest, {"histories": [["a"]], "unknown": "x"}, "`unknown` is 'x', expected one of 'skip' or 'error'."),
        (RecommendRequest, {"histories": [["a"]], "explain": 1}, "`explain` is 1, expected true or false."),
        (RecommendRequest, {"histories": [["a"]], "where": []}, "`where` is [], expected an object."),
        (RecommendRequest, {"histories": [["a"]], "k": 0, "tau": -1}, "`k` is 0, expected at least 1. `tau` is -1, expected at least 0."),
        (SimilarRequest, {"item_id": None}, "`item_id` is None, expected a whole number or text."),
        (SimilarRequest, {"item_id": 1, "n": 2}, "`n` is unknown; there are `item_id`, `k`."),
        (PutRequest, {"items": [3]}, "`items[0]` is 3, expected an object."),
        (FindItems, {"q": ""}, "`q` is '', expected at least 1 character."),
        (FindItems, {"q": "a", "limit": "x"}, "`limit` is 'x', expected a whole number."),
    ],
)
def test_a_fault_is_told_with_its_place_its_value_and_what_was_expected(model, values, told):
    assert refusal(model, values) == told


def test_what_a_check_of_ours_says_is_a_sentence():
    assert refusal(RecommendRequest, {"histories": [[]] * 500, "k": 1000}).startswith("So many histories with so long lists")


def test_neither_all_faults_nor_all_of_a_value_are_repeated():
    told = refusal(RecommendRequest, {"histories": [["a", *[1.5] * 100]]})
    assert told.count("expected") == 5
    assert len(refusal(RecommendRequest, {"histories": "x" * 1000})) < 200
    assert "there are `histories`" in refusal(RecommendRequest, {"histories": [[]], "x" * 2000: 1})[:200]


def test_a_fault_of_a_kind_without_words_of_its_own_is_told_in_those_of_the_validator():
    class Odd(BaseModel):
        value: Any = Field(multiple_of=3)

    assert refusal(Odd, {"value": 4}) == "`value`: Input should be a multiple of 3."
