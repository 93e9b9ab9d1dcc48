"""Memory that goes back to the kernel."""

import contextlib
import ctypes
import sys

__all__ = ["give_back"]

MMAP_THRESHOLD, ARENA_MAX = -3, -8  # of glibc's mallopt(3)
LARGE = 48 << 10  # bytes
ARENAS = 2


def give_back() -> None:
    """Let glibc map blocks of the size of a body apart, and unmap them when they are freed, instead of keeping them
    in a heap that is as large as what was once held at one time. To be called before threads begin; does nothing
    elsewhere.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another libc
            libc = ctypes.CDLL(None)
            libc.mallopt(MMAP_THRESHOLD, LARGE)
            libc.mallopt(ARENA_MAX, ARENAS)
