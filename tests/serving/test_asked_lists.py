import json

import numpy as np
import pytest
from small_server import fitted_run, item_ids

from cobrarec.artifact import load_artifact
from cobrarec.errors import ConfigError, DataError
from cobrarec.serving.asked_lists import AskedLists, answer_lists, joined
from cobrarec.serving.schemas import RecommendAnswer, RecommendRequest


@pytest.fixture(scope="module")
def recommender():
    return load_artifact(fitted_run() / "artifact")


def asked(histories, **fields):
    return AskedLists(RecommendRequest(histories=histories, **fields))


def listed(answer):
    return [[item["item_id"] for item in items] for items in json.loads(answer)["lists"]]


def test_requests_answered_together_get_what_the_library_gives_each_alone(recommender):
    ids = item_ids()
    requests = [asked([ids[:3]]), asked([ids[4:5], []]), asked([ids[9:20], ids[7:8], ids[1:2]])]
    answers = answer_lists(recommender, requests)
    for request, answer in zip(requests, answers, strict=True):
        body = RecommendAnswer.model_validate_json(answer)
        alone = recommender.recommend(request.request.histories, 10)
        for items, expected in zip(body.lists, alone, strict=True):
            assert [(item.item_id, item.rank, tuple(item.semantic_id), item.source) for item in items] == [
                (item.item_id, item.rank, item.semantic_id, item.source) for item in expected
            ]
            assert [item.score for item in items] == pytest.approx([item.score for item in expected], rel=1e-4)


@pytest.mark.parametrize(
    "fields",
    [
        {"k": 3, "explain": True},
        {"exclude": ["item-0001"]},
        {"num_beams": 2, "tau": 0.5, "psi": 3.0},
        {"where": {"item_id": item_ids(9)}},
        {"timestamps": [[1_700_000_000, 1_700_000_100]]},
        {"unknown": "error"},
    ],
)
def test_every_field_reaches_the_library(recommender, fields):
    history = item_ids()[5:7]
    body = json.loads(answer_lists(recommender, [asked([history], **fields)])[0])
    changed = recommender.with_settings(**{name: fields[name] for name in ("num_beams", "tau", "psi") if name in fields})
    rest = {name: value for name, value in fields.items() if name not in ("num_beams", "tau", "psi", "k")}
    expected = changed.recommend([history], fields.get("k", 10), **rest)[0]
    assert [item["item_id"] for item in body["lists"][0]] == [item.item_id for item in expected]
    assert ("why" in body["lists"][0][0]) == fields.get("explain", False)
    if fields.get("explain"):
        assert body["lists"][0][0]["why"]["nearest_history_item"] == expected[0].why.nearest_history_item


def test_unknown_items_are_told_each_once(recommender):
    body = json.loads(answer_lists(recommender, [asked([["nobody", item_ids()[0], "nobody"], ["nothing"]])])[0])
    assert body["unknown_items"] == ["nobody", "nothing"]
    assert len(body["lists"][1]) == 10, "popular items"


def test_a_request_that_cannot_be_answered_spoils_no_other(recommender):
    good, bad = asked([item_ids()[:2]], unknown="error"), asked([["nobody"]], unknown="error")
    answers = answer_lists(recommender, [bad, good])
    assert isinstance(answers[0], DataError)
    assert listed(answers[1]) == listed(answer_lists(recommender, [good])[0])
    assert isinstance(answer_lists(recommender, [bad])[0], DataError)


@pytest.mark.parametrize("fields", [{"where": {"color": "red"}}, {"where": {}, "allow": [7]}])
def test_settings_and_filters_that_cannot_be_used_are_refused(recommender, fields):
    (answer,) = answer_lists(recommender, [asked([item_ids()[:1]], **fields)])
    assert isinstance(answer, ConfigError | DataError)


def test_only_equal_requests_share_a_key():
    fields = [{}, {"k": 5}, {"where": {"a": 1}}, {"where": {"a": 2}}, {"exclude": ["x"]}, {"allow": ["x"]}, {"tau": 1.0}, {"explain": True}]
    keys = {asked([["a"]], **one).key for one in fields} | {asked([["a"]], timestamps=[[1]]).key, asked([["a"]], unknown="error").key}
    assert len(keys) == len(fields) + 2
    assert asked([["a"]], where={"a": 1, "b": 2}).key == asked([["b"], []], where={"b": 2, "a": 1}).key


def test_joined_histories_are_those_of_the_parts(recommender):
    ids = item_ids()
    parts = [recommender.read_histories(lists, "skip") for lists in ([ids[:3], []], [ids[4:5]], [[]])]
    whole = joined(parts)
    assert [whole.of(user).tolist() for user in range(whole.num_users)] == [[0, 1, 2], [], [4], []]
    timed = [recommender.read_histories([ids[:2]], "skip", [[5, 6]]), recommender.read_histories([ids[2:3]], "skip", [[7]])]
    assert np.concatenate([joined(timed).times_of(user) for user in range(2)]).tolist() == [5, 6, 7]
