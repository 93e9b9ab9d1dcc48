"""A training step recorded on a GPU: its hundreds of kernels are then launched at once, not one by one from Python.

A small network's kernels are done sooner than Python launches them: on an H200 the card lay idle for three quarters of
a step of 512 images of 32×32. CUDA graphs (NVIDIA, "CUDA C++ Programming Guide", section on graphs) launch what was
recorded, with the numbers that lie in the same memory by then. What a step does does not change, nor do its bits.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from foveal.engine.optimise import Optimizer

__all__ = ["WARM", "StepGraphs"]

WARM = 2  # steps of a shape before it is recorded: they build what kernels and optimizer need
Learn = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class _Recorded:
    """One shape of batch: the memory it reads and writes, and its two halves.

    Args:
        gradients: of all weights; kept, since the second half reads where the first wrote them.
    """

    images: Tensor
    targets: Tensor
    outputs: Tensor
    loss: Tensor
    gradients: tuple[Tensor | None, ...]
    learn: torch.cuda.CUDAGraph
    update: torch.cuda.CUDAGraph


class StepGraphs:
    """Steps of one network and optimizer, a recording for each shape of batch that comes often enough.

    Args:
        learn: images and targets to outputs and loss, with the gradients in the weights afterwards. Must ask nothing
            of the GPU, since a recording waits for no answer.
    """

    def __init__(self, optimizer: Optimizer, learn: Learn, device: torch.device) -> None:
        self.optimizer, self.learn = optimizer, learn
        self.seen: Counter[torch.Size] = Counter()
        self.recorded: dict[torch.Size, _Recorded] = {}
        for group in optimizer.param_groups:  # a number would be recorded as it is; what lies in memory may change
            group["lr"] = torch.tensor(float(group["lr"]), device=device)

    def step(
        self, images: Tensor, targets: Tensor, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[Tensor, float] | None:
        """Outputs, on the CPU, and loss; None where this shape is not recorded yet, and the step is to be done as
        usual. A loss that is not finite leaves the weights as they were.

        Args:
            meanwhile: what Python does while the GPU learns.
        """
        shape = images.shape
        self.seen[shape] += 1
        if self.seen[shape] <= WARM:
            return None
        if shape not in self.recorded:
            self.recorded[shape] = self._record(images, targets)
        step = self.recorded[shape]
        step.images.copy_(images)
        step.targets.copy_(targets)
        step.learn.replay()
        meanwhile()
        outputs, loss = step.outputs.cpu(), float(step.loss)
        if math.isfinite(loss):
            step.update.replay()
        return outputs, loss

    def _record(self, images: Tensor, targets: Tensor) -> _Recorded:
        images, targets = images.clone(), targets.clone()
        self.optimizer.zero_grad(set_to_none=True)  # or gradients would be added to memory that may be given away
        learn, update = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(learn):
            outputs, loss = self.learn(images, targets)
        with torch.cuda.graph(update, pool=learn.pool()):
            self.optimizer.step()
        weights = (weight for group in self.optimizer.param_groups for weight in group["params"])
        gradients = tuple(weight.grad for weight in weights)
        return _Recorded(images, targets, outputs, loss, gradients, learn, update)
