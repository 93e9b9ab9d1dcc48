"""How numbers and lists stand in sentences for people: terminals, pages, messages. Programs get plain numbers."""

import math
import shlex
from collections.abc import Sequence

__all__ = ["amount", "command", "counted", "listed", "passes"]

DIGITS = 4  # of a number that is not whole


def counted(count: float, one: str, many: str = "") -> str:
    """A number with its noun: `1 image`, `1,234 images`, `1.6 epochs`, `0 entries`.

    Args:
        one: the noun of one of them.
        many: its plural, where that is more than an s.
    """
    return f"{amount(count)} {one if count == 1 else many or f'{one}s'}"


def amount(value: float) -> str:
    """A number with commas: a whole one as it is, others with four digits; `2.1e-07` and `3e+15` where it is very small
    or very large."""
    if not math.isfinite(value) or (value and not 1e-4 <= abs(value) < 1e15):
        return f"{value:.{DIGITS}g}"
    if value == int(value):
        return f"{int(value):,}"
    decimals = max(0, DIGITS - 1 - math.floor(math.log10(abs(value))))
    whole, dot, rest = f"{value:,.{decimals}f}".partition(".")
    return f"{whole}{dot}{rest}".rstrip("0").rstrip(".") if dot else whole


def passes(epochs: float) -> str:
    """A number of passes over the training images, some of them in part: `3`, `3.02`, `0.5`, `0.041`."""
    return amount(round(epochs, 2)) if epochs >= 1 else f"{epochs:.2g}"


def listed(names: Sequence[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def command(*words: object) -> str:
    """A line that a shell takes as it stands: names with spaces and other marks are quoted."""
    return shlex.join(map(str, words))
