"""Which layer has which arithmetic."""

from collections.abc import Callable

from torch import nn

from foveal.explain import pointwise, windowed
from foveal.explain.places import GLOBAL_MEANS, NORMS, activation_of
from foveal.explain.terms import Arithmetic, Caught
from foveal.nets.heads import RegressionHead
from foveal.nets.parts import Blur, Normalize, PixelMean, ResidualBlock, Whitening

__all__ = ["work_out"]

Classes = type[nn.Module] | tuple[type[nn.Module], ...]

SPELLED: tuple[tuple[Classes, Callable[[Caught, tuple[int, ...]], Arithmetic | None]], ...] = (
    (nn.Conv2d, windowed.convolution),
    (Whitening, windowed.whitening),
    (nn.MaxPool2d, windowed.max_pool),
    (nn.AvgPool2d, windowed.avg_pool),
    (PixelMean, windowed.pixel_mean),
    ((nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d), windowed.adaptive),
    (Blur, windowed.blur),
    (nn.Linear, pointwise.dense),
    (NORMS, pointwise.batch_norm),
    (Normalize, pointwise.normalize),
    (nn.Flatten, pointwise.flatten),
    (nn.Dropout, pointwise.copied),
    (nn.ConstantPad2d, pointwise.padded),
    (ResidualBlock, pointwise.residual),
    (RegressionHead, pointwise.regression),
)


def work_out(caught: Caught, position: tuple[int, ...]) -> Arithmetic | None:
    """The arithmetic of the number at that position; None for a layer whose arithmetic is not known."""
    module = caught.module
    for classes, spelled in SPELLED:
        if isinstance(module, classes):
            return spelled(caught, position)
    if type(module).__name__ in GLOBAL_MEANS:
        return windowed.global_mean(caught, position)
    if activation_of(module):
        return pointwise.activation(caught, position)
    return pointwise.own(caught, position) if caught.inner else None
