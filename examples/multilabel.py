"""Draw squares, disks and bars, several on one image, name them in a table, and train on it.

Run: python examples/multilabel.py
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import foveal

SHAPES = {
    "square": lambda draw, x, y: draw.rectangle((x, y, x + 9, y + 9), fill=255),
    "disk": lambda draw, x, y: draw.ellipse((x, y, x + 10, y + 10), fill=255),
    "bar": lambda draw, x, y: draw.rectangle((x, y + 3, x + 12, y + 5), fill=255),
}


def scene(names: list[str], rng: np.random.Generator) -> Image.Image:
    """Each shape in a quarter of its own of 32×32 pixels."""
    image = Image.new("L", (32, 32), 30)
    for name, place in zip(names, rng.permutation(4)):
        x, y = 16 * (place % 2) + rng.integers(0, 4), 16 * (place // 2) + rng.integers(0, 5)
        SHAPES[name](ImageDraw.Draw(image), int(x), int(y))
    return image


rng = np.random.default_rng(0)
with tempfile.TemporaryDirectory() as folder:
    rows = []
    for number in range(600):
        names = [name for name in SHAPES if rng.random() < 0.5]
        scene(names, rng).save(Path(folder, f"{number:03}.png"))
        rows.append((f"{number:03}.png", "|".join(names)))
    with Path(folder, "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "target"), *rows])
    run = foveal.train(Path(folder, "labels.csv"), epochs=15)

report = foveal.Report.read(run.report / "report.json")
print(f"mean average precision {report.scores['map']}, macro F1 {report.scores['macro_f1']}")

answer = foveal.load(run)(scene(["disk", "bar"], rng))
print(f"a disk and a bar were called: {', '.join(sorted(answer.labels)) or 'nothing'}")
