"""How many requests are worked on at one time, and who is told to come again.

A request counts from when its whole body is here: one that arrives slowly holds a connection and the bytes that came,
and keeps nobody else from an answer. Whether there is room is looked at twice, at its headers, before anything of its
body is read, and when the body is here.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from foveal.server.logs import log
from foveal.server.metrics import OTHER, Metrics, method_of
from foveal.server.problems import RETRY, Problem

__all__ = ["ALWAYS", "PROBES", "Admission", "Ticket"]

PROBES = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
ALWAYS = (*PROBES, "/metrics")  # answered however much there is to do
ASKED = re.compile(r"/v1/predict|/v1/models/([^/]+)/predict|/v2/models/([^/]+)/infer")
TOLD_EVERY = 1.0  # seconds


@dataclass(slots=True, eq=False)
class Ticket:
    """Of one request.

    Args:
        asked: there was room at its headers.
        counts: it is worked on.
        crowded: there was no room any more when its body was here.
        over: it is answered.
    """

    asked: bool = False
    counts: bool = False
    crowded: bool = False
    over: bool = False


class Admission:
    """Of one server, in one event loop.

    Args:
        most: requests that are worked on at one time.
        full: why the model of that name, the only one where None, has no room for another image.
    """

    def __init__(self, most: int, metrics: Metrics, full: Callable[[str | None], Problem | None]) -> None:
        self.draining = False
        self.working = 0
        self._most, self._metrics, self._full = most, metrics, full
        self._turned_away: Counter[str] = Counter()

    def refusal(self, path: str) -> Problem | None:
        """Why a request is refused now; None where there is room."""
        if path in ALWAYS:
            return None
        if self.working >= self._most:
            return self.busy()
        asked = ASKED.fullmatch(path)
        return self._full(asked[1] or asked[2]) if asked else None

    def busy(self) -> Problem:
        return Problem(503, "busy", f"{self._most} requests are under way; try again.", RETRY)

    def arrived(self, ticket: Ticket) -> None:
        """Its body is here."""
        if ticket.over or ticket.counts:
            return
        if self.working < self._most:
            ticket.counts = True
            self.working += 1
        else:
            ticket.crowded = True

    def ended(self, ticket: Ticket) -> None:
        """It is answered, or nobody waits for that any more."""
        self.working -= ticket.counts
        ticket.counts, ticket.over = False, True

    def turned_away(self, problem: Problem, method: str, path: str) -> None:
        """Count a request that was refused at its headers. In the log the refusals of a second are one line: under a
        flood one each would cost as much as the refusals."""
        asked = ASKED.fullmatch(path)
        name = asked and (asked[1] or asked[2])
        route = path.replace(f"/{name}/", "/{name}/") if name else path if asked else OTHER
        self._metrics.requests.labels(method_of(method), route, str(problem.status)).inc()
        if not self._turned_away:
            asyncio.get_running_loop().call_later(TOLD_EVERY, self.tell)
        self._turned_away[problem.kind] += 1

    def tell(self) -> None:
        """Log how many were refused since it was last told, by kind."""
        if self._turned_away:
            log("refused", "warning", **self._turned_away)
            self._turned_away.clear()
