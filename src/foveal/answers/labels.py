"""Several labels at once: which of them are true of an image, and how likely each is."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from foveal.answers.columns import quoted, texts_of
from foveal.answers.costs import price, priced, settled_label_costs
from foveal.answers.deciding import FEWEST as ENOUGH
from foveal.answers.deciding import NO_WISH, aimed, binary_temperature, refused, silence, tempered, unsure
from foveal.answers.label import NAMED, natural
from foveal.chosen import Chosen, no_boxes, number_of
from foveal.task import Link
from foveal.types import Geometry
from foveal.wishes import QUANTITIES, Wish

__all__ = ["THRESHOLD", "Labels", "LabelsPrediction", "sigmoid", "thresholds"]

THRESHOLD = 0.5
FEWEST = 5  # images with a label, and without, that a threshold can be found from
WRONG = 0.1  # share of the cells that may be no targets, and are then told as such
SEPARATORS = "|;,"
SURE_SEPARATORS = "|;"  # a comma stands in many texts that are one name
WORDS = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), 1.0),
    **dict.fromkeys(("0", "0.0", "false", "no"), 0.0),
    **dict.fromkeys(("", "nan", "-1", "-1.0", "u"), math.nan),
}


@dataclass(frozen=True, slots=True)
class LabelsPrediction:
    """The labels that hold.

    Args:
        labels: those whose probability is at or above their threshold, the likeliest first.
        probabilities: of all labels, 0 to 1, falling.
        abstained, reason: as of `LabelPrediction`.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]
    abstained: bool | None = None
    reason: str = ""

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(sorted(self.labels))

    def as_dict(self) -> dict[str, Any]:
        told = {"labels": list(self.labels), "probabilities": self.probabilities}
        return {**told, **silence(self.abstained, self.reason)}

    def rows(self) -> list[dict[str, str | float]]:
        """Those that hold, joined with `|`; and of every label its probability, in the order of the names."""
        return [{"labels": "|".join(self.labels)} | dict(sorted(self.probabilities.items()))]

    def __str__(self) -> str:
        return "  ".join(f"{name} {self.probabilities[name]:.3f}" for name in self.labels) or "(none)"


