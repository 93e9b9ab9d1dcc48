"""Cells of several columns in one text."""

import json

__all__ = ["quoted", "texts_of"]

SHOWN = 60


def texts_of(cell: str, columns: int) -> list[str]:
    """A text a column, without spaces around: a JSON array's where there are several columns, otherwise the cell.

    Raises:
        ValueError: it is no array of so many.
    """
    if columns == 1:
        return [cell.strip()]
    try:
        texts = json.loads(cell)
    except (ValueError, RecursionError):
        texts = None
    if not isinstance(texts, list) or len(texts) != columns:
        raise ValueError(f"expected a JSON array of {columns} cells, found {quoted(cell)}")
    return [str(text).strip() for text in texts]


def quoted(text: str) -> str:
    """For a message: in quotes, cut off where it is long, and in words where it is empty."""
    if not text.strip():
        return "nothing"
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
