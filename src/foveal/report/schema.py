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
from foveal.measured import Measurement
from foveal.report.schema_found import ReportFound
from foveal.report.schema_part import Part, ReportBox, ReportGroups, ReportScore
from foveal.report.schema_random_split import ReportRandomSplit
from foveal.report.schema_robustness import ReportRobustness
from foveal.report.schema_trust import ReportCalibration, ReportCosts, ReportOperating, ReportSelective, ReportSlice
from foveal.task import Task
from foveal.types import SplitName

__all__ = [
    "Report",
    "ReportConfusion",
    "ReportCurve",
    "ReportData",
    "ReportEpoch",
    "ReportErrors",
    "ReportLooks",
    "ReportMistake",
    "ReportPoints",
    "ReportWithoutTwins",
    "build_report",
    "printable",
]


class ReportConfusion(Part):
    """Which label was taken for which."""

    labels: list[str] = Field(description="names of rows and columns, in order")
    counts: list[list[int]] = Field(description="`counts[i][j]`: test images of label i that were called label j")


class ReportMistake(Part):
    """One wrong answer."""

    file: str = Field(description="as the source names it")
    truth: str = Field(description="the true label, the true value, or how many boxes there are")
    predicted: str = Field(description="the label or the value that the network gave, or how many boxes are right")
    probability: float | None = Field(
        description="how sure the network was of it, 0 to 1; null where it is a value, or boxes"
    )
    boxes: list[ReportBox] = Field(default_factory=list, description="to be drawn; empty where the answer has none")


class ReportPoints(Part):
    """Predicted against true, for a plot."""

    name: str = Field(description="of the value")
    truth: list[float] = Field(description="of up to 2,000 test images, drawn at random where they are more")
    predicted: list[float] = Field(description="of the same images")
    half_width: float | None = Field(description="of the interval around a prediction; null where there is none")


class ReportCurve(Part):
    """How precision falls as recall rises, of the boxes of one label, at an IoU of 0.5."""

    label: str = Field(description="of the boxes")
    precision: list[float] = Field(
        description="at recalls of 0, 0.01, 0.02, … as far as it is above 0: the best there or at any higher recall"
    )
    threshold: float = Field(description="the score from which on boxes are shown")
    at: list[float] | None = Field(
        min_length=2, max_length=2, description="recall and precision there; null where no box is shown"
    )


class ReportErrors(Part):
    """Wrong boxes of one kind."""

    count: int = Field(description="of those shown, or of those missed, in the test images")
    ap50_gain: float = Field(
        description="by how much `ap50` would rise if all of the kind, whatever their scores, were put right"
    )


class ReportEpoch(BaseModel):
    """One pass over the training images. Other tasks have their own (`mae`, `macro_auroc`) where `accuracy` stands."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, float | None]  # pyright: ignore[reportIncompatibleVariableOverride]

    epoch: int = Field(description="from 1; 0 is the output layer fitted before the first")
    passes: float | None = Field(
        None,
        description="over the training images by its end: 3.02 where the fourth epoch is a part of one; null in a run "
        "of before it was kept",
    )
    learning_rate: float = Field(description="at the end of the epoch")
    train_loss: float | None = Field(None, description="mean over the epoch's steps, dropout and augmentation included")
    train_accuracy: float | None = Field(None, description="likewise; absent where the task has another score")
    validation_loss: float | None = Field(None, description="after the epoch; null without a validation split")
    validation_accuracy: float | None = Field(None, description="after the epoch; null without a validation split")
    seconds: float = Field(description="of training since its start, validation included")


class ReportLooks(Part):
    """Looks at test images of this set by all runs, and what choosing among those runs does to the number."""

    looks: int = Field(description="by all runs of this user on this machine, this time included")
    runs: int = Field(description="how many runs looked, this one included")
    too_good: float | None = Field(
        description="by how much the first score of the best of so many runs is too good, on average and at most, if "
        "only chance makes them differ: s·Φ⁻¹((k - 0.375) / (k + 0.25)), k the runs, s half of its interval over the "
        "normal quantile (Blom 1958); null without a score"
    )


class ReportWithoutTwins(Part):
    """The same network without the test images that show what an image of train or validation shows, too."""

    images: int = Field(description="test images that are left")
    left_out: int = Field(description="test images with a twin: the same pixels, or a near-duplicate")
    scores: dict[str, ReportScore] = Field(description="as in the report's `scores`, on the images that are left")


class ReportData(Part):
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


class Report(Part):
    """All of report.json."""

    version: Literal[1] = Field(1, description="of this schema; grows only when a field changes its meaning or goes")
    task: str = Field(description="name of the task, such as `classification`")
    split: SplitName = Field("test", description="the split that was measured")
    groups: ReportGroups | None = Field(None, description="null where each test image is alone")
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
        "(`abstain`), what mistakes cost (`costs`), where they were asked for; "
        "and `look`, how far from the training images an image may look",
    )
    calibration: ReportCalibration | None = Field(None, description="null where an answer has no probability")
    operating: list[ReportOperating] = Field(
        default_factory=list, description="one an operating point; empty where none was asked for"
    )
    selective: ReportSelective | None = Field(
        None, description="null where an answer is never withheld, or an operating point or costs decide"
    )
    costs: ReportCosts | None = Field(None, description="null unless the user said what mistakes cost")
    slices: list[ReportSlice] = Field(
        default_factory=list, description="the first score on thirds by size and by brightness, and on large groups"
    )
    unlike: ReportScore | None = Field(
        None, description="share of the measured images that look unlike the training images; null where not settled"
    )
    without_twins: ReportWithoutTwins | None = Field(
        None, description="null where no test image has a twin among the others, or none is left"
    )
    found: ReportFound | None = Field(None, description="null in a report of before there was one")
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
    groups: Mapping[str, Any] | None = None,
    found: Mapping[str, Any] | None = None,
) -> Report:
    """The report of a measurement on the test split, made now.

    Args:
        looks: at the test split, this one included.
        data: what `look --json` prints; of its findings only the kinds are kept, counted.
        history: the lines of history.jsonl; numbers that are not finite become null.
        settled: what the answer settled on the validation images; the measurement was made with it.
        all_looks: at test images of the same set, by all runs.
        without_twins, random_split, groups, found: as in the report.
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
        "groups": groups,
        "found": found,
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
