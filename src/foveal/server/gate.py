"""What stands before every route: who may ask, how much at one time, and what is written of it afterwards."""

import asyncio
import hmac
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foveal.server.admission import PROBES, Admission, Ticket
from foveal.server.logs import log, where
from foveal.server.metrics import OTHER, Metrics, method_of
from foveal.server.problems import RETRY, Problem, answer
from foveal.server.settings import LOOPBACK, Limits, Settings

__all__ = ["OPEN", "Gate", "Memory", "received"]

OPEN = (*PROBES, "/")  # that need no token: nothing of a model is in them
NUMBER = re.compile(r"[A-Za-z0-9._-]{1,64}")
GONE = 499  # in log and metrics: the client went away before its answer
GUARDS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Memory:
    """Bytes of all bodies that are held at one time."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0


class Gate:
    """The outermost ASGI application.

    Without a token the server listens on this machine alone, and then only requests that were addressed to it are
    answered: a web page from elsewhere, open in a browser here, is neither same-origin nor knows its name.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, admission: Admission) -> None:
        self._app, self._metrics, self._admission = app, metrics, admission
        self._bearer = f"Bearer {settings.token}".encode() if settings.token else b""
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        sent = scope["sent"] = {"status": 0}
        number = scope["number"] = _number(scope)
        alone = "ticket" not in scope  # no protocol before it, and so no body that is still to come
        ticket = scope.setdefault("ticket", Ticket())

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
                message = {**message, "headers": [*message["headers"], *GUARDS, (b"x-request-id", number.encode())]}
            await send(message)

        self._under_way += 1
        self._metrics.under_way.set(self._under_way)
        try:
            self._admit(Request(scope), ticket)
            if alone:
                self._admission.arrived(ticket)
            await self._app(scope, receive, sending)
        except Problem as problem:
            await answer(problem, number, scope["path"])(scope, receive, sending)
        except ClientDisconnect:
            sent["status"] = GONE
        except Exception as error:  # answered with 500 by the application
            log("mistake", "error", request=number, **where(error))
        finally:
            self._admission.ended(ticket)
            self._under_way -= 1
            self._metrics.under_way.set(self._under_way)
            self._told(scope, sent["status"], time.perf_counter() - began)

    def _admit(self, request: Request, ticket: Ticket) -> None:
        """
        Raises:
            Problem: 401, 403, 421 or 503.
        """
        path, headers = request.url.path, request.headers
        if self._bearer and path not in OPEN:
            given = headers.get("authorization", "").encode("latin-1")
            scheme, _, rest = given.partition(b" ")
            if not hmac.compare_digest(scheme.title() + b" " + rest.strip(), self._bearer):
                raise Problem(
                    401,
                    "token",
                    "Expected the server's token: Authorization: Bearer TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )
        if not self._bearer:
            host = _host(headers.get("host", ""))
            if host not in LOOPBACK:
                raise Problem(421, "host", "Expected a request to this machine: Host: 127.0.0.1 or localhost.")
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc != headers.get("host"):
                raise Problem(403, "origin", "Pages of other origins may not ask a server that has no token.")
        if not ticket.asked and (problem := self._admission.refusal(path)):
            raise problem

    def _told(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", OTHER)
        self._metrics.requests.labels(method_of(scope["method"]), route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        client = scope.get("client")
        log(
            "request",
            request=scope["number"],
            client=client[0] if client else None,
            method=method_of(scope["method"]),
            path=scope["path"][:200],
            status=status,
            seconds=round(seconds, 4),
            **scope.get("told", {}),
        )


@asynccontextmanager
async def received(request: Request, limits: Limits, memory: Memory) -> AsyncIterator[bytes]:
    """The whole body; counted in `memory` until the context ends.

    Raises:
        Problem: 408 it does not arrive in time; 413 it is too large (at once, where its Content-Length says so); 415 it
            is compressed; 503 the bodies of all requests are too large together.
        ClientDisconnect: nobody waits for an answer.
    """
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > limits.body:
        raise _too_large(limits)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "encoding", "Expected a body without Content-Encoding.", {"Accept-Encoding": "identity"})
    chunks: list[bytes] = []
    held = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                if held + len(chunk) > limits.body:
                    raise _too_large(limits)
                if memory.held + len(chunk) > memory.most:
                    raise Problem(503, "memory", "The bodies of all requests are too large together.", RETRY)
                memory.held += len(chunk)
                held += len(chunk)
                chunks.append(chunk)
        chunks[:] = [chunks[0] if len(chunks) == 1 else b"".join(chunks)]
        yield chunks.pop()  # whoever is given the body has the only reference
    except TimeoutError:
        detail = f"The body did not arrive in {limits.body_seconds:g} s."
        raise Problem(408, "slow", detail, {"Connection": "close"}) from None
    finally:
        memory.held -= held


def _too_large(limits: Limits) -> Problem:
    return Problem(413, "too-large", f"Expected a body of at most {limits.body:,} bytes; found a larger one.")


def _number(scope: Scope) -> str:
    """The client's own number of the request, where it is one; else a new one."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if NUMBER.fullmatch(given) else uuid.uuid4().hex


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
