"""The two streams, and how a program is told."""

import json
import sys
from typing import Any

from rich.console import Console

__all__ = ["err", "json_object", "out", "printable"]

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def json_object(value: dict[str, Any]) -> None:
    """One line on stdout. Non-ASCII stays as it is, but for the halves of broken file names."""
    text = json.dumps(value, ensure_ascii=False)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Line breaks and halves of broken characters in file names, made visible."""
    return text.replace("\n", "\\n").replace("\r", "\\r").encode("utf-8", "backslashreplace").decode()
