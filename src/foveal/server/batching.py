"""Images of several clients, gathered into one run of the network."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.bundle import Predictor
from foveal.errors import UnreadableImage
from foveal.server.logs import log, where
from foveal.server.metrics import Metrics
from foveal.server.problems import RETRY, Problem
from foveal.server.settings import Limits
from foveal.task import Prediction
from foveal.types import Geometry

__all__ = ["Answer", "Batcher"]

Answer = Prediction | UnreadableImage
AT_ONCE = 4  # answers that are written before the event loop looks at who else wants something


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """An image that is decoded and waits for its answer."""

    pixels: np.ndarray
    geometry: Geometry
    answer: "asyncio.Future[Prediction]"


class Batcher:
    """One network, asked by many.

    Images are decoded in the threads of `decoders`; what is decoded goes through the network together, at most
    `limits.batch` at a time. While it runs the next ones gather. When it is free an image waits for others only
    `limits.wait` seconds, and only where some are being decoded: a client alone waits for nobody.

    To be used in one event loop.

    Args:
        decoders: threads that decode.
        runner: the thread that runs networks.
    """

    def __init__(
        self, name: str, predictor: Predictor, limits: Limits, decoders: Executor, runner: Executor, metrics: Metrics
    ) -> None:
        self.predictor = predictor
        self._name, self._limits, self._decoders, self._runner, self._metrics = name, limits, decoders, runner, metrics
        self._largest = min(limits.batch, predictor.largest)
        self._ready: deque[_Ready] = deque()
        self._inside = self._decoding = 0  # images
        self._gathered = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._handing_out: set[asyncio.Task[None]] = set()

    async def answers(self, images: Sequence[bytes | np.ndarray], end: float) -> list[Answer]:
        """An answer an image, in order.

        Args:
            end: on the loop's clock, when nobody waits for them any more.

        Raises:
            Problem: 503, at once where the queue is full, and where `end` has come.
        """
        count = len(images)
        self.check_room(count)
        self._inside += count
        self._decoding += count
        queued = self._metrics.queued.labels(self._name)  # which those of before a reload share
        queued.inc(count)
        try:
            async with asyncio.timeout_at(end):
                waiting = [self._answer(image) for image in images]
                del images  # each is let go once it is decoded
                found = await asyncio.gather(*waiting)
        except TimeoutError:
            self._count("late", count)
            raise Problem(
                503,
                "late",
                f"No answer in {self._limits.answer_seconds:g} s, the limit; try again, with fewer or smaller images.",
                RETRY,
            ) from None
        finally:
            self._inside -= count
            queued.dec(count)
        unreadable = sum(isinstance(answer, UnreadableImage) for answer in found)
        self._count("unreadable", unreadable)
        self._count("answered", count - unreadable)
        return found

    def check_room(self, count: int = 1) -> None:
        """
        Raises:
            Problem: 503, the queue has no room for so many images.
        """
        if self._inside + count > self._limits.queue:
            self._count("refused", count)
            raise Problem(503, "queue-full", f"{self._inside} images are waiting; try again.", RETRY)

    def _count(self, outcome: str, count: int) -> None:
        self._metrics.images.labels(self._name, outcome).inc(count)

    async def _answer(self, image: bytes | np.ndarray) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            pixels, geometry = await loop.run_in_executor(self._decoders, self._decoded, image)
        except UnreadableImage as error:
            return error
        finally:
            del image
            self._decoding -= 1
            self._told()
        ready = _Ready(pixels, geometry, loop.create_future())
        self._ready.append(ready)
        self._told()
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._run_all())
        return await ready.answer

    def _decoded(self, image: bytes | np.ndarray) -> tuple[np.ndarray, Geometry]:
        began = time.perf_counter()
        try:
            return self.predictor.prepare(image)
        except UnreadableImage:
            raise
        except Exception as error:  # a mistake of ours or of a decoder: this image fails, nothing else
            log("decoding", "error", model=self._name, **where(error))
            raise UnreadableImage(f"cannot be decoded: {type(error).__name__}") from error
        finally:
            self._metrics.decode_seconds.labels(self._name).observe(time.perf_counter() - began)

    def _told(self) -> None:
        if len(self._ready) >= self._largest or not self._decoding:
            self._gathered.set()

    async def _run_all(self) -> None:
        """Until nothing is left; the next image begins another."""
        loop = asyncio.get_running_loop()
        while self._ready:
            if len(self._ready) < self._largest and self._decoding and self._limits.wait:
                self._gathered.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.wait):
                        await self._gathered.wait()
            batch = self._taken()
            if not batch:
                continue
            try:
                answers: Sequence[Any] = await loop.run_in_executor(self._runner, self._run, batch)
            except Exception as error:
                answers = [error] * len(batch)
            task = loop.create_task(self._handed_out(batch, answers))  # while the next run goes on
            self._handing_out.add(task)
            task.add_done_callback(self._handing_out.discard)

    async def _handed_out(self, batch: Sequence[_Ready], answers: Sequence[Any]) -> None:
        for k, (ready, answer) in enumerate(zip(batch, answers, strict=True), 1):
            if ready.answer.done():  # nobody waits any more
                continue
            if isinstance(answer, Exception):
                ready.answer.set_exception(answer)
            else:
                ready.answer.set_result(answer)
            if k % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _taken(self) -> list[_Ready]:
        batch: list[_Ready] = []
        while self._ready and len(batch) < self._largest:
            ready = self._ready.popleft()
            if not ready.answer.done():
                batch.append(ready)
        return batch

    def _run(self, batch: Sequence[_Ready]) -> list[Prediction]:
        began = time.perf_counter()
        outputs = self.predictor.run(np.stack([ready.pixels for ready in batch]))
        answers = self.predictor.decode(outputs, [ready.geometry for ready in batch])
        self._metrics.run_seconds.labels(self._name).observe(time.perf_counter() - began)
        self._metrics.batch.labels(self._name).observe(len(batch))
        return answers
