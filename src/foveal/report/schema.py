"""report.json: what was measured, beside what, on which images, and how the network came about."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foveal.errors import RunError
from foveal.files import write_atomic
from foveal.looks import Looks, too_good
from foveal.measure.robustness import Robustness
from foveal.task import Task
from foveal.types import Measurement, SplitName

__all__ = [
    "Report",
    "ReportBin",
    "ReportBox",
    "ReportCalibration",
    "ReportClaim",
    "ReportConfusion",
    "ReportCorruption",
    "ReportCurve",
    "ReportData",
    "ReportEpoch",
    "ReportErrors",
    "ReportLevel",
    "ReportLooks",
    "ReportMistake",
    "ReportOperating",
    "ReportPoints",
    "ReportRandomSplit",
    "ReportRobustness",
    "ReportScore",
    "ReportSelective",
    "ReportSlice",
    "ReportWithoutTwins",
    "build_report",
    "printable",
]


class _Part(BaseModel):
    # Fields that a later Foveal adds to version 1 are passed over by an older one, so old readers keep working.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ReportScore(_Part):
    """A number with its interval."""

    value: float = Field(description="the number measured on the test images")
    low: float = Field(description="lower bound of the interval")
    high: float = Field(description="upper bound of the interval")
    level: float = Field(
        description="coverage of the interval; 0.95 means that 95 of 100 such intervals hold the truth"
    )
    n: int = Field(description="images the number rests on")
    method: str = Field(description="how the interval was made: `wilson`, `bootstrap`, `delong` or `paired-wald`")


class ReportConfusion(_Part):
    """Which label was taken for which."""

    labels: list[str] = Field(description="names of rows and columns, in order")
    counts: list[list[int]] = Field(description="`counts[i][j]`: test images of label i that were called label j")


class ReportBox(_Part):
    """A box to be drawn over its image."""

    xyxy: list[float] = Field(
        min_length=4, max_length=4, description="left, top, right and bottom, as shares of the image's width and height"
    )
    label: str = Field(description="of the box")
    kind: Literal["right", "missed", "false"] = Field(
        description="`right`: found; `missed`: there and not found; `false`: found and not there"
    )


class ReportMistake(_Part):
    """One wrong answer."""

    file: str = Field(description="as the source names it")
    truth: str = Field(description="the true label, the true value, or how many boxes there are")
    predicted: str = Field(description="the label or the value that the network gave, or how many boxes are right")
    probability: float | None = Field(
        description="how sure the network was of it, 0 to 1; null where it is a value, or boxes"
    )
    boxes: list[ReportBox] = Field(default_factory=list, description="to be drawn; empty where the answer has none")


class ReportPoints(_Part):
    """Predicted against true, for a plot."""

    name: str = Field(description="of the value")
    truth: list[float] = Field(description="of up to 2,000 test images, drawn at random where they are more")
    predicted: list[float] = Field(description="of the same images")
    half_width: float | None = Field(description="of the interval around a prediction; null where there is none")


class ReportCurve(_Part):
    """How precision falls as recall rises, of the boxes of one label, at an IoU of 0.5."""

    label: str = Field(description="of the boxes")
    precision: list[float] = Field(
        description="at recalls of 0, 0.01, 0.02, … as far as it is above 0: the best there or at any higher recall"
    )
    threshold: float = Field(description="the score from which on boxes are shown")
    at: list[float] | None = Field(
        min_length=2, max_length=2, description="recall and precision there; null where no box is shown"
    )


class ReportErrors(_Part):
    """Wrong boxes of one kind."""

    count: int = Field(description="of those shown, or of those missed, in the test images")
    ap50_gain: float = Field(
        description="by how much `ap50` would rise if all of the kind, whatever their scores, were put right"
    )


class ReportBin(_Part):
    """The answers whose probability lies in one stretch of 0 to 1."""

    low: float = Field(description="end of the stretch; not in it")
    high: float = Field(description="end of the stretch; in it")
    confidence: float = Field(description="mean probability of these answers")
    share: ReportScore = Field(description="of them that are right; `n` counts answers")


class ReportCalibration(_Part):
    """Whether the probabilities are what they say: of answers given with 0.8, eight in ten right. Where several labels
    may be true, an answer is the yes of a label, and right where it is true."""

    temperature: float = Field(
        description="that the outputs are divided by, chosen on the validation images; 1 where none was"
    )
    ece_before: ReportScore = Field(description="expected calibration error at a temperature of 1")
    ece: ReportScore = Field(description="expected calibration error of the probabilities that `predict` gives")
    bins_before: list[ReportBin] = Field(description="of 15 equal ones, those with an answer; at a temperature of 1")
    bins: list[ReportBin] = Field(description="likewise, of the probabilities that `predict` gives")


class ReportOperating(_Part):
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


class ReportSelective(_Part):
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


class ReportSlice(_Part):
    """The first score on a part of the images."""

    kind: Literal["size", "brightness", "group"] = Field(description="what the images of the part have in common")
    name: str = Field(description="which of the parts it is")
    images: int = Field(description="how many there are")
    score: ReportScore = Field(description="the first of `headline`, on these images")
    worse: bool = Field(description="whether its interval lies wholly on the worse side of the interval of all images")


class ReportLevel(_Part):
    """Test images made worse in one way, by so much."""

    level: int = Field(description="1 to 5")
    strength: float = Field(description="in the unit that the corruption's `parameter` names")
    score: ReportScore = Field(description="of these images")
    difference: ReportScore = Field(description="of that score to the one of the same images as they are")
    p: float = Field(description="two-sided, of no difference: McNemar's exact test, or from the bootstrap")
    adjusted: float = Field(description="the same, adjusted by Holm over all levels of all corruptions")
    worse: bool = Field(description="whether the score is worse, and `adjusted` below 0.05")


class ReportCorruption(_Part):
    """One way to make images worse."""

    parameter: str = Field(description="what a strength is, with its unit")
    levels: list[ReportLevel] = Field(description="five, from mild to severe")
    first_worse: int | None = Field(description="the first level that is significantly worse; null where none is")


class ReportRobustness(_Part):
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


class ReportEpoch(BaseModel):
    """One pass over the training images. Other tasks have their own (`mae`, `macro_auroc`) where `accuracy` stands."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, float | None]  # pyright: ignore[reportIncompatibleVariableOverride]

    epoch: int = Field(description="from 1; 0 is the output layer fitted before the first")
    learning_rate: float = Field(description="at the end of the epoch")
    train_loss: float | None = Field(None, description="mean over the epoch's steps, dropout and augmentation included")
    train_accuracy: float | None = Field(None, description="likewise; absent where the task has another score")
    validation_loss: float | None = Field(None, description="after the epoch; null without a validation split")
    validation_accuracy: float | None = Field(None, description="after the epoch; null without a validation split")
    seconds: float = Field(description="of training since its start, validation included")


