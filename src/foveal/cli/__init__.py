"""The command line: parse, call a verb, print. Data goes to stdout, everything else to stderr."""

import os
import sys

__all__ = ["main"]

FAILED, WRONG_USE = 1, 2


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 it failed, 2 wrong use, 130 interrupted."""
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    import typer

    from foveal.cli.commands import INTERRUPTED, app
    from foveal.errors import FovealError

    try:
        code = typer.main.get_command(app)(arguments, prog_name="foveal", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except FovealError as error:
        _complain(error.message, error.remedy)
        return FAILED
    except KeyboardInterrupt:
        _complain("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`| head`) has left; nothing more can or need be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return _other(error)


def _other(error: Exception) -> int:
    import click

    from foveal.cli.commands import INTERRUPTED

    if isinstance(error, click.exceptions.Abort):
        _complain("Interrupted.")
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show()
        return WRONG_USE
    if os.environ.get("FOVEAL_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.strerror:
        _complain(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
        return FAILED
    _complain(
        f"A mistake in Foveal itself: {type(error).__name__}: {error}",
        "Please report it with what you ran; FOVEAL_DEBUG=1 shows where it happened.",
    )
    return FAILED


def _complain(message: str, remedy: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("error: ", "bold red") + Text(message, "default"))
    if remedy:
        console.print(Text(remedy))
