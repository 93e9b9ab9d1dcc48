"""The named recipes, and what of them follows from the images."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from foveal.errors import RecipeError
from foveal.recipe import InputContract, Recipe, recipe_from
from foveal.types import Dataset

__all__ = [
    "COOKBOOK_NET",
    "DEFAULT_TEST",
    "RECIPES",
    "channels_of",
    "named_recipe",
    "natural",
    "one_size",
    "share_of",
]

COOKBOOK_NET = "32c3-mp2-64c3-mp2-128c3-128n"
BACKBONE = "timm/mobilenetv2_100"
BACKBONE_NET = f"{BACKBONE}-do0.2"
NATURAL_SIDE = 96  # pixels of the median shorter side
DEFAULT_TEST = 0.15
DEFAULT_VALIDATION = 0.15
LARGEST_DEFAULT_SIDE = 64
DETECTION_NET = "detector"
LARGEST_SCENE, STEP = 416, 32  # pixels: of the longer side, and what sides are multiples of


def cookbook(dataset: Dataset) -> Recipe:
    """The worked example: three convolutions, two max pools, a dense layer of 128; Adam's defaults; 10 epochs of 64.

    Command: `foveal train cifar10 --recipe cookbook`. Test accuracy 0.699 to 0.710 (seeds 0 to 2, each ± 0.009).
    """
    height, width = one_size(dataset) or (32, 32)
    return Recipe(
        name="cookbook",
        net=COOKBOOK_NET,
        input=InputContract(height=height, width=width, channels=channels_of(dataset), resize="stretch"),
        init="glorot",
        epochs=10,
        batch_size=64,
        validation=share_of(dataset, "validation", 0.2),
        test=share_of(dataset, "test", DEFAULT_TEST),
        optimizer="adam",
        learning_rate=1e-3,
    )


def pretrained(dataset: Dataset) -> Recipe:
    """For photographs: a small backbone with the weights of ImageNet, its output layer fitted first, then all of it
    tuned for a few epochs, the early layers least.

    Command: `foveal train photos/ --recipe pretrained`.
    """
    return Recipe(
        name="pretrained",
        net=BACKBONE_NET,
        weights="pretrained",
        input=InputContract(height=224, width=224, channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        probe=True,
        layer_decay=0.8,
        still_norms=True,
        epochs=6,
        batch_size=32,
        validation=share_of(dataset, "validation", DEFAULT_VALIDATION),
        test=share_of(dataset, "test", DEFAULT_TEST),
        optimizer="adam",
        learning_rate=3e-4,
        weight_decay=0.01,
        epsilon=1e-8,
        schedule="cosine",
        warmup=0.1,
        label_smoothing=0.1,
        crop=0.5,
        flip=True,
        keep="best",
    )


def detection(dataset: Dataset) -> Recipe:
    """Boxes, from scratch: residual blocks of dense convolutions, scenes at other scales and in mosaics.

    Command: `foveal train boxes/ --no-pretrained`.
    """
    height, width = _scene_size(dataset)
    return Recipe(
        name="detection",
        task="detection",
        net=DETECTION_NET,
        input=InputContract(
            height=height, width=width, channels=channels_of(dataset), resize="pad", mean=(0.5,), std=(0.25,)
        ),
        epochs=100,
        batch_size=_batch(len(dataset), 8, 32),
        validation=share_of(dataset, "validation", DEFAULT_VALIDATION),
        test=share_of(dataset, "test", DEFAULT_TEST),
        optimizer="adam",
        learning_rate=2e-3,
        weight_decay=0.05,
        epsilon=1e-8,
        schedule="cosine",
        warmup=0.05,
        crop=0.4,
        zoom=1.5,
        mosaic=0.5,
        mosaic_until=0.85,
        colour=0.3,
        flip=True,
    )


def detection_pretrained(dataset: Dataset) -> Recipe:
    """Boxes, from a small backbone with the weights of ImageNet, all of it tuned.

    Command: `foveal train boxes/`.
    """
    return detection(dataset).changed(
        **{
            "name": "detection-pretrained",
            "net": BACKBONE,
            "weights": "pretrained",
            "input.channels": 3,
            "input.mean": (0.485, 0.456, 0.406),
            "input.std": (0.229, 0.224, 0.225),
            "still_norms": True,
            # The first layers see most of the pixels and know edges: without them an epoch takes half as long.
            "frozen": 0.27,
            "layer_decay": 0.9,
        }
    )


def _scene_size(dataset: Dataset) -> tuple[int, int]:
    """Height and width of the median shape, its longer side 416 pixels at most, in steps of 32."""
    height, width = (float(side) for side in np.median(dataset.sizes, axis=0))
    shrink = min(1.0, LARGEST_SCENE / max(height, width))
    sides = (STEP * max(1, round(side * shrink / STEP)) for side in (height, width))
    first, second = sides
    return first, second


def natural(dataset: Dataset) -> bool:
    """Whether the images are like photographs, which pretrained weights were learned from: of some size and colour."""
    return dataset.channels == 3 and float(np.median(dataset.sizes.min(axis=1))) >= NATURAL_SIDE


def cookbook_dropout(dataset: Dataset) -> Recipe:
    """The worked example with half of the dense layer dropped in training.

    Command: `foveal train cifar10 --recipe cookbook-dropout`. Test accuracy 0.713 to 0.719 (seeds 0 to 2, each
    ± 0.009).
    """
    return cookbook(dataset).changed(name="cookbook-dropout", net=f"{COOKBOOK_NET}-do0.5")


def default(dataset: Dataset) -> Recipe:
    """For anything else: batch-normalised convolutions that double in width as the image halves, cosine schedule.

    Command: `foveal train` (digits).
    """
    height, width = _default_size(dataset)
    side = min(height, width)
    return Recipe(
        name="default",
        net=_default_net(side),
        input=InputContract(
            height=height, width=width, channels=channels_of(dataset), resize="crop", mean=(0.5,), std=(0.25,)
        ),
        init="dirac",
        epochs=20,
        batch_size=_batch(len(dataset), 16, 128),
        validation=share_of(dataset, "validation", DEFAULT_VALIDATION),
        test=share_of(dataset, "test", DEFAULT_TEST),
        optimizer="adam",
        learning_rate=3e-3,
        weight_decay=1e-4,
        schedule="cosine",
        warmup=0.1,
        label_smoothing=0.1,
        flip=side > 28,
        translate=max(1, side // 8) if side > 4 else 0,
        keep="best",
    )


def _batch(images: int, least: int, most: int) -> int:
    """A power of two that makes some 50 steps an epoch."""
    return int(np.clip(2 ** round(math.log2(max(images, 1) / 50)), least, most))


def _default_size(dataset: Dataset) -> tuple[int, int]:
    size = one_size(dataset)
    if size and max(size) <= LARGEST_DEFAULT_SIDE:
        return size
    side = int(np.clip(np.median(dataset.sizes.min(axis=1)), 8, LARGEST_DEFAULT_SIDE))
    return side, side


def _default_net(side: int) -> str:
    """Two convolutions, then one a halving until about 4×4 is left, then a global average."""
    halvings = max(0, round(math.log2(side / 4)))
    block = "{}c3same:none-bn:relu".format
    stages = [f"mp2-{block(min(32 * 2 ** (stage + 1), 256))}" for stage in range(halvings)]
    return "-".join([block(32), block(32), *stages, "gap", "do0.2"])


def one_size(dataset: Dataset) -> tuple[int, int] | None:
    """Height and width where all images have the same."""
    if len(dataset) and (dataset.sizes == dataset.sizes[0]).all():
        return int(dataset.sizes[0, 0]), int(dataset.sizes[0, 1])
    return None


def channels_of(dataset: Dataset) -> Literal[1, 3]:
    """3 where any image has colour."""
    return 1 if dataset.channels == 1 else 3


def share_of(dataset: Dataset, split: str, share: float) -> float | None:
    """`share`, or None where the source brings that split itself. The default shares are of all images."""
    if split in dataset.given:
        return None
    if split == "validation" and share == DEFAULT_VALIDATION and "test" not in dataset.given:
        return share / (1 - DEFAULT_TEST)
    return share


RECIPES: dict[str, Callable[[Dataset], Recipe]] = {
    "default": default,
    "pretrained": pretrained,
    "detection": detection,
    "detection-pretrained": detection_pretrained,
    "cookbook": cookbook,
    "cookbook-dropout": cookbook_dropout,
}


def named_recipe(name: str, dataset: Dataset) -> Recipe:
    """The recipe of that name for these images, or the one in a file.

    Args:
        name: one of `RECIPES`, or a path to JSON such as a run's `recipe.json`.

    Raises:
        RecipeError: no such recipe, or the file holds none.
    """
    if name in RECIPES:
        return RECIPES[name](dataset)
    path = Path(name)
    try:
        return recipe_from(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        if path.suffix == ".json":
            raise RecipeError(f"{name} holds no recipe: {error}.", remedy="Give a run's recipe.json.") from error
        raise RecipeError(
            f"No recipe is called {name!r}; there are {', '.join(RECIPES)}, and files such as runs/NAME-1/recipe.json."
        ) from None
