"""From a command to processes that answer: the port, the workers, and what holds them together."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from foveal.bundle import Bundle
from foveal.errors import FovealError, ServeError
from foveal.server.logs import log
from foveal.server.settings import Settings

__all__ = ["serve"]

INTERRUPTED, FAILED = 130, 1
SHARED = "PROMETHEUS_MULTIPROC_DIR"
YOUNG = 5.0  # seconds; a worker that ends sooner did not come up
MOST_FAILURES = 5


def serve(places: Mapping[str, Path], settings: Settings) -> int:
    """Serve until SIGTERM, which ends it with 0 after what is under way, or SIGINT, with 130.

    Args:
        places: name to bundle.

    Raises:
        FovealError: the port is taken, a bundle cannot be served, or workers cannot be had here.
    """
    listener = _listening(settings)
    with contextlib.closing(listener):
        host, port = listener.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        if settings.workers == 1:
            from foveal.server.worker import answer_requests

            settings = replace(settings, threads=settings.threads or _processors())
            ended = answer_requests(places, settings, listener, url)
            return INTERRUPTED if ended == signal.SIGINT else 0
        if not hasattr(os, "fork"):
            raise ServeError("Several workers need fork(), which this system has not.", remedy="Leave --workers out.")
        for path in places.values():
            Bundle.open(path)  # refused here, once, rather than by each of the workers
        with _shared_metrics():
            return _Workers(places, settings, listener, url).run()


def _listening(settings: Settings) -> socket.socket:
    """
    Raises:
        ServeError: the address is not to be had.
    """
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServeError(f"{settings.host} is no address of this machine: {error.strerror}.") from None
    try:
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ServeError(
            f"{settings.host} port {settings.port} cannot be listened on: {error.strerror}.",
            remedy="Name another with --port; 0 takes any that is free.",
        ) from None
    return listener


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder that the workers count in; prometheus-client looks for its name when it is imported."""
    folder = tempfile.mkdtemp(prefix="foveal-metrics-")
    os.environ[SHARED] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Workers:
    """Several processes at one port. One that dies is replaced; where they do not come up it is given up."""

    def __init__(self, places: Mapping[str, Path], settings: Settings, listener: socket.socket, url: str) -> None:
        threads = settings.threads or max(1, _processors() // settings.workers)
        self._places, self._settings = places, replace(settings, threads=threads)
        self._listener, self._url = listener, url
        self._born: dict[int, float] = {}  # process to when
        self._failures = 0
        self._ending = 0  # the signal

    def run(self) -> int:
        """Until a signal. The exit code."""
        heard = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # ignored ones never wake sigwait
        before = signal.pthread_sigmask(signal.SIG_BLOCK, heard)
        try:
            self._mask = before
            for _ in range(self._settings.workers):
                self._start()
            while self._born:
                number = signal.sigwait(heard)
                if number == signal.SIGCHLD:
                    self._bury()
                elif number == signal.SIGHUP:
                    self._send(signal.SIGHUP)
                else:
                    self._ending = self._ending or number
                    self._send(signal.SIGTERM)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._failures >= MOST_FAILURES:
            return FAILED
        return INTERRUPTED if self._ending == signal.SIGINT else 0

    def _start(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        child = os.fork()
        if child:
            self._born[child] = time.monotonic()
            return
        code = FAILED
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can reload
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them, and this one says what follows
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            code = self._work(parent)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _work(self, parent: int) -> int:
        """In the worker."""
        from foveal.server.worker import answer_requests

        try:
            answer_requests(self._places, self._settings, self._listener, self._url, parent)
        except FovealError as error:
            log("a worker cannot begin", "error", reason=error.message)
            return FAILED
        return 0

    def _bury(self) -> None:
        while self._born:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            age = time.monotonic() - self._born.pop(child)
            self._forget(child)
            if self._ending:
                continue
            log("a worker ended", "error", worker=child, status=os.waitstatus_to_exitcode(status))
            self._failures = self._failures + 1 if age < YOUNG else 0
            if self._failures >= MOST_FAILURES:
                log("workers do not come up", "error")
                self._ending = signal.SIGTERM
                self._send(signal.SIGTERM)
            else:
                self._start()

    def _forget(self, child: int) -> None:
        """Its gauges; what it counted stays counted."""
        for file in Path(os.environ[SHARED]).glob(f"gauge_live*_{child}.db"):
            file.unlink(missing_ok=True)

    def _send(self, number: int) -> None:
        for child in self._born:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
