"""Work on many images at once: here, in threads, or in processes, whichever is quickest; the results are the same."""

import itertools
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from foveal.data.machine import in_threads, workers
from foveal.data.memory import keep_freed_memory
from foveal.data.sources.place import Located
from foveal.data.worker import READY
from foveal.errors import SourceError
from foveal.readers import ImageReader
from foveal.task import Reader
from foveal.types import Source

__all__ = ["Ask", "hirable", "hired", "spread"]

T = TypeVar("T")
R = TypeVar("R")
Worker = subprocess.Popen[bytes]
Ask = Callable[[int, Sequence[str]], tuple[list[Any], np.ndarray]]

TRIALS = 2  # pieces done here to measure; the first can hold up imports
QUICK = 0.0006  # seconds an image, below which Python's lock binds and threads get in each other's way
WORTH = 2.0  # seconds of work that processes are started for; it takes them a third of a second


def spread(
    pieces: Sequence[Sequence[T]],
    here: Callable[[Sequence[T]], R],
    there: "Callable[[Ask, Sequence[T]], R]",
    hire: "Callable[[], Any] | None",
) -> Iterator[R]:
    """`map(here, pieces)`, in order, or what is the same, `there` with the help of processes.

    Python's lock keeps tiny images on one processor: 60,000 of 32×32 took 15 s in one thread and 23 s in two. Large
    ones release it while they are decoded, and threads start at once.

    Args:
        hire: a context that gives an `Ask`, or None where no process could be started; None where none can help.
    """
    keep_freed_memory()
    waiting = iter(pieces)
    seconds = float("inf")
    for piece in itertools.islice(waiting, TRIALS):
        start = time.perf_counter()
        yield here(piece)
        seconds = min(seconds, time.perf_counter() - start)
        if seconds > QUICK * len(piece):
            break
    quick = pieces and seconds < QUICK * len(pieces[0])
    if hire and quick and workers() > 1 and seconds * (len(pieces) - TRIALS) > WORTH:
        with hire() as ask:
            if ask:
                yield from in_threads(lambda piece: there(ask, piece), waiting, at_once=True)
    yield from in_threads(here, waiting, at_once=not quick)


def hirable(source: Source, reader: Reader) -> bool:
    """Whether other processes can do it: they know the image reader, and files that lie on the disk."""
    return isinstance(source, Located) and type(reader) is ImageReader and bool(sys.executable)


@contextmanager
def hired(source: Source, reader: Reader, **job: Any) -> Iterator[Ask | None]:
    """Processes for one job (see `foveal.data.worker`). None where the first does not start.

    Args:
        job: JSON-ready, for each of them.

    Raises:
        SourceError: one of them ended before its work; names the files it was at.
    """
    assert isinstance(source, Located)
    assert isinstance(reader, ImageReader)
    crew = [_start() for _ in range(workers())]
    idle: queue.Queue[Worker] = queue.Queue()

    def ask(start: int, files: Sequence[str]) -> tuple[list[Any], np.ndarray]:
        places = [source.place(file) for file in files]
        worker = idle.get()
        try:
            _tell(worker, {"start": start, "places": places})
            return _answer(worker)
        except (OSError, ValueError, EOFError):
            raise _ended(source, worker, files) from None
        finally:
            idle.put(worker)

    try:
        for worker in crew:
            if _is_ready(worker, {"reader": asdict(reader), **job}):
                idle.put(worker)
        yield None if idle.empty() else ask
    finally:
        for worker in crew:
            worker.kill()
            worker.wait()
            _out(worker).close()
            with suppress(BrokenPipeError):
                _into(worker).close()


def _is_ready(worker: Worker, job: dict[str, Any]) -> bool:
    try:
        _tell(worker, job)
        return _out(worker).readline() == READY
    except BrokenPipeError:
        return False


def _start() -> Worker:
    """With this package in its path, and one thread: there is a process for each processor."""
    home = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    own = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "foveal.data.worker"]
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=none, env=own)


def _tell(worker: Worker, message: dict[str, Any]) -> None:
    _into(worker).write(json.dumps(message).encode() + b"\n")
    _into(worker).flush()


def _into(worker: Worker) -> Any:
    return worker.stdin


def _out(worker: Worker) -> Any:
    return worker.stdout


def _answer(worker: Worker) -> tuple[list[Any], np.ndarray]:
    told = json.loads(_out(worker).readline())
    pixels = np.empty(told["shape"], np.uint8)
    view: Any = memoryview(pixels.reshape(-1))  # pyright: ignore[reportArgumentType]
    while view:
        count = _out(worker).readinto(view)
        if not count:
            raise EOFError
        view = view[count:]
    return told["found"], pixels


def _ended(source: Source, worker: Worker, files: Sequence[str]) -> SourceError:
    try:
        code = worker.wait(timeout=5)
    except subprocess.TimeoutExpired:
        code = "unknown"
    return SourceError(
        f"A process that decodes images ended by itself (exit code {code}) at one of the {len(files)} files "
        f"from {files[0]} to {files[-1]} in {source.spec}.",
        remedy="If the memory is full, end other programs; FOVEAL_WORKERS=1 decodes without further processes. "
        "If it ends at the same files again, one of them is damaged: move them away one by one.",
    )
