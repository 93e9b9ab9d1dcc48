"""A task is a record: reader × answer × head, and how it is measured. The contracts are the four protocols here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from foveal.chosen import Chosen
from foveal.examples import Examples, Rated
from foveal.measured import Measurement
from foveal.recipe import InputContract
from foveal.suspicion import Suspicion, Telling
from foveal.types import Facts, Geometry
from foveal.wishes import Wish

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Answer",
    "FileAnswer",
    "Head",
    "HeadFactory",
    "Link",
    "Measure",
    "Prediction",
    "Rate",
    "Reader",
    "Resize",
    "Task",
]


Link = Literal["softmax", "sigmoid", "none"]


class Resize(Protocol):
    """Antialiased resampling of uint8 H×W×C with C = 1 or 3; `interpolation` is `bilinear` or `bicubic`."""

    def __call__(self, array: np.ndarray, width: int, height: int, interpolation: str, /) -> np.ndarray: ...


class Prediction(Protocol):
    """What a net says of one input; one plain dataclass an answer."""

    @property
    def abstained(self) -> bool | None:
        """Whether this is no answer to rely on; None where nothing was settled that could tell."""
        ...

    @property
    def reason(self) -> str:
        """Why not; empty where it is one."""
        ...

    @property
    def said(self) -> tuple[str, ...]:
        """What is said, without its numbers: two answers that say the same differ in how sure they are, no more."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the file's name."""
        ...

    def rows(self) -> list[dict[str, str | float]]:
        """As rows of a table, the name of a column to its cell: one row, or one a box, `box` its number from 1."""
        ...

    def __str__(self) -> str:
        """For a line in a terminal."""
        ...


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """What the network says of one file, or why the file cannot be read: exactly one of the two."""

    file: str
    prediction: Prediction | None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"file": self.file, **(self.prediction.as_dict() if self.prediction else {"error": self.error})}


class Reader(Protocol):
    """Bytes to array, array to what the net takes. numpy and Pillow only: training and serving run this same code."""

    def read(self, source: "bytes | np.ndarray") -> np.ndarray:
        """Decode to uint8 or uint16, H×W×C with C = 1 or 3, upright.

        Raises:
            UnreadableImage: with the reason.
        """
        ...

    def inspect(self, source: "bytes | np.ndarray") -> tuple[np.ndarray, Facts]:
        """What `read` gives, and what decoding told beside it.

        Raises:
            UnreadableImage: with the reason; the part before its first `:` is the same for all files of that kind.
        """
        ...

    def prepare(self, array: np.ndarray, contract: InputContract) -> tuple[np.ndarray, Geometry]:
        """Fit an array to the contract: uint8, height × width × channels, and how it was mapped there."""
        ...

    def geometry(self, width: int, height: int, contract: InputContract) -> Geometry:
        """How `prepare` maps an image of that size."""
        ...

    def load(
        self, source: "bytes | np.ndarray", contract: InputContract, resize: Resize = ...
    ) -> tuple[np.ndarray, Geometry]:
        """`read` and `prepare` in one, which may decode at a smaller size; the geometry is in the file's pixels.

        Args:
            resize: another implementation of the resampling, equal to the default one to two levels.

        Raises:
            UnreadableImage: with the reason.
        """
        ...


