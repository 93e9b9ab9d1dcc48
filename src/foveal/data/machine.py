"""What this machine offers: a cache folder, memory, processors."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path

from foveal.errors import SourceError

__all__ = ["cache_folder", "digest", "in_threads", "memory_budget", "prune"]

DEFAULT_CACHE_GB = 20.0
UNKNOWN_MEMORY = 4 << 30
KEPT = ("looks", "pixels")  # the parts of the cache that can be made again from the images; downloads are not pruned
MOST_WORKERS = 16
LONG = 0.03  # seconds

T = TypeVar("T")
R = TypeVar("R")


def cache_folder(part: str) -> Path:
    """`looks`, `pixels` or `downloads` in `$FOVEAL_CACHE`, or else in the user's cache; may not be there yet."""
    root = os.environ.get("FOVEAL_CACHE")
    return (Path(root).expanduser() if root else user_cache_path("foveal")) / part


def digest(*parts: str) -> str:
    """A name for what depends on all of the parts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def prune(using: Path) -> None:
    """Delete what was used longest ago until the cache is below `$FOVEAL_CACHE_GB` (default 20), but never `using`.

    A file that cannot be deleted, such as one that another process has mapped on Windows, stays.

    Raises:
        SourceError: `$FOVEAL_CACHE_GB` is no number.
    """
    limit = _cache_limit()
    files = []
    for path in (path for part in KEPT for path in cache_folder(part).glob("*")):
        try:
            files.append((path.stat(), path))
        except OSError:  # another process was faster
            continue
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda item: item[0].st_mtime_ns):
        if total <= limit:
            return
        if path != using:
            try:
                path.unlink()
            except OSError:
                continue
            total -= stat.st_size


def _cache_limit() -> float:
    text = os.environ.get("FOVEAL_CACHE_GB") or DEFAULT_CACHE_GB
    try:
        return float(text) * 1e9
    except ValueError:
        raise SourceError(f"Expected a number of gigabytes in FOVEAL_CACHE_GB, found {text!r}.") from None


def memory_budget() -> int:
    """Bytes that one array may take: a quarter of what is available now.

    Linux says what is available, for the machine and for a container; elsewhere half of the memory that is built in
    counts as available, and 4 GiB where not even that can be asked.
    """
    return int(min(_machine_memory(), _container_memory()) / 4)


def _machine_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_MEMORY


def _container_memory() -> float:
    """What the control group (version 2) leaves; infinite where there is none."""
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # not Linux, or the limit is the word `max`
        return float("inf")


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` on all processors, in order, never more than a few results ahead of the consumer.

    Threads start with the first item that takes long. Quick ones hardly release Python's lock, and threads would only
    get in each other's way: 60,000 tiny images took 15 s in one thread, 23 s in two. Processes would halve that, but
    need a pickle for every source, and `if __name__ == "__main__"` in every user's script.
    """
    waiting = iter(items)
    for item in waiting:
        start = time.perf_counter()
        result = function(item)
        long = time.perf_counter() - start > LONG
        yield result
        if long:
            break
    workers = min(_processors(), MOST_WORKERS)
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in waiting:
                pending.append(pool.submit(function, item))
                if len(pending) > 4 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
