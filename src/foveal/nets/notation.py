"""The network in one line: text to layers. The grammar page is docs/reference/notation.md.

After the notation of Cireşan et al., "Multi-column Deep Neural Networks for Image Classification", CVPR 2012.
"""

import difflib
import re
from typing import Any, cast

from foveal.errors import NetError
from foveal.nets.backbone import PREFIX, Backbone
from foveal.nets.composed import Net, Repeat, Residual
from foveal.nets.mistakes import Misfit, pointed, unknown
from foveal.nets.specs import (
    ACTIVATIONS,
    Activation,
    AvgPool,
    BatchNorm,
    BlurPool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    Leaf,
    MaxPool,
    Ssd,
    Whiten,
)
from foveal.nets.windows import LARGEST, Size

__all__ = ["parse"]

DEEPEST = 20

SIZE = r"(?:[0-9]+|\([0-9]+x[0-9]+\))"
OPTIONS = rf"((?:same|s{SIZE}|p{SIZE})*)"
CONV = re.compile(rf"([0-9]+)c({SIZE}){OPTIONS}")
WHITEN = re.compile(r"w([0-9]+)(?:s([0-9]+))?")
POOL = re.compile(rf"(mp|ap|bp)({SIZE}){OPTIONS}")
OPTION = re.compile(rf"(same|s|p)({SIZE})?")
DROPOUT = re.compile(r"do([0-9]*\.?[0-9]+)")
DENSE = re.compile(r"([0-9]+)n")
TIMES = re.compile(r" *x *([0-9]+)")
RESIDUAL = re.compile(r"r *\(")
ACTIVATION = re.compile(r" *(:[a-z0-9]*)")
TOKEN = re.compile(r"[^-() ]+(?:\([^()]*\)[^-() ]*)*")

POOLS = {"mp": MaxPool, "ap": AvgPool, "bp": BlurPool}
PLAIN: dict[str, type[GlobalAvgPool | GlobalMaxPool | Flatten | Ssd]] = {
    "gap": GlobalAvgPool,
    "gmp": GlobalMaxPool,
    "flat": Flatten,
    "ssd": Ssd,
}
# Old papers write capitals; text copied from a page brings ×, dashes that are no hyphens, and other spaces.
READ_AS = {ord(capital): capital.lower() for capital in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"} | {
    ord(written): read for written, read in {"×": "x", "–": "-", "−": "-", "‐": "-", "‑": "-"}.items()
}


def parse(text: str) -> Net:
    """The network of one line.

    Raises:
        NetError: naming the token, its place in the line, why it cannot be, and what was perhaps meant.
    """
    line = re.sub(r"\s", " ", text)
    reading = _Reading(line)
    if not line.strip():
        remedy = "Write layers joined by -, such as 32c3-mp2-64c3-mp2-128c3-128n."
        raise NetError("The network line is empty.", remedy=remedy)
    return Net(reading.chain(opened=None, depth=0))


