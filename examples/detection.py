"""Draw disks and squares, write where they are into a table, and train a detector on it.

Run: python examples/detection.py
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import foveal

# A small net, so that this takes half a minute on one core: maps of a half, a quarter, … a 32nd of the image's size.
NET = "-".join(f"{filters}c3s2same:none-bn:relu" for filters in (16, 24, 32, 48, 64))

rng = np.random.default_rng(0)
with tempfile.TemporaryDirectory() as folder:
    rows = []
    for number in range(240):
        image = Image.fromarray(rng.integers(0, 90, (64, 64, 3)).astype(np.uint8))
        draw = ImageDraw.Draw(image)
        for place in rng.permutation(4)[: rng.integers(1, 4)]:
            size, colour = int(rng.integers(12, 28)), tuple(rng.integers(120, 256, 3).tolist())
            x, y = (32 * int(half) + int(rng.integers(0, 32 - size)) for half in divmod(place, 2))
            name, shape = [("disk", draw.ellipse), ("square", draw.rectangle)][rng.integers(2)]
            shape((x, y, x + size - 1, y + size - 1), fill=colour)
            rows.append((f"{number:03}.png", name, x, y, x + size, y + size))
        image.save(Path(folder, f"{number:03}.png"))
    with Path(folder, "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "xmin", "ymin", "xmax", "ymax"), *rows])
    run = foveal.train(Path(folder, "boxes.csv"), net=NET, epochs=14)
    answer = foveal.load(run)(Path(folder, "000.png"))

report = foveal.Report.read(run.report / "report.json")
print(f"average precision at an overlap of a half: {report.scores['ap50']}")
for box in answer.boxes:
    print(f"{box.label} {box.score:.2f} at {', '.join(f'{side:.0f}' for side in box.xyxy)}")
