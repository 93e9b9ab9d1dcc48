"""What `curve` says: one schema, and its page, without scripts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from foveal.measure import ERRORS
from foveal.measure.intervals import LEVEL
from foveal.measure.learning_curve import Fitted, fitted
from foveal.report.words import named, number

__all__ = ["CurvePoint", "ExpectedScore", "LabelGain", "LearningCurve", "Needed", "Trained", "build_curve"]

FARTHER = (2, 4)  # times all images
SURE = 0.01  # p-value below which the law does not fit
MOST_IMAGES = 10**12  # more are none that anybody has


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CurvePoint(_Part):
    """One training."""

    share: float = Field(description="of the training images")
    images: int = Field(description="that it learned from")
    seed: int = Field(description="of the training, and of which images it got")
    score: float = Field(description="on the images held out")
    seconds: float = Field(description="that it took")


class ExpectedScore(_Part):
    """What the law says of a number of training images."""

    images: int = Field(description="to learn from")
    times: float = Field(description="as many as there are now")
    score: float = Field(description="of one training, measured on new images")
    low: float = Field(description="lower bound of the interval that holds it")
    high: float = Field(description="upper bound")
    measured: bool = Field(description="whether so many images were trained on; otherwise it is an extrapolation")


class LabelGain(_Part):
    """What twice the images would do for one label."""

    gain: float = Field(description="by how much its error falls, on average")
    low: float = Field(description="lower bound of the interval")
    high: float = Field(description="upper bound")
    most: float = Field(description="how often, of all resamples, it is the label that gains most")


class Needed(_Part):
    """Images for a score that was asked for."""

    score: float = Field(description="that was asked for")
    images: int | None = Field(description="that reach it on average; null where the law never gets there")
    low: int | None = Field(description="lower bound of the interval; null as before")
    high: int | None = Field(description="upper bound; null where it may never be reached")


class LearningCurve(_Part):
    """All of a curve.json."""

    version: Literal[1] = Field(default=1, description="of this schema")
    folder: str = Field(description="where it lies")
    task: str = Field(description="name of the task")
    score: str = Field(description="which score: the first that a report shows")
    label_score: str | None = Field(description="which score of a label; null where there is none")
    split: Literal["validation"] = Field(
        default="validation", description="images held out, that no training learned from and nothing was chosen on"
    )
    held_out: int = Field(description="how many images those are")
    images: int = Field(description="training images there are")
    points: list[CurvePoint] = Field(description="the trainings")
    law: dict[str, float] = Field(description="error(n) = a·(n / images)⁻ᵇ + c")
    misfit: float = Field(
        description="p-value of the F test for lack of fit; below 0.01 the trainings do not lie on such a law; 1 where "
        "no share was trained on twice"
    )
    level: float = Field(description="coverage of all intervals here")
    expected: list[ExpectedScore] = Field(description="the measured numbers of images, all of them, 2 and 4 times")
    gain: dict[str, float] = Field(
        description="what twice the images change of the error on average: `score`, and the bounds `low` and `high`"
    )
    labels: dict[str, LabelGain] = Field(description="label to what twice the images gain it, the largest first")
    needed: Needed | None = Field(
        default=None, description="images for the score that was asked for; null where none was"
    )
    notes: list[str] = Field(description="what a person should know of how it came about")
    words: str = Field(description="the answer in a few sentences")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return self.model_dump(mode="json")


@dataclass(frozen=True, eq=False)
class Trained:
    """One training of a learning curve, measured.

    Args:
        share: of the training images.
        images: that it learned from.
        seed: of the training, and of which images it got.
        seconds: that it took.
        scores: (1 + R,) as measured, then of R resamples of the images held out.
        labels: likewise of each label, (K, 1 + R).
        names: of the score, and of that of a label; empty where it has none.
    """

    share: float
    images: int
    seed: int
    seconds: float
    scores: np.ndarray
    labels: np.ndarray
    names: tuple[str, str]


def build_curve(
    points: Sequence[Trained],
    *,
    folder: str,
    task: str,
    labels: Sequence[str],
    images: int,
    held_out: int,
    reach: float | None,
    seed: int,
    notes: Sequence[str],
) -> LearningCurve:
    """The law of the points, and what it says.

    Args:
        labels: of all, in the order of the points' labels.
        images: training images there are.
        reach: a score to say the number of images for.
    """
    name, label_name = points[0].names
    falling, label_falling = (one in ERRORS for one in (name, label_name))
    sizes, scores, columns = zip(*((point.images, point.scores, point.labels) for point in points))
    errors = [score if falling else 1 - score for score in scores]
    law = fitted(sizes, errors, [one if label_falling else 1 - one for one in columns], images, seed)
    asked = sorted({*sizes, images, *(times * images for times in FARTHER)})
    found = LearningCurve(
        folder=folder,
        task=task,
        score=name,
        label_score=label_name or None,
        held_out=held_out,
        images=images,
        points=[
            CurvePoint(
                share=one.share, images=one.images, seed=one.seed, score=float(one.scores[0]), seconds=one.seconds
            )
            for one in points
        ],
        law={key: float(getattr(law.law, key)[0]) for key in ("a", "b", "c")},
        misfit=law.misfit,
        level=LEVEL,
        expected=[_expected(law, one, images, one <= max(sizes), falling) for one in asked],
        gain=dict(zip(("score", "low", "high"), law.gain(images, 2 * images))),
        labels=_label_gains(law, labels, images) if label_name else {},
        needed=None if reach is None else _needed(law, reach, falling),
        notes=list(notes),
        words="",
    )
    return found.model_copy(update={"words": _in_words(found)})


def _expected(law: Fitted, images: int, whole: int, measured: bool, falling: bool) -> ExpectedScore:
    value, low, high = law.expected(images)
    if not falling:
        value, low, high = 1 - value, max(0.0, 1 - high), 1 - low
    return ExpectedScore(images=images, times=images / whole, score=value, low=low, high=high, measured=measured)


def _label_gains(law: Fitted, labels: Sequence[str], images: int) -> dict[str, LabelGain]:
    gains, often = law.label_gains(images, 2 * images)
    found = {
        label: LabelGain(gain=one[0], low=one[1], high=one[2], most=float(share))
        for label, one, share in zip(labels, gains, often)
        if all(map(math.isfinite, one))
    }
    return dict(sorted(found.items(), key=lambda item: -item[1].gain))


def _needed(law: Fitted, reach: float, falling: bool) -> Needed:
    images, low, high = (
        math.ceil(one) if one < MOST_IMAGES else None for one in law.needed(reach if falling else 1 - reach)
    )
    return Needed(score=reach, images=images, low=low, high=high)


def _in_words(curve: "LearningCurve") -> str:
    """What twice the images would buy, and which label would gain most."""
    name, gain = curve.score, curve.gain
    now, twice = (next(one for one in curve.expected if one.times == times) for times in (1, 2))
    rises = "lower" if name in ERRORS else "raise"
    told = (
        f"Twice the training images ({twice.images:,} for {now.images:,}) would {rises} {named(name)} by "
        f"{number(gain['score'], name)} [{number(gain['low'], name)}, {number(gain['high'], name)}], to about "
        f"{number(twice.score, name)} [{number(twice.low, name)}, {number(twice.high, name)}]."
    )
    if gain["low"] <= 0:
        told += " That may be nothing."
    if curve.misfit < SURE:
        told = (
            "The trainings do not lie on a power law: do not trust what is said beyond them. Small shares may have had "
            f"too few steps; give more epochs, or leave them out. {told}"
        )
    first = next(iter(curve.labels.items()), None)
    if first and len(curve.labels) > 1:
        label, its = first
        gains = f"{number(its.gain, curve.label_score or '')} of {named(curve.label_score or '')}"
        sure = "" if its.most > 0.5 else ", though others may gain as much"
        told += f" {label} would gain most ({gains}; first in {its.most:.0%} of the resamples{sure})."
    if curve.needed:
        told += f" {_needed_in_words(curve.needed, name)}"
    return told


def _needed_in_words(needed: Needed, name: str) -> str:
    score = f"{named(name)} {number(needed.score, name)}"
    if needed.images is None:
        return f"No number of images like these reaches {score}, says the law: that takes another recipe."
    high = "no end" if needed.high is None else _rounded(needed.high)
    return (
        f"To reach {score} takes about {_rounded(needed.images)} training images [{_rounded(needed.low or 0)}, {high}]."
    )


def _rounded(images: int) -> str:
    """Two digits: an extrapolation has no more."""
    return f"{round(images, 2 - len(str(images))):,}"
