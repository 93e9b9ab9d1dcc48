"""What the data check found, shown in the report: twins in pairs, outliers, suspects."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

import foveal
from copies import jpeg, photo
from foveal.api.found import found_in
from foveal.cli.commands import app
from foveal.data.far import about_far, outliers
from foveal.data.memo import remember_suspects
from foveal.data.sources import open_source
from foveal.data.sources.folder import FolderSource
from foveal.data.telling import contradictory, telling_pairs
from foveal.errors import SourceError
from foveal.measure import wilson
from foveal.report import pictured, write_page
from foveal.report.names import file_name
from foveal.run import Run
from foveal.tasks import TASKS
from foveal.types import Dataset, Entry, Finding, Twins

NAN = np.nan
CUT = {f"test/cat/cut {row:02}.jpg": jpeg(photo(row, 48, 64))[:700] for row in range(12)}
BROKEN = {**CUT, "train/dog/<i>no_image</i>.jpg": b"<html>"}
HOSTILE = '<b onmouseover="alert(1)">&'


def dataset_of(
    targets: np.ndarray, splits: str, pairs: Sequence[tuple[int, int, float]], task: str = "classification"
) -> Dataset:
    """Nothing but columns.

    Args:
        splits: a letter an image: `t`, `v`, `e` (test).
        pairs: rows, and how alike they are.
    """
    names = {"t": "train", "v": "validation", "e": "test"}
    count = len(targets)
    links = np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2)
    alike = np.array([pair[2] for pair in pairs], np.float32)
    return Dataset(
        source=open_source("digits"),
        task=task,
        files=tuple(f"{row:02}.png" for row in range(count)),
        cells=("",) * count,
        targets=targets,
        strata=np.zeros(count, np.int64),
        groups=np.arange(count),
        splits=np.array([names[letter] for letter in splits], "<U10"),
        labels=("cat", "dog"),
        sizes=np.tile([60, 80], (count, 1)),
        channels=3,
        modes={},
        findings=(),
        fingerprint="ab" * 32,
        twins=Twins(links, alike, np.zeros(len(pairs), bool)),
    )


@pytest.mark.parametrize(
    ("task", "one", "other", "near", "same"),
    [
        ("classification", 0, 1, True, True),
        ("classification", 1, 1, False, False),
        ("multilabel", [1.0, 0.0], [1.0, 1.0], True, True),
        ("multilabel", [1.0, NAN], [1.0, 1.0], False, False),
        ("regression", [31.0], [32.0], False, True),
        ("regression", [31.0], [31.0], False, False),
        ("detection", [[0, 0, 9, 9, 1, 0.0]], [[0, 0, 9, 9, 0, 0.0]], False, True),
        ("detection", [[0, 0, 9, 9, 1, 0.0]], [[NAN] * 6], False, True),
        ("detection", [[NAN] * 6], [[NAN] * 6], False, False),
    ],
)
def test_which_targets_contradict_each_other(task: str, one: Any, other: Any, near: bool, same: bool) -> None:
    answer = TASKS[task].answer
    for pixels, expected in ((False, near), (True, same)):
        assert contradictory(answer, np.array([one]), np.array([other]), np.array([pixels])).tolist() == [expected]


def test_no_pairs_at_all() -> None:
    for targets in (np.zeros(3, np.int64), np.zeros((3, 2), np.float32), np.zeros((3, 4, 6), np.float32)):
        found = telling_pairs(dataset_of(targets, "tve", []), TASKS["classification"].answer, 6)
        assert (found.count, found.test_images, found.shown) == (0, 0, ())


def test_pairs_that_say_most_come_first() -> None:
    targets = np.array([0, 0, 1, 0, 1, 0, 1, 1])
    pairs = [(6, 7, 0.99), (0, 1, 0.98), (4, 5, 0.9), (2, 3, 0.85)]  # as `Twins` is: the most alike first
    found = telling_pairs(dataset_of(targets, "tteteetv", pairs), TASKS["classification"].answer, 3)
    assert [pair.rows for pair in found.shown] == [(2, 3), (4, 5), (7, 6)]
    assert [pair.parted for pair in found.shown] == [True, False, False]
    assert [pair.contrary for pair in found.shown] == [True, True, False]
    assert (found.count, found.same, found.contrary, found.test_images) == (4, 0, 2, 1)


def test_of_the_same_pixels_those_in_different_splits_are_shown() -> None:
    targets = np.array([0, 0, 0, 1, 0])  # 0 to 3 have the same pixels: test, test, train, and in train as a dog
    pairs = [(0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0), (0, 4, 0.9)]
    found = telling_pairs(dataset_of(targets, "eettv", pairs), TASKS["classification"].answer, 6)
    (pair,) = found.shown  # never two of the same pixels
    assert (pair.rows, pair.parted, pair.contrary, pair.alike) == ((0, 3), True, True, 1.0)
    assert (found.count, found.same, found.contrary, found.test_images) == (4, 3, 1, 2)


def test_a_twin_of_an_image_with_the_same_pixels_is_parted_too() -> None:
    pairs = [(0, 1, 1.0), (0, 2, 0.9)]  # 0 in train stands for 1 in test; 2 is in train
    (pair,) = telling_pairs(
        dataset_of(np.zeros(3, np.int64), "tet", pairs[1:]), TASKS["classification"].answer, 6
    ).shown
    assert (pair.rows, pair.parted) == ((0, 2), False)
    shown = telling_pairs(dataset_of(np.zeros(3, np.int64), "tet", pairs), TASKS["classification"].answer, 6).shown
    assert [(pair.rows, pair.parted) for pair in shown] == [((1, 0), True)]


def test_thousands_of_blank_images_are_one_pair() -> None:
    count = 3000
    pairs = [(0, row, 1.0) for row in range(1, count)]
    targets = np.arange(count, dtype=np.float32)[:, None]  # every value another
    found = telling_pairs(
        dataset_of(targets, "t" * (count - 1) + "e", pairs, "regression"), TASKS["regression"].answer, 6
    )
    (pair,) = found.shown
    assert (pair.rows[0], pair.parted, pair.contrary) == (count - 1, True, True)
    assert (found.count, found.contrary, found.test_images) == (count - 1, count - 1, 1)


@pytest.mark.parametrize(
    ("task", "target", "labels", "words"),
    [
        ("classification", 1, ("cat", "dog"), "dog"),
        ("multilabel", [1, 0, 1], ("sun", "sea", "sky"), "sun, sky"),
        ("multilabel", [0, NAN, 0], ("sun", "sea", "sky"), "no label (1 not known)"),
        ("multilabel", [NAN, NAN], ("sun", "sea"), "not known"),
        ("regression", [31], ("age",), "31"),
        ("regression", [31.5, -2], ("age", "turn"), "age 31.5, turn -2"),
        ("detection", [[0, 0, 9, 9, 1, 0], [5, 5, 9, 9, 1, 0], [NAN] * 6], ("cat", "dog"), "2 dog"),
        ("detection", [[NAN] * 6], ("cat", "dog"), "no box"),
    ],
)
def test_a_target_in_words(task: str, target: Any, labels: tuple[str, ...], words: str) -> None:
    assert TASKS[task].answer.told(np.array(target), labels) == words


@pytest.mark.parametrize("count", [3, 30])
def test_outliers_are_read_from_their_findings_however_many(count: int) -> None:
    far = [(str(row), 3.0 - row / 100, f"lighter than {row}%") for row in range(count)]
    entries = [Entry(f"{row}.png", "cat") for row in range(count)]
    findings = list(about_far(entries, [str(row) for row in range(count)], far, frozenset()))
    assert len(findings) == (3 if count == 3 else 1)
    other = Finding("leak", ("a", "b"), "the same pixels", "")
    assert outliers([other, *findings[::-1]]) == [
        (f"{row}.png", score, told) for row, (_, score, told) in enumerate(far)
    ]


def told_of(what: str, targets: int, wrong: float | None) -> dict[str, Any]:
    about = {"what": what, "targets": targets, "wrong": wrong, "measured": "accuracy"}
    return {**about, "score": asdict(wilson(50, 63)), "notes": ["give more --minutes"]}


def run_of(folder: Path, reading: dict[str, Any]) -> Run:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"reading": reading}))
    return Run(folder)


def test_the_command_reads_the_images_as_the_run_did(tmp_path: Path) -> None:
    reading = {"target": ["a b", "c"], "path": "f", "split": "s", "group": "g", "pattern": "^(?P<x>[0-9]+)_"}
    reading |= {"group_pattern": "(p[0-9]+)", "group_level": 2}
    data = dataset_of(np.zeros((40, 1), np.float32), "t" * 40, [], "regression")
    command = found_in(run_of(tmp_path / "run", reading), TASKS["regression"], data)["suspects_command"]
    assert "'^(?P<x>[0-9]+)_'" in command
    parts = shlex.split(command)[2:]
    look = typer.main.get_command(app).commands["look"]  # pyright: ignore[reportAttributeAccessIssue]
    told = look.make_context("look", parts).params
    assert told["suspects"] is True
    assert (told["source"], told["task"], told["group_level"]) == ("digits", "regression", 2)
    assert list(told["target"]) == ["a b", "c"]
    names = {"path": "path_column", "split": "split_column", "group": "group_column", "pattern": "target_pattern"}
    for name in ("path", "split", "group", "pattern", "group_pattern"):
        assert told[names.get(name, name)] == reading[name]


def test_suspected_boxes_lie_where_they_are(tmp_path: Path) -> None:
    targets = np.full((40, 1, 6), NAN, np.float32)
    data = dataset_of(targets, "t" * 40, [], "detection")
    facts = {"score": 0.9, "given": "cat", "suggested": "dog", "xyxy": [8, 6, 40, 30], "suggested_xyxy": [0, 0, 80, 60]}
    missing = {"score": 0.8, "given": None, "suggested": "dog", "xyxy": [40, 30, 90, 60]}
    findings = [
        Finding("label-suspect", ("01.png",), "box 1 (cat) looks like dog", "", facts),
        Finding("missing-box-suspect", ("02.png",), "dog was found here", "", missing),
    ]
    findings.append(Finding("label-suspect", ("01.png",), "box 2", "", facts))
    remember_suspects(data, findings, told_of("boxes", 7, None))
    found = found_in(run_of(tmp_path / "run", {}), TASKS["detection"], data)
    assert found["suspects_command"] is None
    one, other = found["suspects"]["shown"]
    assert one["boxes"] == [
        {"xyxy": [0.1, 0.1, 0.5, 0.5], "label": "cat", "kind": "given"},
        {"xyxy": [0, 0, 1, 1], "label": "dog", "kind": "suggested"},
    ]
    assert other["boxes"] == [{"xyxy": [0.5, 0.5, 1, 1], "label": "dog", "kind": "suggested"}]  # no larger than it
    assert (found["suspects"]["count"], found["suspects"]["targets"], one["target"]) == (3, 7, "no box")


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Sixty photographs; in train the pixels of a test image under another label, and a mirrored one; a blank one."""
    folder = tmp_path_factory.mktemp("photos")

    def put(name: str, content: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    for seed in range(60):
        part = ("train", "train", "test")[seed % 3]
        put(f"{part}/{('cat', 'dog')[seed // 3 % 2]}/{seed:02}.jpg", jpeg(photo(seed, 48, 64)))
    put("train/dog/twin.jpg", (folder / "test/cat/02.jpg").read_bytes())
    mirrored = Image.open(folder / "test/dog/05.jpg").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    put("train/dog/mirrored.jpg", jpeg(mirrored))
    put("test/cat/blank.jpg", jpeg(Image.new("RGB", (64, 48), "white")))
    for name, content in BROKEN.items():
        put(name, content)
    size = {"input.height": 16, "input.width": 16}
    return foveal.train(
        folder, net="4c3-gap", epochs=1, recipe="default", pretrained=False, out=folder.with_name("run"), **size
    )


def test_twins_and_outliers_are_shown(leaking: Run) -> None:
    report = foveal.Report.read(leaking.report / "report.json")
    assert report.found is not None
    assert report.found.twins is not None
    assert report.found.outliers is not None
    first, second = report.found.twins.shown
    assert [(image.file, image.split, image.target) for image in first.images] == [
        ("test/cat/02.jpg", "test", "cat"),
        ("train/dog/twin.jpg", "train", "dog"),
    ]
    assert (first.alike, first.contrary, first.parted) == (1.0, True, True)
    assert {image.file for image in second.images} == {"test/dog/05.jpg", "train/dog/mirrored.jpg"}
    assert (second.mirrored, second.contrary, second.parted) == (True, False, True)
    assert report.found.twins.test_images == 2
    blank = report.found.outliers.shown[0]
    assert (blank.file, blank.split, blank.target) == ("test/cat/blank.jpg", "test", "cat")
    assert blank.score is not None
    assert blank.score > 1
    page = (leaking.report / "report.html").read_text()
    assert "1 pair of images with the same pixels and 1 pair of near-duplicates, 1 of them mirrored." in page
    assert "2 test images have a twin in train or validation" in page
    assert '<strong class="worse">labels differ</strong>' in page
    assert 'alt="test: cat"' in page
    assert 'alt="train: dog"' in page
    assert f'alt="cat: {blank.said}"' in page
    assert "no picture" not in page
    assert {"train/dog/twin.jpg", "test/cat/blank.jpg"} <= pictured(report)
    assert foveal.Report.model_validate_json((leaking.report / "report.json").read_bytes()) == report


def test_files_that_are_left_out_are_named_with_the_reason(leaking: Run) -> None:
    report = foveal.Report.read(leaking.report / "report.json")
    assert report.found is not None
    left = report.found.left_out
    assert left is not None
    cut, other = left.reasons
    assert (left.count, cut.count, other.count) == (13, 12, 1)
    assert (cut.kind, cut.reason) == ("unreadable", "truncated: the file ends before the image does")
    assert cut.files == sorted(CUT)[:10]
    assert other.reason.startswith("not an image: ")
    assert other.files == ["train/dog/<i>no_image</i>.jpg"]
    assert left.command == f"foveal look {leaking.info['source']} --json"
    page = (leaking.report / "report.html").read_text()
    assert "13 files cannot be used and are left out: nothing was learned from them, and they are in no score." in page
    assert f"<code>{left.command}</code> names all of them." in page
    assert "<li>Truncated: the file ends before the image does (12 files)<br>" in page
    assert f"{file_name(sorted(CUT)[9])} and 2 more</small>" in page
    assert "(1 file)<br><small>train/<wbr>dog/<wbr>&lt;i&gt;no_<wbr>image&lt;/<wbr>i&gt;" in page
    assert foveal.look(leaking.info["source"]).findings[0].files == tuple(sorted(CUT)), "what the command prints"


def test_the_report_says_why_no_outliers_were_looked_for(leaking: Run, tmp_path: Path) -> None:
    report = foveal.Report.read(leaking.report / "report.json")
    assert report.found is not None
    assert report.found.twins is not None
    assert report.found.twins.same == 1

    def told(images: int) -> str:
        found = report.found.model_copy(update={"outliers": None})  # pyright: ignore[reportOptionalMemberAccess]
        data = report.data.model_copy(update={"images": images})
        write_page(report.model_copy(update={"found": found, "data": data}), {}, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text()

    reason = "49 different images are too few to say which look unlike the rest (50 are needed)"
    assert f"<h3>Images unlike the rest</h3>\n<p>They were not looked for: {reason}.</p>" in told(50)
    assert "Images unlike the rest" not in told(51)
    few = dataset_of(np.zeros(49, np.int64), "t" * 49, [])
    assert found_in(run_of(tmp_path / "run", {}), TASKS["classification"], few)["outliers"] is None


@pytest.mark.parametrize(
    ("name", "html"),
    [
        ("test/cats/IMG_2020-1.jpg", "test/<wbr>cats/<wbr>IMG_<wbr>2020-<wbr>1<b>.jpg</b>"),
        ("26_1__2017.jpg.chip.jpg", "26_<wbr>1__<wbr>2017.jpg<b>.chip.jpg</b>"),
        ("scan.nii.gz", "scan<b>.nii.gz</b>"),
        (r"a\b.PNG", r"a\<wbr>b<b>.PNG</b>"),
        ("no extension", "no extension"),
        (".hidden", ".hidden"),
        ("x.2024", "x.2024"),
        ("<b>&_.j<pg", "&lt;b&gt;&amp;_<wbr>.j&lt;pg"),
    ],
)
def test_where_a_line_may_end_in_the_name_of_a_file(name: str, html: str) -> None:
    assert file_name(name) == html.replace("<b>", '<span class="whole">').replace("</b>", "</span>")


def test_suspects_are_shown_once_somebody_has_looked(leaking: Run) -> None:
    before = (leaking.report / "report.html").read_text()
    source = leaking.info["source"]
    assert f"<code>foveal look {source} --suspects</code>" in before
    dataset = foveal.look(source)
    facts = {"score": 0.97, "given": "cat", "suggested": "dog"}
    finding = Finding("label-suspect", ("train/cat/00.jpg",), HOSTILE, "Look.", facts)
    remember_suspects(dataset, [finding], told_of("labels", 63, 1.2))
    report = foveal.evaluate(leaking)
    assert report.found is not None
    assert report.found.suspects is not None
    assert report.found.suspects_command is None
    assert [image.file for image in report.found.suspects.shown] == ["train/cat/00.jpg"]
    page = (leaking.report / "report.html").read_text()
    assert "1 suspect among 63 labels, judged by networks that did not learn from them (accuracy 0.794 [" in page
    assert "; about 1 is wrong, by estimate. A suspect is" in page
    assert "Give more --minutes." in page
    assert "&lt;b onmouseover=&#34;alert(1)&#34;&gt;&amp; (score&nbsp;0.97)" in page
    assert HOSTILE not in page


def test_images_that_cannot_be_read_again_are_told(leaking: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: FolderSource, file: str) -> bytes:
        raise SourceError(f"{file} is not there any more.")

    monkeypatch.setattr(FolderSource, "read", gone)
    report = foveal.evaluate(leaking)
    page = (leaking.report / "report.html").read_text()
    assert report.found is not None
    assert len(re.findall("no picture</div>", page)) >= 5
    assert "could not be read again, and have no picture here" in page
