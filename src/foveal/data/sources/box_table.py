"""A table with a box in each row: the image's path, a label and four numbers."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from foveal.answers.columns import quoted
from foveal.data.sources.box_faults import Faults, Spot
from foveal.data.sources.boxed import Inside, Marked, Raw, Size, clean_label, laid_out, number, tell_rest
from foveal.data.sources.columns import SPLIT_VALUES, USUAL, Columns, find_columns
from foveal.data.sources.layout import Layout
from foveal.data.sources.rows import Row, Sheet, read_sheet
from foveal.errors import SourceError
from foveal.types import Reading, SplitName

__all__ = ["BoxColumns", "Locate", "box_columns", "box_layout", "by_box_table"]

CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x0", "y0", "x1", "y1"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
SIDES = (
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
    ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
)
LABELS = (*USUAL["target"], "class_name", "category", "labelname", "label_name", "name")
SUFFIXES = (".csv", ".tsv")
FIRST = 1 << 14  # bytes that a header is in

Locate = Callable[[Sheet, str], "str | None"]


@dataclass(frozen=True, slots=True)
class BoxColumns:
    """
    Args:
        usual: with the label and the four numbers as targets.
        sides: whether the last two of the numbers are width and height.
        size: of the image.
    """

    usual: Columns
    sides: bool
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Read:
    """One row; its numbers are None where it says that there is no box."""

    file: str
    spot: Spot
    label: str
    numbers: tuple[float, float, float, float] | None
    split: SplitName | None
    group: str | None
    size: tuple[float, float] | None


def by_box_table(inside: Inside, reading: Reading) -> Layout | None:
    """The tables in a folder or an archive that have a column of paths, of labels and of four numbers each; None where
    there are none, or one column is said to be the target."""
    tables = []
    for file in inside.ending(*SUFFIXES):
        data = inside.bytes(file) if _may_be(inside, file) else None
        if data is None:
            continue
        try:
            sheet = read_sheet(file, data)
            columns = box_columns(sheet, reading)
        except SourceError:
            continue  # a table of something else
        if columns:
            tables.append((sheet, columns))
    if not tables:
        return None

    def locate(sheet: Sheet, written: str) -> str | None:
        return inside.locate(written, sheet.name.rpartition("/")[0])

    def rest(mentioned: Collection[str], faults: Faults) -> None:
        tell_rest(inside, {*mentioned, *(sheet.name for sheet, _ in tables)}, inside.images, faults)

    return box_layout(tables, locate, "the folder of the table, images/ and by name", inside.size, rest)


def _may_be(inside: Inside, file: str) -> bool:
    """By its first line: other tables can be large."""
    first = (inside.start(file, FIRST) or b"").lstrip().split(b"\n")[0].decode("utf-8", "replace").casefold()
    return any(all(name in first for name in four) for four in (*CORNERS, *SIDES))


def box_columns(sheet: Sheet, reading: Reading) -> BoxColumns | None:
    """None where the table is none of boxes, or its target is said.

    Raises:
        SourceError: it is one, and no column names the files; or a column that was said is not there.
    """
    names = [name.casefold() for name in sheet.header]
    label = next((name for name in LABELS if name in names), None)
    four = next((four for four in (*CORNERS, *SIDES) if set(four) <= set(names)), None)
    if reading.target or label is None or four is None:
        return None
    usual = find_columns(sheet, replace(reading, target=(label, *four)))
    is_size = {"width", "height"} <= set(names) - set(four)
    size = (names.index("width"), names.index("height")) if is_size else None
    return BoxColumns(usual, four in SIDES, size)


def box_layout(
    tables: Sequence[tuple[Sheet, BoxColumns]],
    locate: Locate,
    looked: str,
    size: Callable[[str], Size | None],
    rest: Callable[[Collection[str], Faults], None],
) -> Layout:
    """
    Args:
        locate: the source's name of a file that a table names, or None where it is not there.
        looked: the places where `locate` looks, in words.
        size: of an image, or None where it cannot be read.
        rest: tells about the files that no row names; gets those that are.
    """
    faults = Faults()
    rows: dict[str, list[_Read]] = defaultdict(list)
    shares: set[str] = set()
    for sheet, at in tables:
        here = [read for row in sheet.rows if (read := _read(sheet, at, row, locate, faults))]
        shares |= {read.file for read in here} if _are_shares(here) else set()
        for read in here:
            rows[read.file].append(read)
    images = [_marked(file, reads, file in shares, faults) for file, reads in rows.items()]
    rest({*rows, *faults.files["missing"], *faults.files["unknown-split"]}, faults)
    return laid_out([image for image in images if image], size, faults, looked)


def _read(sheet: Sheet, at: BoxColumns, row: Row, locate: Locate, faults: Faults) -> _Read | None:
    spot = Spot(sheet.name, sheet.unit, row.number)
    missing = len(sheet.header) - len(row.cells)
    if reason := row.fault or ("few-cells" if missing > 0 else "many-cells" if missing else ""):
        return faults.add(reason, sheet.where(row), spot)
    path = row.cells[at.usual.path]
    if not path.strip():
        return faults.add("no-path", sheet.where(row), spot)
    file = locate(sheet, path)
    if file is None:
        return faults.add("missing", path, spot, quoted(path))
    told = _cell(row, at.usual.split)
    if told and told.casefold() not in SPLIT_VALUES:
        return faults.add("unknown-split", file, spot, quoted(told))
    split, group = SPLIT_VALUES[told.casefold()] if told else None, _cell(row, at.usual.group) or None
    label, *texts = (_cell(row, place) for place in at.usual.targets)
    read = _Read(file, spot, clean_label(label), None, split, group, _size(row, at.size))
    if not any(texts) and not label:
        return read
    numbers = [value for text in texts if (value := number(text)) is not None]
    if len(numbers) < len(texts):
        faults.add("wrong-box", file, spot, ", ".join(map(quoted, texts)))
        return read
    if not label:
        faults.add("unknown-class", file, spot, "nothing")
        return read
    x0, y0, x1, y1 = numbers
    return replace(read, numbers=(x0, y0, x0 + x1, y0 + y1) if at.sides else (x0, y0, x1, y1))


def _cell(row: Row, place: int | None) -> str:
    return "" if place is None else row.cells[place].strip()


def _size(row: Row, places: tuple[int, int] | None) -> tuple[float, float] | None:
    if places is None:
        return None
    width, height = (number(_cell(row, place)) for place in places)
    return None if width is None or height is None else (width, height)


def _are_shares(reads: Sequence[_Read]) -> bool:
    """Whether all numbers are from 0 to 1, and some between: shares of width and height, as in Open Images."""
    values = [value for read in reads if read.numbers for value in read.numbers]
    return any(0 < value < 1 for value in values) and all(0 <= value <= 1 for value in values)


def _marked(file: str, reads: Sequence[_Read], shares: bool, faults: Faults) -> Marked | None:
    """One image of all rows that name it; None where they disagree on where it belongs."""
    if len({(read.split, read.group) for read in reads}) > 1:
        for read in reads:
            faults.add("contradicting-places", file, read.spot)
        return None
    boxes = [Raw(read.label, read.numbers, read.spot) for read in reads if read.numbers]
    first = reads[0]
    unit = "shares" if shares else "pixels"
    return Marked(file, first.spot, boxes, first.split, first.group, first.size, unit)
