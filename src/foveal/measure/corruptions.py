"""Images made worse in eight ways and five steps. numpy and Pillow, on pixels as the net takes them.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019, arXiv 1903.12261. Blur, noise, JPEG, brightness and contrast have the strengths of its code, which has one list
for CIFAR-10 (32 pixels) and one for ImageNet (224); between the two a strength follows the power law through both. Its
brightness only rises. Rotation, occlusion and scale are not in it.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from foveal.examples import Examples
from foveal.measure.changed import Changed, rng_of
from foveal.types import Geometry

__all__ = ["CORRUPTIONS", "LEVELS", "Corrupted", "Corruption", "shrunk_geometry"]

LEVELS = 5
SMALL_SIDE, LARGE_SIDE = 32, 224  # pixels that the two lists of strengths are for
GRAY = 128  # what hides a part of the image

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One way to make an image worse.

    Args:
        name: a stable word.
        parameter: what a strength is, with its unit, in words.
        change: pixels (H, W, C) uint8, a strength, and a generator that is the same at every level, to new pixels.
        small: strengths of the five levels for images of 32 pixels a side and less.
        large: for 224 pixels and more; None where they do not depend on the size.
        grows: whether a strength is a length, which goes on growing with the side beyond 224 pixels.
        moves: whether what is in the image is elsewhere afterwards.
        geometry: how boxes follow it: from the old geometry, the strength, height and width; None where they cannot.
    """

    name: str
    parameter: str
    change: Change
    small: tuple[float, ...]
    large: tuple[float, ...] | None = None
    grows: bool = False
    moves: bool = False
    geometry: Callable[[Geometry, float, int, int], Geometry] | None = None

    def strength(self, level: int, height: int, width: int) -> float:
        """Of a level from 1 to 5, for images of that size (the shorter side counts); two digits are kept."""
        small = self.small[level - 1]
        if self.large is None:
            return small
        side = min(height, width)
        share = math.log(min(max(side, SMALL_SIDE), LARGE_SIDE) / SMALL_SIDE) / math.log(LARGE_SIDE / SMALL_SIDE)
        strength = small * (self.large[level - 1] / small) ** share
        return float(f"{strength * (max(1.0, side / LARGE_SIDE) if self.grows else 1.0):.2g}")


def _blurred(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """By a Gaussian. Pillow's is three boxes; of a step it makes one whose σ is within 4% of the wanted one."""
    return np.asarray(_picture(image).filter(ImageFilter.GaussianBlur(sigma))).reshape(image.shape)


def _noisy(image: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    return _levels(image + 255 * spread * rng.standard_normal(image.shape, np.float32))


def _jpeg(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    encoded = io.BytesIO()
    _picture(image).save(encoded, "JPEG", quality=round(quality))
    return np.asarray(Image.open(encoded)).reshape(image.shape)


def _brighter(image: np.ndarray, by: float, rng: np.random.Generator) -> np.ndarray:
    """Brighter one half of the images, darker the other."""
    return _levels(image.astype(np.float32) + _sign(rng) * 255 * by)


def _flatter(image: np.ndarray, kept: float, rng: np.random.Generator) -> np.ndarray:
    pixels = image.astype(np.float32)
    mean = pixels.mean(axis=(0, 1))
    return _levels(mean + kept * (pixels - mean))


def _rotated(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """To the left one half of the images, to the right the other; what comes in at the corners is mirrored."""
    height, width, _ = image.shape
    margin = math.ceil(max(height, width) / 2)  # no corner lies farther outside
    padded = np.pad(image, [(margin, margin), (margin, margin), (0, 0)], mode="symmetric")
    turned = np.asarray(_picture(padded).rotate(_sign(rng) * degrees, Image.Resampling.BILINEAR))
    return turned.reshape(padded.shape)[margin : margin + height, margin : margin + width]


def _hidden(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Behind a gray rectangle of the image's shape, anywhere inside."""
    places = []
    for side in image.shape[:2]:
        length = max(1, round(side * math.sqrt(share)))
        start = math.floor(rng.random() * (side - length + 1))
        places.append(slice(start, start + length))
    hidden = image.copy()
    hidden[places[0], places[1]] = GRAY
    return hidden


def _shrunk(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Smaller about the middle, as from farther away; the edges are repeated around it."""
    height, width, _ = image.shape
    xs, ys = (_shrinking(side, scale) for side in (width, height))
    small = _picture(image).resize((xs[1], ys[1]), Image.Resampling.BILINEAR)
    margins = [(ys[0], height - ys[0] - ys[1]), (xs[0], width - xs[0] - xs[1]), (0, 0)]
    return np.pad(np.asarray(small).reshape(ys[1], xs[1], image.shape[2]), margins, mode="edge")


def _shrinking(side: int, scale: float) -> tuple[int, int]:
    """Where the shrunk side begins, and how long it is, in pixels."""
    length = max(1, round(side * scale))
    return (side - length) // 2, length


def shrunk_geometry(geometry: Geometry, scale: float, height: int, width: int) -> Geometry:
    """How an image whose prepared pixels were shrunk is mapped there."""
    (left, across), (top, down) = _shrinking(width, scale), _shrinking(height, scale)
    x, y = across / width, down / height
    return replace(
        geometry,
        scale_x=geometry.scale_x * x,
        scale_y=geometry.scale_y * y,
        offset_x=geometry.offset_x * x + left,
        offset_y=geometry.offset_y * y + top,
    )


def _levels(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


CORRUPTIONS: dict[str, Corruption] = {
    corruption.name: corruption
    for corruption in (
        Corruption("blur", "σ in pixels", _blurred, (0.4, 0.6, 0.7, 0.8, 1.0), (1.0, 2.0, 3.0, 4.0, 6.0), grows=True),
        Corruption(
            "noise", "σ as a share of the range", _noisy, (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)
        ),
        Corruption("jpeg", "JPEG quality", _jpeg, (80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
        Corruption(
            "brightness", "± share of the range", _brighter, (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)
        ),
        Corruption("contrast", "share kept", _flatter, (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
        Corruption("rotation", "± degrees", _rotated, (5, 10, 15, 20, 30), moves=True),
        Corruption("occlusion", "share of the area", _hidden, (0.02, 0.05, 0.1, 0.2, 0.3)),
        Corruption(
            "scale", "share of the size", _shrunk, (0.9, 0.8, 0.7, 0.6, 0.5), moves=True, geometry=shrunk_geometry
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Corrupted(Changed):
    """Images under one corruption. An image's noise, place and direction are a function of seed, file and kind: from
    one level to the next only the strength changes."""

    corruption: Corruption
    level: int
    seed: int

    @property
    def strength(self) -> float:
        """In the unit that the corruption's `parameter` names."""
        return self.corruption.strength(self.level, *self.shape[1:3])

    def changed(self, image: np.ndarray, file: str) -> np.ndarray:
        return self.corruption.change(image, self.strength, rng_of(self.seed, file, self.corruption.name))

    def examples(self, test: Examples) -> Examples:
        """Where targets say where, they follow."""
        if not self.corruption.moves or not test.geometries:
            return test
        assert self.corruption.geometry is not None
        _, height, width, _ = self.shape
        moved = [self.corruption.geometry(geometry, self.strength, height, width) for geometry in test.geometries]
        return replace(test, geometries=moved)
