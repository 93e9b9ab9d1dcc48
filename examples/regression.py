"""Draw disks, write their radii into a table, train on it, and ask for the radius of a disk that the network never saw.

Run: python examples/regression.py
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import foveal


def disk(radius: float, rng: np.random.Generator) -> Image.Image:
    """One disk somewhere on 32×32 pixels."""
    image = Image.new("L", (32, 32), int(rng.integers(0, 60)))
    x, y = rng.uniform(radius, 32 - radius, 2)
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(image).ellipse(box, fill=int(rng.integers(150, 256)))
    return image


rng = np.random.default_rng(0)
with tempfile.TemporaryDirectory() as folder:
    rows = [(f"{number:03}.png", round(float(rng.uniform(3, 14)), 2)) for number in range(600)]
    for name, radius in rows:
        disk(radius, rng).save(Path(folder, name))
    with Path(folder, "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "radius"), *rows])
    run = foveal.train(Path(folder, "labels.csv"), epochs=15)

report = foveal.Report.read(run.report / "report.json")
print(f"mean absolute error {report.scores['mae']} pixels, always the mean: {report.baselines['mean']['mae']}")
print(f"share of 90% intervals that hold the truth: {report.scores['coverage']}")

answer = foveal.load(run)(disk(9.0, rng))
low, high = answer.intervals["radius"]
print(f"a disk of radius 9 was given {answer.values['radius']:.1f}, between {low:.1f} and {high:.1f}")
