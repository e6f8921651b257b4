import asyncio

import pytest

from cobrarec.serving.page.fence import POLICY, ROUTE, Fence

PAGE = (
    b'<html><head><base href="./"><meta property="og:url" content="https://gradio.app/" />'
    b'<meta\n\t\t\tname="twitter:image"\n content="https://x.y" />'
    b'<link rel="manifest" href="/manifest.json" /></head><body>here</body></html>'
)


async def gradio(scope, receive, send):
    """What lies behind the fence: any address is answered by the page, in two parts."""
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(PAGE)).encode()), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE[:40], "more_body": True})
    await send({"type": "http.response.body", "body": PAGE[40:]})


def asked(path, method="GET", kind="http"):
    """Status, headers and body of an answer, and the scope."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    scope = {"type": kind, "method": method, "path": "/ui" + path, "root_path": "/ui", "headers": []}
    asyncio.run(Fence(gradio)(scope, receive, send))
    if not sent:
        return None
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:]), scope


def test_the_page_holds_no_address_of_another_machine_and_forbids_to_ask_one():
    status, headers, body, scope = asked("/")
    assert status == 200
    assert b"http" not in body.replace(b"<html>", b"").replace(b"</html>", b"")
    assert b"manifest" not in body
    assert b"here" in body
    assert int(headers[b"content-length"]) == len(body)
    assert headers[b"content-security-policy"].decode() == POLICY
    assert "http:" not in POLICY
    assert "*" not in POLICY
    assert scope["route"] is ROUTE


@pytest.mark.parametrize("path", ["/theme.css", "/config", "/assets/index.js", "/static/fonts/x.woff2"])
def test_what_the_page_is_made_of_can_be_read(path):
    assert asked(path)[0] == 200


def test_files_named_by_their_content_need_not_be_asked_for_again():
    assert b"immutable" in asked("/assets/index-abc.js")[1][b"cache-control"]
    assert asked("/theme.css")[1][b"cache-control"] == b"no-cache"


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/gradio_api/upload", "POST"),
        ("/gradio_api/queue/join", "POST"),
        ("/gradio_api/queue/data", "GET"),
        ("/gradio_api/file=/etc/passwd", "GET"),
        ("/gradio_api/proxy=https://evil.example", "GET"),
        ("/gradio_api/heartbeat/abc", "GET"),
        ("/gradio_api/info", "GET"),
        ("/gradio_api/run/search", "POST"),
        ("/gradio_api/run/predict", "GET"),
        ("/gradio_api/component_server", "POST"),
        ("/monitoring", "GET"),
        ("/login", "POST"),
        ("/assets/../../secret", "GET"),
        ("/", "POST"),
        ("/", "PUT"),
    ],
)
def test_the_rest_of_gradio_is_not_there(path, method):
    status, _, body, _ = asked(path, method)
    assert status == 404
    assert b"not_found" in body


def test_presses_go_through_and_sockets_do_not():
    assert asked("/gradio_api/run/predict", "POST")[0] == 200
    assert asked("/", kind="websocket") is None
