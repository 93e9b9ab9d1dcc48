"""What a user says about how a source is to be read."""

import json

from foveal.data.machine import digest
from foveal.errors import SourceError
from foveal.types import Reading

__all__ = ["AS_FOUND", "refuse", "signed"]

AS_FOUND = Reading()
"""Nothing is said: all is found."""


def signed(signature: str, reading: Reading) -> str:
    """A source's signature with how it is read; unchanged where nothing is said."""
    told = reading.as_dict()
    return digest(signature, json.dumps(told, sort_keys=True)) if told else signature


def refuse(reading: Reading, spec: str, found: str, *, paths: bool = False) -> None:
    """
    Args:
        found: what is there, for which nothing can be said.
        paths: whether its paths can say what belongs together.

    Raises:
        SourceError: something is said all the same.
    """
    if told := reading.of_targets() if paths else reading.as_dict():
        words = ", ".join(
            f"{name} {' and '.join(value) if isinstance(value, list) else value}" for name, value in told.items()
        )
        raise SourceError(
            f"Expected a table with a column for what was said ({words}), found {found} in {spec}.",
            remedy="Leave it out, or give the table as the source.",
        )
