"""From what was asked for to all that training needs: the images, the recipe, the network and what it begins with."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.api.looking import look
from foveal.errors import RecipeError, WeightsError
from foveal.extras import extra
from foveal.recipe import Recipe
from foveal.recipes import named_recipe, natural
from foveal.run import CUSTOM_NET, Run
from foveal.task import Task
from foveal.types import SPLITS, Dataset, Progress, Reading, Source

if TYPE_CHECKING:
    from torch import nn

    from foveal.engine.devices import Device
    from foveal.engine.pretrained import Weights
    from foveal.engine.ready import Ready
    from foveal.nets import Layer

    Net = str | Sequence[Layer] | nn.Module

__all__ = ["Asked", "Prepared", "module_and_line", "prepare"]


@dataclass(frozen=True, eq=False)
class Asked:
    """What a training was asked for; see `foveal.train` for what each means."""

    source: "str | Path | Source | Dataset"
    task: str = "auto"
    reading: Reading | None = None
    recipe: str | Recipe | None = None
    minutes: float | None = None
    net: "Net | None" = None
    pretrained: bool | None = None
    accept_licence: bool = False
    decisions: str | Path | None = None
    start: "str | Path | Run | None" = None
    device: str = "auto"
    began: float | None = None
    progress: Progress | None = None
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prepared:
    """
    Args:
        module: the user's own net, where it is one.
        weights: what the network's backbone begins with.
        start: the run whose network it begins with.
        notes: what a person should know of how it came about.
    """

    task: Task
    ready: "Ready"
    device: "Device"
    module: "nn.Module | None"
    weights: "Weights | None" = None
    start: Run | None = None
    notes: tuple[str, ...] = ()


def prepare(asked: Asked) -> Prepared:
    """Look, choose or make the recipe, find weights, divide, decode.

    Raises:
        RecipeError: both a recipe and minutes to make one in.
        WeightsError: pretrained weights were asked for, and cannot be had or used.
    """
    start = time.monotonic() if asked.began is None else asked.began
    with extra("train"):
        from foveal.engine.devices import choose_device
        from foveal.engine.ready import ready, ready_in
    from foveal.tasks import named_task

    if asked.minutes is not None and asked.recipe is not None:
        raise RecipeError(
            "The minutes make a recipe, and a recipe was given too.", remedy="Leave out --minutes, or --recipe."
        )
    dataset = _dataset(asked)
    task = named_task(dataset.task)
    task.ready()
    device = choose_device(asked.device)
    if asked.start is not None:
        return _continuing(asked, Run.open(asked.start), task, dataset, device)
    module, own, weights, notes = _begin(asked, task, dataset)
    changes = {"task": task.name, **asked.changes}
    if asked.minutes is None:
        assert own is not None
        at = ready(dataset, task, own, device, asked.progress)
        return Prepared(task, at, device, module, weights, notes=(*notes, *_named(weights)))
    if own is not None:
        own = own.changed(name=f"{asked.minutes:g} minutes")
        changes |= {name: getattr(own, name) for name in ("weights",)}

    def clock() -> float:
        return time.monotonic() - start

    at = ready_in(asked.minutes, clock, dataset, task, device, changes, own, module, asked.progress)
    return Prepared(task, at, device, module, weights, notes=(*notes, *_named(weights)))


def _named(weights: "Weights | None") -> tuple[str, ...]:
    return (f"weights of {weights.name} from {weights.origin}, licence {weights.licence}",) if weights else ()


def _continuing(asked: Asked, start: Run, task: Task, dataset: Dataset, device: "Device") -> Prepared:
    """
    Raises:
        RecipeError: the start decides what was asked for otherwise, too.
    """
    from foveal.api.continuing import continued, divided_like, start_recipe
    from foveal.engine.ready import ready

    if asked.minutes is not None or asked.recipe is not None or asked.pretrained or asked.changes.get("weights"):
        raise RecipeError(
            f"{start.path} decides the recipe and the weights, and they were asked for otherwise too.",
            remedy="Leave out --minutes, --recipe, --pretrained and --weights; single fields may be --set.",
        )
    recipe = start_recipe(start)
    module, line = module_and_line(asked.net, recipe)
    recipe = recipe.changed(**{"net": line, **asked.changes})
    whole = continued(dataset, task, start)
    absent = [label for label in start.info["labels"] if label not in dataset.labels]
    divided, note = divided_like(whole, task, start, recipe, asked.progress)
    divided = replace(divided, given=SPLITS)
    at = ready(divided, task, recipe.changed(validation=None, test=None), device, asked.progress)
    told = f"{start.path} knew {', '.join(absent)}, of which there is no image here: it will be forgotten"
    notes = (*([told] if absent else []), *([note] if note else []))
    return Prepared(task, at, device, module, start=start, notes=notes)


def module_and_line(net: "Net | None", recipe: Recipe) -> "tuple[nn.Module | None, str]":
    """The user's module if it is one, and the line that stands for the net in the recipe."""
    from foveal.nets import Net, expand

    if net is None:
        return None, expand(recipe.net) if recipe.net != CUSTOM_NET else CUSTOM_NET
    if isinstance(net, str):
        return None, expand(net)
    if isinstance(net, Sequence):
        return None, str(Net(net))
    return net, CUSTOM_NET


