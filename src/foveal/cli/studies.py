"""The commands that compare networks and recipes, and that ask how many images are needed."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

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
    changes_of,
    examples,
    option,
    reading_of,
)
from foveal.cli.stopping import begun, compared, stopped_with

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
SHARE_HELP = "Of the training images, to train on; repeated, four times at least. 0.1, 0.2, 0.4, 0.7 and 1 unless said."
REPEATS_HELP = "Trainings of each share, with other seeds and other images."
REACH_HELP = "Say, too, how many images this score would take."
MINUTES_HELP = "For the whole curve: make a recipe that lets all trainings fit."
EPOCHS_HELP = "Passes over the images, the same for each share."


def compare(first: RUN, second: RUN, as_json: JSON = False) -> None:
    """Say whether two networks differ on the same test images, counting the look; and whether two recipes do, given a
    series of repeats of each."""
    with stopped_with(compared(first, second)):
        from foveal.api import compare
        from foveal.cli import show
        from foveal.cli.several import comparison

        with uncollected(), show.working(f"comparing {first} and {second}") as progress:
            found = compare(first, second, progress=progress)
    show.json_object(found.as_dict()) if as_json else comparison(found)


def curve(
    source: SOURCE = "digits",
    share: Annotated[list[float] | None, option("--share", "F", SHARE_HELP)] = None,
    repeats: Annotated[int, option("--repeats", "N", REPEATS_HELP, min=1)] = 2,
    reach: Annotated[float | None, option("--reach", "SCORE", REACH_HELP)] = None,
    minutes: Annotated[float | None, option("--minutes", "M", MINUTES_HELP)] = None,
    task: TASK = "auto",
    target: TARGET = None,
    path_column: PATH = None,
    split_column: SPLIT = None,
    group_column: GROUP = None,
    target_pattern: PATTERN = None,
    recipe: Annotated[str | None, option("--recipe", "NAME", "A named recipe, or the recipe.json of a run.")] = None,
    net: NET = None,
    pretrained: PRETRAINED = None,
    weights: WEIGHTS = None,
    accept_licence: ACCEPT_LICENCE = False,
    epochs: Annotated[float | None, option("--epochs", None, EPOCHS_HELP)] = None,
    seed: Annotated[int | None, option("--seed", None, "The first; of split, shares and trainings.")] = None,
    settings: SETTINGS = None,
    out: Annotated[Path | None, option("--out", "DIR", "The curve's folder; runs/NAME-curve-N unless said.")] = None,
    device: DEVICE = None,
    as_json: JSON = False,
) -> None:
    """Train on growing shares of the images and say what more of them would buy; no test image is looked at."""
    from foveal.cli import BEGAN

    begin: dict[str, Any] = {"net": net, "pretrained": pretrained, "accept_licence": accept_licence}
    begin["changes"] = changes_of(settings, weights, epochs=epochs, seed=seed)
    with stopped_with(partial(begun, out)):
        from foveal.api import begin_curve
        from foveal.api.curving import SHARES
        from foveal.api.preparing import Asked
        from foveal.cli import show
        from foveal.cli.several import go_on_with_curve

        reading = reading_of(target, path_column, split_column, group_column, target_pattern)
        with uncollected(), show.working(f"learning curve of {source}") as progress:
            asked = Asked(source, task, reading, recipe, minutes, **begin, device=device or "auto", progress=progress)
            path = begin_curve(asked, shares=share or SHARES, repeats=repeats, reach=reach, out=out)
    go_on_with_curve(path, as_json, began=BEGAN)
