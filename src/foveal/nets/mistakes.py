"""What to say about a network that cannot be built: the token, where it stands, why, and what was perhaps meant."""

import difflib
import re

from foveal.errors import NetError

__all__ = ["Misfit", "pointed", "unknown"]

SHOWN = 72

FORMS = {
    "c": "A convolution is written 32c3, 32c5s2, 32c3same, 32c3p1 or 64c(1x7).",
    "mp": "Max pooling is written mp2, mp3s2, mp2same or mp(2x1).",
    "ap": "Average pooling is written ap2, ap3s2, ap2same or ap(2x1).",
    "bp": "Max pooling with antialiasing is written bp2, bp3s2, bp2same or bp(2x1).",
    "gap": "Global average pooling is written gap.",
    "gmp": "Global max pooling is written gmp.",
    "w": "Whitening is written w2 or w3s2.",
    "bn": "Batch norm is written bn, with an activation bn:relu.",
    "do": "Dropout is written do0.5.",
    "flat": "Flattening is written flat.",
    "n": "A dense layer is written 128n.",
    "timm": "A backbone of timm is written timm/mobilenetv2_100.",
    "ssd": "The head of SSDLite is written ssd, at the end.",
    "r": "A residual block is written r(64c3same-64c3same).",
}
SAME_AS = {
    "conv": "c",
    "convolution": "c",
    "maxpool": "mp",
    "max": "mp",
    "pool": "mp",
    "avgpool": "ap",
    "average": "ap",
    "avg": "ap",
    "blurpool": "bp",
    "globalaveragepooling": "gap",
    "globalavgpool": "gap",
    "globalmaxpool": "gmp",
    "globalmaxpooling": "gmp",
    "white": "w",
    "whiten": "w",
    "whitening": "w",
    "batchnorm": "bn",
    "batchnormalization": "bn",
    "norm": "bn",
    "dropout": "do",
    "drop": "do",
    "flatten": "flat",
    "dense": "n",
    "fc": "n",
    "linear": "n",
    "backbone": "timm",
    "ssdlite": "ssd",
    "residual": "r",
    "res": "r",
}
ENDS = ("input", "output", "softmax")


class Misfit(NetError):
    """A layer with an impossible value, or one that does not fit what it gets.

    Args:
        subject: the layer, as it is called where it was made.
        problem: the rest of the sentence, without a full stop.
    """

    def __init__(self, subject: object, problem: str, *, remedy: str = "") -> None:
        super().__init__(f"{subject} {problem}.", remedy=remedy)
        self.problem = problem


def pointed(line: str, start: int, end: int, subject: str, problem: str, remedy: str = "") -> NetError:
    """An error that shows the line with carets under characters start to end."""
    left = max(0, min(start - SHOWN // 3, len(line) - SHOWN))
    right = min(len(line), left + SHOWN)
    before, after = ("…" if left else ""), ("…" if right < len(line) else "")
    carets = "^" * max(1, min(end, right) - start)
    shown = f"  {before}{line[left:right]}{after}\n  {' ' * (start - left + len(before))}{carets}"
    return NetError(f"{subject} {problem}.\n{shown}", remedy=remedy)


def unknown(token: str, activations: tuple[str, ...]) -> tuple[str, str]:
    """Problem and remedy for a token that is no layer."""
    words = re.findall("[a-z]+", token)
    word = words[0] if words else ""
    if token.isdecimal():
        return "is a number and no layer", f"Write {token}n for a dense layer, {token}c3 for a convolution."
    if word in activations:
        return "is an activation and no layer", f"Write it after a layer, with a colon: 32c3:{word}."
    if word in ENDS:
        return "is not written in the line", "Leave it out: the images and the task give the input and output layers."
    known = {form: form for form in FORMS} | SAME_AS
    # A single letter is close to too much.
    close = [word] if word in known else difflib.get_close_matches(word * (len(word) > 1), known, n=1, cutoff=0.5)
    if not close:
        return "is no layer", "The layers are w2 32c3 mp2 ap2 bp2 gap gmp bn do0.5 flat 128n r(…) and (…)x3."
    key = known[close[0]]
    guess = _written(key, re.findall(r"[0-9]+(?:\.[0-9]+)?", token))
    meant = f"Did you mean {guess}? " if guess and guess != token else ""
    return "is no layer", meant + FORMS[key]


def _written(key: str, numbers: list[str]) -> str:
    """The token with that key and those numbers, or nothing where they are too few."""
    if key in ("bn", "gap", "gmp", "flat", "ssd"):
        return key
    if not numbers or key in ("r", "timm"):
        return ""
    if key == "c":
        return f"{numbers[0]}c{numbers[1] if len(numbers) > 1 else 3}"
    return f"{numbers[0]}n" if key == "n" else f"{key}{numbers[0]}"
