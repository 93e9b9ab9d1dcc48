"""What dropout does to an answer: the outputs of many passes, each with other numbers dropped.

Gal and Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016. It shows how much the answer hangs on single
numbers; it is no calibrated uncertainty.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.dropout import _DropoutNd

from foveal.explain.passing import evaluated, on_cpu, plain, single
from foveal.nets.layers import Network

__all__ = ["PASSES", "DropoutSpread", "dropout_spread"]

PASSES = 50
AT_ONCE = 10  # passes; part of what the seed gives


@dataclass(frozen=True, eq=False)
class DropoutSpread:
    """Raw outputs of one image with dropout at work.

    Args:
        passes: (50, K), or (50, A, K): one row a pass.
        without: (K,) or (A, K), without dropout, as the network answers.
        seed: of the numbers that were dropped.
    """

    passes: np.ndarray
    without: np.ndarray
    seed: int

    @property
    def mean(self) -> np.ndarray:
        """(K,) or (A, K)."""
        return self.passes.mean(axis=0)

    @property
    def deviation(self) -> np.ndarray:
        """(K,) or (A, K), the standard deviation over the passes, with n - 1."""
        return self.passes.std(axis=0, ddof=1)


def dropout_spread(network: Network, pixels: Tensor, passes: int = PASSES, seed: int = 0) -> DropoutSpread | None:
    """The outputs of one image in many passes in which dropout works as in training, and all else (batch norm) as in
    evaluation; without its mirror image.

    On the CPU in single precision (a network that is elsewhere is copied), so that the outputs are a function of the
    seed; torch's own random state is neither used nor changed.

    Args:
        pixels: (1, C, H, W), uint8 or float, 0 to 255.
        passes: 2 or more.

    Returns:
        None where the network has no dropout, or only of a share of 0.

    Raises:
        NetError: not one image, or none that the network can take.
    """
    single(pixels)
    if not any(isinstance(module, _DropoutNd) and module.p > 0 for module in network.modules()):
        return None
    network = on_cpu(network)
    with evaluated(network):
        without = plain(network, pixels)[0]
    with evaluated(network, dropout=True), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU as well
        shares = [min(AT_ONCE, passes - start) for start in range(0, passes, AT_ONCE)]
        rows = [plain(network, pixels.expand(share, -1, -1, -1)) for share in shares]
    return DropoutSpread(torch.cat(rows).numpy(), without.numpy(), seed)
