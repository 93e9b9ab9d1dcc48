"""A table of images on the disk: `labels.csv` with a path and a target in each row, or a list of files."""

import hashlib
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from foveal.data.machine import digest
from foveal.data.sources.assemble import assemble, spellings
from foveal.data.sources.box_faults import Faults
from foveal.data.sources.box_table import BoxColumns, box_columns, box_layout
from foveal.data.sources.boxed import file_size
from foveal.data.sources.columns import LIST_COLUMNS, find_columns
from foveal.data.sources.folder import FolderSource
from foveal.data.sources.layout import IMAGE_SUFFIXES, Layout, writable
from foveal.data.sources.parquet import ParquetSource, open_shards
from foveal.data.sources.reading import AS_FOUND, refuse, signed
from foveal.data.sources.rows import Sheet, read_sheet, table_bytes
from foveal.errors import SourceError
from foveal.types import Reading

__all__ = ["SPREADSHEETS", "TABLES", "open_table"]

TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
LIST = ".txt"


def open_table(path: Path, reading: Reading = AS_FOUND) -> FolderSource | ParquetSource:
    """Read a table; its images lie beside it, below it, in `images/` there, or where absolute paths say.

    Raises:
        SourceError: it cannot be read, or has not the columns; names the line and what was found.
        MissingExtra: pyarrow is not installed, and it is Parquet.
    """
    path = path.resolve()
    if reading.pattern:
        raise SourceError(
            f"Expected a folder or an archive for the pattern {reading.pattern!r}, found the table {path}.",
            remedy="Leave the pattern out, or give the folder of the images as the source.",
        )
    suffix = path.suffix.casefold()
    if suffix == ".parquet":
        status = path.stat()
        signature = signed(digest("table", str(path), str(status.st_size), str(status.st_mtime_ns)), reading)
        if source := open_shards({path.name: path}, path.stem, str(path), signature, reading):
            return source
    if suffix == LIST:
        refuse(reading, str(path), "a list of files", paths=True)
    data = table_bytes(path)
    sheet = read_sheet(path.name, data)
    files = _Files(str(path.parent))
    layout = _layout(sheet, files, reading, is_list=suffix == LIST)
    about = (path.stem or "table", str(path), _signature(path, data, files, reading))
    return FolderSource(*about, layout.findings, path.parent, layout.entries, {}, layout.columns, reading)


def _layout(sheet: Sheet, files: "_Files", reading: Reading, is_list: bool) -> Layout:
    if not is_list and (boxes := box_columns(sheet, reading)):
        return _with_boxes(sheet, boxes, files)
    columns = LIST_COLUMNS if is_list else find_columns(sheet, reading)
    layout = assemble([(sheet, columns)], files.locate, files.looked, files.beside, inner=int(is_list))
    return Layout(layout.entries, layout.findings) if is_list else layout


def _with_boxes(sheet: Sheet, columns: BoxColumns, files: "_Files") -> Layout:
    def tell_others(mentioned: Collection[str], faults: Faults) -> None:
        for file in sorted(set(files.beside(mentioned)).difference(mentioned)):
            faults.add("missing-annotation", file)

    size = partial(file_size, files.head)
    return box_layout([(sheet, columns)], files.locate, files.looked, size, tell_others)


@dataclass(slots=True)
class _Files:
    """What lies on the disk, as far as a table asks for it. Paths are texts here: `pathlib` took half of the time.

    Args:
        root: the table's folder.
        found: files that rows name, as the source calls them.
        more: images beside them.
    """

    root: str
    found: dict[str, os.stat_result] = field(default_factory=dict)
    more: set[str] = field(default_factory=set)

    @property
    def looked(self) -> str:
        """Where files are looked for, in words."""
        return f"{self.root} and {Path(self.root, 'images')}"

    def locate(self, sheet: Sheet, written: str) -> str | None:
        for spelling in spellings(written):
            for name in (spelling, f"images/{spelling}"):
                file = self._name(name)
                if file in self.found or self._is_file(file):
                    return file
        return None

    def beside(self, mentioned: Collection[str]) -> Collection[str]:
        """The images in the folders where files were found."""
        known = set(map(self._path, self.found))
        for folder in {file.rpartition("/")[0] for file in self.found}:
            path = self._path(folder)
            with suppress(OSError), os.scandir(path) as items:
                for item in items:
                    is_image = item.name.casefold().endswith(IMAGE_SUFFIXES) and item.name[0] != "."
                    if is_image and f"{path}/{item.name}" not in known and item.is_file():
                        self.more.add(writable(f"{folder}/{item.name}" if folder else item.name))
        return self.more

    def head(self, file: str, most: int) -> bytes:
        """At most so many of its first bytes."""
        with Path(self._path(file)).open("rb") as opened:
            return opened.read(most)

    def _name(self, written: str) -> str:
        """Relative to the root for what lies below it, with `/`."""
        return os.path.normpath(written).removeprefix(f"{self.root}{os.sep}").replace(os.sep, "/")

    def _path(self, file: str) -> str:
        """The same for all names of a file."""
        if os.path.isabs(file):  # noqa: PTH117
            return file
        return os.path.normpath(f"{self.root}/{file}") if file.startswith("..") else f"{self.root}/{file}".rstrip("/")

    def _is_file(self, file: str) -> bool:
        try:
            status = os.stat(self._path(file))  # noqa: PTH116
        except (OSError, ValueError):  # not there; or no name that a file can have
            return False
        if not stat.S_ISREG(status.st_mode):
            return False
        self.found[file] = status
        return True


def _signature(path: Path, data: bytes, files: _Files, reading: Reading) -> str:
    lines = [f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n" for file, status in sorted(files.found.items())]
    content = hashlib.sha256(data)
    content.update("".join([f"{path}\n", *lines, *sorted(files.more)]).encode("utf-8", "surrogatepass"))
    return signed(content.hexdigest(), reading)
