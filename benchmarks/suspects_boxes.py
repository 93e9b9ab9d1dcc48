"""Wrong boxes planted in BCCD: how many of them `look --suspects` finds.

    FOVEAL_DATA=... FOVEAL_WEIGHTS=... python benchmarks/suspects_boxes.py [--minutes 5] [--share 0.05] [--repeats 1]

Needs bccd.zip in FOVEAL_DATA, and mobilenetv2_100.safetensors in FOVEAL_WEIGHTS. Four kinds of faults are planted, each
in a share of the boxes of its own, drawn with the seed: deleted; doubled (a second box of the same label, each edge
moved by up to 4% of the size); moved by 40 to 60% of its size in a random direction, within the image; its label
exchanged. What the annotators left out or drew wrong themselves counts as a false alarm.

A deleted box counts as found when a suspect of a missing box has an IoU of 0.5 or more with it, the others when a
suspect names the box that was changed (of doubled ones either), whatever its kind. By kind, that suspect is among the
first so many of the kind that fits as a tenth of all boxes; together, among the first so many of any kind as faults
were planted, or twice as many.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, busy_seconds, header, load_shown, logged, note, table, warn_if_busy

import foveal
from foveal.answers.detections import iou
from foveal.api import check_labels
from foveal.measure import wilson
from foveal.tasks import named_task
from foveal.types import Dataset, Finding

NAME = "suspects_boxes"
LOOKED_AT = 0.1  # of the number of boxes, the first of the suspects of a kind
JITTER = 0.04  # of a box's size, at most, that the edges of its double are moved by
MOVED = 0.4, 0.6  # of a box's size
TRIES = 20
KINDS = {
    "deleted": ("missing-box-suspect",),
    "doubled": ("doubled-box-suspect",),
    "moved": ("misplaced-box-suspect",),
    "swapped": ("label-suspect",),
}


@dataclass(frozen=True)
class Fault:
    """A planted one.

    Args:
        xyxy: of the box as it stands in the annotation, or stood there.
        other: likewise of its double.
    """

    kind: str
    file: str
    xyxy: tuple[float, ...]
    other: tuple[float, ...] = ()


def main() -> None:
    options = arguments(
        __doc__,
        ("--minutes", {"type": float, "default": 5.0, "help": "for each check (default 5)"}),
        ("--share", {"type": float, "default": 0.05, "help": "of the boxes, for each kind of fault (default 0.05)"}),
    )
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if "FOVEAL_DATA" not in os.environ:
        sys.exit("set FOVEAL_DATA to the folder with bccd.zip")
    warn_if_busy()
    whole = foveal.look(Path(os.environ["FOVEAL_DATA"], "bccd.zip"))
    report([note(checked(whole, seed, options.minutes, options.share), options.log) for seed in options.seeds])


def checked(whole: Dataset, seed: int, minutes: float, share: float) -> dict[str, Any]:
    """One record: plant, check, count."""
    dataset, faults = planted(whole, np.random.default_rng(seed), share)
    busy, start, own = busy_seconds(), time.monotonic(), time.process_time()
    told = check_labels(dataset, minutes=minutes, seed=seed)
    seconds, after = time.monotonic() - start, busy_seconds()
    others = None if busy is None or after is None else (after - busy - time.process_time() + own) / seconds
    boxes = sum(len(json.loads(cell)) for cell in dataset.cells)
    first = round(LOOKED_AT * boxes)
    found = np.array([ranks(fault, told.findings) for fault in faults]).reshape(-1, 2)
    kinds = {}
    for kind in KINDS:
        mine = np.array([fault.kind == kind for fault in faults])
        kinds[kind] = {
            "planted": int(mine.sum()),
            "first_of_kind": int((found[mine, 1] < first).sum()),
            **{name: int((found[mine, 0] < many).sum()) for name, many in budgets(faults, told.findings)},
        }
    result = {
        "boxes": boxes,
        "first": first,
        "suspects": {kind: sum(one.kind == names[0] for one in told.findings) for kind, names in KINDS.items()},
        "kinds": kinds,
        "measured": told.measured,
        "score": told.score.value,
        "net": told.net,
        "versions": {name: version(name) for name in ("foveal", "torch")},
    }
    told_time = {"seconds": round(seconds, 1), "others": None if others is None else round(max(0.0, others), 2)}
    of = {"contestant": "bccd", "seed": seed, "minutes": minutes, "share": share}
    return {"benchmark": NAME, **of, "result": result, **told_time}


def budgets(faults: list[Fault], findings: tuple[Finding, ...]) -> tuple[tuple[str, int], ...]:
    """How many suspects, the first of the ranking, somebody looks at."""
    return (
        ("first_tenth_of_suspects", round(len(findings) / 10)),
        ("as_many_as_planted", len(faults)),
        ("twice_as_many", 2 * len(faults)),
        ("all", len(findings)),
    )


def ranks(fault: Fault, findings: tuple[Finding, ...]) -> tuple[float, float]:
    """The first suspect that shows the fault: its rank among all, and among those of the kind that fits."""
    among_all, among_kind, place = np.inf, np.inf, 0
    for rank, finding in enumerate(findings):
        fits = finding.kind in KINDS[fault.kind]
        if finding.files[0] == fault.file and shows(finding, fault):
            among_all = min(among_all, rank)
            among_kind = min(among_kind, place if fits else np.inf)
        place += fits
    return among_all, among_kind


def shows(finding: Finding, fault: Fault) -> bool:
    named = np.array([finding.facts["xyxy"]])
    if fault.kind == "deleted":
        return finding.kind in KINDS["deleted"] and float(iou(named, np.array([fault.xyxy]))[0, 0]) >= 0.5
    told = [box for box in (fault.xyxy, fault.other) if box]
    return finding.kind not in KINDS["deleted"] and float(np.abs(named - np.array(told)).max(axis=1).min()) < 0.1


def planted(dataset: Dataset, rng: np.random.Generator, share: float) -> tuple[Dataset, list[Fault]]:
    """The dataset with each kind of fault in that share of its boxes, and the faults."""
    cells = [json.loads(cell) for cell in dataset.cells]
    places = [(row, k) for row, boxes in enumerate(cells) for k in range(len(boxes))]
    count = round(share * len(places))
    drawn = (places[one] for one in rng.permutation(len(places)).tolist())
    faults: list[Fault] = []
    changed: dict[tuple[int, int], list[list[Any]]] = {}
    for kind in KINDS:
        for _ in range(count):
            row, k, new = next(made(kind, dataset, cells, drawn, rng))
            shown = new[0] if new else cells[row][k]
            other = tuple(new[1][1:5]) if len(new) > 1 else ()
            faults.append(Fault(kind, dataset.files[row], tuple(shown[1:5]), other))
            changed[row, k] = new
    told = tuple(
        json.dumps([one for k, box in enumerate(boxes) for one in changed.get((row, k), [box])])
        for row, boxes in enumerate(cells)
    )
    task = named_task(dataset.task)
    targets = task.targets(told, dataset.labels)
    return replace(dataset, cells=told, targets=targets, strata=task.answer.strata(targets)), faults


def made(
    kind: str, dataset: Dataset, cells: list[list[Any]], drawn: Iterator[tuple[int, int]], rng: np.random.Generator
) -> Iterator[tuple[int, int, list[list[Any]]]]:
    """Of the boxes that are drawn those that can have such a fault: image, number, and what becomes of it."""
    for row, k in drawn:
        height, width = dataset.sizes[row].tolist()
        new = faulty(kind, cells[row][k], dataset.labels, (width, height), rng)
        if new is not None:
            yield row, k, new


def faulty(
    kind: str, box: list[Any], labels: tuple[str, ...], size: tuple[int, int], rng: np.random.Generator
) -> list[list[Any]] | None:
    """What becomes of a box; None where it cannot have such a fault."""
    label, *corners = box[:5]
    x0, y0, x1, y1 = corners
    wide, high = x1 - x0, y1 - y0
    if kind == "deleted":
        return []
    if kind == "swapped":
        others = [name for name in labels if name != label]
        return [[others[int(rng.integers(len(others)))], *corners]]
    if kind == "doubled":
        moves = rng.uniform(-JITTER, JITTER, 4) * (wide, high, wide, high)
        double = np.clip(np.array(corners) + moves, 0, [*size, *size]).round(1)
        return [box, [label, *double.tolist()]]
    for _ in range(TRIES):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(*MOVED)
        right, down = far * wide * np.cos(angle), far * high * np.sin(angle)
        moved = [x0 + right, y0 + down, x1 + right, y1 + down]
        if min(moved) >= 0 and moved[2] <= size[0] and moved[3] <= size[1]:
            return [[label, *np.round(moved, 1).tolist()]]
    return None


def report(records: list[dict[str, Any]]) -> None:
    header("Wrong boxes that were planted", records)
    for record in records:
        one = record["result"]
        lines = []
        for kind, row in (*one["kinds"].items(), ("together", together(one["kinds"]))):
            counts = [row[name] for name in ("first_of_kind", "as_many_as_planted", "twice_as_many", "all")]
            suspects = sum(one["suspects"].values()) if kind == "together" else one["suspects"][kind]
            shares = [shown(wilson(count, row["planted"])) for count in counts]
            tenth = str(row["first_tenth_of_suspects"])
            lines.append((kind, str(row["planted"]), str(suspects), *shares, tenth))
        told = f"seed {record['seed']}, {record['share']:.0%} of {one['boxes']:,} boxes for each kind; "
        told += f"{one['measured']} {one['score']:.3f} out of fold, {record['seconds']:.0f} s of "
        told += f"{60 * record['minutes']:.0f}, processors busy elsewhere {load_shown([record])}"
        first = f"first {one['first']} of its kind"
        titles = ("fault", "planted", "suspects", first, "first of all, as many as planted", "twice as many")
        table(told, (*titles, "all suspects", "in the first tenth of the suspects"), lines)


def together(kinds: dict[str, dict[str, int]]) -> dict[str, int]:
    return {name: sum(row[name] for row in kinds.values()) for name in next(iter(kinds.values()))}


def shown(score: Any) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


if __name__ == "__main__":
    main()
