import asyncio
import json
import re
import time

import pytest
from fastapi import Request
from small_server import TOKEN, artifact_in, in_process, item_ids

from cobrarec.errors import MachineError, UnsureError
from cobrarec.serving import app as application
from cobrarec.serving.batcher import BusyError
from cobrarec.serving.schemas import ProblemAnswer, RecommendAnswer, SimilarAnswer


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A server that no test changes."""
    with in_process(artifact_in(tmp_path_factory.mktemp("reader"))) as both:
        yield both


@pytest.fixture
def writer(tmp_path):
    with in_process(artifact_in(tmp_path)) as both:
        yield both


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    problem = ProblemAnswer.model_validate_json(answer.content).error
    assert problem.code == code
    assert problem.request_id == answer.headers["x-request-id"]
    return problem.message


def test_lists_are_those_of_the_library(reader):
    client, service = reader
    histories = [item_ids()[:4], [], item_ids()[20:21]]
    answer = RecommendAnswer.model_validate(client.post("/recommend", json={"histories": histories, "k": 7}).raise_for_status().json())
    expected = service.recommender.recommend(histories, 7)
    assert [[item.item_id for item in items] for items in answer.lists] == [[item.item_id for item in items] for items in expected]
    assert (answer.artifact, answer.catalog_version) == (service.recommender.info.artifact, 0)
    assert answer.unknown_items == []


def test_similar_items_are_those_of_the_library(reader):
    client, service = reader
    answer = SimilarAnswer.model_validate(client.post("/similar", json={"item_id": item_ids()[3], "k": 4}).raise_for_status().json())
    assert [item.item_id for item in answer.items] == [item.item_id for item in service.recommender.similar(item_ids()[3], 4)]
    assert "lacks the item" in refused(client.post("/similar", json={"item_id": "nobody"}), 404, "not_found")


def test_an_item_is_told_with_its_attributes(reader):
    client, service = reader
    item = item_ids()[5]
    answer = client.get(f"/items/{item}").raise_for_status().json()
    assert answer["semantic_id"] == service.recommender.semantic_ids.codes[5].tolist()
    assert answer["is_listed"]
    assert answer["num_interactions"] == service.recommender.info.popularity[5]
    assert answer["title"] == service.recommender.catalog.titles[5]
    refused(client.get("/items/nobody"), 404, "not_found")
    refused(client.delete("/items/nobody"), 404, "not_found")


def test_items_are_found_by_words_of_their_text(reader):
    client, service = reader
    words = service.recommender.catalog.titles[5].split()[:2]
    answer = client.get("/items", params={"q": " ".join(words).upper(), "limit": 3}).raise_for_status().json()
    assert 1 <= len(answer["items"]) <= 3 <= answer["num_found"] + 3
    assert client.get("/items", params={"q": "zzzz"}).json() == {"num_found": 0, "items": []}
    refused(client.get("/items"), 422, "invalid")
    refused(client.get("/items", params={"q": "  "}), 422, "invalid")


def test_the_tree_of_semantic_ids_holds_every_item_once(reader):
    client, _ = reader
    root = client.get("/semantic-ids").raise_for_status().json()
    assert root["num_items"] == 48 == sum(child["num_items"] for child in root["children"])
    child = root["children"][0]
    below = client.get(f"/semantic-ids/{child['prefix'][0]}").raise_for_status().json()
    assert (below["num_items"], below["words"], below["children"]) == (child["num_items"], child["words"], [])
    assert all(item["semantic_id"] == child["prefix"] for item in below["items"])
    refused(client.get("/semantic-ids/999"), 404, "not_found")
    refused(client.get("/semantic-ids/0-0"), 404, "not_found")
    refused(client.get("/semantic-ids/abc"), 422, "invalid")


def test_an_added_item_is_in_the_next_requests_and_a_removed_one_in_none(writer):
    client, _ = writer
    like = client.get(f"/items/{item_ids()[5]}").json()["attributes"]
    put = client.put("/items", json={"items": [{"item_id": "new", **like}]}).raise_for_status().json()
    assert put == {"added": 1, "changed": 0, "unchanged": 0, "removed": 0, "catalog_version": 1}
    everything = client.post("/recommend", json={"histories": [["new"]], "k": 100, "unknown": "error"}).raise_for_status().json()
    assert everything["catalog_version"] == 1
    ask = {"histories": [[item_ids()[4]]], "k": 100}
    assert "new" in {item["item_id"] for item in client.post("/recommend", json=ask).json()["lists"][0]}
    assert client.delete("/items/new").raise_for_status().json()["removed"] == 1
    assert "new" not in {item["item_id"] for item in client.post("/recommend", json=ask).json()["lists"][0]}
    assert not client.get("/items/new").json()["is_listed"]
    refused(client.delete("/items/new"), 404, "not_found")


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([{"title": "x"}], "Item 1 has the item_id None"),
        ([{"item_id": 7, "title": "x"}], "Item 1 has the item_id 7, expected text"),
        ([{"item_id": "new", "color": "red"}], "'color', which the catalog lacks"),
        ([{"item_id": "new", "title": ["x"]}], "Item 1 has ['x'] as title, where the catalog holds text"),
        ([{"item_id": "new", "title": "x"}, {"item_id": "new", "title": "y"}], "twice with different content"),
    ],
)
def test_items_that_do_not_fit_are_refused_and_none_is_taken(reader, items, told):
    client, service = reader
    assert told in refused(client.put("/items", json={"items": items}), 422, "invalid")
    assert service.recommender.info.catalog_version == 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "`histories` is missing."),
        ({"histories": []}, "histories"),
        ({"histories": [[1.5]]}, "`histories[0][0]` is 1.5, expected a whole number or text."),
        ({"histories": [[True]]}, "histories"),
        ({"histories": [["a"]], "k": 0}, "k"),
        ({"histories": [["a"]], "k": 1001}, "`k` is 1001, expected at most 1000"),
        ({"histories": [["a"]], "beams": 3}, "`beams` is unknown; there are `histories`, `timestamps`, `k`"),
        ({"histories": [["a"]], "num_beams": 5000}, "`num_beams` is 5000, expected at most 1000"),
        ({"histories": [["a"]] * 1001}, "`histories` has 1,001 entries, expected at most 1000"),
        ({"histories": [["a"] * 10_001]}, "`histories[0]` has 10,001 entries, expected at most 10000"),
        ({"histories": [["a"]], "where": {"color": "red"}}, "color"),
        ({"histories": [["a"]], "timestamps": [[1, 2]]}, "one time per item"),
        ({"histories": [["a"]], "tau": -1}, "tau"),
        ({"histories": [["a"]], "unknown": "error"}, "lacks 1 of the item ids"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(reader, body, told):
    client, _ = reader
    assert told in refused(client.post("/recommend", json=body), 422, "invalid")


def test_half_a_surrogate_pair_is_an_unknown_item_like_any_other(reader):
    client, _ = reader
    answer = client.post("/recommend", content=rb'{"histories": [["\ud800"]]}', headers={"content-type": "application/json"})
    assert answer.raise_for_status().json()["unknown_items"] == ["\ud800"]
    refused(client.post("/similar", content=rb'{"item_id": "\ud800"}', headers={"content-type": "application/json"}), 404, "not_found")
    body = rb'{"items": [{"item_id": "new", "title": "\ud800"}]}'
    refused(client.put("/items", content=body, headers={"content-type": "application/json"}), 422, "invalid")


def test_bodies_that_are_no_json_are_refused(reader):
    client, _ = reader
    refused(client.post("/recommend", content=b"{", headers={"content-type": "application/json"}), 422, "invalid")
    refused(client.post("/recommend", content=b"\xff\xfe", headers={"content-type": "application/json"}), 422, "invalid")
    refused(client.post("/recommend", content=b"a=b", headers={"content-type": "text/plain"}), 422, "invalid")
    refused(client.get("/nowhere"), 404, "not_found")
    refused(client.put("/recommend", json={}), 405, "invalid")


def test_requests_that_ask_for_too_much_together_and_conditions_nested_too_deep_are_refused(reader):
    client, _ = reader
    assert "too much at once" in refused(client.post("/recommend", json={"histories": [[]] * 200, "k": 1000}), 422, "invalid")
    for depth in (500, 950, 100_000):
        deep = b'{"histories": [[]], "where": {"x": ' + b"[" * depth + b"]" * depth + b"}}"
        refused(client.post("/recommend", content=deep, headers={"content-type": "application/json"}), 422, "invalid")


def test_a_method_that_an_address_lacks_is_told_with_those_it_has(reader):
    client, _ = reader
    answer = client.post("/health")
    assert "takes" in refused(answer, 405, "invalid")
    assert answer.headers["allow"] == "GET"


def test_probes_may_ask_for_the_head_alone_and_an_unknown_address_is_told(reader):
    client, _ = reader
    assert [client.head(path).status_code for path in ("/health", "/ready")] == [200, 200]
    assert "/docs lists them" in refused(client.post("/recommendations", json={"histories": [[]]}), 404, "not_found")


def test_an_item_that_is_removed_already_is_told_as_that(writer):
    client, _ = writer
    assert client.delete(f"/items/{item_ids()[0]}").status_code == 200
    assert "is removed already" in refused(client.delete(f"/items/{item_ids()[0]}"), 404, "not_found")


def test_an_error_does_not_repeat_all_that_was_sent(reader):
    client, _ = reader
    assert len(refused(client.post("/similar", json={"item_id": "x" * 100_000}), 404, "not_found")) < 1100


def test_made_up_methods_count_as_one(reader):
    client, _ = reader
    for number in range(5):
        client.request(f"MADEUP{number}", "/health")
    text = client.get("/metrics").text
    assert 'method="other"' in text
    assert "MADEUP" not in text


def test_a_full_queue_is_told_with_when_to_come_again(reader, monkeypatch):
    client, service = reader

    def full(asked):
        raise BusyError("Too many requests wait; ask again in a second.")

    monkeypatch.setattr(service.batcher, "ask", full)
    answer = client.post("/recommend", json={"histories": [["a"]]})
    refused(answer, 503, "busy")
    assert answer.headers["retry-after"] == "1"


def test_what_takes_too_long_is_given_up(tmp_path, monkeypatch):
    with in_process(artifact_in(tmp_path), time_limit=0.2) as (client, service):
        monkeypatch.setattr(service.batcher, "ask", lambda asked: asyncio.get_running_loop().create_future())
        start = time.monotonic()
        assert "longer than 0.2 s" in refused(client.post("/recommend", json={"histories": [["a"]]}), 503, "busy")
        assert time.monotonic() - start < 5


def test_the_work_for_a_client_that_went_away_is_dropped():
    async def receive():
        return {"type": "http.disconnect"}

    async def main():
        work = asyncio.get_running_loop().create_future()
        with pytest.raises(BusyError, match="went away"):
            await application._within(20, work, Request({"type": "http", "headers": []}, receive))
        assert work.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/recommend", "/similar"])
def test_a_client_that_hangs_up_within_its_body_is_no_fault(reader, path, caplog):
    app = reader[0].app
    parts = [{"type": "http.request", "body": b'{"hist', "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
    asyncio.run(app(scope | {"http_version": "1.1", "scheme": "http", "root_path": "", "server": ("localhost", 80)}, receive, send))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_faults_and_full_disks_tell_nothing_of_the_inside(tmp_path, monkeypatch, caplog):
    with in_process(artifact_in(tmp_path)) as (client, service):
        monkeypatch.setattr(service, "card", lambda: 1 / 0)
        message = refused(client.get("/info"), 500, "fault")
        assert "ZeroDivisionError" not in message
        assert "division" in caplog.text, "the log has it"

        def full(table):
            raise MachineError(f"The disk is full: the change was not written ({service.folder}/changes).")

        def unsure(item_id):
            raise UnsureError(f"{service.folder} failed")

        monkeypatch.setattr(service, "put", full)
        monkeypatch.setattr(service, "remove", unsure)
        assert "after a reload" in refused(client.delete("/items/x"), 507, "unsure")
        message = refused(client.put("/items", json={"items": [{"item_id": "new"}]}), 507, "machine")
        assert message == "The disk is full or failed; nothing was changed. The server's log has the rest."


def test_reload_tells_whether_it_is_another_one_and_refuses_a_broken_one(writer, tmp_path):
    client, service = writer
    assert client.post("/reload").json()["is_new"] is False
    (service.folder / "codes.npy").write_bytes(b"broken")
    assert "log says why" in refused(client.post("/reload"), 409, "artifact_refused")
    assert client.get("/ready").json()["artifact"] == service.recommender.info.artifact
    counted = client.get("/metrics").text
    assert 'cobrarec_reloads_total{outcome="same"} 1.0' in counted
    assert 'cobrarec_reloads_total{outcome="refused"} 1.0' in counted


def test_a_reading_server_refuses_changes_with_the_reason(tmp_path):
    with in_process(artifact_in(tmp_path), read_only=True) as (client, _):
        assert "only reads" in refused(client.put("/items", json={"items": [{"item_id": "new"}]}), 409, "read_only")
        refused(client.delete(f"/items/{item_ids()[0]}"), 409, "read_only")
        assert "only reads" in client.get("/info").json()["read_only"]


def test_life_readiness_and_card(reader):
    client, service = reader
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready", "artifact": service.recommender.info.artifact, "catalog_version": 0}
    card = client.get("/info").json()
    assert (card["num_items"], card["ranker"], card["id_type"]) == (48, "cobra", "string")
    assert card["settings"]["num_beams"] == 5


def test_metrics_count_requests_batches_and_items(writer):
    client, _ = writer
    client.post("/recommend", json={"histories": [item_ids()[:1], []]})
    client.put("/items", json={"items": [{"item_id": "new", "title": "x"}]})
    client.get("/nowhere/at/all")
    text = client.get("/metrics").text
    for line in (
        'cobrarec_requests_total{method="POST",route="/recommend",status="200"} 1.0',
        'cobrarec_requests_total{method="GET",route="other",status="404"} 1.0',
        "cobrarec_batch_histories_sum 2.0",
        'cobrarec_item_changes_total{kind="added"} 1.0',
        "cobrarec_catalog_version 1.0",
        "cobrarec_listed_items 49.0",
        "cobrarec_waiting_histories 0.0",
    ):
        assert line in text


def test_the_token_guards_writes_reload_and_metrics_and_nothing_else(tmp_path):
    with in_process(artifact_in(tmp_path), is_loopback=False, token=TOKEN) as (client, _):
        guarded = [("PUT", "/items"), ("DELETE", f"/items/{item_ids()[0]}"), ("POST", "/reload"), ("GET", "/metrics"), ("GET", "/metrics/")]
        for method, path in guarded:
            for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": f"Basic {TOKEN}"}):
                answer = client.request(method, path, headers=header)
                refused(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert client.put("/items", json={"items": [{"item_id": "new", "title": "x"}]}, headers=bearer).status_code == 200
        assert client.get("/metrics", headers=bearer).status_code == 200
        assert client.post("/recommend", json={"histories": [[]]}).status_code == 200
        assert client.get("/info").status_code == 200
        assert TOKEN not in json.dumps(client.get("/info").json())


def test_the_documentation_has_examples_that_work_and_the_bare_address_leads_to_it(reader):
    client, _ = reader
    assert client.get("/", follow_redirects=False).headers["location"] == "docs"
    page = client.get("/docs").raise_for_status().text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for path in loaded:
        assert client.get(path).status_code == 200, f"{path}: nothing is loaded from other machines"
    schema = client.get("/openapi.json").json()
    for method, path in (("post", "/recommend"), ("post", "/similar"), ("put", "/items"), ("get", "/semantic-ids/{prefix}")):
        assert schema["paths"][path][method]["summary"]
    assert schema["components"]["schemas"]["RecommendRequest"]["examples"][0]["histories"] == [["B001", "B007"], []]
