"""Annotations of boxes as other programs write them, and what they are read as."""

import json
from collections.abc import Mapping
from typing import Any

from PIL import Image

from crafted import saved
from foveal.data.sources.interpret import interpret
from foveal.data.sources.layout import Layout
from foveal.data.sources.reading import AS_FOUND
from foveal.types import Finding, Reading, Source

__all__ = ["HEAD", "SIDEWAYS", "Files", "cells", "coco", "found", "kinds", "picture", "splits", "the", "thing", "voc"]

SIDEWAYS = 6  # EXIF: turned by 90° to be upright


def picture(width: int = 100, height: int = 80, kind: str = "PNG", orientation: int = 1) -> bytes:
    """One colour all over, another for another size and orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.new("RGB", (width, height), (width % 256, height % 256, orientation)), kind, exif=exif)


Files = Mapping[str, str | bytes]


def found(files: Files, reading: Reading = AS_FOUND) -> Layout:
    """What the files of a folder mean, without a disk."""
    data = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return interpret(data, [], data.__getitem__, reading, "photos")


def cells(layout: Layout | Source) -> dict[str, list[Any]]:
    entries = layout.entries if isinstance(layout, Layout) else layout.entries()
    return {entry.file: json.loads(entry.cell) for entry in entries}


def splits(layout: Layout) -> dict[str, str | None]:
    return {entry.file: entry.split for entry in layout.entries}


def kinds(layout: Layout) -> set[str]:
    return {finding.kind for finding in layout.findings}


def the(kind: str, layout: Layout) -> Finding:
    (finding,) = [finding for finding in layout.findings if finding.kind == kind]
    return finding


def voc(*objects: str, name: str = "1.png", size: tuple[Any, Any] | None = (100, 80)) -> str:
    about = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>\n"
    return f"<annotation>\n<filename>{name}</filename>\n{about}" + "\n".join(objects) + "\n</annotation>"


def thing(label: str, *corners: Any, more: str = "") -> str:
    bounds = "".join(f"<{n}>{v}</{n}>" for n, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{label}</name>{more}<bndbox>{bounds}</bndbox></object>"


def coco(
    boxes: list[Any], names: tuple[str, ...] = ("cat", "dog"), images: list[Any] | None = None, **more: Any
) -> str:
    annotations = [{"id": 100 + k, "image_id": 1, "category_id": 1, "bbox": box} for k, box in enumerate(boxes)]
    return json.dumps(
        {
            "images": images or [{"id": 1, "file_name": "1.png", "width": 100, "height": 80}],
            "annotations": annotations,
            "categories": [{"id": k, "name": name} for k, name in enumerate(names, 1)],
            **more,
        }
    )


HEAD = "path,label,xmin,ymin,xmax,ymax"
