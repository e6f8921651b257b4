import logging
import re

import pytest
from small_server import TOKEN, artifact_in, in_process, item_ids


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with in_process(artifact_in(tmp_path_factory.mktemp("gate")), max_body_bytes=2000) as (client, _):
        yield client


def test_a_server_on_loopback_answers_for_localhost_alone(client):
    for host in ("localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert client.get("/health", headers={"host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "", "127.0.0.2"):
        answer = client.get("/health", headers={"host": host})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_host")


def test_pages_of_other_origins_are_refused(client):
    assert client.post("/reload", headers={"origin": "https://evil.example"}).json()["error"]["code"] == "wrong_origin"
    assert client.post("/reload", headers={"origin": "null"}).status_code == 403
    assert client.post("/reload", headers={"origin": "http://localhost"}).status_code == 200


def test_a_server_for_others_answers_for_any_host(tmp_path):
    with in_process(artifact_in(tmp_path), is_loopback=False, token=TOKEN) as (client, _):
        assert client.get("/health", headers={"host": "shop.example"}).status_code == 200


def test_bodies_above_the_limit_are_refused_whether_they_say_so_or_not(client):
    body = b'{"histories": [["' + b"x" * 3000 + b'"]]}'
    told = client.post("/recommend", content=body, headers={"content-type": "application/json"})
    assert (told.status_code, told.json()["error"]["code"]) == (413, "too_large")
    chunks = (body[start : start + 500] for start in range(0, len(body), 500))
    untold = client.post("/recommend", content=chunks, headers={"content-type": "application/json"})
    assert (untold.status_code, untold.json()["error"]["code"]) == (413, "too_large")


def test_every_request_has_a_name_a_plain_one_of_the_caller_if_there_is_one(client):
    assert client.get("/health", headers={"x-request-id": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    for strange in ("a b", "x" * 65, "<script>", ""):
        name = client.get("/health", headers={"x-request-id": strange}).headers["x-request-id"]
        assert name != strange
        assert re.fullmatch("[0-9a-f]{8}-[0-9]+", name)
    assert client.get("/nowhere").headers["x-content-type-options"] == "nosniff"


def test_the_log_has_times_and_sizes_and_no_history(client, caplog):
    with caplog.at_level(logging.INFO, logger="cobrarec.serving"):
        client.post("/recommend", json={"histories": [item_ids()[:3], []], "k": 4}, headers={"x-request-id": "here"})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "cobrarec.serving"]
    assert line.startswith("here POST /recommend 200 ")
    assert line.endswith(" ms 2 x 4")
    assert not any(item in line for item in item_ids())


def test_answers_are_not_stored_unless_they_say_so_themselves(client):
    assert client.get("/health").headers.get_list("cache-control") == ["no-store"]
