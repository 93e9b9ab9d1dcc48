"""docs/reference/report.md, written from the schema so that it cannot fall behind it."""

from typing import Any

from pydantic import BaseModel

from foveal.measure import BASELINES, ERROR_KINDS, PER_LABEL, PER_LABEL_OF_BOXES, SCORES
from foveal.report.compared import (
    ChangedImage,
    ComparedLabel,
    ComparedNetworks,
    ComparedRecipes,
    ComparedScore,
    Comparison,
    RepeatedScore,
    Repeats,
)
from foveal.report.learning_curve import CurvePoint, ExpectedScore, LabelGain, LearningCurve, Needed
from foveal.report.schema import (
    Report,
    ReportConfusion,
    ReportCurve,
    ReportData,
    ReportEpoch,
    ReportErrors,
    ReportLooks,
    ReportMistake,
    ReportPoints,
    ReportWithoutTwins,
)
from foveal.report.schema_found import (
    ReportFound,
    ReportFoundImage,
    ReportLeftOut,
    ReportOutliers,
    ReportPair,
    ReportReason,
    ReportSuspects,
    ReportTwins,
)
from foveal.report.schema_part import ReportBox, ReportGroups, ReportScore
from foveal.report.schema_random_split import ReportClaim, ReportRandomSplit
from foveal.report.schema_robustness import ReportCorruption, ReportLevel, ReportRobustness
from foveal.report.schema_trust import (
    ReportBin,
    ReportCalibration,
    ReportCost,
    ReportCosts,
    ReportOperating,
    ReportSelective,
    ReportSlice,
)

__all__ = ["reference_page", "studies_page"]

PARTS = (
    ReportScore,
    ReportGroups,
    ReportConfusion,
    ReportMistake,
    ReportBox,
    ReportPoints,
    ReportCurve,
    ReportErrors,
    ReportCalibration,
    ReportBin,
    ReportOperating,
    ReportSelective,
    ReportCosts,
    ReportCost,
    ReportSlice,
    ReportLooks,
    ReportRobustness,
    ReportCorruption,
    ReportLevel,
    ReportWithoutTwins,
    ReportFound,
    ReportLeftOut,
    ReportReason,
    ReportTwins,
    ReportPair,
    ReportOutliers,
    ReportSuspects,
    ReportFoundImage,
    ReportRandomSplit,
    ReportClaim,
    ReportEpoch,
    ReportData,
)
STUDIES = (
    Comparison,
    ComparedNetworks,
    ComparedRecipes,
    ComparedScore,
    ComparedLabel,
    ChangedImage,
    Repeats,
    RepeatedScore,
    LearningCurve,
    CurvePoint,
    ExpectedScore,
    LabelGain,
    Needed,
)
ANCHORS = {part.__name__: part.__name__.removeprefix("Report").lower() for part in (*PARTS, *STUDIES)}

OPENING = """\
# report.json

`foveal evaluate RUN` writes `report/report.json` into the run and prints the same object with `--json`; in Python it is
a `foveal.Report`. UTF-8 JSON without NaN or infinity. Fields may be added; a field that changes its meaning, or goes,
raises `version`. `Report.model_json_schema()` gives the JSON Schema. Beside it lies `report.html`: the same for people.

<!-- Written by foveal.report.reference_page(); change the schema, not this page. -->
"""


def reference_page() -> str:
    """The page in Markdown: every field of report.json, and what each score and baseline means."""
    parts = [OPENING, _table("The report", Report), *(_table(ANCHORS[p.__name__], p) for p in PARTS)]
    parts += [
        _glossary("Scores", "name in `scores`", SCORES),
        _glossary("Scores of a label", "name in `per_label`", PER_LABEL),
        _glossary("Scores of a label, where the answer is boxes", "name in `per_label`", PER_LABEL_OF_BOXES),
        _glossary("Kinds of wrong boxes", "name in `errors`", ERROR_KINDS),
        _glossary("Baselines", "name in `baselines`", BASELINES),
        INTERVALS,
    ]
    return "\n".join(parts)


