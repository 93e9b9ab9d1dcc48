"""Loading what is heavy without being slowed by the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """What is imported and loaded inside stays for good. The garbage collector would walk all that torch makes again
    and again, and once more at exit: 2.7 s of processor time for `import torch` and out again, 2.1 s so."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
