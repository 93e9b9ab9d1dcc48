"""Boxes as annotation files hold them, to images with boxes that can be used. What is wrong with a box is mended or
leaves it out, and is always told with its place."""

import io
import json
import posixpath
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from foveal.answers.boxes import COLUMN
from foveal.data.sources.box_faults import Faults, Spot
from foveal.data.sources.columns import SPLIT_VALUES
from foveal.data.sources.layout import IMAGE_SUFFIXES, LARGEST_FILE, Layout, folder_splits, writable
from foveal.readers.image import size_of
from foveal.types import SPLITS, Entry, SplitName

__all__ = [
    "LARGEST_TEXT",
    "UNREAD",
    "Inside",
    "Marked",
    "Raw",
    "Size",
    "clean_label",
    "file_size",
    "laid_out",
    "lines_of",
    "number",
    "split_in",
    "tell_rest",
    "text_of",
]

Size = tuple[int, int]
Head = Callable[[str, int], bytes]

LARGEST_TEXT = 1 << 24  # bytes of an annotation of one image
UNREAD = f"cannot be read, or more than {LARGEST_TEXT >> 20} MiB"
MOST_PARTS = 8  # of a path that are compared
HEADS = (1 << 16, LARGEST_FILE)  # bytes that are read to learn an image's size; the second time where it needs more
FARTHEST = 1e7  # pixels, or shares; more than that is no coordinate
DIGITS = 4  # of a pixel
ROUNDING = 0.5  # pixels that a box may reach beyond its image, from rounding
SAME = 0.1  # of a box's width: for an IoU above 0.9 no edge may be moved by more
NEIGHBOURS = 50  # boxes that one is compared with; more than that overlap in no image
IN_WORDS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16"}


class Raw(NamedTuple):
    """A box as it is written.

    Args:
        corners: x0, y0, x1, y1 in whatever order and unit.
        ignored: whether it is not to be counted (a crowd, a difficult one).
    """

    label: str
    corners: tuple[float, float, float, float]
    spot: Spot
    ignored: bool = False


@dataclass(slots=True)
class Marked:
    """One image and what an annotation says of it.

    Args:
        declared: width and height that the annotation was made for, where it says so.
        unit: of the corners: continuous pixels; shares of width and height; or pixels that are counted from 1, the last
            one part of the box (PASCAL VOC).
    """

    file: str
    where: Spot
    boxes: Sequence[Raw] = ()
    split: SplitName | None = None
    group: str | None = None
    declared: tuple[float, float] | None = None
    unit: Literal["pixels", "shares", "counted"] = "pixels"


class _Box(NamedTuple):
    label: str
    corners: tuple[float, float, float, float]
    spot: Spot
    ignored: bool


