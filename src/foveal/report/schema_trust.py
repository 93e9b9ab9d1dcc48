"""The parts of report.json that say how far answers can be trusted."""

from typing import Literal

from pydantic import Field

from foveal.report.schema_part import Part, ReportScore

__all__ = [
    "ReportBin",
    "ReportCalibration",
    "ReportCost",
    "ReportCosts",
    "ReportOperating",
    "ReportSelective",
    "ReportSlice",
]


class ReportBin(Part):
    """The answers whose probability lies in one stretch of 0 to 1."""

    low: float = Field(description="end of the stretch; not in it")
    high: float = Field(description="end of the stretch; in it")
    confidence: float = Field(description="mean probability of these answers")
    share: ReportScore = Field(description="of them that are right; `n` counts answers")


class ReportCalibration(Part):
    """Whether the probabilities are what they say: of answers given with 0.8, eight in ten right. Where several labels
    may be true, an answer is the yes of a label, and right where it is true."""

    temperature: float = Field(
        description="that the outputs are divided by, chosen on the validation images; 1 where none was"
    )
    ece_before: ReportScore = Field(description="expected calibration error at a temperature of 1")
    ece: ReportScore = Field(description="expected calibration error of the probabilities that `predict` gives")
    bins_before: list[ReportBin] = Field(description="of 15 equal ones, those with an answer; at a temperature of 1")
    bins: list[ReportBin] = Field(description="likewise, of the probabilities that `predict` gives")


class ReportOperating(Part):
    """What became of an operating point."""

    label: str = Field(description="whose")
    quantity: str = Field(description="that was to be so large: `sensitivity`, `specificity` or `precision`")
    wanted: float = Field(description="how large, at least")
    threshold: float = Field(
        description="on the probability of the label, or the score of its boxes; chosen on the validation images"
    )
    met: bool = Field(description="whether the validation images allow it; if not, the threshold is the nearest to it")
    scores: dict[str, ReportScore] = Field(
        description="`sensitivity`, `specificity` and `precision` on the measured images; what is not defined is absent"
    )


class ReportSelective(Part):
    """How the error falls when the network may stay silent where it is least sure."""

    errors: list[float] = Field(description="share of wrong answers among the surest 1, 2, … 100 in 100 of the images")
    error: ReportScore = Field(description="share of wrong answers among all")
    error_at_80: ReportScore = Field(description="share of wrong answers among the surest 80 in 100 of the images")
    threshold: float | None = Field(
        None, description="the probability below which no answer is given; null where one always is"
    )
    wanted: dict[str, float] | None = Field(None, description="what it was chosen for: `coverage` or `risk`")
    met: bool = Field(True, description="whether the validation images allow it")
    answered: ReportScore | None = Field(None, description="share of the images that have an answer at the threshold")
    error_answered: ReportScore | None = Field(None, description="share of wrong ones among these answers")


class ReportCost(Part):
    """What a mistake costs. Without `answer` it is to miss the label, whatever is said; without `true`, to say it,
    whatever is so."""

    true: str | None = Field(description="the label that is true")
    answer: str | None = Field(description="the label that is said")
    cost: float = Field(description="0 or more")


class ReportCosts(Part):
    """What an image costs, on average, where the answer is the one that is expected to cost least."""

    mistakes: list[ReportCost] = Field(description="the costs that were given; every other mistake costs 1")
    abstain: float | None = Field(None, description="what no answer costs; null where there always is one")
    constant: list[str] = Field(
        description="label of the cheapest answer that is always the same, chosen on the validation images; of several "
        "labels at once all that it has"
    )
    silent: bool = Field(description="whether that is no answer at all")
    mean: ReportScore = Field(description="cost of an image")
    plain: ReportScore = Field(
        description="the same, of the likeliest label; of several at once of those with a probability of 0.5 or more"
    )
    always: ReportScore = Field(description="the same, of the answer that is always the same")
    saved: ReportScore = Field(description="`plain` less `mean`, on the same images")
    saved_always: ReportScore = Field(description="`always` less `mean`, on the same images")
    answered: ReportScore | None = Field(None, description="share of the images that have an answer; null where all do")
    error_answered: ReportScore | None = Field(None, description="share of wrong ones among these answers")


class ReportSlice(Part):
    """The first score on a part of the images."""

    kind: Literal["size", "brightness", "group"] = Field(description="what the images of the part have in common")
    name: str = Field(description="which of the parts it is")
    images: int = Field(description="how many there are")
    score: ReportScore = Field(description="the first of `headline`, on these images")
    worse: bool = Field(description="whether its interval lies wholly on the worse side of the interval of all images")
