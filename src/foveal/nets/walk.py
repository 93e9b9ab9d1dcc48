"""A network walked from a shape: every layer with what it gets, gives and costs, repetitions written out. No torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foveal.errors import NetError
from foveal.nets.backbone import Backbone
from foveal.nets.composed import Net, Repeat, Residual
from foveal.nets.mistakes import Misfit, pointed
from foveal.nets.specs import BatchNorm, Conv, Dense, Flatten, Layer, Leaf, MaxPool, Ssd, Whiten
from foveal.nets.windows import Field, Pair, Shape, times

__all__ = ["MOST_STEPS", "Placed", "Step", "check", "each", "walk", "walked"]

MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """One layer at work.

    Args:
        token: its text; empty for a flattening that is implied.
        number: of its (first) token in the line, from 1.
        before: shape it gets.
        after: shape it gives.
        parameters: of its own; for a residual block those of the shortcut.
        flops: likewise.
        bias: False where batch norm follows, at once or after max pooling, and makes it useless.
        field: the receptive field after it.
        body: steps inside a residual block.
        shortcut: stride of the 1×1 convolution that x goes through; None: x as it is.
    """

    layer: Leaf | Residual
    token: str
    number: int
    before: Shape
    after: Shape
    parameters: int
    flops: int
    field: Field
    bias: bool = True
    body: tuple["Step", ...] = ()
    shortcut: Pair | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer and where its text stands in the line."""

    layer: Leaf | Residual
    start: int
    end: int
    number: int
    note: str

    @property
    def subject(self) -> str:
        last = self.number + self.layer.tokens - 1
        tokens = f"token {self.number}" if last == self.number else f"tokens {self.number} to {last}"
        return f"{self.layer} ({tokens}{self.note})"


def walk(net: Net, shape: Shape) -> tuple[Step, ...]:
    """Every step from an image of shape (C, H, W) to a flat (F,); flattening is added where it is implied.

    Raises:
        NetError: a layer does not fit what it gets, or leaves nothing.
    """
    steps = [step for _, some in walked(net, shape) for step in some]
    last = steps[-1]
    return tuple(steps if len(last.after) == 1 else [*steps, _flatten(last.number, last.after, last.field)])


def walked(net: Net, shape: Shape) -> list[tuple[Placed, list[Step]]]:
    """The layers as they stand in the line, repetitions written out, each with its steps from an image (C, H, W): a
    dense layer has one more, where it flattens first.

    Raises:
        NetError: as `walk`.
    """
    steps = sum(layer.steps for layer in net)
    if steps > MOST_STEPS:
        raise NetError(
            f"The network has {steps:,} layers once repetitions are written out, expected at most {MOST_STEPS:,}.",
            remedy="Repeat less.",
        )
    field = Field(size=(1, 1), jump=(1, 1), image=(shape[1], shape[2]))
    return _walked(list(_placed(net, 0, 1)), shape, field, str(net))


def check(net: Net, shape: Shape) -> int:
    """How many features the net makes of an image of shape (C, H, W).

    Raises:
        NetError: as `walk`.
    """
    return walk(net, shape)[-1].after[0]


def each(steps: Sequence[Step], depth: int = 0) -> Iterator[tuple[int, Step]]:
    """All steps in the order of their work, with how deep they stand in residual blocks; a block after its body."""
    for step in steps:
        yield from each(step.body, depth + 1)
        yield depth, step


def _placed(layers: Sequence[Layer], start: int, number: int, note: str = "") -> Iterator[Placed]:
    for layer in layers:
        end = start + len(str(layer))
        if isinstance(layer, Repeat):
            for time in range(1, layer.times + 1):
                yield from _placed(layer.body, start + 1, number, f", repetition {time}")
        elif isinstance(layer, Leaf | Residual):
            yield Placed(layer, start, end, number, note)
        start, number = end + 1, number + layer.tokens


