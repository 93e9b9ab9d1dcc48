"""The loop: a generator of events. Closing it saves and cancels; there are no callbacks."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from foveal.data.batches import batches, steps_in_epoch
from foveal.engine.augment import augment
from foveal.engine.checkpoint import (
    Checkpoint,
    latest_checkpoint,
    save_checkpoint,
    save_weights,
    weights_sha256,
)
from foveal.engine.devices import Device
from foveal.engine.infer import infer
from foveal.engine.optimise import learning_rate, optimizer_for
from foveal.errors import NonFiniteLoss
from foveal.events import EpochEnded, Event, Finished, Saved, Started, Step
from foveal.nets.layers import Network
from foveal.recipe import Recipe
from foveal.run import Run
from foveal.task import Answer

__all__ = ["TrainingSet", "train"]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What the loop learns from.

    Args:
        pixels: (N, H, W, C) uint8.
        targets: (N,) parsed targets.
        train: row numbers.
        validation: row numbers; may be empty.
        files: (N,) names, for messages.
    """

    pixels: np.ndarray
    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    files: Sequence[str]


@dataclass
class Progress:
    """Where training stands: all that a checkpoint holds besides network and optimizer."""

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)

    def add(self, images: int, values: dict[str, float]) -> None:
        for name, value in {"images": 1.0, **values}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * images

    def means(self) -> dict[str, float]:
        return {name: value / self.sums["images"] for name, value in self.sums.items() if name != "images"}

    def numbers(self) -> dict[str, Any]:
        return {
            "sums": self.sums,
            "history": self.history,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
        }


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
    progress = Progress() if checkpoint is None else _restore(checkpoint, network, optimizer)
    run.write_history(progress.history)
    steps = steps_in_epoch(len(data.train), recipe.batch_size)
    yield Started(
        run.path,
        len(data.train),
        recipe.epochs,
        steps,
        sum(p.numel() for p in network.parameters()),
        device.name,
        recipe.precision,
        progress.epoch,
        progress.step,
        notes,
    )
    saved = (progress.epoch, progress.step) if checkpoint else None
    saved_at = clock = time.monotonic()

    def save() -> Saved:
        nonlocal saved, saved_at
        saved, saved_at = (progress.epoch, progress.step), time.monotonic()
        _refuse_broken_weights(network, progress, run)
        path = save_checkpoint(run.checkpoints, _checkpoint(progress, network, optimizer))
        return Saved(path, progress.epoch, progress.step)

    try:
        while progress.epoch < recipe.epochs and not _out_of_patience(progress, recipe):
            network.train()
            for rows, images, targets in batches(
                data.pixels,
                data.targets,
                data.train,
                batch_size=recipe.batch_size,
                seed=recipe.seed,
                epoch=progress.epoch,
                start_step=progress.step,
            ):
                rate = learning_rate(recipe, progress.epoch * steps + progress.step, recipe.epochs * steps)
                torch.manual_seed(_step_seed(recipe.seed, progress.epoch, progress.step))
                images = augment(images.to(device.torch), rows, recipe, progress.epoch)
                outputs, losses = _learn(network, optimizer, images, targets.to(device.torch), rate, recipe.precision)
                loss = sum(losses.values())
                if not math.isfinite(loss):
                    raise _non_finite(f"{loss}", progress, steps, rate, [data.files[int(row)] for row in rows], run)
                progress.step += 1
                progress.add(len(rows), {"loss": loss, **answer.score(outputs, targets.numpy())})
                progress.seconds, clock = progress.seconds + time.monotonic() - clock, time.monotonic()
                means = progress.means()
                yield Step(progress.epoch, progress.step, means.pop("loss"), means)
                if time.monotonic() - saved_at > save_every:
                    yield save()
            row, best = _end_epoch(network, answer, recipe, data, progress, device, steps)
            progress.seconds, clock = progress.seconds + time.monotonic() - clock, time.monotonic()
            progress.history.append({**row, "seconds": round(progress.seconds, 3)})
            event = save()
            run.write_history(progress.history)
            yield EpochEnded(progress.epoch, progress.history[-1], best)
            yield event
    except GeneratorExit:
        if saved != (progress.epoch, progress.step):
            save()
        raise
    if recipe.keep == "best" and progress.best_state:
        network.load_state_dict(progress.best_state)
    weights = network.state_dict()
    save_weights(run.weights, weights)
    patience = progress.epoch < recipe.epochs
    yield Finished(
        "patience" if patience else "done",
        progress.epoch,
        progress.best_epoch if recipe.keep == "best" else progress.epoch,
        progress.seconds,
        weights_sha256(weights),
    )


