"""Targets that names of files tell, and metadata.csv beside the images."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal.data import look, open_source
from foveal.errors import SourceError
from foveal.types import Reading
from tabled import TABLES, VALUE, draw, of_kind, packed, pairs, table

pytestmark = pytest.mark.usefixtures("empty_cache")
FACES = ["25_0_1_20170116.jpg", "3_1_0_20170109.jpg", "61_1_20170109.jpg", "sub/116_1_4_x.png", "README.txt", ".git/x"]
UTK = r"^(?P<age>\d+)_(?P<gender>[01])_(?P<race>\d)_"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_targets_in_names(tmp_path: Path, kind: str) -> None:
    path = packed(draw(tmp_path / "faces", FACES), kind)
    source = open_source(path, Reading(pattern=UTK))
    assert source.columns == ("age", "gender", "race")
    assert {file: json.loads(cell) for file, cell in pairs(source).items()} == {
        "25_0_1_20170116.jpg": ["25", "0", "1"],
        "3_1_0_20170109.jpg": ["3", "1", "0"],
        "sub/116_1_4_x.png": ["116", "1", "4"],
    }
    (wrong,) = of_kind(source, "wrong-name")
    assert wrong.files == ("61_1_20170109.jpg", "README.txt")
    assert UTK in wrong.message
    assert "Rename the files" in wrong.remedy
    assert len(of_kind(source, "ignored")) == 1
    one = open_source(path, Reading(("age",), group="race", pattern=UTK))
    assert [(entry.cell, entry.group) for entry in one.entries()] == [("25", "1"), ("3", "0"), ("116", "4")]
    assert one.columns == ("age",)
    assert len({source.signature, one.signature, open_source(path).signature}) == 3
    assert open_source(source.spec, source.reading).signature == source.signature


def test_patterns_and_split_folders(tmp_path: Path) -> None:
    root = draw(
        tmp_path / "faces", ["faces/train/1_a.png", "faces/test/2_b.png", "faces/3_c.png", "faces/3/test/4_d.png"]
    )
    source = open_source(root, Reading(pattern=r"(\d)"))
    assert source.columns == ("target",)
    assert [(entry.cell, entry.split) for entry in source.entries()] == [
        ("4", None),
        ("3", None),
        ("2", "test"),
        ("1", "train"),
    ]
    assert open_source(root, Reading(pattern=r"(\d)_(\w)")).columns == ("target1", "target2")
    named = open_source(root, Reading(split="part", pattern=r"(?P<part>\d|dev)?_(\w)"))
    assert named.entries() == ()
    assert len(of_kind(named, "wrong-name")[0].files) == 4


@pytest.mark.parametrize(
    ("reading", "message", "remedy"),
    [
        (
            Reading(pattern="(a"),
            r"regular expression as the pattern, found '\(a': missing \), unterminated",
            "backslash",
        ),
        (Reading(pattern="age"), "a group in the pattern for each target, found none in 'age'", "brackets"),
        (Reading(("ages",), pattern="(?P<age>.)"), "column called 'ages' in the pattern .* 'age'", "Did you mean age"),
        (Reading(group="id", pattern="(?P<id>.)"), "group for a target in the pattern .* found only id", "as well"),
        (Reading(path="file", pattern="(.)"), "a table for the column of the paths, 'file'", "Leave one"),
    ],
)
def test_patterns_that_cannot_be(tmp_path: Path, reading: Reading, message: str, remedy: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        open_source(draw(tmp_path / "faces", ["1.png"]), reading)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_metadata_in_each_split_folder(tmp_path: Path, kind: str) -> None:
    root = draw(tmp_path / "set", ["train/a.png", "train/b.png", "test/a.png", "test/z.png"])
    table(root / "train", "file_name,label\na.png,cat\nb.png,dog\n", "metadata.csv")
    table(root / "test", "file_name,label\na.png,dog\ngone.png,dog\n", "metadata.csv")
    table(root, "about", "README.md")
    source = open_source(packed(root, kind))
    assert source.columns == ("label",)
    assert [(entry.file, entry.cell, entry.split, entry.where) for entry in source.entries()] == [
        ("test/a.png", "dog", "test", "test/metadata.csv, line 2"),
        ("train/a.png", "cat", "train", "train/metadata.csv, line 2"),
        ("train/b.png", "dog", "train", "train/metadata.csv, line 3"),
    ]
    (missing,) = of_kind(source, "missing-file")
    assert missing.message.endswith("test/metadata.csv, line 3")
    assert of_kind(source, "extra-file")[0].files == ("README.md", "test/z.png")


def test_metadata_at_the_top_as_json_lines(tmp_path: Path) -> None:
    root = draw(tmp_path / "set", ["a.png", "b.png", "c.png", "d.png"])
    shutil.copy(TABLES / "lines.jsonl", root / "metadata.jsonl")
    dataset = look(root, VALUE)
    assert dataset.files == ("a.png", "b.png")
    assert dataset.targets.tolist() == [[31.0], [4.5]]
    (row,) = of_kind(dataset, "wrong-row")
    assert row.message == "lines that are no JSON object: metadata.jsonl, line 2"
    assert "one object a line" in row.remedy
    assert [finding.message.partition(": ")[2] for finding in of_kind(dataset, "wrong-target")] == [
        "metadata.jsonl, line 5",
        "metadata.jsonl, line 6",
    ]


def test_metadata_of_several_targets_and_types(tmp_path: Path) -> None:
    root = draw(tmp_path / "set", ["train/a.png", "test/b.png"])
    lines = [
        {"file_name": "train/a.png", "smile": True, "hat": None, "tags": ["x"]},
        {"file_name": "test/b.png", "smile": False, "hat": 1},
    ]
    table(root, "".join(json.dumps(line) + "\n" for line in lines), "metadata.jsonl")
    source = open_source(root, Reading(("smile", "hat")))
    assert [(entry.split, json.loads(entry.cell)) for entry in source.entries()] == [
        ("test", ["0", "1"]),
        ("train", ["1", ""]),
    ]
    dataset = foveal.look(root, reading=Reading(("smile", "hat")))
    assert dataset.task == "multilabel"
    assert np.array_equal(dataset.targets, [[0, 1], [1, np.nan]], equal_nan=True)


def test_metadata_without_file_names_is_a_file_like_any_other(tmp_path: Path) -> None:
    root = draw(tmp_path / "set", ["cat/a.png", "dog/b.png"])
    table(root, "id,view\n1,file_name\n", "metadata.csv")
    source = open_source(root)
    assert pairs(source) == {"cat/a.png": "cat", "dog/b.png": "dog"}
    assert of_kind(source, "no-class")[0].files == ("metadata.csv",)
    table(root, "file_name,text,view\ncat/a.png,x,y\n", "metadata.csv")
    with pytest.raises(SourceError, match="found the columns 'file_name', 'text', 'view'") as caught:
        open_source(root)
    assert "--target view" in caught.value.remedy
    assert "move the table away" in caught.value.remedy
    draw(root, ["test/b.png", "train/a.png"])
    table(root / "train", "file_name,age\na.png,3\n", "metadata.csv")
    table(root / "test", "file_name,mass\nb.png,3\n", "metadata.csv")
    (root / "metadata.csv").unlink()
    with pytest.raises(
        SourceError, match=r"same targets in all tables, found mass in test/metadata\.csv; age in train"
    ):
        open_source(root)
