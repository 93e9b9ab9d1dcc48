"""What the routes share."""

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from foveal.errors import UnreadableImage
from foveal.server.admission import Admission
from foveal.server.batching import Answer
from foveal.server.gate import Memory, received
from foveal.server.metrics import Metrics
from foveal.server.problems import Problem
from foveal.server.settings import Settings
from foveal.server.shelf import Served, Shelf

__all__ = ["Service", "as_json"]

SMALL = 1 << 16  # bytes that are parsed in the event loop; larger ones would hold up everybody
T = TypeVar("T")


@dataclass(eq=False)
class Service:
    """A running server.

    Args:
        tell_others: makes the other workers reload, too; gives how many there are.
    """

    settings: Settings
    metrics: Metrics
    shelf: Shelf
    tell_others: Callable[[], int] = lambda: 0
    memory: Memory = field(init=False)
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        self.memory = Memory(self.settings.limits.memory)
        self.admission = Admission(self.settings.limits.requests, self.metrics, self._full)

    async def answered(
        self, request: Request, served: Served, read: Callable[[bytes], Sequence[T]], image: Callable[[T], Any]
    ) -> tuple[Sequence[T], list[Answer]]:
        """The images of a request, and an answer each.

        Args:
            read: the images in a body, one or more.
            image: takes encoded bytes or pixels out of one of them. Nothing keeps them once they are decoded: what
                waits for the network would else hold most of the memory.

        Raises:
            Problem: the body or what is in it is refused, or there is too much to do.
        """
        limits, loop = self.settings.limits, asyncio.get_running_loop()
        served.batcher.check_room()  # before a body is read for nothing
        async with received(request, limits, self.memory) as body:
            if request.scope["ticket"].crowded:
                raise self.admission.busy()
            end = loop.time() + limits.answer_seconds
            size = len(body)
            found = read(body) if size <= SMALL else await loop.run_in_executor(self.shelf.decoders, read, body)
            del body
            request.scope["told"] = {"model": served.name, "images": len(found), "bytes": size}
            answers = await served.batcher.answers([image(item) for item in found], end)
        if len(answers) == 1 and isinstance(answers[0], UnreadableImage):
            raise Problem(422, "unreadable", f"The image cannot be decoded: {answers[0].message}")
        return found, answers

    def _full(self, name: str | None) -> Problem | None:
        try:
            self.shelf.find(name).batcher.check_room()
        except Problem as problem:
            return problem if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return None


def as_json(content: dict[str, Any], status: int = 200) -> Response:
    """A response; numbers that JSON does not have become null."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(content), ensure_ascii=False)
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
