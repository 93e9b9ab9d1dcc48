"""The command line: parse, call a verb, print. Data goes to stdout, everything else to stderr."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path

__all__ = ["BEGAN", "follower", "main"]

BEGAN = time.monotonic()  # what `--minutes` counts from
WRONG_USE = 2


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 it failed, 2 wrong use, 130 interrupted."""
    from foveal.cli.commands import app
    from foveal.errors import FovealError, LeadEnded

    try:
        with _silence() if follower() else nullcontext():
            app(arguments, prog_name="foveal")
    except LeadEnded:
        _let_the_lead_speak()
    except FovealError as error:
        who = f"process {follower()}: " if follower() else ""
        _complain(who + error.message, error.remedy)
    except Exception as error:
        if os.environ.get("FOVEAL_DEBUG"):
            raise
        _explain(error)
    sys.exit(1)


def follower() -> int:
    """This process's number among those that torchrun started, where another is the first of them; otherwise 0."""
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0


@contextmanager
def _silence() -> Iterator[None]:
    """The first process alone speaks to the user, and decides what an interrupt means."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    except SystemExit as end:
        if end.code == WRONG_USE:
            _let_the_lead_speak()
        raise


def _let_the_lead_speak() -> None:
    """torchrun ends all processes as soon as one has failed: wait for that, so that it is not this one."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(10)


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