class Answer(Protocol):
    """What comes out. numpy only."""

    larger_is_better: bool
    """Of the first of `score`."""

    placed: bool
    """Whether a target is rows that begin with x0 y0 x1 y1, in pixels: where in the image it is true. Such targets move
    with the image; rows of NaN fill up their column."""

    exclusive: bool
    """Whether a target is the number of one label, (N,) int64, and that label excludes the others."""

    every_step: bool
    """Whether `score` is quick enough to be told of every batch in training."""

    link: Link
    """What makes probabilities of raw outputs (N, K) over the temperature; where targets are placed, of the columns
    (N, A, 4:) after the box."""

    def suits(self, cells: Sequence[str], columns: Sequence[str]) -> bool:
        """Whether targets written so are this answer's, where nobody said which task it is.

        Args:
            columns: names of the source's targets; none where the cells are names of folders.
        """
        ...

    def labels(self, cells: Sequence[str], columns: Sequence[str] = ()) -> tuple[str, ...]:
        """The names of what the outputs say, in their order: the labels that the cells use, or the columns.

        Raises:
            ValueError: so many columns have no meaning here.
        """
        ...

    def outputs(self, labels: Sequence[str]) -> int:
        """How many numbers the head must produce."""
        ...

    def parse(self, cell: str, labels: Sequence[str]) -> Any:
        """One cell to one target.

        Raises:
            ValueError: it is none; the message says what was expected and found.
        """
        ...

    def stack(self, parsed: Sequence[Any]) -> np.ndarray:
        """Parsed targets as one column, (N, …)."""
        ...

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """(N,) int64: what a division should keep the shares of."""
        ...

    def within(self, targets: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
        """What a network that knows only the first so many labels can be asked: (N,) whether an image is about them,
        and the targets as they are then."""
        ...

    def summary(self, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
        """JSON-ready: `labels`, name to number of images (empty where the answer has none), and what else there is."""
        ...

    def told(self, target: Any, labels: Sequence[str]) -> str:
        """One parsed target in words, for a caption."""
        ...

    def check(self, wish: Wish, labels: Sequence[str]) -> None:
        """Before anything is trained or measured for it.

        Raises:
            ValueError: the wish has no meaning here; the message says why, or what was expected and found.
        """
        ...

    def settle(
        self, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str], wish: Wish = ...
    ) -> dict[str, Any]:
        """What is chosen on the validation images when training is over, JSON-ready: `decode` and the measure get it.
        Empty where there is nothing to choose, or no image.

        Args:
            wish: one that `check` allows.
        """
        ...

    def warp(self, target: Any, geometry: Geometry, height: int, width: int) -> Any:
        """The target as it stands in the prepared image, which is so high and wide."""
        ...

    def decode(
        self,
        outputs: np.ndarray,
        geometries: Sequence[Geometry | None],
        labels: Sequence[str],
        settled: Mapping[str, Any] = ...,
    ) -> Sequence[Prediction]:
        """The head's raw outputs (B, …) to as many answers, each in its original image's terms.

        Args:
            settled: what `settle` gave.
        """
        ...

    def columns(self, labels: Sequence[str], settled: Mapping[str, Any] = ...) -> tuple[str, ...]:
        """Of a table of answers: what `Prediction.rows` may name, in its order, whatever is on the images."""
        ...

    def choose(
        self,
        outputs: np.ndarray,
        geometry: Geometry | None,
        labels: Sequence[str],
        settled: Mapping[str, Any] = ...,
        target: str | None = None,
        box: int | None = None,
    ) -> Chosen:
        """What of the head's raw outputs for one image an explanation is asked for.

        Args:
            target: the name of a label or a value; None: what `decode` says, or says first.
            box: the number of one of the boxes that `decode` gives, from 1; where a target is named too, of those with
                that label.

        Raises:
            ValueError: there is none such; the message says what was expected and found.
        """
        ...

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Plain values for a progress bar, the one to select on first; no intervals."""
        ...


class Head(Protocol):
    """How an answer is learned: the output layer with its loss. A torch module."""

    def fit(self, targets: np.ndarray) -> None:
        """Take from the training targets, before the first step, what the head needs to know of them (the mean and
        spread of a value); kept with its weights."""
        ...

    def __call__(self, features: "Tensor") -> "Tensor":
        """(B, F) features, or the outputs themselves when built without an output layer, to raw outputs (B, K)."""
        ...

    def loss(self, outputs: "Tensor", targets: "Tensor") -> "dict[str, Tensor]":
        """Scalars by name; their sum is minimised. `targets` has length B."""
        ...

    def spotlight(self, outputs: "Tensor", chosen: Chosen | None = None) -> "Tensor":
        """(B,) the scalar of each image that an explanation explains: the logit of a label or of a box, a value in
        units of its spread.

        Args:
            chosen: the same for all images; None: of each image its `winner`.
        """
        ...

    def winner(self, outputs: "Tensor") -> Chosen:
        """What one image's raw outputs, (K,) or (A, 4 + K), say loudest: the likeliest label, the surest box; of values
        the first. A head knows no names, and nothing of an operating point: `Answer.choose` does."""
        ...


class HeadFactory(Protocol):
    """Builds a head: features per image (None: no output layer, the net's outputs are final; channels of each map,
    where the task's head takes maps), outputs, smoothing."""

    def __call__(
        self,
        in_features: "int | tuple[int, ...] | None",
        outputs: int,
        label_smoothing: float = 0.0,
        loss: str = "auto",
    ) -> Head: ...


class Measure(Protocol):
    """Raw outputs (N, …) on the test examples to scores; `train` feeds the baselines.

    Args:
        settled: what the answer's `settle` gave.
    """

    def __call__(
        self,
        outputs: np.ndarray,
        test: Examples,
        train: Examples,
        labels: Sequence[str],
        seed: int,
        settled: Mapping[str, Any] = ...,
    ) -> Measurement: ...


class Rate(Protocol):
    """Raw outputs (N, …) on the test examples, at least one, to what can be scored again."""

    def __call__(
        self, outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = ...
    ) -> Rated: ...


@dataclass(frozen=True, eq=False)
class Task:
    """One task: everything that differs from another task is a field here.

    Args:
        kept_together: what must not straddle a split, in words.
        recipe: the name of the recipe used when none is asked for.
        pretrained: the name of the recipe used instead where there are pretrained weights.
        headline: the scores a report shows first.
        strides: of the feature maps that the head takes, rising; empty: it takes features of the whole image.
        ready: raises MissingExtra where a package is not installed that measuring will need.
        ladder: whether minutes may choose the net: the ladder's nets end in features of the whole image.
        recall: the targets of other images (N, …), and how many labels there are, to raw outputs (N, …) that say just
            that; None where a target cannot be said of another image.
        pipeline: what the Hugging Face hub calls such a task; empty where it has no name for it.
        suspicion: finds targets that look wrong; None where that has no meaning yet.
        telling: finds what else gives a target away; None where the answer is not about the whole image.
    """

    name: str
    summary: str
    reader: Reader
    answer: Answer
    head: HeadFactory
    measure: Measure
    rate: Rate
    kept_together: str
    recipe: str
    headline: tuple[str, ...]
    pretrained: str = "pretrained"
    strides: tuple[int, ...] = ()
    ladder: bool = True
    ready: Callable[[], object] = tuple
    recall: Callable[[np.ndarray, int], np.ndarray] | None = None
    pipeline: str = ""
    suspicion: Suspicion | None = None
    telling: Callable[[], Telling] | None = None

    def targets(self, cells: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Parse a whole column.

        Raises:
            ValueError: a cell is no target.
        """
        parsed: Mapping[str, Any] = {cell: self.answer.parse(cell, labels) for cell in set(cells)}
        return self.answer.stack([parsed[cell] for cell in cells])
