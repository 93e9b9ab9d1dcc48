"""From probabilities to decisions: a temperature, operating points, silence. numpy only; all of it is chosen on
validation images and kept in `settled`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.wishes import Aim, Wish

__all__ = [
    "FEWEST",
    "NO_WISH",
    "UNSURE",
    "abstention",
    "aimed",
    "binary_temperature",
    "refused",
    "silence",
    "temperature",
    "temperature_of",
    "tempered",
    "unsure",
]

FEWEST = 20  # images that a temperature can be found from
COOLEST, HOTTEST = 0.05, 20.0
FARTHEST = 100.0  # from 0: an output beyond it is as sure as one can be
STEPS = 50
UNSURE = "not sure enough"
NO_WISH = Wish()


def temperature_of(settled: Mapping[str, Any]) -> float:
    """That `settle` found; 1 where it found none, as in runs of before."""
    return float(settled.get("temperature", 1.0))


def tempered(outputs: np.ndarray, settled: Mapping[str, Any]) -> np.ndarray:
    """Outputs over the temperature, float64."""
    return outputs.astype(np.float64) / temperature_of(settled)


def temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """What to divide logits (N, K) by, so that softmax gives the targets (N,) the largest likelihood: calibration that
    leaves every label where it is. As if there were one image more, whose label nobody knows: else a handful of images
    that are all right would make the network certain.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, arXiv 1706.04599,
    section 4.2.
    """
    z = np.clip(logits.astype(np.float64), -FARTHEST, FARTHEST)
    n = len(z)
    unknown = 1 / (n + 1)
    wanted = float(((1 - unknown) * z[np.arange(n), targets] + unknown * z.mean(axis=1)).mean())

    def slope(beta: float) -> tuple[float, float]:
        p = np.exp(beta * z - (beta * z).max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        mean = (p * z).sum(axis=1)
        return float(mean.mean()) - wanted, float(((p * z**2).sum(axis=1) - mean**2).mean())

    return _coolest_to_hottest(slope)


def binary_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Likewise of sigmoids, one temperature for all columns of logits (N, K); targets are 1, 0 and NaN (not known)."""
    known = ~np.isnan(targets)
    z, truth = np.clip(logits[known].astype(np.float64), -FARTHEST, FARTHEST), targets[known]
    unknown = 1 / (len(z) + 1)
    wanted = float((z * ((1 - unknown) * truth + unknown / 2)).mean())

    def slope(beta: float) -> tuple[float, float]:
        p = np.exp(-np.logaddexp(0, -beta * z))
        return float((p * z).mean()) - wanted, float((p * (1 - p) * z**2).mean())

    return _coolest_to_hottest(slope)


def _coolest_to_hottest(slope: Any) -> float:
    """1 / β where the slope is 0: Newton's steps, halved into the bracket where they leave it. The negative
    log-likelihood is convex in β, so its slope rises; where it is 0 all along, the outputs say nothing: 1.

    Args:
        slope: β to the first and the second derivative of the negative log-likelihood.
    """
    low, high, beta = 1 / HOTTEST, 1 / COOLEST, 1.0
    if abs(slope(low)[0]) < 1e-12 and abs(slope(high)[0]) < 1e-12:
        return 1.0
    for _ in range(STEPS):
        first, second = slope(beta)
        low, high = (beta, high) if first < 0 else (low, beta)
        step = beta - first / second if second > 1e-300 else 0.0
        following = step if low < step < high else math.sqrt(low * high)
        if abs(following - beta) < 1e-9 * beta:
            break
        beta = following
    return 1 / beta


