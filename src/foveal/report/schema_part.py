"""What all parts of report.json have in common, and those that several of them hold: a number with its interval, …"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Part", "ReportBox", "ReportGroups", "ReportScore"]


class Part(BaseModel):
    """A part of a report, frozen; no number in it is infinite."""

    # Fields that a later Foveal adds to version 1 are passed over by an older one, so old readers keep working.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ReportScore(Part):
    """A number with its interval."""

    value: float = Field(description="the number measured on the test images")
    low: float = Field(description="lower bound of the interval")
    high: float = Field(description="upper bound of the interval")
    level: float = Field(
        description="coverage of the interval; 0.95 means that 95 of 100 such intervals hold the truth"
    )
    n: int = Field(description="images the number rests on")
    method: str = Field(
        description="how the interval was made: `wilson`, `bootstrap`, `delong` or `tango`; `wilson-groups`, "
        "`group-bootstrap` or `obuchowski` where images belong together; `exact`: it has none"
    )


class ReportGroups(Part):
    """What belongs together among the test images. Intervals count it, not the images."""

    kind: str = Field(description="what it is, as it was named (`patient`); empty where it was not")
    count: int = Field(
        description="groups among the test images, those of one image included; near-duplicates are in one group"
    )


class ReportBox(Part):
    """A box to be drawn over its image."""

    xyxy: list[float] = Field(
        min_length=4, max_length=4, description="left, top, right and bottom, as shares of the image's width and height"
    )
    label: str = Field(description="of the box")
    kind: Literal["right", "missed", "false", "given", "suggested"] = Field(
        description="`right`: found; `missed`: there and not found; `false`: found and not there; of a suspect "
        "`given`: annotated; `suggested`: found instead"
    )
