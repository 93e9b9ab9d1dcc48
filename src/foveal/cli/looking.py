"""The command that looks at images before anything is trained on them."""

import math
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.loading import uncollected
from foveal.cli.options import (
    DECISIONS,
    GROUP,
    GROUP_LEVEL,
    GROUP_PATTERN,
    JSON,
    PATH,
    PATTERN,
    SETTINGS,
    SOURCE,
    SPLIT,
    TARGET,
    TASK,
    TOGETHER,
    changes_of,
    examples,
    option,
    reading_of,
)
from foveal.cli.stopping import ANEW, stopped_with
from foveal.phrasing import command, counted

__all__ = ["LOOK", "look"]

LOOK = examples(
    "foveal look photos/",
    "foveal look photos.zip --json",
    "foveal look faces/ --target-pattern '^(?P<age>[0-9]+)_'",
    "foveal look photos/ --augment sheet.png",
    "foveal look photos/ --suspects --minutes 2",
    "foveal look cells.zip --suspects --minutes 10",
    "foveal look photos/ --shortcuts",
    "foveal look xrays/ --group-pattern '(?P<patient>p[0-9]+)_' --fix moves.csv",
)
AUGMENT_HELP = "Draw some images as training would change them, into this PNG file."
AUGMENT = Annotated[Path | None, option("--augment", "FILE", AUGMENT_HELP)]
AS_IN = Annotated[str | None, option("--recipe", "NAME", "The recipe whose augmentation --augment shows.")]
FIX_HELP = (
    "Write what could be left out or grouped into this new table, to edit and to give to --decisions; with --decisions "
    "what was decided before, too."
)
FIX = Annotated[Path | None, option("--fix", "FILE", FIX_HELP, TOGETHER)]
SUSPECTS_HELP = "Find labels, values or boxes that look wrong, by networks that learn from the others."
SUSPECTS = Annotated[bool, option("--suspects", None, SUSPECTS_HELP)]
SHORTCUTS_HELP = "Say how well the border, the colours or the file alone tell the label, labels or value."
SHORTCUTS = Annotated[bool, option("--shortcuts", None, SHORTCUTS_HELP)]


def look(
    source: SOURCE = "digits",
    task: TASK = "auto",
    target: TARGET = None,
    path_column: PATH = None,
    split_column: SPLIT = None,
    group_column: GROUP = None,
    target_pattern: PATTERN = None,
    group_pattern: GROUP_PATTERN = None,
    group_level: GROUP_LEVEL = None,
    decisions: DECISIONS = None,
    augment: AUGMENT = None,
    recipe: AS_IN = None,
    fix: FIX = None,
    settings: SETTINGS = None,
    suspects: SUSPECTS = False,
    shortcuts: SHORTCUTS = False,
    minutes: Annotated[float | None, option("--minutes", "M", "For --suspects; 1 unless said.")] = None,
    as_json: JSON = False,
) -> None:
    """Say what is there: labels and counts, sizes, unreadable files, exact and near-duplicates, outliers, the split."""
    if minutes is not None and not suspects:
        raise typer.BadParameter("are for --suspects, which is not asked for", param_hint="--minutes")
    if minutes is not None and not 0 < minutes < math.inf:
        raise typer.BadParameter(f"expected more than 0 minutes, found {minutes:g}", param_hint="--minutes")
    columns = target, path_column, split_column, group_column, target_pattern
    with stopped_with(partial(_left, augment)):
        from foveal.api import check_labels, check_shortcuts, contact_sheet, look, propose_split
        from foveal.cli import show
        from foveal.cli.show_checks import show_checks, with_checks
        from foveal.data import check_proposal, summary, write_proposal
        from foveal.errors import SplitError
        from foveal.tasks import named_task

        if fix:
            check_proposal(fix, again=decisions is not None)
        reading = reading_of(*columns, group_pattern, group_level)
        with show.working(f"looking at {source}") as progress:
            dataset = look(source, task=task, reading=reading, decisions=decisions, progress=progress)
            if augment:
                contact_sheet(dataset, augment, recipe=recipe, **changes_of(settings))
            hidden = check_shortcuts(dataset, progress=progress) if shortcuts else None
            with uncollected():
                judged = (
                    check_labels(dataset, minutes=1.0 if minutes is None else minutes, progress=progress)
                    if suspects
                    else None
                )
    if augment:
        show.wrote(augment, "a row an image, the first as it is, then as training sees it")
    if fix:
        rows, before = write_proposal(dataset, fix)
        told = counted(rows, "proposal") + (f" and {counted(before, 'decision')} of {decisions}" if before else "")
        nothing = f"there is nothing {'more ' if before else ''}to decide"
        how = f"edit it, then give it to {command('--decisions', fix)}" if rows else nothing
        show.wrote(fix, f"{told}; {how}")
        if judged and judged.findings:
            show.err.print(
                f"none is about a suspect: a row of {fix} decides about a whole image", soft_wrap=True, markup=False
            )
    note = ""
    try:
        dataset = propose_split(dataset)
    except SplitError as error:
        note = str(error)
    data = summary(dataset, named_task(dataset.task))
    if as_json:
        show.json_object(with_checks(data, hidden, judged))
        return
    show.data(data, dataset, note)
    show_checks(hidden, judged)


def _left(sheet: Path | None) -> str:
    """By Ctrl-C."""
    if sheet and sheet.is_file():
        return f"Nothing but {sheet} was written. The same command without --augment starts anew."
    return f"Nothing was written, and the images are as they were. {ANEW}"