@dataclass(eq=False)
class Inside:
    """What a folder or an archive holds.

    Args:
        files: the visible ones, with `/`.
        head: at most so many of the first bytes of a file.
    """

    files: Sequence[str]
    head: Head

    @cached_property
    def there(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def images(self) -> list[str]:
        return self.ending(*IMAGE_SUFFIXES)

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """Name without folders to the images that are called so."""
        names: dict[str, list[str]] = defaultdict(list)
        for file in self.images:
            names[file.rpartition("/")[2]].append(file)
        return names

    def ending(self, *suffixes: str) -> list[str]:
        return sorted(file for file in self.files if file.casefold().endswith(suffixes))

    def start(self, file: str, most: int) -> bytes | None:
        """So many of its first bytes; None where it cannot be read."""
        try:
            return self.head(file, most)
        except Exception:  # archives raise whatever their format's damage happens to hit
            return None

    def bytes(self, file: str, most: int = LARGEST_FILE) -> bytes | None:
        """None where it cannot be read, or is larger than that."""
        data = self.start(file, most + 1)
        return data if data is not None and len(data) <= most else None

    def size(self, file: str) -> Size | None:
        return file_size(self.head, file)

    def locate(self, written: str, folder: str, split: SplitName | None = None) -> str | None:
        """The image of a path that an annotation in `folder` names: from there, from `images/`, from the folder above,
        or from the top; otherwise the only one whose path ends as this one does, in as many parts as there are. Never
        a file outside, and never one of another split.

        Args:
            split: of the annotation.
        """
        parts = [part for part in written.strip().replace("\\", "/").split("/") if part not in ("", ".")]
        name = posixpath.normpath("/".join(parts)) if parts else ""
        if not name or name == ".":
            return None
        above = folder.rpartition("/")[0]
        for base in dict.fromkeys((folder, above, "")):
            for inner in ("", "images"):
                if (file := posixpath.normpath(posixpath.join(base, inner, name))) in self.there:
                    return file
        last = [part for part in name.split("/") if part != ".."][-MOST_PARTS:]
        called = self.by_name.get(last[-1], []) if last else []
        ends = ("/".join(last[k:]) for k in range(len(last)))
        ending = next((found for end in ends if (found := [file for file in called if _ends(file, end)])), [])
        told = split_in(name) or split
        fitting = [file for file in ending if told is None or split_in(file) in (told, None)]
        exact = [file for file in fitting if split_in(file) == told]
        return next((some[0] for some in (exact, fitting) if len(some) == 1), None)


def _ends(file: str, end: str) -> bool:
    return file == end or file.endswith(f"/{end}")


def file_size(head: Head, file: str) -> Size | None:
    """Width and height of an upright image; None where it cannot be read: whoever decodes it will say why."""
    for most in HEADS:
        try:
            return size_of(head(file, most))
        except Exception:  # as above
            continue
    return None


@lru_cache(4096)
def _split_of_folder(folder: str) -> SplitName | None:
    names = (part.casefold().rstrip("0123456789_-") for part in reversed(folder.split("/")))
    return next((SPLIT_VALUES[name] for name in names if name in SPLIT_VALUES), None)


def split_in(file: str) -> SplitName | None:
    """The split that the nearest of its folders is called after, a year behind it or not (`val2017`)."""
    return _split_of_folder(file.rpartition("/")[0])


def tell_rest(inside: Inside, used: Collection[str], images: Collection[str], faults: Faults) -> None:
    """
    Args:
        used: files that are annotated, or annotations.
        images: those that should be annotated.
    """
    for file in sorted(set(images).difference(used)):
        faults.add("missing-annotation", file)
    for file in sorted(inside.there.difference(images, used)):
        faults.add("extra-file", file)


def text_of(data: bytes) -> str:
    """UTF-8, or UTF-16 that says so.

    Raises:
        ValueError: it is neither; says in which line.
    """
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: no {IN_WORDS[encoding]}") from None


def lines_of(inside: Inside, file: str, faults: Faults) -> list[tuple[int, str]] | None:
    """The lines that are not blank, with their numbers; None where the file cannot be read, which is told."""
    data = inside.bytes(file, LARGEST_TEXT)
    try:
        text = text_of(data) if data is not None else None
    except ValueError as error:
        return faults.add("wrong-file", file, Spot(file), str(error))
    if text is None:
        return faults.add("wrong-file", file, Spot(file), UNREAD)
    return [(place, line.strip()) for place, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip()]


def number(text: str) -> float | None:
    """A finite one; None where it is none."""
    try:
        value = float(text) if "_" not in text else float("nan")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def clean_label(text: str) -> str:
    return writable(text.strip())


def laid_out(
    images: Iterable[Marked], size: Callable[[str], Size | None], faults: Faults, looked: str = "", inner: int = 0
) -> Layout:
    """
    Args:
        images: an image may come more than once; its boxes are put together.
        size: of an image, or None where it cannot be read.
        inner: folders around a file that say no split.
    """
    merged: dict[str, list[Marked]] = defaultdict(list)
    for image in images:
        merged[image.file].append(image)
    files = sorted(merged)
    splits: list[SplitName | None] = [_one_split(merged[file], faults) for file in files]
    if not any(splits):
        splits = folder_splits(files, inner)
    entries = []
    for file, split in zip(files, splits):
        boxes = _boxes(merged[file], size, faults)
        first = merged[file][0]
        spots = tuple(box.spot for box in boxes)
        entries.append(Entry(file, _cell(boxes), split, first.group, str(first.where), spots))
    return Layout(tuple(entries), faults.findings(looked), (COLUMN,))


def _one_split(parts: Sequence[Marked], faults: Faults) -> SplitName | None:
    named: list[SplitName] = [split for split in SPLITS if any(part.split == split for part in parts)]
    if len(named) > 1:
        faults.add("repeated-image", parts[0].file, Spot(parts[0].file), " and ".join(named))
    return named[0] if named else None


def _boxes(parts: Sequence[Marked], size_of_file: Callable[[str], Size | None], faults: Faults) -> list[_Box]:
    if not any(part.boxes for part in parts):
        return []
    size = size_of_file(parts[0].file)
    found: dict[tuple[object, ...], _Box] = {}
    for part in parts:
        if size and part.declared and part.declared != size:
            told = "{:g}×{:g}, the image is {}×{}".format(*part.declared, *size)
            faults.add("size-differs", part.file, part.where, told)
        for raw in part.boxes:
            box = _mended(raw, part, size, faults)
            if box and found.setdefault((box.label, box.corners), box) is not box:
                faults.add("repeated-box", part.file, raw.spot, box.label)
    boxes = list(found.values())
    for box in _doubled(boxes):
        faults.add("doubled-box", parts[0].file, box.spot, box.label)
    return boxes


def _mended(raw: Raw, image: Marked, size: Size | None, faults: Faults) -> _Box | None:
    """A box in continuous pixels, inside of its image; None for one that is left out."""

    def tell(reason: str) -> None:
        faults.add(reason, image.file, raw.spot, "{} {:g}, {:g}, {:g}, {:g}".format(raw.label, *raw.corners))

    x0, y0, x1, y1 = raw.corners
    if not all(abs(value) <= FARTHEST for value in raw.corners):
        return tell("wrong-box")
    if x1 < x0 or y1 < y0:
        tell("inverted-box")
        x0, y0, x1, y1 = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    if image.unit == "counted":
        if (x0, y0) == (x1, y1):  # one pixel: a click that was never drawn out
            return tell("empty-box")
        x0, y0 = x0 - 1, y0 - 1
    if image.unit == "shares":
        if size is None:
            return None
        x0, y0, x1, y1 = x0 * size[0], y0 * size[1], x1 * size[0], y1 * size[1]
    corners = _rounded(x0, y0, x1, y1)
    if not _has_area(corners):
        return tell("empty-box")
    if size:
        width, height = size
        corners = _rounded(max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height))
        if not _has_area(corners):
            return tell("beyond-box")
        if max(-x0, -y0, x1 - width, y1 - height) > ROUNDING:
            tell("outside-box")
    return _Box(raw.label, corners, raw.spot, raw.ignored)


def _rounded(*corners: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(value, DIGITS) for value in corners)
    return x0, y0, x1, y1


def _has_area(corners: Sequence[float]) -> bool:
    return corners[2] > corners[0] and corners[3] > corners[1]


def _doubled(boxes: Sequence[_Box]) -> Iterator[_Box]:
    """Of two boxes of a label with an IoU above 0.9 the one that was written later."""
    place = {id(box): k for k, box in enumerate(boxes)}
    single = sorted((box for box in boxes if not box.ignored), key=lambda box: (box.label, box.corners))
    for k, box in enumerate(single):
        farthest = box.corners[0] + SAME * (box.corners[2] - box.corners[0])
        for other in single[k + 1 : k + NEIGHBOURS]:
            if other.label != box.label or other.corners[0] > farthest:
                break
            if _iou(box.corners, other.corners) > 1 - SAME:
                yield max(box, other, key=lambda one: place[id(one)])


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def _cell(boxes: Collection[_Box]) -> str:
    rows = [
        [box.label, *(int(value) if value == int(value) else value for value in box.corners)] + [1] * box.ignored
        for box in boxes
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
