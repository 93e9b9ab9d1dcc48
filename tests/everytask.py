"""What every task is tried on. A new task adds its image maker and its cells here."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foveal.task import Task
from foveal.wishes import Wish

__all__ = ["CELLS", "FAST", "MAKERS", "QUICK", "Rows", "refused", "with_what"]

Rows = dict[str, int]


def draw_labelled(root: Path, rows: Rows) -> Path:
    """Class folders: `{"train/dark": 8}` draws eight images; the label's brightness is what can be learned."""
    rng = np.random.default_rng(0)
    levels = {label: k for k, label in enumerate(sorted({Path(folder).name for folder in rows}))}
    for folder, count in rows.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            level = 40 + 160 * levels[Path(folder).name] / max(1, len(levels) - 1)
            pixels = np.clip(rng.normal(level, 20, (10, 10)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{i:03}.png")
    return root


def draw_boxes(root: Path, rows: Rows) -> Path:
    """Images with as many bright boxes as their label has for a number, and a table of the boxes beside them."""
    rng = np.random.default_rng(0)
    numbers = {label: k for k, label in enumerate(sorted({Path(folder).name for folder in rows}))}
    lines = ["path,label,xmin,ymin,xmax,ymax,split"]
    for folder, count in rows.items():
        split, _, label = folder.rpartition("/")
        (root / folder).mkdir(parents=True)
        for i in range(count):
            pixels = rng.normal(60, 20, (32, 32))
            file = f"{folder}/{i:03}.png"
            for k in range(numbers[label]):
                x, y = 2 + 14 * k, int(rng.integers(2, 18))
                pixels[y : y + 12, x : x + 12] += 150
                lines.append(f"{file},bright,{x},{y},{x + 12},{y + 12},{split}")
            if not numbers[label]:
                lines.append(f"{file},,,,,,{split}")
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / file)
    (root / "boxes.csv").write_text("\n".join(lines) + "\n")
    return root / "boxes.csv"


def draw_table(target: Callable[[int], object]) -> Callable[[Path, Rows], Path]:
    """The same images with a table beside them, its targets a function of the label's number."""

    def draw(root: Path, rows: Rows) -> Path:
        draw_labelled(root, rows)
        numbers = {label: k for k, label in enumerate(sorted({Path(folder).name for folder in rows}))}
        with (root / "labels.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", "target", "split"])
            for folder, count in rows.items():
                split, _, label = folder.rpartition("/")
                for i in range(count):
                    table.writerow([f"{folder}/{i:03}.png", target(numbers[label]), split])
        return root / "labels.csv"

    return draw


MAKERS: dict[str, Callable[[Path, Rows], Path]] = {
    "classification": draw_labelled,
    "regression": draw_table(lambda number: 31.5 + 10 * number),
    "multilabel": draw_table(lambda number: ["dark", "light|bright", "middle|bright"][number]),
    "detection": draw_boxes,
}
# Cells that are targets, and their columns, for what needs no images.
CELLS: dict[str, tuple[list[str], list[str]]] = {
    "classification": (["a", "b", "c"], []),
    "regression": (["1.5", "-2", "3e2"], ["age"]),
    "multilabel": (["a|b", "b", "c"], ["tags"]),
    "detection": (['[["a",0,0,2,2]]', "[]", '[["b",1,1,3,3],["c",0,0,1,1]]'], ["boxes"]),
}
QUICK = {
    "epochs": 2,
    "batch_size": 8,
    "net": "8c3same-mp2-r(8c3same:none-bn:relu)-16n-do0.3",
    "translate": 1,
    "save_every": 0.0,
}
# Everything that a step can depend on, and a last epoch that is a part of one.
FAST = {
    "epochs": 1.6,
    "batch_size": 8,
    "net": "w2:gelu-8c3same:none-mp2-bn:gelu-r(8c3same:none-bn)-gmp-do0.3",
    "init": "dirac",
    "norm_momentum": 0.4,
    "optimizer": "muon",
    "learning_rate": 0.05,
    "head_learning_rate": 0.2,
    "norm_learning_rate": 0.01,
    "schedule": "linear",
    "label_smoothing": 0.2,
    "flip": True,
    "translate": 1,
    "cutout": 3,
    "growth": [[0.3, 0.6], [0.8, 0.8]],
    "mirror_test": True,
    "save_every": 0.0,
}
# What a task's head and answer need instead.
OTHERWISE: dict[str, dict[str, Any]] = {
    "detection": {
        "net": "-".join(["8c3s2same"] * 4 + ["8c3s2same:none-bn:relu"]),
        "translate": 0,
        "label_smoothing": 0.0,
        "cutout": 0,
        "growth": [],
        "mirror_test": False,
        "crop": 0.5,
        "zoom": 1.5,
        "mosaic": 0.5,
        "colour": 0.2,
    },
}


def with_what(task: str, recipe: dict[str, Any]) -> dict[str, Any]:
    return {**recipe, **OTHERWISE.get(task, {})}


def refused(record: Task, wish: Wish, labels: tuple[str, ...]) -> str:
    try:
        record.answer.check(wish, labels)
    except ValueError as error:
        return str(error)
    return ""
