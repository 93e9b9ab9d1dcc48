"""The C library's memory: what one image or training step frees is kept for the next."""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

# mallopt's numbers in glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
AT_A_TIME = 256 << 20  # bytes that the heap grows by


def keep_freed_memory() -> None:
    """Let glibc's malloc neither map large blocks apart nor give freed memory back.

    By default each activation map of some megabytes is a fresh mapping, whose pages the kernel clears one by one when
    they are first touched: up to a third of a training step on a CPU (docs/log.md). The price: memory stays with the
    process until it ends. Does nothing elsewhere than in glibc, or where the user has settled malloc's behaviour.
    """
    settled = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if not sys.platform.startswith("linux") or settled:
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(MMAP_MAX, 0)
        libc.mallopt(TRIM_THRESHOLD, -1)
        libc.mallopt(TOP_PAD, AT_A_TIME)
