"""Random views of images whose targets say where: one mapping moves the pixels and the target.

Scale and place of the view are drawn as by Liu et al. (SSD, ECCV 2016, section 2.2) and Ghiasi et al. (large scale
jittering, arXiv 2012.07177); mosaics of four images are those of Bochkovskiy et al. (YOLOv4, arXiv 2004.10934). Each
view is a function of (seed, epoch, image).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from foveal.errors import RecipeError
from foveal.recipe import InputContract, Recipe
from foveal.task import Answer, Task
from foveal.types import Dataset, Geometry

__all__ = ["Scenes", "check_scenes", "placed_targets", "recoloured"]

GRAY = 114  # of what lies outside of the image
RATIO = 4 / 3  # of a view's sides over the image's, at most
PARTED = 0.3, 0.7  # where a mosaic's parts meet, as shares of its sides
SMALLER = 1.8  # times that the images of a mosaic are seen smaller, at most
LUMA = 0.299, 0.587, 0.114  # ITU-R BT.601
YIQ = LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)
ONE_IN = 17  # pixels that the mean is taken of; no multiple of a usual width
FLIPS = 1 << 16  # a stream of random numbers for mirroring, away from those of the epochs


def placed_targets(dataset: Dataset, task: Task, contract: InputContract) -> np.ndarray:
    """(N, …) the targets in pixels of what the net takes."""
    sizes = dataset.sizes.tolist()
    maps = {(height, width): task.reader.geometry(width, height, contract) for height, width in map(tuple, sizes)}
    answer, frame = task.answer, (contract.height, contract.width)
    return answer.stack([answer.warp(t, maps[tuple(size)], *frame) for t, size in zip(dataset.targets, sizes)])


def check_scenes(answer: Answer, recipe: Recipe) -> None:
    """
    Raises:
        RecipeError: the recipe changes images in a way that the targets cannot follow; or asks for views of scenes
            where targets do not say where.
    """
    if not answer.placed:
        wrong = [name for name, plain in (("zoom", 1), ("mosaic", 0)) if getattr(recipe, name) != plain]
        if wrong:
            raise RecipeError(
                f"{' and '.join(wrong)} show scenes whose targets say where; these say what the whole image is.",
                remedy=f"Leave out {' and '.join(wrong)}; crop=… shows parts of images.",
            )
        return
    fields = ("randaugment", "mixup", "cutmix", "translate", "cutout", "growth", "mirror_test")
    if wrong := [name for name in fields if getattr(recipe, name)]:
        raise RecipeError(
            f"{' and '.join(wrong)} would change images, and leave where they say things are as it was.",
            remedy="Set them to 0; crop, zoom, mosaic, flip and colour move the targets, too.",
        )


@dataclass(frozen=True, eq=False)
class Scenes:
    """What training sees of some images.

    Args:
        pixels: (N, H, W, C) uint8.
        targets: (N, M, …), in pixels of what the net takes.
        train: rows that the other images of a mosaic are from.
    """

    answer: Answer
    recipe: Recipe
    pixels: np.ndarray
    targets: np.ndarray
    train: np.ndarray

    def batch(self, rows: np.ndarray, epoch: int, whole: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, C, H, W) uint8, channels_last, and targets (B, M, …) in their pixels.

        Args:
            whole: no mosaics: at the end a network should see scenes as they are (Ge et al., YOLOX, arXiv 2107.08430).
        """
        _, height, width, channels = self.pixels.shape
        images = torch.empty(len(rows), height, width, channels, dtype=torch.uint8).permute(0, 3, 1, 2)
        targets = [self._scene(int(row), epoch, place, whole) for row, place in zip(rows, images)]
        return images, torch.from_numpy(self.answer.stack(targets))

    def _scene(self, row: int, epoch: int, into: torch.Tensor, whole: bool) -> np.ndarray:
        """Draw the view of an image, (C, H, W), and give its target."""
        recipe, (height, width) = self.recipe, into.shape[1:]
        rng = np.random.default_rng((recipe.seed, epoch, row))
        mirrored = recipe.flip and bool(np.random.default_rng((recipe.seed, FLIPS, row)).integers(2)) ^ bool(epoch % 2)
        if rng.random() < recipe.mosaic and not whole:
            target = self._mosaic(row, rng, into)
        else:
            target = self._view(row, _window(rng, recipe, height, width, height, width), into)
        if mirrored:
            into.copy_(into.flip(2))
            target = self.answer.warp(target, Geometry(width, height, -1.0, 1.0, float(width), 0.0), height, width)
        if recipe.colour:
            into.copy_(recoloured(into, rng, recipe.colour))
        return _compact(target)

    def _mosaic(self, row: int, rng: np.random.Generator, into: torch.Tensor) -> np.ndarray:
        """Parts of four images, this one's in a corner that is drawn."""
        height, width = into.shape[1:]
        across, down = (round(side * rng.uniform(*PARTED)) for side in (width, height))
        rows = [row, *self.train[rng.integers(0, len(self.train), 3)].tolist()]
        corners = [(0, down, 0, across), (0, down, across, width), (down, height, 0, across)]
        corners.append((down, height, across, width))
        found = []
        for one, k in zip(rows, rng.permutation(4).tolist()):
            top, bottom, left, right = corners[k]
            high, wide = bottom - top, right - left
            smaller = math.exp(rng.uniform(0, math.log(SMALLER)))
            window = _window(rng, self.recipe, round(high * smaller), round(wide * smaller), height, width)
            part = self._view(one, window, into[:, top:bottom, left:right])
            shift = Geometry(wide, high, 1.0, 1.0, float(left), float(top))
            found.append(_compact(self.answer.warp(part, shift, height, width)))
        return np.concatenate(found)

    def _view(self, row: int, window: tuple[int, int, int, int], into: torch.Tensor) -> np.ndarray:
        """Draw a window of an image, gray where it lies outside of it, and give the target as it stands there.

        Args:
            window: left, top, width, height, in the image's pixels.
        """
        (height, width), (left, top, wide, high) = into.shape[1:], window
        image = torch.from_numpy(self.pixels[row]).permute(2, 0, 1)
        x0, x1 = max(0, left), min(image.shape[2], left + wide)
        y0, y1 = max(0, top), min(image.shape[1], top + high)
        u0, u1 = _span(x0 - left, x1 - left, wide, width)
        v0, v1 = _span(y0 - top, y1 - top, high, height)
        part = image[:, y0:y1, x0:x1]
        if part.shape[1:] != (v1 - v0, u1 - u0):
            size = (v1 - v0, u1 - u0)
            part = F.interpolate(part[None], size=size, mode="bilinear", antialias=True)[0]
        if (u0, v0, u1, v1) != (0, 0, width, height):
            into.fill_(GRAY)
        into[:, v0:v1, u0:u1] = part
        scale_x, scale_y = (u1 - u0) / (x1 - x0), (v1 - v0) / (y1 - y0)
        seen = Geometry(image.shape[2], image.shape[1], scale_x, scale_y, u0 - x0 * scale_x, v0 - y0 * scale_y)
        return self.answer.warp(self.targets[row], seen, height, width)


