"""A run's network taken apart for the pages that show it: of an image, and of the network by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foveal.errors import FovealError, UnreadableImage
from foveal.phrasing import counted
from foveal.run import Run
from foveal.task import Prediction
from foveal.types import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.api.inside import Group, Samples
    from foveal.bundle import Predictor
    from foveal.explain import Activity, AtWork, Target, Tested
    from foveal.nets.layers import Network
    from foveal.report.explained import ExplainedLayer, ExplainedMap, ExplainedPage

__all__ = ["Inside", "NoSuchTarget"]

FEW_LAYERS = 40  # shown unfolded
LIKED = 12  # layers whose likings are shown
MADE_OF_LARGE = 4  # of so many layers that could have pictures made for large images, one has
MOVED = 256  # images that are shifted
LARGEST = 480  # pixels a side of a map over the image


class NoSuchTarget(FovealError):
    """What was asked for is not among what the network says of this image."""


@dataclass(frozen=True, eq=False)
class Inside:
    """A run's network, taken apart for pages.

    Args:
        note: why there are no samples; empty where there are.
        own_scale, failed: as for `explain`.
    """

    run: Run
    predictor: "Predictor"
    samples: "Samples | None"
    note: str
    own_scale: bool = False
    failed: bool = False

    @property
    def network(self) -> "Network":
        return self.predictor.network.module  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image as the network takes it, (C, H, W)."""
        contract = self.run.recipe.input
        return contract.channels, contract.height, contract.width

    @cached_property
    def groups(self) -> "list[Group]":
        import torch

        from foveal.api.inside import grouped
        from foveal.explain import places

        found = grouped(places(self.network, torch.zeros(1, *self.shape, dtype=torch.uint8)))
        return [group for group in found if not group.work.path.startswith("head.") or group.work.kind == "dense"]

    @cached_property
    def activity(self) -> "Activity | None":
        from foveal.explain import activity

        return activity(self.network, self.samples.pixels) if self.samples else None

    def of_image(
        self, file: str, target: str | None, box: int | None, methods: Sequence[str], progress: Progress | None
    ) -> "tuple[Prediction, tuple[Tested, ...], ExplainedPage]":
        import torch

        from foveal.explain import explain_answer, watch
        from foveal.report.explained import ExplainedPage, Picture
        from foveal.report.maps import boxed
        from foveal.report.plots import picture_uri

        task, settled = self.predictor.task, self.run.settled
        data = _read(file)
        array, geometry = task.reader.load(data, self.run.recipe.input)
        array = array.copy()  # it may be a view of what was decoded, which torch does not take
        prediction = self.predictor(data)
        outputs = self.predictor.network(array[None])[0]
        try:
            chosen = task.answer.choose(outputs, geometry, self.predictor.labels, settled, target, box)
        except ValueError as error:
            raise NoSuchTarget(str(error)) from None
        says = chosen.xyxy is None and chosen == task.answer.choose(outputs, geometry, self.predictor.labels, settled)
        about = "" if says and str(prediction).startswith(f"{chosen.name} ") else str(chosen)
        pixels = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]
        maps = tuple(explain_answer(self.network, pixels, chosen, methods, progress=progress))
        placed = [one.attribution.at_original(geometry) for one in maps]
        unseen = " What is plain gray in the maps below it does not see." if np.isnan(placed).any() else ""
        upright = _eight_bits(task.reader.read(data))
        sizes = "{}×{} pixels; the network sees it as {}×{}".format(*upright.shape[1::-1], *array.shape[1::-1])
        page = ExplainedPage(
            title=_titled(file),
            soft=self._soft(),
            answer=f"The network says: {prediction}." + (f" Explained here: {about}." if about else ""),
            about=about,
            cautions=[self.note] if self.note else [],
            picture=Picture(picture_uri(boxed(upright, chosen.xyxy)), f"The image, {sizes}.{unseen}"),
            maps=[_map(one, upright, values) for one, values in zip(maps, placed)],
            asked=self.failed,
            layers=self._layers_of(watch(self.network, pixels), progress),
            open_layers=len(self.groups) <= FEW_LAYERS,
            advantages=self._advantages(),
            notes={"layers": [OF_LAYERS, *self._spread(pixels, outputs)], "advantages": [OF_ADVANTAGES]},
        )
        return prediction, maps, page

    def of_network(self, progress: Progress | None) -> "ExplainedPage":
        from foveal.api.inside import CHANNELS, LARGE, layer_of_network, liked, made
        from foveal.report.explained import ExplainedPage

        layers, large = [], self.shape[1] * self.shape[2] > LARGE
        for done, group in enumerate(self.groups):
            if progress:
                progress("looking inside", done, len(self.groups))
            layer = layer_of_network(self.network, group, self.activity)
            if group in self._asked:
                name, channels = self._part(group), group.work.after[0]
                patches = (
                    liked(self.network, name, self.samples, range(min(CHANNELS, channels))) if self.samples else {}
                )
                layer = replace(layer, liked=patches)
                if not large or self._asked.index(group) % MADE_OF_LARGE == 0:
                    layer = replace(layer, made=made(self.network, name, self.shape, channels))
            layers.append(layer)
        return ExplainedPage(
            title=f"{self.run.path.name}, looked inside",
            soft=self._soft(),
            answer="What the network has learned to look for, layer by layer.",
            cautions=[self.note] if self.note else [],
            layers=layers,
            open_layers=len(self.groups) <= FEW_LAYERS,
            advantages=self._advantages(),
            moved=self._moved(),
            notes={
                "layers": [f"The network in one line: {self.run.recipe.net}."],
                "advantages": [OF_ADVANTAGES],
                "moved": [OF_MOVED],
            },
        )

    @cached_property
    def _asked(self) -> "list[Group]":
        """The layers whose likings are shown: convolutions, evenly through a deep network."""
        found = [group for group in self.groups if group.work.kind == "convolution"]
        chosen = np.unique(np.linspace(0, len(found) - 1, min(LIKED, len(found))).round().astype(int))
        return [found[number] for number in chosen.tolist()]

    def _part(self, group: "Group") -> "Target":
        from foveal.api.inside import target_of

        return target_of(self.network, group.work)

    def _layers_of(self, seen: "AtWork", progress: Progress | None) -> "list[ExplainedLayer]":
        from foveal.api.inside import layer_of_image, liked

        layers, keys = [], [place.key for place in seen.places]
        for done, group in enumerate(self.groups):
            if progress:
                progress("drawing layers", done, len(self.groups))
            number = keys.index(group.parts[0].key)
            before = seen.layers[number - 1] if number else None
            whole = len(self.groups) <= FEW_LAYERS or group in self._asked or group.work.kind != "convolution"
            layer, channel = layer_of_image(
                self.network, seen, group, before, self.activity, own=self.own_scale, whole=whole
            )
            if self.samples and channel is not None and group in self._asked:
                layer = replace(layer, liked=liked(self.network, self._part(group), self.samples, [channel]))
            layers.append(layer)
        return layers

    def _spread(self, pixels: "Tensor", outputs: np.ndarray) -> list[str]:
        """What dropout does to the answer, in a sentence; none without dropout."""
        from foveal.explain import dropout_spread

        found = dropout_spread(self.network, pixels)
        if found is None or found.without.ndim != 1:
            return []
        first = int(outputs.argmax())
        name = self.predictor.labels[first]
        same = (
            ""
            if len(outputs) < 2
            else f", and it stays the largest in {(found.passes.argmax(axis=1) == first).sum()} of them"
        )
        return [
            f"With dropout at work, as in training, in {len(found.passes)} passes, the output of {name} is "
            f"{found.mean[first]:.3g} ± {found.deviation[first]:.2g} (mean and standard deviation){same}. Without, "
            f"it is {found.without[first]:.3g}."
        ]

    def _advantages(self) -> tuple[list[str], list[list[str]]]:
        from foveal.explain import connections
        from foveal.explain.places import short

        rows = []
        for one in connections(self.network, self.shape):
            counts = (one.parameters, one.local_parameters, one.dense_parameters)
            products = (one.multiplications, one.dense_multiplications)
            row = [
                short(one.layer),
                *map("{:,}".format, counts),
                f"{one.local_share:.2%}",
                *map("{:,}".format, products),
            ]
            rows.append(row)
        heads = ["layer", "parameters", "without sharing", "dense", "connections kept", "products", "dense"]
        return heads, rows

    def _moved(self) -> tuple[list[str], list[list[str]]]:
        from foveal.explain import equivariance
        from foveal.explain.places import short

        if not self.samples:
            return [], []
        found = equivariance(self.network, self.samples.pixels[:MOVED])
        far = sorted({one.distance for one in found})
        rows: dict[str, list[str]] = {}
        for one in found:
            cell = "–" if one.error is None else f"{one.error.value:.3f} [{one.error.low:.3f}, {one.error.high:.3f}]"
            rows.setdefault(one.layer, [short(one.layer)]).append(cell)
        return ["layer", *(counted(one, "pixel") for one in far)], list(rows.values())

    def _soft(self) -> str:
        run = self.run
        made = f"looked inside on {datetime.now(UTC):%d %B %Y}"
        return f"{run.path.name}: recipe {run.recipe.name}, {self.predictor.task.name}; {made}"


