"""What the data check found in a run's images, as its report shows it: twins, outliers, suspects."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foveal.api.checking import FEWEST as FEWEST_JUDGED
from foveal.phrasing import command
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset, Finding, Reading

__all__ = ["found_in"]

SHOWN = 6  # of each
NAMED, REASONS = 10, 10  # files of a reason for leaving them out, and such reasons
LEFT_OUT = ("unreadable", "wrong-target", "wrong-row", "missing-file", "contradicting-row", "wrong-name")
OPTIONS = {
    "target": "--target",
    "path": "--path-column",
    "split": "--split-column",
    "group": "--group-column",
    "pattern": "--target-pattern",
    "group_pattern": "--group-pattern",
    "group_level": "--group-level",
}


def found_in(run: Run, task: Task, dataset: Dataset) -> dict[str, Any]:
    """As `ReportFound`, JSON-ready."""
    from foveal.data.memo import recall_suspects

    suspects = recall_suspects(dataset) if task.suspicion else None
    judged = task.suspicion is not None and suspects is None and len(dataset) >= FEWEST_JUDGED
    return {
        "left_out": _left_out(run, dataset),
        "twins": _twins(task, dataset),
        "outliers": _outliers(task, dataset),
        "suspects": _suspects(task, dataset, suspects) if suspects else None,
        "suspects_command": _command(run, dataset, "--suspects") if judged else None,
    }


def _left_out(run: Run, dataset: Dataset) -> dict[str, Any] | None:
    lost = [finding for finding in dataset.findings if finding.kind in LEFT_OUT]
    if not lost:
        return None
    reasons = [
        {"kind": one.kind, "reason": one.message, "count": max(1, len(one.files)), "files": list(one.files[:NAMED])}
        for one in sorted(lost, key=lambda one: -len(one.files))
    ]
    count = sum(reason["count"] for reason in reasons)
    return {"count": count, "reasons": reasons[:REASONS], "command": _command(run, dataset, "--json")}


def _twins(task: Task, dataset: Dataset) -> dict[str, Any] | None:
    from foveal.data.telling import telling_pairs
    from foveal.data.twins import MOST_COMPARED

    if len(dataset) > MOST_COMPARED and not len(dataset.twins):
        return None
    pairs = telling_pairs(dataset, task.answer, SHOWN)
    return {
        **{name: getattr(pairs, name) for name in ("count", "same", "mirrored", "contrary", "test_images")},
        "shown": [
            {
                "images": [_image(task, dataset, row) for row in pair.rows],
                **{name: getattr(pair, name) for name in ("alike", "mirrored", "parted", "contrary")},
            }
            for pair in pairs.shown
        ],
    }


def _outliers(task: Task, dataset: Dataset) -> dict[str, Any] | None:
    from foveal.data.far import few, outliers

    found = outliers(dataset.findings)
    if not found and few(len(dataset) - dataset.twins.same):
        return None
    row_of = _rows_of([file for file, *_ in found[:SHOWN]], dataset)
    shown = [
        {**_image(task, dataset, row_of[file]), "said": told, "score": score} for file, score, told in found[:SHOWN]
    ]
    return {"count": len(found), "shown": shown}


def _suspects(task: Task, dataset: Dataset, told: Mapping[str, Any]) -> dict[str, Any]:
    findings: dict[str, Finding] = {}
    for finding in told["findings"]:
        findings.setdefault(finding.files[0], finding)  # the worst of each image
    row_of = _rows_of(list(findings)[:SHOWN], dataset)
    shown = []
    for file, row in row_of.items():
        finding = findings[file]
        about = {"said": finding.message, "score": finding.facts["score"], "boxes": _boxes(finding, dataset.sizes[row])}
        shown.append({**_image(task, dataset, row), **about})
    about = {name: told[name] for name in ("what", "targets", "wrong", "measured", "score", "notes")}
    return {**about, "count": len(told["findings"]), "shown": shown}


def _boxes(finding: Finding, size: np.ndarray) -> list[dict[str, Any]]:
    """The box that is doubted, and what was found instead of it, or where none is.

    Args:
        size: height and width of the image.
    """
    facts = finding.facts
    own, other = facts.get("xyxy"), facts.get("suggested_xyxy")
    given, suggested = facts.get("given"), facts.get("suggested")
    drawn = [("given", given, own), ("suggested", suggested, other)] if given else [("suggested", suggested, own)]
    height, width = size.tolist()
    sides = np.array([width, height, width, height])
    return [
        {"xyxy": np.clip(np.array(xyxy) / sides, 0, 1).round(4).tolist(), "label": label or "", "kind": kind}
        for kind, label, xyxy in drawn
        if xyxy
    ]


def _image(task: Task, dataset: Dataset, row: int) -> dict[str, Any]:
    target = task.answer.told(dataset.targets[row], dataset.labels)
    return {"file": dataset.files[row], "split": str(dataset.splits[row]) or None, "target": target}


def _rows_of(files: list[str], dataset: Dataset) -> dict[str, int]:
    """In the order of the files."""
    wanted = set(files)
    rows = {file: row for row, file in enumerate(dataset.files) if file in wanted}
    return {file: rows[file] for file in files}


def _command(run: Run, dataset: Dataset, option: str) -> str:
    """`foveal look` with that option, of these images, read as the run read them."""
    from foveal.data.memo import recall_task
    from foveal.tasks import TASKS

    parts = ["foveal", "look", dataset.source.spec]
    for name, value in Reading.of(run.info.get("reading", {})).as_dict().items():
        for one in value if isinstance(value, list) else [value]:
            parts += [OPTIONS[name], str(one)]
    by_itself = recall_task(dataset.source, tuple(TASKS))  # nothing is listed again only to find out
    parts += ["--task", dataset.task] if by_itself != dataset.task else []
    parts += ["--decisions", str(run.decisions)] if dataset.decisions else []
    return command(*parts, option)
