"""What a part of an image, or its file, gives away of the label: cross-validated, without a network.

A network takes whatever tells the labels apart. Where the border, the colours or the form of the file tell them nearly
as well as the thing itself, it may learn those, and fail wherever they differ.

Source: Geirhos et al., "Shortcut learning in deep neural networks", Nature Machine Intelligence 2 (2020) 665-673, arXiv
2004.07780; the hospital that a network told from the margins of X-rays: Zech et al., PLOS Medicine 15 (2018) e1002683.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from foveal.measure.baselines import stratified
from foveal.measure.folds import folds_of
from foveal.measure.intervals import wilson
from foveal.measure.logistic import fit_logistic, logits_of
from foveal.measured import Score
from foveal.types import Finding

__all__ = [
    "MOST_IMAGES",
    "SHORTCUT",
    "SIDE",
    "VIEWS",
    "FileFacts",
    "Shortcuts",
    "chosen",
    "file_features",
    "find_shortcuts",
    "histogram",
    "name_pattern",
    "one_hot",
    "shortcut_findings",
    "views_of",
]

SHORTCUT = "shortcut"
MOST_IMAGES = 5_000
FOLDS = 5
SIDE, RING = 16, 2  # of the shrunk image that the views are cut from, and how wide the border is
TINY = 4
BINS = 16  # of a channel's histogram
MOST_WORDS = 30  # of a column of names; rarer ones are taken together
CLOSED = 0.5  # of the way from the majority to everything right, from which on a view tells too much
LEAST = 0.05  # that a view must be above the majority, whatever the way

VIEWS: dict[str, str] = {
    "border": "the outer eighth of the image at each side, the rest hidden",
    "centre": "the middle half of the width and height, the rest hidden",
    "without_centre": "the image with the middle half of the width and height hidden",
    "tiny": f"the image shrunk to {TINY} × {TINY} pixels",
    "colours": "how often each level of each colour is there, wherever that is",
    "file": "the form of the file: its size in bytes, width, height, colours, format, whether it has EXIF",
    "name": "the pattern of the file's name, digits taken as alike, the label itself taken out",
}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file is, whatever it shows.

    Args:
        size: in bytes.
        width, height: in pixels, as stored.
        mode: Pillow's word for how pixels are stored.
        format: `JPEG`, `PNG`, …
        exif: whether it has EXIF.
    """

    size: int
    width: int
    height: int
    mode: str
    format: str
    exif: bool


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How well each view tells the labels.

    Args:
        majority: of always saying the most frequent label.
        whole: of the whole image shrunk to 16 × 16 pixels, by the same method.
        views: name to accuracy, each image answered for by a regression that did not see it.
        images: that were taken, at most 5,000, drawn at random.
    """

    majority: Score
    whole: Score
    views: dict[str, Score]
    images: int

    def telling(self) -> tuple[str, ...]:
        """The views that tell too much."""
        return tuple(name for name, score in self.views.items() if self._tells(name, score))

    def _tells(self, name: str, score: Score) -> bool:
        """Far above the majority, with its whole interval: half of the way to everything right. Where the thing fills
        the image, its parts tell the label as well: so the border must tell no less than the centre, and what is
        larger, or coarse, no less than the whole."""
        limit = self.majority.value + max(LEAST, CLOSED * (1 - self.majority.value))
        rival = {"border": self.views["centre"], "without_centre": self.whole, "tiny": self.whole}.get(name)
        return name != "centre" and score.low >= limit and (rival is None or score.value >= rival.value)


def views_of(pixels: np.ndarray, histograms: np.ndarray) -> dict[str, np.ndarray]:
    """Name to (N, F) float features.

    Args:
        pixels: (N, 16, 16, C) uint8, the whole image shrunk.
        histograms: (N, H) shares.
    """
    inner = np.zeros((SIDE, SIDE), bool)
    inner[RING:-RING, RING:-RING] = True
    middle = np.zeros((SIDE, SIDE), bool)
    middle[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = True
    count, step = len(pixels), SIDE // TINY
    values = pixels.astype(np.float32)
    tiny = values.reshape(count, TINY, step, TINY, step, -1).mean(axis=(2, 4))
    return {
        "whole": values.reshape(count, -1),
        "border": values[:, ~inner].reshape(count, -1),
        "centre": values[:, middle].reshape(count, -1),
        "without_centre": values[:, ~middle].reshape(count, -1),
        "tiny": tiny.reshape(count, -1),
        "colours": histograms,
    }


def histogram(pixels: np.ndarray) -> np.ndarray:
    """(H,) of (h, w, C) uint8: the share of the pixels in each of 16 ranges of each channel."""
    levels = pixels.reshape(-1, pixels.shape[2]) // (256 // BINS)
    return np.concatenate([np.bincount(channel, minlength=BINS) / len(channel) for channel in levels.T])


def name_pattern(file: str, label: str) -> str:
    """A file's name, without its folder and its ending: digits as `0`, other runs of them as one, the label's own words
    taken out, so that `cat.17` of the label `cats` says nothing."""
    stem = PurePosixPath(file).stem.lower()
    for word in re.findall(r"[^\W\d_]{3,}", label.lower()):
        stem = re.sub(f"{re.escape(word.rstrip('s'))}s?", "", stem)
    return re.sub(r"\d+", "0", stem)


def file_features(facts: Sequence[FileFacts]) -> np.ndarray:
    """(N, F) of the form of the files."""
    numbers = np.array([(one.size, one.width, one.height) for one in facts], np.float64)
    size, width, height = np.log(np.maximum(numbers, 1)).T
    columns = [size, width, height, width - height, size - width - height]
    columns.append(np.array([one.exif for one in facts], np.float64))
    words = [one_hot([one.mode for one in facts]), one_hot([one.format for one in facts])]
    spread = np.stack(columns, axis=1)
    # In steps as well as in proportion: a size that one class alone has is no matter of more or less.
    steps = [one_hot([f"{one.width}×{one.height}" for one in facts])]
    return np.hstack([spread, *words, *steps])


def one_hot(words: Sequence[str]) -> np.ndarray:
    """(N, F) 1 where a word is the F-th most frequent; words that are rare, or many, share the last column."""
    common = [word for word, count in Counter(words).most_common(MOST_WORDS) if count > 1]
    place = {word: k for k, word in enumerate(common)}
    columns = np.array([place.get(word, len(common)) for word in words])
    return np.eye(len(common) + 1)[columns]


def find_shortcuts(views: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> Shortcuts:
    """The accuracy of logistic regression on each view, cross-validated in five parts that no group straddles.

    Args:
        views: name to (N, F); `whole` and `centre` must be among them.
        labels: (N,) int64; at least two of them.
        groups: (N,) int64, rows that stay together.
    """
    parts = folds_of(labels, groups, FOLDS, seed)
    scores = {name: _cross_validated(features, labels, parts) for name, features in views.items()}
    whole = scores.pop("whole")
    majority = wilson(int(np.bincount(labels).max()), len(labels))
    return Shortcuts(majority, whole, scores, len(labels))


def chosen(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """The rows that are taken: at most 5,000, each label's share kept."""
    return stratified(labels, MOST_IMAGES, seed)


