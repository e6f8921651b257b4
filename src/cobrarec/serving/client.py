"""Client: a server from Python, with the answers as plain dictionaries."""

import json
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from cobrarec.errors import UserError

BUSY = 503
LONGEST_PAUSE = 30.0
"""Seconds that a `Retry-After` is obeyed at most."""


class RefusedError(UserError):
    """The server refused a request. `status` is that of HTTP, `code` and `request_id` are the server's words for it."""

    def __init__(self, message: str, status: int, code: str, request_id: str) -> None:
        super().__init__(message)
        self.status, self.code, self.request_id = status, code, request_id


class Client:
    """One connection pool to one server; use it in a `with` block, or close it."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        token: str | None = None,
        timeout: int | float = 30.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect to `url`.

        Args:
            url: where the server listens.
            token: what guards writes, reload and metrics there.
            timeout: seconds to wait for an answer.
            retries: how often a request is sent again when the server is busy (503), after the pause that it asks for.
            transport: another way to the server, for tests.
        """
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def recommend(self, histories: Iterable[Iterable[Any]], k: Any = 10, **options: Any) -> dict[str, Any]:
        """`POST /recommend`; `options` are its other fields: exclude, allow, where, unknown, explain, timestamps, num_beams, tau, psi.

        Raises:
            RefusedError: the server refused it, or was busy for longer than the retries last.
            UserError: there is no server, or it does not answer.
        """
        return self._call("POST", "/recommend", {"histories": _lists(histories), "k": k, **options})

    def similar(self, item_id: Any, k: int = 10) -> dict[str, Any]:
        """`POST /similar`; raises as `recommend` does."""
        return self._call("POST", "/similar", {"item_id": item_id, "k": k})

    def item(self, item_id: Any) -> dict[str, Any]:
        """`GET /items/{id}`; raises as `recommend` does."""
        return self._call("GET", _item_path(item_id))

    def find_items(self, query: str, limit: int = 20) -> dict[str, Any]:
        """`GET /items?q=`; raises as `recommend` does."""
        return self._call("GET", f"/items?q={quote(query, safe='')}&limit={limit}")

    def semantic_ids(self, prefix: Iterable[int] = ()) -> dict[str, Any]:
        """`GET /semantic-ids/{prefix}`; raises as `recommend` does."""
        codes = "-".join(str(code) for code in prefix)
        return self._call("GET", f"/semantic-ids/{codes}" if codes else "/semantic-ids")

    def put_items(self, items: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """`PUT /items`: add or replace; on disk when it is answered. Raises as `recommend` does."""
        return self._call("PUT", "/items", {"items": list(items)})

    def remove_item(self, item_id: Any) -> dict[str, Any]:
        """`DELETE /items/{id}`; on disk when it is answered. Raises as `recommend` does."""
        return self._call("DELETE", _item_path(item_id))

    def reload(self) -> dict[str, Any]:
        """`POST /reload`; raises as `recommend` does."""
        return self._call("POST", "/reload")

    def ready(self) -> dict[str, Any]:
        """`GET /ready`; raises as `recommend` does."""
        return self._call("GET", "/ready")

    def info(self) -> dict[str, Any]:
        """`GET /info`; raises as `recommend` does."""
        return self._call("GET", "/info")

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            content = None if body is None else json.dumps(body, default=_plain, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise UserError(f"The request cannot be written as JSON: {error}.") from None
        for left in reversed(range(self._retries + 1)):
            try:
                answer = self._http.request(method, path, content=content, headers={"content-type": "application/json"})
            except httpx.UnsupportedProtocol:
                raise UserError(f"{self._http.base_url} is no address of a server; give one such as http://127.0.0.1:8000.") from None
            except httpx.HTTPError as error:
                told = type(error).__name__
                raise UserError(f"No answer from {self._http.base_url} ({told}); is `cobrarec serve` running there?") from None
            if answer.status_code != BUSY or not left:
                break
            time.sleep(_pause(answer.headers.get("retry-after")))
        if answer.is_success:
            return answer.json()
        raise _refused(answer)


def _lists(histories: Any) -> Any:
    """Histories of any kind as lists; what is none is left for the server to refuse, in its words."""
    if isinstance(histories, str | bytes):
        return histories
    return [history if isinstance(history, str | bytes) else list(history) for history in histories]


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is of type {type(value).__name__}")


def _item_path(item_id: Any) -> str:
    return f"/items/{quote(str(item_id), safe='')}"


def _pause(told: str | None) -> float:
    try:
        return min(LONGEST_PAUSE, max(0.0, float(told or 1)))
    except ValueError:
        return 1.0


def _refused(answer: httpx.Response) -> RefusedError:
    try:
        error = answer.json()["error"]
        return RefusedError(error["message"], answer.status_code, error["code"], error["request_id"])
    except (ValueError, KeyError, TypeError):
        return RefusedError(f"The server answered {answer.status_code} without saying why.", answer.status_code, "unknown", "")
