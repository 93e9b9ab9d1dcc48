"""What Tab completes beyond fixed names: labels of a run or of a folder of class folders, and the columns of a table.
Anything that is not at hand in a moment is not completed: a shell that waits is worse than one that knows nothing."""

import csv
import json
import os
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import typer

__all__ = ["columns", "labelled"]

LARGEST = 1 << 20  # bytes of a file that is read
MOST = 2000  # entries of a folder that are looked at
SPLITS = ("train", "training")
HEAD = 1 << 16  # bytes of a table that are looked at for its header
METADATA = ("metadata.csv", "metadata.jsonl")


def labelled(*endings: str, before: Sequence[str] = ()) -> Callable[[typer.Context, str], list[str]]:
    """Completion by the labels of the run or source that the command line names.

    Args:
        endings: of each label, such as `:missed=`; a label by itself unless said.
        before: other words.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        labels = labels_of(_named(ctx))
        words = [*before, *(f"{label}{ending}" for label in labels for ending in endings or ("",))]
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _named(ctx: typer.Context) -> str:
    """The run or source that the line names. Arguments are left over where the last option still lacks its value."""
    if ctx.args:
        return ctx.args[0]
    return next((str(ctx.params[name]) for name in ("run", "source") if ctx.params.get(name)), "")


def labels_of(place: str) -> list[str]:
    """Of a run's or a bundle's folder, or of a folder of class folders; empty where they are not at hand."""
    path = Path(place)
    try:
        for name in ("run.json", "bundle.json"):
            told = path / name
            if place and told.is_file() and told.stat().st_size <= LARGEST:
                return [str(label) for label in json.loads(told.read_text(encoding="utf-8"))["labels"]]
        folders = _folders(path) if place and path.is_dir() else []
        parts = [name for name in folders if name.casefold() in SPLITS]
        return _folders(path / parts[0]) if parts else folders
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        some = islice(entries, MOST)
        return sorted(entry.name for entry in some if entry.is_dir() and not entry.name.startswith("."))


def columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completion by the columns of the source that the command line names, a table or a folder with metadata; of images
    whose names hold the targets by the groups of the pattern."""
    pattern = ctx.params.get("target_pattern")
    try:
        names = list(re.compile(pattern).groupindex) if pattern else columns_of(_named(ctx))
    except (re.error, TypeError):
        names = []
    return [name for name in names if name.startswith(incomplete)]


def columns_of(place: str) -> list[str]:
    """Of a .csv, .tsv or .jsonl, or of the metadata in a folder or its folder of training images; empty where none is
    at hand."""
    path = Path(place)
    try:
        if place and path.is_dir():
            tables = (path / part / name for part in ("", *SPLITS) for name in METADATA)
            path = next((table for table in tables if table.is_file()), path)
        if path.suffix.casefold() not in (".csv", ".tsv", ".jsonl") or not path.is_file():
            return []
        with path.open("rb") as file:
            lines = file.read(HEAD).decode("utf-8-sig", "ignore").splitlines()
        first = next((line for line in lines if line.strip()), "")
        if path.suffix.casefold() == ".jsonl":
            record = json.loads(first)
            return [name for name in record if name] if isinstance(record, dict) else []
        rows = [next(csv.reader([first], delimiter=mark, skipinitialspace=True)) for mark in ",;\t"]
        return [name.strip() for name in max(rows, key=len) if name.strip()]
    except (OSError, ValueError, TypeError, csv.Error, StopIteration):
        return []
