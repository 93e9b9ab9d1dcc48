"""The command line: parse, call a verb, print. Data goes to stdout, everything else to stderr."""

import os
import sys
import time

__all__ = ["BEGAN", "main"]

BEGAN = time.monotonic()  # what `--minutes` counts from


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 it failed, 2 wrong use, 130 interrupted."""
    from foveal.cli.commands import app
    from foveal.errors import FovealError

    try:
        app(arguments, prog_name="foveal")
    except FovealError as error:
        _complain(error.message, error.remedy)
    except Exception as error:
        if os.environ.get("FOVEAL_DEBUG"):
            raise
        _explain(error)
    sys.exit(1)


def _explain(error: Exception) -> None:
    if isinstance(error, OSError) and error.strerror:
        _complain(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
        return
    _complain(
        f"A mistake in Foveal itself: {type(error).__name__}: {error}",
        "Please report it with what you ran; FOVEAL_DEBUG=1 shows where it happened.",
    )


def _complain(message: str, remedy: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("error: ", "bold red").append(message, "default"))
    if remedy:
        console.print(Text(remedy))
