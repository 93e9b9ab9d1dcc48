"""Answers as a table."""

import csv
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from foveal.answers import LabelPrediction, LabelsPrediction, ValuePrediction
from foveal.answers.boxes import Box, BoxesPrediction
from foveal.api.tabling import check_table, tabled
from foveal.errors import RunError
from foveal.task import FileAnswer
from foveal.tasks import TASKS

TOLD = ("abstained", "reason", "error")
LABEL = ("label", "probability")


def written(answers: Sequence[FileAnswer], path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    def given() -> Generator[FileAnswer]:
        yield from answers

    assert list(tabled(given(), path, columns)) == list(answers)
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        assert rows.fieldnames == ["file", *columns, *TOLD], "the same columns, whatever is on the images"
        return list(rows)


def without_silence(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    assert {row[name] for row in rows for name in TOLD} == {""}
    return [{name: cell for name, cell in row.items() if name not in TOLD} for row in rows]


def test_labels_silence_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    answers = [
        FileAnswer('a, "b"\n.png', LabelPrediction("cat", 0.1 + 0.2, {"cat": 0.3}, True, "unsure")),
        FileAnswer("c.png", None, "truncated"),
        FileAnswer("d.png", LabelPrediction("dog", 0.9, {"dog": 0.9}, False)),
    ]
    empty = {"label": "", "probability": "", "abstained": "", "reason": "", "error": ""}
    assert written(answers, tmp_path / "new" / "found.csv", LABEL) == [
        {
            **empty,
            "file": 'a, "b"\n.png',
            "label": "cat",
            "probability": repr(0.1 + 0.2),
            "abstained": "true",
            "reason": "unsure",
        },
        {**empty, "file": "c.png", "error": "truncated"},
        {**empty, "file": "d.png", "label": "dog", "probability": "0.9", "abstained": "false"},
    ]


def test_several_labels_and_values(tmp_path: Path) -> None:
    labels = FileAnswer("a", LabelsPrediction(("dog", "cat"), {"dog": 0.9, "cat": 0.6, "hat": 0.1}))
    columns = TASKS["multilabel"].answer.columns(("dog", "cat", "hat"))
    assert without_silence(written([labels], tmp_path / "labels.csv", columns)) == [
        {"file": "a", "labels": "dog|cat", "cat": "0.6", "dog": "0.9", "hat": "0.1"}
    ]
    values = FileAnswer("a", ValuePrediction({"age": 31.5, "size": 2.0}, {"age": (20.0, 40.0)}))
    columns = TASKS["regression"].answer.columns(("age", "size"), {"half_width": {"age": 10.0}})
    assert without_silence(written([values], tmp_path / "values.csv", columns)) == [
        {"file": "a", "age": "31.5", "age_low": "20.0", "age_high": "40.0", "size": "2.0"}
    ]


def test_a_row_a_box_and_one_of_an_image_without(tmp_path: Path) -> None:
    boxes = BoxesPrediction((Box("cell", 0.9, (1.0, 2.0, 3.0, 4.0)), Box("cell", 0.5, (5.0, 6.0, 7.0, 8.0))))
    columns = TASKS["detection"].answer.columns(("cell",))
    answers = [FileAnswer("a", boxes), FileAnswer("b", BoxesPrediction(()))]
    found = written(answers, tmp_path / "boxes.csv", columns)
    assert [(row["file"], row["box"], row["score"], row["right"]) for row in found] == [
        ("a", "1", "0.9", "3.0"),
        ("a", "2", "0.5", "7.0"),
        ("b", "", "", ""),
    ]


def test_columns_do_not_hang_on_the_images(tmp_path: Path) -> None:
    assert written([FileAnswer("a", None, "empty")], tmp_path / "unread.csv", LABEL)[0]["error"] == "empty"
    columns = TASKS["detection"].answer.columns(("cell",))
    assert columns == ("box", "label", "score", "left", "top", "right", "bottom")
    assert len(written([FileAnswer("a", BoxesPrediction(()))], tmp_path / "none.csv", columns)) == 1
    assert written([], tmp_path / "nothing.csv", LABEL) == []


def test_what_came_before_a_stop_is_kept(tmp_path: Path) -> None:
    def endless() -> Generator[FileAnswer]:
        while True:
            yield FileAnswer("a", LabelPrediction("cat", 1.0, {"cat": 1.0}))

    answers = tabled(endless(), tmp_path / "found.csv", LABEL)
    next(answers)
    next(answers)
    answers.close()
    assert (tmp_path / "found.csv").read_text() == (
        "file,label,probability,abstained,reason,error\na,cat,1.0,,,\na,cat,1.0,,,\n"
    )


def test_nothing_is_overwritten_and_a_table_is_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(RunError, match="already there"):
        check_table(tmp_path / "there.csv")
    with pytest.raises(RunError, match="Expected a file for a table"):
        check_table(tmp_path / "found.txt")