OF_LAYERS = (
    "From the image to the answer, in the order of the work. Maps are the network's own numbers for this image. What "
    "is said of dead units and the histograms is about other images of the run; no score is taken of them."
)
OF_ADVANTAGES = (
    "Parameters and products of each convolution, of a layer with the same connections that shares no weights, and of "
    "a dense layer from all its inputs to all its outputs."
)
OF_MOVED = (
    "How far each layer's map is from moving along when the image moves by so many pixels: 0 is exactly along. "
    "The difference as a share of the map, mean over images, right and down, with its 95% interval; edges left out."
)


def _titled(file: str) -> str:
    """Its name below the folder that it is in, where that has a name: files of one name lie in several folders."""
    return "/".join(part for part in Path(file).parts[-2:] if part not in (".", "..", Path(file).anchor))


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"{file} cannot be opened: {error.strerror or error}") from error


def _eight_bits(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == np.uint8 else np.round(array / 257).astype(np.uint8)


def _map(one: "Tested", upright: np.ndarray, values: np.ndarray) -> "ExplainedMap":
    from foveal.report.explained import ExplainedMap
    from foveal.report.maps import overlay_uri

    found = one.attribution
    tests = [
        (check.name, f"{check.value:.3g}", f"expected {check.better} {check.bound:.3g}", check.passed, check.message)
        for check in one.checks
    ]
    step = -(-max(upright.shape[:2]) // LARGEST)
    corners = None if found.chosen.xyxy is None else [side / step for side in found.chosen.xyxy]
    uri = overlay_uri(upright[::step, ::step], values[::step, ::step], corners)
    return ExplainedMap(found.method, str(found.chosen), uri, found.how, one.passed, one.badge, one.sentence, tests)