class _Reading:
    """A cursor in the line: descends into parentheses, counts the layers for messages."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.text = line.translate(READ_AS)
        self.at = 0
        self.number = 0

    def chain(self, opened: int | None, depth: int) -> tuple[Layer, ...]:
        """Items up to the closing parenthesis of the one opened, or to the end."""
        if depth > DEEPEST:
            raise self.wrong(self.at - 1, self.at, "Parentheses", f"are nested more than {DEEPEST} deep")
        layers = []
        while True:
            layers.append(self.item(depth))
            self.skip_spaces()
            if self.at == len(self.text):
                if opened is not None:
                    raise self.wrong(opened, opened + 1, "This parenthesis", "is never closed", "Add the missing ).")
                return tuple(layers)
            found, self.at = self.text[self.at], self.at + 1
            if found == ")" and opened is not None:
                return tuple(layers)
            if found == ")":
                raise self.wrong(self.at - 1, self.at, "This parenthesis", "closes nothing", "Leave it out.")
            if found != "-":
                start, remedy = self.at - 1, "Join layers with -."
                if found == "x":
                    remedy = "Only a group is repeated: write (r(…))x3, (32c3same)x3."
                raise self.wrong(start, self.at, repr(self.line[start]), "follows a layer", remedy)

    def item(self, depth: int) -> Layer:
        self.skip_spaces()
        start = self.at
        if self.text.startswith("(", start):
            self.at += 1
            return self.repetition(start, self.chain(start, depth + 1))
        if match := RESIDUAL.match(self.text, start):
            self.at = match.end()
            return self.residual(start, self.chain(match.end() - 1, depth + 1))
        return self.leaf(start)

    def repetition(self, start: int, body: tuple[Layer, ...]) -> Repeat:
        match = TIMES.match(self.text, self.at)
        if not match:
            remedy = "Write (…)x3 to have a group three times, r(…) for a residual block."
            raise self.wrong(start, self.at, "This group", "is not followed by how often it is repeated", remedy)
        self.at = match.end()
        try:
            return Repeat(body, _number(match[1]))
        except Misfit as error:
            raise self.wrong(match.start(), match.end(), "A repetition", error.problem, error.remedy) from None

    def residual(self, start: int, body: tuple[Layer, ...]) -> Residual:
        match = ACTIVATION.match(self.text, self.at)
        if not match:
            return Residual(body)
        self.at = match.end()
        try:
            return Residual(body, _activation(match[1][1:]))
        except Misfit as error:
            raise self.wrong(
                match.start(1), match.end(), "The activation of r(…)", error.problem, error.remedy
            ) from None

    def leaf(self, start: int) -> Leaf:
        self.number += 1
        match = TOKEN.match(self.text, start)
        if not match:
            found = f"before {self.text[start]!r}" if start < len(self.text) else "at the end of the line"
            raise self.wrong(
                start, start + 1, "A layer", f"is missing {found}", "Write one, or leave out the - or ( there."
            )
        self.at = match.end()
        try:
            layer = _leaf(match[0])
            problem, remedy = ("", "") if layer else unknown(match[0], ACTIVATIONS)
        except Misfit as error:
            layer, problem, remedy = None, error.problem, error.remedy
        if layer is None:
            written = self.line[start : self.at]
            raise self.wrong(start, self.at, f"{written} (token {self.number})", problem, remedy)
        return layer

    def skip_spaces(self) -> None:
        while self.text.startswith(" ", self.at):
            self.at += 1

    def wrong(self, start: int, end: int, subject: str, problem: str, remedy: str = "") -> NetError:
        return pointed(self.line, start, end, subject, problem, remedy)


def _leaf(token: str) -> Leaf | None:
    """The layer of a token; None where it is no layer.

    Raises:
        Misfit: a layer with an impossible value.
    """
    if token.startswith(PREFIX):
        return Backbone(token.removeprefix(PREFIX))
    word, colon, name = token.partition(":")
    activation: dict[str, Any] = {"activation": _activation(name)} if colon else {}
    if match := CONV.fullmatch(word):
        return Conv(_number(match[1]), _size(match[2]), **_options(match[3]), **activation)
    if match := WHITEN.fullmatch(word):
        return Whiten(_number(match[1]), _number(match[2] or "1"), **activation)
    if match := DENSE.fullmatch(word):
        return Dense(_number(match[1]), **activation)
    if word == "bn":
        return BatchNorm(**activation)
    layer = None
    if match := POOL.fullmatch(word):
        layer = POOLS[match[1]](_size(match[2]), **_options(match[3]))
    elif match := DROPOUT.fullmatch(word):
        layer = Dropout(float(match[1]))
    elif word in PLAIN:
        layer = PLAIN[word]()
    if layer and activation:
        raise Misfit(word, "takes no activation", remedy="One may follow a convolution, a dense layer, bn and r(…).")
    return layer


def _activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        found = f"found {name!r}" if name else "found nothing after the colon"
        close = difflib.get_close_matches(name, ACTIVATIONS, n=1)
        remedy = f"Did you mean {close[0]}?" if close else ""
        raise Misfit(name, f"needs one of the activations {', '.join(ACTIVATIONS)}, {found}", remedy=remedy)
    return cast(Activation, name)


def _options(text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for word, size in OPTION.findall(text):
        name = "stride" if word == "s" else "padding"
        if name in options:
            raise Misfit(text, f"says its {name} twice")
        options[name] = "same" if word == "same" else _size(size)
    return options


def _size(text: str) -> Size:
    if not text.startswith("("):
        return _number(text)
    height, _, width = text[1:-1].partition("x")
    return _number(height), _number(width)


def _number(digits: str) -> int:
    if len(digits.lstrip("0")) > len(str(LARGEST)):
        raise Misfit(digits, f"has a number above {LARGEST:,}")
    return int(digits)
