"""What any network must beat: guesses that need no network, given as outputs (N, K) and scored like a network's."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from foveal.answers import Labels, Value
from foveal.examples import Examples, PixelRows
from foveal.measure.colours import BINS, colours
from foveal.measure.logistic import fit_logistic, logits_of
from foveal.measure.nearest import nearest, said_label, said_labels, said_values
from foveal.measure.ridge import fit_ridge, values_of

__all__ = [
    "BASELINES",
    "LARGEST_SIDE",
    "MOST_IMAGES",
    "baseline_outputs",
    "label_set_baselines",
    "shrink",
    "standardised",
    "stratified",
    "value_baselines",
]

LARGEST_SIDE = 8
MOST_IMAGES = 10_000
MOST_CELLS = 140_000  # of images × labels, where there is a regression a label: some two seconds of one core
CHUNK = 1_000_000  # pixel values averaged at once: 4 MB as float32, which caches hold; 64 MB took twice as long

SHRUNK = f"the pixels of images shrunk to at most {LARGEST_SIDE} × {LARGEST_SIDE}"
FITTED = f"fitted to at most {MOST_IMAGES:,} training images"
BASELINES: dict[str, str] = {
    "majority": "always says the most frequent label of the training images",
    "prevalence": "gives every image the same probabilities, each label's share of the training images",
    "mean": "always says the mean of the training images",
    "mean_box": "draws one box in every image: the mean box of the label that has the most in the training images",
    "mean_boxes": "draws as many boxes of each label as a training image has on average, where those of the training "
    "images mostly are (the centres of k-means clusters)",
    "colour_histogram": f"regression on how much of the image each of {BINS[3]} colours, or {BINS[1]} grays, takes up "
    f"(the root of its share), wherever that is; {FITTED}",
    "nearest_pixels": f"says what is true of the training image that is nearest by {SHRUNK}, among at most "
    f"{MOST_IMAGES:,} of them: what knowing them by heart would give",
    "linear_pixels": f"logistic regression on {SHRUNK}, {FITTED}",
    "ridge_pixels": f"linear regression, with a penalty that it chooses itself, on {SHRUNK}, {FITTED}",
}


def baseline_outputs(test: Examples, train: Examples, labels: int, seed: int) -> dict[str, np.ndarray]:
    """Name of the baseline to its outputs (N, `labels`) on the test images, logits as a network gives.

    `majority` needs one training image, the others two labels among them; what cannot be fitted is left out.
    """
    from threadpoolctl import threadpool_limits

    counts = np.bincount(train.targets, minlength=labels)
    if not counts.any():
        return {}
    outputs = {"majority": np.tile(_log(counts / counts.sum()), (len(test.targets), 1))}
    if np.count_nonzero(counts) == 1:
        return outputs
    rows = stratified(train.targets, MOST_IMAGES, seed)
    (pixels, asked), hues = _views(train, test, rows)
    targets = train.targets[rows]
    # One thread: the products are so small that two gain little and on a busy machine lose a lot, and the sums come out
    # the same whatever the number of cores.
    with threadpool_limits(1):
        outputs["colour_histogram"] = _logistic(*hues, targets, labels)
        outputs["nearest_pixels"] = said_label(targets[nearest(pixels, asked)], labels)
        outputs["linear_pixels"] = _logistic(pixels, asked, targets, labels)
    return outputs


def _logistic(fitted: np.ndarray, measured: np.ndarray, targets: np.ndarray, labels: int) -> np.ndarray:
    """(N, `labels`) logits of the measured; minus infinity for labels that no target has."""
    known, numbers = np.unique(targets, return_inverse=True)
    outputs = np.full((len(measured), labels), -np.inf)
    outputs[:, known] = logits_of(fit_logistic(fitted, numbers, len(known)), measured)
    return outputs


def label_set_baselines(
    test: Examples, train: Examples, labels: Sequence[str], seed: int
) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """Name of the baseline to its logits (N, K) on the test images and to the thresholds that serve it best on the
    training images. Nothing without training images."""
    from threadpoolctl import threadpool_limits

    if not len(train.targets):
        return {}
    shares, answer = _log_odds(train.targets), Labels()
    most = min(MOST_IMAGES, max(1000, MOST_CELLS // len(shares)))
    rows = stratified(answer.strata(train.targets), most, seed)
    (pixels, asked), hues = _views(train, test, rows)
    targets = train.targets[rows]

    def settled(measured: np.ndarray, own: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        return measured, answer.settle(own, truth, labels)

    flat, flat_own = (np.tile(shares, (count, 1)) for count in (len(test.files), len(train.targets)))
    with threadpool_limits(1):
        return {
            "prevalence": settled(flat, flat_own, train.targets),
            "colour_histogram": settled(*_logistics(*hues, targets, shares), targets),
            "nearest_pixels": (said_labels(targets[nearest(pixels, asked)]), {}),
            "linear_pixels": settled(*_logistics(pixels, asked, targets, shares), targets),
        }


def _logistics(
    fitted: np.ndarray, measured: np.ndarray, targets: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A logistic regression a label, of the images of which it is known; the label's share where all are alike.

    Returns:
        (N, K) logits of the measured, and of those that were fitted.
    """
    outputs, own = np.tile(shares, (len(measured), 1)), np.tile(shares, (len(fitted), 1))
    for k, column in enumerate(targets.T):
        known = ~np.isnan(column)
        positive = column[known] == 1
        if 0 < positive.sum() < len(positive):
            weights = fit_logistic(fitted[known], positive.astype(np.int64), 2)
            for logits, features in ((outputs, measured), (own, fitted)):
                no, yes = logits_of(weights, features).T
                logits[:, k] = yes - no
    return outputs, own


