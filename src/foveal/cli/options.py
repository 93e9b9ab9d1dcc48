"""The arguments and options that several commands share."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.completing import columns, labelled

if TYPE_CHECKING:
    from foveal.types import Reading

__all__ = [
    "ACCEPT_LICENCE",
    "AT",
    "BUNDLE",
    "COST",
    "COVERAGE",
    "DECISIONS",
    "DEVICE",
    "GROUP",
    "GROUP_LEVEL",
    "GROUP_PATTERN",
    "INTERRUPTED",
    "JSON",
    "MINUTES",
    "NET",
    "NETS",
    "PATH",
    "PATTERN",
    "PRETRAINED",
    "RISK",
    "RUN",
    "SAVE_EVERY",
    "SETTINGS",
    "SOURCE",
    "SPLIT",
    "TARGET",
    "TASK",
    "TOGETHER",
    "WEIGHTS",
    "changes_of",
    "examples",
    "one_of",
    "option",
    "reading_of",
]

INTERRUPTED = 130  # the exit status of what Ctrl-C ended


def completed(*names: str) -> Callable[[str], list[str]]:
    """Tab completion by names; files and folders are completed by the shell."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def option(
    flag: str,
    metavar: str | None,
    text: str,
    panel: str | None = None,
    *,
    names: Sequence[str] = (),
    complete: Callable[..., list[str]] | None = None,
    **more: Any,
) -> Any:
    """An option as all of them are declared.

    Args:
        text: its help.
        panel: the part of the help that it stands in.
        names: what Tab completes.
        complete: or a function that finds it.
        more: as `typer.Option` takes it.
    """
    completion = completed(*names) if names else complete
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel=panel, autocompletion=completion, **more)


def of_table(flag: str, text: str) -> Any:
    """An option that names a column."""
    return option(flag, "COLUMN", text, TABLE, complete=columns)


def one_of(*names: str) -> Callable[[str | None], str | None]:
    """What an option's `callback` is where no other word has a meaning."""

    def checked(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise typer.BadParameter(f"expected {', '.join(names[:-1])} or {names[-1]}, found {value!r}")
        return value

    return checked


def share(text: str) -> float | str:
    """A number, or `none`."""
    try:
        return text if text == "none" else float(text)
    except ValueError:
        raise typer.BadParameter(f"expected a number between 0 and 1, or none, found {text!r}") from None


def examples(*commands: str) -> str:
    return "\n\n".join(["Examples:", *(f"  [bold]{command}[/bold]" for command in commands)])


NOT_SET = {
    *("source", "task", "reading", "decisions", "recipe", "minutes", "net", "pretrained", "accept_licence", "start"),
    *(
        "at",
        "coverage",
        "risk",
        "cost",
        "repeats",
        "shares",
        "reach",
        "out",
        "device",
        "save_every",
        "progress",
        "began",
    ),
}
NETS = ("cookbook", "lenet5", "vgg-small", "resnet9", "detector", "ssdlite")
RECIPES = ("default", "pretrained", "detection", "detection-pretrained", "cookbook", "cookbook-dropout")
TASKS = ("classification", "regression", "multilabel", "detection")
TABLE = "Tables and file names"
TOGETHER = "What stays together, and what is left out"
BEGIN = "Pretrained weights"
DECIDING = "Operating point, chosen on the validation images"

SOURCE = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        autocompletion=completed("digits", "cifar10", "cifar100"),
        help="A folder of class folders, or of boxes in COCO, VOC or YOLO form; a .zip or .tar of one; a table (.csv, "
        ".tsv, .jsonl, .parquet), a list of files (.txt), arrays (.npz), hf:OWNER/NAME, or a built-in set: digits, "
        "cifar10, cifar100.",
    ),
]
RUN = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/digits-1.")]
BUNDLE = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/digits-1, or a bundle's.")]
JSON = Annotated[bool, option("--json", None, "Print one JSON object on stdout instead of tables.")]
TASK_HELP = f"What to learn: {', '.join(TASKS[:-1])} or {TASKS[-1]}; told by how targets are written unless said."
TASK = Annotated[str, option("--task", "TASK", TASK_HELP, names=("auto", *TASKS), callback=one_of("auto", *TASKS))]
DEVICE_HELP = "cpu, cuda, cuda:1, mps; the best one there unless said."
DEVICE = Annotated[str | None, option("--device", "NAME", DEVICE_HELP, names=("cpu", "cuda", "mps"))]
SAVE_EVERY = Annotated[float, option("--save-every", "SECONDS", "Time between checkpoints within an epoch.", min=0)]

TARGET = Annotated[list[str] | None, of_table("--target", "The column to learn; may be repeated.")]
PATH = Annotated[str | None, of_table("--path-column", "The column that names the files.")]
SPLIT = Annotated[str | None, of_table("--split-column", "The column that names the split.")]
GROUP_HELP = "What must not be parted by a split: a patient, a camera."
GROUP = Annotated[str | None, of_table("--group-column", GROUP_HELP)]
PATTERN_HELP = "Find the target in the names of the files: ^(?P<age>[0-9]+)_"
PATTERN = Annotated[str | None, option("--target-pattern", "REGEX", PATTERN_HELP, TABLE)]