def aimed(scores: np.ndarray, positive: np.ndarray, total: int, aim: Aim, label: str) -> dict[str, Any]:
    """The threshold for an aim: JSON-ready, with whether validation allows it. From it on a thing is said to be so.

    One more image is counted, against the aim: of n the ⌈(n + 1) · value⌉-th decides, as in split conformal
    prediction, so that the next image, too, is on the right side as often as was asked; for precision one more that
    is wrong. Where several thresholds meet the aim, the one that costs least: the highest for sensitivity, the lowest
    for specificity and precision. Where none does, the nearest to it.

    Args:
        scores: (D,) from 0 to 1.
        positive: (D,) whether they are so.
        total: how many are so; more than `positive` says where some have no score at all.
    """
    order = np.argsort(-scores, kind="stable")
    falling, right = scores[order], positive[order].cumsum()
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.zeros(0, np.int64)
    said, right = last + 1, right[last] if len(falling) else last
    middles = (falling[last] + np.append(falling, 0.0)[last + 1]) / 2 if len(falling) else np.zeros(0)
    # None said to be so comes first, all last.
    above = (1 + falling[0]) / 2 if len(falling) and falling[0] < 1 else math.nextafter(1.0, 2.0)
    limits, said, right = np.append(above, middles), np.append(0, said), np.append(0, right)
    wrong, others = said - right, len(scores) - int(positive.sum())
    if aim.quantity == "sensitivity":
        reached, n = right / (total + 1), total
    elif aim.quantity == "specificity":
        reached, n = (others - wrong) / (others + 1), others
    else:
        reached, n = right / (said + 1), int(said[-1])
    good = np.flatnonzero(reached >= aim.value - 1e-12)
    met = len(good) > 0
    if not met:
        good = np.flatnonzero(reached >= reached.max() - 1e-12)
    best = good[0] if aim.quantity == "sensitivity" else good[-1]
    told = {"label": label, "quantity": aim.quantity, "value": aim.value}
    return {**told, "threshold": float(limits[best]), "met": met, "n": n}


def abstention(confidence: np.ndarray, right: np.ndarray, wish: Wish) -> dict[str, Any]:
    """The confidence from which on an answer is given: JSON-ready, with whether validation allows it.

    For a coverage, the share that is answered. For a risk, the largest coverage at which the share of wrong answers,
    one more wrong one counted, is no larger; where there is none, that at which it is smallest.

    Source: Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017, arXiv 1705.08500;
    their bound for a risk holds with a chosen probability, this holds on average, and the test images say how it did.

    Args:
        confidence: (N,) probability of the answer, N at least 1.
        right: (N,) whether it is right.
    """
    order = np.argsort(-confidence, kind="stable")
    falling, wrong = confidence[order], (~right[order]).cumsum()
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    answered, wrong = last + 1, wrong[last]
    if wish.coverage is not None:
        best, met = int(np.searchsorted(answered, round(wish.coverage * len(falling), 9))), True
    else:
        risk = (wrong + 1) / (answered + 1)
        good = np.flatnonzero(risk <= (wish.risk or 0) + 1e-12)
        met = len(good) > 0
        best = int(good[-1] if met else np.flatnonzero(risk <= risk.min() + 1e-12)[-1])
    limit = (falling[last[best]] + np.append(falling, 0.0)[last[best] + 1]) / 2
    return {"confidence": float(limit), **wish.as_dict(), "met": met, "n": len(falling)}


def unsure(confidence: float, settled: Mapping[str, Any]) -> bool | None:
    """Whether no answer is to be given; None where nothing was settled that could tell. What an image looks like
    (`look`) is judged afterwards, by `foveal.readers.familiarity`."""
    if "abstain" in settled:
        return confidence < settled["abstain"]["confidence"]
    return False if "at" in settled or "costs" in settled or "look" in settled else None


def silence(abstained: bool | None, reason: str) -> dict[str, Any]:
    """What a line of `predict` says of it; nothing where nothing was settled that could tell."""
    if abstained is None:
        return {}
    return {"abstained": abstained, "reason": reason} if abstained else {"abstained": abstained}


def refused(
    wish: Wish, labels: Sequence[str], *, silence: str = "", quantities: Sequence[str] = (), costs: str = ""
) -> None:
    """Refuse what of a wish has no meaning for an answer.

    Args:
        silence: why the answer cannot be withheld; empty where it can.
        quantities: that a label's operating point may have here; none: it can have no operating point.
        costs: why mistakes have no costs; empty where they have.

    Raises:
        ValueError: with the reason.
    """
    if wish.abstains and silence:
        raise ValueError(silence)
    if wish.cost and costs:
        raise ValueError(costs)
    for aim in wish.at:
        if not quantities:
            raise ValueError(f"an operating point ({aim}) is that of a label, and there is none here")
        if aim.quantity not in quantities:
            raise ValueError(f"expected {' or '.join(quantities)} here, found {aim}")
        if aim.label is not None and aim.label not in labels:
            raise ValueError(f"expected one of the labels ({', '.join(labels[:10])}), found {aim.label!r} in {aim}")
    named = [aim.label for aim in wish.at]
    if len(named) > len(set(named)):
        raise ValueError("a label can have one operating point, and was given two")
