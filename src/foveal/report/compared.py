"""What `compare` and `train --repeats` say: one schema for all tasks, and the answers in words."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from foveal.measure import ERRORS
from foveal.measure.paired import Difference
from foveal.report.words import named, number

__all__ = [
    "ChangedImage",
    "ComparedLabel",
    "ComparedNetworks",
    "ComparedRecipes",
    "ComparedScore",
    "Comparison",
    "RepeatedScore",
    "Repeats",
    "networks_in_words",
    "recipes_compared",
    "recipes_in_words",
    "repeats_in_words",
    "verdict",
]

FEWEST_SEEDS = 5  # recommended


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return self.model_dump(mode="json")


class ComparedScore(_Part):
    """A score of both, and their difference: the second less the first."""

    first: float = Field(description="of the first network, or the mean of the first series")
    second: float = Field(description="of the second")
    value: float = Field(description="`second` less `first`")
    low: float = Field(description="lower bound of the interval of `value`")
    high: float = Field(description="upper bound")
    level: float = Field(description="coverage of the interval")
    p: float = Field(description="how often chance alone makes so large a difference where there is none; two-sided")
    n: int = Field(description="images (groups of them where they belong together), or trainings, that it rests on")
    method: str = Field(
        description="`tango` (its p is McNemar's, mid-p), `bootstrap`, `welch`, or `welch, bootstrap`: the variances "
        "of seeds and images together"
    )

    @classmethod
    def of(cls, difference: Difference) -> "ComparedScore":
        return cls(**asdict(difference))


class ComparedLabel(ComparedScore):
    """A label's score of both networks."""

    differs: bool = Field(description="whether it differs, all labels being asked about at once (Holm 1979)")


class ChangedImage(_Part):
    """An image whose answer is right in one network and wrong in the other, or wrong by less or more."""

    file: str = Field(description="as the first run's source names it")
    truth: str = Field(description="as the source has it")
    first: str = Field(description="what the first network says")
    second: str = Field(description="what the second network says")
    first_wrong: float = Field(description="how wrong: 1 for one label, else wrong labels or boxes, or the error")
    second_wrong: float = Field(description="likewise of the second network")


class ComparedNetworks(_Part):
    """Two networks on the same test images."""

    first: str = Field(description="the first run's folder")
    second: str = Field(description="the second run's folder")
    images: int = Field(description="test images, the same ones for both")
    groups: int = Field(description="groups of images that belong together; as many as images where none do")
    looks: list[int] = Field(description="how often each run's test split has been looked at, this time included")
    headline: list[str] = Field(description="names of the scores that are shown first; the first one decides")
    scores: dict[str, ComparedScore] = Field(description="name to score")
    label_score: str | None = Field(description="which score `per_label` compares; null where there is none")
    per_label: dict[str, ComparedLabel] = Field(description="label, or name of a value, to that score")
    differ: bool = Field(description="whether the two can be told apart by the first of `headline`")
    better: Literal["first", "second"] | None = Field(
        description="which is better; null where they cannot be told apart"
    )
    words: str = Field(description="the answer in a sentence")
    to_wrong: int = Field(description="images that the first network has right and the second wrong")
    to_right: int = Field(description="images that the first network has wrong and the second right")
    changed: list[ChangedImage] = Field(
        description="all images whose answer became more or less wrong, those that became worse first; of values the "
        "errors that changed most, at most 100 each way"
    )


class RepeatedScore(_Part):
    """One score over trainings that differ in their seed alone."""

    mean: float = Field(description="over the trainings")
    deviation: float = Field(description="standard deviation from training to training")
    low: float = Field(description="lower bound of Student's t interval of the mean")
    high: float = Field(description="upper bound")
    level: float = Field(description="coverage of the interval")
    values: list[float] = Field(description="of each training, in the order of the seeds")


class Repeats(_Part):
    """One recipe, several seeds. The intervals are about the recipe on these very images, not about other images."""

    version: Literal[1] = Field(default=1, description="of this schema")
    series: str = Field(description="the folder of the series")
    runs: list[str] = Field(description="the runs' folders")
    seeds: list[int] = Field(description="of each run")
    images: int = Field(description="test images, the same ones for all")
    headline: list[str] = Field(description="names of the scores that are shown first")
    scores: dict[str, RepeatedScore] = Field(description="name to score")
    words: str = Field(description="what that says, in a sentence")


