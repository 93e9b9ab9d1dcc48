"""From a dataset to all that training needs: the recipe, fixed or made for the minutes, the split, the pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from foveal.data import divide
from foveal.data.cache import pixels
from foveal.engine.devices import LONG, LONG_MINUTES, Device, resolve_kernels, resolve_precision
from foveal.engine.ladder import LADDER, contract_for, recipe_on
from foveal.engine.pace import Pace
from foveal.engine.plan import Plan, Planner
from foveal.engine.steps import training_set
from foveal.errors import RecipeError
from foveal.recipe import Recipe
from foveal.task import Task
from foveal.types import Dataset, Progress

__all__ = ["Ready", "ready", "ready_in"]

DECODING = 0.1  # share of the minutes


@dataclass(frozen=True, eq=False)
class Ready:
    """All that training needs.

    Args:
        dataset: divided.
        pixels: (N, H, W, C) uint8, in the dataset's order.
        plan: how the recipe came about, where minutes decided it.
        pace: what keeps the training within them.
    """

    recipe: Recipe
    dataset: Dataset
    pixels: np.ndarray
    plan: Plan | None = None
    pace: Pace | None = None


def ready(dataset: Dataset, task: Task, recipe: Recipe, device: Device, progress: Progress | None = None) -> Ready:
    """With a recipe that says everything but, perhaps, the precision and the kernels."""
    dataset = divide(dataset, validation=recipe.validation, test=recipe.test, seed=recipe.seed)
    seen = recipe.epochs * len(dataset.rows("train")) * recipe.input.height * recipe.input.width
    recipe = _resolved(recipe, device, seen >= LONG)
    return Ready(recipe, dataset, pixels(dataset, task.reader, recipe.input, progress=progress))


def _resolved(recipe: Recipe, device: Device, long: bool) -> Recipe:
    """With the precision and the kernels that `auto` means here; `long`: whether to learn takes long."""
    precision = resolve_precision(recipe.precision, device)
    kernels = resolve_kernels(recipe.kernels, precision, device, long)
    return recipe.changed(precision=precision, kernels=kernels)


def ready_in(
    minutes: float,
    clock: Callable[[], float],
    dataset: Dataset,
    task: Task,
    device: Device,
    changes: dict[str, Any],
    own: Recipe | None = None,
    module: torch.nn.Module | None = None,
    progress: Progress | None = None,
) -> Ready:
    """With the recipe that makes most of the minutes.

    Args:
        clock: seconds since the work began that the minutes are for.
        changes: fields of the recipe that are settled.
        own: the recipe to fit to the minutes where the user brings a net.
        module: that net, where it is a module.

    Raises:
        RecipeError: the minutes are no time, or leave none for training, or the epochs are settled too.
    """
    if not minutes > 0:
        raise RecipeError(f"Expected a time above 0, found {minutes:g} minutes.", remedy="Give some, such as 1 or 0.5.")
    if "epochs" in changes:
        raise RecipeError(
            "The minutes decide how many epochs there are, and epochs were asked for too.",
            remedy="Leave out --minutes, or --epochs.",
        )

    def prepared(outline: Recipe, shrunk: bool = False) -> tuple[Ready, Planner]:
        outline = _resolved(outline, device, minutes >= LONG_MINUTES)
        at = ready(dataset, task, outline, device, progress)
        planner = Planner(
            dataset=dataset,
            data=training_set(at.dataset, at.pixels, task, outline.input),
            task=task,
            contract=outline.input,
            test=len(at.dataset.rows("test")),
            minutes=minutes,
            clock=clock,
            device=device,
            changes={**changes, "precision": at.recipe.precision, "kernels": at.recipe.kernels},
            own=outline if own else None,
            module=module,
            shrunk=shrunk,
        )
        return at, planner

    outline = own or recipe_on(LADDER[0], dataset, contract_for(dataset, len(dataset), minutes), "")
    outline, began = outline.changed(**changes), clock()
    at, planner = prepared(outline)
    # Images are decoded again for a smaller input, so only where that takes no large part of the time.
    if outline.weights and clock() - began < DECODING * 60 * minutes:
        suited = planner.suited_input()
        if suited != outline.input:
            at, planner = prepared(outline.model_copy(update={"input": suited}), shrunk=True)
    plan, pace = planner.plan()
    return Ready(plan.recipe, at.dataset, at.pixels, plan, pace)
