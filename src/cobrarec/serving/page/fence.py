"""Fence: the few addresses of gradio that the page needs, and a policy by which its browser asks no other machine for anything."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from types import SimpleNamespace
from typing import Any

from cobrarec.serving.gate import App, Receive, Scope, Send

READ_PATHS = ("/", "/theme.css", "/config")
"""What may be read under /ui, beside files of gradio's own."""
READ_FOLDERS = ("/assets/", "/static/")
ASKED_PATHS = ("/gradio_api/run/predict",)
"""Where the page asks; uploads, downloads, proxies, streams and the rest of gradio's API are not served."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""gradio's scripts are inline and make functions from text; where they load from and what they ask is this server alone."""
ROUTE = SimpleNamespace(path="/ui")
"""What log and metrics call every request for the page."""
_FOREIGN = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>|<link rel="manifest"[^>]*>|<base [^>]*>')
"""Addresses in gradio's own page that are not this server's, or that it does not answer."""


class Fence:
    """ASGI application around that of gradio."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request of the page through; anything else is not found."""
        if scope["type"] != "http":
            return
        path = "/" + scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        scope["route"] = ROUTE
        if not _is_allowed(scope["method"], path):
            await _not_found(send)
            return
        if path == "/":
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]  # it is read here
        try:
            await self._app(scope, receive, _Page(send) if path == "/" else _with_headers(send, path))
        finally:
            scope["route"] = ROUTE  # gradio has written its own into it


class _Page:
    """Sends the page whole, without the addresses of others."""

    def __init__(self, send: Send) -> None:
        self._send, self._body = send, b""
        self._start: dict[str, Any] = {}

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = dict(message)
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = _FOREIGN.sub(b"", self._body).replace(b"<head>", b'<head><link rel="icon" href="data:,">', 1)
        kept = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
        headers = [*kept, (b"content-length", str(len(body)).encode()), (b"content-security-policy", POLICY.encode())]
        await self._send({**self._start, "headers": [*headers, (b"referrer-policy", b"no-referrer")]})
        await self._send({"type": "http.response.body", "body": body})


def _is_allowed(method: str, path: str) -> bool:
    if ".." in path:
        return False
    if method in ("GET", "HEAD"):
        return path in READ_PATHS or path.startswith(READ_FOLDERS)
    return method == "POST" and path in ASKED_PATHS


def _with_headers(send: Send, path: str) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]:
    """Files whose names hold a hash of their content need not be asked for again."""

    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and path.startswith("/assets/") and message["status"] == 200:
            own = [(name, value) for name, value in message["headers"] if name != b"cache-control"]
            message["headers"] = [*own, (b"cache-control", b"private, max-age=604800, immutable")]
        await send(message)

    return sent


async def _not_found(send: Send) -> None:
    body = b'{"error":{"code":"not_found","message":"The page has no such address."}}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
