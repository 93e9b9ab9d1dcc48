"""Sizes, and the window that slides over an image: what convolution and pooling share. Pairs are height, width."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from foveal.nets.mistakes import Misfit

__all__ = ["LARGEST", "Field", "Padding", "Pair", "Shape", "Size", "Window", "times"]

Shape = tuple[int, ...]
Pair = tuple[int, int]
Size = int | Pair
Padding = Size | Literal["same"]
LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field: the part of the image that one number depends on, at most all of it.

    Args:
        size: pixels.
        jump: pixels of the image between neighbours.
        image: size of the image.
    """

    size: Pair
    jump: Pair
    image: Pair

    def through(self, kernel: Pair, stride: Pair) -> "Field":
        """After a window slid over it."""
        (h, w), (jh, jw), (kh, kw) = self.size, self.jump, kernel
        size = min(h + (kh - 1) * jh, self.image[0]), min(w + (kw - 1) * jw, self.image[1])
        return replace(self, size=size, jump=(jh * stride[0], jw * stride[1]))

    def whole(self) -> "Field":
        return replace(self, size=self.image)


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel with its stride and padding."""

    kernel: Pair
    stride: Pair
    padding: Pair | Literal["same"]

    @classmethod
    def of(cls, name: str, kernel: Size, stride: Size, padding: Padding) -> Self:
        """Of the values somebody gave for the layer of that name.

        Raises:
            NetError: an impossible size.
        """
        kept = "same" if padding == "same" else _pair(name, "padding", padding, least=0)
        return cls(_pair(name, "kernel", kernel, least=1), _pair(name, "stride", stride, least=1), kept)

    def slide(self, height: int, width: int) -> Pair:
        """How many positions it has; zero or less where it does not fit."""
        if self.padding == "same":
            return -(-height // self.stride[0]), -(-width // self.stride[1])
        sizes = zip((height, width), self.kernel, self.stride, self.padding)
        rows, columns = ((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
        return rows, columns

    def pads(self, height: int, width: int) -> tuple[Pair, Pair]:
        """(top, bottom), (left, right). `same` puts the odd pixel after, as TensorFlow does."""
        if self.padding != "same":
            vertical, horizontal = self.padding
            return (vertical, vertical), (horizontal, horizontal)
        sizes = zip((height, width), self.slide(height, width), self.kernel, self.stride)
        vertical, horizontal = (max((out - 1) * s + k - n, 0) for n, out, k, s in sizes)
        return (vertical // 2, vertical - vertical // 2), (horizontal // 2, horizontal - horizontal // 2)

    def text(self, stride: Pair) -> str:
        """As written in a token, without the stride where it is the one given."""
        steps = "" if self.stride == stride else f"s{_text(self.stride)}"
        if self.padding == "same":
            return f"{_text(self.kernel)}{steps}same"
        return f"{_text(self.kernel)}{steps}" + ("" if self.padding == (0, 0) else f"p{_text(self.padding)}")


def times(pair: Pair) -> str:
    """Height×width."""
    return f"{pair[0]}×{pair[1]}"


def _pair(name: str, what: str, size: Size, least: int) -> Pair:
    height, width = (size, size) if isinstance(size, int) else size
    if not (least <= height <= LARGEST and least <= width <= LARGEST):
        found = str(size) if isinstance(size, int) else times(size)
        raise Misfit(name, f"needs a {what} from {least} to {LARGEST:,}, found {found}")
    return height, width


def _text(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"({pair[0]}x{pair[1]})"
