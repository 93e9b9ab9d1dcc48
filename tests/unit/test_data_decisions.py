"""What a person decides about their images is obeyed, and a wrong row is named with its line."""

import csv
from pathlib import Path

import numpy as np
import pytest

from copies import COPIES, jpeg, photo
from foveal.api import evaluate, look, train
from foveal.data.decisions import COLUMNS, propose, read_decisions, write_proposal
from foveal.errors import RunError, SourceError
from foveal.run import Run
from foveal.types import Dataset

pytestmark = pytest.mark.usefixtures("empty_cache", "in_tmp")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Sixteen cats and dogs; a cropped cat, and one that is there twice under both labels."""
    folder = tmp_path / "photos"
    for seed in range(16):
        _put(folder / ("cat", "dog")[seed % 2] / f"{seed:02}.jpg", jpeg(photo(seed, 48, 64)))
    _put(folder / "cat" / "copy.jpg", COPIES["recompressed"](photo(0, 48, 64)))
    _put(folder / "dog" / "cat.jpg", (folder / "cat" / "02.jpg").read_bytes())
    return folder


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def table(*rows: str, header: str = ",".join(COLUMNS)) -> Path:
    path = Path("moves.csv")
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def group(dataset: Dataset, file: str) -> int:
    return int(dataset.groups[dataset.files.index(file)])


def test_keep_is_said_of_all_with_the_same_pixels(photos: Path) -> None:
    _put(photos / "cat" / "zero.jpg", (photos / "cat" / "00.jpg").read_bytes())
    dataset = look(photos, decisions=table("cat/zero.jpg,keep,,"))
    assert group(dataset, "cat/zero.jpg") == group(dataset, "cat/00.jpg") != group(dataset, "cat/copy.jpg")


def test_what_is_proposed(photos: Path) -> None:
    rows = propose(look(photos))
    assert [row[:3] for row in rows] == [
        ("cat/00.jpg", "group", "twins-1"),
        ("cat/02.jpg", "exclude", ""),
        ("cat/copy.jpg", "group", "twins-1"),
        ("dog/cat.jpg", "exclude", ""),
    ]
    assert rows[0][3].startswith("alike to 0.9")
    assert rows[0][3].endswith(" with cat/copy.jpg")
    assert rows[1][3] == "the same pixels have different targets"


def test_of_leaks_the_image_that_measures_stays(photos: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    for file in photos.rglob("*.jpg"):
        part = "test" if file.name in ("copy.jpg", "05.jpg", "06.jpg") else "train"
        _put(split / part / file.relative_to(photos), file.read_bytes())
    for same in ("test/dog/same.jpg", "train/dog/again.jpg"):
        _put(split / same, (photos / "dog" / "07.jpg").read_bytes())
    rows = {row[0]: row[1:] for row in propose(look(split))}
    assert rows["train/cat/00.jpg"][0] == "exclude"
    assert rows["train/cat/00.jpg"][2].endswith("test/cat/copy.jpg, which is in test")
    assert rows["train/dog/07.jpg"] == ("exclude", "", "the same pixels as test/dog/same.jpg, which is in test")
    assert rows["train/dog/again.jpg"][0] == "exclude"
    assert not any(file.startswith("test/") for file in rows)


def test_a_proposal_is_obeyed_and_overwrites_nothing(photos: Path) -> None:
    before = look(photos)
    path = Path("moves.csv")
    assert write_proposal(before, path) == (4, 0)
    with pytest.raises(SourceError, match="already there, and nothing is overwritten"):
        write_proposal(before, path)
    with path.open(newline="") as file:
        assert tuple(next(csv.reader(file))) == COLUMNS
    after = look(photos, decisions=path)
    assert set(before.files) - set(after.files) == {"cat/02.jpg", "dog/cat.jpg"}
    assert (photos / "cat" / "02.jpg").is_file(), "nothing is deleted"
    assert {finding.kind for finding in after.findings} == {"excluded", "near-duplicate"}
    assert group(after, "cat/00.jpg") == group(after, "cat/copy.jpg")
    assert after.fingerprint != before.fingerprint
    assert look(photos, decisions=path).fingerprint == after.fingerprint
    assert look(photos).fingerprint == before.fingerprint


def test_a_second_proposal_keeps_what_was_decided(photos: Path) -> None:
    decisions = table(
        "cat/02.jpg,exclude,,seen by Ann", "dog/01.jpg,keep,,", "cat/copy.jpg,Group, twins-2 ,", "dog/03.jpg,group,tom,"
    )
    _put(photos / "dog" / "again.jpg", COPIES["recompressed"](photo(5, 48, 64)))
    dataset = look(photos, decisions=decisions)
    assert write_proposal(dataset, Path("more.csv")) == (3, 4)
    with Path("more.csv").open(newline="") as file:
        rows = {row["file"]: (row["action"], row["group"], row["reason"]) for row in csv.DictReader(file)}
    assert rows["cat/02.jpg"] == ("exclude", "", "seen by Ann")
    assert rows["dog/01.jpg"] == ("keep", "", "")
    assert rows["cat/copy.jpg"] == ("group", "twins-2", "")
    assert rows["dog/03.jpg"] == ("group", "tom", "")
    assert rows["cat/00.jpg"][:2] == ("group", "twins-2"), "a new one joins the group under the name that it has"
    assert rows["dog/05.jpg"][:2] == rows["dog/again.jpg"][:2] == ("group", "twins-1"), "a name that is not taken"
    assert len(rows) == 7
    both = look(photos, decisions="more.csv")
    assert set(dataset.files) == set(both.files)
    with pytest.raises(SourceError, match="the decisions that were given are written into it, too"):
        write_proposal(dataset, Path("moves.csv"))


def test_groups_join_and_keep_parts(photos: Path) -> None:
    path = table(
        "cat/00.jpg,keep,,", "dog/01.jpg,group,tom,same dog", "dog/03.jpg,GROUP, tom ,", "cat/04.jpg,group,tom,"
    )
    dataset = look(photos, decisions=path)
    assert group(dataset, "cat/00.jpg") != group(dataset, "cat/copy.jpg"), "it was decided that they differ"
    assert not [finding for finding in dataset.findings if finding.kind == "near-duplicate"]
    assert group(dataset, "dog/01.jpg") == group(dataset, "dog/03.jpg") == group(dataset, "cat/04.jpg")
    assert group(dataset, "cat/02.jpg") == group(dataset, "dog/cat.jpg"), "the same pixels stay together all the same"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("cat/00.jpg,delete,,", "line 3: the action 'delete'"),
        ("cat/00.jpg,,,", "line 3: no action"),
        (",exclude,,", "line 3: no file"),
        ("cat/00.jpg,group,,", "line 3: no name for the group"),
        ("cat/00.jpg,exclude", "line 3: 2 cells, not 4"),
        ("dog/01.jpg,keep,,", "line 3: dog/01.jpg was decided otherwise above"),
    ],
)
def test_wrong_rows_are_named_with_their_line(row: str, fault: str) -> None:
    path = table("dog/01.jpg,exclude,,", row)
    with pytest.raises(SourceError) as refused:
        read_decisions(path)
    assert fault in refused.value.message


def test_a_file_that_is_not_there_is_named_with_its_line(photos: Path) -> None:
    path = table("dog/01.jpg,exclude,,", "dog/99.jpg,exclude,,")
    with pytest.raises(SourceError, match=r"line 3: 'dog/99\.jpg' is not there"):
        look(photos, decisions=path)


def test_other_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Expected the columns file, action, group, reason .* found path, target"):
        read_decisions(table(header="path,target"))
    with pytest.raises(SourceError, match=r"Expected decisions as a \.csv"):
        read_decisions("moves.jsonl")
    with pytest.raises(SourceError, match="cannot be read"):
        read_decisions(tmp_path / "none.csv")


def test_a_run_keeps_what_was_decided(photos: Path) -> None:
    path = table("cat/02.jpg,exclude,,", "dog/cat.jpg,exclude,,")
    size = {"input.height": 16, "input.width": 16}
    run = train(photos, decisions=path, net="4c3-gap", epochs=1, recipe="default", pretrained=False, out="run", **size)
    path.unlink()
    report = evaluate(run)
    assert report.data.images == 16
    assert report.data.findings["excluded"] == 2
    assert (run.path / "decisions.csv").read_bytes().startswith(b"file,action")
    (run.path / "decisions.csv").write_text("file,action\n")
    with pytest.raises(RunError, match="Expected the decisions that the run was trained with"):
        evaluate(Run(run.path))


def test_scores_without_twins(photos: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    for file in photos.rglob("*.jpg"):
        part = "test" if file.name in ("copy.jpg", "04.jpg", "05.jpg", "06.jpg", "07.jpg") else "train"
        _put(split / part / file.relative_to(photos), file.read_bytes())
    size = {"input.height": 16, "input.width": 16}
    run = train(split, net="4c3-gap", epochs=1, recipe="default", pretrained=False, out="run", **size)
    report = evaluate(run)
    apart = report.without_twins
    assert apart is not None
    assert (apart.images, apart.left_out) == (4, 1)
    assert apart.scores["accuracy"].n == 4
    assert report.scores["accuracy"].n == 5
    right = round(report.scores["accuracy"].value * 5)
    assert round(apart.scores["accuracy"].value * 4) in (right, right - 1)
    page = (run.report / "report.html").read_text()
    assert "One test image shows what an image that the network learned from shows, too" in page
    assert np.isclose(apart.scores["accuracy"].value * 4 % 1, 0)
