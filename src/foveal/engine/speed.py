"""How fast this machine learns with a recipe: a moment of the loop that trains, on the images it will train on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foveal.engine.devices import Device
from foveal.engine.infer import infer
from foveal.engine.optimise import optimizer_for
from foveal.engine.predictor import network_for
from foveal.engine.state import State
from foveal.engine.steps import Steps, TrainingSet
from foveal.recipe import Recipe
from foveal.task import Task

__all__ = ["Speed", "measure_speed"]

PROBE = 512  # images in a batch at most: a larger one takes longer to measure and tells the same


@dataclass(frozen=True)
class Speed:
    """Seconds that an image takes to learn from and to answer for, and a step of the optimizer.

    Args:
        phases: (until this share of the steps, seconds an image), …: what `learn` is the mean of.
    """

    learn: float
    answer: float
    step: float
    phases: tuple[tuple[float, float], ...] = ()

    def epoch(self, images: int, batch_size: int) -> float:
        return images * self.learn + images / batch_size * self.step

    def rate(self, batch_size: int) -> float:
        """Images a second."""
        return 1 / (self.learn + self.step / batch_size)


def measure_speed(
    recipe: Recipe,
    task: Task,
    labels: Sequence[str],
    data: TrainingSet,
    device: Device,
    seconds: float,
    module: torch.nn.Module | None = None,
) -> Speed:
    """Train a throw-away network for some seconds, at each size of a growing recipe.

    Args:
        seconds: to spend; a step or two more where one step takes longer.
        module: the user's own, which is left as it was.
    """
    kept = None if module is None else {name: value.clone() for name, value in module.state_dict().items()}
    network = network_for(recipe, task, labels, module)
    network.to(device.torch, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    batch = min(recipe.batch_size, PROBE, len(data.train))
    sizes = (*recipe.growth, (1.0, 1.0))
    learn, began, step, phases = 0.0, 0.0, 0.0, []
    for until, scale in sizes:
        probe = recipe.changed(batch_size=batch, epochs=100_000, growth=((1.0, scale),) if scale < 1 else ())
        steps = Steps(network, optimizer_for(network, probe, device.torch), task.answer, probe, data, device, State())
        whole, step = _seconds_a_step(steps, seconds / len(sizes))
        phases.append((until, max(whole - step, 0.1 * whole) / batch))
        learn += (until - began) * phases[-1][1]
        began = until
    rows = data.train[:batch]
    infer(network, data.pixels, rows, device.torch)
    start = time.perf_counter()
    task.answer.score(infer(network, data.pixels, rows, device.torch), data.targets[rows])
    answer = (time.perf_counter() - start) / len(rows)
    if module is not None and kept is not None:
        module.load_state_dict(kept)
    return Speed(learn, answer, step, tuple(phases))


def _seconds_a_step(steps: Steps, seconds: float) -> tuple[float, float]:
    """Means of a whole step and of the optimizer's part in it: a training's time is a sum, slow moments included."""
    endless = steps.endless()
    for _ in range(steps.warm):
        next(endless)
    whole: list[float] = []
    while not whole or sum(whole) < seconds:
        start = time.perf_counter()
        next(endless)
        whole.append(time.perf_counter() - start)
    start = time.perf_counter()
    steps.optimizer.step()
    return sum(whole) / len(whole), time.perf_counter() - start
