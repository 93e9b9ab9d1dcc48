"""HTTP/1.1 on one connection: uvicorn's, with a time for headers and bodies to arrive, and limits on both sides.

A client that sends a byte now and then would else keep its connection for good ("slow loris"): uvicorn waits for both
as long as it takes. And where there is too much to do a request is refused here, at its headers, in one write and
without a task of its own, because that is when time is scarce.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from foveal.server.admission import Admission, Ticket
from foveal.server.line import Line
from foveal.server.problems import Problem, raw
from foveal.server.settings import Limits

__all__ = ["bounded_protocol"]

MOST_HEADERS = 64 << 10  # bytes, of a request line and headers
# Bytes at one time; asyncio asks for 256 KiB, and what a smaller body leaves of them are holes in the heap.
READ = 96 << 10
DROPPED = 1 << 20  # bytes of a refused body that are read and thrown away, to keep the connection
LATER = 1.0  # seconds after which a body is given up by force; before it the application has answered 408
GRACE = 1.0  # seconds in which connections may send another request when the server ends


def bounded_protocol(limits: Limits, admission: Admission) -> type[asyncio.Protocol]:
    """What uvicorn makes one of for each connection."""
    return cast(type[asyncio.Protocol], partial(Bounded, limits, admission))


class Bounded(HttpToolsProtocol):
    """One connection."""

    def __init__(self, limits: Limits, admission: Admission, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits, self._admission = limits, admission
        self._line: Line = None  # type: ignore[assignment]
        self._timer: asyncio.TimerHandle | None = None
        self._in_headers, self._in_body, self._seen = True, False, 0
        self._dropping = False  # the body of a request that was refused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.max_size = READ  # type: ignore[attr-defined]
        self._line = Line(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._line))
        if len(self.connections) > self._limits.connections:
            detail = f"{self._limits.connections} connections are open; try again."
            self._line.write(raw(503, "busy", detail))
            self._line.close()
        else:
            self._within(self._limits.header_seconds, self._late_headers)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        self._line.lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._line.is_closing():
            return
        self._seen += len(data)
        super().data_received(data)
        if self._line.is_closing():
            return
        if self._in_headers and self._seen > MOST_HEADERS:
            self._refuse(431, "headers", f"Expected at most {MOST_HEADERS:,} bytes of headers; found more.")
        elif self._timer is None and self.timeout_keep_alive_task is None and not self._in_body and self._answered:
            # Empty lines before a request begin none, and end the wait for the next.
            self._within(self._limits.header_seconds, self._late_headers)

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._dropping, self._line.unread = True, False, True
        self._within(self._limits.header_seconds, self._late_headers)

    def on_headers_complete(self) -> None:
        self._in_headers, self._in_body, self._seen = False, True, 0
        self._within(self._limits.body_seconds + LATER, self._late_body)
        if self._line.is_closing():  # requests behind one that ended the connection
            return
        problem = None
        if self._answered:
            path = self.url.partition(b"?")[0].decode("ascii", "replace")
            problem = self._admission.refusal(path)
            if problem is not None:
                self._turn_away(problem, path)
                return
        self.scope["ticket"] = Ticket(asked=self._answered)  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self.cycle.keep_alive = self.cycle.keep_alive and not self._admission.draining

    def on_body(self, body: bytes) -> None:
        if not self._dropping and not self._line.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._seen, self._line.unread = False, 0, False
        self._within(None)
        if self._line.is_closing():
            return
        if self._dropping:
            self._dropping = False
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            return
        self._admission.arrived(self.scope["ticket"])  # type: ignore[typeddict-item]
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._line.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "malformed", "Expected a request of HTTP/1.1; found something else.")

    def timeout_keep_alive_handler(self) -> None:
        self._line.abort()  # closing would wait for a client that does not read

    def shutdown(self) -> None:
        """The server ends: what is under way is answered, and what comes within `GRACE`; a request that was sent before
        its client could know is not lost."""
        if not self._answered:
            self.cycle.keep_alive = False
        elif self._in_body:
            self._line.close()
        else:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(GRACE, self._end_of_grace)

    def _end_of_grace(self) -> None:
        if self._answered and not (self._in_headers and self._seen):
            self._line.close()

    def _turn_away(self, problem: Problem, path: str) -> None:
        """Answer at once. The body is read and dropped where it is small, else the connection ends (RFC 9112, 9.3)."""
        assert self.parser is not None
        headers = dict(self.headers)
        size = headers.get(b"content-length", b"0")
        keep = (
            self.parser.should_keep_alive()
            and not self._admission.draining
            and not self.expect_100_continue  # whether its body comes cannot be known
            and b"transfer-encoding" not in headers
            and int(size) <= DROPPED
        )
        root = "/v2" if path.startswith("/v2") else ""
        self._line.write(raw(problem.status, problem.kind, problem.detail, root, not keep))
        self._admission.turned_away(problem, self.parser.get_method().decode("ascii", "replace"), path)
        if keep:
            self._dropping = True
        else:
            self._line.close()

    def _refuse(self, status: int, kind: str, detail: str) -> None:
        if self._answered or not self.cycle.response_started:
            self._line.write(raw(status, kind, detail))
        self._line.close()

    def _late_headers(self) -> None:
        self._refuse(408, "slow", f"The headers did not arrive in {self._limits.header_seconds:g} s.")

    def _late_body(self) -> None:
        self._line.abort()

    def _within(self, seconds: float | None, otherwise: Callable[[], None] | None = None) -> None:
        """Do it after so many seconds, unless this is called again before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, otherwise) if seconds is not None and otherwise else None