GROUP_PATTERN_HELP = "Find what must not be parted by a split in the paths of the files: (?P<patient>p[0-9]+)_"
GROUP_PATTERN = Annotated[str | None, option("--group-pattern", "REGEX", GROUP_PATTERN_HELP, TOGETHER)]
GROUP_LEVEL_HELP = "Or the folder that must not be parted, counted from the top of the path, from 1."
GROUP_LEVEL = Annotated[int | None, option("--group-level", "N", GROUP_LEVEL_HELP, TOGETHER, min=1)]
DECISIONS_HELP = (
    "A table of what to leave out (exclude), to keep together (group) or to take as it is (keep), as "
    "foveal look --fix FILE proposes one."
)
DECISIONS = Annotated[Path | None, option("--decisions", "FILE", DECISIONS_HELP, TOGETHER)]

RECIPE_HELP = f"A named recipe ({', '.join(RECIPES)}) or the recipe.json of a run."
RECIPE = Annotated[str | None, option("--recipe", "NAME", RECIPE_HELP, names=RECIPES)]
MINUTES_HELP = "Make the recipe that gets the most out of so many minutes on this machine, everything included."
MINUTES = Annotated[float | None, option("--minutes", "M", MINUTES_HELP)]
NET_HELP = f"The network in one line, {', '.join(NETS)}, or a backbone such as timm/mobilenetv2_100."
NET = Annotated[str | None, option("--net", "LINE", NET_HELP, names=(*NETS, "timm/"))]
SETTINGS_HELP = "Change any other field of the recipe, such as input.height=96; may be repeated."
SETTINGS = Annotated[list[str] | None, option("--set", "FIELD=VALUE", SETTINGS_HELP)]

PRETRAINED_HELP = (
    "Begin with pretrained weights, or from scratch; unless said, pretrained for photographs where weights can be had."
)
PRETRAINED = Annotated[
    bool | None, option("--pretrained/--no-pretrained", None, PRETRAINED_HELP, BEGIN, show_default=False)
]
WEIGHTS = Annotated[Path | None, option("--weights", "FILE", "A safetensors file of the backbone's weights.", BEGIN)]
LICENCE_HELP = "Take weights whose licence is none of Apache, MIT and BSD, too."
ACCEPT_LICENCE = Annotated[bool, option("--accept-licence", None, LICENCE_HELP, BEGIN)]

AT_HELP = (
    "sensitivity=0.95 of the second of two labels, or LABEL:sensitivity=0.95; likewise specificity and precision; may "
    "be repeated where several labels may be true. Takes the place of what was asked for before; none takes all of "
    "that away."
)
AIMS = ("sensitivity=", "specificity=", "precision=", "none")
AT = Annotated[
    list[str] | None,
    option("--at", "AIM", AT_HELP, DECIDING, complete=labelled(*(f":{aim}" for aim in AIMS[:-1]), before=AIMS)),
]
COVERAGE_HELP = (
    "Answer this share of the images, those that the network is surest of; mark the others as abstained. Takes the "
    "place of what was asked for before; none takes all of that away."
)
COVERAGE = Annotated[Any, option("--coverage", "F", COVERAGE_HELP, DECIDING, names=("none",), parser=share)]
RISK_HELP = (
    "Answer as many images as leave no larger share of the answers wrong; mark the others as abstained. "
    "Takes the place of what was asked for before; none takes all of that away."
)
RISK = Annotated[Any, option("--risk", "F", RISK_HELP, DECIDING, names=("none",), parser=share)]
COST_HELP = (
    "PNEUMONIA:NORMAL=10: a true PNEUMONIA answered NORMAL costs 10, where any other mistake costs 1; likewise "
    "LABEL:missed=10, LABEL:false=2, and abstain=0.3 for no answer; may be repeated. The answer is the one that is "
    "expected to cost least. Takes the place of what was asked for before; none takes all of that away."
)
COST_ENDINGS = (":", ":missed=", ":false=")
COST = Annotated[
    list[str] | None,
    option("--cost", "COST", COST_HELP, DECIDING, complete=labelled(*COST_ENDINGS, before=("abstain=", "none"))),
]


def reading_of(
    target: list[str] | None,
    path: str | None,
    split: str | None,
    group: str | None,
    pattern: str | None,
    group_pattern: str | None = None,
    group_level: int | None = None,
) -> "Reading":
    """Where the targets and the groups are, as the options say."""
    from foveal.types import Reading

    return Reading(tuple(target or ()), path, split, group, pattern, group_pattern, group_level)


def changes_of(settings: list[str] | None, weights: Path | None = None, **fields: Any) -> dict[str, Any]:
    """Fields of the recipe to change: those that were given, and what --set says."""
    told = {**fields, "weights": str(weights) if weights else None}
    return {name: value for name, value in told.items() if value is not None} | _settings(settings or [])


def _settings(texts: list[str]) -> dict[str, Any]:
    """`FIELD=VALUE` with JSON values; what is no JSON is a string."""
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name.strip() in NOT_SET:
            raise typer.BadParameter(f"{name} cannot be set here: use its own flag or argument", param_hint="--set")
        if not equals:
            raise typer.BadParameter(f"expected FIELD=VALUE, got {text!r}", param_hint="--set")
        try:
            settings[name.strip()] = json.loads(value)
        except ValueError:
            settings[name.strip()] = value
    return settings
