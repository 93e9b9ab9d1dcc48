"""What the files of a folder or an archive mean: a pattern reads their names, annotations of boxes or a table are among
them, or folders are classes."""

from collections.abc import Callable, Collection
from dataclasses import replace

from foveal.data.sources.box_table import by_box_table
from foveal.data.sources.boxed import Inside
from foveal.data.sources.coco import by_coco
from foveal.data.sources.layout import Layout, arrange, visible
from foveal.data.sources.metadata import by_metadata
from foveal.data.sources.pattern import by_pattern
from foveal.data.sources.reading import refuse
from foveal.data.sources.voc import by_voc
from foveal.data.sources.yolo import by_yolo
from foveal.types import Reading

__all__ = ["interpret"]

ANNOTATIONS = (".json", ".xml", ".yaml", ".yml", ".csv", ".tsv")


def interpret(
    files: Collection[str],
    folders: Collection[str],
    read: Callable[[str], bytes],
    reading: Reading,
    spec: str,
    head: Callable[[str, int], bytes] | None = None,
) -> Layout:
    """
    Args:
        files: all files, hidden ones too, with `/`.
        folders: the folders that are listed as such.
        read: the bytes of a file.
        spec: for messages.
        head: at most so many of the first bytes of a file; when left out, whole files are read.

    Raises:
        SourceError: what was said does not fit what is there.
        MissingExtra: a package that reads the annotations is not installed.
    """
    if reading.pattern:
        return by_pattern(files, folders, reading)
    inside, hidden = None, ()
    if any(file.casefold().endswith(ANNOTATIONS) for file in files):
        seen, hidden = visible(files, folders)
        inside = Inside(seen, head or (lambda file, most: read(file)[:most]))
    said = bool(reading.of_targets())
    boxes = inside and ((None if said else _annotated(inside)) or by_box_table(inside, reading))
    if boxes:
        return replace(boxes, findings=(*boxes.findings, *hidden))
    layout = by_metadata(files, folders, read, reading)
    if layout is None:
        found = "annotations of boxes" if said and inside and _annotated(inside) else "folders of classes"
        refuse(reading, spec, found, paths=True)
        layout = arrange(files, folders)
    return layout


def _annotated(inside: Inside) -> Layout | None:
    """By annotations of which nothing can be said."""
    return by_coco(inside) or by_yolo(inside) or by_voc(inside)
