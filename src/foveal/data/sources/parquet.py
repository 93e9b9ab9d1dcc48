"""Parquet files with the images themselves in them, as data sets of the Hugging Face hub have them."""

import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from foveal.data.sources.assemble import assemble
from foveal.data.sources.columns import SPLIT_VALUES, Columns, find_columns
from foveal.data.sources.layout import IMAGE_SUFFIXES, refuse_large, visible
from foveal.data.sources.rows import Row, Sheet, open_parquet, parquet_sheet
from foveal.errors import SourceError, UnreadableImage
from foveal.types import Entry, Finding, Reading, SplitName

__all__ = ["ParquetSource", "open_shards", "shards_among"]

SUFFIX = ".parquet"
HELD = 256 << 20  # bytes of images that are kept for the rows that come next


class _Cell(NamedTuple):
    """Where an image is: the number of the row group, and of the row in it."""

    path: Path
    column: str
    row_group: int
    row: int


@dataclass(eq=False, slots=True)
class ParquetSource:
    """Row groups are read as a whole when one of their rows is asked for, and the last ones are kept: images are asked
    for in about the order of the rows. Files are named `SHARD/ROW`."""

    name: str
    spec: str
    signature: str
    findings: tuple[Finding, ...]
    listed: tuple[Entry, ...]
    columns: tuple[str, ...]
    reading: Reading
    cells: dict[str, _Cell]
    lock: threading.Lock = field(default_factory=threading.Lock)
    held: dict[tuple[Path, int], Any] = field(default_factory=dict)

    def entries(self) -> Sequence[Entry]:
        return self.listed

    def read(self, file: str) -> bytes:
        """
        Raises:
            UnreadableImage: the row holds none, or the file cannot be read any more.
        """
        cell = self.cells[file]
        with self.lock:
            value = self._images(cell)[cell.row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            raise UnreadableImage("empty: the row holds no image")
        refuse_large(len(data))
        return data

    def _images(self, cell: _Cell) -> Any:
        """The images of a row group, a `pyarrow.ChunkedArray`."""
        key = cell.path, cell.row_group
        if key not in self.held:
            import pyarrow as pa

            try:
                table = open_parquet(cell.path.name, cell.path).read_row_group(cell.row_group, columns=[cell.column])
            except (pa.ArrowException, OSError, SourceError) as error:
                raise UnreadableImage(f"cannot be read: {error}") from error
            self.held[key] = table.column(0)
            while len(self.held) > 1 and sum(images.nbytes for images in self.held.values()) > HELD:
                del self.held[next(iter(self.held))]
        return self.held[key]


def shards_among(
    root: Path, files: Collection[str], folders: Collection[str]
) -> tuple[dict[str, Path], list[str], tuple[Finding, ...]]:
    """The Parquet files of a folder in which no image lies as a file, all its files, and a finding with hidden ones;
    nothing where that is not so."""
    if not any(file.endswith(SUFFIX) for file in files):
        return {}, [], ()
    seen, hidden = visible(files, folders)
    if any(file.casefold().endswith(IMAGE_SUFFIXES) for file in seen):
        return {}, [], ()
    return {file: root / file for file in sorted(seen) if file.endswith(SUFFIX)}, seen, hidden


def open_shards(
    shards: Mapping[str, Path],
    name: str,
    spec: str,
    signature: str,
    reading: Reading,
    *,
    others: Collection[str] = (),
    findings: tuple[Finding, ...] = (),
) -> ParquetSource | None:
    """Files with a column of images as one source; None where none of them has one.

    Args:
        shards: as the source calls them, to where they are.
        others: files that lie beside them.
        findings: what else was seen.

    Raises:
        SourceError: a file is damaged, or the column of the targets cannot be found.
    """
    tables: list[tuple[Sheet, Columns]] = []
    cells: dict[str, _Cell] = {}
    for shard, path in shards.items():
        file = open_parquet(shard, path)
        images = _image_columns(file.schema_arrow)
        if images:
            stem = shard.removesuffix(path.suffix)
            sheet = parquet_sheet(shard, file, without=images)
            rows = tuple(Row(row.number, (f"{stem}/{row.number:06}", *row.cells), row.fault) for row in sheet.rows)
            sheet = replace(sheet, header=("", *sheet.header), rows=rows, split=_split(stem.rpartition("/")[2]))
            tables.append((sheet, find_columns(sheet, reading, path=0)))
            cells.update(zip((row.cells[0] for row in rows), _cells(path, images[0], file.metadata)))
    if not tables:
        return None
    beside = set(others) - {sheet.name for sheet, _ in tables}
    layout = assemble(tables, lambda sheet, written: written, "", lambda mentioned: beside)
    told = (*layout.findings, *findings)
    return ParquetSource(name, spec, signature, told, layout.entries, layout.columns, reading, cells)


def _image_columns(schema: Any) -> list[str]:
    """Columns of encoded images: bytes, or the struct with `bytes` that the `datasets` library writes."""
    from pyarrow import types

    def is_bytes(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    def is_image(kind: Any) -> bool:
        parts = kind if types.is_struct(kind) else ()
        return is_bytes(kind) or any(part.name == "bytes" and is_bytes(part.type) for part in parts)

    return [column.name for column in schema if is_image(column.type)]


def _cells(path: Path, column: str, metadata: Any) -> Iterator[_Cell]:
    for group in range(metadata.num_row_groups):
        for row in range(metadata.row_group(group).num_rows):
            yield _Cell(path, column, group, row)


def _split(stem: str) -> SplitName | None:
    """The first word of a file's name that is a split: `data/train-00000-of-00002`."""
    words = re.split(r"[^a-z]+", stem.casefold())
    return next((SPLIT_VALUES[word] for word in words if word in SPLIT_VALUES), None)
