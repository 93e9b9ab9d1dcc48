"""The best network in the minutes there are: measures this machine for a moment, then fixes a recipe.

The clock has a say only here. The recipe that comes out is as fixed as any other: a run can be repeated without it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from foveal.data.batches import steps_in_epoch
from foveal.engine.devices import Device
from foveal.engine.ladder import (
    LADDER,
    Rung,
    activations,
    batch_for,
    fewest_for,
    most_epochs,
    net_for,
    parameters,
    recipe_on,
    rung_for,
    sized,
    training_flops,
)
from foveal.engine.pace import Pace
from foveal.engine.speed import Speed, measure_speed
from foveal.engine.steps import TrainingSet
from foveal.errors import RecipeError
from foveal.phrasing import counted
from foveal.recipe import InputContract, Recipe
from foveal.run import CUSTOM_NET
from foveal.task import Task
from foveal.types import Dataset

__all__ = ["Plan", "Planner"]

SHARE = 0.96  # of the minutes that are planned for
LATE = 1.1  # times the minutes from which on a plan says that it will be late
MEASURING = 0.015  # share of the minutes that measuring a net may take
LONGEST = 2.0  # seconds for it
REPORT = 2.3  # seconds that baselines and report take, and for each thousand test images …
REPORT_PER_THOUSAND = 0.13
NOMINAL = 5e10  # FLOP/s: the net for a machine that does so many is measured first
NEAR = 0.5  # share of the images that a larger net needs, from which it is measured
SAVING = 0.3  # seconds that a checkpoint takes at the end of an epoch
RUNTIME = 500e6  # bytes of Python and torch
FEWEST, MOST = 2.0, 12.0  # epochs of tuning that pay: fewer leave a probe better off, more learn by heart
ENOUGH = 7.0  # epochs of tuning below which smaller images, and more epochs, do better: docs/log.md
SMALLER = 6 / 7, 5 / 7  # of the side that weights were trained with: 192 and 160 pixels for 224
VALIDATING, MOST_SELDOM = 0.05, 25  # share of an epoch's time for validation where it is dear, and epochs between two
FROZEN = 0.6  # of a backbone, where there is no time to tune all of it
# What compute buys on CIFAR-10, FLOPs of training and test accuracy: benchmarks/records/ has the runs.
CIFAR10 = (
    (0.5e12, 0.697),
    (0.85e12, 0.727),
    (5.4e12, 0.83),
    (12.4e12, 0.868),
    (150e12, 0.92),
    (229e12, 0.929),
    (822e12, 0.941),
)


@dataclass(frozen=True)
class Plan:
    """A recipe for the minutes there are, and what is expected of it.

    Args:
        began: seconds that had passed when the plan was made.
        training: seconds that training is expected to take.
        measuring: seconds that the test images and the report are expected to take.
        images_per_second: that this machine was measured to learn from, with this net and batch.
        flops_per_second: the same as arithmetic; None where the net is somebody's own module.
        memory: bytes at the peak, roughly.
        cifar10_accuracy: what so much arithmetic reaches on CIFAR-10; other images are easier or harder.
        reasons: why the recipe is as it is, one line a decision.
    """

    recipe: Recipe
    minutes: float
    began: float
    training: float
    measuring: float
    images_per_second: float
    flops_per_second: float | None
    memory: float
    cifar10_accuracy: float | None
    reasons: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Expected in all."""
        return self.began + self.training + self.measuring

    @property
    def late(self) -> tuple[str, ...]:
        """A sentence where it will take clearly longer than the minutes."""
        if self.seconds <= LATE * 60 * self.minutes:
            return ()
        return (f"about {self.seconds:.0f} s, more than the minutes that were given: the least that can be done",)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**told, "recipe": self.recipe.model_dump(mode="json"), "seconds": self.seconds}


