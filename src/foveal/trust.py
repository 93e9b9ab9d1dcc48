"""What a measurement says of how far its answers can be trusted, beside the scores. Plain, frozen."""

from dataclasses import dataclass
from typing import Any, Literal

from foveal.measured import Score

__all__ = ["Bin", "Calibration", "Costs", "Operating", "Selective", "Slice"]


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose probability lies in one stretch of 0 to 1.

    Args:
        low, high: ends of the stretch; the lower one is not in it.
        confidence: mean probability of these answers.
        share: of them that are right.
    """

    low: float
    high: float
    confidence: float
    share: Score


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether the probabilities are what they say: of answers given with 0.8, eight in ten right.

    Args:
        temperature: that the outputs are divided by; 1 where none was found.
        ece_before: expected calibration error of the outputs as they come.
        ece: the same, of the probabilities that `predict` gives.
        bins_before, bins: likewise; bins without an answer are left out.
    """

    temperature: float
    ece_before: Score
    ece: Score
    bins_before: tuple[Bin, ...]
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Operating:
    """What became of an operating point.

    Args:
        label: whose.
        quantity: that was to be so large (`sensitivity`, `specificity`, `precision`).
        wanted: how large.
        threshold: chosen on the validation images: on the probability of the label, or the score of its boxes.
        met: whether the validation images allow it.
        scores: `sensitivity`, `specificity` and `precision` on the test images; what is not defined is absent.
    """

    label: str
    quantity: str
    wanted: float
    threshold: float
    met: bool
    scores: dict[str, Score]


@dataclass(frozen=True, slots=True)
class Selective:
    """How the error falls when the network may stay silent where it is least sure.

    Args:
        errors: share of wrong answers among the surest 1, 2, … 100 in 100 of the test images.
        error: of all of them.
        error_at_80: of the surest 80 in 100.
        threshold: the probability below which `predict` gives no answer; None where it always gives one.
        wanted: what the threshold was chosen for: `coverage` or `risk`, and how large; empty without a threshold.
        met: whether the validation images allow it.
        answered: share of the test images that have an answer at the threshold.
        error_answered: share of wrong answers among these; None where there are none.
    """

    errors: tuple[float, ...]
    error: Score
    error_at_80: Score
    threshold: float | None = None
    wanted: dict[str, float] | None = None
    met: bool = True
    answered: Score | None = None
    error_answered: Score | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """What an image costs, on average, where the answer is the one that is expected to cost least.

    Args:
        mistakes: `true`, `answer` and `cost` of those that the user named; a mistake that is not named costs 1.
        abstain: what no answer costs; None where there always is one.
        constant: the label, or of several at once those, of the cheapest answer that is always the same.
        silent: whether that is no answer at all.
        mean: of the answers given.
        plain: of the likeliest label; of several at once of those with a probability of 0.5 or more.
        always: of the constant answer.
        saved: `plain` less `mean`, on the same images.
        saved_always: `always` less `mean`, likewise.
        answered: share of the test images that have an answer; None where all have.
        error_answered: share of wrong answers among these; None where there are none.
    """

    mistakes: tuple[dict[str, Any], ...]
    abstain: float | None
    constant: tuple[str, ...]
    silent: bool
    mean: Score
    plain: Score
    always: Score
    saved: Score
    saved_always: Score
    answered: Score | None = None
    error_answered: Score | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The first score on a part of the test images.

    Args:
        kind: what the images of the part have in common.
        name: which of the parts it is.
        images: how many there are.
        worse: its interval lies wholly on the worse side of the interval of all.
    """

    kind: Literal["size", "brightness", "group"]
    name: str
    images: int
    score: Score
    worse: bool
