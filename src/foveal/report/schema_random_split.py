"""The part of report.json that says what a random split would have claimed."""

from pydantic import Field

from foveal.report.schema_part import Part, ReportScore

__all__ = ["ReportClaim", "ReportRandomSplit"]


class ReportClaim(Part):
    """The first score under two divisions of the same images into the same sizes."""

    own: ReportScore = Field(description="as the images are divided; that of the network is the first of `headline`")
    random: ReportScore = Field(description="where they are divided at random: the mean over `draws` divisions")
    difference: ReportScore = Field(
        description="by how much the random division makes it look better; below 0 where it looks worse"
    )
    draws: int = Field(description="random divisions")


class ReportRandomSplit(Part):
    """What a random split would have claimed: how much of a score is memory of images that belong together. Intervals
    are of whole groups drawn again, the same ones for both divisions."""

    score: str = Field(description="name of the score")
    kind: str = Field(description="what belongs together, as it was named (`patient`); empty where it was not")
    groups: int = Field(description="groups of more than one image in train and test, near-duplicates among them")
    images: int = Field(description="in these groups")
    parted: int = Field(
        description="test images with another of their group in train; 0 where the division keeps groups whole"
    )
    own: ReportScore = Field(description="that of the network, as the images are divided")
    pixels: ReportClaim | None = Field(
        description="of saying what is true of the training image whose pixels are nearest, of at most 10,000 images, "
        "under five random divisions; null where the answer says where things are"
    )
    network: ReportClaim | None = Field(
        description="of the same recipe trained once more on a random division; null unless that was asked for"
    )
    words: list[str] = Field(description="the same in whole sentences")
