"""YOLO: lines of labels, and the data.yaml that tells of them."""

from typing import Any

import pytest

from annotated import SIDEWAYS, cells, found, kinds, picture, splits, the
from foveal.data.sources.layout import Layout

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
