"""The command that answers."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from foveal.cli.loading import uncollected
from foveal.cli.options import BUNDLE, DEVICE, INTERRUPTED, examples, one_of, option

__all__ = ["PREDICT", "predict"]

PREDICT = examples(
    "foveal predict runs/photos-1 new.jpg",
    "foveal predict runs/photos-1 inbox/ --json",
    "foveal predict runs/photos-1/bundle new.jpg",
    "foveal predict runs/photos-1 'shots/*.png'",
    "foveal predict runs/photos-1 inbox/ --write answers.csv",
    "foveal predict runs/cells-1 inbox/ --draw drawn/",
    "foveal predict runs/cells-1 inbox/ --write found/ --format yolo",
)
BOXES = "Boxes"
DRAW_HELP = "Draw the boxes into copies of the images, in this folder."
WRITE_HELP = (
    "Write the answers into a table, NAME.csv, with the columns file, the answer's own, abstained, reason and error; "
    "or boxes as annotations, into this folder or one file, NAME.json or NAME.jsonl."
)
FORMS = ("csv", "coco", "yolo", "voc", "json")
FORM_HELP = (
    "Of what is written: csv (a row an image, or a row a box); of boxes, too, coco, yolo, voc, or json (a line an "
    "image). Where it is not said, NAME.csv is csv, all else coco."
)


def predict(
    run: BUNDLE,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE…", help="Files, folders, or patterns in quotes.")],
    device: DEVICE = None,
    draw: Annotated[Path | None, option("--draw", "DIR", DRAW_HELP, BOXES)] = None,
    write: Annotated[Path | None, option("--write", "PATH", WRITE_HELP)] = None,
    form: Annotated[str | None, option("--format", "FORM", FORM_HELP, names=FORMS, callback=one_of(*FORMS))] = None,
    as_json: Annotated[bool, option("--json", None, "Print one JSON object a line.")] = False,
) -> None:
    """Say what is on images: the answer for each file, as they come; write the answers, and draw boxes, too."""
    from foveal.cli import show_answers
    from foveal.cli.terminal import err, json_object
    from foveal.readers.paths import image_files

    answered, failed, stopped = 0, 0, False
    try:
        with show_answers.predicting() as progress:
            with uncollected():
                files = image_files(images)
                listed = len(files) <= show_answers.FILES_COUNTED
                answers = _answers(run, files, draw, write, form, device=device or "auto", progress=progress)
            with closing(answers):
                for answer in answers:
                    answered += answer.prediction is not None
                    failed += answer.prediction is None
                    json_object(answer.as_dict()) if as_json else show_answers.answer(answer, listed)
    except KeyboardInterrupt:
        stopped = True
    show_answers.answered(answered, failed, stopped=stopped)
    for place in (draw, write):
        if place and place.exists():
            err.print(f"wrote {place}", soft_wrap=True)
    if stopped or failed:
        raise typer.Exit(INTERRUPTED if stopped else 1)


def _answers(
    run: Path, files: list[str], draw: Path | None, write: Path | None, form: str | None, **options: Any
) -> Any:
    """The answers of `predict`, drawn and written on the way where that is asked for."""
    from foveal.api import predict
    from foveal.api.answering import opened
    from foveal.api.tabling import check_table, columns_of, tabled

    form = form or ("csv" if write and write.suffix.casefold() == ".csv" else "coco")
    table = write if form == "csv" else None
    if table:
        check_table(table)
    told = opened(run)
    if draw or (write and not table):
        from foveal.api.drawing import Places, predict_and_keep

        answers = predict_and_keep(told, files, Places(draw, None if table else write, form), **options)
    else:
        answers = predict(told, files, **options)
    return tabled(answers, table, columns_of(told)) if table else answers