INTERVALS = """\
## Intervals

| method | is |
| --- | --- |
| `wilson` | Wilson's score interval (1927), for shares. For F1 it is that of J, the share right of the images where \
the label is true or predicted, carried over by F1 = 2J / (1 + J); `n` counts those images. For `ap` it is that of a \
share of the images that have the label, as many as `n` (Boyd, Eng and Page 2013); for `coverage` of several values, \
of as many images. |
| `bootstrap` | Up to 2,000 resamples of the test images, drawn with the recipe's seed; bias-corrected normal interval \
(Efron and Tibshirani 1993): on the arcsine-square-root scale for scores between 0 and 1, as for a \
mean cost, a share of the most that an image can cost (for `ece`, which chance \
makes larger in a sample and larger again in each resample, it begins at the latest where chance could have added the \
rest); on the logarithmic scale for errors, and for what R² leaves to 1, with Student's quantile. Many images, or \
labels, have fewer resamples, 200 at \
least. Where every answer is right, or none, all resamples are equal: then the Wilson interval of accuracy is given \
instead, or, of several labels at once and of boxes, that of a share of the images that have any. |
| `delong` | From DeLong's variance of the AUROC (1988), on the logit scale. Where that variance is 0, as when all \
images are ranked right, the Wilson interval for as many images as there are on the rarer side is given instead. |
| `tango` | Of the difference between two shares of the same images: Tango's score interval (1998); where images \
belong together, of as many images as they are worth. The `bootstrap` interval of a difference draws the same images \
for both scores. |
| `wilson-groups` | Wilson's, where images belong together: of as many images as they are worth, their number over the \
design effect, the variance of the share with whole groups over that with single images (Kish 1965), with Student's \
quantile for the number of groups (Korn and Graubard 1998); of as many images as there are groups where all are right, \
or none. `n` stays the number of images. |
| `group-bootstrap` | The bootstrap with whole groups drawn, with Student's quantile for the number of groups. |
| `obuchowski` | DeLong's where images belong together: from the sums over groups of what its variance is made of \
(Obuchowski 1997), with Student's quantile. |
| `exact` | No interval: the number does not depend on the images, such as what no answer costs. |

An interval says how far chance in the choice of test images moves the number. It knows nothing of images that come from
elsewhere, of wrong labels, or of another training run with another seed.
"""


STUDIES_OPENING = """\
# Comparisons, repeats, learning curves

`foveal compare --json` prints a comparison, `foveal train --repeats N --json` a series and its repeats (also in its
`repeats.json`), `foveal curve --json` a learning curve (also in its `curve.json`). In Python they are what `compare`,
`repeat` and `curve` give. Fields may be added; a field that changes its meaning, or goes, raises `version`.

<!-- Written by foveal.report.studies_page(); change the schema, not this page. -->
"""


def studies_page() -> str:
    """The page in Markdown: every field of what `compare`, `repeat` and `curve` give."""
    return "\n".join([STUDIES_OPENING, *(_table(ANCHORS[part.__name__], part) for part in STUDIES)])


def _table(title: str, model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    rows = [f"| `{name}` | {_type(field)} | {field['description']} |" for name, field in schema["properties"].items()]
    lines = [f"## {title}\n", f"{model.__doc__}\n", "| field | type | meaning |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def _glossary(title: str, name: str, meanings: dict[str, str]) -> str:
    rows = [f"| `{key}` | {meaning} |" for key, meaning in meanings.items()]
    return "\n".join([f"## {title}\n", f"| {name} | means |", "| --- | --- |", *rows, ""])


def _type(field: dict[str, Any]) -> str:
    """A JSON Schema type in words."""
    if "$ref" in field:
        anchor = ANCHORS[field["$ref"].rsplit("/", 1)[1]]
        return f"[{anchor}](#{anchor})"
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if field["type"] == "object":
        values = field.get("additionalProperties")
        return f"object: name to {_type(values)}" if isinstance(values, dict) else "object"
    return field.get("format", field["type"])
