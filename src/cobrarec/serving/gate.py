"""Gate: what every request passes, whatever it asks for: host, origin, token, a name and a time in log and metrics."""

import functools
import itertools
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from starlette.requests import ClientDisconnect

from cobrarec.serving.meters import Meters
from cobrarec.serving.server_settings import LOOPBACK, ServerSettings

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("cobrarec.serving")
GUARDED_PATHS = ("/reload", "/metrics")
"""Paths that need the token whatever the method."""
GUARDED_METHODS = ("PUT", "DELETE")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
"""What the metrics tell apart; a caller can make up others without end."""
CLIENT_GONE = 499
"""In log and metrics, the status of a request whose client went away before the end of its body."""
LONGEST_MESSAGE = 1000
"""Characters."""
FAULT = "This is our fault, not yours. The server's log has the rest under this request's id."
_numbers = itertools.count(1)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CLOSE = (b"connection", b"close")
_NOSNIFF, _NO_STORE = (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")


class TooLarge(Exception):  # noqa: N818 - it is no fault of ours
    """The body goes on beyond the limit."""


class _Body:
    """Hands the body on, but no more of it than the limit."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left, self.is_too_large = receive, most, False

    async def receive(self) -> MutableMapping[str, Any]:
        """The next part; raises TooLarge where that is too much."""
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.is_too_large = True
            raise TooLarge
        return message


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: App, settings: ServerSettings, meters: Meters, is_loopback: bool, is_leaving: Callable[[], bool] = lambda: False
    ) -> None:
        """Go around `app`.

        Args:
            app: the application.
            settings: the limits and the token.
            meters: what counts the requests.
            is_loopback: the server listens on loopback alone, so that a request for another host comes from a page that was misled.
            is_leaving: whether connections shall not be kept, since the process is about to end.
        """
        self._app, self._settings, self._meters, self._is_loopback, self._is_leaving = app, settings, meters, is_loopback, is_leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id = _request_id(headers.get(b"x-request-id"))
        status, is_begun = 500, False
        body = _Body(receive, self._settings.max_body_bytes)

        async def send_named(message: MutableMapping[str, Any]) -> None:
            """Send with the request's name, and keep the status."""
            nonlocal status, is_begun
            if body.is_too_large:
                raise TooLarge  # the application takes the failed read for a body that it cannot parse
            if message["type"] == "http.response.start":
                status, is_begun = message["status"], True
                own = list(message.get("headers", []))
                stored = [] if any(name == b"cache-control" for name, _ in own) else [_NO_STORE]
                leaving = [_CLOSE] if self._is_leaving() else []
                message["headers"] = [*own, _NOSNIFF, *stored, *leaving, (b"x-request-id", request_id.encode())]
            await send(message)

        refusal = self._refusal(scope, headers)
        try:
            if refusal is not None:
                await _refuse(send_named, *refusal, request_id)
            else:
                await self._app(scope, body.receive, send_named)
        except TooLarge:
            body.is_too_large = False
            told = f"The body is larger than {self._settings.max_body_bytes:,} bytes; send it in parts."
            await _refuse(send_named, 413, "too_large", told, [], request_id)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception as error:  # whatever is left is a fault of ours
            logger.error("%s: a fault of ours", request_id, exc_info=error)
            if not is_begun:
                await _refuse(send_named, 500, "fault", FAULT, [], request_id)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "other")
            sizes = scope["state"].get("sizes", "")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._meters.request(route, method, status, seconds)
            logger.info("%s %s %s %d %.1f ms %s", request_id, scope["method"], route, status, 1000 * seconds, sizes)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str, str, list[tuple[bytes, bytes]]] | None:
        """Status, code, message and headers of an answer given here; None to let the request through."""
        if self._is_loopback and _host_name(headers.get(b"host", b"")) not in LOOPBACK:
            return 403, "wrong_host", "This server listens on loopback and answers requests for localhost alone.", []
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b""):
            return 403, "wrong_origin", "Pages of another origin may not ask this server; ask from its own, or from a program.", []
        guarded = scope["method"] in GUARDED_METHODS or scope["path"].rstrip("/") in GUARDED_PATHS
        if guarded and not self._is_admitted(headers.get(b"authorization", b"")):
            told = "This needs the header `Authorization: Bearer TOKEN` with the server's token."
            return 401, "unauthorized", told, [(b"www-authenticate", b"Bearer")]
        return None

    def _is_admitted(self, authorization: bytes) -> bool:
        kind, _, given = authorization.partition(b" ")
        return self._settings.token is None or (self._settings.is_token(given) and kind.lower() == b"bearer")


def problem(code: str, message: str, request_id: str) -> bytes:
    """The body of an answer that is no success; a message that repeats what was sent does not repeat all of it."""
    message = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} ..."
    return json.dumps({"error": {"code": code, "message": message, "request_id": request_id}}).encode()


def _request_id(given: bytes | None) -> str:
    """The caller's own name for the request, where it is a plain word, else a new one: a process draws one word, and counts."""
    word = (given or b"").decode("latin-1")
    return word if _NAME.fullmatch(word) else f"{_process_word(os.getpid())}-{next(_numbers)}"


@functools.cache
def _process_word(process: int) -> str:
    """Drawn once a process, also after a fork."""
    return uuid.uuid4().hex[:8]


def _host_name(host: bytes) -> str:
    name = host.decode("latin-1").lower()
    return name[1:].split("]")[0] if name.startswith("[") else name.rsplit(":", 1)[0]


async def _refuse(send: Send, status: int, code: str, message: str, headers: list[tuple[bytes, bytes]], request_id: str) -> None:
    body = problem(code, message, request_id)
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
