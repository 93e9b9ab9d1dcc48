"""What the data check found, by image, as report.json has it."""

from pydantic import Field

from foveal.report.schema_part import Part, ReportBox, ReportScore
from foveal.types import SplitName

__all__ = [
    "ReportFound",
    "ReportFoundImage",
    "ReportLeftOut",
    "ReportOutliers",
    "ReportPair",
    "ReportReason",
    "ReportSuspects",
    "ReportTwins",
]


class ReportFoundImage(Part):
    """An image that the data check found."""

    file: str = Field(description="as the source names it")
    split: SplitName | None = Field(description="null where it is in none")
    target: str = Field(description="its label, labels or values, or how many boxes it has of each label")
    said: str = Field("", description="what was found; of a pair empty")
    score: float | None = Field(
        None,
        description="of an outlier the distance as a multiple of the threshold, above 1; of a suspect how much speaks "
        "against the target, 0 to 1; of a pair null",
    )
    boxes: list[ReportBox] = Field(default_factory=list, description="of a suspect; empty where it is no box")


class ReportPair(Part):
    """Two images that show the same."""

    images: list[ReportFoundImage] = Field(min_length=2, max_length=2, description="a test image first")
    alike: float = Field(description="1 for the same pixels, less for near-duplicates")
    mirrored: bool = Field(description="whether one is the mirror image of the other")
    parted: bool = Field(description="whether one is a test image, and the other in train or validation")
    contrary: bool = Field(
        description="whether their targets contradict each other: labels that differ; of the same pixels values or "
        "boxes, too"
    )


class ReportTwins(Part):
    """Images that show the same."""

    count: int = Field(description="pairs; of k images with the same pixels there are k - 1")
    same: int = Field(description="pairs with the same pixels; all others are near-duplicates")
    mirrored: int = Field(description="pairs in which one is the mirror image of the other")
    contrary: int = Field(description="pairs with targets that contradict each other")
    test_images: int = Field(description="test images with a twin in train or validation")
    shown: list[ReportPair] = Field(
        description="the pairs that say most: those that the division parts first, of them those with contradicting "
        "targets, then other contradictions; the most alike first, no image twice"
    )


class ReportOutliers(Part):
    """Images unlike the rest."""

    count: int = Field(description="of them")
    shown: list[ReportFoundImage] = Field(description="the farthest first")


class ReportSuspects(Part):
    """Targets that `look --suspects` holds for wrong."""

    what: str = Field(description="was judged: `labels`, `values`, `boxes`")
    count: int = Field(description="suspects; several may be of one image")
    targets: int | None = Field(None, description="labels, values or boxes that were judged")
    wrong: float | None = Field(None, description="how many of those are wrong, as estimated; null without an estimate")
    measured: str = Field(description="name of the score of the networks that judged: the lower, the less they say")
    score: ReportScore = Field(description="it, on images that they did not learn from, against what is given")
    notes: list[str] = Field(description="what is to be known of how it came about")
    shown: list[ReportFoundImage] = Field(description="the worst first, one an image")


class ReportReason(Part):
    """Files that are left out for the same reason."""

    kind: str = Field(description="of the finding: `unreadable`, `wrong-target`, `missing-file`, …")
    reason: str = Field(description="what was seen, as `look` says it")
    count: int = Field(description="files; of a table, rows without a file, too")
    files: list[str] = Field(description="the first of them, as the source names them")


class ReportLeftOut(Part):
    """What was meant to be learned from or measured, and cannot be used."""

    count: int = Field(description="files; of a table, rows without a file, too")
    reasons: list[ReportReason] = Field(description="those with the most files, the most first")
    command: str = Field(description="the command that names all of them")


class ReportFound(Part):
    """What the data check found, as images to look at."""

    left_out: ReportLeftOut | None = Field(None, description="null where every file can be used")
    twins: ReportTwins | None = Field(
        description="null where the images are too many to be compared in pairs, and no two have the same pixels"
    )
    outliers: ReportOutliers | None = Field(description="null where there are too few images to say what is usual")
    suspects: ReportSuspects | None = Field(description="null where nobody looked for them")
    suspects_command: str | None = Field(
        None, description="the command that looks for them; null where somebody did, or they cannot be looked for"
    )
