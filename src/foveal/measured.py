"""What measuring predictions against the truth gives. Plain, frozen."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from foveal.trust import Calibration, Costs, Operating, Selective, Slice

__all__ = [
    "Confusion",
    "DrawnBox",
    "ErrorKind",
    "Measurement",
    "Mistake",
    "Points",
    "PrecisionRecall",
    "Score",
]


@dataclass(frozen=True, slots=True)
class Score:
    """A number with its interval.

    Args:
        low: lower bound at `level`.
        high: upper bound at `level`.
        level: coverage of the interval, such as 0.95.
        n: images (or pairs, boxes, …) the number rests on.
        method: how the interval was made (`wilson`, `bootstrap`, …).
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    method: str

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[i][j]`: images of label i that were called label j."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box to be drawn over its image.

    Args:
        xyxy: left, top, right, bottom, as shares of the image's width and height.
        kind: `right`: it was found; `missed`: it is there and was not found; `false`: it was found and is not there.
    """

    xyxy: tuple[float, float, float, float]
    label: str
    kind: Literal["right", "missed", "false"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer, with how sure the network was of it (0 to 1); None where the answer is numbers or boxes.

    Args:
        boxes: to be drawn over the image, where the answer is boxes.
    """

    file: str
    truth: str
    predicted: str
    probability: float | None
    boxes: tuple[DrawnBox, ...] = ()


@dataclass(frozen=True, slots=True)
class Points:
    """Predicted against true, for a plot: some of the test images, drawn at random where they are many.

    Args:
        name: of the value.
        truth: length M.
        predicted: length M.
        half_width: of the prediction interval around each prediction; None where there is none.
    """

    name: str
    truth: tuple[float, ...]
    predicted: tuple[float, ...]
    half_width: float | None = None


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """How precision falls as recall rises, for a plot, of the boxes of one label.

    Args:
        label: of the boxes.
        precision: at recalls of 0, 0.01, 0.02, … as far as it is above 0, at most 101: the best there or at any higher
            recall. Their sum / 101 is the average precision.
        threshold: the score from which on boxes are shown.
        at: recall and precision there; None where no box is shown.
    """

    label: str
    precision: tuple[float, ...]
    threshold: float
    at: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Wrong answers of one kind.

    Args:
        count: of those, among the test images.
        ap50_gain: by how much `ap50` would rise if all of them, whatever their scores, were put right.
    """

    count: int
    ap50_gain: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What measuring predictions against the truth gives, before it becomes a report.

    Args:
        scores: name to score, the headline first.
        baselines: name of the baseline to its scores, named as in `scores`.
        per_label: label, or name of a value, to its scores (`precision`, `recall`, `f1`, …) and its `support`.
        confusion: None where no answer excludes the others.
        mistakes: most confident first, or largest first.
        points: one a value, where the answer is values.
        curves: one a label, where the answer is boxes.
        errors: kind of error to how many there are of it, where the answer is boxes.
        calibration: None where the answer has no probabilities of being right.
        selective: None where an answer is never withheld, or an operating point or costs decide.
        operating: one an operating point.
        costs: None where costs do not decide.
        slices: the first score on parts of the images.
        unlike: share of the images that look unlike the training images; None where nothing was settled that could
            tell.
    """

    scores: dict[str, Score]
    baselines: dict[str, dict[str, Score]] = field(default_factory=dict)
    per_label: dict[str, dict[str, Score | int]] = field(default_factory=dict)
    confusion: Confusion | None = None
    mistakes: tuple[Mistake, ...] = ()
    points: tuple[Points, ...] = ()
    curves: tuple[PrecisionRecall, ...] = ()
    errors: dict[str, ErrorKind] = field(default_factory=dict)
    calibration: "Calibration | None" = None
    selective: "Selective | None" = None
    operating: "tuple[Operating, ...]" = ()
    costs: "Costs | None" = None
    slices: "tuple[Slice, ...]" = ()
    unlike: Score | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
