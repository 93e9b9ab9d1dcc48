"""Which bundles a command means, and what they are called."""

import re
from collections.abc import Sequence
from pathlib import Path

from foveal.bundle import is_bundle
from foveal.errors import ServeError
from foveal.phrasing import command

__all__ = ["places_of"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def places_of(asked: Sequence[str]) -> dict[str, Path]:
    """Name to the folder of a bundle, of what stands on the command line: `PATH` or `NAME=PATH`, the path of a bundle
    or of a run that has one.

    Raises:
        ServeError: two have one name, or a name is none.
    """
    places: dict[str, Path] = {}
    for text in asked:
        name, equals, path = text.partition("=")
        if not equals or "/" in name:
            name, path = "", text
        place = Path(path)
        if not is_bundle(place) and is_bundle(place / "bundle"):
            place = place / "bundle"
        name = name or _name_of(place)
        if not NAME.fullmatch(name):
            raise ServeError(
                f"Expected a name of letters, digits, '.', '_' and '-' for {path}, found {name!r}.",
                remedy=f"Name it: {_proposed(name)}={command(path)}",
            )
        if name in places:
            raise ServeError(
                f"Two models are called {name}: {places[name]} and {place}.", remedy="Name them: NAME=PATH"
            )
        places[name] = place
    return places


def _name_of(place: Path) -> str:
    """A bundle's folder, or the run's where it lies in one and is called after its kind only."""
    full = place.absolute()
    return full.parent.name if re.fullmatch(r"bundle(-\w+)?", full.name) else full.name


def _proposed(name: str) -> str:
    """A name that will do, as near to another as can be."""
    near = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:64]
    return near if NAME.fullmatch(near) else "NAME"
