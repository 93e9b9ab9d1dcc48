"""The layers a network is made of, as plain objects: what each makes of a shape, and what it costs. No torch.

Shapes are (C, H, W), or (F,) once flattened. Pairs are height, width. A parameter is a number that training changes.
FLOPs are those of one image, two for each product added to a sum; biases, activations, batch norm and pooling count 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar, Literal, get_args

from foveal.nets.mistakes import Misfit
from foveal.nets.windows import LARGEST, Field, Padding, Pair, Shape, Size, Window, times

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "AvgPool",
    "BatchNorm",
    "BlurPool",
    "Conv",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Layer",
    "Leaf",
    "MaxPool",
    "Pool",
    "Ssd",
    "Whiten",
    "known_activation",
    "positive",
    "settle",
    "shown_activation",
]

Activation = Literal["relu", "sigmoid", "tanh", "gelu", "silu", "lrelu", "elu", "none"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


class Layer(ABC):
    """One item of a network line. `str()` gives its token.

    Attributes:
        tokens: how many layers its text names.
        steps: how many layers it is when repetitions are written out.
    """

    @property
    def tokens(self) -> int:
        return 1

    @property
    def steps(self) -> int:
        return 1

    @abstractmethod
    def __str__(self) -> str: ...


class Leaf(Layer):
    """A layer that holds no others."""

    kind: ClassVar[str]

    @abstractmethod
    def out_shape(self, shape: Shape) -> Shape:
        """What it makes of a shape.

        Raises:
            NetError: it does not fit, or leaves nothing.
        """

    def parameters(self, shape: Shape, bias: bool = True) -> int:
        return 0

    def flops(self, shape: Shape) -> int:
        return 0

    def look(self, field: Field) -> Field:
        """The receptive field after it."""
        return field


@dataclass(frozen=True)
class Conv(Leaf):
    """Convolution with zero padding; `same` gives ceil(input / stride) outputs, padded as TensorFlow does."""

    filters: int
    kernel: Size = 3
    stride: Size = 1
    padding: Padding = 0
    activation: Activation = "relu"
    kind: ClassVar[str] = "convolution"

    def __post_init__(self) -> None:
        positive("Conv", "filters", self.filters)
        known_activation("Conv", self.activation)
        window = self.window
        settle(self, kernel=window.kernel, stride=window.stride, padding=window.padding)

    @property
    def window(self) -> Window:
        return Window.of("Conv", self.kernel, self.stride, self.padding)

    def out_shape(self, shape: Shape) -> Shape:
        return self.filters, *_slid(self, self.window, shape)

    def parameters(self, shape: Shape, bias: bool = True) -> int:
        return self.filters * (math.prod(self.window.kernel) * shape[0] + bias)

    def flops(self, shape: Shape) -> int:
        return 2 * math.prod(self.window.kernel) * shape[0] * math.prod(self.out_shape(shape))

    def look(self, field: Field) -> Field:
        return field.through(self.window.kernel, self.window.stride)

    def __str__(self) -> str:
        return f"{self.filters}c{self.window.text((1, 1))}" + shown_activation(self.activation, "relu")


@dataclass(frozen=True)
class Whiten(Leaf):
    """Convolution without padding whose filters are found from training images before training, and stay.

    They are the principal components of k×k patches, scaled to unit variance, each once with either sign: 2 · C · k²
    filters whose outputs are not correlated. Page, "How to Train Your ResNet", 2018; with both signs in Jordan,
    "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498.
    """

    kernel: int = 2
    stride: int = 1
    activation: Activation = "relu"
    kind: ClassVar[str] = "whitening"

    def __post_init__(self) -> None:
        positive("Whiten", "a kernel", self.kernel)
        positive("Whiten", "a stride", self.stride)
        known_activation("Whiten", self.activation)

    @property
    def window(self) -> Window:
        return Window.of("Whiten", self.kernel, self.stride, 0)

    def filters(self, shape: Shape) -> int:
        return 2 * shape[0] * self.kernel**2

    def out_shape(self, shape: Shape) -> Shape:
        rows, columns = _slid(self, self.window, shape)
        return self.filters(shape), rows, columns

    def flops(self, shape: Shape) -> int:
        return 2 * self.kernel**2 * shape[0] * math.prod(self.out_shape(shape))

    def look(self, field: Field) -> Field:
        return field.through(self.window.kernel, self.window.stride)

    def __str__(self) -> str:
        return f"w{self.window.text((1, 1))}" + shown_activation(self.activation, "relu")


@dataclass(frozen=True)
class Pool(Leaf):
    """What the three pools share: a window that keeps one number a channel; the stride is the kernel unless said."""

    kernel: Size = 2
    stride: Size | None = None
    padding: Padding = 0
    word: ClassVar[str]

    def __post_init__(self) -> None:
        window, padding = self.window, self.window.padding
        settle(self, kernel=window.kernel, stride=window.stride, padding=padding)
        if padding != "same" and any(2 * p > k for p, k in zip(padding, window.kernel)):
            problem = f"has padding {times(padding)}, more than half of its kernel {times(window.kernel)}"
            raise Misfit(type(self).__name__, problem)

    @property
    def window(self) -> Window:
        stride = self.kernel if self.stride is None else self.stride
        return Window.of(type(self).__name__, self.kernel, stride, self.padding)

    def out_shape(self, shape: Shape) -> Shape:
        return shape[0], *_slid(self, self.window, shape)

    def look(self, field: Field) -> Field:
        return field.through(self.window.kernel, self.window.stride)

    def __str__(self) -> str:
        return f"{self.word}{self.window.text(self.window.kernel)}"


class MaxPool(Pool):
    """The largest number under the window; padding never wins."""

    kind = "max pooling"
    word = "mp"


class AvgPool(Pool):
    """The mean under the window, of the pixels alone: padding is not counted."""

    kind = "average pooling"
    word = "ap"


class BlurPool(Pool):
    """Max pooling with antialiasing: the maximum at every pixel, a [1, 2, 1] / 4 blur, then the stride.

    The blur acts along the axes with a stride above 1, edges repeated. Zhang, "Making Convolutional Networks
    Shift-Invariant Again", ICML 2019 (there the edges are mirrored, which a single pixel does not allow).
    """

    kind = "blurred max pooling"
    word = "bp"

    def look(self, field: Field) -> Field:
        stride = self.window.stride
        blur = 3 if stride[0] > 1 else 1, 3 if stride[1] > 1 else 1
        return field.through(self.window.kernel, (1, 1)).through(blur, stride)


@dataclass(frozen=True)
class GlobalPool(Leaf):
    """What the two global pools share: one number of each channel, (C, H, W) to (C,)."""

    word: ClassVar[str]

    def out_shape(self, shape: Shape) -> Shape:
        _needs_image(self, shape)
        return shape[:1]

    def look(self, field: Field) -> Field:
        return field.whole()

    def __str__(self) -> str:
        return self.word


class GlobalAvgPool(GlobalPool):
    """The mean of each channel."""

    kind = "global average pooling"
    word = "gap"


class GlobalMaxPool(GlobalPool):
    """The largest number of each channel."""

    kind = "global max pooling"
    word = "gmp"


@dataclass(frozen=True)
class BatchNorm(Leaf):
    """Batch normalisation with a learned scale and shift for each channel (or each number, once flattened)."""

    activation: Activation = "none"
    kind: ClassVar[str] = "batch norm"

    def __post_init__(self) -> None:
        known_activation("BatchNorm", self.activation)

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape, bias: bool = True) -> int:
        return 2 * shape[0]

    def __str__(self) -> str:
        return "bn" + shown_activation(self.activation, "none")


@dataclass(frozen=True)
class Dropout(Leaf):
    """Sets a share of the numbers to zero while training and scales up the rest."""

    share: float = 0.5
    kind: ClassVar[str] = "dropout"

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise Misfit("Dropout", f"needs a share from 0 to below 1, found {self.share!r}", remedy="Write do0.5.")
        settle(self, share=abs(float(self.share)))

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def __str__(self) -> str:
        return f"do{Decimal(repr(self.share)).normalize():f}"


@dataclass(frozen=True)
class Flatten(Leaf):
    """(C, H, W) to (C · H · W,), channel by channel and row by row."""

    kind: ClassVar[str] = "flatten"

    def out_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def look(self, field: Field) -> Field:
        return field.whole()

    def __str__(self) -> str:
        return "flat"


@dataclass(frozen=True)
class Dense(Leaf):
    """Every number from every number; flattens first where that is needed."""

    units: int
    activation: Activation = "relu"
    kind: ClassVar[str] = "dense"

    def __post_init__(self) -> None:
        positive("Dense", "units", self.units)
        known_activation("Dense", self.activation)

    def out_shape(self, shape: Shape) -> Shape:
        return (self.units,)

    def parameters(self, shape: Shape, bias: bool = True) -> int:
        return self.units * (math.prod(shape) + bias)

    def flops(self, shape: Shape) -> int:
        return 2 * self.units * math.prod(shape)

    def look(self, field: Field) -> Field:
        return field.whole()

    def __str__(self) -> str:
        return f"{self.units}n" + shown_activation(self.activation, "relu")


@dataclass(frozen=True)
class Ssd(Leaf):
    """The last token of a net that finds things with SSDLite's head instead of the task's own. It is no layer: what it
    stands after is the body. `foveal.nets.ssdlite`.

    Attributes:
        strides: of the maps that this head takes.
    """

    kind: ClassVar[str] = "head of SSDLite"
    strides: ClassVar[tuple[int, ...]] = (16, 32)

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def __str__(self) -> str:
        return "ssd"


def settle(layer: object, **fields: Any) -> None:
    """Set fields of a frozen dataclass to their one canonical form, so that equal layers compare equal."""
    for name, value in fields.items():
        object.__setattr__(layer, name, value)


def positive(name: str, what: str, value: int) -> None:
    if not 1 <= value <= LARGEST:
        raise Misfit(name, f"needs {what} from 1 to {LARGEST:,}, found {value}")


def known_activation(name: str, activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise Misfit(name, f"needs one of the activations {', '.join(ACTIVATIONS)}, found {activation!r}")


def _needs_image(layer: Layer, shape: Shape) -> None:
    if len(shape) != 3:
        problem = f"needs an image, and gets {shape[0]} numbers in a row"
        raise Misfit(layer, problem, remedy="Put convolutions and pooling before flat, gap and dense layers.")


def _slid(layer: Conv | Pool | Whiten, window: Window, shape: Shape) -> Pair:
    """Positions of the window on the image, at least 1×1."""
    _needs_image(layer, shape)
    height, width = shape[1:]
    rows, columns = window.slide(height, width)
    if rows < 1 or columns < 1:
        problem = f"gets {times((height, width))}, too small for its {times(window.kernel)} window, and leaves nothing"
        padded = "" if isinstance(layer, Whiten) else f" write {replace(layer, padding='same')} to pad the edges,"
        remedy = f"Leave it out,{padded} or use larger images."
        raise Misfit(layer, problem, remedy=remedy)
    return rows, columns


def shown_activation(activation: Activation, default: Activation) -> str:
    return "" if activation == default else f":{activation}"
