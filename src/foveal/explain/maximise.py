"""Images made to excite a channel: activation maximisation, by gradient ascent on the image.

Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009; Mahendran and Vedaldi, "Visualizing Deep
Convolutional Neural Networks Using Natural Pre-Images", IJCV 2016 (jitter, a penalty on bright pixels); Olah et al.,
"Feature Visualization", Distill 2017 (the image as its frequencies, scaled so that all of them move alike).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foveal.explain.likes import checked_channels
from foveal.explain.target import Target, device_of, find_target, linear_of, reach
from foveal.nets.layers import Network

__all__ = ["Maximised", "maximised"]

STEPS = 128
RATE = 0.05
DECAY = 0.2  # of a wave in 1 / RATE steps
MEMORY = 0.9, 0.999  # of the gradient's mean, and of its square's
TINY = 1e-12  # gradients of an image's pixels are small
NOISE = 0.01
JITTER = 16  # part of the shorter side


@dataclass(frozen=True, eq=False)
class Maximised:
    """An image made for each of some channels.

    Args:
        layer: its name.
        channels: K of them.
        images: (K, H, W, C) uint8.
        values: (K,) mean of the channel over the map of its image, before the activation: what was maximised.
        before: (K,) the same of the noise that the ascent began with.
        peaks: (K,) the highest number of the channel in the map of its image, to be compared with `Excited.value`.
    """

    layer: str
    channels: tuple[int, ...]
    images: np.ndarray
    values: np.ndarray
    before: np.ndarray
    peaks: np.ndarray


def maximised(
    network: Network,
    layer: str | Target,
    shape: tuple[int, int, int],
    channels: Sequence[int] | None = None,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> Maximised:
    """For each channel of a convolution or a dense layer an image that makes the mean of the channel over its map
    large, before its activation. All channels climb at once, each on its own; the network is left in evaluation mode.

    An image is the logistic function of the sum of its waves, so that it has pixels that a file could have. Each step
    moves every wave by a like amount (Adam), long waves by more of the picture's contrast, and shrinks all of them a
    little, which is the penalty on contrast (L2, decoupled from the gradient). Before each step the image is rolled by
    a random few pixels, at most a sixteenth of its side, so that nothing depends on where it stands.

    Args:
        shape: of the image, (C, H, W).
        channels: all where left out.
        steps: 128 take about 2 s for 16 channels of 32×32 pixels on one core.
        seed: of the noise to begin with, which is each channel's own, and of the jitter.

    Raises:
        NetError: there is no such layer or channel, or it has no filters.
    """
    target = find_target(network, layer)
    part = linear_of(target)
    chosen = checked_channels(target.name, part.weight.shape[0], channels)
    network.eval()
    device = device_of(network)
    waves = torch.stack([_noise(shape, seed, channel) for channel in chosen]).to(device).requires_grad_()
    jitter = np.random.default_rng(seed)
    far = max(1, min(shape[1:]) // JITTER)
    step = _Adam(waves)
    before = _answers(network, part, _rounded(waves, shape), chosen).mean(dim=1)
    for _ in range(steps):
        down, right = jitter.integers(-far, far + 1, size=2).tolist()
        pixels = _pixels(waves, shape).roll((down, right), (2, 3))
        (gradient,) = torch.autograd.grad(_answers(network, part, pixels, chosen).mean(dim=1).sum(), waves)
        step(gradient)
    images = _rounded(waves, shape)
    with torch.inference_mode():
        after = _answers(network, part, images, chosen)
    found = [after.mean(dim=1), before.detach(), after.amax(dim=1)]
    arrays = [values.double().cpu().numpy() for values in found]
    return Maximised(target.name, tuple(chosen), images.permute(0, 2, 3, 1).cpu().numpy(), *arrays)


class _Adam:
    """Climbs, and shrinks what it moves. Kingma and Ba, 2015, with the decay of Loshchilov and Hutter, 2019. The one of
    torch first imports, for seconds, what it would need to be compiled."""

    def __init__(self, waves: Tensor) -> None:
        self.waves, self.steps = waves, 0
        self.first, self.second = torch.zeros_like(waves), torch.zeros_like(waves)

    @torch.no_grad()
    def __call__(self, gradient: Tensor) -> None:
        self.steps += 1
        self.first.lerp_(gradient, 1 - MEMORY[0])
        self.second.lerp_(gradient.square(), 1 - MEMORY[1])
        first, second = (moment / (1 - kept**self.steps) for moment, kept in zip((self.first, self.second), MEMORY))
        self.waves.mul_(1 - RATE * DECAY).add_(RATE * first / (second.sqrt() + TINY))


def _noise(shape: tuple[int, int, int], seed: int, channel: int) -> Tensor:
    """(C, H, W // 2 + 1, 2): real and imaginary parts of each wave."""
    channels, height, width = shape
    drawn = np.random.default_rng([seed, channel]).standard_normal((channels, height, width // 2 + 1, 2))
    return torch.from_numpy((NOISE * drawn).astype(np.float32))


def _pixels(waves: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(K, C, H, W) float, 0 to 255. A wave counts by its length: natural images have amplitudes of that kind."""
    _, height, width = shape
    frequencies = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    lengths = (1 / frequencies.clamp(min=1 / max(height, width))).to(waves.device)
    spectrum = torch.view_as_complex(waves) * lengths
    return 255 * torch.sigmoid(torch.fft.irfft2(spectrum, s=(height, width), norm="ortho"))


def _rounded(waves: Tensor, shape: tuple[int, int, int]) -> Tensor:
    return _pixels(waves.detach(), shape).round().to(torch.uint8)


def _answers(network: Network, part: nn.Module, pixels: Tensor, channels: Sequence[int]) -> Tensor:
    """(K, P) of image k what channel k is at all places, before the activation."""
    output = reach(network.body, part, network.normalize(pixels))
    return output[torch.arange(len(channels)), torch.tensor(channels)].reshape(len(channels), -1)
