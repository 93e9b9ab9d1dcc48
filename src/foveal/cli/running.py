"""One command, from its words to its exit code."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path

from foveal.cli import follower
from foveal.cli.commands import app
from foveal.errors import FovealError, LeadEnded

__all__ = ["run"]

WRONG_USE = 2


def run(arguments: list[str] | None) -> None:
    """Run one command and exit, as `foveal.cli.main`, which calls it."""
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
