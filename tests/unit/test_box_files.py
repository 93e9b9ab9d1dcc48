"""Boxes drawn into copies of images, and written for other programs."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from foveal.answers import Box, BoxesPrediction, LabelPrediction
from foveal.api import drawing
from foveal.api.drawing import Boxed, Places, draw_boxes, kept
from foveal.cli import main
from foveal.data.box_files import Mark, MarkedImage, write_boxes
from foveal.errors import RecipeError, RunError
from foveal.run import Run
from foveal.task import FileAnswer
from foveal.tasks import TASKS

LABELS = ["cat", "dog"]
CAT, DOG = Mark("cat", (0, 0, 50, 40), 0.5), Mark("dog", (10.4, 20.5, 30.25, 60))
IMAGES = [MarkedImage("a/1.jpg", 100, 80, (CAT, DOG)), MarkedImage("2.png", 10, 10, ())]


def test_coco(tmp_path: Path) -> None:
    write_boxes(tmp_path / "found", IMAGES, LABELS, "coco")
    told = json.loads((tmp_path / "found/annotations.json").read_text())
    assert told["images"][0] == {"id": 1, "file_name": "a/1.jpg", "width": 100, "height": 80}
    assert told["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    cat = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 40], "area": 2000, "iscrowd": 0, "score": 0.5}
    assert told["annotations"][0] == cat
    assert told["annotations"][1]["bbox"] == [10.4, 20.5, 19.85, 39.5]
    assert "score" not in told["annotations"][1]
    write_boxes(tmp_path / "deep/one.json", IMAGES, LABELS, "coco")
    assert json.loads((tmp_path / "deep/one.json").read_text()) == told


def test_yolo(tmp_path: Path) -> None:
    names = ["cat", 'no: "x"', "\u2028\x85\t😀"]
    marks = tuple(Mark(name, (0, 0, 50, 40)) for name in names)
    write_boxes(tmp_path, [MarkedImage("a/1.jpg", 100, 80, marks), IMAGES[1]], names, "yolo")
    assert yaml.safe_load((tmp_path / "data.yaml").read_text())["names"] == dict(enumerate(names))
    assert (tmp_path / "labels/a/1.txt").read_text().splitlines()[
        1
    ] == "1 0.250000000 0.250000000 0.500000000 0.500000000"
    assert (tmp_path / "labels/2.txt").read_text() == ""


def test_voc_in_whole_pixels(tmp_path: Path) -> None:
    thin = Mark("a<b>&\x07", (10.4, 3, 10.45, 9))
    halves = Mark("cat", (1.5, 0.5, 2.5, 1.5))
    write_boxes(tmp_path, [MarkedImage("1.jpg", 100, 80, (DOG, thin, halves))], ["dog", thin.label, "cat"], "voc")
    root = ET.parse(tmp_path / "Annotations/1.xml").getroot()
    boxes = [[int(side.text or "") for side in box] for box in root.iter("bndbox")]
    assert boxes == [[11, 22, 30, 60], [11, 4, 11, 9], [3, 2, 3, 2]]
    assert [name.text for name in root.iter("name")] == ["dog", "a<b>&\ufffd", "cat"]
    assert root.findtext("size/height") == "80"


def test_json_lines(tmp_path: Path) -> None:
    write_boxes(tmp_path, IMAGES, LABELS, "json")
    first, second = map(json.loads, (tmp_path / "boxes.jsonl").read_text().splitlines())
    assert first["boxes"][0] == {"label": "cat", "score": 0.5, "xyxy": [0, 0, 50, 40]}
    assert second == {"file": "2.png", "width": 10, "height": 10, "boxes": []}


@pytest.mark.parametrize("form", ["coco", "yolo", "voc", "json"])
def test_nothing_is_overwritten(form: str, tmp_path: Path) -> None:
    for path in (tmp_path / "file", tmp_path / "folder", tmp_path / "one.json"):
        if path.name == "folder":
            path.mkdir()
        (path / "kept" if path.is_dir() else path).write_text("kept")
        with pytest.raises(RunError, match="nothing is overwritten"):
            write_boxes(path, IMAGES, LABELS, form)
    assert {path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == {"kept"}


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    for name in ("../1.png", "/1.png", "a/../../1.png", "..\\1.png"):
        with pytest.raises(RunError, match="below the folder"):
            write_boxes(tmp_path, [MarkedImage(name, 9, 9, ())], LABELS, "yolo")
    twins = [MarkedImage("1.png", 9, 9, ()), MarkedImage("1.jpg", 9, 9, ())]
    with pytest.raises(RunError, match=r"labels/1\.txt"):
        write_boxes(tmp_path, twins, LABELS, "yolo")
    with pytest.raises(ValueError, match="found cow"):
        write_boxes(tmp_path, [MarkedImage("1.png", 9, 9, (Mark("cow", (0, 0, 1, 1)),))], LABELS, "coco")
    with pytest.raises(ValueError, match="found 'csv'"):
        write_boxes(tmp_path, [], LABELS, "csv")
    assert not list(tmp_path.iterdir())


def test_boxes_are_drawn_where_they_are() -> None:
    boxes = [Box("cat", 0.9, (10, 30, 110, 70)), Box("dog", 0.8, (150.2, 50.9, 249.9, 80))]
    drawn = np.asarray(draw_boxes(np.full((80, 250, 1), 200, np.uint8), boxes, LABELS))
    assert drawn.shape == (80, 250, 3)
    orange, blue = (230, 159, 0), (86, 180, 233)
    for color, (x0, y0, x1, y1) in ((orange, (10, 30, 109, 69)), (blue, (150, 50, 249, 79))):
        rows, columns = np.nonzero((drawn == color).all(axis=2))
        assert (columns.min(), columns.max(), rows.max()) == (x0, x1, y1)
        assert (drawn[y1, x0 : x1 + 1] == color).all()
        assert (drawn[y0 : y1 + 1, x1] == color).all()
    assert (drawn[40:60, 20:50] == 200).all(), "nothing inside of a box"
    assert (drawn[:10] == 200).all()


def test_anything_can_be_drawn_on() -> None:
    deep = np.full((40, 30, 3), 65535, np.uint16)
    odd = [Box("cat", 1, (-5, -5, 900, 900)), Box("dog", 0, (29.9, 39.9, 30, 40)), Box("犬 " * 99, 0, (0, 0, 1, 1))]
    drawn = np.asarray(draw_boxes(deep, odd, [*LABELS, *map(str, range(20)), "犬 " * 99]))
    assert drawn.shape == (40, 30, 3)
    assert (drawn == 255).any()
    assert np.asarray(draw_boxes(np.zeros((1, 1, 3), np.uint8), odd[:2], LABELS)).shape == (1, 1, 3)


def answers(files: list[Path]) -> Generator[FileAnswer]:
    for k, file in enumerate(files):
        box = Box("cat", 0.75, (1, 2, 10 + k, 20))
        yield FileAnswer(str(file), None, "broken") if k == 1 else FileAnswer(str(file), BoxesPrediction((box,)))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "in" / name for name in ("b/1.jpg", "broken.png", "2.png", "3.webp", "b/4.txt")]
    for path, kind in zip(paths, ("JPEG", "PNG", "PNG", "WEBP", "JPEG"), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if kind == "JPEG" else 1
        Image.new("RGB", (60, 40), "white").save(path, kind, exif=exif)
    return paths


def test_answers_pass_through_and_are_kept(files: list[Path], tmp_path: Path) -> None:
    places = Places(tmp_path / "drawn", tmp_path / "found.json")
    passed = list(kept(answers(files), list(map(str, files)), LABELS, places))
    assert [answer.file for answer in passed] == list(map(str, files))
    drawn = {path.relative_to(tmp_path / "drawn").as_posix() for path in (tmp_path / "drawn").rglob("*.*")}
    assert drawn == {"b/1.jpg", "2.png", "3.webp.png", "b/4.txt.jpg"}
    with Image.open(tmp_path / "drawn/b/1.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (40, 60)), "upright"
        assert not image.getexif()
    with Image.open(tmp_path / "drawn/2.png") as image:
        assert image.getpixel((11, 19)) == (230, 159, 0)
    told = json.loads((tmp_path / "found.json").read_text())
    assert [(image["file_name"], image["width"]) for image in told["images"]] == [
        ("b/1.jpg", 40),
        ("2.png", 60),
        ("3.webp", 60),
        ("b/4.txt", 40),
    ]
    assert told["annotations"][0]["bbox"] == [1, 2, 9, 18]
    assert told["annotations"][0]["score"] == 0.75


def test_what_came_before_a_stop_is_written(files: list[Path], tmp_path: Path) -> None:
    places = Places(write=tmp_path / "found", form="voc")
    passing = kept(answers(files), list(map(str, files)), LABELS, places)
    next(passing)
    passing.close()
    assert [path.name for path in (tmp_path / "found/Annotations").rglob("*.xml")] == ["1.xml"]


def test_a_file_that_comes_twice_is_kept_once(files: list[Path], tmp_path: Path) -> None:
    twice = [files[0], files[1], files[0]]
    places = Places(tmp_path / "drawn", tmp_path / "found", "json")
    assert len(list(kept(answers(twice), list(map(str, twice)), LABELS, places))) == 3
    assert len((tmp_path / "found/boxes.jsonl").read_text().splitlines()) == 1


def run_of(task: str, path: Path) -> Run:
    path.mkdir()
    (path / "run.json").write_text(json.dumps({"task": task, "labels": LABELS}))
    return Run.open(path)


def test_what_cannot_be_kept_is_said_before(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/1.png").write_text("")
    Places(tmp_path / "new", tmp_path / "other").check(TASKS["detection"], tmp_path)
    with pytest.raises(
        RunError, match=r"a run whose answers are boxes, found one of classification \(one label an image\)"
    ):
        Places(tmp_path / "new").check(TASKS["classification"], tmp_path)
    with pytest.raises(RunError, match="nothing is overwritten"):
        Places(tmp_path / "full").check(TASKS["detection"], tmp_path)
    with pytest.raises(RunError, match="nothing is overwritten"):
        Places(write=tmp_path / "full").check(TASKS["detection"], tmp_path)
    for task, told in (("classification", "one label an image"), ("regression", "one value")):
        with pytest.raises(RunError, match=rf"Expected a table, NAME\.csv, for answers of {task} .*{told}.*a\.json"):
            Places(write=tmp_path / "a.json").check(TASKS[task], tmp_path)
    for name, form in (("a.txt", "coco"), ("a.json", "yolo"), ("a.TSV", "json")):
        with pytest.raises(RunError, match=rf"Expected a folder.* for boxes as {form}, found .*{name}") as refused:
            Places(write=tmp_path / name, form=form).check(TASKS["detection"], tmp_path)
        assert "NAME.csv), into one file (NAME.json or NAME.jsonl, as coco or json)" in refused.value.remedy
    Places(write=tmp_path / "found.v2", form="yolo").check(TASKS["detection"], tmp_path)
    with pytest.raises(RecipeError, match="found 'csv'"):
        Places(write=tmp_path / "new", form="csv").check(TASKS["detection"], tmp_path)


def test_what_can_be_drawn() -> None:
    assert isinstance(BoxesPrediction(()), Boxed)
    assert not isinstance(LabelPrediction("cat", 1.0, {"cat": 1.0}), Boxed)


def test_the_command(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("detection", tmp_path / "run")
    monkeypatch.setattr(drawing, "predict", lambda run, images, **options: answers(list(map(Path, images))))
    command = ["predict", str(run.path), str(tmp_path / "in"), "--json", "--write", str(tmp_path / "found")]
    with pytest.raises(SystemExit) as left:
        main([*command, "--format", "yolo", "--draw", str(tmp_path / "drawn")])
    said = capsys.readouterr()
    assert left.value.code == 1, "one file cannot be read"
    assert len(said.out.splitlines()) == 5
    assert f"wrote {tmp_path / 'drawn'}\nwrote {tmp_path / 'found'}\n" in said.err
    assert len(list((tmp_path / "found/labels").rglob("*.txt"))) == 4
    for form, code, message in (("yolo", 1, "is already there"), ("xml", 2, "'xml'")):
        with pytest.raises(SystemExit) as left:
            main([*command, "--format", form])
        assert left.value.code == code
        assert message in capsys.readouterr().err


def test_a_run_without_boxes_is_refused_before_it_predicts(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("regression", tmp_path / "run")
    monkeypatch.setattr(drawing, "predict", lambda *told, **options: pytest.fail("it predicted"))
    with pytest.raises(SystemExit) as left:
        main(["predict", str(run.path), str(tmp_path / "in"), "--draw", str(tmp_path / "drawn")])
    assert left.value.code == 1
    assert "Expected a run whose answers are boxes, found one of regression" in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()