class ComparedRecipes(_Part):
    """Two recipes: the means over their seeds, on the same test images."""

    first: str = Field(description="the first series' folder")
    second: str = Field(description="the second series' folder")
    trainings: list[int] = Field(description="how many trainings each has")
    scores: dict[str, ComparedScore] = Field(description="name to score, by Welch's t interval over the trainings")
    other_images: dict[str, ComparedScore] = Field(
        description="likewise, with the luck of the test images counted, too: what holds on other images of the kind"
    )
    differ: bool = Field(description="whether the recipes differ by the first score of the headline, on these images")
    better: Literal["first", "second"] | None = Field(description="which is better; null where no difference shows")


class Comparison(_Part):
    """What `compare` says: two questions, kept apart."""

    version: Literal[1] = Field(default=1, description="of this schema")
    task: str = Field(description="name of the task")
    networks: ComparedNetworks = Field(
        description="do these two networks differ? Of two series it is the first training of each"
    )
    recipes: ComparedRecipes | None = Field(
        description="do the two recipes differ, once the seed's own spread is counted? null unless both are series"
    )
    recipes_words: str = Field(description="the second answer in a sentence, or why there is none")


def verdict(name: str, difference: Difference) -> Literal["first", "second"] | None:
    """Which one is better where they differ."""
    if difference.p > 1 - difference.level:
        return None
    return "second" if (difference.value > 0) != (name in ERRORS) else "first"


def networks_in_words(name: str, difference: Difference, alike: bool, first: str, second: str) -> str:
    """
    Args:
        name: of the score.
        alike: whether they answer every image alike.
    """
    if alike:
        return "The two networks give every test image the same answer."
    told = _both(name, difference)
    better = verdict(name, difference)
    if better:
        return f"{second if better == 'second' else first} is the better network: {told}."
    half = (difference.high - difference.low) / 2
    return (
        f"The two networks cannot be told apart on these test images: {told}. "
        f"With {difference.n:,} of them a difference below about {number(half, name)} does not show."
    )


def _both(name: str, difference: Difference) -> str:
    first, second = (number(value, name) for value in (difference.first, difference.second))
    value, low, high = (number(value, name) for value in (difference.value, difference.low, difference.high))
    sign = "+" if difference.value > 0 else ""
    p = "p < 0.001" if difference.p < 0.001 else f"p = {difference.p:.3f}"
    return f"{named(name)} {first} and {second}, a difference of {sign}{value} [{low}, {high}], {p}"


def repeats_in_words(name: str, score: RepeatedScore, images: int) -> str:
    """What the mean and its interval are about, and what they are not."""
    mean, deviation, low, high = (number(value, name) for value in (score.mean, score.deviation, score.low, score.high))
    return (
        f"Over {len(score.values)} seeds this recipe has {named(name)} {mean} ± {deviation} (mean and standard "
        f"deviation). The interval of the mean, [{low}, {high}], is about the recipe: how far the luck of the seed "
        f"moves it. It says nothing of the luck of the {images:,} test images, which are the same for all; the report "
        "of each run does."
    )


def recipes_in_words(name: str, compared: ComparedRecipes | None) -> str:
    """
    Args:
        compared: None where one of the two, or both, is a single training.
    """
    if compared is None:
        return (
            "Whether the recipes differ cannot be said from one training each: another seed alone would move both "
            f"numbers. Train each with --repeats {FEWEST_SEEDS} and compare the series."
        )
    score = compared.scores[name]
    difference = Difference(**score.model_dump())
    told = f"mean {_both(name, difference)}"
    how = (
        f"Welch's t interval of {compared.trainings[0]} and {compared.trainings[1]} trainings, which counts how far "
        "the seed alone moves each, on these test images"
    )
    if not compared.better:
        return f"No difference between the recipes shows: {told} ({how})."
    winner = compared.second if compared.better == "second" else compared.first
    words = f"The recipes differ, and that of {winner} is better: {told} ({how})."
    other = compared.other_images.get(name)
    if other is None:
        return words
    low, high = (number(value, name) for value in (other.low, other.high))
    holds = "and may be nothing there" if other.low <= 0 <= other.high else "and holds there"
    return f"{words} On other test images the difference lies within [{low}, {high}], {holds}."


def recipes_compared(
    first: Repeats, second: Repeats, found: Mapping[str, Difference], other: Mapping[str, Difference]
) -> ComparedRecipes:
    """
    Args:
        found: name of a score to the difference of the two means, the headline first.
        other: likewise, with the luck of the test images counted, too.
    """
    name, difference = next(iter(found.items()))
    better = verdict(name, difference)
    return ComparedRecipes(
        first=first.series,
        second=second.series,
        trainings=[len(first.runs), len(second.runs)],
        scores={key: ComparedScore.of(one) for key, one in found.items()},
        other_images={key: ComparedScore.of(one) for key, one in other.items()},
        differ=better is not None,
        better=better,
    )
