"""COCO: JSON with `images`, `annotations` and `categories` (https://cocodataset.org/#format-data)."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from foveal.answers.columns import quoted
from foveal.data.sources.box_faults import Faults, Spot
from foveal.data.sources.boxed import Inside, Marked, Raw, clean_label, laid_out, split_in, tell_rest, text_of
from foveal.data.sources.columns import SPLIT_VALUES
from foveal.data.sources.layout import Layout
from foveal.types import SplitName

__all__ = ["by_coco"]

KEYS = ("images", "annotations", "categories")
OBJECTS = "instances"  # of COCO's own files the others repeat the boxes (person_keypoints), or have none (captions)


def by_coco(inside: Inside) -> Layout | None:
    """Several files are one data set, and its splits where they or their folders are called after them; at least one is
    then `train`. None where no JSON file is of this form."""
    found = [file for file in inside.ending(".json") if _may_be(inside.bytes(file))]
    faults = Faults()
    chosen = [file for file in found if file.rpartition("/")[2].casefold().startswith(OBJECTS)] or found
    records = {file: record for file in chosen if (record := _record(inside, file, faults)) is not None}
    if not records and not faults.counts:
        return None
    splits: dict[str, SplitName | None] = {file: _split(file) for file in records}
    if "train" not in splits.values():
        splits = dict.fromkeys(records)
    images = [image for file in records for image in _images(records[file], file, splits[file], inside, faults)]
    _tell_unused(records, faults)
    used = {*records, *faults.files["wrong-file"], *(image.file for image in images)}
    tell_rest(inside, used, inside.images, faults)
    return laid_out(images, inside.size, faults)


def _may_be(data: bytes | None) -> bool:
    plain = (data or b"").replace(b"\0", b"") if (data or b"")[:2] in (b"\xff\xfe", b"\xfe\xff") else data or b""
    cut = b'"images"' in plain and not plain.rstrip().endswith(b"}")
    return cut or all(f'"{key}"'.encode() in plain for key in KEYS)


def _record(inside: Inside, file: str, faults: Faults) -> dict[str, list[Any]] | None:
    """None for JSON of another form, and for a damaged file, which is told."""
    try:
        record = json.loads(text_of(inside.bytes(file) or b""))
    except json.JSONDecodeError as error:
        faults.add("wrong-file", file, Spot(file, "line", error.lineno), error.msg)
        return None
    except (ValueError, RecursionError) as error:
        told = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        faults.add("wrong-file", file, Spot(file), told)
        return None
    if not isinstance(record, dict) or not all(isinstance(record.get(key), list) for key in KEYS):
        return None
    return {key: record[key] for key in KEYS}


def _split(file: str) -> SplitName | None:
    """That its name says, or its folder's."""
    words = re.split(r"[^a-z]+", file.rpartition("/")[2].casefold())
    named: set[SplitName] = {SPLIT_VALUES[word] for word in words if word in SPLIT_VALUES}
    return named.pop() if len(named) == 1 else split_in(file)


def _images(
    record: dict[str, list[Any]], file: str, split: SplitName | None, inside: Inside, faults: Faults
) -> Iterator[Marked]:
    names = _classes(record["categories"])
    boxes: dict[Any, list[Raw]] = {}
    files: dict[Any, tuple[str | None, Any]] = {}
    for place, image in enumerate(record["images"], 1):
        key = _key(image, "id")
        name = image.get("file_name") if isinstance(image, dict) else None
        if key is None or not isinstance(name, str) or not name.strip():
            faults.add("nameless-image", file, Spot(file, "image", place))
            continue
        if key in files:
            faults.add("repeated-id", name, Spot(file, "image", key))
            continue
        found = inside.locate(name, file.rpartition("/")[0], split)
        if found is None:
            faults.add("missing-image", name, Spot(file, "image", key), quoted(name))
        files[key] = found, image
    for place, annotation in enumerate(record["annotations"], 1):
        told = _key(annotation, "id")
        spot = Spot(file, "annotation", place if told is None else told)
        image = _key(annotation, "image_id")
        if image not in files:
            faults.add("unlisted-image", file, spot)
        elif named := files[image][0]:
            box = _box(annotation, names, spot, named, faults)
            if box:
                boxes.setdefault(image, []).append(box)
    for key, (found, image) in files.items():
        if found:
            where = Spot(file, "image", key)
            yield Marked(found, where, boxes.get(key, ()), split, declared=_declared(image))


def _key(record: Any, name: str) -> int | str | None:
    """An id; None where there is none."""
    value = record.get(name) if isinstance(record, dict) else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _classes(categories: Sequence[Any]) -> dict[int | str, str]:
    named = {
        key: clean_label(category["name"])
        for category in categories
        if (key := _key(category, "id")) is not None and isinstance(category.get("name"), str)
    }
    return {key: name for key, name in named.items() if name}


def _box(annotation: Any, names: dict[int | str, str], spot: Spot, image: str, faults: Faults) -> Raw | None:
    """`bbox` is left, top, width, height; crowds, and what is to be ignored, are not counted."""
    values, key = annotation.get("bbox"), _key(annotation, "category_id")
    corners = _corners(values)
    if corners is None:
        return faults.add("wrong-box", image, spot, "no bbox" if values is None else f"bbox {_shown(values)}")
    if key is None or key not in names:
        return faults.add("unknown-class", image, spot, "nothing" if key is None else str(key))
    ignored = bool(annotation.get("iscrowd") or annotation.get("ignore"))
    return Raw(names[key], corners, spot, ignored)


def _corners(values: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(values, list) or len(values) != 4:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    try:
        left, top, width, height = map(float, values)
    except OverflowError:
        return None
    return left, top, left + width, top + height


def _shown(values: Any) -> str:
    try:
        return json.dumps(values)
    except RecursionError:
        return "nested too deeply"


def _declared(image: dict[str, Any]) -> tuple[float, float] | None:
    width, height = image.get("width"), image.get("height")
    if not isinstance(width, int | float) or not isinstance(height, int | float):
        return None
    try:
        return float(width), float(height)
    except OverflowError:
        return None


def _tell_unused(records: dict[str, dict[str, list[Any]]], faults: Faults) -> None:
    declared: dict[str, str] = {}
    used: set[str] = set()
    for file, record in records.items():
        names = _classes(record["categories"])
        declared.update(dict.fromkeys(names.values(), file))
        used.update(
            names.get(key, "") for one in record["annotations"] if (key := _key(one, "category_id")) is not None
        )
    for name, file in declared.items():
        if name not in used:
            faults.add("unused-class", file, Spot(file), quoted(name))
