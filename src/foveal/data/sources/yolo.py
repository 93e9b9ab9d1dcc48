"""YOLO: `data.yaml` with the names of the classes and the splits, and a text file of boxes an image
(https://docs.ultralytics.com/datasets/detect)."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from foveal.answers.columns import quoted
from foveal.data.sources.box_faults import Faults, Spot
from foveal.data.sources.boxed import (
    LARGEST_TEXT,
    Inside,
    Marked,
    Raw,
    clean_label,
    laid_out,
    lines_of,
    number,
    split_in,
    text_of,
)
from foveal.data.sources.layout import Layout
from foveal.extras import extra
from foveal.types import SplitName

__all__ = ["by_yolo"]

SPLIT_KEYS: dict[str, SplitName] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
LOOKS_SO = tuple(
    re.compile(rb"^(?:\xef\xbb\xbf)?(?:%s)\s*:" % keys, re.MULTILINE) for keys in (b"names", b"train|val|valid|test")
)
LABELS = "labels"
CLASSES = "classes.txt"  # that some programs write among the labels


@dataclass(frozen=True, slots=True)
class _Settings:
    """What `data.yaml` says.

    Args:
        names: by class number.
        splits: paths of each.
        root: that paths start from, as it is written.
        points: whether key points follow each box.
        lists: files that list images of a split.
    """

    file: str
    names: dict[int, str]
    splits: dict[str, list[str]]
    root: str
    points: bool
    lists: list[str] = field(default_factory=list)


def by_yolo(inside: Inside) -> Layout | None:
    """None where no YAML file is of this form, or no image that it names has a label file."""
    files = [file for file in inside.ending(".yaml", ".yml") if _may_be(inside.bytes(file, LARGEST_TEXT))]
    if not files:
        return None
    file = next((file for file in files if file.rpartition("/")[2].casefold() in ("data.yaml", "data.yml")), files[0])
    faults = Faults()
    settings = _settings(inside, file, faults)
    if settings is None:
        return laid_out((), inside.size, faults)
    images = list(_images(inside, settings, faults))
    labels = {image: label for image, _ in images if (label := _label_file(inside, image))}
    if not labels:
        return None
    marked: dict[str, Marked | None] = {}
    again = []
    for image, split in images:
        if image not in marked:
            marked[image] = _marked(inside, image, labels.get(image), split, settings, faults)
        elif first := marked[image]:
            again.append(Marked(image, first.where, split=split))
    _tell_rest(inside, settings, marked, faults)
    return laid_out([*filter(None, marked.values()), *again], inside.size, faults)


def _may_be(data: bytes | None) -> bool:
    return data is not None and all(key.search(data) for key in LOOKS_SO)


def _settings(inside: Inside, file: str, faults: Faults) -> _Settings | None:
    with extra("train"):
        import yaml
    try:
        # All scalars stay text: YAML 1.1 would make numbers, dates and truth values of classes called 010 or no.
        told = yaml.load(text_of(inside.bytes(file, LARGEST_TEXT) or b""), Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return faults.add("wrong-file", file, Spot(file, "line", line), str(error.problem))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        return faults.add("wrong-file", file, Spot(file), text)
    if not isinstance(told, dict):
        return faults.add("wrong-file", file, Spot(file), "no names of classes")
    names = _names(told.get("names"))
    if not names:
        return faults.add("wrong-file", file, Spot(file), "names: expected a list, or numbers with names")
    splits = {key: _texts(told[key]) for key in SPLIT_KEYS if key in told}
    root = told.get("path")
    return _Settings(file, names, splits, root if isinstance(root, str) else "", "kpt_shape" in told)


def _names(told: Any) -> dict[int, str]:
    pairs = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    named = {}
    for key, name in pairs:
        numbered = number(str(key)) if isinstance(key, int | str) else None
        if numbered is not None and isinstance(name, str) and (label := clean_label(name)):
            named[int(numbered)] = label
    return named


def _texts(told: Any) -> list[str]:
    return [text for text in (told if isinstance(told, list) else [told]) if isinstance(text, str) and text.strip()]


def _images(inside: Inside, settings: _Settings, faults: Faults) -> Iterator[tuple[str, SplitName]]:
    """The images of each split, in the order train, validation, test."""
    folders = {folder for image in inside.images for folder in _folders_of(image)}
    for key, paths in settings.splits.items():
        for path in paths:
            found = _of_path(inside, settings, path, folders, faults)
            if not found:
                faults.add("missing-split", settings.file, Spot(settings.file), f"{key}: {path}")
            split = SPLIT_KEYS[key]
            for image in found:
                yield image, split


def _folders_of(file: str) -> Iterator[str]:
    while file:
        file = file.rpartition("/")[0]
        yield file


def _of_path(inside: Inside, settings: _Settings, path: str, folders: set[str], faults: Faults) -> list[str]:
    """The images in a folder, or on a list. A path of another machine, or of a folder above, is shortened from the left
    until there is something of that name beside the YAML file, or in a folder around it."""
    for name in _endings(f"{settings.root}/{path}", path):
        for base in _folders_of(settings.file):
            place = posixpath.join(base, name)
            if place in folders:
                return [image for image in inside.images if not place or image.startswith(f"{place}/")]
            if place in inside.there and place.casefold().endswith(".txt"):
                settings.lists.append(place)
                return _listed(inside, place, faults)
    return []


def _endings(*paths: str) -> Iterator[str]:
    """Each path without `.` and `..`, then shorter and shorter, but never without the name of a split in it; the folder
    itself only where that is what is written."""
    for path in paths:
        parts = [part for part in path.strip().replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for k in range(max(1, len(parts))):
            if k and split_in(f"{parts[k - 1]}/"):
                break
            yield "/".join(parts[k:])


def _listed(inside: Inside, file: str, faults: Faults) -> list[str]:
    found = []
    for place, line in lines_of(inside, file, faults) or ():
        if image := inside.locate(line, file.rpartition("/")[0]):
            found.append(image)
        else:
            faults.add("missing-image", line, Spot(file, "line", place), quoted(line))
    return found


def _label_file(inside: Inside, image: str) -> str | None:
    """In `labels/` instead of the last `images/` of the path, or beside the image."""
    stem = image.rpartition(".")[0]
    outer, found, name = f"/{stem}".rpartition("/images/")
    replaced = f"{outer}/{LABELS}/{name}"[1:] if found else stem
    return next((file for file in (f"{replaced}.txt", f"{stem}.txt") if file in inside.there), None)


def _marked(
    inside: Inside, image: str, label: str | None, split: SplitName, settings: _Settings, faults: Faults
) -> Marked | None:
    """None where the label file cannot be read: nobody knows what is on the image."""
    if label is None:
        faults.add("background", image)
        return Marked(image, Spot(image), split=split)
    lines = lines_of(inside, label, faults)
    if lines is None:
        return None
    spots = ((Spot(label, "line", place), line.split()) for place, line in lines)
    boxes = [box for spot, cells in spots if (box := _box(cells, spot, image, settings, faults))]
    return Marked(image, Spot(label), boxes, split, unit="shares")


def _box(cells: list[str], spot: Spot, image: str, settings: _Settings, faults: Faults) -> Raw | None:
    """Class number, then centre, width and height; or the corners of a polygon, whose bounding box is taken."""
    values = [value for cell in cells if (value := number(cell)) is not None]
    polygon = len(cells) >= 7 and len(cells) % 2 == 1 and not settings.points
    if len(values) < len(cells) or not (polygon or len(cells) == 5 or (settings.points and len(cells) > 5)):
        return faults.add("wrong-box", image, spot, quoted(" ".join(cells)))
    label = settings.names.get(int(values[0])) if values[0] == int(values[0]) else None
    if label is None:
        return faults.add("unknown-class", image, spot, cells[0])
    if polygon:
        return Raw(label, (min(values[1::2]), min(values[2::2]), max(values[1::2]), max(values[2::2])), spot)
    x, y, width, height = values[1:5]
    return Raw(label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), spot)


def _tell_rest(inside: Inside, settings: _Settings, marked: Mapping[str, Marked | None], faults: Faults) -> None:
    labels = {_label_file(inside, image) for image in inside.images}
    for image in inside.images:
        if image not in marked:
            faults.add("no-split", image)
    for file in sorted(inside.there.difference(inside.images, labels, [settings.file], settings.lists)):
        *folders, name = file.split("/")
        if LABELS in folders and name.endswith(".txt") and name != CLASSES:
            faults.add("missing-image", file, Spot(file))
        else:
            faults.add("extra-file", file)
    used = {box.label for image in marked.values() if image for box in image.boxes}
    for name in dict.fromkeys(settings.names.values()):
        if name not in used:
            faults.add("unused-class", settings.file, Spot(settings.file), quoted(name))
