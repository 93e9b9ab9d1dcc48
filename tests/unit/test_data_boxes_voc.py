"""PASCAL VOC: what annotations mean, what is wrong with them, and official lists."""

from typing import Any

import pytest

from annotated import SIDEWAYS, cells, found, kinds, picture, splits, the, thing, voc
from foveal.answers.boxes import Boxes
from foveal.data.sources.layout import Layout


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
