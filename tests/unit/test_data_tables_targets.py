"""Tables that are looked at: groups, values, labels, and which task they are for."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal.api.looking import resolve_task
from foveal.data import divide, look, open_source
from foveal.errors import RecipeError, SourceError
from foveal.types import SPLITS, Reading
from tabled import LABEL, TABLES, VALUE, draw, fixture, of_kind, packed, table

pytestmark = pytest.mark.usefixtures("empty_cache")


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
