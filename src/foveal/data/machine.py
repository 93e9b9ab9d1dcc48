"""What this machine offers: a cache folder, memory, processors."""

import hashlib
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path

from foveal.errors import SourceError

__all__ = ["cache_folder", "digest", "free_disk", "in_threads", "memory_budget", "prune", "workers"]

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


def free_disk(path: Path) -> int:
    """Bytes that can still be written where the path is, or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def in_threads(function: Callable[[T], R], items: Iterable[T], *, at_once: bool = False) -> Iterator[R]:
    """`map` on all processors, in order, never more than a few results ahead of the consumer.

    Threads start with the first item that takes long: quick ones hardly release Python's lock, and threads would only
    get in each other's way.

    Args:
        at_once: do not wait for a long one.
    """
    waiting = iter(items)
    for item in () if at_once else waiting:
        start = time.perf_counter()
        result = function(item)
        long = time.perf_counter() - start > LONG
        yield result
        if long:
            break
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers()) as pool:
        try:
            for item in waiting:
                pending.append(pool.submit(function, item))
                if len(pending) > 4 * workers():
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def workers() -> int:
    """How many threads or processes decode: `$FOVEAL_WORKERS`, or one for each processor, at most 16.

    Raises:
        SourceError: `$FOVEAL_WORKERS` is no whole number above zero.
    """
    text = os.environ.get("FOVEAL_WORKERS") or min(_processors(), MOST_WORKERS)
    try:
        if (count := int(text)) > 0:
            return count
    except ValueError:
        pass
    raise SourceError(f"Expected a whole number above zero in FOVEAL_WORKERS, found {text!r}.")


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
