"""The parts of report.json that say what worse and shifted images do to the first score."""

from pydantic import Field

from foveal.report.schema_part import Part, ReportScore

__all__ = ["ReportCorruption", "ReportLevel", "ReportRobustness"]


class ReportLevel(Part):
    """Test images made worse in one way, by so much."""

    level: int = Field(description="1 to 5")
    strength: float = Field(description="in the unit that the corruption's `parameter` names")
    score: ReportScore = Field(description="of these images")
    difference: ReportScore = Field(description="of that score to the one of the same images as they are")
    p: float = Field(description="two-sided, of no difference: McNemar's test, mid-p, or from the bootstrap")
    adjusted: float = Field(description="the same, adjusted by Holm over all levels of all corruptions")
    worse: bool = Field(description="whether the score is worse, and `adjusted` below 0.05")


class ReportCorruption(Part):
    """One way to make images worse."""

    parameter: str = Field(description="what a strength is, with its unit")
    levels: list[ReportLevel] = Field(description="five, from mild to severe")
    first_worse: int | None = Field(description="the first level that is significantly worse; null where none is")


class ReportRobustness(Part):
    """How the first score of the headline holds as the test images get worse."""

    score: str = Field(description="name of the score")
    images: int = Field(description="test images that were taken, at most 1,000, drawn with the recipe's seed")
    clean: ReportScore = Field(description="of these images as they are")
    corruptions: dict[str, ReportCorruption] = Field(
        description="`blur`, `noise`, `jpeg`, `brightness`, `contrast`, `rotation`, `occlusion` and `scale`"
    )
    shifts: dict[str, list[ReportScore]] = Field(
        description="how an image is moved (`straight`, `diagonal`, `random`) to a number for each distance, from 1 "
        "pixel on; empty where the answer says where things are"
    )
    change: str = Field(
        description="what those numbers are: `same`, the share of the images whose answer stays the same; `spreads`, "
        "by how many standard deviations of the true values the answer changes on average; empty where there are none"
    )
    left_out: dict[str, str] = Field(description="name of a corruption, or `shifts`, to why it was not measured")
