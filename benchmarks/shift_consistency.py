"""What antialiased pooling does for the answers, and for the maps: runs on the same images, one beside another.

`python benchmarks/shift_consistency.py RUN RUN … [--source cifar10] [--images 2000]` prints two tables in Markdown:
the share of test images whose answer survives a shift, and how far each map is from moving with the image. It reads no
label.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import foveal
from foveal.bundle import Predictor
from foveal.examples import Examples
from foveal.explain import equivariance, shift_consistency

MAPS = 200  # images that maps are compared on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--source", default="cifar10")
    parser.add_argument("--images", type=int, default=2000)
    arguments = parser.parse_args()
    dataset = foveal.look(arguments.source)
    rows = np.sort(np.random.default_rng(0).permutation(dataset.rows("test"))[: arguments.images])
    predictors = [foveal.load(run) for run in arguments.runs]
    examples = [_examples(predictor, dataset, rows) for predictor in predictors]
    print(f"| of {len(rows)} test images, the answer is the same | {' | '.join(_net(one) for one in predictors)} |")
    print(f"| --- |{' --- |' * len(predictors)}")
    pairs = list(zip(predictors, examples))
    found = [shift_consistency(one.network.module, one.task, those, one.labels) for one, those in pairs]
    for kind, scores in found[0].scores.items():
        for number in range(len(scores)):
            cells = [str(one.scores[kind][number]) for one in found]
            print(f"| {kind}, {number + 1} px | {' | '.join(cells)} |")
    print(f"\n| equivariance error, {MAPS} images |{' | '.join(f' {far} px' for far in (1, 2, 3, 4))} |")
    print("| --- | --- | --- | --- | --- |")
    for predictor, those in pairs:
        pixels = torch.from_numpy(np.asarray(those.pixels)[:MAPS]).permute(0, 3, 1, 2).contiguous()
        errors: dict[str, list[str]] = {}
        for one in equivariance(predictor.network.module, pixels):
            errors.setdefault(one.layer, []).append(str(one.error))
        for layer, cells in errors.items():
            print(f"| `{layer}` | {' | '.join(cells)} |")


def _net(predictor: Predictor) -> str:
    return f"`{foveal.Run.open(predictor.origin).recipe.net}`"


def _examples(predictor: Predictor, dataset: foveal.Dataset, rows: np.ndarray) -> Examples:
    load, contract = predictor.task.reader.load, predictor.contract
    files = [dataset.files[int(row)] for row in rows]
    pixels = np.stack([load(dataset.source.read(file), contract)[0] for file in files])
    return Examples(files, pixels, np.zeros(len(files), np.int64))


if __name__ == "__main__":
    main()
