"""What Ctrl-C leaves behind and how to go on, in a line. Loads next to nothing: what is loaded later can be stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from foveal.cli.options import INTERRUPTED
from foveal.phrasing import command

__all__ = ["ANEW", "Verbs", "begun", "compared", "measured", "stopped_with"]

ANEW = "The same command starts anew."


@contextmanager
def stopped_with(told: str | Callable[[], str]) -> Iterator[None]:
    """What Ctrl-C inside leaves behind and how to go on, in words, before the command ends with 130.

    Args:
        told: the words, or what finds them when it happens.
    """
    try:
        yield
    except KeyboardInterrupt:
        from rich.markup import escape

        from foveal.cli.terminal import err

        text = told if isinstance(told, str) else told()
        err.print(escape(f"Stopped. {text}".rstrip()), soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


class Verbs(TyperGroup):
    """All commands. Ctrl-C while their words are read, or where a verb has nothing left to lose, says so, too."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        with stopped_with("Nothing had begun."):
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        with stopped_with(""):
            return super().invoke(ctx)


def begun(folder: Path | None) -> str:
    """What is left of something that was to be trained in a folder.

    Args:
        folder: the one that was named; None where a free one is looked for.
    """
    if folder and any((folder / name).is_file() for name in ("run.json", "series.json")):
        return f"Go on with: {command('foveal', 'resume', folder)}"
    return f"Nothing was trained. {ANEW}"


def measured(run: Path, *, trained: bool = False, anew: str = ANEW) -> Callable[[], str]:
    """What is left of a measurement that begins now: whether the look was counted, and where its numbers are.

    Args:
        trained: it is the end of a training, and not an evaluation that was asked for.
        anew: what the same command does where no look was counted.
    """
    looks, report, settled = (run / name for name in ("looks.jsonl", "report/report.json", "settled.json"))
    before = _stamp(looks), _stamp(report), _stamp(settled)
    again = "The same command measures anew, and counts one more look."

    def told() -> str:
        done = "The network is trained and saved. " if trained else ""
        if _stamp(settled) != before[2]:
            done += "The run answers from now on as it was asked to. "
        if _stamp(looks) == before[0]:
            go_on = f"Go on with: {command('foveal', 'resume', run)}" if trained else anew
            return f"{done}No look at the test images was counted. {go_on}"
        done += "The look at the test images was counted; "
        if _stamp(report) == before[1]:
            go_on = f"Measure it with: {command('foveal', 'evaluate', run)}, as one more look." if trained else again
            return f"{done}{'there is no report yet' if trained else 'the report is as it was'}. {go_on}"
        go_on = f"Draw it with: {command('foveal', 'evaluate', run)}, as one more look." if trained else again
        return f"{done}the numbers are in {report}, but their page was not drawn. {go_on}"

    return told


def compared(*runs: Path) -> Callable[[], str]:
    """What is left of a comparison that begins now.

    Args:
        runs: folders of runs, or of series, whose first run is compared.
    """
    places = [run / name for run in runs for name in ("looks.jsonl", "1/looks.jsonl")]
    before = [_stamp(place) for place in places]

    def told() -> str:
        if before == [_stamp(place) for place in places]:
            return f"No look at the test images was counted. {ANEW}"
        return "The look at the test images was counted. The same command compares anew, and counts one more."

    return told


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when it is written; None where there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
