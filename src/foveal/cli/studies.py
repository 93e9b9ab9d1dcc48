"""The commands that compare networks and recipes, and that ask how many images are needed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from foveal.cli.loading import uncollected
from foveal.cli.options import (
    ACCEPT_LICENCE,
    DEVICE,
    GROUP,
    JSON,
    NET,
    PATH,
    PATTERN,
    PRETRAINED,
    RUN,
    SETTINGS,
    SOURCE,
    SPLIT,
    TARGET,
    TASK,
    WEIGHTS,
    examples,
    reading_of,
    settings_of,
)

__all__ = ["COMPARE", "CURVE", "compare", "curve"]

COMPARE = examples(
    "foveal compare runs/photos-1 runs/photos-2",
    "foveal compare runs/small runs/large --json",
)
CURVE = examples(
    "foveal curve photos/ --minutes 20",
    "foveal curve cifar10 --minutes 30 --share 0.1 --share 0.2 --share 0.3 --share 0.4 --share 0.5",
    "foveal curve photos/ --epochs 20 --reach 0.95 --json",
)


def compare(first: RUN, second: RUN, as_json: JSON = False) -> None:
    """Say whether two networks differ on the same test images, counting the look; and whether two recipes do, given a
    series of repeats of each."""
    from foveal.api import compare
    from foveal.cli import show
    from foveal.cli.several import comparison

    with uncollected(), show.working(f"comparing {first} and {second}") as progress:
        found = compare(first, second, progress=progress)
    show.json_object(found.as_dict()) if as_json else comparison(found)


def curve(
    source: SOURCE = "digits",
    share: Annotated[
        list[float] | None,
        typer.Option(
            "--share",
            metavar="F",
            help="Of the training images, to train on; repeated, four times at least. 0.1, 0.2, 0.4, 0.7 and 1 unless "
            "said.",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, help="Trainings of each share, with other seeds and other images.")
    ] = 2,
    reach: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Say, too, how many images this score would take.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="M", help="For the whole curve: make a recipe that lets all trainings fit."),
    ] = None,
    task: TASK = "auto",
    target: TARGET = None,
    path_column: PATH = None,
    split_column: SPLIT = None,
    group_column: GROUP = None,
    target_pattern: PATTERN = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="A named recipe, or the recipe.json of a run.")
    ] = None,
    net: NET = None,
    pretrained: PRETRAINED = None,
    weights: WEIGHTS = None,
    accept_licence: ACCEPT_LICENCE = False,
    epochs: Annotated[float | None, typer.Option(help="Passes over the images, the same for each share.")] = None,
    seed: Annotated[int | None, typer.Option(help="The first; of split, shares and trainings.")] = None,
    settings: SETTINGS = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The curve's folder; runs/NAME-curve-N unless said.")
    ] = None,
    device: DEVICE = None,
    as_json: JSON = False,
) -> None:
    """Train on growing shares of the images and say what more of them would buy; no test image is looked at."""
    from foveal.api import begin_curve
    from foveal.api.curving import SHARES
    from foveal.cli import BEGAN, show
    from foveal.cli.several import go_on_with_curve

    flags = {"epochs": epochs, "seed": seed, "weights": str(weights) if weights else None}
    changes = {name: value for name, value in flags.items() if value is not None} | settings_of(settings or [])
    asked: dict[str, Any] = {"task": task, "recipe": recipe, "net": net, "pretrained": pretrained, "minutes": minutes}
    asked |= {"accept_licence": accept_licence, "out": out, "device": device or "auto", "reach": reach}
    asked["reading"] = reading_of(target, path_column, split_column, group_column, target_pattern)
    with uncollected(), show.working(f"learning curve of {source}") as progress:
        path = begin_curve(source, shares=share or SHARES, repeats=repeats, progress=progress, **asked, **changes)
    go_on_with_curve(path, as_json, began=BEGAN)