Beginning = "tuple[nn.Module | None, Recipe | None, Weights | None, tuple[str, ...]]"


def _begin(asked: Asked, task: Task, dataset: Dataset) -> Beginning:  # pyright: ignore[reportInvalidTypeForm]
    """The user's module, the recipe (none where the minutes decide all of it), the weights, and notes on them."""
    notes: tuple[str, ...] = ()
    name = asked.recipe
    if asked.pretrained is False and asked.changes.get("weights"):
        raise RecipeError(
            "Weights were named, and none were asked for too.", remedy="Leave out --weights, or --no-pretrained."
        )
    wanted = _wants_weights(asked, dataset)
    if name is None and wanted:
        try:
            return *_pretrained(asked, named_recipe(task.pretrained, dataset), task), ()
        except WeightsError as error:
            probe = asked.changes.get("epochs") == 0  # there is nothing else then, and it needs them
            if asked.pretrained or asked.net is not None or asked.changes.get("weights") or probe:
                raise
            notes = (f"trained from scratch: {' '.join(error.message.split())}",)
    if asked.minutes is not None and asked.net is None and task.ladder:
        return None, None, None, notes
    named = name if isinstance(name, Recipe) else named_recipe(name or task.recipe, dataset)
    if asked.pretrained is False and named.weights:
        named = named.changed(weights=None, probe=False, still_norms=False, layer_decay=1.0)
    if named.weights or asked.changes.get("weights") or asked.pretrained:
        return *_pretrained(asked, named, task), notes
    module, line = module_and_line(asked.net, named)
    return module, named.changed(**{"task": task.name, "net": line, **asked.changes}), None, notes


def _wants_weights(asked: Asked, dataset: Dataset) -> bool:
    from foveal.nets.backbone import PREFIX

    if asked.pretrained is not None:
        return asked.pretrained
    if asked.changes.get("weights"):
        return True
    if asked.net is not None:
        return isinstance(asked.net, str) and asked.net.strip().lower().startswith(PREFIX)
    return asked.recipe is None and "net" not in asked.changes and natural(dataset)


def _pretrained(asked: Asked, named: Recipe, task: Task) -> "tuple[nn.Module | None, Recipe, Weights]":
    with extra("train"):
        from foveal.engine.pretrained import HUB, find_weights, follow_weights

    module, line = module_and_line(asked.net, named)
    wanted = {"weights": named.weights or HUB, "task": task.name, "net": line, **asked.changes}
    recipe = named.changed(**wanted)
    weights = find_weights(recipe, asked.accept_licence)
    settled = set(asked.changes)
    if task.strides:  # maps of any size will do, and where things are small it is the images that say which
        settled |= {"input.height", "input.width"}
    return module, follow_weights(recipe, weights, settled), weights


def _dataset(asked: Asked) -> Dataset:
    if not isinstance(asked.source, Dataset):
        how = {"task": asked.task, "reading": asked.reading, "decisions": asked.decisions}
        return look(asked.source, progress=asked.progress, **how)
    if asked.decisions is not None:
        raise RecipeError("A data set was given that was looked at already.", remedy="Give the decisions to `look`.")
    dataset = asked.source
    if (dataset.splits == "").any():
        return dataset
    # One whose every image has been put into a split is used as it is.
    return replace(dataset, given=tuple(name for name in SPLITS if len(dataset.rows(name))))