class ReportLooks(_Part):
    """Looks at test images of this set by all runs, and what choosing among those runs does to the number."""

    looks: int = Field(description="by all runs of this user on this machine, this time included")
    runs: int = Field(description="how many runs looked, this one included")
    too_good: float | None = Field(
        description="by how much the first score of the best of so many runs is too good, on average and at most, if "
        "only chance makes them differ: s·Φ⁻¹((k - 0.375) / (k + 0.25)), k the runs, s half of its interval over the "
        "normal quantile (Blom 1958); null without a score"
    )


class ReportWithoutTwins(_Part):
    """The same network without the test images that show what an image of train or validation shows, too."""

    images: int = Field(description="test images that are left")
    left_out: int = Field(description="test images with a twin: the same pixels, or a near-duplicate")
    scores: dict[str, ReportScore] = Field(description="as in the report's `scores`, on the images that are left")


class ReportClaim(_Part):
    """The first score under two divisions of the same images into the same sizes."""

    own: ReportScore = Field(description="as the images are divided; that of the network is the first of `headline`")
    random: ReportScore = Field(description="where they are divided at random: the mean over `draws` divisions")
    difference: ReportScore = Field(
        description="by how much the random division makes it look better; below 0 where it looks worse"
    )
    draws: int = Field(description="random divisions")


