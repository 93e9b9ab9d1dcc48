"""Answers as a table: a row an image, or a row a box, in a CSV file that other programs read."""

import csv
import io
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from foveal.errors import RunError
from foveal.files import write_atomic
from foveal.task import FileAnswer

__all__ = ["check_table", "tabled"]

TOLD = ("abstained", "reason", "error")  # the last columns, where any row has one


def check_table(path: Path) -> None:
    """
    Raises:
        RunError: it is no name of a CSV file, or something is there already.
    """
    if path.suffix.casefold() != ".csv":
        raise RunError(f"Expected a file for a table, NAME.csv, found {path}.", remedy="Give --write NAME.csv.")
    if path.exists():
        raise RunError(f"{path} is already there, and nothing is overwritten.", remedy="Choose another name.")


def tabled(answers: Generator[FileAnswer], path: Path) -> Generator[FileAnswer]:
    """The same answers. The table is written when they end, or when this is closed, for those that came.

    Columns are `file`, those of `Prediction.rows`, and, where any image has them, `abstained` and `reason`, and `error`
    of one that cannot be read. An image without a box has one row, with nothing but its name.

    Args:
        path: as `check_table` takes it.
    """
    rows: list[dict[str, Any]] = []
    with closing(answers):
        try:
            for answer in answers:
                rows += _rows(answer)
                yield answer
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, _csv(rows).encode("utf-8", "surrogateescape"))


def _rows(answer: FileAnswer) -> list[dict[str, Any]]:
    found = answer.prediction
    if found is None:
        return [{"file": answer.file, "error": answer.error}]
    told = {} if found.abstained is None else {"abstained": str(found.abstained).lower()}
    told |= {"reason": found.reason} if found.reason else {}
    return [{"file": answer.file, **row, **told} for row in found.rows() or [{}]]


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    """With a head of all columns; numbers as Python writes them, so that they are read back to the bit."""
    rows = list(rows)
    columns = dict.fromkeys(name for row in rows for name in row if name not in TOLD)
    last = [name for name in TOLD if any(name in row for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*(columns or ["file"]), *last], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
