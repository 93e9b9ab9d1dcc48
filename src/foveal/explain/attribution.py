"""What an explanation is: a map of what counted, and the tests that it stood or did not stand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from foveal.chosen import Chosen
from foveal.types import Geometry

__all__ = ["Attribution", "Check", "Tested", "at_original"]


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each pixel of the network's input counted for what was chosen.

    Args:
        method: `grad-cam`, `integrated-gradients`, `occlusion`, or whatever another function calls itself.
        map: (H, W) float32 in the pixels of the network's input. Positive: speaks for what was chosen, which with a
            `direction` of −1 is that the value is low. The unit is the method's own; maps of two methods cannot be
            compared pixel by pixel.
        signed: whether the method also tells what speaks against it; otherwise the map has no negative numbers.
        direction: 1; −1 where the answer is a value and this one lies below that of the image without its details.
        layer: whose map it was made from, by its name in the network; empty where the method looks at pixels.
        how: one line: the layer's size, the steps and the baseline, or the window and the stride.
        completeness: of integrated gradients, by how much the sum of the map misses f(image) − f(baseline), as a share
            of that; 0 where the integral is exact. Otherwise None.
    """

    method: str
    chosen: Chosen
    map: np.ndarray
    signed: bool
    direction: int = 1
    layer: str = ""
    how: str = ""
    completeness: float | None = None

    def at_original(self, geometry: Geometry) -> np.ndarray:
        """(height, width) float32 in the original image's pixels; NaN where the network did not see it."""
        return at_original(self.map, geometry)


@dataclass(frozen=True, slots=True)
class Check:
    """One test of a map.

    Args:
        name: `weights`, `deletion`, `insertion` or `noise`.
        value: what was measured; NaN where it could not be.
        bound: what it was held against.
        better: which side of the bound passes.
        message: one sentence for people: what was done and what came out, or why it could not be measured.
        facts: the numbers behind it, JSON-ready.
    """

    name: str
    value: float
    bound: float
    better: Literal["below", "above"]
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """False also where nothing could be measured."""
        return self.value < self.bound if self.better == "below" else self.value > self.bound

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; null where nothing could be measured."""
        value, bound = (number if math.isfinite(number) else None for number in (self.value, self.bound))
        told = {"value": value, "bound": bound, "better": self.better, "passed": self.passed, "message": self.message}
        return {**told, **self.facts}


@dataclass(frozen=True, eq=False)
class Tested:
    """A map with its tests: an explanation where it stood all of them.

    Args:
        checks: none where the map is degenerate, and `reason` says how.
        reason: why there was nothing to test; empty where there was.
    """

    attribution: Attribution
    checks: tuple[Check, ...]
    reason: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def badge(self) -> str:
        """`tested`, or `not an explanation`."""
        return "tested" if self.passed else "not an explanation"

    @property
    def sentence(self) -> str:
        """What the badge rests on, for people."""
        if self.passed:
            return f"This map stood all {len(self.checks)} tests of whether it tells what the network goes by."
        failed = [check.message for check in self.checks if not check.passed]
        return self.reason or " ".join(failed)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the map: `{method, target, layer, how, direction, completeness, passed, badge, sentence,
        tests: {name: {value, bound, better, passed, message, …}}}`."""
        found = self.attribution
        return {
            "method": found.method,
            "target": found.chosen.as_dict(),
            "layer": found.layer or None,
            "how": found.how,
            "direction": found.direction,
            "completeness": found.completeness,
            "passed": self.passed,
            "badge": self.badge,
            "sentence": self.sentence,
            "tests": {check.name: check.as_dict() for check in self.checks},
        }


def at_original(array: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A map of the network's input, (H, W), as it lies over the original image, (height, width) float32: bilinear
    between the centres of pixels; NaN where the network did not see the image."""
    rows = (np.arange(geometry.height) + 0.5) * geometry.scale_y + geometry.offset_y
    columns = (np.arange(geometry.width) + 0.5) * geometry.scale_x + geometry.offset_x
    there = np.full((geometry.height, geometry.width), np.nan, np.float32)
    seen = np.ix_((rows >= 0) & (rows < array.shape[0]), (columns >= 0) & (columns < array.shape[1]))
    upper, lower, down = _between(rows[seen[0].ravel()], array.shape[0])
    left, right, across = _between(columns[seen[1].ravel()], array.shape[1])
    top = array[upper][:, left] * (1 - across) + array[upper][:, right] * across
    bottom = array[lower][:, left] * (1 - across) + array[lower][:, right] * across
    there[seen] = top * (1 - down[:, None]) + bottom * down[:, None]
    return there


def _between(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels whose centres a coordinate lies between, and how far it is from the first to the second."""
    place = np.clip(at - 0.5, 0, size - 1)
    first = np.floor(place).astype(int)
    return first, np.minimum(first + 1, size - 1), place - first
