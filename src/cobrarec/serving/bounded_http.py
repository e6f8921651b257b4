"""BoundedHttp: uvicorn's quick HTTP protocol, which alone would read on while requests wait, and take headers without end.

The parser is handed small pieces, and none while a parsed request waits for the answer to the one ahead: what was read stays bytes, and
no more is read from the connection. One that brings nothing but headers is refused after `LONGEST_HEAD` bytes.
"""

from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 << 10
"""Bytes of the address and all headers of a request, trailers included."""
PIECE = 4 << 10
"""Bytes that are parsed at once; as many requests as fit into them can be parsed ahead of the one that is answered."""


class _HeadTooLongError(Exception):
    """What is no body goes on without end."""


class _Flow(FlowControl):
    """Pauses and resumes reading, but does not resume while `protocol` has requests that wait."""

    def __init__(self, transport: Any, protocol: "BoundedHttp") -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        """Read on, unless something that was read waits."""
        if not self._protocol.is_ahead:
            super().resume_reading()


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **named: Any) -> None:
        """What uvicorn gives every protocol."""
        super().__init__(*args, **named)
        self._unparsed = b""
        self._head_bytes = self._bytes_of_nothing = 0

    @property
    def is_ahead(self) -> bool:
        """Requests were read that wait for the answer to the one ahead."""
        return bool(self.pipeline or self._unparsed)

    def connection_made(self, transport: Any) -> None:  # uvloop's is no `asyncio.Transport`
        """Begin, with reading that stops while requests wait."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)

    def data_received(self, data: bytes) -> None:
        """Parse as much as may be parsed now, and keep the rest."""
        self._unparsed += data
        self._parse()

    def on_response_complete(self) -> None:
        """Go on with what waits."""
        super().on_response_complete()
        self._parse()

    def _parse(self) -> None:
        """Hand on pieces until a request waits for the one ahead, or nothing is left."""
        place, data = 0, self._unparsed
        while place < len(data) and not self.pipeline and not self.transport.is_closing():
            piece = data[place : place + PIECE]
            place += len(piece)
            self._bytes_of_nothing += len(piece)
            super().data_received(piece)
            if self._bytes_of_nothing > LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The headers are too long.")
        self._unparsed = data[place:]
        if self.transport.is_closing():
            return
        if self.is_ahead:
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = self._bytes_of_nothing = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One whole header; its bytes are counted with those around them."""
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._bytes_of_nothing = 0
        super().on_body(body)

    def _count(self, num_bytes: int) -> None:
        self._bytes_of_nothing = 0
        self._head_bytes += num_bytes
        if self._head_bytes > LONGEST_HEAD:
            raise _HeadTooLongError  # which the parser takes for a request that cannot be parsed
