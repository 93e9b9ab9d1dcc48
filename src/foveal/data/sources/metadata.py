"""A folder or an archive with `metadata.csv`, `.jsonl` or `.parquet` in it: the Hugging Face `imagefolder`."""

import posixpath
from collections.abc import Callable, Collection

from foveal.data.sources.assemble import assemble, spellings
from foveal.data.sources.columns import find_columns
from foveal.data.sources.layout import Layout, visible
from foveal.data.sources.rows import Sheet, read_sheet
from foveal.errors import SourceError
from foveal.types import Reading

__all__ = ["by_metadata"]

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"


def by_metadata(
    files: Collection[str], folders: Collection[str], read: Callable[[str], bytes], reading: Reading
) -> Layout | None:
    """One table at the top or one in each split folder; paths are relative to the table. None where there is none: a
    table without the column `file_name` is a file like any other, unless something was said about its columns.

    Args:
        read: the bytes of a file.

    Raises:
        SourceError: a table cannot be read, or has not the columns.
    """
    if not any(file.endswith(NAMES) for file in files):
        return None
    seen, findings = visible(files, folders)
    sheets = [
        sheet
        for file in sorted(seen)
        if file.rpartition("/")[2] in NAMES and (sheet := _sheet(file, read(file), reading))
    ]
    if not sheets:
        return None
    try:
        tables = [(sheet, find_columns(sheet, reading)) for sheet in sheets]
    except SourceError as error:
        away = "Or move the table away, to take the names of the folders as classes."
        raise SourceError(error.message, remedy=f"{error.remedy} {away}".strip()) from error
    images = set(seen) - {sheet.name for sheet in sheets}

    def locate(sheet: Sheet, written: str) -> str | None:
        folder = sheet.name.rpartition("/")[0]
        names = (name for spelling in spellings(written) for name in (spelling, f"images/{spelling}"))
        placed = (posixpath.normpath(posixpath.join(folder, name)) for name in names)
        return next((file for file in placed if file in images), None)

    layout = assemble(tables, locate, "the folder of the table and images/ in it", lambda mentioned: images)
    return Layout(layout.entries, (*layout.findings, *findings), layout.columns)


def _sheet(file: str, data: bytes, reading: Reading) -> Sheet | None:
    said = bool(reading.of_targets())
    if not said and FILE_NAME.encode() not in data:
        return None
    sheet = read_sheet(file, data)
    return sheet if said or FILE_NAME in map(str.casefold, sheet.header) else None
