"""One process that answers."""

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
from collections.abc import Generator, Mapping
from pathlib import Path
from types import FrameType

import uvicorn

from foveal.errors import FovealError
from foveal.server.application import application
from foveal.server.logs import log, take_over_logging
from foveal.server.metrics import Metrics
from foveal.server.protocol import bounded_protocol
from foveal.server.service import Service
from foveal.server.settings import Settings
from foveal.server.shelf import Shelf

__all__ = ["answer_requests"]

SPARE = 2.0  # seconds that requests under way may take beyond their own limits before they are cut off
ORPHANED = 1.0  # seconds between looks whether the process that started this one is still there
BACKLOG = 2048
MOST_TURNS = 100  # of the event loop, in which the last connections are taken in


def answer_requests(
    places: Mapping[str, Path],
    settings: Settings,
    listener: socket.socket,
    url: str,
    parent: int | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; then answer what is under way and return the signal. SIGHUP reloads.

    Args:
        url: for the log.
        parent: the process that started this one together with others; it is told of reloads, and this one ends
            with it.

    Raises:
        FovealError: a bundle cannot be served.
    """
    take_over_logging()
    return asyncio.run(_serve(places, settings, listener, url, parent))


async def _serve(
    places: Mapping[str, Path],
    settings: Settings,
    listener: socket.socket,
    url: str,
    parent: int | None,
) -> int:
    metrics = Metrics()
    service = Service(settings, metrics, Shelf(places, settings, metrics))
    if parent is not None:
        service.tell_others = lambda: _tell(parent, settings.workers)
    limits = settings.limits
    config = uvicorn.Config(
        application(service),
        http=bounded_protocol(limits, service.admission),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=int(limits.body_seconds + limits.answer_seconds + SPARE),
    )
    server = _Server(config, service, url)
    gc.collect()
    gc.freeze()  # else each full collection goes through all that was imported, 40 ms in which nobody is answered
    watching = asyncio.create_task(_watch(server, parent)) if parent is not None else None
    await server.serve(sockets=[listener])
    if watching:
        watching.cancel()
    service.admission.tell()
    log("stopped", signal=signal.Signals(server.ended_by).name if server.ended_by else None)
    return server.ended_by


def _tell(parent: int, workers: int) -> int:
    os.kill(parent, signal.SIGHUP)
    return workers - 1


async def _watch(server: "_Server", parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(ORPHANED)
    log("the parent process is gone", "error")
    server.end(signal.SIGTERM)


class _Server(uvicorn.Server):
    """uvicorn's, that ends with exit code 0 where it was asked to end, and reloads on SIGHUP."""

    def __init__(self, config: uvicorn.Config, service: Service, url: str) -> None:
        super().__init__(config)
        self._service, self._url = service, url
        self.ended_by = 0
        self._reloading: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        handled = {signal.SIGTERM: self.end}
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            handled[signal.SIGINT] = self.end
        if hasattr(signal, "SIGHUP"):
            handled[signal.SIGHUP] = self._reload

        def heard(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(handled[signal.Signals(number)], number)

        before = {number: signal.signal(number, heard) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log("listening", url=self._url, models=list(self._service.shelf.models))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Clients that are connected already are answered, those in the listener's queue, too."""
        for _ in range(MOST_TURNS):
            if not select.select(sockets or [], [], [], 0)[0]:
                break
            await asyncio.sleep(0)  # the loop takes them in
        await super().shutdown(sockets)

    def end(self, number: int) -> None:
        """Drain and end; at once where it is asked again."""
        self.force_exit = self.should_exit
        self.should_exit = self._service.admission.draining = True
        if not self.ended_by:
            log("draining", signal=signal.Signals(number).name)
            self.ended_by = int(number)

    def _reload(self, number: int) -> None:
        async def reload() -> None:
            with contextlib.suppress(FovealError):  # it is logged, and the models are as they were
                await self._service.shelf.reload()

        self._reloading = asyncio.get_running_loop().create_task(reload())
