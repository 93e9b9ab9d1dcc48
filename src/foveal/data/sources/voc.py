"""PASCAL VOC: an XML file an image, and the official split in `ImageSets/Main` (http://host.robots.ox.ac.uk/pascal/VOC)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from foveal.answers.columns import quoted
from foveal.data.sources.box_faults import Faults, Spot
from foveal.data.sources.boxed import (
    LARGEST_TEXT,
    UNREAD,
    Inside,
    Marked,
    Raw,
    clean_label,
    laid_out,
    lines_of,
    number,
    tell_rest,
)
from foveal.data.sources.columns import SPLIT_VALUES
from foveal.data.sources.layout import IMAGE_SUFFIXES, Layout
from foveal.types import SPLITS, SplitName

__all__ = ["by_voc"]

ANNOTATIONS = ("annotations", "annotation", "xmls")
IMAGES = "jpegimages"
PASSED = {
    *ANNOTATIONS,
    "xml",
    "labels",
    IMAGES,
    "images",
    "image",
    "imgs",
    "img",
}  # folders that hold one half of a pair
LISTS = (("imagesets", "main"), ("imagesets",))
UNION = "trainval"  # train and validation; alone it is what may be trained on
SIDES = ("xmin", "ymin", "xmax", "ymax")
MARKS = ("0", "1", "-1")  # of lists that say whether an image has a class
TRIED = 20  # files that are asked whether they are annotations
DEEPEST = 30  # elements within each other; an annotation has four


@dataclass(slots=True)
class _Element:
    tag: str
    line: int
    text: list[str] = field(default_factory=list)
    children: list["_Element"] = field(default_factory=list)

    def first(self, tag: str) -> "_Element | None":
        return next((child for child in self.children if child.tag == tag), None)

    def said(self, tag: str) -> str:
        """The text of its first child of that name; empty where there is none."""
        child = self.first(tag)
        return "".join(child.text).strip() if child else ""


def by_voc(inside: Inside) -> Layout | None:
    """XML files in a folder `Annotations`, or beside at least half of the images. An image and its annotation have the
    same name, or the annotation says which. None where there are no such files."""
    files = inside.ending(".xml")
    if not _are_annotations(files, inside):
        return None
    faults = Faults()
    read = {file: root for file in files if (root := _root(inside, file, faults)) is not None}
    pairs = _pairs(read, inside)
    lists = _lists(inside, faults)
    marked = []
    for file, root in read.items():
        if file in pairs:
            marked.append(_marked(file, root, pairs[file], faults))
        else:
            faults.add("missing-image", file, Spot(file), quoted(root.said("filename")))
    used = {*files, *pairs.values(), *(file for file in inside.ending(".txt") if _list_of(file))}
    official = [image for image in inside.images if _is_official(image)]
    tell_rest(inside, used, official or inside.images, faults)
    return laid_out(_in_splits(marked, lists, inside, faults) if lists else marked, inside.size, faults)


def _are_annotations(files: Sequence[str], inside: Inside) -> bool:
    in_folder = [file for file in files if set(file.casefold().split("/")[:-1]) & set(ANNOTATIONS)]
    if not in_folder and 2 * len(files) < len(inside.images):
        return False
    return any(
        b"<annotation" in (inside.bytes(file, LARGEST_TEXT) or b"").replace(b"\0", b"")
        for file in (in_folder or files)[:TRIED]
    )


def _root(inside: Inside, file: str, faults: Faults) -> _Element | None:
    """None for XML of another kind, and for a damaged file; both are told."""
    data = inside.bytes(file, LARGEST_TEXT)
    if data is None:
        return faults.add("wrong-file", file, Spot(file), UNREAD)
    try:
        root = _parsed(data)
    except expat.ExpatError as error:
        return faults.add("wrong-file", file, Spot(file, "line", error.lineno), expat.ErrorString(error.code))
    except (ValueError, LookupError) as error:  # of the encoding, too
        return faults.add("wrong-file", file, Spot(file), str(error))
    if root.tag != "annotation":
        return faults.add("wrong-file", file, Spot(file, "line", root.line), f"<{root.tag}> instead of <annotation>")
    return root


def _parsed(data: bytes) -> _Element:
    """
    Raises:
        expat.ExpatError: no XML.
        ValueError: XML that an annotation is not: with a document type (entities that grow, files from elsewhere), or
            nested deeply; or of an encoding that is not known.
    """
    top = _Element("", 0)
    open_elements = [top]
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: object) -> None:
        if len(open_elements) > DEEPEST:
            raise ValueError(f"line {parser.CurrentLineNumber}: elements nested too deeply")
        element = _Element(tag, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(tag: str) -> None:
        open_elements.pop()

    def text(characters: str) -> None:
        open_elements[-1].text.append(characters)

    def refuse(*declaration: object) -> None:
        raise ValueError(f"line {parser.CurrentLineNumber}: a document type declaration, which is refused")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.Parse(data, True)
    return top.children[0]


def _pairs(read: Mapping[str, _Element], inside: Inside) -> dict[str, str]:
    """Annotation to image: by path, without the folders that hold images or annotations; of those that are left by name
    and by `filename`."""
    by_path: dict[tuple[str, ...], list[str]] = defaultdict(list)
    by_stem: dict[str, list[str]] = defaultdict(list)
    for image in inside.images:
        by_path[_key(image)].append(image)
        by_stem[_stem(image)].append(image)
    pairs: dict[str, str] = {}
    for file, root in read.items():
        if image := _only(by_path.get(_key(file), ()), root):
            pairs[file] = image
    taken = set(pairs.values())
    for file, root in read.items():
        if file not in pairs:
            free = [image for image in by_stem.get(_stem(file), ()) if image not in taken]
            image = _only(free, root) or inside.locate(root.said("filename"), file.rpartition("/")[0])
            if image and image not in taken:
                pairs[file] = image
    return pairs


def _key(file: str) -> tuple[str, ...]:
    folders = file.split("/")[:-1]
    return (*(folder for folder in folders if folder.casefold() not in PASSED), _stem(file))


def _stem(file: str) -> str:
    return file.rpartition("/")[2].rpartition(".")[0]


def _only(images: Sequence[str], root: _Element) -> str | None:
    """The one image; of several the one in `JPEGImages` (masks are called the same), or that `filename` names."""
    if len(images) > 1:
        name = root.said("filename").replace("\\", "/").rpartition("/")[2]
        called = [image for image in images if image.rpartition("/")[2] == name]
        official = [image for image in images if _is_official(image)]
        images = official if len(official) == 1 else called
    return images[0] if len(images) == 1 else None


def _is_official(image: str) -> bool:
    return f"/{IMAGES}/" in f"/{image.casefold()}"


def _marked(file: str, root: _Element, image: str, faults: Faults) -> Marked:
    size = root.first("size")
    sides = [number(size.said(side)) for side in ("width", "height")] if size else [None, None]
    declared = (sides[0], sides[1]) if sides[0] is not None and sides[1] is not None else None
    boxes = [box for child in root.children if child.tag == "object" and (box := _box(file, child, image, faults))]
    return Marked(image, Spot(file), boxes, declared=declared, unit="counted")


def _box(file: str, element: _Element, image: str, faults: Faults) -> Raw | None:
    spot, label = Spot(file, "line", element.line), clean_label(element.said("name"))
    bounds = element.first("bndbox")
    written = [bounds.said(side) for side in SIDES] if bounds else []
    x0, y0, x1, y1 = map(number, written) if bounds else [None] * 4
    if x0 is None or y0 is None or x1 is None or y1 is None:
        return faults.add("wrong-box", image, spot, ", ".join(map(quoted, written)) if bounds else "no bndbox")
    if not label:
        return faults.add("unknown-class", image, spot, "nothing")
    return Raw(label, (x0, y0, x1, y1), spot, element.said("difficult") not in ("", "0"))


@dataclass(frozen=True, slots=True)
class _List:
    """One of the official lists.

    Args:
        root: the folder that `ImageSets` lies in, with a `/` behind it; empty for the top.
        names: of images, without folder and suffix, with their lines.
    """

    file: str
    root: str
    split: SplitName
    names: dict[str, int]


def _lists(inside: Inside, faults: Faults) -> list[_List]:
    found = [(*place, file) for file in inside.ending(".txt") if (place := _list_of(file))]
    trained = {root for root, stem, _ in found if stem == "train"}
    return [
        _List(file, root, SPLIT_VALUES.get(stem, "train"), _names(inside, file, faults))
        for root, stem, file in found
        if stem != UNION or root not in trained
    ]


def _list_of(file: str) -> tuple[str, str] | None:
    """For one of the official lists: its root and the name of the split."""
    *folders, name = file.split("/")
    stem = name.rpartition(".")[0].casefold()
    for inner in LISTS:
        outer = len(folders) - len(inner)
        if stem in (*SPLIT_VALUES, UNION) and outer >= 0 and tuple(map(str.casefold, folders[outer:])) == inner:
            return "".join(f"{folder}/" for folder in folders[:outer]), stem
    return None


def _names(inside: Inside, file: str, faults: Faults) -> dict[str, int]:
    names: dict[str, int] = {}
    for place, line in lines_of(inside, file, faults) or ():
        *named, mark = line.rsplit(maxsplit=1)
        name = (named[0] if named and mark in MARKS else line).replace("\\", "/").rpartition("/")[2]
        if name.casefold().endswith(IMAGE_SUFFIXES):
            name = name.rpartition(".")[0]
        if name:
            names.setdefault(name, place)
    return names


def _in_splits(marked: Sequence[Marked], lists: Sequence[_List], inside: Inside, faults: Faults) -> Iterator[Marked]:
    """Each image once for every list that names it. Lists are for the images below their folder."""
    by_root: dict[str, list[_List]] = defaultdict(list)
    for one in lists:
        by_root[one.root].append(one)
    roots = sorted(by_root, key=len, reverse=True)
    for image in marked:
        root = next((root for root in roots if image.file.startswith(root)), None)
        if root is None:
            yield image
            continue
        named = {one.split for one in by_root[root] if _stem(image.file) in one.names}
        splits: list[SplitName] = [split for split in SPLITS if split in named]
        if splits:
            yield replace(image, split=splits[0])
            yield from (Marked(image.file, image.where, split=split) for split in splits[1:])
        else:
            faults.add("no-split", image.file)
    for one in lists:
        there = {_stem(file) for file in inside.images if file.startswith(one.root)}
        for name, line in one.names.items():
            if name not in there:
                faults.add("missing-image", one.file, Spot(one.file, "line", line), quoted(name))
