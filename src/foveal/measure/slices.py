"""The first score on parts of the test images: a network that does well on the whole may fail on the dark ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from foveal.examples import Examples, PixelRows
from foveal.measure.meanings import ERRORS
from foveal.measured import Score
from foveal.task import Measure
from foveal.trust import Slice

__all__ = ["slices"]

FEWEST = 20  # images that a part must have to be scored
MOST_GROUPS = 12
THIRDS = {"size": ("smallest", "middle", "largest"), "brightness": ("darkest", "middle", "brightest")}
CHUNK = 10_000_000  # pixel values averaged at once

Kind = Literal["size", "brightness", "group"]


def slices(
    measure: Measure,
    outputs: np.ndarray,
    test: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any],
    name: str,
    whole: Score,
    sizes: np.ndarray,
    groups: Sequence[str | None],
) -> tuple[Slice, ...]:
    """Thirds by the size of the original image and by the brightness of what the net sees, and groups where the source
    has them: of many the largest. Parts of fewer than 20 images are left out, and so are thirds where
    the images do not differ.

    Args:
        measure: gives the same scores of a part as of all.
        name: of the score.
        whole: that of all test images.
        sizes: (N, 2) height and width of the original images.
        groups: (N,) names, None where an image has none.
    """
    none = Examples([], test.pixels[np.zeros(0, np.int64)], test.targets[:0])
    found = []
    for kind, part, rows in _parts(test, sizes, groups):
        some = test.among(rows)
        if kind == "group":  # it is about this one, whatever others are like: images of it are drawn
            some = replace(some, groups=None)
        score = measure(outputs[rows], some, none, labels, seed, settled).scores.get(name)
        if score is not None:
            worse = score.low > whole.high if name in ERRORS else score.high < whole.low
            found.append(Slice(kind, part, len(rows), score, worse))
    return tuple(found)


def _parts(test: Examples, sizes: np.ndarray, groups: Sequence[str | None]) -> Iterator[tuple[Kind, str, np.ndarray]]:
    numbers: dict[Kind, np.ndarray] = {
        "size": np.sqrt(sizes.astype(np.float64).prod(axis=1)),
        "brightness": _brightness(test.pixels),
    }
    for kind, values in numbers.items():
        unit = " px" if kind == "size" else " of 255"
        for word, rows in zip(THIRDS[kind], _thirds(values)):
            if len(rows) >= FEWEST:
                low, high = values[rows].min(), values[rows].max()
                yield kind, f"{word} third, {low:.0f} to {high:.0f}{unit}", rows
    named = {name: np.flatnonzero([group == name for group in groups]) for name in dict.fromkeys(groups) if name}
    for name, rows in sorted(named.items(), key=lambda pair: -len(pair[1]))[:MOST_GROUPS]:
        if FEWEST <= len(rows) < len(test.files):
            yield "group", name, rows


def _thirds(values: np.ndarray) -> list[np.ndarray]:
    """Row numbers of the lowest, the middle and the highest; those of one value stay together. None where there are no
    three parts."""
    if not len(values):
        return []
    edges = np.quantile(values, [1 / 3, 2 / 3])
    which = np.searchsorted(edges, values, side="left")
    parts = [np.flatnonzero(which == number) for number in range(3)]
    return parts if all(map(len, parts)) else []


def _brightness(pixels: np.ndarray | PixelRows) -> np.ndarray:
    """(N,) mean of all pixel values, 0 to 255."""
    step = max(1, CHUNK // int(np.prod(pixels.shape[1:])))
    starts = range(0, len(pixels), step)
    parts = [pixels[np.arange(start, min(start + step, len(pixels)))].mean(axis=(1, 2, 3)) for start in starts]
    return np.concatenate(parts) if parts else np.zeros(0)
