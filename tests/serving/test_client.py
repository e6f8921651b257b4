import json
import re

import httpx
import numpy as np
import pytest
from small_server import TOKEN, artifact_in, in_process, item_ids

from cobrarec.errors import UserError
from cobrarec.serving import client as module
from cobrarec.serving.client import Client, RefusedError


class ThroughTestClient(httpx.BaseTransport):
    """Hands requests to the application in process."""

    def __init__(self, client):
        self.client = client

    def handle_request(self, request):
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        answer = self.client.request(
            request.method, str(request.url.copy_with(scheme="http", host="localhost", port=None)), content=request.read(), headers=headers
        )
        return httpx.Response(answer.status_code, content=answer.content, headers={"content-type": "application/json"})


def answering(*answers):
    """A transport that gives these answers, the last one for ever."""
    left = list(answers)
    return httpx.MockTransport(lambda request: left.pop(0) if len(left) > 1 else left[0])


def test_every_address_has_its_method(tmp_path):
    with (
        in_process(artifact_in(tmp_path), token=TOKEN) as (http, service),
        Client(token=TOKEN, transport=ThroughTestClient(http)) as client,
    ):
        ids = item_ids()
        expected = service.recommender.recommend([ids[:3]], 4)[0]
        assert [item["item_id"] for item in client.recommend([ids[:3]], 4)["lists"][0]] == [item.item_id for item in expected]
        assert len(client.recommend([ids[:3]], 5, where={"item_id": ids[5:8]})["lists"][0]) == 3
        assert len(client.similar(ids[0], 3)["items"]) == 3
        assert client.item(ids[0])["item_id"] == ids[0]
        assert client.find_items("item", limit=2)["num_found"] >= 0
        root = client.semantic_ids()
        assert client.semantic_ids(root["children"][0]["prefix"])["num_items"] == root["children"][0]["num_items"]
        assert client.put_items([{"item_id": "a/b c?", "title": "odd"}])["added"] == 1
        assert client.item("a/b c?")["title"] == "odd"
        assert client.remove_item("a/b c?")["removed"] == 1
        assert client.reload()["is_new"] is False
        assert client.ready()["catalog_version"] == 2
        assert client.info()["num_items"] == 48


def test_a_refusal_is_raised_with_the_servers_words(tmp_path):
    with in_process(artifact_in(tmp_path)) as (http, _), Client(transport=ThroughTestClient(http)) as client:
        with pytest.raises(RefusedError, match="lacks the item 'nobody'") as caught:
            client.item("nobody")
        assert (caught.value.status, caught.value.code) == (404, "not_found")
        assert re.fullmatch("[0-9a-f]{8}-[0-9]+", caught.value.request_id)


def test_a_busy_server_is_asked_again_after_the_pause_it_asks_for(monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    busy = httpx.Response(503, headers={"retry-after": "2"}, json={"error": {"code": "busy", "message": "wait", "request_id": "x"}})
    assert Client(transport=answering(busy, busy, httpx.Response(200, json={"ok": 1}))).ready() == {"ok": 1}
    assert pauses == [2.0, 2.0]
    with pytest.raises(RefusedError, match="wait"):
        Client(transport=answering(busy), retries=1).ready()
    assert len(pauses) == 3


@pytest.mark.parametrize("histories", ["B001", ["B001"]])
def test_one_history_that_stands_in_no_list_is_refused_and_not_taken_apart(tmp_path, histories):
    with in_process(artifact_in(tmp_path)) as (http, _), Client(transport=ThroughTestClient(http)) as client:  # noqa: SIM117
        with pytest.raises(RefusedError, match="expected a list"):
            client.recommend(histories)


def test_numbers_of_numpy_are_numbers_and_what_json_lacks_is_told():
    seen = []
    transport = httpx.MockTransport(lambda request: seen.append(json.loads(request.content)) or httpx.Response(200, json={"ok": 1}))
    Client(transport=transport).recommend([np.array([1, 2])], k=np.int64(3))
    assert seen == [{"histories": [[1, 2]], "k": 3}]
    for wrong in ({"tau": float("nan")}, {"where": {"x": {1, 2}}}):
        with pytest.raises(UserError, match="as JSON"):
            Client(transport=transport).recommend([[1]], **wrong)
    with pytest.raises(UserError, match="give one such as http://127.0.0.1:8000"):
        Client("127.0.0.1:8000", retries=0).ready()


@pytest.mark.parametrize(("told", "pause"), [(None, 1.0), ("soon", 1.0), ("-5", 0.0), ("9999", module.LONGEST_PAUSE)])
def test_strange_pauses_are_bounded(told, pause):
    assert module._pause(told) == pause


def test_no_server_and_strange_answers_are_told():
    with pytest.raises(UserError, match="is `cobrarec serve` running there"):
        Client("http://127.0.0.1:9", timeout=2).ready()
    with pytest.raises(RefusedError, match="answered 502 without saying why"):
        Client(transport=answering(httpx.Response(502, text="<html>"))).ready()
