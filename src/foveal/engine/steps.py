"""Learning a step at a time: batches, augmentation, loss, optimizer. Knows no folder and no clock."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from foveal.data.batches import order, row_batches, steps_in_epoch
from foveal.data.machine import digest
from foveal.engine.augment import augment, resized
from foveal.engine.blend import Blend, blended
from foveal.engine.devices import Device, onto
from foveal.engine.feed import Batch, Feed, gather, resident
from foveal.engine.graphs import WARM, StepGraphs
from foveal.engine.optimise import Optimizer, learning_rate
from foveal.engine.pace import progress_at
from foveal.engine.scenes import Scenes, placed_targets
from foveal.engine.state import State
from foveal.engine.team import ALONE, Team
from foveal.engine.whole_batch import WholeBatch, whole_batch
from foveal.errors import NonFiniteLoss
from foveal.events import Step
from foveal.nets import fused
from foveal.nets.layers import Network
from foveal.recipe import InputContract, Recipe
from foveal.task import Answer, Task
from foveal.types import Dataset

__all__ = ["Steps", "TrainingSet", "pixels_key", "training_set"]

FITTED_ON = 4_000_000, 2_000  # pixels and images, at most, that whitening is found from


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What the loop learns from.

    Args:
        pixels: (N, H, W, C) uint8.
        targets: (N, …) parsed targets; where they say where, in pixels of what the net takes.
        train: row numbers.
        validation: row numbers; may be empty.
        files: (N,) names, for messages.
        labels: names of what the outputs say.
        key: identifies the pixels; empty where they are nothing that features may be kept for.
    """

    pixels: np.ndarray
    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    files: Sequence[str]
    labels: Sequence[str] = ()
    key: str = ""


def pixels_key(dataset: Dataset, contract: InputContract) -> str:
    """What a dataset's pixels are, in their order: the same key, the same pixels."""
    return digest(dataset.fingerprint, contract.model_dump_json(), *dataset.files)


def training_set(dataset: Dataset, pixels: np.ndarray, task: Task, contract: InputContract) -> TrainingSet:
    """A divided dataset with its prepared pixels."""
    targets = placed_targets(dataset, task, contract) if task.answer.placed else dataset.targets
    splits = dataset.rows("train"), dataset.rows("validation")
    return TrainingSet(pixels, targets, *splits, dataset.files, dataset.labels, pixels_key(dataset, contract))