def _walked(placed: list[Placed], shape: Shape, field: Field, line: str) -> list[tuple[Placed, list[Step]]]:
    found: list[tuple[Placed, list[Step]]] = []
    for index, item in enumerate(placed):
        try:
            if isinstance(item.layer, Whiten | Backbone) and (item.number > 1 or item.note):
                problem = "must be the first layer and stand in no repetition: it takes the image itself"
                raise Misfit(item.layer, problem, remedy="Put it first, or leave it out.")
            if isinstance(item.layer, Ssd) and line[item.end :]:
                raise Misfit(item.layer, "must be the last token: it is a head", remedy="Put it last, or leave it out.")
            if isinstance(item.layer, Residual):
                steps = [_residual(item.layer, item, shape, field, line)]
            else:
                steps = _leaf(item.layer, item.number, shape, field, _follower(placed[index + 1 :]))
        except Misfit as error:
            raise pointed(line, item.start, item.end, item.subject, error.problem, error.remedy) from None
        found.append((item, steps))
        shape, field = steps[-1].after, steps[-1].field
    return found


def _follower(placed: Sequence[Placed]) -> Layer | None:
    """The layer that comes next, max pooling aside: adding a bias before it or after it is the same."""
    return next((item.layer for item in placed if not isinstance(item.layer, MaxPool)), None)


def _leaf(layer: Leaf, number: int, shape: Shape, field: Field, follower: Layer | None) -> list[Step]:
    flatten = [_flatten(number, shape, field)] if isinstance(layer, Dense) and len(shape) == 3 else []
    before = flatten[0].after if flatten else shape
    useless = isinstance(layer, Conv) and layer.activation == "none" and isinstance(follower, BatchNorm)
    after, parameters = layer.out_shape(before), layer.parameters(before, bias=not useless)
    flops, token = layer.flops(before), str(layer)
    step = Step(layer, token, number, before, after, parameters, flops, layer.look(field), bias=not useless)
    return [*flatten, step]


def _flatten(number: int, shape: Shape, field: Field) -> Step:
    flat = Flatten()
    return Step(flat, "", number, shape, flat.out_shape(shape), 0, 0, flat.look(field))


def _residual(layer: Residual, item: Placed, shape: Shape, field: Field, line: str) -> Step:
    inside = _walked(list(_placed(layer.body, item.start + 2, item.number, item.note)), shape, field, line)
    body = tuple(step for _, steps in inside for step in steps)
    after, seen = body[-1].after, body[-1].field
    shortcut = _shortcut(layer, shape, after, field, seen)
    by_1x1 = None if shortcut is None else Conv(after[0], 1, shortcut, activation="none")
    parameters, flops = (by_1x1.parameters(shape, bias=False), by_1x1.flops(shape)) if by_1x1 else (0, 0)
    return Step(layer, str(layer), item.number, shape, after, parameters, flops, seen, True, body, shortcut)


def _shortcut(layer: Residual, before: Shape, after: Shape, field: Field, seen: Field) -> Pair | None:
    """Stride of the 1×1 convolution that makes x fit the body; None where it fits as it is."""
    if before == after:
        return None
    remedy = "The body must give the shape it gets; channels and stride may differ on an image."
    if len(before) == 1:
        raise Misfit(layer, f"adds {after[0]} numbers to {before[0]}, which do not fit", remedy=remedy)
    if len(after) == 1:
        raise Misfit(layer, f"adds {after[0]} numbers in a row to an image, which do not fit", remedy=remedy)
    stride = seen.jump[0] // field.jump[0], seen.jump[1] // field.jump[1]
    reached = -(-before[1] // stride[0]), -(-before[2] // stride[1])
    if after[1:] != reached:
        body = times((after[1], after[2]))
        problem = f"gives {body} from its body and {times(reached)} from its shortcut, which cannot be added"
        raise Misfit(layer, problem, remedy="Write `same` in the convolutions and pools of the body.")
    return stride
