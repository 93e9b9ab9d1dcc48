"""What a page shows of the layers of a network: numbers of `foveal.explain` made into pictures and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from foveal.phrasing import counted
from foveal.report.explained import ExplainedLayer, Patch, Picture, Sums
from foveal.report.maps import (
    framed_uri,
    histogram_svg,
    rgb,
    sheet_uri,
    tile_uri,
    tiles_uri,
    winners_uri,
)
from foveal.report.plots import thumbnail_uri

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.explain import Activity, Arithmetic, AtWork, LayerAtWork, Place, Target
    from foveal.nets.layers import Network

__all__ = ["Group", "Samples", "grouped", "layer_of_image", "layer_of_network", "liked", "made", "target_of"]

MAPS = 32  # shown of a layer
KERNELS = 16  # of the channels that a filter sees
CHANNELS = 8  # of a layer whose likings are shown, on the page of a network
PATCHES = 6
STARTS = ("convolution", "whitening", "dense", "max pooling", "average pooling", "flatten", "dropout", "residual sum")
STARTS = (*STARTS, "own step", "padding", "normalisation")
LARGE = 128 * 128  # pixels of an image
FACTORS = 9  # kernels of so many numbers a side and less are drawn


@dataclass(frozen=True, eq=False)
class Samples:
    """Images of the run to see the network at work on.

    Args:
        files: N names.
        pixels: (N, C, H, W) uint8.
        what: in words: `400 test images`.
    """

    files: Sequence[str]
    pixels: "Tensor"
    what: str


@dataclass(frozen=True)
class Group:
    """What a person calls a layer: one that works, and what only finishes its numbers (batch norm, an activation).

    Args:
        work: the layer that works; padding before it is not shown.
        parts: all of it, in order.
    """

    work: "Place"
    parts: "tuple[Place, ...]"

    @property
    def last(self) -> "Place":
        return self.parts[-1]

    @property
    def title(self) -> str:
        """Its tokens, or the name of its module where there are none of its own."""
        from foveal.explain.places import short

        tokens = dict.fromkeys(part.token for part in self.parts if part.token and not part.token.startswith("timm/"))
        if tokens:
            return "-".join(tokens)
        return short(self.work.key) if self.work.kind != "flatten" else "flatten"

    @property
    def words(self) -> str:
        return ", then ".join(part.words for part in self.parts if part.kind != "padding")

    @property
    def shape(self) -> str:
        """Of what it gives."""
        after = self.last.after
        if len(after) == 3:
            return f"{after[0]} maps of {after[1]}×{after[2]}"
        return f"{after[0]:,} numbers" if len(after) == 1 else "×".join(map(str, after))


def grouped(places: "Sequence[Place]") -> list[Group]:
    """The layers in the order of their work, as a person counts them; without the normalisation before the first."""
    groups: list[list[Place]] = []
    for place in places:
        padded = groups and groups[-1][-1].kind == "padding"
        if not groups or (place.kind in STARTS and not padded):
            groups.append([])
        groups[-1].append(place)
    found = [Group(next((p for p in parts if p.kind != "padding"), parts[0]), tuple(parts)) for parts in groups]
    return [group for group in found if group.work.kind != "normalisation"]


def target_of(network: "Network", place: "Place") -> "Target":
    """The layer of the notation around a place, or the place itself inside a backbone."""
    from foveal.explain import targets

    around = [target for target in targets(network) if f"{place.path}.".startswith(f"{target.path}.")]
    return max(around, key=lambda target: len(target.path))


def layer_of_image(
    network: "Network",
    seen: "AtWork",
    group: Group,
    before: "LayerAtWork | None",
    activity: "Activity | None",
    *,
    own: bool,
    whole: bool,
) -> tuple[ExplainedLayer, int | None]:
    """A layer at work on an image, and its channel that answered most; None where it has no numbers to compare.

    Args:
        before: what the layer got.
        own: each map has a colour scale of its own.
        whole: with its receptive field and its arithmetic.
    """
    values = seen[group.last.key].values
    layer = layer_of_network(network, group, activity)
    if values.ndim not in (1, 3) or not values.size:
        return layer, None
    peak = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    channel = int(peak[0])
    pictures = [_maps(values, group, own), *layer.pictures]
    winners = seen[group.work.key].winners
    if winners is not None and before is not None and before.values.ndim == 3:
        pictures.append(
            Picture(
                winners_uri(before.values[channel], winners[channel]),
                f"What pooling got as map {channel}: the numbers that won and were passed on; the others faded.",
            )
        )
    if whole and values.ndim == 3 and values.shape[1:] != (1, 1):
        pictures.append(_field(network, seen, group, peak))
    position = tuple(int(one) for one in peak)
    return replace(layer, pictures=pictures, sums=_sums(network, seen, group, position) if whole else ()), channel


def layer_of_network(network: "Network", group: Group, activity: "Activity | None") -> ExplainedLayer:
    """A layer by itself: its filters, and how its units behave over many images."""
    pictures = []
    if group.work.kind in ("convolution", "whitening"):
        pictures.append(_filters(network, group.work))
    histogram, caption, notes = "", "", []
    if activity is not None:
        found = activity[group.last.key]
        if len(found.edges) and found.counts.sum():
            histogram = histogram_svg(found.edges, found.counts, "how often the layer gives which number")
            caption = f"What it gave for {counted(found.images, 'image')}: heights are square roots of how often."
        for name, units in (("dead: above zero in none of these images", found.dead), ("saturated", found.saturated)):
            if units is not None:
                shown = (
                    f" ({', '.join(map(str, units[:8].tolist()))}{', …' if len(units) > 8 else ''})"
                    if len(units)
                    else ""
                )
                notes.append(f"{len(units)} of {len(found.mean)} units are {name}{shown}.")
    return ExplainedLayer(group.title, group.words, group.shape, pictures, histogram, caption, notes)


def liked(network: "Network", layer: "Target", samples: Samples, channels: Sequence[int]) -> dict[str, list[Patch]]:
    """The parts of images that excite some channels most, by a title for each channel."""
    from foveal.explain import likings

    batches = [
        (samples.files[start : start + 64], samples.pixels[start : start + 64])
        for start in range(0, len(samples.files), 64)
    ]
    return {
        f"Channel {one.channel} answers most to these parts of {samples.what}:": [
            Patch(thumbnail_uri(best.patch), best.file, best.value) for best in one.top
        ]
        for one in likings(network, layer, batches, channels, top=PATCHES)
    }


def made(network: "Network", layer: "Target", shape: tuple[int, int, int], channels: int) -> Picture:
    """Images made by gradient ascent to excite the first channels; fewer and in fewer steps where they are large."""
    from foveal.explain import maximised

    large = shape[1] * shape[2] > LARGE
    found = maximised(
        network, layer, shape, list(range(min(4 if large else CHANNELS, channels))), **({"steps": 32} if large else {})
    )
    tiles = [rgb(image) for image in found.images]
    caption = f"Images made, by gradient ascent from noise, to excite channels 0 to {len(tiles) - 1}."
    return Picture(tiles_uri(tiles), caption)


def _maps(values: np.ndarray, group: Group, own: bool) -> Picture:
    scale = "each on a scale of its own" if own else f"purple up to {np.abs(values).max():.3g}, white 0, orange below"
    if values.ndim == 1 or values.shape[1:] == (1, 1):
        row = values.reshape(1, 1, -1)
        return Picture(sheet_uri(_wrapped(row[0, 0])), f"The {values.size:,} numbers, in reading order; {scale}.")
    shown = values[:MAPS]
    of = f"The first {MAPS} of {len(values)} feature maps" if len(values) > MAPS else f"The {len(values)} feature maps"
    return Picture(sheet_uri(shown, own=own), f"{of}; {scale}.")


def _wrapped(numbers: np.ndarray, across: int = 64) -> np.ndarray:
    """(1, h, w) of some numbers in rows; NaN fills up the last."""
    across = min(across, len(numbers))
    down = -(-len(numbers) // across)
    filled = np.full(down * across, np.nan, numbers.dtype)
    filled[: len(numbers)] = numbers
    return filled.reshape(1, down, across)


def _filters(network: "Network", place: "Place") -> Picture:
    from foveal.explain import filters

    found = filters(network, place.path)
    weights, size = found.weights, "×".join(map(str, found.weights.shape[2:]))
    if weights.shape[1] in (1, 3) and len(place.before) == 3 and place.before[0] == weights.shape[1]:
        return Picture(
            tiles_uri(list(found.as_images()[:MAPS])), f"Its filters, {size}, as they see the image's colours."
        )
    shown = weights[:MAPS, 0]
    more = f" of {weights.shape[1]}" if weights.shape[1] > 1 else ""
    return Picture(
        sheet_uri(shown), f"Filters, {size}: the first {len(shown)}, and of each what it does with the first map{more}."
    )


def _field(network: "Network", seen: "AtWork", group: Group, peak: Sequence[np.intp]) -> Picture:
    from foveal.explain import receptive_field

    pixels = seen.pixels.transpose(1, 2, 0)
    shape = (pixels.shape[2], *pixels.shape[:2])
    found = receptive_field(network, target_of(network, group.last), shape, int(peak[1]), int(peak[2]))
    box = found.box
    words = f"{box.bottom - box.top}×{box.right - box.left} pixels" + (
        "" if found.mask.sum() < found.mask.size else ", all of it"
    )
    return Picture(
        framed_uri(pixels.astype(np.uint8), (box.top, box.left, box.bottom, box.right), found.mask),
        f"Map {peak[0]} answers most strongly at row {peak[1]}, column {peak[2]}, which sees this: {words}.",
    )


def _sums(network: "Network", seen: "AtWork", group: Group, position: tuple[int, ...]) -> list[Sums]:
    """The arithmetic of the strongest number of a layer, through all its parts."""
    import torch

    from foveal.errors import NetError
    from foveal.explain import arithmetic

    pixels, found = torch.from_numpy(seen.pixels)[None], []
    for part in group.parts:
        if part.kind in ("padding", "flatten") or len(part.after) != len(position):
            continue
        try:
            one = arithmetic(network, pixels, part.key, position)
        except NetError:  # a step of somebody's own module that is no layer we can take apart
            continue
        found.append(Sums(part.kind, str(one), _factors(one)))
    return found


def _factors(one: "Arithmetic") -> tuple[Picture, ...]:
    products = one.products
    if products is None or one.kernel is None or products.ndim != 3 or not 1 < max(products.shape[1:]) <= FACTORS:
        return ()
    strongest = int(np.abs(products).sum(axis=(1, 2)).argmax())
    of = f"map {one.channels[strongest]}"
    triple = (("patch of " + of, one.patch), ("× kernel", one.kernel), ("= products", products))
    return tuple(Picture(tile_uri(v[strongest], float(np.abs(v).max())), title) for title, v in triple)
