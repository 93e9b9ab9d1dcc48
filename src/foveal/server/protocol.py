"""HTTP/1.1 on one connection: uvicorn's, with a time for headers and bodies to arrive, and limits on both sides.

A client that sends a byte now and then would else keep its connection for good ("slow loris"): uvicorn waits for both
as long as it takes.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from foveal.server.problems import raw
from foveal.server.settings import Limits

__all__ = ["bounded_protocol"]

MOST_HEADERS = 64 << 10  # bytes, of a request line and headers
LATER = 1.0  # seconds after which a body is given up by force; before it the application has answered 408


def bounded_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """The class that uvicorn makes one of for each connection."""

    class Bounded(HttpToolsProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._timer: asyncio.TimerHandle | None = None
            self._in_headers, self._in_body, self._seen = True, False, 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                self._refuse(503, "busy", f"{limits.connections} connections are open; try again.")
            else:
                self._within(limits.header_seconds, self._late_headers)

        def connection_lost(self, exc: Exception | None) -> None:
            self._within(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            self._seen += len(data)
            super().data_received(data)
            if self.transport.is_closing():
                return
            if self._in_headers and self._seen > MOST_HEADERS:
                self._refuse(431, "headers", f"Expected at most {MOST_HEADERS:,} bytes of headers; found more.")
            elif self._timer is None and not self._in_body and (self.cycle is None or self.cycle.response_complete):
                # Empty lines before a request begin none, and end the wait for the next.
                self._within(limits.header_seconds, self._late_headers)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_headers = True
            self._within(limits.header_seconds, self._late_headers)

        def on_headers_complete(self) -> None:
            self._in_headers, self._in_body, self._seen = False, True, 0
            self._within(limits.body_seconds + LATER, self._late_body)
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._in_body, self._seen = False, 0
            self._within(None)
            super().on_message_complete()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, "malformed", "Expected a request of HTTP/1.1; found something else.")

        def timeout_keep_alive_handler(self) -> None:
            self.transport.abort()  # closing would wait for a client that does not read

        def _refuse(self, status: int, kind: str, detail: str) -> None:
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(raw(status, kind, detail))
            self.transport.close()

        def _late_headers(self) -> None:
            self._refuse(408, "slow", f"The headers did not arrive in {limits.header_seconds:g} s.")

        def _late_body(self) -> None:
            self.transport.abort()

        def _within(self, seconds: float | None, otherwise: Callable[[], None] | None = None) -> None:
            """Do it after so many seconds, unless this is called again before."""
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(seconds, otherwise) if seconds is not None and otherwise else None

    return Bounded