def value_baselines(test: Examples, train: Examples, seed: int) -> dict[str, np.ndarray]:
    """Name of the baseline to its values (N, K) on the test images. Nothing without training images."""
    from threadpoolctl import threadpool_limits

    if not len(train.targets):
        return {}
    targets = train.targets.astype(np.float64)
    rows = stratified(Value().strata(train.targets), MOST_IMAGES, seed)
    (pixels, asked), (hues, hues_asked) = _views(train, test, rows)
    with threadpool_limits(1):
        return {
            "mean": np.tile(targets.mean(axis=0), (len(test.files), 1)),
            "colour_histogram": values_of(fit_ridge(hues, targets[rows]), hues_asked),
            "nearest_pixels": said_values(targets[rows][nearest(pixels, asked)]),
            "ridge_pixels": values_of(fit_ridge(pixels, targets[rows]), asked),
        }


Pair = tuple[np.ndarray, np.ndarray]


def _views(train: Examples, test: Examples, rows: np.ndarray) -> tuple[Pair, Pair]:
    """Of those training images and of all test images the shrunk pixels, by mean and spread of the former, and the
    roots of the shares of the colours, by their mean and one spread for all.

    A spread for each colour would make rare ones as loud as common ones: on CIFAR-10 three times the steps of the fit,
    and 0.29 right instead of 0.34. On the roots Euclidean distance is Hellinger's, which suits histograms.
    """
    (small, hues), (asked, hues_asked) = _seen(train.pixels, rows), _seen(test.pixels, np.arange(len(test.pixels)))
    hues, hues_asked = np.sqrt(hues), np.sqrt(hues_asked)
    middle = hues.mean(axis=0)
    spread = np.sqrt(((hues - middle) ** 2).mean()) or 1
    return standardised(small, asked), ((hues - middle) / spread, (hues_asked - middle) / spread)


def standardised(fitted: np.ndarray, measured: np.ndarray) -> Pair:
    """Both by the mean and spread of each column of the first; columns without a spread become 0 there."""
    mean, spread = fitted.mean(axis=0), fitted.std(axis=0)
    spread[spread == 0] = 1
    return (fitted - mean) / spread, (measured - mean) / spread


def stratified(targets: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` rows, ascending, drawn at random with each label's share kept; each label keeps one if it can."""
    order = np.random.default_rng(seed).permutation(len(targets))
    by_label = order[np.argsort(targets[order], kind="stable")]
    _, starts, counts = np.unique(targets[by_label], return_index=True, return_counts=True)
    rank = (np.arange(len(targets)) - np.repeat(starts, counts)) / np.repeat(counts, counts)
    return np.sort(by_label[np.argsort(rank, kind="stable")[:most]])


def shrink(pixels: np.ndarray | PixelRows, rows: np.ndarray | None = None) -> np.ndarray:
    """Images (N, H, W, C) averaged over areas to at most 8×8, flat: (N, h·w·C) float32, in pixel values."""
    return _seen(pixels, np.arange(len(pixels)) if rows is None else rows)[0]


def _seen(pixels: np.ndarray | PixelRows, rows: np.ndarray) -> Pair:
    """Shrunk pixels and `colours` of these rows, each of which is read once: they may come from the disk."""
    _, height, width, channels = pixels.shape
    down = _areas(height)
    across = np.kron(_areas(width).T, np.eye(channels, dtype=np.float32))  # (W·C, w·C)
    small = np.empty((len(rows), len(down) * across.shape[1]), np.float32)
    hues = np.empty((len(rows), BINS[channels]), np.float32)
    for part in _parts(len(rows), max(1, CHUNK // (height * width * channels))):
        block = pixels[rows[part]]
        hues[part] = colours(block)
        flat = block.reshape(-1, height, width * channels).astype(np.float32)
        small[part] = ((down @ flat).reshape(-1, width * channels) @ across).reshape(len(block), -1)
    return small, hues


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


def _log_odds(targets: np.ndarray) -> np.ndarray:
    """(K,) of each label's share of the images of which it is known; 0 where none is."""
    yes, no = (targets == 1).sum(axis=0), (targets == 0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(yes + no > 0, np.log(yes) - np.log(no), 0.0)
