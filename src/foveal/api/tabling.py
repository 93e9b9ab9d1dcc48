"""Answers as a table: a row an image, or a row a box, in a CSV file that other programs read."""

import csv
import io
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from foveal.bundle import Bundle
from foveal.errors import RunError
from foveal.files import write_atomic
from foveal.run import Run
from foveal.task import FileAnswer
from foveal.tasks import named_task

__all__ = ["check_table", "columns_of", "tabled"]

TOLD = ("abstained", "reason", "error")  # the last columns


def check_table(path: Path) -> None:
    """
    Raises:
        RunError: it is no name of a CSV file, or something is there already.
    """
    if path.suffix.casefold() != ".csv":
        raise RunError(f"Expected a file for a table, NAME.csv, found {path}.", remedy="Give --write NAME.csv.")
    if path.exists():
        raise RunError(f"{path} is already there, and nothing is overwritten.", remedy="Choose another name.")


def columns_of(told: Run | Bundle) -> tuple[str, ...]:
    """Of a table of its answers, as `tabled` takes them."""
    if isinstance(told, Bundle):
        task, labels, settled = told.manifest.task, told.manifest.labels, told.manifest.settled
    else:
        task, labels, settled = told.info["task"], told.info["labels"], told.settled
    return named_task(task).answer.columns(labels, settled)


def tabled(answers: Generator[FileAnswer], path: Path, columns: Sequence[str]) -> Generator[FileAnswer]:
    """The same answers. The table is written when they end, or when this is closed, for those that came.

    Its columns are the same whatever is on the images: `file`, those of the answer, `abstained` and `reason`, which are
    empty where nothing was settled that could say so, and `error`, of a file that cannot be read. An image without a
    box has one row, with nothing but its name.

    Args:
        path: as `check_table` takes it.
        columns: of the answer, as `columns_of` gives them.
    """
    rows: list[dict[str, Any]] = []
    with closing(answers):
        try:
            for answer in answers:
                rows += _rows(answer)
                yield answer
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, _csv(rows, columns).encode("utf-8", "surrogateescape"))


def _rows(answer: FileAnswer) -> list[dict[str, Any]]:
    found = answer.prediction
    if found is None:
        return [{"file": answer.file, "error": answer.error}]
    told = {} if found.abstained is None else {"abstained": str(found.abstained).lower()}
    told |= {"reason": found.reason} if found.reason else {}
    return [{"file": answer.file, **row, **told} for row in found.rows() or [{}]]


def _csv(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """With a head of all columns; numbers as Python writes them, so that they are read back to the bit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(["file", *columns, *TOLD])), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