class ReportRandomSplit(_Part):
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


class ReportData(_Part):
    """The images."""

    source: str = Field(description="as typed")
    images: int = Field(description="images that can be used")
    labels: dict[str, int] = Field(
        description="name to number of images, in the order of the outputs; empty where the targets are values"
    )
    known: dict[str, int] = Field(
        default_factory=dict,
        description="label to number of images of which it is known; empty where every image has one label, or values",
    )
    boxes: dict[str, int] = Field(
        default_factory=dict, description="label to number of boxes; empty where the targets are no boxes"
    )
    empty: int = Field(0, description="images without a box, where the targets are boxes")
    values: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="name of a value to its `smallest`, `median`, `mean` and `largest`"
    )
    splits: dict[SplitName, int] = Field(description="split to number of images")
    given: list[SplitName] = Field(description="the splits that the source itself named; Foveal drew the others")
    sizes: dict[str, list[int]] = Field(description="`smallest`, `median` and `largest` height and width, in pixels")
    channels: int = Field(description="1 when every image is gray, otherwise 3")
    modes: dict[str, int] = Field(description="mode as stored (`RGB`, `L`, `I;16`, …) to number of images")
    findings: dict[str, int] = Field(
        description="kind (`unreadable`, `exact-duplicate`, …) to number of files that were found so"
    )
    fingerprint: str = Field(description="SHA-256 over contents and targets, not over paths or order")


