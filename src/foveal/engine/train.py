"""The loop: a generator of events. Closing it saves and cancels; there are no callbacks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from foveal.engine.checkpoint import latest_checkpoint, save_checkpoint, save_weights, weights_sha256
from foveal.engine.devices import Device
from foveal.engine.infer import infer
from foveal.engine.optimise import learning_rate, optimizer_for
from foveal.engine.state import State, checkpoint_of, restore
from foveal.engine.steps import Steps, TrainingSet
from foveal.errors import NonFiniteLoss
from foveal.events import EpochEnded, Event, Finished, Saved, Started
from foveal.nets.layers import Network
from foveal.recipe import Recipe
from foveal.run import Run
from foveal.task import Answer

__all__ = ["TrainingSet", "train"]


def train(
    network: Network,
    answer: Answer,
    recipe: Recipe,
    data: TrainingSet,
    run: Run,
    device: Device,
    save_every: float = 30.0,
) -> Iterator[Event]:
    """Train `network` in place, from the run's last checkpoint if there is one, and write the run's weights.

    Order, augmentation and dropout are functions of (seed, epoch, step, image), and the state is saved only between
    steps, so a run that was killed or closed and then resumed ends with the bits of one that was not.

    Args:
        recipe: with `precision` resolved.
        save_every: seconds between checkpoints within an epoch; one more is written at the end of each.

    Raises:
        NonFiniteLoss: the loss or a weight is NaN or infinite; the last checkpoint is from before.
    """
    network.to(device.torch, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = optimizer_for(network, recipe, device.torch)
    checkpoint, notes = latest_checkpoint(run.checkpoints)
    state = State() if checkpoint is None else restore(checkpoint, network, optimizer)
    run.write_history(state.history)
    training = _Training(network, optimizer, answer, recipe, data, device, state, run)
    training.saved = state.place if checkpoint else None
    if checkpoint is None:
        training.fit()
    parameters = sum(p.numel() for p in network.parameters())
    images, epochs, names = len(data.train), training.epochs, (device.name, recipe.precision)
    yield Started(
        run.path, images, epochs, training.steps, training.total, parameters, *names, *state.place, notes=notes
    )
    try:
        while state.epoch < training.epochs and not state.out_of_patience(recipe):
            for step in training.epoch():
                yield step
                if training.seconds_since_save() > save_every:
                    yield training.save()
            yield training.end_epoch()
            yield training.save()
    except GeneratorExit:
        if training.saved != state.place:
            training.save()
        raise
    if recipe.keep == "best" and state.best_state:
        network.load_state_dict(state.best_state)
    weights = network.state_dict()
    save_weights(run.weights, weights)
    kept = state.best_epoch if recipe.keep == "best" else state.epoch
    reason = "patience" if state.epoch < training.epochs else "done"
    yield Finished(reason, state.epoch, kept, state.seconds, weights_sha256(weights))


@dataclass
class _Training(Steps):
    """A training in its run's folder."""

    run: Run
    saved: tuple[int, int] | None = None
    saved_at: float = field(default_factory=time.monotonic)
    clock: float = field(default_factory=time.monotonic)

    def end_epoch(self) -> EpochEnded:
        """Validate, note the epoch in the history, and move the state to the next."""
        state = self.state
        rate = learning_rate(self.recipe, state.epoch * self.steps, self.total)
        train = {f"train_{name}": value for name, value in state.means().items()}
        row = {
            "epoch": state.epoch + 1,
            "learning_rate": rate,
            **train,
            **self._validate(),
        }
        best = _better(row, state.history[state.best_epoch - 1] if state.best_epoch else None)
        self._count_time()
        state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
        state.history.append({**row, "seconds": round(state.seconds, 3)})
        if best:
            state.best_epoch = state.epoch
        if best and self.recipe.keep == "best":
            state.best_state = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.run.write_history(state.history)
        return EpochEnded(state.epoch, state.history[-1], best)

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

    def seconds_since_save(self) -> float:
        return time.monotonic() - self.saved_at

    def _validate(self) -> dict[str, float]:
        rows = self.data.validation
        if not len(rows):
            return {}
        outputs, targets = (
            infer(self.network, self.data.pixels, rows, self.device.torch),
            self.data.targets[rows],
        )
        with torch.no_grad():
            losses = self.network.head.loss(torch.from_numpy(outputs), torch.from_numpy(targets))
        scores = {f"validation_{name}": value for name, value in self.answer.score(outputs, targets).items()}
        return {"validation_loss": float(sum(losses.values())), **scores}

    def _count_time(self) -> None:
        now = time.monotonic()
        self.state.seconds, self.clock = self.state.seconds + now - self.clock, now

    def remedy(self) -> str:
        kept = sorted(path.name for path in self.run.checkpoints.glob("e*"))
        state = f"The last good state is kept in {self.run.checkpoints / kept[-1]}. " if kept else ""
        return state + super().remedy()


def _better(row: dict[str, Any], best: dict[str, Any] | None) -> bool:
    """A higher validation score, or the same with a lower loss; the latest epoch where there is no validation."""
    if best is None or "validation_loss" not in row:
        return True
    score = next(name for name in row if name.startswith("validation_") and name != "validation_loss")
    return (row[score], -row["validation_loss"]) > (
        best[score],
        -best["validation_loss"],
    )
