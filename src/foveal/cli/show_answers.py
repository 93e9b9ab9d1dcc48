"""What `predict` shows: a line a file. Loads little, since an answer may be all that is wanted."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape

from foveal.cli.terminal import err, out, printable
from foveal.task import FileAnswer
from foveal.types import Progress

__all__ = ["FILES_COUNTED", "answer", "answered", "predicting"]

FILES_COUNTED = 10  # more than these are counted for the reader
BOXES_LISTED = 20  # of an image


def answer(answer: FileAnswer, listed: bool = False) -> None:
    """One file's line of `predict`.

    Args:
        listed: with a line a box, numbered as `explain --box` takes it.
    """
    if answer.prediction is None:
        err.print(f"[red]{escape(printable(answer.file))}[/]: {escape(printable(answer.error or ''))}", soft_wrap=True)
        return
    file, told = escape(printable(answer.file)), escape(printable(str(answer.prediction)))
    if answer.prediction.abstained:
        out.print(f"{file}  [dim]{told}[/]  [yellow]abstained:[/] {answer.prediction.reason}", soft_wrap=True)
    else:
        out.print(f"{file}  [bold]{told}[/]", soft_wrap=True)
    boxes = [row for row in answer.prediction.rows() if "box" in row] if listed else []
    wide = max((len(str(row["label"])) for row in boxes), default=0)
    for row in boxes[:BOXES_LISTED]:
        left, top, right, bottom = (f"{row[side]:,.0f}" for side in ("left", "top", "right", "bottom"))
        label = escape(printable(f"{row['label']:<{wide}}"))
        out.print(
            f"{row['box']:>4}  {label}  {row['score']:.2f}  [dim]{left}, {top} to {right}, {bottom}[/]", soft_wrap=True
        )
    if len(boxes) > BOXES_LISTED:
        out.print(f"      [dim]and {len(boxes) - BOXES_LISTED:,} more; --json has them all[/]")


@contextmanager
def predicting() -> Iterator[Progress | None]:
    """A bar on stderr for `predict`, moved by the yielded `progress`; none where the answers themselves are seen."""
    if not err.is_terminal or out.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, completed=done, total=total)


def answered(answered: int, failed: int, *, stopped: bool) -> None:
    """The last line of `predict`, on stderr: how many files, where they are not counted at a glance."""
    if answered + failed > FILES_COUNTED or stopped:
        err.print(f"{'stopped: ' if stopped else ''}{answered:,} answered, {failed:,} unreadable")
