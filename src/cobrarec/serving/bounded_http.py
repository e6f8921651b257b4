"""BoundedHttp: uvicorn's quick HTTP protocol, which alone would read on while requests wait, and take headers without end.

The parser is handed small pieces, and none while a parsed request waits for the answer to the one ahead: what was read stays bytes, and
beyond `MOST_UNPARSED` of them no more is read from the connection. What is no body and goes on beyond `LONGEST_HEAD` bytes is refused.
A refusal is sent when the requests ahead of it are answered, and ends the connection. Trailers are counted and left aside: they are no
headers of the request. A request that would rather be of another protocol, whose body the parser would leave unread, is parsed once more
without that wish, which HTTP lets a server ignore.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 << 10
"""Bytes of the address and all headers of a request, trailers included."""
PIECE = 4 << 10
"""Bytes that are parsed at once; as many requests as fit into them can be parsed ahead of the one that is answered."""
MOST_UNPARSED = 64 << 10
"""Bytes that wait to be parsed, beside what one read brings; as long as there are fewer it is seen that a client leaves."""
VERSIONS = ("1.0", "1.1")


class _RefusedError(Exception):
    """The parser takes what is raised out of its calls for a request that it cannot read."""


class _Flow(FlowControl):
    """Reads unless the protocol holds as much as it may, whoever asks for a pause or an end of it."""

    def __init__(self, transport: Any, protocol: "BoundedHttp") -> None:
        super().__init__(transport)
        self._protocol = protocol

    def pause_reading(self) -> None:
        """Pause, if there is a reason."""
        if self._protocol.is_full:
            super().pause_reading()

    def resume_reading(self) -> None:
        """Read on, if there is no reason against it."""
        if not self._protocol.is_full:
            super().resume_reading()


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **named: Any) -> None:
        """What uvicorn gives every protocol."""
        super().__init__(*args, **named)
        self._unparsed = b""
        self._running: Any = None
        self._refusal = ""
        self._is_in_trailers = False
        self._head_bytes = self._bytes_of_nothing = 0

    @property
    def _is_over(self) -> bool:
        """Nothing that comes now is parsed."""
        return bool(self._refusal)

    @property
    def is_full(self) -> bool:
        """No more is to be read: too much waits to be parsed, or the body of a request to be taken."""
        body = b"" if self.cycle is None or self.cycle.response_complete else self.cycle.body
        return len(self._unparsed) > MOST_UNPARSED or len(body) > HIGH_WATER_LIMIT

    def connection_made(self, transport: Any) -> None:  # uvloop's is no `asyncio.Transport`
        """Begin."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever works for this connection."""
        super().connection_lost(exc)
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse as much as may be parsed now, and keep the rest."""
        if self._is_over:
            return
        self._unparsed += data
        self._parse()
        is_answered = self.cycle is None or self.cycle.response_complete
        if is_answered and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            # what came begins a request at most, which may never end
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_response_complete(self) -> None:
        """Go on with what waits."""
        super().on_response_complete()
        self._parse()
        if self._is_over:
            self._end()

    def _parse(self) -> None:
        """Hand on pieces until a request waits for the one ahead, or nothing is left."""
        place, data = 0, self._unparsed
        while place < len(data) and not (self.pipeline or self._is_over or self.transport.is_closing()):
            piece = data[place : place + PIECE]
            place += len(piece)
            self._bytes_of_nothing += len(piece)
            self._feed(piece)
            if self._bytes_of_nothing > LONGEST_HEAD:
                self.send_400_response("The headers are too long.")
        self._unparsed = b"" if self._is_over else data[place:]
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.flow.resume_reading()

    def _feed(self, piece: bytes) -> None:
        """Hand a piece to the parser."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            head = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
            head += b"".join(b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
            self.parser = httptools.HttpRequestParser(self)
            self._feed(head + b"\r\n" + piece[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, once the requests ahead of it are answered."""
        if not self._is_over:
            self._refusal = msg
            if self.pipeline and self.pipeline[0][0].more_body:  # the latest, which broke off in its body
                self.pipeline.popleft()
            self._end()

    def _end(self) -> None:
        """Send the refusal and close the connection, unless an answer is still to come."""
        cycle = self._running
        is_open = cycle is not None and not cycle.response_complete
        if self.transport.is_closing() or self.pipeline or (is_open and not cycle.more_body):
            return
        if is_open and cycle.response_started:  # it broke off in its body, and its answer is under way
            self.transport.close()
        else:
            super().send_400_response(self._refusal)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Begin to answer a request."""
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = self._bytes_of_nothing = 0
        self._is_in_trailers = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One whole header, or trailer; its bytes are counted with those around them."""
        self._count(len(name) + len(value) + len(": \r\n"))
        if not self._is_in_trailers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """All headers are there, among them one that names the host; HTTP/1.0 knows none."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        version = self.parser.get_http_version()
        is_named = hosts == 1 or (version == "1.0" and not hosts)
        if version not in VERSIONS or not is_named or self.parser.get_method() == b"CONNECT":
            raise _RefusedError
        self._is_in_trailers = True
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The end of a request; a trailer can have closed the connection, behind which the parser is deaf."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        if not self.parser.should_keep_alive():
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._bytes_of_nothing = 0
        super().on_body(body)

    def _count(self, num_bytes: int) -> None:
        self._bytes_of_nothing = 0
        self._head_bytes += num_bytes
        if self._head_bytes > LONGEST_HEAD:
            raise _RefusedError
