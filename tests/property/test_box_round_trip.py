"""Boxes through the files of other programs and back, COCO to YOLO to VOC to COCO; and through damaged ones."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crafted import png
from foveal.answers.boxes import parsed_cell
from foveal.data import open_source
from foveal.data.box_files import Mark, MarkedImage, write_boxes
from foveal.data.sources.interpret import interpret
from foveal.data.sources.reading import AS_FOUND
from foveal.errors import SourceError

LABELS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1, max_size=12).map(str.strip)
STEPS = 16  # of a pixel: coordinates that decimal digits hold exactly, halves among them


@st.composite
def images(draw: st.DrawFn) -> tuple[list[MarkedImage], list[str]]:
    """Images of all sizes, with boxes down to a pixel by two; a single pixel is no box in VOC."""
    labels = draw(st.lists(LABELS.filter(bool), min_size=1, max_size=4, unique=True))
    found = []
    for k in range(draw(st.integers(1, 3))):
        width, height = draw(st.integers(2, 9000)), draw(st.integers(2, 9000))
        marks = {}
        for _ in range(draw(st.integers(0, 5))):
            wide, high = draw(st.sampled_from([(2, 1), (1, 2)]))
            x0 = draw(st.integers(0, STEPS * (width - wide))) / STEPS
            y0 = draw(st.integers(0, STEPS * (height - high))) / STEPS
            x1 = draw(st.integers(int(STEPS * (x0 + wide)), STEPS * width)) / STEPS
            y1 = draw(st.integers(int(STEPS * (y0 + high)), STEPS * height)) / STEPS
            label = draw(st.sampled_from(labels))
            marks[label, *_whole(x0, y0, x1, y1)] = Mark(label, (x0, y0, x1, y1))
        found.append(MarkedImage(f"part {k % 2}/ü{k}.png", width, height, tuple(marks.values())))
    return found, labels


def _whole(*values: float) -> tuple[float, ...]:
    """Boxes that are the same to the pixel are one in VOC: only one of each is made."""
    return tuple(int(value + 0.5) for value in values)


def _header(width: int, height: int) -> bytes:
    """A PNG of that size, as far as its header tells: pixels are not asked for."""
    return png(width=width, height=height)


BEFORE = [
    MarkedImage("a.png", 100, 80, (Mark("cat", (10, 20, 30, 40)), Mark("dog", (0, 0, 100, 80)))),
    MarkedImage("b.png", 9, 7, (Mark("cat", (1, 2, 3, 4)),)),
]
TOKENS = [*'-[]{}<>",\0\n ', "", "1e999", "NaN", "9" * 30, "null", "</annotation>", "\ud800"]
TABLE = """path,label,xmin,ymin,xmax,ymax,split
a.png,cat,10,20,30,40,train
a.png,dog,0,0,100,80,train
b.png,cat,1,2,3,4,val
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Form to file to content, images among them."""
    forms: dict[str, dict[str, bytes]] = {"table": {"boxes.csv": TABLE.encode()}}
    for form in ("coco", "yolo", "voc"):
        root = tmp_path_factory.mktemp(form)
        write_boxes(root, BEFORE, ["cat", "dog"], form)
        files = (path for path in root.rglob("*") if path.is_file())
        forms[form] = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    pictures = {f"images/{image.file}": _header(image.width, image.height) for image in BEFORE}
    return {form: {**files, **pictures} for form, files in forms.items()}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_annotations_are_told_and_what_is_left_is_right(
    written: dict[str, dict[str, bytes]], data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(sorted(written)))
    files = dict(written[form])
    name = data.draw(st.sampled_from(sorted(file for file in files if not file.endswith(".png"))))
    for _ in range(data.draw(st.integers(1, 4))):
        text = files[name]
        at = data.draw(st.integers(0, len(text)))
        token = data.draw(st.sampled_from(TOKENS)).encode("utf-8", "surrogatepass")
        files[name] = text[:at] + token + text[at + data.draw(st.integers(0, 12)) :]
    with suppress(SourceError):
        layout = interpret(files, [], files.__getitem__, AS_FOUND, "photos")
        assert all(finding.message and finding.remedy for finding in layout.findings)
        sizes = {f"images/{image.file}": (image.width, image.height) for image in BEFORE}
        for entry in layout.entries if layout.columns else ():
            width, height = sizes[entry.file]
            for _, x0, y0, x1, y1, _ in parsed_cell(entry.cell):
                assert 0 <= x0 < x1 <= width
                assert 0 <= y0 < y1 <= height
            entry.cell.encode()


def _through(form: str, given_images: list[MarkedImage], labels: list[str]) -> list[MarkedImage]:
    """Written, and read again with the images beside it."""
    sizes = {image.file: (image.width, image.height) for image in given_images}
    with tempfile.TemporaryDirectory() as folder:
        write_boxes(folder, given_images, labels, form)
        for file, size in sizes.items():
            path = Path(folder, "JPEGImages" if form == "voc" else "images", file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_header(*size))
        source = open_source(folder)
        assert {finding.kind for finding in source.findings} <= {"unused-class", "repeated-image", "doubled-box"}
        return [
            MarkedImage(name, *sizes[name], tuple(Mark(box[0], tuple(box[1:5])) for box in parsed_cell(entry.cell)))
            for entry in source.entries()
            for name in [entry.file.partition("/")[2]]
        ]


@given(images())
@settings(max_examples=80, deadline=None)
def test_coco_to_yolo_to_voc_to_coco(made: tuple[list[MarkedImage], list[str]]) -> None:
    before, labels = made
    after = before
    for form in ("coco", "yolo"):
        after = _through(form, after, labels)
        _same(before, after, 2e-4)
    for form in ("voc", "coco"):
        after = _through(form, after, labels)
        _same(before, after, 0.5 + 2e-4)


def _same(before: list[MarkedImage], after: list[MarkedImage], most: float) -> None:
    assert [image.file for image in after] == sorted(image.file for image in before)
    for was in before:
        now = next(image for image in after if image.file == was.file)
        assert [mark.label for mark in now.marks] == [mark.label for mark in was.marks]
        for one, other in zip(was.marks, now.marks, strict=True):
            assert max(abs(a - b) for a, b in zip(one.xyxy, other.xyxy, strict=True)) <= most