def _window(
    rng: np.random.Generator, recipe: Recipe, high: int, wide: int, height: int, width: int
) -> tuple[int, int, int, int]:
    """Left, top, width, height of a view, in pixels of an image.

    Args:
        high, wide: of a view at the image's own scale.
        height, width: of the image.
    """
    if recipe.crop == 1 and recipe.zoom == 1:
        side = ratio = 1.0
    else:
        side = math.exp(rng.uniform(math.log(recipe.crop) / 2, math.log(recipe.zoom)))
        ratio = math.exp(rng.uniform(-1, 1) * math.log(RATIO) / 2)
    high, wide = max(2, round(high * side / ratio)), max(2, round(wide * side * ratio))
    left, top = (int(rng.integers(min(0, b - a), max(0, b - a) + 1)) for a, b in ((wide, width), (high, height)))
    return left, top, wide, high


def _span(start: int, end: int, whole: int, side: int) -> tuple[int, int]:
    """Where a part of the window comes to lie in the picture, a pixel at least."""
    first = min(round(start * side / whole), side - 1)
    return first, max(first + 1, round(end * side / whole))


def _compact(target: np.ndarray) -> np.ndarray:
    """The rows that are there."""
    return target[~np.isnan(target[:, 0])]


def recoloured(image: torch.Tensor, rng: np.random.Generator, reach: float) -> torch.Tensor:
    """Other brightness, contrast and saturation by up to `reach`, hue by a tenth of it: (C, H, W) uint8.

    All four are linear in the pixels, so that they are one matrix: 1 ms for 320×416 pixels, where torchvision's
    functions, one after the other, take 11.
    """
    brighter, harder, richer = rng.uniform(max(0.0, 1 - reach), 1 + reach, 3)
    pixels = image.permute(1, 2, 0).reshape(-1, len(image)).float()
    weights = torch.tensor(LUMA if len(image) == 3 else (1.0,))
    middle = float((pixels[::ONE_IN] @ weights).mean())
    matrix = torch.eye(len(image))
    if len(image) == 3:
        turn = _turned(float(rng.uniform(-0.1, 0.1) * reach) * 2 * math.pi)
        matrix = turn @ (richer * matrix + (1 - richer) * weights.expand(3, 3))
    # The mean stays gray, whatever saturation and hue do.
    changed = torch.addmm(
        torch.full((len(image),), brighter * (1 - harder) * middle), pixels, brighter * harder * matrix.T
    )
    return changed.round_().clamp_(0, 255).to(torch.uint8).reshape(*image.shape[1:], len(image)).permute(2, 0, 1)


def _turned(angle: float) -> torch.Tensor:
    """The matrix that turns hues, in YIQ (the NTSC standard of 1953), and keeps gray as it is."""
    to = torch.tensor(YIQ)
    turn = torch.eye(3)
    turn[1:, 1:] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return torch.linalg.inv(to) @ turn @ to
