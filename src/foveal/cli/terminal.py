"""The two streams, and how a program is told."""

import json
import math
import sys
import time
from typing import Any

from rich.console import Console, ConsoleDimensions

__all__ = ["UNLIMITED", "Murmur", "Stream", "err", "json_object", "out", "printable"]

QUIET = 20.0  # seconds
UNLIMITED = 10_000  # characters in a line


class Stream(Console):
    """As wide as the terminal. A file or a pipe has no width: there no line is broken, and no name cut."""

    @property
    def size(self) -> ConsoleDimensions:  # pyright: ignore[reportIncompatibleMethodOverride] (nobody sets it)
        wide = super().size
        return wide if self.is_terminal else ConsoleDimensions(UNLIMITED, wide.height)


out = Stream(highlight=False, emoji=False)
err = Stream(stderr=True, highlight=False, emoji=False)


class Murmur:
    """Signs of life where no bar can move, as in a pipe or a log: a line at once, then one now and then."""

    def __init__(self) -> None:
        self.said = -math.inf

    def __call__(self, text: str) -> None:
        """Say it on stderr, unless something was said less than `QUIET` seconds ago."""
        if time.monotonic() - self.said >= QUIET:
            self.said = time.monotonic()
            err.print(text, markup=False, soft_wrap=True)


def json_object(value: dict[str, Any]) -> None:
    """One line on stdout. Non-ASCII stays as it is, but for the halves of broken file names."""
    text = json.dumps(value, ensure_ascii=False)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Line breaks and halves of broken characters in file names, made visible."""
    return text.replace("\n", "\\n").replace("\r", "\\r").encode("utf-8", "backslashreplace").decode()
