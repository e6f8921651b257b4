import socket

import pytest
from small_page import interactions_in
from small_server import artifact_in
from starlette.testclient import TestClient

from cobrarec.serving.app import create_app
from cobrarec.serving.server_settings import ServerSettings
from cobrarec.serving.service import Service

pytest.importorskip("gradio", reason="the page needs gradio")

from cobrarec.serving.page.mount import mount_page  # noqa: E402

LOOKED_UP = []
"""Names of machines that the server asked for while the page was mounted and used."""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mount")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda host, *_, **__: LOOKED_UP.append(host))
        service = Service(artifact_in(folder), ServerSettings(max_body_bytes=4000))
        app = create_app(service)
        mount_page(app, interactions_in(folder))
        with TestClient(app, base_url="http://localhost") as client:
            yield client


def press(client, number, data):
    """Ask as the page does."""
    return client.post("/ui/gradio_api/run/predict", json={"fn_index": number, "data": data, "session_hash": "s"})


def test_the_page_is_there_and_names_no_other_machine(client):
    page = client.get("/ui/")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert page.text.count("http://") == page.text.count("http://localhost")
    assert "cobrarec" in page.text
    assert client.get("/ui", follow_redirects=False).status_code in (200, 307)


def test_the_bare_address_leads_to_the_page(client):
    assert client.get("/", follow_redirects=False).headers["location"] == "ui/"
    assert client.get("/").status_code == 200


def test_the_gate_stands_before_the_page(client):
    assert client.get("/ui/", headers={"host": "evil.example"}).json()["error"]["code"] == "wrong_host"
    assert client.post("/ui/gradio_api/run/predict", headers={"origin": "https://evil.example"}).status_code == 403
    assert press(client, 0, ["x" * 5000]).status_code == 413
    assert "x-request-id" in client.get("/ui/").headers


def test_a_press_is_one_request_and_its_answer(client):
    answer = press(client, 0, ["dog"])
    assert answer.status_code == 200
    assert "item" in answer.json()["data"][0]


def test_the_api_is_as_it_was(client):
    assert client.get("/ready").status_code == 200
    assert client.get("/docs").status_code == 200
    assert "/ui" not in client.get("/openapi.json").json()["paths"]


def test_log_and_metrics_know_the_page_by_one_name(client):
    client.get("/ui/")
    client.get("/ui/nowhere")
    counted = [line for line in client.get("/metrics").text.splitlines() if line.startswith("cobrarec_requests_total")]
    routes = {line.split('route="')[1].split('"')[0] for line in counted}
    assert "/ui" in routes
    assert not [route for route in routes if route.startswith("/ui/") or "gradio" in route]


def test_uploads_files_and_streams_are_not_served(client):
    assert client.post("/ui/gradio_api/upload", files={"files": b"x"}).status_code == 404
    assert client.get("/ui/gradio_api/queue/data").status_code == 404
    assert client.get("/ui/gradio_api/file=/etc/passwd").status_code == 404


def test_the_server_asks_no_other_machine(client):
    assert client.get("/ui/").status_code == 200
    assert LOOKED_UP == []
