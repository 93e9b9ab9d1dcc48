"""Sources of boxes: exact coordinates, official splits, and every mistake told with its place."""

import io
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crafted import chunk, saved
from foveal.answers.boxes import Boxes, parsed_cell
from foveal.data import look, open_source
from foveal.data.sources.interpret import interpret
from foveal.data.sources.layout import Layout
from foveal.data.sources.reading import AS_FOUND
from foveal.errors import FovealError, SourceError, UnreadableImage
from foveal.readers import ImageReader
from foveal.readers.image import size_of
from foveal.tasks import named_task
from foveal.types import Finding, Reading, Source

SIDEWAYS = 6  # EXIF: turned by 90° to be upright


def picture(width: int = 100, height: int = 80, kind: str = "PNG", orientation: int = 1) -> bytes:
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (width % 256, height % 256, orientation)).save(content, kind, exif=exif)
    return content.getvalue()


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


# PASCAL VOC


def voc(*objects: str, name: str = "1.png", size: tuple[Any, Any] | None = (100, 80)) -> str:
    about = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>\n"
    return f"<annotation>\n<filename>{name}</filename>\n{about}" + "\n".join(objects) + "\n</annotation>"


def thing(label: str, *corners: Any, more: str = "") -> str:
    bounds = "".join(f"<{n}>{v}</{n}>" for n, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{label}</name>{more}<bndbox>{bounds}</bndbox></object>"


def one_voc(*objects: str, image: bytes | None = None, size: tuple[Any, Any] | None = (100, 80)) -> Layout:
    return found({"Annotations/1.xml": voc(*objects, size=size), "JPEGImages/1.png": image or picture()})


def test_voc_counts_pixels_from_one_and_the_last_is_part_of_the_box() -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    layout = one_voc(
        thing("cat", 1, 1, 100, 80),
        thing(" dog ", 11, 21, 11, 30, more=f"<difficult>1</difficult>{part}"),
        thing("cat", 3.5, 4.25, 10.5, 9),
    )
    assert layout.columns == ("boxes",)
    assert cells(layout) == {
        "JPEGImages/1.png": [["cat", 0, 0, 100, 80], ["dog", 10, 20, 11, 30, 1], ["cat", 2.5, 3.25, 10.5, 9]]
    }
    assert not layout.findings
    assert layout.entries[0].where == "Annotations/1.xml"
    assert Boxes().labels([layout.entries[0].cell], layout.columns) == ("cat", "dog")
    assert Boxes().parse(layout.entries[0].cell, ("cat", "dog"))[1].tolist() == [10, 20, 11, 30, 1, 1]


def test_an_annotation_without_objects_is_an_image_without_objects() -> None:
    layout = one_voc()
    assert cells(layout) == {"JPEGImages/1.png": []}
    assert not layout.findings


WRONG_VOC = [  # an object, what is left of it, kind, what the message says
    (thing("cat", 50, 60, 10, 20), [["cat", 9, 19, 50, 60]], "inverted-box", "line 4 (cat 50, 60, 10, 20)"),
    (thing("cat", 30, 40, 10, 50), [["cat", 9, 39, 30, 50]], "inverted-box", "(1): Annotations/1.xml, line 4"),
    (thing("cat", 30, 40, 30, 40), [], "empty-box", "without an area (1): Annotations/1.xml, line 4 (cat 30, 40"),
    (thing("cat", 30, 40, 29, 45), [["cat", 28, 39, 30, 45]], "inverted-box", "line 4"),
    (thing("cat", 91, 71, 140, 90), [["cat", 90, 70, 100, 80]], "outside-box", "beyond their image (1)"),
    (thing("cat", 0, 1, 10, 10), [["cat", 0, 0, 10, 10]], "outside-box", "(cat 0, 1, 10, 10)"),
    (thing("cat", 101, 1, 120, 10), [], "outside-box", "wholly outside of their image (1)"),
    (thing("cat", "x", 1, 20, 10), [], "wrong-box", "line 4 ('x', '1', '20', '10')"),
    (thing("cat", "", 1, 20, 10), [], "wrong-box", "(nothing, '1', '20', '10')"),
    (thing("cat", "nan", 1, 20, 10), [], "wrong-box", "'nan'"),
    (thing("cat", 1, 1, "inf", 10), [], "wrong-box", "'inf'"),
    (thing("cat", 1, 1, "1e30", 10), [], "wrong-box", "1e+30"),
    (thing("cat", 1, 1, "1_0", 10), [], "wrong-box", "'1_0'"),
    ("<object><name>cat</name></object>", [], "wrong-box", "line 4 (no bndbox)"),
    (thing("", 1, 1, 20, 10), [], "unknown-class", "line 4 (nothing)"),
]


@pytest.mark.parametrize(("told", "left", "kind", "message"), WRONG_VOC)
def test_a_wrong_box_of_voc(told: str, left: list[Any], kind: str, message: str) -> None:
    layout = one_voc(told)
    assert cells(layout) == {"JPEGImages/1.png": left}
    assert kinds(layout) == {kind}
    assert message in the(kind, layout).message
    assert the(kind, layout).files == ("JPEGImages/1.png",)


def test_repeated_and_doubled_boxes() -> None:
    same = thing("cat", 11, 11, 60, 60)
    layout = one_voc(
        same, thing("dog", 11, 11, 60, 60), same, thing("cat", 12, 11, 61, 60), thing("cat", 14, 11, 63, 60)
    )
    assert cells(layout)["JPEGImages/1.png"] == [
        ["cat", 10, 10, 60, 60],
        ["dog", 10, 10, 60, 60],
        ["cat", 11, 10, 61, 60],
        ["cat", 13, 10, 63, 60],
    ]
    assert "line 6 (cat)" in the("repeated-box", layout).message
    assert the("doubled-box", layout).message.endswith("(2): Annotations/1.xml, lines 7 (cat), 8 (cat)")  # 49/51, 48/52
    assert kinds(layout) == {"repeated-box", "doubled-box"}


def test_rounding_is_no_mistake() -> None:
    layout = one_voc(thing("cat", 0.6, 1, 100.4, 80.5))
    assert cells(layout) == {"JPEGImages/1.png": [["cat", 0, 0, 100, 80]]}
    assert not layout.findings


def test_a_declared_size_that_is_not_the_images() -> None:
    layout = one_voc(thing("cat", 1, 1, 120, 50), size=(200, 160))
    assert cells(layout) == {"JPEGImages/1.png": [["cat", 0, 0, 100, 50]]}
    assert "Annotations/1.xml (200×160, the image is 100×80)" in the("size-differs", layout).message
    for size in (None, ("wide", 80), ("", "")):
        assert not one_voc(thing("cat", 1, 1, 20, 50), size=size).findings


def test_a_sideways_photograph_has_its_upright_size() -> None:
    image = picture(100, 80, "JPEG", SIDEWAYS)
    layout = one_voc(thing("cat", 1, 1, 80, 100), image=image, size=(80, 100))
    assert cells(layout) == {"JPEGImages/1.png": [["cat", 0, 0, 80, 100]]}
    assert not layout.findings


@pytest.mark.parametrize("image", [b"no image", b"", picture()[:20], b"\xff\xd8\xff\xe1"])
def test_an_image_that_cannot_be_read_keeps_its_boxes(image: bytes) -> None:
    layout = found({"Annotations/1.xml": voc(thing("cat", 1, 1, 999, 80)), "JPEGImages/1.png": image})
    assert cells(layout) == {"JPEGImages/1.png": [["cat", 0, 0, 999, 80]]}
    assert not layout.findings


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>\n'
    "<annotation><filename>&c;</filename></annotation>"
)
BROKEN_XML = [
    ("<annotation>\n<object>\n</annotation>", "line 3 (mismatched tag)"),
    ("<annotation>", "line 1 (no element found)"),
    (LAUGHS, "line 1: a document type declaration, which is refused"),
    ('<!DOCTYPE annotation SYSTEM "file:///etc/passwd"><annotation/>', "a document type declaration"),
    ("<annotation>" + "<a>" * 5000, "line 1: elements nested too deeply"),
    ("<svg><annotation/></svg>", "line 1 (<svg> instead of <annotation>)"),
    (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "klingon"),
    (b'<?xml version="1.0" encoding="gbk"?><annotation/>', "multi-byte encodings are not supported"),
    (b"<annotation>\n\xe9</annotation>", "line 2"),
    (b"<annotation>\0</annotation>", "line 1"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN_XML)
def test_xml_that_cannot_be_read(text: str | bytes, message: str) -> None:
    good = {"Annotations/2.xml": voc(thing("cat", 1, 1, 20, 10)), "JPEGImages/2.png": picture()}
    layout = found({"Annotations/1.xml": text, "JPEGImages/1.png": picture(), **good})
    assert cells(layout) == {"JPEGImages/2.png": [["cat", 0, 0, 20, 10]]}
    assert message in the("wrong-file", layout).message
    assert the("wrong-file", layout).files == ("Annotations/1.xml",)
    assert the("missing-annotation", layout).files == ("JPEGImages/1.png",)
    assert kinds(layout) == {"wrong-file", "missing-annotation"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_xml_of_other_encodings(encoding: str) -> None:
    head = '<?xml version="1.0" encoding="latin-1"?>' if encoding == "latin-1" else ""
    text = head + voc(thing("Löwe", 1, 1, 20, 10))
    layout = found({"Annotations/1.xml": text.encode(encoding), "JPEGImages/1.png": picture()})
    assert cells(layout) == {"JPEGImages/1.png": [["Löwe", 0, 0, 20, 10]]}


def test_one_without_the_other() -> None:
    layout = found(
        {
            "VOC/Annotations/1.xml": voc(thing("cat", 1, 1, 20, 10)),
            "VOC/Annotations/gone.xml": voc(name="gone.jpg"),
            "VOC/JPEGImages/1.png": picture(),
            "VOC/JPEGImages/new.png": picture(),
            "VOC/SegmentationClass/1.png": picture(),
            "VOC/README": "read me",
        }
    )
    assert list(cells(layout)) == ["VOC/JPEGImages/1.png"]
    assert "VOC/Annotations/gone.xml ('gone.jpg')" in the("missing-image", layout).message
    assert the("missing-annotation", layout).files == ("VOC/JPEGImages/new.png",)
    assert the("extra-file", layout).files == ("VOC/README", "VOC/SegmentationClass/1.png")


def test_images_are_found_by_path_by_name_and_by_what_the_annotation_says() -> None:
    box = thing("cat", 1, 1, 20, 10)
    layout = found(
        {
            "train/a.jpg": picture(),
            "train/a.xml": voc(box),  # beside each other
            "valid/a.jpg": picture(),
            "valid/a.xml": voc(box, box),
            "test/annotations/b.xml": voc(box),
            "test/images/b.webp": picture(),
            "test/images/odd name.png": picture(),
            "test/annotations/c.xml": voc(box, name="C:\\photos\\odd name.png"),
        }
    )
    assert splits(layout) == {
        "train/a.jpg": "train",
        "valid/a.jpg": "validation",
        "test/images/b.webp": "test",
        "test/images/odd name.png": "test",
    }
    assert the("repeated-box", layout).files == ("valid/a.jpg",)


def test_xml_in_few_class_folders_is_no_annotation() -> None:
    layout = found({"cat/1.png": picture(), "cat/2.png": picture(), "dog/3.png": picture(), "cat/x.xml": voc()})
    assert layout.columns == ()
    assert {entry.cell for entry in layout.entries} == {"cat", "dog"}


def lists(**names: str) -> dict[str, str]:
    return {f"VOC/ImageSets/Main/{split}.txt": text for split, text in names.items()}


def pairs(*names: str, root: str = "VOC") -> dict[str, str | bytes]:
    box = thing("cat", 1, 1, 20, 10)
    annotations = {f"{root}/Annotations/{name}.xml": voc(box) for name in names}
    return {**annotations, **{f"{root}/JPEGImages/{name}.png": picture() for name in names}}


def test_official_lists_are_obeyed() -> None:
    files = pairs("a", "b", "c 1", "d", "e")
    told = lists(
        train="a\r\nb.png\r\n", val="c 1 1\n", test="\ufeffd\nb\n\ngone\n", trainval="a\nb\nc 1\nd\n", cat_train="e"
    )
    layout = found({**files, **told})
    assert splits(layout) == {
        "VOC/JPEGImages/a.png": "train",
        "VOC/JPEGImages/b.png": "train",
        "VOC/JPEGImages/c 1.png": "validation",
        "VOC/JPEGImages/d.png": "test",
    }
    assert "VOC/ImageSets/Main/test.txt, line 4 ('gone')" in the("missing-image", layout).message
    assert "VOC/JPEGImages/b.png (train and test)" in the("repeated-image", layout).message
    assert the("no-split", layout).files == ("VOC/JPEGImages/e.png",)
    assert the("extra-file", layout).files == ("VOC/ImageSets/Main/cat_train.txt",)
    assert kinds(layout) == {"missing-image", "repeated-image", "no-split", "extra-file"}


def test_a_union_alone_is_what_may_be_trained_on() -> None:
    layout = found({**pairs("a", "b"), **lists(trainval="a", test="b")})
    assert splits(layout) == {"VOC/JPEGImages/a.png": "train", "VOC/JPEGImages/b.png": "test"}
    assert not layout.findings


def test_lists_are_for_what_lies_below_their_folder() -> None:
    layout = found({**pairs("a"), **pairs("a", root="VOC2"), **lists(test="a")})
    assert splits(layout) == {"VOC/JPEGImages/a.png": "test", "VOC2/JPEGImages/a.png": None}
    assert not layout.findings


def test_a_list_that_cannot_be_read_is_told() -> None:
    layout = found({**pairs("a"), "VOC/ImageSets/Main/train.txt": b"a\n\xff\xff"})
    assert "train.txt (line 2: no UTF-8)" in the("wrong-file", layout).message


# COCO


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


def one_coco(*boxes: Any, **more: Any) -> Layout:
    return found({"a.json": coco(list(boxes), ("cat",), **more), "1.png": picture()})


def test_coco_is_continuous_already() -> None:
    layout = one_coco([0, 0, 100, 80], [10.25, 20.5, 0.5, 30.123456])
    assert layout.columns == ("boxes",)
    assert cells(layout) == {"1.png": [["cat", 0, 0, 100, 80], ["cat", 10.25, 20.5, 10.75, 50.6235]]}
    assert not layout.findings
    assert layout.entries[0].where == "a.json, image 1"


def test_crowds_and_what_is_to_be_ignored_are_not_counted() -> None:
    boxes = [
        {"id": k, "image_id": 1, "category_id": 1, "bbox": [k, 0, 5, 5 + k], **more}
        for k, more in enumerate([{"iscrowd": 0}, {"iscrowd": 1}, {"ignore": 1}])
    ]
    layout = found({"a.json": coco([], ("cat",), annotations=boxes), "1.png": picture()})
    assert [box[5:] for box in cells(layout)["1.png"]] == [[], [1], [1]]


WRONG_COCO = [  # bbox, what is left of it, kind, what the message says
    ([50, 60, -40, -40], [["cat", 10, 20, 50, 60]], "inverted-box", "a.json, annotation 100 (cat 50, 60, 10, 20)"),
    ([10, 10, 0, 20], [], "empty-box", "annotation 100"),
    ([10, 10, 0.00001, 20], [], "empty-box", "annotation 100"),
    ([-5, 70, 20, 20], [["cat", 0, 70, 15, 80]], "outside-box", "beyond their image (1)"),
    ([300, 0, 10, 10], [], "outside-box", "wholly outside"),
    ([1, 2, 3], [], "wrong-box", "annotation 100 (bbox [1, 2, 3])"),
    ([], [], "wrong-box", "(bbox [])"),
    (None, [], "wrong-box", "(no bbox)"),
    ({"x": 1}, [], "wrong-box", 'bbox {"x": 1}'),
    (["1", "2", "3", "4"], [], "wrong-box", "annotation 100"),
    ([True, 0, 5, 5], [], "wrong-box", "annotation 100"),
    ([float("nan"), 0, 5, 5], [], "wrong-box", "(cat nan, 0, nan, 5)"),
    ([0, 0, float("inf"), 5], [], "wrong-box", "annotation 100"),
    ([0, 0, 10**400, 5], [], "wrong-box", "annotation 100"),
    ([-1e300, 0, 2e300, 5], [], "wrong-box", "annotation 100"),
]


@pytest.mark.parametrize(("bbox", "left", "kind", "message"), WRONG_COCO)
def test_a_wrong_box_of_coco(bbox: Any, left: list[Any], kind: str, message: str) -> None:
    layout = one_coco(bbox)
    assert cells(layout) == {"1.png": left}
    assert kinds(layout) == {kind}
    assert message in the(kind, layout).message
    assert the(kind, layout).files == ("1.png",)


def test_wrong_records_of_coco() -> None:
    records = [
        {"id": 7, "image_id": 1, "category_id": 9, "bbox": [0, 0, 5, 5]},
        {"id": 8, "image_id": 1, "bbox": [0, 0, 5, 5]},
        {"id": "nine", "image_id": 5, "category_id": 1, "bbox": [0, 0, 5, 5]},
        {"image_id": [1], "category_id": 1, "bbox": [0, 0, 5, 5]},
        "no record",
        {"id": 10, "image_id": 2, "category_id": 1, "bbox": [0, 0, 5, 5]},
        {"id": 11, "image_id": 1.0, "category_id": 1, "bbox": [0, 0, 5, 5]},
    ]
    images = [
        {"id": 1, "file_name": "1.png", "width": 99, "height": 80},
        {"id": 2, "file_name": "gone.png"},
        {"id": 1, "file_name": "2.png"},
        {"id": 3},
        {"id": 4, "file_name": 4},
        None,
        {"file_name": "1.png"},
        {"id": 5.5, "file_name": "1.png"},
    ]
    told = coco([], ("cat", "dog", ""), images, annotations=records)
    layout = found({"a.json": told, "1.png": picture(), "2.png": picture(), "notes.txt": ""})
    assert cells(layout) == {"1.png": [["cat", 0, 0, 5, 5]]}
    assert "annotations 7 (9), 8 (nothing)" in the("unknown-class", layout).message
    assert "a.json (dog)" in the("unused-class", layout).message.replace("'", "")
    assert "(99×80, the image is 100×80)" in the("size-differs", layout).message
    assert the("missing-annotation", layout).files == ("2.png",)
    assert the("extra-file", layout).files == ("notes.txt",)
    assert "a.json, image 1" in the("repeated-image", layout).message
    messages = " / ".join(finding.message for finding in layout.findings if finding.kind == "missing-image")
    assert "image 2 ('gone.png')" in messages
    assert "annotations nine, 4, 5" in messages
    assert "(5): a.json, images 4, 5, 6, 7, 8" in messages


def test_many_cases_are_one_finding_with_the_first_twenty() -> None:
    layout = one_coco(*([k, 0, 0, 5] for k in range(50)))
    assert the("empty-box", layout).message.startswith("boxes without an area (50): a.json, annotations 100 (")
    assert the("empty-box", layout).message.endswith("119 (cat 19, 0, 19, 5) and 30 more")
    assert the("empty-box", layout).files == ("1.png",)


def per_split(file: str, split_of: str) -> str:
    return coco([[0, 0, 5, 5]], ("cat",), [{"id": 1, "file_name": file}], info=split_of)


def test_splits_by_the_names_of_the_files() -> None:
    layout = found(
        {
            "coco/annotations/instances_train2017.json": per_split("1.png", "train"),
            "coco/annotations/instances_val2017.json": per_split("1.png", "val"),
            "coco/annotations/person_keypoints_train2017.json": per_split("1.png", "twice"),
            "coco/train2017/1.png": picture(),
            "coco/val2017/1.png": picture(),
            "coco/unlabeled2017/2.png": picture(),
        }
    )
    assert splits(layout) == {"coco/train2017/1.png": "train", "coco/val2017/1.png": "validation"}
    assert the("extra-file", layout).files == ("coco/annotations/person_keypoints_train2017.json",)
    assert the("missing-annotation", layout).files == ("coco/unlabeled2017/2.png",)


def test_splits_by_folder_as_roboflow_has_them() -> None:
    names = ("train", "valid", "test")
    annotations = {f"{name}/_annotations.coco.json": per_split(f"{name}.jpg", name) for name in names}
    layout = found({**annotations, **{f"{name}/{name}.jpg": picture() for name in names}, "README.roboflow.txt": ""})
    assert splits(layout) == {"train/train.jpg": "train", "valid/valid.jpg": "validation", "test/test.jpg": "test"}
    assert kinds(layout) == {"extra-file"}


def test_without_train_nothing_is_a_split() -> None:
    """The validation images of COCO alone are a popular set of their own."""
    layout = found({"annotations/instances_val2017.json": per_split("1.png", ""), "val2017/1.png": picture()})
    assert splits(layout) == {"val2017/1.png": None}


def test_one_file_and_split_folders() -> None:
    images = [{"id": 1, "file_name": "train/1.png"}, {"id": 2, "file_name": "test/1.png"}]
    layout = found({"all.json": coco([], (), images), "train/1.png": picture(), "test/1.png": picture()})
    assert splits(layout) == {"train/1.png": "train", "test/1.png": "test"}


def test_an_image_in_two_splits_stays_in_the_first() -> None:
    annotations = {f"{name}.json": per_split("1.png", name) for name in ("test", "train", "val")}
    layout = found({**annotations, "1.png": picture()})
    assert splits(layout) == {"1.png": "train"}
    assert "1.png (train and validation and test)" in the("repeated-image", layout).message


@pytest.mark.parametrize(
    ("written", "is_found"),
    [
        ("1.png", True),
        ("./1.png", True),
        ("images/1.png", True),
        ("/content/data/images/1.png", True),
        ("C:\\data\\1.png", True),
        ("../../../../1.png", True),
        ("a/b/../1.png", True),
        ("2.png", False),
        ("../../etc/passwd", False),
        ("/", False),
        ("..", False),
        (".", False),
        (" ", False),
        ("\0", False),
        ("\ud800.png", False),
        ("x/" * 3000 + "2.png", False),
    ],
)
def test_names_of_files_stay_inside(written: str, is_found: bool) -> None:
    layout = found({"sets/a.json": per_split(written, ""), "images/1.png": picture()})
    assert list(cells(layout)) == ["images/1.png"] * is_found
    assert ("missing-image" in kinds(layout)) == (not is_found)
    json.dumps([finding.as_dict() for finding in layout.findings], ensure_ascii=False).encode()


def test_of_images_called_the_same_the_fitting_one() -> None:
    files = {"train/images/1.png": picture(), "val/images/1.png": picture()}
    one = found({"train.json": per_split("1.png", ""), "val.json": per_split("images/1.png", ""), **files})
    assert splits(one) == {"train/images/1.png": "train", "val/images/1.png": "validation"}
    unclear = found({"all.json": per_split("1.png", ""), **files})
    assert "missing-image" in kinds(unclear)
    assert not cells(unclear)
    other = found({"all.json": per_split("test/images/1.png", ""), **files})
    assert not cells(other), "an image of another split"


BROKEN_JSON = [
    (coco([[0, 0, 5, 5]])[:-1], "a.json, line 1 (Expecting ',' delimiter)"),
    ('{"images": [],\n"annotations": [],\n"categories": oops}', "a.json, line 3 (Expecting value)"),
    ('{"images": [{"id": 1,', "a.json, line 1 (Expecting property name"),
    ('{"images": ' + "[" * 200_000 + ', "annotations", "categories"', "nested too deeply"),
    ('{"images": [' + "9" * 5000 + '], "annotations": [], "categories": []}', "a.json (Exceeds the limit"),
    (b'{"images": [],\n"annotations": [], "categories": "\xe9"}', "a.json (line 2: no UTF-8)"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN_JSON)
def test_json_that_cannot_be_read(text: str | bytes, message: str) -> None:
    layout = found({"a.json": text, "1.png": picture(), "b.json": coco([], ("cat",))})
    assert list(cells(layout)) == ["1.png"]
    assert message in the("wrong-file", layout).message


def test_json_of_another_form_is_a_file_like_any_other() -> None:
    for text in ('["images", "annotations", "categories"]', '{"images": 1, "annotations": 2, "categories": 3}', "{}"):
        layout = found({"cat/1.png": picture(), "dog/1.png": picture(), "a.json": text})
        assert {entry.cell for entry in layout.entries} == {"cat", "dog"}


def test_json_in_utf16() -> None:
    layout = found({"a.json": coco([[0, 0, 5, 5]], ("cat",)).encode("utf-16"), "1.png": picture()})
    assert cells(layout) == {"1.png": [["cat", 0, 0, 5, 5]]}


# YOLO

NAMES = "names: [cat, dog]\n"


def yolo(lines: str | bytes, image: bytes | None = None, yaml: str = f"train: images\n{NAMES}") -> Layout:
    return found({"data.yaml": yaml, "labels/1.txt": lines, "images/1.png": image or picture()})


def test_yolo_has_shares_of_the_image() -> None:
    layout = yolo("0 0.5 0.5 1 1\n1 0.25 0.25 0.1 0.05\r\n")
    assert layout.columns == ("boxes",)
    assert cells(layout) == {"images/1.png": [["cat", 0, 0, 100, 80], ["dog", 20, 18, 30, 22]]}
    assert not layout.findings
    assert layout.entries[0].split == "train"


def test_yolo_of_a_sideways_photograph() -> None:
    layout = yolo("0 0.5 0.5 1 1\n1 0.5 0.25 0.5 0.5", picture(100, 80, "JPEG", SIDEWAYS))
    assert cells(layout) == {"images/1.png": [["cat", 0, 0, 80, 100], ["dog", 20, 0, 60, 50]]}


def test_polygons_become_the_boxes_around_them() -> None:
    layout = yolo("0 0.1 0.5 0.3 0.2 0.2 0.9\n1 0.1 0.1 0.4 0.1 0.4 0.3 0.1 0.3\n")
    assert cells(layout) == {"images/1.png": [["cat", 10, 16, 30, 72], ["dog", 10, 8, 40, 24]]}
    points = yolo("0 0.5 0.5 1 1 0.1 0.1 0.2 0.2\n", yaml=f"train: images\nkpt_shape: [2, 2]\n{NAMES}")
    assert cells(points) == {"images/1.png": [["cat", 0, 0, 100, 80]]}


WRONG_YOLO = [  # a line, what is left of it, kind, what the message says
    ("0 0.5 0.5 -0.2 0.25", [["cat", 40, 30, 60, 50]], "inverted-box", "labels/1.txt, line 2 (cat 0.6, 0.375, 0.4"),
    ("0 0.5 0.5 0 0.2", [], "empty-box", "labels/1.txt, line 2"),
    ("0 1 0.5 0.5 0.5", [["cat", 75, 20, 100, 60]], "outside-box", "beyond their image"),
    ("0 320 240 64 48", [], "outside-box", "wholly outside"),
    ("0 0.5 0.5 0.2", [], "wrong-box", "labels/1.txt, line 2 ('0 0.5 0.5 0.2')"),
    ("0 0.5 0.5 0.2 0.2 0.9", [], "wrong-box", "line 2"),
    ("0 0.5 0.5 0.2 wide", [], "wrong-box", "'0 0.5 0.5 0.2 wide'"),
    ("0 nan 0.5 0.2 0.2", [], "wrong-box", "nan"),
    ("0 0.5 0.5 inf 0.2", [], "wrong-box", "inf"),
    ("0 0.5 0.5 1e300 0.2", [], "wrong-box", "line 2"),
    ("cat 0.5 0.5 0.2 0.2", [], "wrong-box", "cat"),
    ("2 0.5 0.5 0.2 0.2", [], "unknown-class", "line 2 (2)"),
    ("-1 0.5 0.5 0.2 0.2", [], "unknown-class", "line 2 (-1)"),
    ("0.5 0.5 0.5 0.2 0.2", [], "unknown-class", "line 2 (0.5)"),
    ("1e300 0.5 0.5 0.2 0.2", [], "unknown-class", "line 2"),
]


@pytest.mark.parametrize(("line", "left", "kind", "message"), WRONG_YOLO)
def test_a_wrong_line_of_yolo(line: str, left: list[Any], kind: str, message: str) -> None:
    layout = yolo(f"1 0.5 0.5 1 1\n{line}\n0 0.5 0.5 1 1\n")
    assert cells(layout)["images/1.png"][1:-1] == left
    assert kinds(layout) == {kind}
    assert message in the(kind, layout).message


def test_an_image_whose_size_is_not_known_has_no_boxes_yet() -> None:
    layout = yolo("0 0.5 0.5 1 1\n", b"no image at all")
    assert cells(layout) == {"images/1.png": []}
    assert kinds(layout) == {"unused-class"}


YAMLS = [
    "train: images\nnames:\n  0: cat\n  1: dog\n",
    "train: images\nnames:\n- cat\n- dog\nnc: 2\n",
    "path: ../datasets/pets\ntrain: images\nval:\ntest: # none\nnames: {0: cat, 1: dog}\n",
    "train: ../images\nnames: [cat, dog]\n",
    "train: ./images/\nnames: [cat, dog]\n",
    "train: /content/pets/images\nnames: [cat, dog]\n",
    "train: [images]\nnames: ['cat', \"dog\"]\n",
    "train: lists/all.txt\nnames: [cat, dog]\n",
    "train: .\nnames: [cat, dog]\n",
    "\ufefftrain: images\nnames: [cat, dog]\n",
]


@pytest.mark.parametrize("yaml", YAMLS)
def test_forms_of_the_yaml_file(yaml: str) -> None:
    files = {"labels/1.txt": "0 0.5 0.5 1 1\n1 0.5 0.5 0.5 1\n", "images/1.png": picture()}
    layout = found({"pets.yml": yaml, "lists/all.txt": "./images/1.png\n\n/home/me/images/gone.png\n", **files})
    assert cells(layout) == {"images/1.png": [["cat", 0, 0, 100, 80], ["dog", 25, 0, 75, 80]]}
    assert splits(layout) == {"images/1.png": "train"}
    if "lists" in yaml:
        assert "lists/all.txt, line 3" in the("missing-image", layout).message
    else:
        assert kinds(layout) == {"extra-file"}


def test_classes_called_no_and_010() -> None:
    """YAML 1.1 would read a truth value and an octal number."""
    layout = yolo("0 0.5 0.5 1 1\n1 0.5 0.5 0.5 1\n", yaml="train: images\nnames: [no, 010]\n")
    assert [box[0] for box in cells(layout)["images/1.png"]] == ["no", "010"]


def test_splits_of_yolo() -> None:
    yaml = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n" + NAMES
    files = {
        "pets/data.yaml": yaml,
        "pets/train/images/1.png": picture(),
        "pets/train/labels/1.txt": "0 0.5 0.5 1 1\n",
        "pets/valid/images/1.png": picture(),
        "pets/valid/labels/1.txt": "",
        "pets/valid/images/2.png": picture(),
        "pets/other/images/3.png": picture(),
        "pets/other/labels/3.txt": "1 0.5 0.5 1 1\n",
        "pets/train/labels/gone.txt": "0 0.5 0.5 1 1\n",
        "pets/train/labels/classes.txt": "cat\ndog\n",
        "pets/train/labels.cache": b"\x93NUMPY",
    }
    layout = found(files)
    assert splits(layout) == {
        "pets/train/images/1.png": "train",
        "pets/valid/images/1.png": "validation",
        "pets/valid/images/2.png": "validation",
    }
    assert cells(layout)["pets/valid/images/2.png"] == []
    assert the("missing-annotation", layout).files == ("pets/valid/images/2.png",)
    assert the("no-split", layout).files == ("pets/other/images/3.png",)
    assert "pets/data.yaml ('dog')" in the("unused-class", layout).message
    assert the("extra-file", layout).files == ("pets/train/labels.cache", "pets/train/labels/classes.txt")
    missing = {finding.message for finding in layout.findings if finding.kind == "missing-image"}
    assert missing == {
        "splits whose images are not there (1): pets/data.yaml (test: ../test/images)",
        "annotations whose image is not there (1): pets/train/labels/gone.txt",
    }


def test_a_path_never_loses_the_name_of_its_split() -> None:
    """`test/images` that is not there is not `images`."""
    layout = yolo("0 0.5 0.5 1 1\n", yaml=f"train: images\ntest: ../test/images\n{NAMES}")
    assert splits(layout) == {"images/1.png": "train"}
    assert "test: ../test/images" in the("missing-image", layout).message


def test_validation_images_that_are_the_training_images_stay_there() -> None:
    layout = yolo("0 0.5 0.5 1 1\n1 0.5 0.5 0.5 1\n", yaml=f"train: images\nval: images\n{NAMES}")
    assert splits(layout) == {"images/1.png": "train"}
    assert len(cells(layout)["images/1.png"]) == 2
    assert kinds(layout) == {"repeated-image"}


def test_labels_beside_their_images() -> None:
    layout = found(
        {"data.yaml": "train: photos\nnames: [cat]\n", "photos/1.png": picture(), "photos/1.txt": "0 .5 .5 1 1"}
    )
    assert cells(layout) == {"photos/1.png": [["cat", 0, 0, 100, 80]]}


LABELLED = {"labels/1.txt": "0 0.5 0.5 1 1\n", "images/1.png": picture()}
BROKEN_YAML = [
    ("train: images\nnames: [cat\n", "data.yaml, line 3"),
    ("train: images\nnames: cat\n", "names: expected a list"),
    ("train: images\nnames: []\n", "names: expected a list"),
    ("train: images\nnames: {a: cat, b: [dog]}\n", "names: expected a list"),
    ("train: images\nnames: " + "[" * 5000, "data.yaml"),
    ("train: images\nnames: [a]\n? [x]\n: y\n", "data.yaml, line 3"),
    ("names: &a [*a]\ntrain: *a\n", "data.yaml, line 1 (found unconstructable recursive node)"),
    ("train: images\nnames: [a]\n--- \nsecond: document\n", "data.yaml, line 3"),
    ("train: images\nnames: [a]\n\x07", "data.yaml"),
    (b"train: images\nnames: [a]\n\xff", "data.yaml (line 3: no UTF-8)"),
]


@pytest.mark.parametrize(("yaml", "message"), BROKEN_YAML)
def test_a_yaml_file_that_cannot_be_read(yaml: str | bytes, message: str) -> None:
    layout = found({"data.yaml": yaml, **LABELLED})
    assert not layout.entries
    assert message in the("wrong-file", layout).message


def test_yaml_makes_no_objects() -> None:
    yaml = "train: images\nnames: !!python/object/apply:os.system ['echo cat']\n"
    assert cells(yolo("0 0.5 0.5 1 1\n", yaml=yaml)) == {"images/1.png": [["echo cat", 0, 0, 100, 80]]}


def test_aliases_that_grow_take_no_time() -> None:
    grown = "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 60))
    layout = yolo("0 0.5 0.5 1 1\n", yaml=f"a0: &a0 [ha]\n{grown}train: images\nval: *a59\nnames: [cat]\n")
    assert list(cells(layout)) == ["images/1.png"]


def test_a_label_file_that_cannot_be_read_leaves_its_image_out() -> None:
    layout = found(
        {"data.yaml": f"train: images\n{NAMES}", **LABELLED, "images/2.png": picture(), "labels/2.txt": b"0 \xff\xff"}
    )
    assert list(cells(layout)) == ["images/1.png"]
    assert "labels/2.txt (line 1: no UTF-8)" in the("wrong-file", layout).message
    assert kinds(layout) == {"wrong-file", "unused-class"}


def test_yaml_about_something_else_is_a_file_like_any_other() -> None:
    for yaml in (f"train: images\n{NAMES}", "optimizer: sgd\nnames: x\n"):
        layout = found({"cat/1.png": picture(), "dog/1.png": picture(), "data.yaml": yaml})
        assert {entry.cell for entry in layout.entries} == {"cat", "dog"}


# Tables

HEAD = "path,label,xmin,ymin,xmax,ymax"


def table(*rows: str, head: str = HEAD, reading: Reading = AS_FOUND) -> Layout:
    return found({"boxes.csv": "\n".join([head, *rows]), "1.png": picture(), "images/2.png": picture()}, reading)


def test_a_row_is_a_box_and_an_empty_one_an_image_without() -> None:
    layout = table("1.png,cat,0,0,100,80", "1.png,dog,10.5,20,30,40", "2.png,,,,,")
    assert cells(layout) == {"1.png": [["cat", 0, 0, 100, 80], ["dog", 10.5, 20, 30, 40]], "images/2.png": []}
    assert layout.columns == ("boxes",)
    assert not layout.findings
    assert [entry.where for entry in layout.entries] == ["boxes.csv, line 2", "boxes.csv, line 4"]


HEADS = [
    ("path,label,x_min,y_min,x_max,y_max", "1.png,cat,10,20,30,60"),
    ("Image,Class,XMin,YMin,XMax,YMax", "1.png,cat,10,20,30,60"),
    ("filename,width,height,class,xmin,ymin,xmax,ymax", "1.png,100,80,cat,10,20,30,60"),
    ("path,x0,y0,x1,y1,label", "1.png,10,20,30,60,cat"),
    ("path;x1;y1;x2;y2;class_name", "1.png;10;20;30;60;cat"),
    ("label\tleft\ttop\tright\tbottom\tpath", "cat\t10\t20\t30\t60\t1.png"),
    ("path,label,x,y,width,height", "1.png,cat,10,20,20,40"),
    ("path,label,x,y,w,h", "1.png,cat,10,20,20,40"),
    ("file,category,bbox_x,bbox_y,bbox_width,bbox_height", "1.png,cat,10,20,20,40"),
    ("path,label,XMin,XMax,YMin,YMax", "1.png,cat,0.1,0.3,0.25,0.75"),
]


@pytest.mark.parametrize(("head", "row"), HEADS)
def test_columns_of_many_names(head: str, row: str) -> None:
    assert cells(table(row, head=head)) == {"1.png": [["cat", 10, 20, 30, 60]]}


def test_a_size_in_a_table_is_compared() -> None:
    layout = table("1.png,200,80,cat,10,20,30,60", head="filename,width,height,class,xmin,ymin,xmax,ymax")
    assert "boxes.csv, line 2 (200×80, the image is 100×80)" in the("size-differs", layout).message


def test_splits_and_groups_of_a_table() -> None:
    layout = table(
        "1.png,cat,0,0,10,10,train,p1",
        "1.png,cat,20,0,30,10,train,p1",
        "2.png,dog,0,0,10,10,val,p2",
        head=f"{HEAD},split,patient",
    )
    assert splits(layout) == {"1.png": "train", "images/2.png": "validation"}
    assert [entry.group for entry in layout.entries] == ["p1", "p2"]
    said = table("1.png,cat,0,0,9,9,cam", head=f"{HEAD},from", reading=Reading(group="from"))
    assert said.entries[0].group == "cam"


def test_folders_of_splits_with_a_table_each() -> None:
    names = ("train", "valid")
    tables = {f"{name}/_annotations.csv": f"{HEAD}\n1.png,cat,0,0,9,9" for name in names}
    layout = found({**tables, **{f"{name}/1.png": picture() for name in names}})
    assert splits(layout) == {"train/1.png": "train", "valid/1.png": "validation"}


WRONG_ROWS = [  # a row, kind, what the message says
    ("1.png,cat,30,40,10,20", "inverted-box", "boxes.csv, line 3 (cat 30, 40, 10, 20)"),
    ("1.png,cat,30,40,30,50", "empty-box", "boxes.csv, line 3"),
    ("1.png,cat,30,40,130,50", "outside-box", "boxes.csv, line 3"),
    ("1.png,cat,300,40,330,50", "outside-box", "wholly outside"),
    ("1.png,cat,0,0,100,80", "repeated-box", "boxes.csv, line 3 (cat)"),
    ("1.png,cat,30,40,,50", "wrong-box", "line 3 ('30', '40', nothing, '50')"),
    ("1.png,cat,,,,", "wrong-box", "line 3"),
    ("1.png,cat,nan,0,1,1", "wrong-box", "'nan'"),
    ("1.png,,30,40,50,60", "unknown-class", "line 3 (nothing)"),
    ("1.png,cat,1,2,3", "wrong-row", "fewer cells than the header (1): boxes.csv, line 3"),
    ("1.png,cat,1,2,3,4,5", "wrong-row", "more cells than the header"),
    (",cat,1,2,3,4", "wrong-row", "rows that name no file"),
    ("3.png,cat,1,2,3,4", "missing-file", "line 3 ('3.png')"),
]


@pytest.mark.parametrize(("row", "kind", "message"), WRONG_ROWS)
def test_a_wrong_row(row: str, kind: str, message: str) -> None:
    layout = table("1.png,cat,0,0,100,80", row, "2.png,dog,0,0,9,9")
    assert cells(layout)["1.png"][0] == ["cat", 0, 0, 100, 80]
    assert cells(layout)["images/2.png"] == [["dog", 0, 0, 9, 9]]
    assert kinds(layout) == {kind}
    assert message in the(kind, layout).message


def test_rows_that_disagree_on_where_an_image_belongs() -> None:
    rows = ("1.png,cat,0,0,9,9,train", "1.png,cat,9,9,20,20,test", "2.png,,,,,,dev", "2.png,cat,0,0,5,5,trian")
    layout = table(*rows, head=f"{HEAD},split")
    assert splits(layout) == {"images/2.png": "validation"}
    assert "boxes.csv, lines 2, 3" in the("contradicting-row", layout).message
    assert "line 5 ('trian')" in the("wrong-row", layout).message


def test_a_target_that_is_said_is_learned_instead(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(picture())
    (tmp_path / "boxes.csv").write_text(f"{HEAD}\n1.png,cat,0,0,9,9\n")
    source = open_source(tmp_path / "boxes.csv", Reading(target=("label",)))
    assert source.columns == ("label",)
    assert open_source(tmp_path / "boxes.csv").columns == ("boxes",)


def test_a_table_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.jpg").write_bytes(picture(kind="JPEG", orientation=SIDEWAYS))
    (tmp_path / "2.png").write_bytes(picture())
    (tmp_path / "3.png").write_bytes(b"broken")
    path = tmp_path / "boxes.csv"
    path.write_text(f"{HEAD}\n1.jpg,cat,0,0,90,100\n3.png,cat,0,0,900,9\n4.png,cat,0,0,9,9\n")
    source = open_source(path)
    assert cells(source) == {"3.png": [["cat", 0, 0, 900, 9]], "images/1.jpg": [["cat", 0, 0, 80, 100]]}
    told = {finding.kind: finding for finding in source.findings}
    assert set(told) == {"missing-annotation", "missing-file", "outside-box"}
    assert told["missing-annotation"].files == ("2.png",)
    assert f"(looked in {tmp_path} and {tmp_path / 'images'})" in told["missing-file"].message
    before = source.signature
    (tmp_path / "images/1.jpg").write_bytes(picture(50, 50))
    assert open_source(path).signature != before


def test_a_table_of_boxes_without_paths_says_so(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("photo,label,xmin,ymin,xmax,ymax\n1.png,cat,0,0,9,9\n")
    with pytest.raises(SourceError, match="a column that names the files"):
        open_source(path)
    (tmp_path / "1.png").write_bytes(picture())
    assert cells(open_source(path, Reading(path="photo"))) == {"1.png": [["cat", 0, 0, 9, 9]]}


# All of them

EXAMPLES: dict[str, Files] = {
    "voc": {"Annotations/1.xml": voc(thing("cat", 1, 1, 50, 40)), "JPEGImages/1.png": picture()},
    "coco": {"a.json": coco([[0, 0, 50, 40]], ("cat",)), "1.png": picture()},
    "yolo": {"data.yaml": "train: images\nnames: [cat]", "labels/1.txt": "0 .25 .25 .5 .5", "images/1.png": picture()},
    "table": {"boxes.csv": f"{HEAD}\n1.png,cat,0,0,50,40\n", "1.png": picture()},
}


def write(files: Files, root: Path) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return root


@pytest.mark.parametrize("form", EXAMPLES)
def test_folders_and_archives_say_the_same(form: str, tmp_path: Path) -> None:
    folder = write(EXAMPLES[form], tmp_path / "pets")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, f"wrapper/{file.relative_to(folder)}")
        archive.writestr("__MACOSX/x.json", "{}")
    for suffix in ("tar", "tar.gz"):
        with tarfile.open(tmp_path / f"pets.{suffix}", "w:gz" if "gz" in suffix else "w") as tar:
            tar.add(folder, "pets")
    for path in (folder, tmp_path / "pets.zip", tmp_path / "pets.tar", tmp_path / "pets.tar.gz"):
        source = open_source(path)
        assert source.columns == ("boxes",)
        assert list(cells(source).values()) == [[["cat", 0, 0, 50, 40]]]
        assert {finding.kind for finding in source.findings} <= {"ignored"}
        file = source.entries()[0].file
        assert source.read(file) == picture()


@pytest.mark.parametrize("form", ["voc", "coco", "yolo"])
def test_nothing_can_be_said_of_annotations(form: str) -> None:
    with pytest.raises(SourceError, match="Leave it out"):
        found(EXAMPLES[form], Reading(target=("age",)))


def test_the_task_is_told_by_the_source(tmp_path: Path) -> None:
    folder = write(EXAMPLES["coco"], tmp_path / "pets")
    (folder / "2.png").write_bytes(b"")
    dataset = look(folder, named_task("detection"))
    assert dataset.labels == ("cat",)
    assert dataset.targets[0, 0].tolist() == [0, 0, 50, 40, 0, 0]
    write({"1.png": b"broken"}, folder)
    with pytest.raises(SourceError, match=r"Expected images with a target \(boxes\)"):
        look(folder, named_task("detection"))


def test_an_encrypted_or_damaged_member_is_told(tmp_path: Path) -> None:
    files = {**EXAMPLES["voc"], "Annotations/2.xml": voc(thing("cat", 1, 1, 9, 9)), "JPEGImages/2.png": picture()}
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"<xmax>9", b"<xmax>8"))  # another checksum
    source = open_source(path)
    assert list(cells(source)) == ["JPEGImages/1.png"]
    assert {finding.kind for finding in source.findings} == {"wrong-file", "missing-annotation"}


@pytest.mark.real
def test_blood_cells(real_data: Path) -> None:
    """Two boxes that are a click, seven cells that were drawn twice, two pixels apart."""
    source = open_source(real_data / "bccd.zip")
    entries = source.entries()
    assert len(entries) == 364
    assert Counter(entry.split for entry in entries) == {"train": 205, "validation": 87, "test": 72}
    boxes = Counter(box[0] for entry in entries for box in parsed_cell(entry.cell))
    assert boxes == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    assert Boxes().labels([entry.cell for entry in entries], source.columns) == ("Platelets", "RBC", "WBC")
    told = {finding.kind: finding for finding in source.findings}
    assert set(told) == {"empty-box", "doubled-box"}
    assert "(2): BCCD/Annotations/BloodImage_00338.xml, line 158 (RBC 504, 337, 504, 337)" in told["empty-box"].message
    assert "(7): " in told["doubled-box"].message
    assert len(told["doubled-box"].files) == 7
    corners = [value for entry in entries for box in parsed_cell(entry.cell) for value in box[1:5]]
    assert (min(corners), max(corners)) == (0, 640)


@pytest.mark.parametrize("form", EXAMPLES)
def test_errors_are_the_users_own(form: str) -> None:
    """Every file of an annotated folder replaced by something else: nothing but a Foveal error is raised."""
    for name in EXAMPLES[form]:
        for data in (
            b"",
            b"\0" * 100,
            b"\xff\xfe",
            b"{" * 100_000,
            b"<a>" * 1000,
            "ä".encode("utf-16"),
            b"[[1,2],[3]]",
        ):
            with suppress(FovealError):
                assert isinstance(found({**EXAMPLES[form], name: data}), Layout), name


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, SIDEWAYS, 8])
def test_the_size_in_a_header_is_that_of_the_decoded_image(kind: str, orientation: int) -> None:
    data = picture(60, 40, kind, orientation)
    facts = ImageReader().inspect(data)[1]
    assert size_of(data) == (facts.width, facts.height) == ((40, 60) if orientation in (SIDEWAYS, 8) else (60, 40))
    assert kind in ("TIFF", "WEBP", "AVIF") or size_of(data[:-20]) == size_of(data), "the end is not needed"


def test_an_orientation_behind_the_pixels_of_a_png() -> None:
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    data = saved(Image.new("RGB", (60, 40)), "PNG")
    whole = data[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:]
    assert size_of(whole) == (40, 60)
    with pytest.raises(UnreadableImage, match="not an image"):
        size_of(b"hello")
    with pytest.raises(UnreadableImage, match="truncated"):
        size_of(data[:20])
