"""The loop: a generator of events. Closing it saves and cancels; there are no callbacks."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from foveal.engine.checkpoint import latest_checkpoint, save_checkpoint, save_weights, weights_sha256
from foveal.engine.devices import Device
from foveal.engine.infer import infer
from foveal.engine.optimise import optimizer_for
from foveal.engine.pace import Pace
from foveal.engine.probe import fit_output
from foveal.engine.settle import settled_on
from foveal.engine.state import State, checkpoint_of, restore
from foveal.engine.steps import Steps, TrainingSet
from foveal.engine.team import ALONE, Team
from foveal.errors import FovealError, NonFiniteLoss, ProcessLost
from foveal.events import EpochEnded, Event, Finished, Paced, Probing, Saved, Started
from foveal.nets.layers import Network
from foveal.recipe import Recipe
from foveal.run import Run
from foveal.task import Answer

__all__ = ["TrainingSet", "train"]

JUDGED = 64  # images whose loss is taken at once where each has many targets: the memory for it grows with both


def train(
    network: Network,
    answer: Answer,
    recipe: Recipe,
    data: TrainingSet,
    run: Run,
    device: Device,
    save_every: float = 30.0,
    team: Team = ALONE,
    pace: Pace | None = None,
) -> Iterator[Event]:
    """Train `network` in place, from the run's last checkpoint if there is one, and write the run's weights.

    Order, augmentation and dropout are functions of (seed, epoch, step, image), and the state is saved only between
    steps, so a run that was killed or closed and then resumed ends with the bits of one that was not.

    Processes of one team each call this. They end with the same weights; the lead alone writes into the run's folder.

    Args:
        recipe: with `precision` resolved.
        save_every: seconds between checkpoints within an epoch; one more is written at the end of each.
        pace: corrects the number of steps on the way, for a team of one. What it decides is written into the run's
            recipe before the next step, so that the run repeats, and resumes, without a clock.

    Raises:
        NonFiniteLoss: the loss or a weight is NaN or infinite; the last checkpoint is from before.
        LeadEnded: in a process that follows: the lead was closed, or has raised.
        ProcessLost: another process of the team ended.
    """
    network.to(device.torch, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = optimizer_for(network, recipe, device.torch)
    checkpoint, notes = latest_checkpoint(run.checkpoints)
    state = State() if checkpoint is None else restore(checkpoint, network, optimizer)
    training = _Training(network, optimizer, answer, recipe, data, device, state, run, pace, team=team)
    training.begin(fresh=checkpoint is None)
    yield from _shared(training, save_every, notes, fresh=checkpoint is None)
    if recipe.keep == "best" and state.best_state:
        network.load_state_dict(state.best_state)
    weights = network.state_dict()
    settled = training.settled()
    if team.lead:
        run.write_settled(settled)
        save_weights(run.weights, weights)
    kept = state.best_epoch if recipe.keep == "best" else state.epoch
    reason = "patience" if state.epoch < training.epochs else "done"
    yield Finished(reason, state.epoch, kept, state.seconds, weights_sha256(weights))


def _shared(training: "_Training", save_every: float, notes: tuple[str, ...], fresh: bool) -> Iterator[Event]:
    """Up to the last epoch's end. When the lead leaves between two steps it saves, and dismisses the others."""
    team, state = training.team, training.state
    try:
        yield training.started(notes)
        if fresh and training.recipe.probe:
            yield from training.probe()
            yield training.end_epoch()
            if team.lead:
                yield training.save()
        while state.epoch < training.epochs and not state.out_of_patience(training.recipe):
            for step in training.epoch():
                yield step
                if total := training.keep_pace():
                    yield Paced(total)
                if team.lead and training.seconds_since_save() > save_every:
                    yield training.save()
            team.go_on()
            yield training.end_epoch()
            if team.lead and training.due(state.epoch):
                yield training.save()
        team.go_on()
    except GeneratorExit:
        try:
            if team.lead and training.saved != state.place:
                training.save()
        finally:
            if team.lead:
                team.dismiss()
        raise
    except (FovealError, OSError) as error:
        if not team.lead and isinstance(error, NonFiniteLoss):
            team.go_on()  # it is everybody's loss, and the lead tells the user
        if team.lead and not isinstance(error, ProcessLost):
            team.dismiss()
        raise


