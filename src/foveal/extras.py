"""Which optional packages a verb needs, and the one message when they are not there."""

from collections.abc import Iterator
from contextlib import contextmanager

from foveal.errors import MissingExtra

__all__ = ["extra"]


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Imports inside this block belong to the extra `name`.

    Raises:
        MissingExtra: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "foveal":
            raise
        raise MissingExtra(
            f"This needs the Python package {error.name!r}, which is not installed.",
            remedy=f"Install it with: pip install 'foveal[{name}]'",
        ) from error
