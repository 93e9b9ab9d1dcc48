"""Tables: which image has which target, and every mistake with its line and remedy."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from foveal.data import look, open_source
from foveal.data.sources.place import Located, Place, read_place
from foveal.errors import FovealError, SourceError
from foveal.types import Entry, Reading
from tabled import LABEL, TABLES, draw, fixture, of_kind, pairs, png, table

pytestmark = pytest.mark.usefixtures("empty_cache")


CELLS = "Give each as many cells as the header has"
WRONG = [  # table, kind of the finding, its files, its message, its remedy, images that are left
    ("few-cells.csv", "wrong-row", ["few-cells.csv, line 3"], "fewer cells than the header: {}, line 3", CELLS, "ac"),
    (
        "many-cells.csv",
        "wrong-row",
        ["many-cells.csv, line 3", "many-cells.csv, line 5"],
        "more cells than the header: {}, lines 3, 5",
        CELLS,
        "ac",
    ),
    ("multiline.csv", "wrong-row", ["multiline.csv, line 5"], "fewer cells than the header: {}, line 5", CELLS, "ac"),
    (
        "crlf-multiline.csv",
        "wrong-row",
        ["crlf-multiline.csv, line 5"],
        "fewer cells than the header: {}, line 5",
        CELLS,
        "ac",
    ),
    (
        "no-path.csv",
        "wrong-row",
        ["no-path.csv, line 3"],
        "rows that name no file: {}, line 3",
        "Fill in the path",
        "ac",
    ),
    (
        "not-utf8.csv",
        "wrong-row",
        ["not-utf8.csv, line 3"],
        "bytes that are no UTF-8: {}, line 3",
        "Save the table as UTF-8",
        "ac",
    ),
    ("nul.csv", "wrong-row", ["nul.csv, line 3"], "NUL characters: {}, line 3", "The table is damaged there", "ac"),
    (
        "unknown-split.csv",
        "wrong-row",
        ["b.png"],
        "a split that is none of train, validation, test: {}, line 3 ('trian')",
        "Correct the split",
        "acd",
    ),
    (
        "missing-file.csv",
        "missing-file",
        ["gone.png", "nowhere/d.png"],
        "whose file is not there (looked in ROOT and ROOT/images): {}, lines 3, 5",
        "correct the path",
        "ac",
    ),
    ("repeated.csv", "repeated-row", ["a.png"], "rows that repeat another: {}, line 4", "Remove the others", "ab"),
    (
        "contradicting.csv",
        "contradicting-row",
        ["a.png"],
        "the same file with different targets: {}, lines 2, 4",
        "Decide on one",
        "bc",
    ),
    (
        "contradicting-places.csv",
        "contradicting-row",
        ["a.png"],
        "the same file in different splits or groups: {}, lines 2, 4",
        "Decide on one",
        "bc",
    ),
]


@pytest.mark.parametrize(("name", "kind", "files", "message", "remedy", "left"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_row_is_told_with_its_line(
    tmp_path: Path, name: str, kind: str, files: list[str], message: str, remedy: str, left: str
) -> None:
    path = fixture(tmp_path, name)
    source = open_source(path)
    (found,) = of_kind(source, kind)
    assert list(found.files) == files
    assert found.message.endswith(message.format(name).replace("ROOT", str(path.parent)))
    assert remedy in found.remedy
    assert [entry.file for entry in source.entries()] == [f"{letter}.png" for letter in left]
    if kind != "repeated-row":
        assert "They are left out" in found.remedy


HOPELESS = [  # table, what the message says, its remedy
    ("empty.csv", "Expected a table with a header in empty.csv, found an empty file", "path,target"),
    ("blank.csv", "in blank.csv, found an empty file", "path,target"),
    (
        "no-header.csv",
        "in no-header.csv, line 1, found a row: the columns 'a.png', 'cat'",
        "first line such as path,target",
    ),
    (
        "no-path-column.csv",
        "names the files (path, file, file_name, filename, image",
        "--path-column NAME. Or call it `path`",
    ),
    ("misspelt-path.csv", "in misspelt-path.csv, line 1, found the columns 'pth', 'target'", "Did you mean path?"),
    ("two-targets.csv", "one column with the target in two-targets.csv, line 1", "--target label or class"),
    ("no-target-column.csv", "found the columns 'path', 'age', 'sex'", "--target sex"),
    (
        "misspelt-target.csv",
        "found the columns 'path', 'lable', 'note'",
        "Did you mean label? Rename the column 'lable'",
    ),
    ("only-path.csv", "with the target (target, label, class, labels) in only-path.csv, line 1", "Add one"),
    (
        "repeated-column.csv",
        "each column once in repeated-column.csv, line 1, found the columns 'target'",
        "Rename one",
    ),
    ("open-quote.csv", "in open-quote.csv, line 3, found quotes that do not match", "written twice"),
    ("header-not-utf8.csv", "header of header-not-utf8.csv, line 1, found 'path', 'cat\\udce9gorie'", "as UTF-8"),
    ("utf16.csv", "Expected UTF-8 in utf16.csv, found UTF-16", "CSV UTF-8"),
]


@pytest.mark.parametrize(("name", "message", "remedy"), HOPELESS, ids=[row[0] for row in HOPELESS])
def test_a_wrong_table_says_what_was_expected(tmp_path: Path, name: str, message: str, remedy: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(fixture(tmp_path, name))
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_every_fixture_is_asked_for() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_data_tables*.py"))
    assert [path.name for path in TABLES.iterdir() if f'"{path.name}"' not in text] == []


def test_a_good_table_has_nothing_to_tell(tmp_path: Path) -> None:
    source = open_source(fixture(tmp_path, "good.csv"))
    assert pairs(source) == {"a.png": "cat", "b.png": "cat", "c.png": "dog", "d.png": "dog"}
    assert (source.name, source.columns, source.reading, source.findings) == ("good", ("target",), Reading(), ())
    assert source.entries()[2] == Entry("c.png", "dog", None, None, "good.csv, line 4")
    assert source.read("a.png") == png(0)
    again = open_source(source.spec, source.reading)
    assert again.signature == source.signature


def test_images_that_no_row_names(tmp_path: Path) -> None:
    path = fixture(tmp_path, "extra-file.csv")
    (path.parent / "notes.md").write_text("no image")
    (path.parent / ".hidden.png").write_bytes(b"")
    (found,) = of_kind(open_source(path), "extra-file")
    assert found.files == ("c.png", "d.png")
    assert found.message == "2 files that no row names"
    assert "Add rows" in found.remedy


def test_empty_targets_are_the_answers_to_judge(tmp_path: Path) -> None:
    source = open_source(fixture(tmp_path, "no-target.csv"))
    assert pairs(source)["b.png"] == ""
    dataset = look(source, LABEL)
    (found,) = of_kind(dataset, "wrong-target")
    assert found.files == ("b.png",)
    assert found.message == "expected a label, found nothing: no-target.csv, line 3"
    assert "left out" in found.remedy
    assert dataset.files == ("a.png", "c.png")


def test_groups_that_the_table_itself_parts(tmp_path: Path) -> None:
    dataset = look(fixture(tmp_path, "straddling.csv"), LABEL)
    (found,) = of_kind(dataset, "straddling-group")
    assert found.files == ("a.png", "c.png")
    assert found.message == "groups that are in more than one split: p1 (train and test)"
    assert "one split" in found.remedy
    assert dataset.groups.tolist() == [0, 1, 0, 2]


def test_many_rows_of_one_mistake_are_cut_off(tmp_path: Path) -> None:
    lines = "".join(f"gone{k}.png,cat\n" for k in range(50))
    path = table(draw(tmp_path / "photos", ["a.png"]), f"path,target\n{lines}a.png,dog\n")
    (found,) = of_kind(open_source(path), "missing-file")
    assert len(found.files) == 50
    assert found.message.endswith(
        "labels.csv, lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21 and 30 more"
    )


def test_columns_are_found_by_their_usual_names(tmp_path: Path) -> None:
    assert open_source(fixture(tmp_path, "tabs.tsv")).columns == ("TARGET",)
    root = draw(tmp_path / "more", ["a.png", "b.png"])
    for k, header in enumerate(("FileName;Class;Set;Patient_ID", "label,img,subset,Subject", "age,file,split,group")):
        mark = ";" if ";" in header else ","
        values = {"c": "cat", "l": "cat", "a": "31", "f": "a.png", "i": "a.png", "s": "val", "p": "p7", "g": "p7"}
        names = header.split(mark)
        cells = mark.join("p7" if name == "Subject" else values[name[0].lower()] for name in names)
        (entry,) = open_source(table(root, f"{header}\n{cells}\n", f"{k}.csv")).entries()
        assert (entry.file, entry.cell) == ("a.png", "31" if "age" in names else "cat")
        assert (entry.split, entry.group) == ("validation", "p7")


def test_columns_can_be_named(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["a.png", "b.png"])
    path = table(root, "target,where,mass,Age,fold,camera,part\nx,a.png,1.5,31,0,c1,test\ny,b.png,2.5,4,1,,\n")
    reading = Reading(("age", "MASS"), "where", "part", "camera")
    source = open_source(path, reading)
    assert source.columns == ("Age", "mass")
    assert source.reading == reading
    first, second = source.entries()
    assert first == Entry("a.png", '["31", "1.5"]', "test", "c1", "labels.csv, line 2")
    assert (json.loads(second.cell), second.split, second.group) == (["4", "2.5"], None, None)
    assert source.signature != open_source(path, Reading(("age",), "where")).signature
    for wrong, remedy in (
        (Reading(("ages",), "where"), "Did you mean Age?"),
        (Reading(("zzz",), "where"), "one of these"),
    ):
        with pytest.raises(SourceError, match=r"Expected a column called '(ages|zzz)' in labels.csv, line 1") as caught:
            open_source(path, wrong)
        assert "'target', 'where', 'mass', 'Age'" in caught.value.message
        assert remedy in caught.value.remedy


def test_numbers_of_folds_are_no_splits(tmp_path: Path) -> None:
    source = open_source(fixture(tmp_path, "folds.csv"))
    assert [entry.split for entry in source.entries()] == [None, None]
    assert source.findings[0].kind == "extra-file"


def test_a_set_is_a_split_when_it_names_one(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["a.png", "b.png"])
    source = open_source(table(root, "path,target,set\na.png,cat,A\nb.png,dog,B\n"))
    assert [entry.split for entry in source.entries()] == [None, None]
    source = open_source(table(root, "path,target,set\na.png,cat,train\nb.png,dog,tset\n"))
    assert [entry.split for entry in source.entries()] == ["train"], "a slip of the pen does not undo the division"
    assert of_kind(source, "wrong-row")[0].files == ("b.png",)
    source = open_source(table(root, "path,target,split\na.png,cat,A\nb.png,dog,B\n"))
    assert source.entries() == ()


def test_where_files_are_looked_for(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["images/a.png", "images/sub/b.png", "c.png"])
    elsewhere = draw(tmp_path / "elsewhere", ["d.png", "e.png"])
    names = ["a.png", "sub\\b.png", f"{root.resolve()}/c.png", f"{elsewhere.resolve()}/d.png", "../elsewhere/e.png"]
    source = open_source(table(root, "path,target\n" + "".join(f"{name},{k}.5\n" for k, name in enumerate(names))))
    expected = {"images/a.png", "images/sub/b.png", "c.png", f"{elsewhere.resolve()}/d.png", "../elsewhere/e.png"}
    assert set(pairs(source)) == expected
    assert source.findings == ()
    assert isinstance(source, Located)
    for file in expected:
        place = source.place(file)
        assert place is not None
        assert read_place(Place(*json.loads(json.dumps(place)))) == source.read(file)


def test_a_folder_or_a_very_long_name_is_no_file(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["a.png", "sub/b.png"])
    source = open_source(table(root, f"path,target\na.png,x\nsub,y\n{'n' * 300}.png,y\n"))
    assert of_kind(source, "missing-file")[0].files == ("sub", f"{'n' * 300}.png")


def test_a_list_of_files(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["cats/a.png", "cats/c.png", "b.png"])
    shutil.copy(TABLES / "no-folder.txt", root)
    source = open_source(root / "no-folder.txt")
    assert source.columns == ()
    assert pairs(source) == {"cats/a.png": "cats", "cats/c.png": "cats"}
    (found,) = of_kind(source, "wrong-row")
    assert found.message == "paths without a folder, whose name would be the class: no-folder.txt, line 2"
    assert "CLASS/IMAGE" in found.remedy
    with pytest.raises(SourceError, match=r"\(target age\), found a list of files"):
        open_source(root / "no-folder.txt", Reading(("age",)))


def test_split_folders_in_paths(tmp_path: Path) -> None:
    files = ["set/train/a.png", "set/Test/b.png", "set/val/c.png", "set/new/test/d.png"]
    root = draw(tmp_path / "photos", files)
    text = "path,target\n" + "".join(f"{file},x\n" for file in files)
    splits = [entry.split for entry in open_source(table(root, text)).entries()]
    assert splits == ["test", None, "train", "validation"]
    told = text.replace("target\n", "target,split\n").replace(",x\n", ",x,\n")
    assert {entry.split for entry in open_source(table(root, told)).entries()} == {None}, "the column wins"
    listed = draw(tmp_path / "list", ["bus/1.png", "train/2.png", "test/train/3.png", "test/bus/4.png"])
    source = open_source(table(listed, "bus/1.png\ntrain/2.png\n", "a.txt"))
    assert [(entry.cell, entry.split) for entry in source.entries()] == [("bus", None), ("train", None)]
    source = open_source(table(listed, "test/train/3.png\ntest/bus/4.png\n", "b.txt"))
    assert [(entry.cell, entry.split) for entry in source.entries()] == [("bus", "test"), ("train", "test")]


def test_signature_changes_with_table_images_and_reading(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["a.png", "b.png"])
    path = table(root, "path,age,mass\na.png,1,2\n")
    one = open_source(path, Reading(("age",))).signature
    assert open_source(path, Reading(("age",))).signature == one
    two = open_source(path, Reading(("mass",))).signature
    table(root, "path,age,mass\na.png,1,3\n")
    three = open_source(path, Reading(("age",))).signature
    os.utime(root / "a.png", ns=(1, 1))
    four = open_source(path, Reading(("age",))).signature
    draw(root, ["c.png"])
    five = open_source(path, Reading(("age",))).signature
    assert len({one, two, three, four, five}) == 5


NOISE = (b'"', b",", b"\n", b"\0", b"\xff", b"a", b"\r", b"{}")


def test_no_table_whatever_ends_in_a_traceback(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    root = draw(tmp_path / "photos", ["a.png", "b.png"])
    whole = b'path,target,split\n"a.png",cat,train\nb.png,"do\ng",test\n'
    read = 0
    for round_ in range(300):
        data = bytearray(whole)
        for _ in range(int(rng.integers(1, 6))):
            place = int(rng.integers(0, len(data)))
            data[place : place + int(rng.integers(0, 3))] = NOISE[int(rng.integers(len(NOISE)))]
        name = ("x.csv", "x.tsv", "x.txt", "metadata.jsonl")[round_ % 4]
        (root / name).write_bytes(data)
        with suppress(FovealError):
            open_source(root if name.startswith("meta") else root / name).entries()
            read += 1
    assert 0 < read < 300, "some are read and some refused, with an error of ours"
