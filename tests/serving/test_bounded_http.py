import asyncio
import contextlib
import socket
import threading
import time

import pytest
import uvicorn
from small_server import free_port

from cobrarec.serving.bounded_http import LONGEST_HEAD, MOST_UNPARSED, PIECE, BoundedHttp

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"


class Echo:
    """Answers with path and length of the body, when it may; keeps what it has begun, and whose client it saw leave.

    Paths that begin with `/blind` are answered without a look at the body.
    """

    def __init__(self):
        self.begun, self.left, self.may_answer = [], [], threading.Event()
        self.may_answer.set()
        self.protocols = []

    @property
    def num_begun(self):
        """Requests that were begun."""
        return len(self.begun)

    async def __call__(self, scope, receive, send):
        """One request."""
        self.begun.append(scope)
        size, is_more = 0, not scope["path"].startswith("/blind")
        while is_more:
            message = await receive()
            size, is_more = size + len(message.get("body", b"")), message.get("more_body", False)
        while not self.may_answer.is_set():
            await asyncio.sleep(0.01)
            if scope["path"] == "/watching":
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.left.append(scope["path"])
                    return
        body = f"{scope['path']} {size}\n".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(app, keep_alive=30):
    """The application behind the protocol, and a way to connect to it."""

    class Watched(BoundedHttp):
        def __init__(self, *args, **named):
            super().__init__(*args, **named)
            app.protocols.append(self)

    port = free_port()
    config = uvicorn.Config(app, port=port, http=Watched, ws="none", lifespan="off", log_config=None, timeout_keep_alive=keep_alive)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    try:
        yield lambda: socket.create_connection(("127.0.0.1", port), timeout=20)
    finally:
        app.may_answer.set()
        server.should_exit = True
        thread.join()


