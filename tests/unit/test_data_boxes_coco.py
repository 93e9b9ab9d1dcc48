"""COCO: what records mean, what is wrong with them, and their splits."""

import json
from typing import Any

import pytest

from annotated import cells, coco, found, kinds, picture, splits, the
from foveal.data.sources.layout import Layout


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
