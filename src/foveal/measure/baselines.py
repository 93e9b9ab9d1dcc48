"""What any network must beat: guesses that need no network, given as outputs (N, K) and scored like a network's."""

from collections.abc import Iterator

import numpy as np

from foveal.measure.logistic import fit_logistic, logits_of
from foveal.task import Examples, PixelRows

__all__ = ["BASELINES", "LARGEST_SIDE", "MOST_IMAGES", "baseline_outputs", "shrink", "stratified"]

LARGEST_SIDE = 8
MOST_IMAGES = 10_000
CHUNK = 1_000_000  # pixel values averaged at once: 4 MB as float32, which caches hold; 64 MB took twice as long

BASELINES: dict[str, str] = {
    "majority": "always says the most frequent label of the training images",
    "linear_pixels": (
        f"logistic regression on the pixels of images shrunk to at most {LARGEST_SIDE} × {LARGEST_SIDE}, "
        f"fitted to at most {MOST_IMAGES:,} training images"
    ),
}


def baseline_outputs(test: Examples, train: Examples, labels: int, seed: int) -> dict[str, np.ndarray]:
    """Name of the baseline to its outputs (N, `labels`) on the test images, logits as a network gives.

    `majority` needs one training image, `linear_pixels` two labels among them; what cannot be fitted is left out.
    """
    counts = np.bincount(train.targets, minlength=labels)
    outputs = {}
    if counts.any():
        outputs["majority"] = np.tile(_log(counts / counts.sum()), (len(test.targets), 1))
    if np.count_nonzero(counts) > 1:
        outputs["linear_pixels"] = _linear_pixels(test, train, labels, seed)
    return outputs


def _linear_pixels(test: Examples, train: Examples, labels: int, seed: int) -> np.ndarray:
    from threadpoolctl import threadpool_limits

    rows = stratified(train.targets, MOST_IMAGES, seed)
    fitted, measured = shrink(train.pixels, rows), shrink(test.pixels)
    mean, spread = fitted.mean(axis=0), fitted.std(axis=0)
    spread[spread == 0] = 1
    known, targets = np.unique(train.targets[rows], return_inverse=True)
    # One thread: the products are so small that two gain little and on a busy machine lose a lot, and the sums come out
    # the same whatever the number of cores.
    with threadpool_limits(1):
        weights = fit_logistic((fitted - mean) / spread, targets, len(known))
        logits = logits_of(weights, (measured - mean) / spread)
    outputs = np.full((len(measured), labels), -np.inf)
    outputs[:, known] = logits
    return outputs


def stratified(targets: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` rows, ascending, drawn at random with each label's share kept; each label keeps one if it can."""
    order = np.random.default_rng(seed).permutation(len(targets))
    by_label = order[np.argsort(targets[order], kind="stable")]
    _, starts, counts = np.unique(targets[by_label], return_index=True, return_counts=True)
    rank = (np.arange(len(targets)) - np.repeat(starts, counts)) / np.repeat(counts, counts)
    return np.sort(by_label[np.argsort(rank, kind="stable")[:most]])


def shrink(pixels: np.ndarray | PixelRows, rows: np.ndarray | None = None) -> np.ndarray:
    """Images (N, H, W, C) averaged over areas to at most 8×8, flat: (N, h·w·C) float32, in pixel values."""
    _, height, width, channels = pixels.shape
    down = _areas(height)
    across = np.kron(_areas(width).T, np.eye(channels, dtype=np.float32))  # (W·C, w·C)
    if rows is None:
        rows = np.arange(len(pixels))
    small = np.empty((len(rows), len(down) * across.shape[1]), np.float32)
    for part in _parts(len(rows), max(1, CHUNK // (height * width * channels))):
        block = pixels[rows[part]].reshape(-1, height, width * channels).astype(np.float32)
        small[part] = ((down @ block).reshape(-1, width * channels) @ across).reshape(len(block), -1)
    return small


def _areas(size: int) -> np.ndarray:
    """(min(size, 8), size) weights; each row averages one of the equal stretches that a side is cut into."""
    count = min(size, LARGEST_SIDE)
    edges = np.arange(count + 1) * size / count
    pixel = np.arange(size)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (np.maximum(covered, 0) * count / size).astype(np.float32)


def _parts(length: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, length, step))


def _log(shares: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(shares)
