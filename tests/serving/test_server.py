import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from small_server import TOKEN, artifact_in, item_ids, over_loopback

from cobrarec.artifact import load_artifact
from cobrarec.compaction import compact
from cobrarec.errors import ConfigError
from cobrarec.serving.client import Client
from cobrarec.serving.server import read_token

ASK = {"histories": [item_ids()[:3]], "k": 5}


def test_a_server_answers_takes_changes_and_ends_with_what_it_holds(tmp_path):
    folder = artifact_in(tmp_path)
    with over_loopback(folder) as (url, process), Client(url) as client:
        assert client.put_items([{"item_id": "new", "title": "x"}])["catalog_version"] == 1
        expected = load_artifact(folder).recommend([item_ids()[:3]], 5)[0]
        assert [item["item_id"] for item in client.recommend(**ASK)["lists"][0]] == [item.item_id for item in expected]
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out.rstrip().endswith("Stopped.")
        assert out.count(f"Serving on {url} (documentation at /docs)") == 1
        assert "Traceback" not in out
    assert load_artifact(folder).info.catalog_version == 1


def asking(url, until, answers):
    """Ask for lists until it is over, and keep the status of each answer and its artifact."""
    with httpx.Client(base_url=url, timeout=60) as http:
        while not until.is_set():
            try:
                answer = http.post("/recommend", json=ASK)
                answers.append((answer.status_code, answer.json().get("artifact")))
            except httpx.HTTPError as error:
                answers.append((repr(error), None))


def test_sighup_swaps_artifacts_without_a_failed_request_and_refuses_a_broken_one(tmp_path):
    folder = artifact_in(tmp_path)
    with over_loopback(folder) as (url, process), Client(url) as client:
        client.remove_item(item_ids()[9])
        compact(folder, tmp_path / "next")
        over, answers = threading.Event(), []
        asker = threading.Thread(target=asking, args=(url, over, answers))
        asker.start()
        before = client.ready()["artifact"]
        while not answers:
            time.sleep(0.05)
        folder.rename(tmp_path / "old")
        (tmp_path / "next").rename(folder)
        process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 60
        while client.ready()["artifact"] == before and time.monotonic() < until:
            time.sleep(0.05)
        now = client.ready()["artifact"]
        assert now != before
        (folder / "codes.npy").write_bytes(b"broken")
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert client.ready()["artifact"] == now
        over.set()
        asker.join()
    assert {status for status, _ in answers} == {200}
    assert {artifact for _, artifact in answers} == {before, now}


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("COBRAREC_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("COBRAREC_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    (tmp_path / "token").write_text("from-a-file-12345\n")
    assert read_token(tmp_path / "token") == "from-a-file-12345"
    (tmp_path / "empty").write_text("\n")
    for name in ("empty", "missing"):
        with pytest.raises(ConfigError, match="--token-file"):
            read_token(tmp_path / name)


def test_a_connection_that_sends_headers_without_end_is_refused(tmp_path):
    with over_loopback(artifact_in(tmp_path)) as (url, _), Client(url) as client:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 200_000)
            assert b" 400 " in connection.recv(1000)
        assert client.ready()["status"] == "ready"


def test_requests_on_one_connection_are_not_read_before_those_ahead_are_answered(tmp_path):
    request = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with over_loopback(artifact_in(tmp_path)) as (url, process), Client(url) as client:
        host, port = url.removeprefix("http://").split(":")
        threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()  # or the log would stop it
        status = Path(f"/proc/{process.pid}/status")
        before = int(status.read_text().split("VmRSS:")[1].split()[0])
        with socket.create_connection((host, int(port))) as connection:
            connection.settimeout(3)
            with pytest.raises(TimeoutError):
                connection.sendall(request * 2_000_000)  # nobody reads the answers
        assert int(status.read_text().split("VmRSS:")[1].split()[0]) < before + 60 * 1024
        assert client.ready()["status"] == "ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_server_that_ends_tells_those_who_ask_on_to_open_another_connection(tmp_path):
    with over_loopback(artifact_in(tmp_path)) as (url, process), httpx.Client(base_url=url) as http:
        assert "connection" not in http.get("/health").headers
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert http.get("/health").headers["connection"] == "close"
        process.communicate(timeout=60)
        assert process.returncode == 0
