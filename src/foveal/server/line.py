"""What a connection writes to: a transport that sends less often, and closes when it has been heard."""

import asyncio
from typing import Any

__all__ = ["Line"]

LINGER = 1.0  # seconds in which a client may read the last response, and what it still sends is thrown away


class Line:
    """A transport of asyncio for uvicorn.

    Head and body of a response leave in one packet: uvicorn writes them apart, and each write is a call of the system
    in which other threads take the interpreter.

    A connection that is closed while its client sends is reset, and with it goes the response that the client has not
    read. So the writing side is closed first, and what comes is taken in until the client closes, too, or for `LINGER`
    seconds (RFC 9112, section 9.6).

    Attributes:
        unread: whether the client is not done with its request.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._closing = False
        self._end: asyncio.TimerHandle | None = None
        self.unread = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Now, but for the head of a response, which waits for the body."""
        if self._closing:
            return
        self._held.append(data)
        if not data.endswith(b"\r\n\r\n") or data.startswith(b"HTTP/1.1 1"):
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        """After what was written has been sent."""
        if self.is_closing():
            return
        self.flush()
        self._closing = True
        if self.unread and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._end = self._loop.call_later(LINGER, self._transport.abort)
        else:
            self._transport.close()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    def lost(self) -> None:
        """The connection is no more."""
        self._closing = True
        if self._end is not None:
            self._end.cancel()
