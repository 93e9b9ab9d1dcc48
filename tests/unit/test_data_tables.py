"""Tables, patterns, data sets of the hub: which image has which target, and every mistake with its line and remedy."""

import io
import json
import os
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.api.looking import resolve_task
from foveal.data import divide, look, open_source
from foveal.data.sources.parquet import ParquetSource
from foveal.data.sources.place import Located, Place, read_place
from foveal.errors import FovealError, MissingExtra, OfflineError, RecipeError, SourceError, UnreadableImage
from foveal.tasks import named_task
from foveal.types import SPLITS, Entry, Finding, Reading, Source

pytestmark = pytest.mark.usefixtures("empty_cache")
TABLES = Path(__file__).parents[1] / "fixtures" / "tables"
LABEL, VALUE = named_task("classification"), named_task("regression")


def png(number: int) -> bytes:
    """Another image for another number."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def draw(root: Path, files: Iterable[str]) -> Path:
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(png(number))
    return root


def table(root: Path, text: str, name: str = "labels.csv") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root / name


def fixture(tmp_path: Path, name: str) -> Path:
    """A table of the fixtures beside the images that it names."""
    root = draw(tmp_path / "photos", [f"{letter}.png" for letter in "abcd"])
    return Path(shutil.copy(TABLES / name, root))


def pairs(source: Source) -> dict[str, str]:
    return {entry.file: entry.cell for entry in source.entries()}


def of_kind(source: Any, kind: str) -> list[Finding]:
    return [finding for finding in source.findings if finding.kind == kind]


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
    text = Path(__file__).read_text()
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


def test_groups_never_straddle(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    root = draw(tmp_path / "photos", [f"{k:03}.png" for k in range(120)])
    shutil.copy(root / "000.png", root / "119.png")  # the same pixels join the groups of two patients
    patients = rng.integers(0, 40, 120)
    rows = "".join(f"{k:03}.png,{'ab'[k % 2]},{patients[k]}\n" for k in range(120))
    dataset = look(table(root, f"path,target,patient\n{rows}"), LABEL)
    assert dataset.groups[0] == dataset.groups[119]
    for patient in range(40):
        assert len(set(dataset.groups[patients == patient].tolist())) <= 1
    for seed in range(3):
        divided = divide(dataset, validation=0.2, test=0.2, seed=seed)
        assert all(len(set(divided.splits[dataset.groups == group])) == 1 for group in dataset.groups)
        assert set(divided.splits) == set(SPLITS)
    again = look(root / "labels.csv", LABEL)
    assert (again.groups == dataset.groups).all()
    assert (again.fingerprint, again.findings) == (dataset.fingerprint, dataset.findings)


def test_rows_in_no_split_follow_their_group(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", [f"{k:02}.png" for k in range(40)])
    rows = "".join(f"{k:02}.png,{'ab'[k % 2]},{k // 4},{'test' if k in (5, 6) else ''}\n" for k in range(40))
    dataset = look(table(root, f"path,target,group,split\n{rows}"), LABEL)
    divided = divide(dataset, validation=0.2, test=None, seed=0)
    assert divided.rows("test").tolist() == [4, 5, 6, 7]


def test_values_from_a_table(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", [f"{k}.png" for k in range(8)])
    rows = "".join(f"{k}.png,{k * 1.5}\n" for k in range(7))
    source = open_source(table(root, f"file,age\n{rows}7.png,old\n"))
    task = resolve_task("regression", source)
    dataset = look(source, task)
    assert dataset.targets.tolist() == [[k * 1.5] for k in range(7)]
    assert dataset.labels == ("age",)
    assert dataset.cells[1] == "1.5"
    (found,) = of_kind(dataset, "wrong-target")
    assert found.files == ("7.png",)
    assert found.message.endswith("found 'old': labels.csv, line 9")
    assert {finding.kind for finding in dataset.findings} == {"wrong-target"}, "nothing is said about labels"


def test_many_kinds_of_wrong_targets_become_one_finding(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", [f"{k:02}.png" for k in range(30)])
    rows = "".join(f"{k:02}.png,{'x' * k or 1}\n" for k in range(30))
    (found,) = of_kind(look(table(root, f"path,target\n{rows}"), VALUE), "wrong-target")
    assert len(found.files) == 29
    assert found.message.startswith("29 targets that cannot be read: expected a finite number")


def test_contradicting_values_are_called_targets(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["a.png", "b.png", "c.png"])
    shutil.copy(root / "a.png", root / "d.png")
    dataset = look(table(root, "path,age\na.png,31\nb.png,4\nc.png,5\nd.png,32\n"), VALUE)
    (found,) = of_kind(dataset, "contradicting-label")
    assert found.message == "the same pixels with different targets: 31, 32"
    assert "Decide on one target" in found.remedy
    table(root, "path,age\na.png,31\nb.png,4\nc.png,5\nd.png,31.0\n")
    assert not of_kind(look(root / "labels.csv", VALUE), "contradicting-label")


def test_nothing_usable_names_the_rows(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"Expected images with a target \(target\) in .*good.csv, found none\."
    ) as caught:
        look(Path(shutil.copy(TABLES / "good.csv", tmp_path)), LABEL)
    assert "good.csv, lines 2, 3, 4, 5" in caught.value.message
    assert caught.value.remedy == "Bring the files, or correct the path."
    with pytest.raises(SourceError, match="found 4, none of which can be used") as caught:
        look(fixture(tmp_path, "good.csv"), VALUE)
    assert "found 'cat': good.csv, line 2, good.csv, line 3" in caught.value.message
    assert "name another column or task" in caught.value.remedy
    with pytest.raises(SourceError, match="no file in a class folder") as caught:
        look(tmp_path / "photos", LABEL)
    assert caught.value.remedy.endswith("Or give the table: " + str((tmp_path / "photos/good.csv").resolve()))


def test_what_is_said_must_fit(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["cat/a.png", "dog/b.png"])
    said = Reading(("age", "sex"))
    for spec, found in ((root, "folders of classes"), ("digits", "images that bring their labels")):
        with pytest.raises(SourceError, match=rf"\(target age and sex\), found {found} in ") as caught:
            open_source(spec, said)
        assert caught.value.remedy
    source = open_source(root)
    assert open_source(source, Reading()) is source
    with pytest.raises(SourceError, match="open already"):
        open_source(source, said)
    with pytest.raises(SourceError, match="folder or an archive for the pattern") as caught:
        open_source(fixture(tmp_path, "good.csv"), Reading(pattern="(x)"))
    assert "Leave the pattern out" in caught.value.remedy
    (root / "book.xlsx").write_bytes(b"PK")
    with pytest.raises(SourceError, match="the spreadsheet") as caught:
        open_source(root / "book.xlsx")
    assert "Save it as CSV" in caught.value.remedy


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


def packed(root: Path, kind: str) -> Path:
    if kind == "folder":
        return root
    path = root.with_suffix(f".{kind}")
    files = [file for file in sorted(root.rglob("*")) if file.is_file()]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as opened:
            for file in files:
                opened.write(file, file.relative_to(root).as_posix())
    else:
        with tarfile.open(path, "w") as tar:
            for file in files:
                tar.add(file, file.relative_to(root).as_posix())
    return path


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


class Hub:
    """Parquet as the hub has it."""

    def __init__(self) -> None:
        self.pa = pytest.importorskip("pyarrow")
        self.pq = pytest.importorskip("pyarrow.parquet")

    def write(self, path: Path, columns: dict[str, Any], names: list[str] | None = None, **options: Any) -> Path:
        made = self.pa.table(columns)
        if names:
            label = {"names": names, "_type": "ClassLabel"}
            told = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
            made = made.replace_schema_metadata({"huggingface": json.dumps(told)})
        path.parent.mkdir(parents=True, exist_ok=True)
        self.pq.write_table(made, path, **options)
        return path

    def images(self, numbers: Iterable[int | None]) -> Any:
        rows = [{"bytes": None if k is None else png(k), "path": f"{k}.png"} for k in numbers]
        kind = self.pa.struct([("bytes", self.pa.binary()), ("path", self.pa.string())])
        return self.pa.array(rows, kind)


def test_a_table_of_paths_as_parquet(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["a.png", "b.png", "c.png"])
    nan = float("nan")
    columns = {"file": ["a.png", "b.png", "c.png", "d.png"], "age": [31.5, nan, 7.0, 1.0], "group": [1, None, 1, 1]}
    source = open_source(Hub().write(root / "ages.parquet", columns))
    assert pairs(source) == {"a.png": "31.5", "b.png": "", "c.png": "7.0"}
    assert [(entry.group, entry.where) for entry in source.entries()][:2] == [
        ("1", "ages.parquet, row 1"),
        (None, "ages.parquet, row 2"),
    ]
    assert of_kind(source, "missing-file")[0].message.endswith("ages.parquet, row 4")
    (root / "broken.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(SourceError, match=r"Expected a Parquet file, .*: broken\.parquet") as caught:
        open_source(root / "broken.parquet")
    assert "as CSV" in caught.value.remedy


def test_images_within_parquet(tmp_path: Path) -> None:
    write = Hub()
    columns = {"image": write.images([*range(9), None]), "label": [0, 1] * 4 + [-1, 0]}
    path = write.write(tmp_path / "pets.parquet", columns, ["cat", "dog"], row_group_size=4)
    source = open_source(path)
    assert isinstance(source, ParquetSource)
    assert source.columns == ("label",)
    assert [entry.cell for entry in source.entries()] == ["cat", "dog"] * 4 + ["", "cat"]
    assert source.entries()[4] == Entry("pets/000005", "cat", None, None, "pets.parquet, row 5")
    for k in (8, 0, 5):
        assert source.read(f"pets/{k + 1:06}") == png(k)
    with pytest.raises(UnreadableImage, match="empty: the row holds no image"):
        source.read("pets/000010")
    dataset = look(path, LABEL)
    assert len(dataset) == 8
    assert dataset.labels == ("cat", "dog")
    assert [finding.kind for finding in dataset.findings] == ["wrong-target", "unreadable"]
    os.utime(path, ns=(1, 1))
    assert open_source(path).signature != source.signature
    path.unlink()
    with pytest.raises(UnreadableImage, match="cannot be read"):
        open_again(source).read("pets/000001")


def open_again(source: ParquetSource) -> ParquetSource:
    source.held.clear()
    return source


def test_row_groups_are_kept_as_long_as_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.data.sources import parquet

    write = Hub()
    path = write.write(tmp_path / "a.parquet", {"image": write.images(range(9)), "age": range(9)}, row_group_size=3)
    source = open_source(path)
    assert isinstance(source, ParquetSource)
    for k in range(9):
        source.read(f"a/{k + 1:06}")
    assert len(source.held) == 3
    monkeypatch.setattr(parquet, "HELD", 1)
    source.held.clear()
    for k in range(9):
        assert source.read(f"a/{k + 1:06}") == png(k)
        assert len(source.held) == 1


def make_snapshot(root: Path) -> Path:
    write = Hub()
    for name, numbers in (("train-00000-of-00002", [0, 1]), ("train-00001-of-00002", [2, 3]), ("test-00000", [4])):
        columns = {"image": write.images(numbers), "label": [k % 2 for k in numbers]}
        write.write(root / f"data/{name}.parquet", columns, ["cat", "dog"])
    table(root, "about", "README.md")
    table(root, "*", ".gitattributes")
    return root


def test_a_data_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = make_snapshot(tmp_path / "snapshots" / commit)
    asked: list[tuple[Any, ...]] = []

    def snapshot_download(repository: str, *, repo_type: str, revision: str | None) -> str:
        asked.append((repository, repo_type, revision))
        return str(root)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    told: list[tuple[str, int, int]] = []
    source = open_source("hf:some/pets", progress=lambda *step: told.append(step))
    assert told == [("downloading some/pets", 0, 0)]
    assert (source.name, source.spec) == ("pets", f"hf:some/pets@{commit}")
    assert [(entry.file, entry.cell, entry.split) for entry in source.entries()] == [
        ("data/test-00000/000001", "cat", "test"),
        ("data/train-00000-of-00002/000001", "cat", "train"),
        ("data/train-00000-of-00002/000002", "dog", "train"),
        ("data/train-00001-of-00002/000001", "cat", "train"),
        ("data/train-00001-of-00002/000002", "dog", "train"),
    ]
    assert source.read("data/train-00001-of-00002/000002") == png(3)
    assert {finding.kind: finding.files for finding in source.findings} == {
        "extra-file": ("README.md",),
        "ignored": (".gitattributes",),
    }
    assert open_source(source.spec).signature == source.signature
    assert asked == [("some/pets", "dataset", None), ("some/pets", "dataset", commit)]
    shutil.rmtree(root / "data")
    draw(root, ["train/a.png"])
    table(root / "train", "file_name,label\na.png,cat\n", "metadata.csv")
    assert pairs(open_source("hf:some/pets")) == {"train/a.png": "cat"}
    shutil.rmtree(root / "train")
    packed(draw(root / "pets", ["cat/a.png"]), "zip")
    shutil.rmtree(root / "pets")
    assert pairs(open_source("hf:some/pets@v1.0")) == {"cat/a.png": "cat"}
    shutil.copy(root / "pets.zip", root / "more.zip")
    with pytest.raises(SourceError, match=r"Expected one archive in hf:some/pets, found 2 .*more\.zip, pets\.zip"):
        open_source("hf:some/pets")


def test_the_hub_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        OfflineError, match=r"^hf:some/pets is not on this machine, and cannot be downloaded: "
    ) as caught:
        open_source("hf:some/pets")
    assert "without HF_HUB_OFFLINE" in caught.value.remedy
    assert "hf download --repo-type dataset some/pets" in caught.value.remedy

    def refuse(*_: object, **__: object) -> str:
        raise huggingface_hub.errors.HFValidationError("Cannot have -- in it\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(SourceError, match=r"none that may be read: Cannot have -- in it\n") as caught:
        open_source("hf:some/pets")
    assert not isinstance(caught.value, OfflineError)
    for wrong in ("hf:pets", "hf:", "hf:a/b/c", "hf:a/b@", "hf:a b/c"):
        with pytest.raises(SourceError, match="Expected hf:OWNER/NAME"):
            open_source(wrong)


@pytest.mark.parametrize("missing", ["pyarrow", "huggingface_hub"])
def test_a_missing_package_is_named(tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=missing) as caught:
        open_source("hf:some/pets" if missing == "huggingface_hub" else tmp_path / "a.parquet")
    assert caught.value.remedy.startswith("Install it with: pip install 'foveal[")


def test_the_task_is_told_by_the_targets(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", [f"{k:02}.png" for k in range(30)])
    ages = "".join(f"{k:02}.png,{k * 1.5},{'ab'[k % 2]},{k % 2},1\n" for k in range(30))
    path = table(root, f"path,age,kind,hat,smile\n{ages}")
    for target, task in ((("age",), "regression"), (("kind",), "classification"), (("hat", "smile"), "multilabel")):
        source = open_source(path, Reading(target))
        assert resolve_task("auto", source).name == task
        assert foveal.look(path, reading=Reading(target)).task == task
    assert resolve_task("classification", source).name == "classification"
    with pytest.raises(RecipeError, match="No task is called 'nothing'"):
        resolve_task("nothing", source)


def test_an_archive_is_not_listed_to_find_its_task_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(draw(tmp_path / "photos", [f"{kind}/{k}{kind}.png" for kind in "ab" for k in range(3)]), "zip")
    first = foveal.look(path)
    assert first.task == "classification"

    def refuse(*_: object) -> None:
        raise AssertionError("listed again")

    monkeypatch.setattr("foveal.data.sources.archive._directory", refuse)
    assert foveal.look(path).fingerprint == first.fingerprint


NOISE = (b'"', b",", b"\n", b"\0", b"\xff", b"a", b"\r", b"{}")


def test_no_table_whatever_ends_in_a_traceback(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    root = draw(tmp_path / "photos", ["a.png", "b.png"])
    whole = b'path,target,split\n"a.png",cat,train\nb.png,"do\ng",test\n'
    for round_ in range(300):
        data = bytearray(whole)
        for _ in range(int(rng.integers(1, 6))):
            place = int(rng.integers(0, len(data)))
            data[place : place + int(rng.integers(0, 3))] = NOISE[int(rng.integers(len(NOISE)))]
        name = ("x.csv", "x.tsv", "x.txt", "metadata.jsonl")[round_ % 4]
        (root / name).write_bytes(data)
        with suppress(FovealError):
            open_source(root if name.startswith("meta") else root / name).entries()


def test_flags_that_never_say_no(tmp_path: Path) -> None:
    """CelebA writes -1 for no, CheXpert for not known: what is read so is told, not learned in silence."""
    root = draw(tmp_path / "faces", ["a.png", "b.png", "c.png"])
    path = table(root, "path,smile,hat\na.png,1,1\nb.png,-1,0\nc.png,1,-1\n")
    dataset = foveal.look(path, reading=Reading(("smile", "hat")))
    (finding,) = of_kind(dataset, "never-no")
    assert "without: smile" in finding.message
    assert "write 0" in finding.remedy


def test_one_label_an_image_has_one_column(tmp_path: Path) -> None:
    root = draw(tmp_path / "faces", ["a.png", "b.png"])
    path = table(root, "path,kind,colour\na.png,cat,red\nb.png,dog,blue\n")
    with pytest.raises(SourceError, match="expected one column of labels, found 2: kind, colour") as caught:
        foveal.look(path, task="classification", reading=Reading(("kind", "colour")))
    assert "--target" in caught.value.remedy
    with pytest.raises(SourceError, match="expected one column of labels"):
        foveal.look(path, reading=Reading(("kind", "colour")))
