"""Looking inside a run's network: what it did with an image and why, or what it is by itself."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import FovealError, RecipeError, RunError, UnreadableImage
from foveal.extras import extra
from foveal.readers.paths import image_files
from foveal.run import Run
from foveal.task import Prediction
from foveal.types import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from foveal.api.inside import Group, Samples
    from foveal.bundle import Predictor
    from foveal.explain import Activity, AtWork, Target, Tested
    from foveal.nets.layers import Network
    from foveal.report.explained import ExplainedLayer, ExplainedMap, ExplainedPage

__all__ = ["METHODS", "Explanation", "explain", "explain_network"]

METHODS = ("grad-cam", "integrated-gradients", "occlusion")
SAMPLES = 300  # images of the run that the network is seen at work on
SAMPLE_PIXELS = 1 << 19  # of all of them together, at most: 500 of 32×32, 10 of 224×224
FEW_LAYERS = 40  # shown unfolded
LIKED = 12  # layers whose likings are shown
NAMED = 10  # labels in a message
LARGEST = 480  # pixels a side of a map over the image
MOVED = 256  # images that are shifted


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a look inside gave for one file: why it could not be read, or the rest.

    Args:
        file: its name.
        prediction: what the network says of it.
        maps: where the answer comes from, each with its tests.
        page: the HTML page.
        error: why the file cannot be explained; None where it can.
    """

    file: str
    prediction: Prediction | None
    maps: "tuple[Tested, ...]"
    page: Path | None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: `{file, prediction, maps: [{method, target, passed, tests, …}], page}`, or `{file, error}`."""
        if self.error is not None:
            return {"file": self.file, "error": self.error}
        return {
            "file": self.file,
            "prediction": self.prediction.as_dict() if self.prediction else None,
            "maps": [one.as_dict() for one in self.maps],
            "page": str(self.page),
        }


def explain(
    run: str | Path | Run,
    images: str | Path | Iterable[str | Path],
    *,
    target: str | None = None,
    box: int | None = None,
    methods: Sequence[str] = METHODS,
    out: str | Path | None = None,
    own_scale: bool = False,
    failed: bool = False,
    net: "nn.Module | None" = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Generator[Explanation]:
    """Look at a finished run's network at work on images: one page an image, as they come.

    Args:
        images: files, folders (all files in them, at any depth) and glob patterns.
        target: what is to be explained, the name of a label or a value; the network's answer when left out.
        box: the number of one of the boxes that are found, from 1, where the answer is boxes.
        methods: of `METHODS`.
        out: the folder of the pages, `RUN/explained` when left out. A page that is there is left alone: the new one is
            numbered.
        own_scale: each feature map has a colour scale of its own, instead of one for the layer.
        failed: show maps that failed their tests openly, too. They are no explanations.
        net, device: as for `load`.
        progress: is told `explaining`, how many files are done, and of how many; of one file alone, methods and layers,
            too.

    Raises:
        FovealError: a path or pattern matches nothing; no such method.
        RunError: there is no finished run.
    """
    for method in methods:
        if method not in METHODS:
            raise RecipeError(f"Expected a method ({', '.join(METHODS)}), found {method!r}.")
    files, run, predictor = image_files(images), Run.open(run), _loaded(run, net, device)
    if target is not None and target not in predictor.labels:
        known = ", ".join(predictor.labels[:NAMED]) + (", …" if len(predictor.labels) > NAMED else "")
        raise RecipeError(f"Expected what the network knows ({known}) as the target, found {target!r}.")
    folder = _folder(run, out)

    def explanations() -> Generator[Explanation]:
        samples, note = _samples(run, progress)
        inner = _Inside(run, predictor, samples, note, own_scale, failed)
        for done, file in enumerate(files):
            if progress:
                progress("explaining", done, len(files))
            try:
                prediction, maps, page = inner.of_image(
                    file, target, box, methods, progress if len(files) == 1 else None
                )
            except (UnreadableImage, _NoSuchTarget) as error:
                yield Explanation(file, None, (), None, error.message)
                continue
            path = _written(page, folder, Path(file).stem)
            yield Explanation(file, prediction, maps, path)
        if progress:
            progress("explaining", len(files), len(files))

    return explanations()


def explain_network(
    run: str | Path | Run,
    *,
    out: str | Path | None = None,
    net: "nn.Module | None" = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Path:
    """A page of a finished run's network by itself: its filters, what its channels like, and what convolution buys.

    Args: as for `explain`.

    Returns:
        The page.

    Raises:
        RunError: there is no finished run.
    """
    run, predictor = Run.open(run), _loaded(run, net, device)
    folder = _folder(run, out)
    samples, note = _samples(run, progress)
    return _written(_Inside(run, predictor, samples, note).of_network(progress), folder, "network")


class _NoSuchTarget(FovealError):
    """What was asked for is not among what the network says of this image."""


@dataclass(frozen=True, eq=False)
class _Inside:
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
            raise _NoSuchTarget(str(error)) from None
        says = chosen.xyxy is None and chosen == task.answer.choose(outputs, geometry, self.predictor.labels, settled)
        about = "" if says and str(prediction).startswith(f"{chosen.name} ") else str(chosen)
        pixels = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]
        maps = tuple(explain_answer(self.network, pixels, chosen, methods, progress=progress))
        placed = [one.attribution.at_original(geometry) for one in maps]
        unseen = " What is plain gray in the maps below it does not see." if np.isnan(placed).any() else ""
        upright = _eight_bits(task.reader.read(data))
        sizes = "{}×{} pixels; the network sees it as {}×{}".format(*upright.shape[1::-1], *array.shape[1::-1])
        page = ExplainedPage(
            title=Path(file).name,
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
        from foveal.api.inside import CHANNELS, layer_of_network, liked, made
        from foveal.report.explained import ExplainedPage

        layers = []
        for done, group in enumerate(self.groups):
            if progress:
                progress("looking inside", done, len(self.groups))
            layer = layer_of_network(self.network, group, self.activity)
            if group in self._asked:
                name, channels = self._part(group), group.work.after[0]
                patches = (
                    liked(self.network, name, self.samples, range(min(CHANNELS, channels))) if self.samples else {}
                )
                layer = replace(layer, liked=patches, made=made(self.network, name, self.shape, channels))
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

        rows = []
        for one in connections(self.network, self.shape):
            counts = (one.parameters, one.local_parameters, one.dense_parameters)
            products = (one.multiplications, one.dense_multiplications)
            row = [one.layer, *map("{:,}".format, counts), f"{one.local_share:.2%}", *map("{:,}".format, products)]
            rows.append(row)
        heads = ["layer", "parameters", "without sharing", "dense", "connections kept", "products", "dense"]
        return heads, rows

    def _moved(self) -> tuple[list[str], list[list[str]]]:
        from foveal.explain import equivariance

        if not self.samples:
            return [], []
        found = equivariance(self.network, self.samples.pixels[:MOVED])
        far = sorted({one.distance for one in found})
        rows: dict[str, list[str]] = {}
        for one in found:
            cell = "–" if one.error is None else f"{one.error.value:.3f} [{one.error.low:.3f}, {one.error.high:.3f}]"
            rows.setdefault(one.layer, [one.layer]).append(cell)
        return ["layer", *(f"{one} pixel{'s' if one > 1 else ''}" for one in far)], list(rows.values())

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


def _loaded(run: str | Path | Run, net: "nn.Module | None", device: str) -> "Predictor":
    from foveal.api.answering import load

    with extra("train"):
        import captum  # noqa: F401

        import foveal.explain  # noqa: F401
    return load(run, net=net, device=device)


def _samples(run: Run, progress: Progress | None) -> "tuple[Samples | None, str]":
    """Test images of the run; or none, and why: they may have gone since."""
    import torch

    from foveal.api.inside import Samples
    from foveal.api.looking import task_and_data
    from foveal.data.cache import pixels

    try:
        task, dataset = task_and_data(run, progress)
        array = pixels(dataset, task.reader, run.recipe.input, progress=progress)
    except FovealError as error:
        return None, f"Other images of the run cannot be shown beside this one: {error.message}"
    name = "test" if len(dataset.rows("test")) else "validation"
    most = min(SAMPLES, max(8, SAMPLE_PIXELS // (run.recipe.input.height * run.recipe.input.width)))
    rows = np.sort(np.random.default_rng(run.recipe.seed).permutation(dataset.rows(name))[:most])
    if not len(rows):
        return None, "The run has no test images to show beside this one."
    images = torch.from_numpy(np.ascontiguousarray(np.asarray(array[rows]).transpose(0, 3, 1, 2)))
    return Samples([dataset.files[row] for row in rows], images, f"{len(rows)} {name} images"), ""


def _folder(run: Run, out: str | Path | None) -> Path:
    """Where pages go, made if need be.

    Raises:
        RunError: there is a file in its place.
    """
    folder = run.path / "explained" if out is None else Path(out)
    if folder.exists() and not folder.is_dir():
        raise RunError(f"Expected a folder for the pages, found a file: {folder}.", remedy="Choose another name.")
    return folder


def _written(page: "ExplainedPage", folder: Path, stem: str) -> Path:
    """The page under a name that is free."""
    from foveal.report.explained import write_explained

    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{stem}.html" if number == 1 else f"{stem}-{number}.html" for number in count(1))
    path = next(folder / name for name in names if not (folder / name).exists())
    write_explained(page, path)
    return path


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
