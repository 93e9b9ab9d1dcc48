"""Boxes to the files that other programs read: COCO, YOLO, PASCAL VOC, or a line of JSON an image."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.sax.saxutils import escape

from foveal.errors import RunError
from foveal.files import write_atomic

__all__ = ["FORMS", "Mark", "MarkedImage", "check_free", "write_boxes"]

PIXEL_DIGITS = 4
SHARE_DIGITS = 9  # of an image of 100,000 pixels a ten-thousandth of one
REPLACEMENT = "\ufffd"
ONE_FILE = ("coco", "json")  # forms that fit into one file
OF_FILES = {  # what a folder is not called by anybody who means one
    *(".json", ".jsonl", ".csv", ".tsv", ".txt", ".xml", ".yaml", ".yml", ".parquet", ".xlsx", ".xls", ".ods"),
    *(".zip", ".tar", ".gz", ".html", ".md", ".png", ".jpg", ".jpeg"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One box.

    Args:
        xyxy: left, top, right, bottom, in continuous pixels.
        score: 0 to 1; None where somebody drew it.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    score: float | None = None


@dataclass(frozen=True, slots=True)
class MarkedImage:
    """One image with its boxes.

    Args:
        file: relative to the folder of the images, with `/`.
        width: in pixels, upright.
        height: in pixels, upright.
    """

    file: str
    width: int
    height: int
    marks: tuple[Mark, ...]


Files = Iterator[tuple[str, str]]


def write_boxes(path: str | Path, images: Sequence[MarkedImage], labels: Sequence[str], form: str) -> None:
    """Write annotations into a folder, made when missing; a `path` that ends in `.json` or `.jsonl` is the one file
    that COCO and JSON need.

    `coco`: `annotations.json`. `yolo`: `data.yaml` and `labels/`, for images in `images/`; no scores. `voc`:
    `Annotations/`; whole pixels counted from 1, so that an edge moves by half a pixel at most, and a box thinner than a
    pixel becomes one pixel thick. `json`: `boxes.jsonl`.

    Args:
        labels: in the order of their numbers.

    Raises:
        RunError: something is there already, two images would share a file, or a name leads out of the folder.
        ValueError: no such form, or a label is none of `labels`.
    """
    path = Path(path)
    check_free(path, form)
    if strange := {mark.label for image in images for mark in image.marks}.difference(labels):
        raise ValueError(f"expected labels among {', '.join(labels)}, found {', '.join(sorted(strange))}")
    for image in images:
        name = PurePosixPath(image.file)
        if name.is_absolute() or ".." in name.parts or "\\" in image.file:
            raise RunError(f"Expected a path below the folder of the images, found {image.file!r}.")
    files = _unshared(FORMS[form](images, labels))
    if _is_file(path, form):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, next(iter(files.values())))
        return
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")


def check_free(path: Path, form: str) -> None:
    """
    Raises:
        RunError: something is at `path` already, an empty folder aside; or it is called as a file of another kind.
        ValueError: no such form.
    """
    if form not in FORMS:
        raise ValueError(f"expected one of {', '.join(FORMS)}, found {form!r}")
    if path.exists() and (_is_file(path, form) or not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path} is already there, and nothing is overwritten.", remedy="Choose another name.")
    if path.suffix.casefold() in OF_FILES and not _is_file(path, form) and not path.is_dir():
        one = ", or one file, NAME.json or NAME.jsonl," if form in ONE_FILE else ""
        raise RunError(
            f"Expected a folder{one} for boxes as {form}, found {path}.",
            remedy="Boxes go into a table (NAME.csv), into one file (NAME.json or NAME.jsonl, as coco or json), or "
            "into a folder (as coco, yolo, voc or json).",
        )


def _is_file(path: Path, form: str) -> bool:
    return form in ONE_FILE and path.suffix.casefold() in (".json", ".jsonl")


def _unshared(files: Files) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, text in files:
        if name in kept:
            raise RunError(
                f"Expected images whose names differ by more than their suffix, found two for {name}.",
                remedy="Rename one of them, or write --format coco.",
            )
        kept[name] = text
    return kept


def _coco(images: Sequence[MarkedImage], labels: Sequence[str]) -> Files:
    numbers = {label: k for k, label in enumerate(labels, 1)}
    told: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": []}
    told["categories"] = [{"id": number, "name": label} for label, number in numbers.items()]
    for k, image in enumerate(images, 1):
        told["images"].append({"id": k, "file_name": image.file, "width": image.width, "height": image.height})
        for mark in image.marks:
            x0, y0, x1, y1 = mark.xyxy
            bbox = [round(value, PIXEL_DIGITS) for value in (x0, y0, x1 - x0, y1 - y0)]
            record = {"id": len(told["annotations"]) + 1, "image_id": k, "category_id": numbers[mark.label]}
            record |= {"bbox": bbox, "area": round(bbox[2] * bbox[3], PIXEL_DIGITS), "iscrowd": 0}
            told["annotations"].append(record if mark.score is None else record | {"score": mark.score})
    yield "annotations.json", json.dumps(told, ensure_ascii=False) + "\n"


def _yolo(images: Sequence[MarkedImage], labels: Sequence[str]) -> Files:
    numbers = {label: k for k, label in enumerate(labels)}
    names = [f"  {number}: {_quoted(label)}" for label, number in numbers.items()]
    yield "data.yaml", "\n".join(["train: images", "val: images", "names:" if names else "names: {}", *names]) + "\n"
    for image in images:
        lines = []
        for mark in image.marks:
            x0, y0, x1, y1 = mark.xyxy
            centre = (x0 + x1) / 2 / image.width, (y0 + y1) / 2 / image.height
            shares = *centre, (x1 - x0) / image.width, (y1 - y0) / image.height
            lines.append(
                " ".join([str(numbers[mark.label]), *(f"{share:.{SHARE_DIGITS}f}" for share in shares)]) + "\n"
            )
        yield f"labels/{_without_suffix(image.file)}.txt", "".join(lines)


def _voc(images: Sequence[MarkedImage], labels: Sequence[str]) -> Files:
    for image in images:
        lines = [
            "<annotation>",
            f"  <filename>{_xml(image.file.rpartition('/')[2])}</filename>",
            f"  <size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>",
            "  <segmented>0</segmented>",
        ]
        for mark in image.marks:
            x0, x1 = _whole(mark.xyxy[0], mark.xyxy[2])
            y0, y1 = _whole(mark.xyxy[1], mark.xyxy[3])
            sides = {"xmin": x0 + 1, "ymin": y0 + 1, "xmax": x1, "ymax": y1}
            bounds = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
            score = "" if mark.score is None else f"<score>{mark.score}</score>"
            lines.append(
                f"  <object><name>{_xml(mark.label)}</name><pose>Unspecified</pose><truncated>0</truncated>"
                f"<difficult>0</difficult>{score}<bndbox>{bounds}</bndbox></object>"
            )
        yield f"Annotations/{_without_suffix(image.file)}.xml", "\n".join([*lines, "</annotation>", ""])


def _json_lines(images: Sequence[MarkedImage], labels: Sequence[str]) -> Files:
    lines = []
    for image in images:
        boxes = [
            {"label": mark.label, **({} if mark.score is None else {"score": mark.score}), "xyxy": list(mark.xyxy)}
            for mark in image.marks
        ]
        record = {"file": image.file, "width": image.width, "height": image.height, "boxes": boxes}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    yield "boxes.jsonl", "".join(lines)


def _without_suffix(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))


def _whole(low: float, high: float) -> tuple[int, int]:
    """The nearest edges of pixels. `round` would take halves to even numbers, and a box of a pixel from 1.5 to 2.5 to
    nothing. What is thinner than a pixel becomes the pixel that its middle lies in."""
    first, last = math.floor(low + 0.5), math.floor(high + 0.5)
    if first < last:
        return first, last
    middle = math.floor((low + high) / 2)
    return middle, middle + 1


def _xml(text: str) -> str:
    """XML 1.0 has no way to write most control characters."""
    allowed = (c if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") else REPLACEMENT for c in text)
    return escape("".join(allowed).encode("utf-8", "replace").decode(), {"\r": "&#13;"})


def _quoted(text: str) -> str:
    """A YAML text in double quotes (YAML 1.2, 5.7)."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


FORMS: dict[str, Callable[[Sequence[MarkedImage], Sequence[str]], Files]] = {
    "coco": _coco,
    "yolo": _yolo,
    "voc": _voc,
    "json": _json_lines,
}
