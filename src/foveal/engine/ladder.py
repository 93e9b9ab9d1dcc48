"""What to train in the time there is: nets from small to large, and the recipe that goes with each. No clock in here.

The pieces are those of the CIFAR-10 speed records: a frozen whitening layer, blocks of two convolutions with batch
norm, global max pooling, Muon, label smoothing, alternating mirroring. Page, "How to Train Your ResNet", 2018; Jordan,
"94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498. Smaller images first: Howard's DAWNBench entry,
2018. Which net goes with how many images was measured on CIFAR-10: benchmarks/records/ has the ablations.
"""

import math
from dataclasses import dataclass

import numpy as np

from foveal.nets import walk
from foveal.nets.walk import each
from foveal.nets.zoo import net_of
from foveal.recipe import InputContract, Recipe
from foveal.recipes import DEFAULT_TEST, channels_of, one_size, share_of
from foveal.types import Dataset

__all__ = [
    "LADDER",
    "Rung",
    "activations",
    "batch_for",
    "contract_for",
    "fewest_for",
    "most_epochs",
    "net_for",
    "parameters",
    "recipe_on",
    "rung_for",
    "sized",
    "training_flops",
]

LARGEST_AS_IT_IS = 64  # pixels; images of one size up to this are not resized
PHOTOGRAPH_SIDES = 64, 96, 128, 160, 192, 224
PASSES_AT_SIDE = 20  # over the images, for a side of photographs to be affordable
PIXELS_A_SECOND = 6e6  # that a nominal machine learns from
Growth = tuple[tuple[float, float], ...]
GROWTH: Growth = ((0.5, 0.625), (0.8, 0.8125))
SMALLEST_GROWING = 24  # pixels
STEPS = 300  # that batches are chosen for
RATE = 0.24  # for so many steps; it falls with the root of their number
COVERED = 25  # passes from which on squares are covered
MOST_VALIDATION = 1_000


@dataclass(frozen=True)
class Rung:
    """A net of the ladder.

    Args:
        widths: filters of the first blocks and of the last.
        least: images to learn from, repetitions counted, from which it does better than the one before.
        halved: whitening takes every second pixel.
        batch: images a step at the least, where there are enough.
    """

    widths: tuple[int, ...]
    least: int
    halved: bool = False
    batch: int = 256


LADDER = (
    Rung((32, 64), 0, halved=True, batch=128),
    Rung((32, 64, 128), 30_000),
    Rung((32, 128, 256), 180_000),
    Rung((64, 256, 256), 300_000),
    Rung((128, 384, 512), 1_200_000),
)


def contract_for(dataset: Dataset, images: int, minutes: float) -> InputContract:
    """Images of one small size as they are; photographs at the largest side that the minutes allow.

    Args:
        images: in the training split.
    """
    channels = channels_of(dataset)
    mean, std = (0.5,), (0.25,)
    size = one_size(dataset)
    if size and max(size) <= LARGEST_AS_IT_IS:
        return InputContract(height=size[0], width=size[1], channels=channels, mean=mean, std=std)
    affordable = 60 * minutes * PIXELS_A_SECOND / (PASSES_AT_SIDE * max(1, images))
    sides = [side for side in PHOTOGRAPH_SIDES if side**2 <= affordable] or PHOTOGRAPH_SIDES[:1]
    side = int(np.clip(np.median(dataset.sizes.min(axis=1)), 8, sides[-1]))
    return InputContract(height=side, width=side, channels=channels, mean=mean, std=std)


def net_for(rung: Rung, contract: InputContract) -> str:
    """The line: whitening, blocks that each halve the image until about 4×4 is left, the largest number of each map."""
    side = min(contract.height, contract.width)
    if side < 6:
        return f"{rung.widths[-1]}c3same:none-bn:relu-gmp"
    stride = (1 if side <= 48 else 2 if side <= 96 else 4) * (2 if rung.halved and side >= 16 else 1)
    left = (side - stride - 1) // stride + 1
    blocks = max(1, int(math.log2(left + 1)) - 2)
    widths = [rung.widths[min(block, len(rung.widths) - 2)] for block in range(blocks - 1)] + [rung.widths[-1]]
    whitening = f"w{stride + 1}" + (f"s{stride}" if stride > 1 else "")
    block = "{0}c3same:none-mp2-bn:relu-{0}c3same:none-bn:relu".format
    return "-".join([whitening, *(block(width) for width in widths), "gmp"])


