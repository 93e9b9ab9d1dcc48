"""Layers put together: residual blocks, repetitions, the network. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from foveal.nets.mistakes import Misfit
from foveal.nets.specs import Activation, Layer, known_activation, positive, settle, shown_activation

__all__ = ["Net", "Repeat", "Residual"]


@dataclass(frozen=True)
class Residual(Layer):
    """x + body(x), then the activation. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.

    Where the body changes channels or strides, x goes through a 1×1 convolution of the body's stride, without bias
    (the body's own bias, or batch norm's shift, does that work).
    """

    body: Sequence[Layer]
    activation: Activation = "none"
    kind: ClassVar[str] = "residual sum"

    def __post_init__(self) -> None:
        known_activation("Residual", self.activation)
        settle(self, body=_checked("Residual", self.body))

    @property
    def tokens(self) -> int:
        return sum(layer.tokens for layer in self.body)

    @property
    def steps(self) -> int:
        return 1 + sum(layer.steps for layer in self.body)

    def __str__(self) -> str:
        return f"r({_joined(self.body)})" + shown_activation(self.activation, "none")


@dataclass(frozen=True)
class Repeat(Layer):
    """The body, so many times one after another, each time with weights of its own."""

    body: Sequence[Layer]
    times: int

    def __post_init__(self) -> None:
        positive("Repeat", "times", self.times)
        settle(self, body=_checked("Repeat", self.body))

    @property
    def tokens(self) -> int:
        return sum(layer.tokens for layer in self.body)

    @property
    def steps(self) -> int:
        return self.times * sum(layer.steps for layer in self.body)

    def __str__(self) -> str:
        return f"({_joined(self.body)})x{self.times}"


class Net(tuple[Layer, ...]):
    """A network without its input and output layers. `str()` gives its line, `parse` reads it back.

    Raises:
        NetError: no layers, or something that is no layer.
    """

    __slots__ = ()

    def __new__(cls, layers: Iterable[Layer]) -> Self:
        return super().__new__(cls, _checked("Net", layers))

    def __str__(self) -> str:
        return _joined(self)

    def __repr__(self) -> str:
        return f"Net({list(self)})"


def _checked(name: str, layers: Iterable[Layer]) -> tuple[Layer, ...]:
    checked = tuple(layers)
    for layer in checked:
        if not isinstance(layer, Layer):
            raise Misfit(name, f"takes layers such as Conv(32, 3), found {layer!r}")
    if not checked:
        raise Misfit(name, "needs at least one layer, found none", remedy="`flat` alone is a linear model.")
    return checked


def _joined(layers: Sequence[Layer]) -> str:
    return "-".join(str(layer) for layer in layers)
