"""Which head stands on a body that gives maps, and what it costs."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from foveal.nets.detect import DetectionHead
from foveal.nets.maps import Maps
from foveal.nets.windows import Shape
from foveal.task import Head

__all__ = ["head_cost", "ssd_head"]


def ssd_head(
    in_features: int | tuple[int, ...] | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto"
) -> Head:
    """The head of a line that ends in `ssd`, whatever the task's own is."""
    from foveal.nets.ssdlite import SsdLiteHead  # torchvision's detectors take a second to load

    assert isinstance(in_features, tuple)
    return SsdLiteHead(in_features, outputs, label_smoothing, loss)


def head_cost(maps: Maps, outputs: int) -> tuple[Shape, int, int]:
    """Shape of what the head gives for an image, its parameters and its FLOPs."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        head = ssd_head(maps.channels, outputs) if maps.ssd else DetectionHead(maps.channels, outputs)
        assert isinstance(head, torch.nn.Module)
        head.eval()
        with FlopCounterMode(display=False) as counter:
            found = head([torch.zeros(1, *shape) for shape in maps.shapes])
    return tuple(found.shape[1:]), sum(weight.numel() for weight in head.parameters()), counter.get_total_flops()
