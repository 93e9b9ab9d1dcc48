"""Files that are whole or not there: written aside, flushed to the disk, renamed."""

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["flush_folder", "write_atomic", "write_folder"]


def write_atomic(path: Path, data: str | bytes) -> None:
    """Replace a file's content in one step: a reader, or a killed process, leaves the old content or the new."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    flush_folder(path.parent)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder that appears with everything in it, or not at all.

    Args:
        fill: writes the content into the folder it is given.

    Raises:
        FileExistsError: `path` is there already.
    """
    if path.exists():
        raise FileExistsError(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    fill(aside)
    flush_folder(aside)
    aside.rename(path)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Make renames inside a folder durable; a no-op on Windows, where folders cannot be opened."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
