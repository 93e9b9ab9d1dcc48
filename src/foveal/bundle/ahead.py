"""`map` in threads that work ahead of whoever takes the results."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["ahead"]

MOST_WORKERS = 16
PATIENCE = 1.0  # seconds

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    most: int,
    workers: int | None = None,
    at_once: Callable[[T], bool] = lambda item: False,
) -> Generator[R]:
    """Results in the order of the items, made in threads while the consumer does something else.

    It works as far ahead as it has come, so that the first result needs few items and a consumer whose batches double
    finds the next one done; and never more than `most` items ahead, so that memory stays flat. Items are taken in the
    consumer's thread. An error of the function is raised in its turn. Closing stops the threads after the item that
    each has in hand.

    Args:
        most: items taken whose result has not been handed out, at the most.
        workers: threads; one a processor unless said. They begin with the first item that needs one.
        at_once: whether the function takes no time for an item, and raises nothing: it needs no thread then.
    """
    tasks: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()

    def work() -> None:
        while task := tasks.get():
            item, future = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(item))
                except BaseException as error:
                    future.set_exception(error)
            del task, item, future  # or the last result would be kept until the next comes

    # Daemons, and waited for only so long: one stuck in a read (a pipe, a network disk) must not hold up Ctrl-C.
    workers = workers or min(_processors(), MOST_WORKERS)
    threads: list[threading.Thread] = []
    waiting, pending, done = iter(items), deque[Future[R]](), 0
    try:
        while True:
            for item in islice(waiting, max(0, min(most, done + workers + 1) - len(pending))):
                pending.append(Future())
                if at_once(item):
                    pending[-1].set_result(function(item))
                    continue
                if not threads:
                    threads += [threading.Thread(target=work, name="foveal-ahead", daemon=True) for _ in range(workers)]
                    for thread in threads:
                        thread.start()
                tasks.put((item, pending[-1]))
            if not pending:
                return
            yield pending.popleft().result()
            done += 1
    finally:
        for future in pending:
            future.cancel()
        for _ in threads:
            tasks.put(None)
        end = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
