"""What a user wants of the answers: an operating point, or silence where the network is not sure. The numbers that it
takes are chosen on the validation images; the test images say what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foveal.errors import RecipeError

__all__ = ["FORM", "QUANTITIES", "Aim", "Wish", "wish_of"]

QUANTITIES: dict[str, str] = {
    "sensitivity": "share of what is so that is said to be so (recall)",
    "specificity": "share of what is not so that is not said to be so",
    "precision": "share of what is said to be so that is so",
}
FORM = "sensitivity=0.95, or LABEL:sensitivity=0.95; likewise specificity and precision"
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
class Wish:
    """
    Args:
        at: operating points.
        coverage: share of the images that are to be answered, the network's surest.
        risk: share of the answers that may be wrong; the others are not given.
    """

    at: tuple[Aim, ...] = ()
    coverage: float | None = None
    risk: float | None = None

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
        return cls(tuple(Aim(**aim) for aim in told.get("at", ())), told.get("coverage"), told.get("risk"))


def wish_of(at: str | Sequence[str] = (), coverage: float | None = None, risk: float | None = None) -> Wish | None:
    """A wish as people write it. None where nothing was said; `at="none"` is the wish for no operating point.

    Raises:
        RecipeError: a text is no operating point, a number is no share, or two of the three are asked for at once.
    """
    texts = [at] if isinstance(at, str) else list(at)
    for name, share in (("coverage", coverage), ("risk", risk)):
        if share is not None and not 0 < share < 1:
            raise RecipeError(f"Expected a {name} above 0 and below 1, found {share:g}.")
    if bool(texts) + (coverage is not None) + (risk is not None) > 1:
        raise RecipeError(
            "An operating point, a coverage and a risk each decide alone when the network answers.",
            remedy="Give one of --at, --coverage and --risk.",
        )
    if texts == [NONE]:
        return Wish()
    wish = Wish(tuple(map(Aim.of, texts)), coverage, risk)
    return wish or None
