"""What a task says of its own targets: which look wrong, and how much a few numbers of an image tell of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from foveal.measured import Score
from foveal.types import Dataset, Finding, Geometry

__all__ = ["Suspected", "Suspicion", "Telling"]


@dataclass(frozen=True, eq=False)
class Suspected:
    """Targets that look wrong.

    Args:
        findings: one a suspect, the worst first; the facts of each have its `score`, 0 to 1.
        targets: that were judged: labels, or boxes.
        wrong: how many of them are wrong, as estimated; None where there is no estimate.
        measured: name of the score that says how good the networks were that judged.
        score: theirs, out of fold, against the targets as they are given.
        least: of that score, below which the networks say little.
    """

    findings: tuple[Finding, ...]
    targets: int
    wrong: float | None
    measured: str
    score: Score
    least: float = 0.3


@dataclass(frozen=True, eq=False)
class Suspicion:
    """How targets that look wrong are found, from what networks say of images that they did not learn from.

    Args:
        what: is judged, in the plural (`labels`, `boxes`).
        kept: raw outputs (B, …) of some images, and how they were mapped to the net's input where targets say where, to
            what is needed of each: the outputs of all images can be more than fits into memory.
        found: that of all images, in their order, and their targets, to what looks wrong; intervals are drawn with the
            seed.
    """

    what: str
    kept: Callable[[np.ndarray, Sequence[Geometry]], Sequence[np.ndarray]]
    found: Callable[[Sequence[np.ndarray], Dataset, int], Suspected]


@dataclass(frozen=True, eq=False)
class Telling:
    """How well a few numbers of each image (its colours, the form of its file) tell the targets.

    Args:
        measured: name of the score, which is 1 where all is told.
        it: what is told, in words (`the label`).
        one: what could have a source to itself, in words (`one class`).
        constant: the best answer that is always the same, in words.
        much: from which share of the way from that answer's score to 1 on too much is told.
        shown: a score, in words.
        outputs: (L, F) numbers, standardised, and (L, …) targets, both to be learned from, and (H, F) numbers of other
            images to (H, …) outputs for those.
        score: outputs for all images, each from a regression that did not see it, their targets and a seed to the score
            and, where there are several labels or values, that of each, None where it has no meaning.
        nothing: targets to the score of the answer that is always the same.
    """

    measured: str
    it: str
    one: str
    constant: str
    much: float
    shown: Callable[[float], str]
    outputs: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    score: Callable[[np.ndarray, np.ndarray, int], tuple[Score, Sequence[Score | None]]]
    nothing: Callable[[np.ndarray], Score]