def _cross_validated(features: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> Score:
    from threadpoolctl import threadpool_limits

    right = 0
    with threadpool_limits(1):
        for part in range(FOLDS):
            held, learned = parts == part, parts != part
            mean, spread = features[learned].mean(axis=0), features[learned].std(axis=0)
            standard = (features - mean) / np.where(spread > 1e-9, spread, 1)
            known, targets = np.unique(labels[learned], return_inverse=True)
            if len(known) > 1 and held.any():
                weights = fit_logistic(standard[learned], targets, len(known))
                said = known[logits_of(weights, standard[held]).argmax(axis=1)]
                right += int((said == labels[held]).sum())
            else:
                right += int((labels[held] == known[0]).sum()) if len(known) else 0
    return wilson(right, len(labels))


MEANS: dict[str, str] = {
    "border": "what lies around the thing tells the label: a background, a frame, a marker, the margin of one source",
    "without_centre": "what lies around the thing tells the label: a background, a marker, a way of framing",
    "tiny": "coarse light and shade tell the label as well as all details do: a background, or how bright one class is",
    "colours": "colours alone tell the label, wherever they are: fine where colour is the point, otherwise a camera, a "
    "light, or a way of scanning that one class has to itself",
    "file": "the form of the file tells the label: the classes come from different sources, and a network can see that "
    "in the pixels (sharpness, compression, shape)",
    "name": "the names of the files tell the label: the classes come from different sources, which may differ in the "
    "pixels, too",
}
REMEDY = (
    "Look at images of each class side by side. Bring all classes from the same sources, in the same form; or name the "
    "source of each image (--group-column), so that the test shows what is left where the source is a new one."
)


def shortcut_findings(found: Shortcuts) -> tuple[Finding, ...]:
    """One a view that tells too much."""
    findings = []
    for name in found.telling():
        score = found.views[name]
        told = f"{100 * score.value:.0f}% right from {VIEWS[name]}; always saying the most frequent label: "
        message = f"{told}{100 * found.majority.value:.0f}%. That is, {MEANS[name]}."
        facts = {"view": name, "accuracy": score.value, "low": score.low, "high": score.high}
        findings.append(Finding(SHORTCUT, (), message, REMEDY, {**facts, "majority": found.majority.value}))
    return tuple(findings)
