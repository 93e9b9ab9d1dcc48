"""What a part of an image, or its file, gives away of the answer: cross-validated, without a network.

A network takes whatever tells labels or values apart. Where the border, the colours or the form of the file tell them
nearly as well as the thing itself, it may learn those, and fail wherever they differ.

Source: Geirhos et al., "Shortcut learning in deep neural networks", Nature Machine Intelligence 2 (2020) 665-673, arXiv
2004.07780; the hospital that a network told from the margins of X-rays: Zech et al., PLOS Medicine 15 (2018) e1002683.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from foveal.measure.baselines import stratified
from foveal.measure.folds import folds_of
from foveal.measured import Score
from foveal.suspicion import Telling
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
LEAST = 0.05  # that a view must be above the constant answer, whatever the way

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
    """How well each view tells the answer.

    Args:
        how: it is told, and in which score.
        constant: the score of the best answer that is always the same.
        whole: of the whole image shrunk to 16 × 16 pixels, by the same method.
        views: name to score, each image answered for by a regression that did not see it.
        images: that were taken, at most 5,000, drawn at random.
        by_label: of several labels or values: `whole` and name of the view, to name of the label to its score.
    """

    how: Telling
    constant: Score
    whole: Score
    views: dict[str, Score]
    images: int
    by_label: dict[str, dict[str, Score]]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        scores = {"constant": self.constant, "whole": self.whole, "views": self.views, "by_label": self.by_label}
        return {"measured": self.how.measured, "images": self.images, **_plain(scores)}

    def telling(self) -> tuple[str, ...]:
        """The views that tell too much, of all labels or values together, or of one of them."""
        return tuple(name for name in self.views if self.tells(name) or self.told_by(name))

    def tells(self, view: str) -> bool:
        """Of all together."""
        return self._much(view, {"whole": self.whole, **self.views})

    def told_by(self, view: str) -> tuple[str, ...]:
        """The labels or values of which the view tells too much, the one that it tells most of first."""
        found = [
            (-score.value, label)
            for label, score in self.by_label.get(view, {}).items()
            if self._much(view, {name: scores[label] for name, scores in self.by_label.items() if label in scores})
        ]
        return tuple(label for _, label in sorted(found))

    def best_told(self, view: str) -> str | None:
        """The label or value that the view tells most of; None where there is only one."""
        scores = self.by_label.get(view, {})
        return max(scores, key=lambda label: scores[label].value) if scores else None

    def _much(self, view: str, scores: Mapping[str, Score]) -> bool:
        """Far above the constant answer, with its whole interval: half of the way to everything right. Where the thing
        fills the image, its parts tell the answer as well: so the border must tell no less than the centre, and what
        is larger, or coarse, no less than the whole."""
        start = self.constant.value
        limit = start + max(LEAST, self.how.much * (1 - start))
        rival = {"border": "centre", "without_centre": "whole", "tiny": "whole"}.get(view)
        score = scores[view]
        return view != "centre" and score.low >= limit and (rival is None or score.value >= scores[rival].value)


def _plain(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {name: asdict(one) if isinstance(one, Score) else _plain(one) for name, one in scores.items()}


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


def find_shortcuts(
    views: Mapping[str, np.ndarray],
    targets: np.ndarray,
    groups: np.ndarray,
    how: Telling,
    strata: np.ndarray | None = None,
    labels: Sequence[str] = (),
    seed: int = 0,
) -> Shortcuts:
    """How well a linear regression on each view tells the targets, cross-validated in five parts that no group
    straddles.

    Args:
        views: name to (N, F); `whole` and `centre` must be among them.
        targets: (N, …); they must not all be the same.
        groups: (N,) int64, rows that stay together.
        how: they are told.
        strata: (N,) int64, whose shares the parts keep; the targets themselves where they are numbers of labels.
        labels: the names of several labels or values.
    """
    from threadpoolctl import threadpool_limits

    parts = folds_of(targets if strata is None else strata, groups, FOLDS, seed)
    with threadpool_limits(1):
        outputs = {name: _cross_validated(features, targets, parts, how) for name, features in views.items()}
    told = {name: how.score(said, targets, seed) for name, said in outputs.items()}
    each = {name: {label: own for label, own in zip(labels, more) if own} for name, (_, more) in told.items()}
    scores = {name: score for name, (score, _) in told.items()}
    by_label = each if len(labels) > 1 and any(each.values()) else {}
    return Shortcuts(how, how.nothing(targets), scores.pop("whole"), scores, len(targets), by_label)


def chosen(strata: np.ndarray, seed: int = 0) -> np.ndarray:
    """The rows that are taken: at most 5,000, each stratum's share kept."""
    return stratified(strata, MOST_IMAGES, seed)


def _cross_validated(features: np.ndarray, targets: np.ndarray, parts: np.ndarray, how: Telling) -> np.ndarray:
    """(N, …) outputs."""
    said: list[tuple[np.ndarray, np.ndarray]] = []
    for part in np.unique(parts):
        held, learned = np.flatnonzero(parts == part), np.flatnonzero(parts != part)
        base = features[learned if len(learned) else held]
        mean, spread = base.mean(axis=0), base.std(axis=0)
        standard = (features - mean) / np.where(spread > 1e-9, spread, 1)
        said.append((held, how.outputs(standard[learned], targets[learned], standard[held])))
    rows = np.concatenate([held for held, _ in said])
    return np.concatenate([outputs for _, outputs in said])[np.argsort(rows)]


MEANS: dict[str, str] = {
    "border": "what lies around the thing tells {it}: a background, a frame, a marker, the margin of one source",
    "without_centre": "what lies around the thing tells {it}: a background, a marker, a way of framing",
    "tiny": "coarse light and shade tell {it} as well as all details do: a background, or how bright {one} is",
    "colours": "colours alone tell {it}, wherever they are: fine where colour is the point, otherwise a camera, a "
    "light, or a way of scanning that {one} has to itself",
    "file": "the form of the file tells {it}: {one} comes from a source of its own, and a network can see that "
    "in the pixels (sharpness, compression, shape)",
    "name": "the names of the files tell {it}: {one} comes from a source of its own, which may differ in the "
    "pixels, too",
}
REMEDY = (
    "Look at images of {one} beside others. Bring all images from the same sources, in the same form; or name the "
    "source of each image (--group-column), so that the test shows what is left where the source is a new one."
)


def shortcut_findings(found: Shortcuts) -> tuple[Finding, ...]:
    """One a view that tells too much. `facts` has the `view`, its score by name with `low` and `high`, that of the
    `constant` answer, and `labels`: those that it tells too much of, where there are several labels or values."""
    findings, how = [], found.how
    words = {"it": how.it, "one": how.one}
    for name in found.telling():
        score, labels = found.views[name], found.told_by(name)
        own = found.by_label.get(name, {})
        told = f"{how.shown(score.value)} from {VIEWS[name]}"
        if own:
            told = f"{how.shown(score.value)} on average over {len(own)} from {VIEWS[name]}"
        if labels:
            told += f", most of {labels[0]}: {how.shown(own[labels[0]].value)}"
        message = f"{told}; {how.constant}: {how.shown(found.constant.value)}. That is, {MEANS[name].format(**words)}."
        facts = {"view": name, how.measured: score.value, "low": score.low, "high": score.high}
        more = {"labels": list(labels)} if own else {}
        facts = {**facts, "constant": found.constant.value, **more}
        findings.append(Finding(SHORTCUT, (), message, REMEDY.format(**words), facts))
    return tuple(findings)