class Report(_Part):
    """All of report.json."""

    version: Literal[1] = Field(1, description="of this schema; grows only when a field changes its meaning or goes")
    task: str = Field(description="name of the task, such as `classification`")
    split: SplitName = Field("test", description="the split that was measured")
    headline: list[str] = Field(description="names of the scores that are shown first")
    scores: dict[str, ReportScore] = Field(
        description="name to score; of several values mostly the mean of theirs; empty without test images"
    )
    baselines: dict[str, dict[str, ReportScore]] = Field(
        description="name of a guess that needs no network to its scores on the same images, named as in `scores`"
    )
    per_label: dict[str, dict[str, ReportScore | int]] = Field(
        description="label, or name of a value, to its scores and counts, see below; what is not defined is absent"
    )
    confusion: ReportConfusion | None = Field(description="null where no label excludes the others")
    mistakes: list[ReportMistake] = Field(
        description="the wrong answers the network was surest of, surest first; of values the largest errors; of boxes "
        "the images with the most wrong ones"
    )
    points: list[ReportPoints] = Field(default_factory=list, description="one a value; empty where there are none")
    curves: list[ReportCurve] = Field(
        default_factory=list, description="one a label that has boxes; empty where the answer has none"
    )
    errors: dict[str, ReportErrors] = Field(
        default_factory=dict, description="kind of wrong boxes to how many there are; empty where the answer has none"
    )
    robustness: ReportRobustness | None = Field(
        None, description="what worse and shifted images do to the first score; null unless it was asked for"
    )
    settled: dict[str, Any] = Field(
        default_factory=dict,
        description="what was chosen on the validation images when training was over: `thresholds` on the probability "
        "of each label, or the `half_width` of the interval around each value that holds `level` of the true ones; the "
        "`temperature` of the outputs; operating points (`at`) and the confidence from which on there is an answer "
        "(`abstain`), where they were asked for; and `look`, how far from the training images an image may look",
    )
    calibration: ReportCalibration | None = Field(None, description="null where an answer has no probability")
    operating: list[ReportOperating] = Field(
        default_factory=list, description="one an operating point; empty where none was asked for"
    )
    selective: ReportSelective | None = Field(
        None, description="null where an answer is never withheld, or an operating point decides"
    )
    slices: list[ReportSlice] = Field(
        default_factory=list, description="the first score on thirds by size and by brightness, and on large groups"
    )
    unlike: ReportScore | None = Field(
        None, description="share of the measured images that look unlike the training images; null where not settled"
    )
    without_twins: ReportWithoutTwins | None = Field(
        None, description="null where no test image has a twin among the others, or none is left"
    )
    random_split: ReportRandomSplit | None = Field(
        None,
        description="null where fewer than 1 in 10 images of train and test belong with others and it was not asked "
        "for",
    )
    looks: int = Field(description="how often the test split of this run has been looked at, this time included")
    all_looks: ReportLooks | None = Field(
        None, description="looks at test images of this set by all runs; null where that is not known"
    )
    history: list[ReportEpoch] = Field(description="one record an epoch")
    recipe: dict[str, Any] = Field(description="everything that decided the result, as in the run's recipe.json")
    data: ReportData = Field(description="the images")
    environment: dict[str, Any] = Field(description="device, threads and versions that the network was trained with")
    created: datetime = Field(description="when it was measured, ISO 8601, UTC")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: exactly what report.json holds."""
        return self.model_dump(mode="json")

    def write(self, folder: Path) -> Path:
        """Write `folder/report.json` in one step, making the folder where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "report.json"
        write_atomic(path, json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return path

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """A report from its file.

        Raises:
            RunError: the file is missing, damaged, or of a version this Foveal does not know.
        """
        path = Path(path)
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            found = error.strerror
        except ValidationError as error:
            problem = error.errors()[0]
            found = f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
        raise RunError(
            f"Expected a report (version 1) at {path}; {found}.", remedy="Make it again with `foveal evaluate`."
        )


def build_report(
    measurement: Measurement,
    *,
    task: Task,
    looks: int,
    recipe: Mapping[str, Any],
    data: Mapping[str, Any],
    environment: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    settled: Mapping[str, Any] = {},
    all_looks: Looks | None = None,
    robustness: Robustness | None = None,
    without_twins: Mapping[str, Any] | None = None,
    random_split: Mapping[str, Any] | None = None,
) -> Report:
    """The report of a measurement on the test split, made now.

    Args:
        looks: at the test split, this one included.
        data: what `look --json` prints; of its findings only the kinds are kept, counted.
        history: the lines of history.jsonl; numbers that are not finite become null.
        settled: what the answer settled on the validation images; the measurement was made with it.
        all_looks: at test images of the same set, by all runs.
        without_twins, random_split: as in the report.
    """
    findings: Counter[str] = Counter()
    for finding in data["findings"]:
        findings[finding["kind"]] += max(1, len(finding.get("files", ())))
    fields = {
        **asdict(measurement),
        "task": task.name,
        "headline": [name for name in task.headline if name in measurement.scores],
        "robustness": asdict(robustness) if robustness else None,
        "settled": dict(settled),
        "without_twins": without_twins,
        "random_split": random_split,
        "looks": looks,
        "all_looks": _all_looks(all_looks, task, measurement),
        "history": list(history),
        "recipe": dict(recipe),
        "data": {**data, "findings": dict(findings)},
        "environment": dict(environment),
        "created": datetime.now(UTC).replace(microsecond=0),
    }
    return Report.model_validate(_json_ready(fields))


def _all_looks(looks: Looks | None, task: Task, measurement: Measurement) -> dict[str, Any] | None:
    if looks is None:
        return None
    first = next((measurement.scores[name] for name in task.headline if name in measurement.scores), None)
    excess = too_good(first.low, first.high, first.level, looks.runs) if first else None
    return {**asdict(looks), "too_good": excess}


def printable(text: str) -> str:
    """Text that is valid UTF-8: the bytes of a file name that were no text are written out, `\\udcff`."""
    return text.encode("utf-8", "backslashreplace").decode()


def _json_ready(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {printable(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in value]
    return value