def _learn(
    network: Network,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    targets: torch.Tensor,
    rate: float,
    precision: str,
) -> tuple[np.ndarray, dict[str, float]]:
    """One step. A loss that is not finite leaves the weights as they were."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        outputs = network(images)
    outputs = outputs.float()
    losses = network.head.loss(outputs, targets)
    loss = torch.stack(list(losses.values())).sum()
    if torch.isfinite(loss):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return outputs.detach().cpu().numpy(), {name: float(value.detach()) for name, value in losses.items()}


def _end_epoch(
    network: Network,
    answer: Answer,
    recipe: Recipe,
    data: TrainingSet,
    progress: Progress,
    device: Device,
    steps: int,
) -> tuple[dict[str, Any], bool]:
    """Validate; move `progress` to the next epoch. Returns the line of history and whether it is the best."""
    train = {f"train_{name}": value for name, value in progress.means().items()}
    validation = {}
    if len(data.validation):
        outputs = infer(network, data.pixels, data.validation, device.torch)
        targets = data.targets[data.validation]
        with torch.no_grad():
            losses = network.head.loss(torch.from_numpy(outputs), torch.from_numpy(targets))
        scores = answer.score(outputs, targets)
        validation = {"validation_loss": float(sum(losses.values()))}
        validation |= {f"validation_{name}": value for name, value in scores.items()}
    rate = learning_rate(recipe, progress.epoch * steps, recipe.epochs * steps)
    progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, {}
    row = {"epoch": progress.epoch, "learning_rate": rate, **train, **validation}
    best = _better(row, progress.history[progress.best_epoch - 1] if progress.best_epoch else None)
    if best:
        progress.best_epoch = progress.epoch
        if recipe.keep == "best":
            progress.best_state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    return row, best


def _better(row: dict[str, Any], best: dict[str, Any] | None) -> bool:
    """A higher validation score, or the same with a lower loss; the latest epoch where there is no validation."""
    if best is None or "validation_loss" not in row:
        return True
    score = next(name for name in row if name.startswith("validation_") and name != "validation_loss")
    return (row[score], -row["validation_loss"]) > (best[score], -best["validation_loss"])


def _out_of_patience(progress: Progress, recipe: Recipe) -> bool:
    return recipe.patience is not None and progress.epoch - progress.best_epoch >= recipe.patience


def _step_seed(seed: int, epoch: int, step: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {epoch} {step}".encode()).digest()[:8]) >> 1


def _checkpoint(progress: Progress, network: Network, optimizer: torch.optim.Optimizer) -> Checkpoint:
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in progress.best_state.items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items() if value is not None}
    return Checkpoint(progress.epoch, progress.step, tensors, progress.numbers())


def _restore(checkpoint: Checkpoint, network: Network, optimizer: torch.optim.Optimizer) -> Progress:
    parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for name, tensor in checkpoint.tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    network.load_state_dict(parts["network"])
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, _, key = name.partition(".")
        weight = weights[int(index)]
        # Fused optimizers walk weights and state in the order of memory, so the state must lie as the weight does.
        laid = torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor
        state.setdefault(int(index), {})[key] = laid
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return Progress(checkpoint.epoch, checkpoint.step, **checkpoint.numbers, best_state=parts["best"])


def _refuse_broken_weights(network: Network, progress: Progress, run: Run) -> None:
    """A finite loss can still leave weights that are not; such a state must not replace a good checkpoint."""
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise NonFiniteLoss(
                f"The weights {name} became NaN or infinite in epoch {progress.epoch + 1}, by step {progress.step}.",
                remedy=_after_non_finite(run),
            )


def _non_finite(
    found: str, progress: Progress, steps: int, rate: float, files: Sequence[str], run: Run
) -> NonFiniteLoss:
    shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    return NonFiniteLoss(
        f"The loss became {found} in epoch {progress.epoch + 1}, step {progress.step + 1} of {steps}, "
        f"at learning rate {rate:.3g}, on the images {shown}.",
        remedy=_after_non_finite(run),
    )


def _after_non_finite(run: Run) -> str:
    kept = sorted(path.name for path in run.checkpoints.glob("e*"))
    state = f"The last good state is kept in {run.checkpoints / kept[-1]}. " if kept else ""
    return f"{state}Train again with a lower learning rate: --set learning_rate=…"
