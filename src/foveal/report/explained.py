"""The page that looks inside a network: of one image, or of the network by itself. One file, without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foveal.files import write_atomic

__all__ = ["ExplainedLayer", "ExplainedMap", "ExplainedPage", "Patch", "Picture", "Sums", "write_explained"]

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Picture:
    """
    Args:
        uri: of a PNG.
        caption: what is to be seen, in a sentence or two.
    """

    uri: str
    caption: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of an image that excites a channel.

    Args:
        uri: of a picture.
        file: of the image.
        value: of the channel there.
    """

    uri: str
    file: str
    value: float


@dataclass(frozen=True, slots=True)
class Sums:
    """The arithmetic of one number.

    Args:
        title: of which.
        text: line by line.
        pictures: patch, kernel and products, where there are such.
    """

    title: str
    text: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class ExplainedLayer:
    """What a page says of a layer; what is empty is left out.

    Args:
        title: its token, or its name.
        words: what it does, with its sizes.
        shape: of what it gives.
        pictures: maps, filters, winners, receptive field.
        histogram: an `<svg>`, ours; and what it is of.
        notes: sentences on dead and saturated units.
        sums: arithmetic.
        liked: title to patches.
        made: pictures made to excite its channels.
        open: whether it is shown at once.
    """

    title: str
    words: str
    shape: str
    pictures: Sequence[Picture] = ()
    histogram: str = ""
    histogram_caption: str = ""
    notes: Sequence[str] = ()
    sums: Sequence[Sums] = ()
    liked: Mapping[str, Sequence[Patch]] = field(default_factory=dict)
    made: Picture | None = None


@dataclass(frozen=True, slots=True)
class ExplainedMap:
    """A map of what counted, with its tests.

    Args:
        how: the layer, the steps or the window.
        tests: name, what was measured, what it was held against, whether it passed, and the sentence.
    """

    method: str
    target: str
    uri: str
    how: str
    passed: bool
    badge: str
    sentence: str
    tests: Sequence[tuple[str, str, str, bool, str]]


@dataclass(frozen=True)
class ExplainedPage:
    """
    Args:
        title: the image's name, or the run's.
        soft: one line below it: of which run, when.
        answer: what the network says, in a sentence; of a page without an image what the page is about.
        about: what the maps explain, where that is not the answer.
        cautions: what a reader must know before.
        picture: the image; None where the page is about the network alone.
        maps: why this answer.
        asked: whether maps that failed are shown openly, as somebody asked for them.
        layers: in the order of their work.
        open_layers: whether the layers are shown at once; of a deep network they are folded.
        advantages: heads and rows of the table of what convolution buys; no rows: left out.
        moved: likewise, of what a shift of the image does.
        notes: sentences below the tables, by the table's name.
    """

    title: str
    soft: str
    answer: str
    about: str = ""
    cautions: Sequence[str] = ()
    picture: Picture | None = None
    maps: Sequence[ExplainedMap] = ()
    asked: bool = False
    layers: Sequence[ExplainedLayer] = ()
    open_layers: bool = True
    advantages: tuple[Sequence[str], Sequence[Sequence[str]]] = ((), ())
    moved: tuple[Sequence[str], Sequence[Sequence[str]]] = ((), ())
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def write_explained(page: ExplainedPage, path: Path) -> None:
    """Write the page as one HTML file that works from a disk; every name in it is treated as hostile."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = (HERE / "report.css").read_text() + (HERE / "explained.css").read_text()
    write_atomic(path, environment.get_template("explained.html").render(page=page, style=style))
