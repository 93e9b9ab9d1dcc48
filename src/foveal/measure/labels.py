"""How good the `labels` answer is: of every image, which of K labels are true, against K logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foveal.answers.deciding import temperature_of, tempered
from foveal.answers.labels import sigmoid, thresholds
from foveal.examples import Examples, Rated
from foveal.measure.baselines import label_set_baselines
from foveal.measure.calibration import calibration
from foveal.measure.costs import costs_of_sets
from foveal.measure.groups import Groups, groups_of
from foveal.measure.intervals import DRAWS, bounded, resampled, share_among
from foveal.measure.label import MOST_MISTAKES, label_scores
from foveal.measure.ranking import Ranking, auroc, average_precision
from foveal.measure.selective import operating_points
from foveal.measured import Measurement, Mistake, Score

__all__ = ["measure_label_sets", "rate_label_sets"]

QUANTITIES = ("map", "macro_auroc", "macro_f1", "micro_f1")


def measure_label_sets(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    """Scores, baselines, each label on its own and the most confident mistakes of logits (N, K).

    A cell that is not known counts nowhere. F1, precision and recall are at the thresholds of `settled`, 0.5 where it
    has none; a baseline has those that serve it best on the training images. `ece` is that of the probabilities of all
    known cells, of the labels that hold and of those that do not. What means over labels leave out: for
    `map` labels without an image that has them, for `macro_auroc` also those without one that has them not, for
    `macro_f1` those that are neither true nor predicted anywhere. The four have bootstrap intervals over images, drawn
    with `seed` (a nominal 95% held the truth 92 to 98 times in 100, that of `map` 85 times where each of 20 labels has
    9 of 300 images); for those of a label see `label_scores`, `average_precision` and `auroc`. Without test images
    there are no scores and no baselines, every support is 0 and nothing is raised.
    """
    if not len(test.files):
        return Measurement(scores={}, per_label={name: {"support": 0, "known": 0} for name in labels})
    truth = test.targets.reshape(len(test.files), len(labels))
    answers = {"": (outputs, settled), **label_set_baselines(test, train, labels, seed)}
    hits = {
        name: _Hits.of(tempered(logits, at), truth, thresholds(labels, at)) for name, (logits, at) in answers.items()
    }
    groups = groups_of(test.groups)
    found, precisions = _scores(hits, truth, seed, groups)
    scores = dict(zip(hits, found))
    own = scores.pop("")
    columns, probability = enumerate(labels), sigmoid(tempered(outputs, settled))
    known = np.where(np.isnan(truth), np.nan, 1.0)
    calibrated = None
    if (known == 1).any():
        before, after = known * sigmoid(outputs), known * probability
        calibrated = calibration(before, after, truth == 1, temperature_of(settled), seed, groups)
        own = {**own, "ece": calibrated.ece}

    def at_point(k: int) -> dict[str, Score]:
        return _at_point(truth[:, k], hits[""].said[:, k], groups)

    return Measurement(
        scores=own,
        baselines=scores,
        per_label={
            name: _one_label(outputs[:, k], truth[:, k], hits[""], k, precisions[k], groups) for k, name in columns
        },
        mistakes=_mistakes(probability, truth, hits[""].said, test.files, labels),
        calibration=calibrated,
        operating=operating_points(settled, lambda name: at_point(list(labels).index(name))),
        costs=costs_of_sets(probability, hits[""].said, truth, labels, settled, seed, groups),
    )


def _at_point(truth: np.ndarray, told: np.ndarray, groups: Groups) -> dict[str, Score]:
    """Of the images of which the label is known."""
    true, false = truth == 1, truth == 0
    shares = {
        "sensitivity": share_among(true, told, groups),
        "specificity": share_among(false, ~told, groups),
        "precision": share_among((true | false) & told, true, groups),
    }
    return {name: score for name, score in shares.items() if score}


def rate_label_sets(
    outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}
) -> Rated:
    """Of logits (N, K): the scores of `QUANTITIES`; of a label average precision, AUROC and F1."""
    truth = test.targets.reshape(len(test.files), len(labels))
    hits = _Hits.of(tempered(outputs, settled), truth, thresholds(labels, settled))

    def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        scores, columns = hits.parts(weights)
        return dict(zip(QUANTITIES, scores)), dict(zip(("ap", "auroc", "f1"), columns))

    return Rated(
        wrong=(~np.isnan(truth) & (hits.said != (truth == 1))).sum(axis=1).astype(np.float64),
        first=lambda weights: _mean(np.stack([ranking.under(weights)[0] for ranking in hits.rankings])),
        under=under,
        said=hits.said,
    )


@dataclass(frozen=True, eq=False)
class _Hits:
    """What is true and what was said, to be scored again for every resample.

    Args:
        rankings: one a label.
        said: (N, K) whether the label was given.
        right: (N, K) whether it was given and is true.
        involved: (N, K) whether it was given or is true, and known.
    """

    rankings: tuple[Ranking, ...]
    said: np.ndarray
    right: np.ndarray
    involved: np.ndarray

    @classmethod
    def of(cls, outputs: np.ndarray, truth: np.ndarray, at: np.ndarray) -> "_Hits":
        said, true = sigmoid(outputs) >= at, truth == 1
        rankings = tuple(Ranking.of(*column) for column in zip(outputs.T, truth.T))
        return cls(rankings, said, said & true, ~np.isnan(truth) & (said | true))

    def under(self, weights: np.ndarray) -> np.ndarray:
        """(4, R) `QUANTITIES` where image i counts weights[i, r] times; NaN where not defined."""
        return self.parts(weights)[0]

    def parts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """And what they are means of: (3, K, R) average precision, AUROC and F1 of each label."""
        precisions, areas = zip(*(ranking.under(weights) for ranking in self.rankings))
        right, involved = (cells.T.astype(np.float64) @ weights for cells in (self.right, self.involved))  # (K, R)
        with np.errstate(divide="ignore", invalid="ignore"):
            each, all_cells = _f1(right, involved), _f1(right.sum(axis=0), involved.sum(axis=0))
        columns = np.stack([np.stack(precisions), np.stack(areas), each])
        return np.stack([*map(_mean, columns), all_cells]), columns


def _mean(values: np.ndarray) -> np.ndarray:
    """(K, R) to (R,): over those labels where it is defined; NaN where it is for none."""
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=0) / defined.sum(axis=0)


def _scores(
    hits: dict[str, _Hits], truth: np.ndarray, seed: int, groups: Groups
) -> tuple[list[dict[str, Score]], np.ndarray]:
    """Of the network and of the baselines, over the same resamples; and (K, R) the network's average precision of each
    label in them."""
    n, labels = truth.shape
    parts: list[list[np.ndarray]] = [[] for _ in hits]
    precisions = []
    for weights in resampled(n, seed, DRAWS // labels, groups):
        for part, one in zip(parts, hits.values()):
            scores, columns = one.parts(weights)
            part.append(scores)
            if part is parts[0]:
                precisions.append(columns[0])
    labelled = (truth == 1).any(axis=1)
    least = max(1, int(labelled.sum()) if groups is None else len(np.unique(groups[labelled])))
    found = []
    for part, one in zip(parts, hits.values()):
        values, drawn = one.under(np.ones((n, 1)))[:, 0], np.concatenate(part, axis=1)
        rows = zip(QUANTITIES, values.tolist(), drawn)
        found.append(
            {name: bounded(value, of_drawn, n, least, groups) for name, value, of_drawn in rows if np.isfinite(value)}
        )
    return found, np.concatenate(precisions, axis=1)


def _one_label(
    outputs: np.ndarray, truth: np.ndarray, hits: _Hits, k: int, precisions: np.ndarray, groups: Groups
) -> dict[str, Score | int]:
    """
    Args:
        precisions: (R,) average precision in each resample.
    """
    known, true = ~np.isnan(truth), truth == 1
    row: dict[str, Score | int] = {}
    if true.any():
        ap = average_precision(hits.rankings[k])
        row["ap"] = ap if groups is None else _wider(ap, precisions, groups[true])
    if 0 < true.sum() < known.sum():
        row["auroc"] = auroc(outputs[known], true[known], None if groups is None else groups[known])
    return {**row, **label_scores(true, hits.said[:, k] & known, groups), "known": int(known.sum())}


def _wider(ap: Score, drawn: np.ndarray, groups: np.ndarray) -> Score:
    """Average precision over whole groups: as wide as the bootstrap's interval and as that of the images. With a few
    groups the bootstrap alone is somewhat too narrow: a nominal 95% held the truth 90 times in 100 with 12 groups.

    Args:
        drawn: (R,) it in each resample.
        groups: of the images that have the label.
    """
    own = groups_of(groups)
    if own is None:
        return ap
    found = bounded(ap.value, drawn, ap.n, int(own.max()) + 1, own)
    return replace(found, low=min(found.low, ap.low), high=max(found.high, ap.high), method="group-bootstrap")


def _mistakes(
    probability: np.ndarray, truth: np.ndarray, said: np.ndarray, files: Sequence[str], labels: Sequence[str]
) -> tuple[Mistake, ...]:
    """One an image: the wrong one that the network was surest of."""
    sure = np.where(~np.isnan(truth) & (said != (truth == 1)), np.where(said, probability, 1 - probability), -1.0)
    mistakes = []
    for row in map(int, np.argsort(-sure.max(axis=1), kind="stable")[:MOST_MISTAKES]):
        k = int(sure[row].argmax())
        if sure[row, k] >= 0:
            yes, no = labels[k], f"not {labels[k]}"
            true, told = (yes, no) if truth[row, k] == 1 else (no, yes)
            mistakes.append(Mistake(files[row], true, told, float(sure[row, k])))
    return tuple(mistakes)


def _f1(right: Any, involved: Any) -> Any:
    """F1 where `involved` cells are true or said to be so, and `right` of them both; arrays or numbers, none of them
    involving nothing."""
    return 2 * right / (involved + right)