def answers(connection, count):
    """The bodies of so many answers, in the order in which they came; None for one that is no success."""
    stream, bodies = connection.makefile("rb"), []
    for _ in range(count):
        status = stream.readline()
        headers = dict(line.rstrip(b"\r\n").lower().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
        body = stream.read(int(headers[b"content-length"]))
        bodies.append(body.decode().strip() if b" 200 " in status else None)
    return bodies


def test_requests_on_one_connection_are_answered_in_their_order_whatever_the_pieces():
    requests = [f"GET /{number} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for number in range(300)]
    requests[7] = b"POST /7 HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n" + b"y" * 100_000
    requests[9] = b"POST /9 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    sizes = {7: 100_000, 9: 5}
    whole = b"".join(requests)
    with serving(Echo()) as connect:
        for piece in (len(whole), PIECE, 1000, 7):
            with connect() as connection:
                sender = threading.Thread(
                    target=lambda piece=piece, to=connection: [to.sendall(whole[at : at + piece]) for at in range(0, len(whole), piece)]
                )
                sender.start()
                assert answers(connection, 300) == [f"/{number} {sizes.get(number, 0)}" for number in range(300)]
                sender.join()


def test_while_the_first_request_waits_few_are_parsed_and_no_more_is_read():
    app = Echo()
    app.may_answer.clear()
    with serving(app) as connect, connect() as connection:
        connection.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                sent += connection.send(GET * 10_000)
        assert sent < 30_000_000  # what the system holds for both ends
        protocol = app.protocols[0]
        assert protocol.flow.read_paused
        assert app.num_begun == 1
        assert len(protocol.pipeline) <= PIECE // len(GET) + 1
        assert MOST_UNPARSED < len(protocol._unparsed) <= 1 << 20
        connection.settimeout(20)
        app.may_answer.set()
        assert answers(connection, 20_000) == ["/a 0"] * 20_000


def test_a_body_in_parts_with_a_request_behind_it_is_read_whole():
    with serving(Echo()) as connect, connect() as connection:
        connection.sendall(b"POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n")
        for _ in range(3):
            connection.sendall(b"z" * 1_000_000)
        connection.sendall(GET)
        assert answers(connection, 2) == ["/b 3000000", "/a 0"]


def test_a_client_that_asks_whether_to_go_on_is_told_so():
    with serving(Echo()) as connect, connect() as connection:
        connection.sendall(b"POST /b HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert answers(connection, 1) == ["/b 3"]


def test_a_body_that_nobody_takes_is_not_collected():
    app = Echo()
    app.may_answer.clear()
    with serving(app) as connect, connect() as connection:
        connection.sendall(b"POST /blind HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk, sent = b"10000\r\n" + b"x" * 65536 + b"\r\n", 0
        connection.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                sent += connection.send(chunk)
        assert sent < 30_000_000
        assert len(app.protocols[0].cycle.body) < 1 << 20
        app.may_answer.set()
        assert answers(connection, 1) == ["/blind 0"]


def test_trailers_are_no_headers():
    app = Echo()
    with serving(app) as connect, connect() as connection:
        connection.sendall(
            b"POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nhost: y\r\nauthorization: z\r\n\r\n" + GET
        )
        assert answers(connection, 2) == ["/b 2", "/a 0"]
    assert app.begun[0]["headers"] == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize(
    ("name", "begin", "on"),
    [
        ("one header", b"GET / HTTP/1.1\r\nhost: x\r\nx: ", b"x" * 1000),
        ("one name", b"GET / HTTP/1.1\r\nhost: x\r\n", b"x" * 1000),
        ("many headers", b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n" * 200),
        ("the address", b"GET /", b"x" * 1000),
        ("empty lines", b"\r\n", b"\r\n" * 500),
        ("trailers", b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 200),
        ("one trailer", b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", b"x" * 1000),
        ("a name of a chunk", b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x" * 1000),
    ],
)
def test_what_is_no_body_and_has_no_end_is_refused(name, begin, on):
    with serving(Echo()) as connect, connect() as connection:
        connection.sendall(begin)
        answer = []
        reader = threading.Thread(target=lambda: answer.append(connection.recv(1000)))
        reader.start()
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 3 * LONGEST_HEAD and not answer:
                connection.sendall(on)
                sent += len(on)
                time.sleep(0.0005)
        reader.join()
        assert b" 400 " in answer[0], name
        with connect() as another:
            another.sendall(GET)
            assert answers(another, 1) == ["/a 0"]


def test_as_many_headers_as_fit_are_taken_and_more_are_refused():
    def asked(num_bytes):
        return b"GET /a HTTP/1.1\r\nhost: x\r\nx: " + b"y" * (num_bytes - len(b"/ahost: x\r\nx: \r\n")) + b"\r\n\r\n"

    with serving(Echo()) as connect:
        for num_bytes, expected in [(PIECE, ["/a 0"]), (LONGEST_HEAD - PIECE, ["/a 0"]), (LONGEST_HEAD + 1, [None])]:
            with connect() as connection:
                connection.sendall(asked(num_bytes))
                assert answers(connection, 1) == expected


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nhost: x\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnone\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_connection_answered(nonsense):
    with serving(Echo()) as connect, connect() as connection:
        connection.sendall(nonsense)
        assert answers(connection, 1) == [None]
        assert connection.recv(1) == b""
        with connect() as another:
            another.sendall(GET)
            assert answers(another, 1) == ["/a 0"]


@pytest.mark.parametrize("broken", [b"HELLO\r\n\r\n", b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnone\r\n"])
@pytest.mark.parametrize("num_ahead", [1, 3])
def test_a_refusal_comes_after_the_answers_to_the_requests_ahead(num_ahead, broken):
    app = Echo()
    app.may_answer.clear()
    with serving(app) as connect, connect() as connection:
        connection.sendall(GET * num_ahead)
        while not app.num_begun:
            time.sleep(0.01)
        connection.sendall(broken + GET)
        time.sleep(0.1)
        app.may_answer.set()
        assert answers(connection, num_ahead + 1) == ["/a 0"] * num_ahead + [None]
        assert connection.recv(1) == b""
        assert app.num_begun == num_ahead


@pytest.mark.parametrize(
    "wish",
    [
        b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n",
        b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: a\r\n",
    ],
)
@pytest.mark.parametrize("step", [1, 100, 10**6])
def test_a_request_that_would_rather_be_of_another_protocol_is_answered_in_this_one(wish, step):
    app = Echo()
    inner = b"GET /inner HTTP/1.1\r\nhost: x\r\n\r\n"
    get = b"GET /w HTTP/1.1\r\nhost: x\r\n" + wish + b"\r\n"
    post = b"POST /p?q=1 HTTP/1.1\r\nhost: x\r\n" + wish + b"content-length: %d\r\n\r\n%s" % (len(inner), inner)
    chunked = b"POST /c HTTP/1.1\r\nhost: x\r\n" + wish + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    whole = (
        (get + post + chunked) * 20 + b"POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n" + b"z" * (9000 - len(inner)) + inner
    )
    with serving(app) as connect, connect() as connection:
        threading.Thread(target=lambda: [connection.sendall(whole[at : at + step]) for at in range(0, len(whole), step)]).start()
        assert answers(connection, 61) == ["/w 0", f"/p {len(inner)}", "/c 3"] * 20 + ["/b 9000"]
    assert app.num_begun == 61, "no body is taken for a request"
    assert not any(name == b"upgrade" for scope in app.begun for name, _ in scope["headers"])
    assert app.begun[1]["query_string"] == b"q=1"


@pytest.mark.parametrize("num_behind", [0, 1, 1000])
def test_it_is_seen_that_a_client_leaves_whatever_it_sent_ahead(num_behind):
    app = Echo()
    app.may_answer.clear()
    with serving(app) as connect:
        with connect() as connection:
            connection.sendall(b"GET /watching HTTP/1.1\r\nhost: x\r\n\r\n" + GET * num_behind)
            while not app.num_begun:
                time.sleep(0.01)
        until = time.monotonic() + 10
        while not app.left and time.monotonic() < until:
            time.sleep(0.01)
        assert app.left == ["/watching"]
        app.may_answer.set()
        with connect() as another:
            another.sendall(GET)
            assert answers(another, 1) == ["/a 0"]
        assert app.num_begun == 2


def test_a_trailer_that_closes_the_connection_closes_it():
    closing = b"POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nconnection: close\r\n\r\n"
    with serving(Echo()) as connect:
        for path in (b"/b", b"/blind"):
            with connect() as connection:
                connection.sendall(closing.replace(b"/b", path)[:-4])
                time.sleep(0.1)
                connection.sendall(b"\r\n\r\n" + GET)
                assert answers(connection, 1) == [f"{path.decode()} 0"]
                assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "sent",
    [
        GET + b"\r\n",
        GET + b"GET /b HT",
        b"GET /b HT",
        b"POST /blind HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nab",
    ],
)
def test_a_connection_that_does_not_go_on_is_closed_after_a_while(sent):
    with serving(Echo(), keep_alive=1) as connect, connect() as connection:
        connection.sendall(sent[:-1])
        time.sleep(0.3)
        connection.sendall(sent[-1:])
        while connection.recv(1000):
            pass
