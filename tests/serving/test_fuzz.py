"""Bodies and addresses made wrong at random: every answer has its form, none is a fault of the server, and memory does not grow."""

import asyncio
import gc
import json
import random
import resource
import time
from typing import Any

import pytest
from small_server import artifact_in, item_ids

from cobrarec.serving.app import create_app
from cobrarec.serving.schemas import ProblemAnswer
from cobrarec.serving.server_settings import ServerSettings
from cobrarec.serving.service import Service

STRANGE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    -0.0,
    1e308,
    2**63,
    -(2**70),
    "",
    " ",
    "item-0001",
    "\x00",
    "\ud800",
    "é" * 50,
    "x" * 5000,
    [],
    {},
    [[]],
    [None],
    [[1]],
    [["a", 1]],
    {"min": 1},
    {"max": None},
    {"a": {"b": {}}},
    "NaN",
    "1e999",
    [[[[[[]]]]]],
    list(range(50)),
]
PATHS = [
    "/recommend",
    "/similar",
    "/items",
    "/items/a",
    "/semantic-ids/1",
    "/semantic-ids/0-0",
    "/reload",
    "/health",
    "/info",
    "/metrics",
    "/x",
]
METHODS = ["POST", "POST", "POST", "PUT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH"]


def good_bodies() -> list[tuple[str, str, dict[str, Any]]]:
    """Requests that are in order."""
    ids = item_ids()
    return [
        ("POST", "/recommend", {"histories": [ids[:3], []], "k": 3}),
        ("POST", "/recommend", {"histories": [ids[:3]], "k": 3, "explain": True, "exclude": ids[3:5], "allow": ids}),
        (
            "POST",
            "/recommend",
            {"histories": [ids[:2]], "timestamps": [[1, 2]], "where": {"title": ["a"]}, "tau": 0.5, "psi": 2.0, "num_beams": 3},
        ),
        ("POST", "/similar", {"item_id": ids[0], "k": 3}),
        ("PUT", "/items", {"items": [{"item_id": "fuzz", "title": "a thing"}]}),
    ]


def changed(value: Any, chosen: random.Random) -> Any:
    """The value with one part of it made strange."""
    if isinstance(value, dict) and value and chosen.random() < 0.8:
        name = chosen.choice(list(value))
        if chosen.random() < 0.2:
            return {**value, chosen.choice(["", "extra", name.upper()]): chosen.choice(STRANGE)}
        return {key: changed(one, chosen) if key == name else one for key, one in value.items() if key != name or chosen.random() < 0.9}
    if isinstance(value, list) and value and chosen.random() < 0.7:
        place = chosen.randrange(len(value))
        return [*value[:place], changed(value[place], chosen), *value[place + 1 :]]
    return chosen.choice(STRANGE)


def made_up(chosen: random.Random) -> tuple[str, str, bytes]:
    """Method, path and body of one request."""
    method, path, body = chosen.choice(good_bodies())
    for _ in range(chosen.randrange(3)):
        body = changed(body, chosen)
    data = json.dumps(body).encode("utf-8", "surrogatepass")
    kind = chosen.random()
    if kind < 0.15:
        place = chosen.randrange(len(data) + 1)
        data = data[:place] + chosen.randbytes(chosen.randrange(4)) + data[place + chosen.randrange(3) :]
    if kind > 0.9:
        method, path = chosen.choice(METHODS), chosen.choice(PATHS)
    return method, path, data


async def ask(app: Any, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """One request straight to the application."""
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    gone = asyncio.Event()

    async def receive() -> Any:
        if parts:
            return parts.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "root_path": "",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "server": ("localhost", 80),
        "client": ("localhost", 1),
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def fuzz(app: Any, times: int, seed: int) -> dict[int, int]:
    """So many made-up requests; how many had which status."""
    chosen, counts = random.Random(seed), dict[int, int]()
    for _ in range(times):
        method, path, body = made_up(chosen)
        status, answer = await ask(app, method, path, body)
        counts[status] = counts.get(status, 0) + 1
        assert status < 500, f"{method} {path} {body!r}: {answer!r}"
        if status >= 400 and method != "HEAD":
            ProblemAnswer.model_validate_json(answer)
    return counts


@pytest.fixture
def app(tmp_path):
    service = Service(artifact_in(tmp_path), ServerSettings())
    yield create_app(service)
    service.close()


def test_a_thousand_made_up_requests(app):
    counts = asyncio.run(fuzz(app, 1000, 0))
    assert {200, 404, 405, 422} <= set(counts)


@pytest.mark.slow
def test_a_hundred_thousand_made_up_requests_in_ten_minutes_or_more_and_no_memory_grows(app):
    asyncio.run(fuzz(app, 5000, 1))
    gc.collect()
    before, start, total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), 0
    while total < 100_000 or time.monotonic() - start < 600:
        total += sum(asyncio.run(fuzz(app, 5000, 2 + total)).values())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60 * 1024, f"{grown / 1024:.0f} MiB more at the peak than after the first 5,000"
