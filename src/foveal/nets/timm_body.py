"""A backbone of timm at work, and which part of it training leaves alone."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from foveal.nets.backbone import BackboneMaps, create

__all__ = ["TimmBody"]


class TimmBody(nn.Module):
    """Normalised images (B, C, H, W) to features (B, F), or to maps (B, C, H, W).

    Args:
        maps: the maps that it gives, instead of features. What comes after the last of them stays as it is, so that
            the weights keep the names that pretrained ones have.

    Attributes:
        still: whether batch norm keeps its means and variances in training, in all of it.
    """

    def __init__(self, name: str, channels: int, maps: BackboneMaps | None = None) -> None:
        super().__init__()
        self.net = create(name, channels)
        self.indices = list(maps.indices) if maps else []
        self.unused = maps.unused if maps else frozenset[str]()
        self.still = False
        for weight in self.unused:
            self.net.get_parameter(weight).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        if self.indices:
            return tuple(self.net.forward_intermediates(images, indices=self.indices, intermediates_only=True))
        return self.net(images)

    def train(self, mode: bool = True) -> "TimmBody":
        """Batch norm whose weights training does not change does not follow the batches either."""
        super().train(mode)
        for module in self.net.modules():
            if isinstance(module, _BatchNorm) and (self.still or _frozen(module)):
                module.eval()
        return self

    def depths(self) -> dict[nn.Parameter, int]:
        """Each parameter that the features or maps depend on, with the number of its layer from the input, from 0, as
        timm groups them."""
        from timm.models import group_parameters

        groups = group_parameters(self.net, self.net.group_matcher(coarse=False))
        found = {name: layer for layer, names in groups.items() for name in names if name not in self.unused}
        order = {layer: number for number, layer in enumerate(sorted(set(found.values())))}
        return {weight: order[found[name]] for name, weight in self.net.named_parameters() if name in found}

    def freeze(self, share: float) -> None:
        """Leave the first layers as they are.

        Args:
            share: of the layers, 0 to 1.
        """
        depths = self.depths()
        layers = 1 + max(depths.values(), default=0)
        for weight, depth in depths.items():
            weight.requires_grad_(depth >= round(share * layers))


def _frozen(module: nn.Module) -> bool:
    weights: Iterator[nn.Parameter] = module.parameters(recurse=False)
    return not any(weight.requires_grad for weight in weights)