@dataclass
class Steps:
    """A training without its run; between any two steps the state can be saved."""

    network: Network
    optimizer: Optimizer
    answer: Answer
    recipe: Recipe
    data: TrainingSet
    device: Device
    state: State
    team: Team = field(default=ALONE, kw_only=True)
    graphs: StepGraphs | None = field(default=None, init=False)
    there: torch.Tensor | None = field(default=None, init=False)  # the images, where a GPU holds them

    def __post_init__(self) -> None:
        self.network.fuse(self.recipe.kernels == "fused" and fused.works())
        if not self.answer.placed:
            self.there = resident(self.data.pixels, self.device.torch)
        if self._same_every_step():
            self.graphs = StepGraphs(self.optimizer, self._forth_and_back, self.device.torch)

    @property
    def warm(self) -> int:
        """Steps that take longer than those after them, since they build kernels."""
        return WARM + 1 if self.graphs else 1

    @property
    def steps(self) -> int:
        """In a whole epoch."""
        return steps_in_epoch(len(self.data.train), self.recipe.batch_size)

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.recipe.pace[-1][1] if self.recipe.pace else self.planned

    @property
    def planned(self) -> int:
        """Steps of the whole training, as planned at its start."""
        return max(1, round(self.recipe.epochs * self.steps)) if self.recipe.epochs else 0

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        return self.progress_at(self.done)

    def progress_at(self, done: int) -> float:
        return progress_at(done, self.planned, self.recipe.pace)

    @property
    def epochs(self) -> int:
        """Of the whole training, the last of which may be a part of one."""
        return -(-self.total // self.steps)

    @property
    def done(self) -> int:
        """Steps done."""
        return self.state.epoch * self.steps + self.state.step

    def fit(self) -> None:
        """Find what is not trained: from training images in the order of the first epoch, and from their targets.
        A network that begins as another run's knows it already."""
        if self.recipe.begin:
            return
        pixels, images = FITTED_ON
        count = max(1, min(images, pixels // int(np.prod(self.data.pixels.shape[1:3]))))
        rows = self.data.train[order(len(self.data.train), self.recipe.seed, 0)][:count]
        chosen = torch.from_numpy(self.data.pixels[np.sort(rows)]).permute(0, 3, 1, 2)
        self.network.fit(chosen.to(self.device.torch))
        self.network.head.fit(self.data.targets[self.data.train])

    def epoch(self) -> Iterator[Step]:
        """The rest of the epoch that the state is in, a step at a time."""
        recipe, state, data = self.recipe, self.state, self.data
        self.network.train()
        feed = Feed(self._batches())
        for rows, images, targets in feed:
            if self.done == self.total:
                return
            images = resized(images, self.recipe, self.progress)
            self.team.go_on()
            blend = blended(images, recipe, _step_seed(recipe.seed, *state.place))
            outputs, loss = self._learn(blend, targets, len(rows), feed.prepare)
            if not math.isfinite(loss):
                raise self._non_finite(loss, rows)
            state.step += 1
            scores = self.answer.score(outputs, data.targets[rows]) if self.answer.every_step else {}
            state.add(len(rows), {"loss": loss, **scores})
            means = state.means()
            yield Step(state.epoch, state.step, means.pop("loss"), means)

    def endless(self) -> Iterator[Step]:
        """Epoch after epoch, without validation."""
        while True:
            yield from self.epoch()
            self.state.epoch, self.state.step, self.state.sums = self.state.epoch + 1, 0, {}

    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.rate_at(self.done)

    def rate_at(self, done: int) -> float:
        """The learning rate of the step after so many."""
        return learning_rate(self.recipe, self.progress_at(done) * self.planned, self.planned)

    def remedy(self) -> str:
        """What to do when the loss is not finite."""
        return "Train again with a lower learning rate: --set learning_rate=…"

    def _batches(self) -> Iterator[Batch]:
        """The rest of the epoch. Pixels and augmentation of a batch are the same whenever it is made; of scenes, which
        change on the way, none is made ahead."""
        recipe, state, data, device = self.recipe, self.state, self.data, self.device.torch
        epoch, start, placed = state.epoch, state.step, self.answer.placed
        scenes = Scenes(self.answer, recipe, data.pixels, data.targets, data.train) if placed else None
        for rows in row_batches(
            data.train, batch_size=recipe.batch_size, seed=recipe.seed, epoch=epoch, start_step=start
        ):
            taken = rows[self.team.taken(len(rows))]
            if scenes:
                images, targets = scenes.batch(taken, epoch, self.progress >= recipe.mosaic_until)
                images = onto(images, device)
            else:
                images = augment(gather(data.pixels, self.there, taken, device), taken, recipe, epoch)
                targets = torch.from_numpy(np.take(data.targets, taken, axis=0))
            yield Batch(rows, images, onto(targets, device))

    def _learn(
        self, blend: Blend, targets: torch.Tensor, count: int, meanwhile: Callable[[], None]
    ) -> tuple[np.ndarray, float]:
        """One step: outputs and loss. A loss that is not finite leaves the weights as they were.

        Args:
            blend, targets: of the images that this process takes of the batch.
            count: images of the whole batch, whose outputs and loss come back.
            meanwhile: what may be done while a GPU learns.
        """
        team = self.team
        self._set_rate()
        torch.manual_seed(_step_seed(self.recipe.seed, *self.state.place))
        if self.graphs and (done := self.graphs.step(blend.images, targets, meanwhile)):
            outputs, whole = done
            return outputs.numpy(), whole
        batch = WholeBatch(team, count)
        with whole_batch(self.network, batch):
            outputs = self._forth(blend.images)
            loss = blend.loss(lambda truth: self._loss(outputs, truth), targets)
            if team.size > 1:
                loss = loss * (batch.own / count)  # what this process adds to the mean over the whole batch
            whole = team.sum(float(loss.detach()))
            if math.isfinite(whole):
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                team.add_up_gradients(self.network.parameters())
                self.optimizer.step()
        return team.gather(outputs.detach().cpu()[: batch.own], count).numpy(), whole

    def _same_every_step(self) -> bool:
        """Whether a step may be recorded: it does the same with every batch, and asks nothing of the GPU meanwhile."""
        if self.device.torch.type != "cuda" or self.team.size > 1 or self.answer.placed:
            return False
        ours = self.network.steps and not self.network.backbone  # somebody else's modules may do anything
        return bool(ours and not self.recipe.mixup and not self.recipe.cutmix)

    def _forth_and_back(self, images: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self._forth(images)
        loss = self._loss(outputs, targets)
        loss.backward()
        return outputs.detach(), loss.detach()

    def _forth(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            outputs = self.network(images)
        return outputs.float()

    def _set_rate(self) -> None:
        rate = self.rate()
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate * group["scale"])
            else:
                group["lr"] = rate * group["scale"]

    def _loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(self.network.head.loss(outputs, targets).values())).sum()

    def _non_finite(self, loss: float, rows: np.ndarray) -> NonFiniteLoss:
        files = [self.data.files[int(row)] for row in rows]
        shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        return NonFiniteLoss(
            f"The loss became {loss} in epoch {self.state.epoch + 1}, step {self.state.step + 1} of {self.steps}, "
            f"at learning rate {self.rate():.3g}, on the images {shown}.",
            remedy=self.remedy(),
        )


def _step_seed(seed: int, epoch: int, step: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {epoch} {step}".encode()).digest()[:8]) >> 1
