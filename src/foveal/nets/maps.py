"""A body that gives maps: which layers of a line are the last ones at the strides that a head takes. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from foveal.errors import NetError
from foveal.nets.backbone import Backbone, BackboneMaps
from foveal.nets.composed import Net
from foveal.nets.mistakes import Misfit, pointed
from foveal.nets.specs import Dense, Flatten, GlobalPool, Ssd
from foveal.nets.walk import Placed, Step, walk, walked
from foveal.nets.windows import Shape, times

__all__ = ["Maps", "fits", "map_walk", "without_maps"]


@dataclass(frozen=True, slots=True)
class Maps:
    """A net walked up to its maps.

    Args:
        strides: pixels of the image between neighbours of each map.
        ssd: whether the line asks for SSDLite's head.
        steps: its layers.
        ends: for each map, how many of the steps come before it and make it.
        shapes: (C, H, W) of each map.
        backbone: where timm's network makes them.
    """

    strides: tuple[int, ...]
    ssd: bool
    steps: tuple[Step, ...]
    ends: tuple[int, ...]
    shapes: tuple[Shape, ...]
    backbone: BackboneMaps | None = None

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(shape[0] for shape in self.shapes)


def map_walk(net: Net, shape: Shape, strides: Sequence[int]) -> Maps:
    """The last map of a net at each stride, from an image (C, H, W).

    Args:
        strides: pixels of the image between neighbours of a map, rising; a line that ends in `ssd` has its own.

    Raises:
        NetError: the sides of the image are no multiples of the largest stride; a layer that leaves no map; a stride
            that the net skips or does not reach.
    """
    ssd = isinstance(net[-1], Ssd)
    used = Ssd.strides if ssd else tuple(strides)
    body = Net(net[: len(net) - ssd])
    first = body[0]
    fits(shape[1], shape[2], used)
    if isinstance(first, Backbone):
        step, maps = _of_backbone(first, body, shape, used)
        return Maps(used, ssd, (step,), (1,) * len(used), maps.shapes, maps)
    steps, ends = _of_layers(body, shape, used)
    return Maps(used, ssd, steps, ends, tuple(steps[end - 1].after for end in ends))


def without_maps(net: Net, shape: Shape) -> tuple[Step, ...]:
    """`walk`, for a head that takes features of the whole image.

    Raises:
        NetError: the net ends in a head for maps; or as `walk`.
    """
    if isinstance(net[-1], Ssd):
        raise NetError(
            f"{net} ends in a head that finds things, for images whose targets are boxes; these targets are none.",
            remedy=f"Leave out its last token: {Net(net[:-1])}." if len(net) > 1 else "Take another net.",
        )
    return walk(net, shape)


def fits(height: int, width: int, strides: Sequence[int]) -> None:
    """
    Raises:
        NetError: the sides of the image are no multiples of the largest stride.
    """
    largest = strides[-1]
    if height % largest or width % largest:
        near = [largest * max(1, round(side / largest)) for side in (height, width)]
        raise NetError(
            f"The input of a net that finds things on maps has sides that are multiples of {largest}, found "
            f"{height}×{width}.",
            remedy=f"--set input.height={near[0]} --set input.width={near[1]}",
        )


def _of_layers(net: Net, shape: Shape, strides: tuple[int, ...]) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    line, ends, found = str(net), dict[int, int](), list[Step]()
    for item, (step, *_) in walked(net, shape):
        if isinstance(item.layer, Dense | Flatten | GlobalPool):
            raise _wrong(line, item, "leaves no map, and this head finds things on maps", "End the line before it.")
        jump, stride = step.field.jump, step.field.jump[0]
        if max(jump) > strides[-1]:
            problem = f"goes to a stride of {times(jump)}, beyond {strides[-1]}, the last that this head takes"
            raise _wrong(line, item, problem, "End the line before it.")
        found.append(step)
        if jump != (stride, stride) or stride not in strides:
            continue
        expected = shape[1] // stride, shape[2] // stride
        if step.after[1:] != expected:
            problem = (
                f"leaves {times((step.after[1], step.after[2]))}, where a map of stride {stride} has {times(expected)}"
            )
            raise _wrong(line, item, problem, "Write `same` in the convolutions and pools up to it.")
        ends[stride] = len(found)
    _reached(net, strides, ends)
    return tuple(found), tuple(ends[stride] for stride in strides)


def _of_backbone(backbone: Backbone, net: Net, shape: Shape, strides: tuple[int, ...]) -> tuple[Step, BackboneMaps]:
    line, token = str(net), str(backbone)
    if len(net) > 1:
        start = len(token) + 1
        problem = "follows a backbone whose maps this head takes as they are"
        raise pointed(line, start, len(line), line[start:], problem, f"Leave it out: {token}.")
    ((item, (step,)),) = walked(net, shape)
    try:
        maps = backbone.maps(shape, strides)
    except Misfit as error:
        raise _wrong(line, item, error.problem, error.remedy) from None
    return replace(step, after=maps.shapes[-1], parameters=maps.parameters, flops=maps.flops), maps


def _reached(net: Net, strides: tuple[int, ...], ends: dict[int, int]) -> None:
    missing = [str(stride) for stride in strides if stride not in ends]
    if missing:
        last = f"{net[-1]} (the last token)" if len(net) > 1 else f"{net[-1]} (the only token)"
        raise NetError(
            f"The head takes maps at strides of {', '.join(map(str, strides))} pixels, and {net} makes none at "
            f"{', '.join(missing)}; it ends with {last}.",
            remedy="Halve the image in steps, by mp2 or convolutions with s2, and work at each of these strides.",
        )


def _wrong(line: str, item: Placed, problem: str, remedy: str) -> NetError:
    return pointed(line, item.start, item.end, item.subject, problem, remedy)