def recipe_on(rung: Rung, dataset: Dataset, contract: InputContract, name: str) -> Recipe:
    """The recipe of a rung, for one epoch; `sized` fits it to a number of epochs."""
    side = min(contract.height, contract.width)
    return Recipe(
        name=name,
        net=net_for(rung, contract),
        input=contract,
        init="dirac",
        epochs=1,
        batch_size=rung.batch,
        validation=_validation(dataset),
        test=share_of(dataset, "test", DEFAULT_TEST),
        optimizer="muon",
        learning_rate=RATE,
        head_learning_rate=0.0083,
        norm_learning_rate=0.053,
        momentum=0.6,
        schedule="linear",
        label_smoothing=0.2,
        flip=side > 28,
        mirror_test=side > 28,
        growth=growth_for(contract),
    )


def growth_for(contract: InputContract) -> Growth:
    """Smaller images for the first part of training, where they are not tiny to begin with."""
    return GROWTH if min(contract.height, contract.width) >= SMALLEST_GROWING else ()


def sized(recipe: Recipe, images: int, epochs: float, least: int = 128) -> Recipe:
    """The recipe for so many epochs: batches that make about 300 steps, a rate that falls where there are more, and
    augmentation that grows with the passes.

    Args:
        least: images in a batch, where there are enough.
    """
    side = min(recipe.input.height, recipe.input.width)
    batch = batch_for(images, images * epochs, least)
    steps = max(1.0, images * epochs / batch)
    return recipe.changed(
        epochs=round(epochs, 3),
        batch_size=batch,
        learning_rate=round(RATE * min(1.0, math.sqrt(STEPS / steps)), 4),
        norm_momentum=round(float(np.clip(batch / 400, 0.1, 0.6)), 3),
        translate=0 if epochs < 1 or side <= 4 else max(1, side // 16),
        cutout=3 * side // 8 if epochs >= COVERED else 0,
    )


def batch_for(images: int, seen: float, least: int) -> int:
    """Images in a batch where so many are seen, repetitions counted."""
    return int(min(np.clip(2 ** round(math.log2(max(1.0, seen / STEPS))), least, 512), max(16, images // 8)))


def rung_for(budget: float, contract: InputContract, images: int) -> Rung:
    """The largest net that a budget feeds with the images it needs.

    Args:
        budget: FLOPs for the whole training.
        images: in the training split.
    """
    chosen = LADDER[0]
    for rung in LADDER[1:]:
        seen = budget / training_flops(net_for(rung, contract), contract, growth_for(contract))
        if seen >= fewest_for(rung, images):
            chosen = rung
    return chosen


def fewest_for(rung: Rung, images: int) -> float:
    """Images to learn from, repetitions counted, that a net needs; of few images, as many as ever help."""
    return min(rung.least, most_epochs(images) * images)


def most_epochs(images: int) -> float:
    """Passes after which more of them hardly help: 40 over 50,000 images, 280 over 1,000."""
    return 40 * math.sqrt(50_000 / max(1, images))


def training_flops(net: str, contract: InputContract, growth: Growth) -> float:
    """FLOPs to learn from one image, the mean over the growth of the images: three times those of the answer."""
    began, total = 0.0, 0.0
    for until, scale in (*growth, (1.0, 1.0)):
        total += (until - began) * 3 * flops_of(net, contract, scale)
        began = until
    return total


def flops_of(net: str, contract: InputContract, scale: float = 1.0) -> int:
    """FLOPs of the answer for one image at a share of its side."""
    shape = contract.channels, round(contract.height * scale), round(contract.width * scale)
    return sum(step.flops for _, step in each(walk(net_of(net), shape)))


def _validation(dataset: Dataset) -> float | None:
    """The usual share, but no more than 1,000 images: nothing is chosen on them, and they are lost to training."""
    share = share_of(dataset, "validation", 0.15)
    pool = int((~np.isin(dataset.splits, ("test", "validation"))).sum())
    return None if share is None else round(min(share, MOST_VALIDATION / max(1, pool)), 6)


def activations(net: str, contract: InputContract) -> int:
    """Numbers that one image leaves behind on its way through the net."""
    shape = contract.channels, contract.height, contract.width
    return sum(math.prod(step.after) for _, step in each(walk(net_of(net), shape)))


def parameters(net: str, contract: InputContract) -> int:
    """Numbers that training changes, without the output layer."""
    shape = contract.channels, contract.height, contract.width
    return sum(step.parameters for _, step in each(walk(net_of(net), shape)))
