"""Tables as text: CSV, JSON lines, Parquet and plain lists of files, with the line numbers that an editor shows."""

import csv
import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from foveal.errors import SourceError
from foveal.extras import extra
from foveal.types import SplitName

__all__ = ["Row", "Sheet", "open_parquet", "parquet_sheet", "read_sheet", "table_bytes"]

DELIMITERS = ",;\t"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """One row, before anybody asks what its cells mean.

    Args:
        number: of its first line, from 1; in Parquet of the row.
        cells: as many as it has, which may be wrong.
        fault: why it cannot be used, a key of `FAULTS` (see `assemble`); empty where it can.
    """

    number: int
    cells: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as text.

    Args:
        name: for messages; in a folder or an archive its path there.
        header: names of the columns.
        top: where the header is, for messages.
        unit: what rows are counted in.
        split: that all rows are in, where no column says it.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    top: str
    unit: str = "line"
    split: SplitName | None = None

    def where(self, row: Row) -> str:
        return f"{self.name}, {self.unit} {row.number}"


def table_bytes(path: Path) -> bytes:
    """
    Raises:
        SourceError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"The table {path} cannot be read: {error.strerror or error}.") from error


def read_sheet(name: str, data: bytes) -> Sheet:
    """Any table, told by its suffix; one of no known suffix as CSV.

    Raises:
        SourceError: it is empty, no UTF-8, no Parquet, or its quotes do not match; names the line.
        MissingExtra: pyarrow is not installed, and it is Parquet.
    """
    suffix = PurePosixPath(name).suffix.casefold()
    if suffix == ".parquet":
        return parquet_sheet(name, open_parquet(name, data))
    text = _text(name, data)
    if not text.strip():
        raise _empty(name)
    return {".jsonl": _json_lines, ".txt": _list}.get(suffix, _csv)(name, text)


def _text(name: str, data: bytes) -> str:
    """Bytes that are no UTF-8 become lone surrogates: only the rows that hold them are wrong."""
    if data.startswith(UTF16):
        raise SourceError(
            f"Expected UTF-8 in {name}, found UTF-16.",
            remedy="Save it as UTF-8 (in a spreadsheet program: `CSV UTF-8`).",
        )
    return data.removeprefix(BYTE_ORDER_MARK).decode(errors="surrogateescape")


def _empty(name: str) -> SourceError:
    return SourceError(
        f"Expected a table with a header in {name}, found an empty file.",
        remedy="Write a header such as path,target into it, and a line for each image.",
    )


def _csv(name: str, text: str) -> Sheet:
    rows = _csv_rows(name, text)
    header = next(rows, None)
    if header is None:
        raise _empty(name)
    top = f"{name}, line {header.number}"
    if header.fault:
        raise SourceError(
            f"Expected UTF-8 without NUL in the header of {top}, found {', '.join(map(ascii, header.cells))}.",
            remedy="Save the table as UTF-8.",
        )
    return Sheet(name, tuple(cell.strip() for cell in header.cells), tuple(rows), top)


def _csv_rows(name: str, text: str) -> Iterator[Row]:
    """RFC 4180, with another delimiter where the first line has more of it; blank lines are none."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise SourceError(
                f"Expected a row of cells in {name}, line {number}, found quotes that do not match: {error}.",
                remedy='Close the quotes. A quote inside a quoted cell is written twice: "a ""b"" c".',
            ) from error
        if cells is None:
            return
        if len(cells) > 1 or any(map(str.strip, cells)):
            yield Row(number, tuple(cells), _fault("".join(cells)))


def _delimiter(text: str) -> str:
    first = next(line for line in io.StringIO(text, newline="") if line.strip())

    def cells(mark: str) -> int:
        return len(next(csv.reader([first], delimiter=mark, skipinitialspace=True), ()))

    return max(DELIMITERS, key=cells)


def _json_lines(name: str, text: str) -> Sheet:
    """An object a line; the header is all their keys."""
    lines = enumerate(io.StringIO(text, newline=""), 1)
    records = [(number, _record(line)) for number, line in lines if line.strip()]
    header = tuple(dict.fromkeys(key for _, record in records for key in record or ()))
    rows = []
    for number, record in records:
        cells = tuple(_as_text((record or {}).get(key)) for key in header)
        rows.append(Row(number, cells, "no-object" if record is None else _fault("".join(cells))))
    return Sheet(name, header, tuple(rows), name)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _list(name: str, text: str) -> Sheet:
    """A path a line; the name of the folder that it ends in is the class."""
    rows = []
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if path := line.strip():
            folder = PurePosixPath(path.replace("\\", "/")).parent.name
            known = folder not in ("", ".", "..")
            rows.append(Row(number, (path, folder), _fault(path) or ("" if known else "no-folder")))
    return Sheet(name, ("path", "class"), tuple(rows), name)


def _fault(text: str) -> str:
    if "\0" in text:
        return "nul"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "no-utf8"
    return ""


def open_parquet(name: str, content: Path | bytes) -> Any:
    """A `pyarrow.parquet.ParquetFile`.

    Raises:
        SourceError: it is none.
        MissingExtra: pyarrow is not installed.
    """
    with extra("tables"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        return pq.ParquetFile(content if isinstance(content, Path) else pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(name, error) from error


def parquet_sheet(name: str, file: Any, *, without: Collection[str] = ()) -> Sheet:
    """The columns as text; class numbers of the Hugging Face `datasets` library as their names.

    Args:
        file: a `pyarrow.parquet.ParquetFile`.
        without: columns that are not read.

    Raises:
        SourceError: it is damaged.
    """
    import pyarrow as pa

    header = tuple(column for column in file.schema_arrow.names if column not in without)
    try:
        table = file.read(columns=list(header))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(name, error) from error
    labels = _class_names(file.schema_arrow.metadata or {})
    columns = []
    for column, values in zip(table.column_names, table.columns):
        known = labels.get(column)
        columns.append([_as_text(value) if known is None else _named(value, known) for value in values.to_pylist()])
    cells = zip(*columns) if columns else iter([()] * file.metadata.num_rows)
    rows = tuple(Row(number, row, _fault("".join(row))) for number, row in enumerate(cells, 1))
    return Sheet(name, tuple(table.column_names), rows, name, unit="row")


def _damaged(name: str, error: Exception) -> SourceError:
    return SourceError(
        f"Expected a Parquet file, found one that is damaged, or another file: {name} ({error})",
        remedy="Get it again, or write the table as CSV.",
    )


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Column to the names behind its numbers, from the features that `datasets` keeps in the schema."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _named(value: Any, names: list[str]) -> str:
    """A class number's name; empty where it is none (-1 stands for not known)."""
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else ""


def _as_text(value: Any) -> str:
    """As it would stand in a CSV cell; nothing for null and NaN."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None or value != value else str(value)
