"""The arguments and options that several commands share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from foveal.types import Reading

__all__ = [
    "ACCEPT_LICENCE",
    "AT",
    "BUNDLE",
    "COVERAGE",
    "DECISIONS",
    "DEVICE",
    "GROUP",
    "GROUP_LEVEL",
    "GROUP_PATTERN",
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
    "completed",
    "examples",
    "reading_of",
    "settings_of",
]


def completed(*names: str) -> Callable[[str], list[str]]:
    """Tab completion by names; files and folders are completed by the shell."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def examples(*commands: str) -> str:
    return "\n\n".join(["Examples:", *(f"  [bold]{command}[/bold]" for command in commands)])


NOT_SET = {"net", "task", "recipe", "minutes", "out", "device", "source", "progress", "save_every", "began"} | {
    "at",
    "coverage",
    "risk",
    "reading",
    "pretrained",
    "accept_licence",
    "decisions",
    "start",
    "shares",
    "repeats",
    "reach",
}
NETS = ("cookbook", "lenet5", "vgg-small", "resnet9", "detector", "ssdlite")
SOURCE = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        autocompletion=completed("digits", "cifar10", "cifar100"),
        help="A folder of class folders, or of boxes in COCO, VOC or YOLO form; a .zip or .tar of one; a table (.csv, "
        ".tsv, .parquet), a list of files (.txt), hf:OWNER/NAME, or a built-in set: digits, cifar10, cifar100.",
    ),
]
RUN = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/digits-1.")]
BUNDLE = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/digits-1, or a bundle's.")]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]
TASK = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="TASK",
        help="What to learn: classification, regression, multilabel or detection; told by how targets are written "
        "unless said.",
        autocompletion=completed("auto", "classification", "regression", "multilabel", "detection"),
    ),
]
TABLE = "Tables and file names"
TARGET = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="COLUMN", help="The column to learn; may be repeated.", rich_help_panel=TABLE),
]
PATH = Annotated[
    str | None,
    typer.Option("--path-column", metavar="COLUMN", help="The column that names the files.", rich_help_panel=TABLE),
]
SPLIT = Annotated[
    str | None,
    typer.Option("--split-column", metavar="COLUMN", help="The column that names the split.", rich_help_panel=TABLE),
]
GROUP = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        metavar="COLUMN",
        help="What must not be parted by a split: a patient, a camera.",
        rich_help_panel=TABLE,
    ),
]
PATTERN = Annotated[
    str | None,
    typer.Option(
        "--target-pattern",
        metavar="REGEX",
        help="Find the target in the names of the files: ^(?P<age>[0-9]+)_",
        rich_help_panel=TABLE,
    ),
]
TOGETHER = "What stays together, and what is left out"
GROUP_PATTERN = Annotated[
    str | None,
    typer.Option(
        "--group-pattern",
        metavar="REGEX",
        help="Find what must not be parted by a split in the paths of the files: (?P<patient>p[0-9]+)_",
        rich_help_panel=TOGETHER,
    ),
]
GROUP_LEVEL = Annotated[
    int | None,
    typer.Option(
        "--group-level",
        metavar="N",
        min=1,
        help="Or the folder that must not be parted, counted from the top of the path, from 1.",
        rich_help_panel=TOGETHER,
    ),
]
DECISIONS = Annotated[
    Path | None,
    typer.Option(
        "--decisions",
        metavar="FILE",
        help="A table of what to leave out (exclude), to keep together (group) or to take as it is (keep), as "
        "foveal look --fix FILE proposes one.",
        rich_help_panel=TOGETHER,
    ),
]
NET = Annotated[
    str | None,
    typer.Option(
        metavar="LINE",
        help=f"The network in one line, {', '.join(NETS)}, or a backbone such as timm/mobilenetv2_100.",
        autocompletion=completed(*NETS, "timm/"),
    ),
]
SETTINGS = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change any other field of the recipe, such as input.height=96; may be repeated.",
    ),
]
BEGIN = "Pretrained weights"
PRETRAINED = Annotated[
    bool | None,
    typer.Option(
        "--pretrained/--no-pretrained",
        help="Begin with pretrained weights, or from scratch; unless said, pretrained for photographs where weights "
        "can be had.",
        show_default=False,
        rich_help_panel=BEGIN,
    ),
]
WEIGHTS = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A safetensors file of the backbone's weights.", rich_help_panel=BEGIN),
]
ACCEPT_LICENCE = Annotated[
    bool,
    typer.Option(
        "--accept-licence",
        help="Take weights whose licence is none of Apache, MIT and BSD, too.",
        rich_help_panel=BEGIN,
    ),
]
MINUTES = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="Make the recipe that gets the most out of so many minutes on this machine, everything included.",
    ),
]
DEVICE = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="cpu, cuda, cuda:1, mps; the best one there unless said.",
        autocompletion=completed("cpu", "cuda", "mps"),
    ),
]
DECIDING = "Operating point, chosen on the validation images"
AT = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="AIM",
        help="sensitivity=0.95 of the second of two labels, or LABEL:sensitivity=0.95; likewise specificity and "
        "precision; may be repeated where several labels may be true, and none takes it away.",
        autocompletion=completed("sensitivity=", "specificity=", "precision=", "none"),
        rich_help_panel=DECIDING,
    ),
]
COVERAGE = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        help="Answer this share of the images, those that the network is surest of; mark the others as abstained.",
        rich_help_panel=DECIDING,
    ),
]
RISK = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        help="Answer as many images as leave no larger share of the answers wrong; mark the others as abstained.",
        rich_help_panel=DECIDING,
    ),
]
SAVE_EVERY = Annotated[
    float, typer.Option("--save-every", min=0, metavar="SECONDS", help="Time between checkpoints within an epoch.")
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


def settings_of(texts: list[str]) -> dict[str, Any]:
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
