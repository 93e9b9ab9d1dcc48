"""`foveal.readers.familiarity` as a torch module, so that a graph can hold it. The two are compared at every export."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foveal.readers.familiarity import LAGS

__all__ = ["Familiarity"]


class Familiarity(nn.Module):
    """Images (N, C, H, W) uint8 to (N,) how far each is from what the training images look like; above 1 unlike them.

    Args:
        look: as `familiar` found it.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, look: Mapping[str, Any]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(look["mean"], dtype=torch.float32))
        self.register_buffer("whitening", torch.tensor(look["whitening"], dtype=torch.float32) / look["threshold"])

    def forward(self, images: Tensor) -> Tensor:
        off = (_looks(images) - self.mean) @ self.whitening.T
        return (off * off).sum(dim=1).sqrt()


def _looks(images: Tensor) -> Tensor:
    planes = images.float() / 255
    gray = planes.mean(dim=1)
    flat = gray.flatten(1)
    mean = flat.mean(dim=1)
    off = flat - mean[:, None]
    spread = (off * off).mean(dim=1).sqrt()
    skew = (off * off * off).mean(dim=1) / (spread + 0.02) ** 3
    columns = [mean, torch.log(0.02 + spread), skew.clamp(-4, 4)]
    for across in (True, False):
        power = [_differing(gray, lag, across) for lag in LAGS]
        columns += [power[0], power[1] - power[0], power[2] - power[1]]
    values = images.flatten(1).float()
    columns += [(ends.float().mean(dim=1)).sqrt() for ends in (values <= 2, values >= 253)]
    if images.shape[1] > 1:
        for k in (0, 2):
            colour = (planes[:, k] - planes[:, 1]).flatten(1)
            columns += [colour.mean(dim=1), torch.log(0.01 + colour.abs().mean(dim=1))]
    return torch.stack(columns, dim=1)


def _differing(gray: Tensor, lag: int, across: bool) -> Tensor:
    """(N,) logarithm of the mean squared difference of pixels so far apart; of none where the image is that small."""
    size = gray.shape[2] if across else gray.shape[1]
    if size <= lag:
        return torch.full_like(gray[:, 0, 0], 3e-4).log()
    differing = gray[:, :, lag:] - gray[:, :, :-lag] if across else gray[:, lag:] - gray[:, :-lag]
    flat = differing.flatten(1)
    return torch.log(3e-4 + (flat * flat).mean(dim=1))
