"""What a user wants of the answers: an operating point, silence where the network is not sure, or the least cost. The
numbers that it takes are chosen on the validation images; the test images say what became of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foveal.errors import RecipeError

__all__ = ["ABSTAIN", "COST_FORM", "FORM", "QUANTITIES", "Aim", "Cost", "Wish", "wish_of"]

QUANTITIES: dict[str, str] = {
    "sensitivity": "share of what is so that is said to be so (recall)",
    "specificity": "share of what is not so that is not said to be so",
    "precision": "share of what is said to be so that is so",
}
FORM = "sensitivity=0.95, or LABEL:sensitivity=0.95; likewise specificity and precision"
COST_FORM = "TRUE:ANSWER=10, LABEL:missed=10, LABEL:false=2 or abstain=0.3"
ABSTAIN = "abstain"
NONE = "none"


@dataclass(frozen=True, slots=True)
class Aim:
    """A quantity of one label that is to be so large, or larger.

    Args:
        label: None for the one that needs no name: the second of two.
        quantity: one of `QUANTITIES`.
        value: above 0 and below 1.
    """

    label: str | None
    quantity: str
    value: float

    @classmethod
    def of(cls, text: str) -> "Aim":
        """From `LABEL:sensitivity=0.95`. A label may have any character; the last `:` and `=` count.

        Raises:
            RecipeError: it is none.
        """
        name, _, number = text.rpartition("=")
        label, colon, quantity = name.rpartition(":")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if quantity.strip() not in QUANTITIES or not 0 < value < 1:
            raise RecipeError(
                f"Expected an operating point ({FORM}), found {text!r}.",
                remedy="The number is above 0 and below 1.",
            )
        return cls(label if colon else None, quantity.strip(), value)

    def __str__(self) -> str:
        return f"{self.label}:{self.quantity}={self.value:g}" if self.label else f"{self.quantity}={self.value:g}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a mistake, or no answer, costs, in a unit of the user's: a mistake that is not named costs 1.

    Args:
        of: `TRUE:ANSWER`, `LABEL:missed`, `LABEL:false`, or `abstain`; which labels it names is known with the labels.
        value: 0 or more; above 0 of `abstain`.
    """

    of: str
    value: float

    @classmethod
    def read(cls, text: str) -> "Cost":
        """From `TRUE:ANSWER=10`. A label may have any character; the last `=` counts.

        Raises:
            RecipeError: it is none.
        """
        of, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not (":" in of or of == ABSTAIN):
            raise RecipeError(f"Expected a cost ({COST_FORM}), found {text!r}.")
        if value < 0:
            raise RecipeError(f"Expected a cost of 0 or more, found {text!r}.")
        if of == ABSTAIN and not value:
            raise RecipeError(
                "If no answer costs nothing, there is never an answer: expected a cost above 0, found 'abstain=0'.",
                remedy="Any other mistake costs 1; no answer is mostly worth a part of that, such as abstain=0.3.",
            )
        return cls(of, value)

    def __str__(self) -> str:
        return f"{self.of}={self.value:g}"


@dataclass(frozen=True, slots=True)
class Wish:
    """
    Args:
        at: operating points.
        coverage: share of the images that are to be answered, the network's surest.
        risk: share of the answers that may be wrong; the others are not given.
        cost: of mistakes and of no answer; the answer is the one that is expected to cost least.
    """

    at: tuple[Aim, ...] = ()
    coverage: float | None = None
    risk: float | None = None
    cost: tuple[Cost, ...] = ()

    def __bool__(self) -> bool:
        return self != Wish()

    @property
    def abstains(self) -> bool:
        """Whether some images are to be left without an answer."""
        return self.coverage is not None or self.risk is not None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: what was said, nothing else."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Wish":
        """From what `as_dict` gave, or JSON made of it."""
        aims, costs = (told.get(name, ()) for name in ("at", "cost"))
        return cls(
            tuple(Aim(**aim) for aim in aims),
            told.get("coverage"),
            told.get("risk"),
            tuple(Cost(**one) for one in costs),
        )


def wish_of(
    at: str | Sequence[str] = (),
    coverage: float | str | None = None,
    risk: float | str | None = None,
    cost: str | Sequence[str] = (),
) -> Wish | None:
    """A wish as people write it. None where nothing was said; `none` for any of the four is the wish for nothing.

    Raises:
        RecipeError: a text is no operating point or no cost, a number is no share, or two of the four are asked for at
            once.
    """
    aims, costs = ([text] if isinstance(text, str) else list(text) for text in (at, cost))
    for name, share in (("coverage", coverage), ("risk", risk)):
        if isinstance(share, str) and share != NONE:
            raise RecipeError(f"Expected a {name} above 0 and below 1, or {NONE}, found {share!r}.")
        if isinstance(share, int | float) and not 0 < share < 1:
            raise RecipeError(f"Expected a {name} above 0 and below 1, found {share:g}.")
    if bool(aims) + (coverage is not None) + (risk is not None) + bool(costs) > 1:
        raise RecipeError(
            "An operating point, a coverage, a risk and costs each decide alone what the network answers.",
            remedy="Give one of --at, --coverage, --risk and --cost; silence by costs is --cost abstain=0.3.",
        )
    if [NONE] in (aims, costs) or NONE in (coverage, risk):
        return Wish()
    assert not isinstance(coverage, str)
    assert not isinstance(risk, str)
    wish = Wish(tuple(map(Aim.of, aims)), coverage, risk, tuple(map(Cost.read, costs)))
    return wish or None