@dataclass(frozen=True, eq=False)
class Planner:
    """What a plan is made from.

    Args:
        data: prepared pixels, targets and the split.
        test: number of test images.
        clock: seconds since the work began that the minutes are for.
        changes: fields of the recipe that are settled.
        own: the recipe to fit to the minutes where the user brings a net.
        shrunk: whether its input is smaller than the recipe said, to fit the time.
        module: that net, where it is a module.
    """

    dataset: Dataset
    data: TrainingSet
    task: Task
    contract: InputContract
    test: int
    minutes: float
    clock: Callable[[], float]
    device: Device
    changes: dict[str, Any]
    own: Recipe | None = None
    module: torch.nn.Module | None = None
    shrunk: bool = False

    @property
    def images(self) -> int:
        return len(self.data.train)

    def plan(self) -> tuple[Plan, Pace]:
        """Measure and decide; and what will keep the training within its minutes.

        Raises:
            RecipeError: the minutes are over before training could begin.
        """
        recipe, speed = self._suited(self.own) if self.own else self._chosen()
        if not self.task.answer.every_step and "validate_every" not in self.changes:
            recipe = recipe.changed(validate_every=self._seldom(recipe, speed))
        least = recipe.batch_size
        # Epochs decide the batch, and the batch decides, a little, how many epochs there are.
        for _ in range(2):
            epochs = self._epochs(recipe, speed)
            fitted = recipe.changed(epochs=round(epochs, 3)) if self.own else sized(recipe, self.images, epochs, least)
            recipe = self._settled(fitted)
        return self._told(recipe, speed), self._pace(recipe, speed)

    def suited_input(self) -> InputContract:
        """The input of the user's recipe; smaller where the minutes are too few for enough tuning at that size."""
        assert self.own is not None
        contract = self.own.input
        if not self.own.probe or self.changes.keys() & {"frozen", "input.height", "input.width"}:
            return contract
        recipe, speed = self._measured(self.own)
        epochs = max(0.0, self._epochs(recipe, speed))
        wanted = math.sqrt(epochs / ENOUGH)
        # Where not even small images leave time to tune, the probe alone sees more in large ones, if it has the time.
        in_time = self._left(recipe, speed) >= 0
        if wanted >= 1 or (in_time and epochs / SMALLER[-1] ** 2 < FEWEST):
            return contract
        share = next((share for share in SMALLER if share <= wanted), SMALLER[-1])
        height, width = (32 * max(1, round(share * side / 32)) for side in (contract.height, contract.width))
        if height >= contract.height or width >= contract.width:
            return contract
        return contract.model_copy(update={"height": height, "width": width})

    def _suited(self, own: Recipe) -> tuple[Recipe, Speed]:
        """The user's net, and its speed. Of a pretrained one as much is tuned as the minutes are enough for: all of it,
        its last layers, or the output layer alone."""
        recipe, speed = self._measured(own)
        if not recipe.probe or "frozen" in self.changes or self._epochs(recipe, speed) >= FEWEST:
            return recipe, speed
        part, faster = self._measured(own.changed(frozen=FROZEN))
        return (part, faster) if self._epochs(part, faster) >= FEWEST else (recipe.changed(frozen=1), speed)

    def _most(self, recipe: Recipe) -> float:
        return min(MOST, most_epochs(self.images)) if recipe.probe else most_epochs(self.images)

    def _pace(self, recipe: Recipe, speed: Speed) -> Pace:
        until = 60 * self.minutes - REPORT - REPORT_PER_THOUSAND * self.test / 1000
        most = self._most(recipe) * steps_in_epoch(self.images, recipe.batch_size)
        phases = [(share, seconds * recipe.batch_size + speed.step) for share, seconds in speed.phases]
        after = self.test * speed.answer
        return Pace(lambda: until - self.clock(), phases or [(1.0, 1.0)], int(most), after)

    def _chosen(self) -> tuple[Recipe, Speed]:
        """The net that this machine can feed in the minutes, and its speed."""
        name = f"{self.minutes:g} minutes"
        first = rung_for(60 * self.minutes * NOMINAL, self.contract, self.images)
        recipe, speed = self._measured(self._outline(first, name))
        budget = self._left(recipe, speed) / speed.learn * training_flops(recipe.net, self.contract, recipe.growth)
        rung = rung_for(budget, self.contract, self.images)
        if rung != first:
            recipe, speed = self._measured(self._outline(rung, name))
        # Wide layers can be so much faster, FLOP for FLOP, that a larger net fits too: measured where it may.
        for larger in LADDER[LADDER.index(rung) + 1 :]:
            wanted = fewest_for(larger, self.images)
            seen = budget / training_flops(net_for(larger, self.contract), self.contract, recipe.growth)
            if seen < NEAR * wanted:
                break
            wider, its = self._measured(self._outline(larger, name))
            if self._left(wider, its) / its.learn < wanted:
                break
            recipe, speed = wider, its
        return recipe, speed

    def _outline(self, rung: Rung, name: str) -> Recipe:
        """The recipe of a net, with the batches, to measure it with, of as few images as it needs to see."""
        recipe = recipe_on(rung, self.dataset, self.contract, name)
        return recipe.changed(batch_size=batch_for(self.images, rung.least, rung.batch))

    def _measured(self, recipe: Recipe) -> tuple[Recipe, Speed]:
        recipe = self._settled(recipe)
        seconds = min(LONGEST, MEASURING * 60 * self.minutes)
        labels = self.dataset.labels
        return recipe, measure_speed(recipe, self.task, labels, self.data, self.device, seconds, self.module)

    def _settled(self, recipe: Recipe) -> Recipe:
        return recipe.changed(**self.changes)

    def _left(self, recipe: Recipe, speed: Speed) -> float:
        """Seconds for training, after a probe where the recipe has one.

        Raises:
            RecipeError: there are none.
        """
        taken = self.clock() + self._probing(recipe, speed) + self._measuring(speed)
        left = 60 * self.minutes * SHARE - taken
        if left < 0.1 * taken and not recipe.probe:
            raise RecipeError(
                f"{self.minutes:g} minutes leave no time for training: loading these images and measuring the network "
                f"take {taken:.0f} s on this machine.",
                remedy=f"Give more: --minutes {np.ceil(taken / 3) / 10:.1f}, or better some times that.",
            )
        return left

    def _probing(self, recipe: Recipe, speed: Speed) -> float:
        return (self.images + len(self.data.validation)) * speed.answer if recipe.probe else 0.0

    def _measuring(self, speed: Speed) -> float:
        return REPORT + REPORT_PER_THOUSAND * self.test / 1000 + self.test * speed.answer

    def _ending(self, speed: Speed) -> float:
        """Seconds that the end of an epoch takes: validation and a checkpoint."""
        return SAVING + len(self.data.validation) * speed.answer

    def _seldom(self, recipe: Recipe, speed: Speed) -> int:
        """Epochs from one validation to the next, where that is dear beside an epoch."""
        epoch = speed.epoch(self.images, recipe.batch_size)
        return int(np.clip(np.ceil(self._ending(speed) / (VALIDATING * epoch)), 1, MOST_SELDOM))

    def _epochs(self, recipe: Recipe, speed: Speed) -> float:
        if recipe.frozen == 1:
            return 0.0
        ending = self._ending(speed) / recipe.validate_every
        left, epoch = self._left(recipe, speed) - ending, speed.epoch(self.images, recipe.batch_size)
        epochs = left / (epoch + ending) if left > epoch else left / epoch
        return float(np.clip(epochs, recipe.batch_size / self.images, self._most(recipe)))

    def _told(self, recipe: Recipe, speed: Speed) -> Plan:
        epochs = float(recipe.epochs)
        rate = speed.rate(recipe.batch_size)
        known = recipe.net != CUSTOM_NET
        counted = known and not recipe.weights and self.task.ladder
        flops = training_flops(recipe.net, recipe.input, recipe.growth) if counted else None
        epoch = speed.epoch(self.images, recipe.batch_size) + self._ending(speed) / recipe.validate_every
        return Plan(
            recipe=recipe,
            minutes=self.minutes,
            began=self.clock(),
            training=self._probing(recipe, speed) + epochs * epoch,
            measuring=self._measuring(speed),
            images_per_second=rate,
            flops_per_second=rate * flops if flops else None,
            memory=self._memory(recipe) if known else RUNTIME + self.data.pixels.nbytes,
            cifar10_accuracy=_on_cifar10(flops * self.images * epochs) if flops else None,
            reasons=self._reasons(recipe, rate),
        )

    def _reasons(self, recipe: Recipe, rate: float) -> tuple[str, ...]:
        size = "×".join(map(str, (recipe.input.height, recipe.input.width)))
        why = "the largest side that the minutes allow"
        if (self.dataset.sizes == (recipe.input.height, recipe.input.width)).all():
            why = "the images as they are"
        elif self.task.strides and "input.height" not in self.changes:
            why = "the shape of most images, in steps of the largest stride"
        elif recipe.weights and "input.height" not in self.changes:
            smaller = "smaller than the weights were trained on, to fit the time"
            why = smaller if self.shrunk else "as the weights were trained on"
        elif (self.own and not self.own.weights) or any(name.startswith("input.") for name in self.changes):
            why = "as asked for"
        net = "the largest net of the ladder that can be fed in the time"
        if self.own:
            net = "a pretrained backbone" if recipe.weights else "the net that was asked for, or the task's own"
        return (
            f"input {size}: {why}",
            net,
            *self._passes(recipe, rate),
            "mirrored left and right, since larger than 28 pixels; where sides matter: --set flip=false"
            if recipe.flip
            else "not mirrored",
        )

    def _passes(self, recipe: Recipe, rate: float) -> tuple[str, ...]:
        probe = f"the output layer fitted to the features of {counted(self.images, 'image')}"
        if not recipe.epochs:
            return (f"{probe}; the minutes are too few to tune the backbone",)
        passes = f"{counted(recipe.epochs, 'epoch')} of {counted(self.images, 'image')} at {rate:,.0f} images/s"
        if float(recipe.epochs) >= round(self._most(recipe), 3):
            passes += "; more would hardly help, so the time is not used up"
        steps = f"{recipe.optimizer} from a rate of {recipe.learning_rate:g}, {recipe.schedule} over all steps"
        kept = f"the first {recipe.frozen:.0%} of the backbone's layers stay as they are"
        return (
            *((probe,) if recipe.probe else ()),
            *((kept,) if recipe.frozen else ()),
            f"{passes}, in batches of {recipe.batch_size}",
            steps,
        )

    def _memory(self, recipe: Recipe) -> float:
        """Pixels, weights with gradient and momentum, and what a batch leaves behind going there and back."""
        numbers = 4 * parameters(recipe.net, recipe.input) + 2.5 * recipe.batch_size * activations(
            recipe.net, recipe.input
        )
        return RUNTIME + self.data.pixels.nbytes + 4 * numbers


def _on_cifar10(flops: float) -> float:
    known = np.log([point for point, _ in CIFAR10])
    return float(np.interp(np.log(flops), known, [accuracy for _, accuracy in CIFAR10]))