class Labels:
    """The `labels` answer: the head gives one logit a label; each becomes a probability of its own."""

    larger_is_better = True
    placed = False
    exclusive = False
    every_step = True
    link: Link = "sigmoid"

    def suits(self, cells: Sequence[str], columns: Sequence[str]) -> bool:
        """Several columns of yes, no and not known, where one row in ten may be something else; or a column of names,
        some cells of which hold several names joined by | or ;, a name twice on average at least."""
        if len(columns) > 1:
            return _are_flags(cells, len(columns))
        if not columns or not any(mark in cell for cell in cells for mark in SURE_SEPARATORS):
            return False
        separator = _separator(cells)
        names = [name for cell in cells for name in _names(cell, separator)]
        return len(names) >= 2 * len(set(names))

    def labels(self, cells: Sequence[str], columns: Sequence[str] = ()) -> tuple[str, ...]:
        """Several columns are the labels. Otherwise the names in the cells, in natural order, taken apart at the first
        of | ; and , that any cell has."""
        if len(columns) > 1:
            return tuple(columns)
        separator = _separator(cells)
        return tuple(sorted({name for cell in cells for name in _names(cell, separator)}, key=natural))

    def outputs(self, labels: Sequence[str]) -> int:
        return len(labels)

    def parse(self, cell: str, labels: Sequence[str]) -> np.ndarray:
        """(K,) float32: 1 yes, 0 no, NaN not known; of names, or of a JSON array of a text a label.

        Names are joined by |, ; or ,; those that are not named are not there, none in an empty cell. Of the texts
        `1`, `true` and `yes` say yes; `0`, `false` and `no` say no; an empty one, `nan`, `-1` and `u`, not known.

        Raises:
            ValueError: a name is none of `labels`, or a text none of these.
        """
        texts = _texts(cell, len(labels))
        if texts is not None:
            return np.array([_flag(name, text) for name, text in zip(labels, texts)], np.float32)
        known = set(labels)
        for found in ({cell.strip()}, *(set(_names(cell, separator)) for separator in SEPARATORS)):
            if found <= known:
                return np.array([name in found for name in labels], np.float32)
        more = ", …" if len(labels) > NAMED else ""
        told = f"{', '.join(labels[:NAMED])}{more}"
        raise ValueError(f"expected labels ({told}) joined by |, ; or a comma, found {quoted(cell)}")

    def stack(self, parsed: Sequence[np.ndarray]) -> np.ndarray:
        """(N, K) float32."""
        return np.array(parsed)

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """The rarest of the labels that an image has, K where it has none: shares of rare labels are those that a
        division loses first."""
        if not len(targets):
            return np.zeros(0, np.int64)
        positive = targets == 1
        images = np.where(positive, positive.sum(axis=0), len(targets) + 1)
        return np.where(positive.any(axis=1), images.argmin(axis=1), targets.shape[1]).astype(np.int64)

    def within(self, targets: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
        """All images, and of each these labels."""
        return np.ones(len(targets), bool), targets[:, :labels]

    def summary(self, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
        """`labels`: name to the number of images that have it; `known`: name to the number of which it is known."""
        columns = targets.reshape(len(targets), len(labels))
        counts = (columns == 1).sum(axis=0), (~np.isnan(columns)).sum(axis=0)
        return {kind: dict(zip(labels, count.tolist())) for kind, count in zip(("labels", "known"), counts)}

    def told(self, target: np.ndarray, labels: Sequence[str]) -> str:
        """The labels that it has, and how many are not known."""
        unknown = int(np.isnan(target).sum())
        has = ", ".join(compress(labels, (target == 1).tolist()))
        if unknown == len(labels):
            return "not known"
        return f"{has or 'no label'}{f' ({unknown} not known)' if unknown else ''}"

    def check(self, wish: Wish, labels: Sequence[str]) -> None:
        """An operating point a label, or costs of missing a label and of saying it wrongly.

        Raises:
            ValueError: it does not say whose it is, or images are to be left without an answer.
        """
        silent = (
            "with several labels at once each has a yes or no of its own: a coverage or a risk of them has no meaning"
        )
        refused(wish, labels, silence=silent, quantities=tuple(QUANTITIES))
        if price(wish.cost) is not None:
            raise ValueError(
                "with several labels at once each has a yes or no of its own: a price of no answer has no meaning"
            )
        priced(wish.cost, labels, pairs=False)
        for aim in wish.at:
            if aim.label is None:
                raise ValueError(f"expected LABEL:{aim} where several labels may be true at once, found {aim}")

    def settle(
        self, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str], wish: Wish = NO_WISH
    ) -> dict[str, Any]:
        """`temperature`, one for all labels, where 20 cells are known; `thresholds`: name to the probability from which
        on an image is said to have the label, where F1 on validation is largest; 0.5 where that has fewer than five
        images with the label, or without; `at` and `costs`: what is wished, whose thresholds take their place."""
        if not len(targets):
            return {}
        settled: dict[str, Any] = {}
        if (~np.isnan(targets)).sum() >= ENOUGH and np.ptp(np.nan_to_num(outputs)) > 0:
            settled = {"temperature": binary_temperature(outputs, targets)}
        probability = sigmoid(tempered(outputs, settled))
        found = dict(zip(labels, (_threshold(*column) for column in zip(probability.T, targets.T))))
        if wish.cost:
            settled["costs"], found = settled_label_costs(probability, targets, labels, wish.cost)
        points = []
        for aim in wish.at:
            k = list(labels).index(aim.label or labels[0])
            known, true = ~np.isnan(targets[:, k]), targets[:, k] == 1
            points.append(aimed(probability[known, k], true[known], int(true.sum()), aim, labels[k]))
            found[labels[k]] = points[-1]["threshold"]
        return {**settled, "thresholds": found, **({"at": points} if points else {})}

    def warp(self, target: np.ndarray, geometry: Geometry, height: int, width: int) -> np.ndarray:
        """Labels are the same wherever the image was moved."""
        return target

    def decode(
        self,
        outputs: np.ndarray,
        geometries: Sequence[Geometry | None],
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
    ) -> list[LabelsPrediction]:
        """Logits (B, K) to the labels at or above their thresholds."""
        probability = sigmoid(tempered(outputs, settled))
        order = np.argsort(-probability, axis=1, kind="stable")
        said = np.take_along_axis(probability >= thresholds(labels, settled), order, axis=1)
        values = np.take_along_axis(probability, order, axis=1)
        found, silent = [], unsure(1.0, settled)
        for numbers, there, falling in zip(order.tolist(), said.tolist(), values.tolist()):
            names = [labels[int(k)] for k in numbers]
            found.append(LabelsPrediction(tuple(compress(names, there)), dict(zip(names, falling)), silent))
        return found

    def columns(self, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> tuple[str, ...]:
        """`labels`, and every label in the order of the names."""
        return "labels", *sorted(labels)

    def choose(
        self,
        outputs: np.ndarray,
        geometry: Geometry | None,
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
        target: str | None = None,
        box: int | None = None,
    ) -> Chosen:
        """The label that is named, or the likeliest, whether or not it holds.

        Raises:
            ValueError: the target is none of them, or a box is asked for.
        """
        no_boxes(box)
        number = int(tempered(outputs, settled).argmax()) if target is None else number_of(target, labels)
        return Chosen(number, labels[number])

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """`macro_auroc`: the mean over labels of how often an image that has the label scores higher than one that has
        not, ties half; 0.5 where no label has both. No threshold is in it: those are found after training, and F1 at a
        probability of 0.5 says little of a network that is still sure of nothing."""
        found = [
            _auroc(column[true == 1], column[true == 0])
            for column, true in zip(outputs.T, targets.T)
            if (true == 1).any() and (true == 0).any()
        ]
        return {"macro_auroc": float(np.mean(found)) if found else 0.5}


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities in float64; infinities and large values are safe."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))


def thresholds(labels: Sequence[str], settled: Mapping[str, Any]) -> np.ndarray:
    """(K,) probabilities: those that `settle` found, otherwise 0.5."""
    found = settled.get("thresholds", {})
    return np.array([found.get(name, THRESHOLD) for name in labels], np.float64)


def _threshold(probability: np.ndarray, truth: np.ndarray) -> float:
    """Half way between two neighbouring probabilities (the lowest one's neighbour is 0), where F1 is largest; of equal
    ones the nearest to 0.5."""
    known = ~np.isnan(truth)
    probability, positive = probability[known], truth[known] == 1
    if min(positive.sum(), (~positive).sum()) < FEWEST:
        return THRESHOLD
    order = np.argsort(-probability, kind="stable")
    probability, right = probability[order], positive[order].cumsum()
    last = np.flatnonzero(np.append(probability[1:] != probability[:-1], True))  # of those with the same probability
    f1 = 2 * right[last] / (last + 1 + right[-1])
    middle = (probability[last] + np.append(probability, 0.0)[last + 1]) / 2
    best = middle[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - THRESHOLD).argmin()])


def _auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    negative = np.sort(negative)
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / 2 / len(negative))


def _separator(cells: Sequence[str]) -> str:
    return next((mark for mark in SEPARATORS if any(mark in cell for cell in cells)), SEPARATORS[0])


def _names(cell: str, separator: str) -> list[str]:
    return [name for text in cell.split(separator) if (name := text.strip())]


def _texts(cell: str, columns: int) -> list[str] | None:
    """The cells of several columns; None where it is one of names."""
    if columns < 2 or not cell.startswith("["):
        return None
    try:
        return texts_of(cell, columns)
    except ValueError:
        return None


def _flag(name: str, text: str) -> float:
    if text.lower() not in WORDS:
        raise ValueError(f"{name}: expected 1 or 0, yes or no, true or false, or nothing, found {quoted(text)}")
    return WORDS[text.lower()]


def _are_flags(cells: Sequence[str], columns: int) -> bool:
    flags: list[float] = []
    wrong = 0
    for cell, count in Counter(cells).items():
        try:
            flags += [WORDS[text.lower()] for text in texts_of(cell, columns)]
        except (ValueError, KeyError):
            wrong += count
    return wrong <= WRONG * len(cells) and not all(map(math.isnan, flags))