@dataclass
class _Training(Steps):
    """A training in its run's folder."""

    run: Run
    pace: Pace | None = None
    saved: tuple[int, int] = (0, 0)
    saved_at: float = field(default_factory=time.monotonic)
    clock: float = field(default_factory=time.monotonic)

    def begin(self, fresh: bool) -> None:
        """See that all processes begin with the same: the lead's untrained weights, or the same checkpoint."""
        self.saved = self.state.place
        self.team.agree(f"checkpoint {self.saved}", "the checkpoint to go on from")
        if fresh:
            self.fit()
            self.team.follow(self.network.state_dict().values())
        if self.team.lead:
            self.run.write_history(self.state.history)

    def started(self, notes: tuple[str, ...]) -> Started:
        parameters = sum(p.numel() for p in self.network.parameters())
        device = self.device.name if self.team.size == 1 else f"{self.team.size} × {self.device.name}"
        counts = len(self.data.train), self.epochs, self.steps, self.total, parameters
        return Started(self.run.path, *counts, device, self.recipe.precision, *self.state.place, notes=notes)

    def probe(self) -> Iterator[Probing]:
        """Fit the output layer; what follows begins from there."""
        total = len(self.data.train) + len(self.data.validation)
        for done in fit_output(self.network, self.data, self.device):
            yield Probing(done, total)
        self.team.follow(self.network.state_dict().values())

    def end_epoch(self) -> EpochEnded:
        """Validate, note the epoch in the history, and move the state to the next. The first time after a probe there
        was no step yet, and the epoch is number 0."""
        state = self.state
        number = state.epoch + 1 if state.sums else 0
        rate = self.rate_at(state.epoch * self.steps) if number else 0.0
        train = {f"train_{name}": value for name, value in state.means().items()}
        row = {
            "epoch": number,
            "passes": round(self.done / self.steps, 3) if number else 0.0,
            "learning_rate": rate,
            **train,
            **(self._validate() if self.due(number) else {}),
        }
        # Other processors may round otherwise, and all must come to the same decisions.
        row = json.loads(self.team.tell(json.dumps(row)))
        best = self._better(row)
        self._count_time()
        state.epoch, state.step, state.sums = number, 0, {}
        state.history.append({**row, "seconds": round(state.seconds, 3)})
        if best:
            state.best_epoch = state.epoch
        if best and self.recipe.keep == "best":
            state.best_state = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        if self.team.lead:
            self.run.write_history(state.history)
        return EpochEnded(state.epoch, state.history[-1], best)

    def due(self, epoch: int) -> bool:
        """Whether the epoch of that number ends with a validation and a checkpoint."""
        return epoch % self.recipe.validate_every == 0 or epoch >= self.epochs

    def save(self) -> Saved:
        """Write a checkpoint.

        Raises:
            NonFiniteLoss: a weight is not finite: a finite loss can still leave such, and they must not replace a
                good checkpoint.
        """
        self._count_time()
        for name, tensor in self.network.state_dict().items():
            if not torch.isfinite(tensor).all():
                where = f"in epoch {self.state.epoch + 1}, by step {self.state.step}"
                message = f"The weights {name} became NaN or infinite {where}."
                raise NonFiniteLoss(message, remedy=self.remedy())
        path = save_checkpoint(self.run.checkpoints, checkpoint_of(self.state, self.network, self.optimizer))
        self.saved, self.saved_at = self.state.place, time.monotonic()
        return Saved(path, *self.state.place)

    def keep_pace(self) -> int | None:
        """The new number of steps in all, where the clock asks for another one."""
        if self.pace is None:
            return None
        total = self.pace.total(self.done, self.progress, self.total)
        if total:
            self.recipe = self.recipe.changed(pace=(*self.recipe.pace, (self.done, total)))
            self.run.write_recipe(self.recipe)
        self.pace.step(self.progress)
        return total

    def settled(self) -> dict[str, Any]:
        """What is chosen on the validation images, with the weights as they are now."""
        rows = self.data.validation
        outputs = self._outputs(rows) if len(rows) else np.zeros((0, self.answer.outputs(self.data.labels)), np.float32)
        chosen = self.answer, outputs, self.data.targets[rows], self.data.labels, self.run.wish
        return settled_on(*chosen, self.data.pixels, self.data.train, rows)

    def seconds_since_save(self) -> float:
        return time.monotonic() - self.saved_at

    def _better(self, row: dict[str, Any]) -> bool:
        """A better validation score, or the same with a lower loss; the latest epoch where there is no validation."""
        if len(self.data.validation) and "validation_loss" not in row:
            return False
        best = next((old for old in self.state.history if old["epoch"] == self.state.best_epoch), None)
        if best is None or "validation_loss" not in row:
            return True
        score = next(name for name in row if name.startswith("validation_") and name != "validation_loss")
        sign = 1 if self.answer.larger_is_better else -1
        return (sign * row[score], -row["validation_loss"]) > (sign * best[score], -best["validation_loss"])

    def _validate(self) -> dict[str, float]:
        rows = self.data.validation
        if not len(rows):
            return {}
        targets = self.data.targets[rows]
        outputs = self._outputs(rows)
        loss = 0.0
        with torch.no_grad():
            size = JUDGED if self.answer.placed else len(rows)
            for start in range(0, len(rows), size):
                part = slice(start, start + size)
                losses = self.network.head.loss(torch.from_numpy(outputs[part]), torch.from_numpy(targets[part]))
                loss += float(sum(losses.values())) * len(targets[part]) / len(rows)
        scores = {f"validation_{name}": value for name, value in self.answer.score(outputs, targets).items()}
        return {"validation_loss": loss, **scores}

    def _outputs(self, rows: np.ndarray) -> np.ndarray:
        """Of all rows; each process answers for its part."""
        team = self.team if len(rows) >= self.team.size else ALONE
        mine = infer(self.network, self.data.pixels, rows[team.part(len(rows))], self.device.torch)
        return team.gather(torch.from_numpy(mine), len(rows)).numpy()

    def _count_time(self) -> None:
        now = time.monotonic()
        self.state.seconds, self.clock = self.state.seconds + now - self.clock, now

    def remedy(self) -> str:
        kept = sorted(path.name for path in self.run.checkpoints.glob("e*"))
        state = f"The last good state is kept in {self.run.checkpoints / kept[-1]}. " if kept else ""
        return state + super().remedy()
