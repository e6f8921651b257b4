import pytest
from pydantic import ValidationError

from cobrarec.serving.schemas import MAX_BEAMS, MAX_HISTORIES, MAX_HISTORY, MAX_K, PutRequest, RecommendRequest, SimilarRequest


def test_limits_are_part_of_the_form():
    RecommendRequest(histories=[["a"] * MAX_HISTORY, []], k=MAX_K, num_beams=MAX_BEAMS)
    for fields in (
        {"histories": [[]] * (MAX_HISTORIES + 1)},
        {"histories": [["a"] * (MAX_HISTORY + 1)]},
        {"histories": [[]], "k": MAX_K + 1},
        {"histories": [[]], "num_beams": MAX_BEAMS + 1},
        {"histories": [[]], "tau": float("nan")},
        {"histories": [[]], "psi": float("inf")},
    ):
        with pytest.raises(ValidationError):
            RecommendRequest(**fields)


@pytest.mark.parametrize("item_id", [True, 1.5, None, ["a"]])
def test_ids_are_integers_or_strings_and_stay_what_they_are(item_id):
    assert RecommendRequest(histories=[[7, "7"]]).histories == [[7, "7"]]
    with pytest.raises(ValidationError):
        SimilarRequest(item_id=item_id)
    with pytest.raises(ValidationError):
        RecommendRequest(histories=[[item_id]])


def test_what_the_form_does_not_name_is_refused():
    with pytest.raises(ValidationError):
        RecommendRequest(histories=[[]], beam_size=3)
    with pytest.raises(ValidationError):
        PutRequest(items=[])
