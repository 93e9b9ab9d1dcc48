"""The layers of a network that can be looked at, by name, and how to run it up to one of them."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from torch import Tensor, nn

from foveal.errors import NetError
from foveal.nets.composed import Residual
from foveal.nets.layers import Network
from foveal.nets.parts import Whitening
from foveal.nets.walk import Step

__all__ = ["Linear", "Place", "find", "linear_of", "part_of", "places", "reach", "reach_all"]

Linear = nn.Conv2d | nn.Linear | Whitening
CLOSE = 4  # names suggested


@dataclass(frozen=True, eq=False)
class Place:
    """A layer.

    Args:
        name: its token in the line, `64c3`; `mp2#2` for the second of that token, and `flat` for a flattening that is
            implied. Inside a backbone or a module of one's own: the name that torch gives it, `net.layer1.0.conv1`.
        path: of its module inside the network's body, as torch writes it.
        module: it takes a part in the network's work whenever the network is called.
        step: of the notation; None inside a backbone or a module of one's own.
    """

    name: str
    path: str
    module: nn.Module
    step: Step | None


def places(network: Network) -> tuple[Place, ...]:
    """The layers in the order of their work; modules inside a backbone, or inside a body of one's own, in the order in
    which torch lists them."""
    paths = {module: path for path, module in network.body.named_modules()}
    found: list[Place] = []
    seen: Counter[str] = Counter()
    for built in network.steps:
        token = built.step.token or "flat"
        seen[token] += 1
        name = token if seen[token] == 1 else f"{token}#{seen[token]}"
        found.append(Place(name, paths[built.module], built.module, built.step))
    inside = network.backbone if network.steps else network.body
    start = len(paths[inside]) + 1 if inside is not None and paths[inside] else 0
    for module in inside.modules() if inside is not None else ():
        if module is not inside:
            found.append(Place(paths[module][start:], paths[module], module, None))
    return tuple(found)


def find(network: Network, layer: str | Place) -> Place:
    """The layer of that name.

    Raises:
        NetError: there is none.
    """
    if isinstance(layer, Place):
        return layer
    known = {place.name: place for place in places(network)}
    if layer in known:
        return known[layer]
    close = difflib.get_close_matches(layer, known, n=CLOSE, cutoff=0.4) or list(known)[:CLOSE]
    raise NetError(f"The network has no layer {layer!r}.", remedy=f"Its layers are named as {', '.join(close)}.")


def part_of(network: Network, path: str) -> Place:
    """The innermost layer around the module of that path, `body.0.conv`.

    Raises:
        NetError: it is in none of the body's.
    """
    around = [place for place in places(network) if f"{path}.".startswith(f"body.{place.path}.")]
    if not around:
        raise NetError(f"{path} is in no layer of the network's body.")
    return max(around, key=lambda place: len(place.path))


def linear_of(place: Place) -> Linear:
    """The convolution or dense layer of a place, without its activation.

    Raises:
        NetError: it is neither.
    """
    if place.step is None or not isinstance(place.step.layer, Residual):
        parts = [place.module, *place.module.children()]
        for part in parts:
            if isinstance(part, Linear):
                return part
    raise NetError(
        f"{place.name} is no convolution and no dense layer, so it has no filters.",
        remedy="Name a layer with weights, such as 32c3 or 128n.",
    )


class _Reached(BaseException):
    """Nothing after this layer needs to run. Not an Exception, so that no module takes it for its own."""


def reach(body: nn.Module, module: nn.Module, images: Tensor) -> Tensor:
    """What the module, a part of the body, gives the first time it is called, channels second; nothing after it runs.

    Args:
        images: normalised, (B, C, H, W).

    Raises:
        NetError: the body does not call it, or it gives no tensor.
    """
    found: list[Tensor] = []

    def stop(_module: nn.Module, _inputs: object, output: object) -> NoReturn:
        found.append(_tensor(module, output))
        raise _Reached

    hook = module.register_forward_hook(stop)
    try:
        body(images)
    except _Reached:
        return found[0]
    finally:
        hook.remove()
    raise NetError(f"The network does not call its part {type(module).__name__}.")


def reach_all(body: nn.Module, modules: Sequence[nn.Module], images: Tensor) -> list[Tensor | None]:
    """What each of the modules gives the first time it is called; None for one that is not called."""
    found: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        if module not in found and isinstance(output, Tensor):
            found[module] = _tensor(module, output).clone()  # what comes next may change it in place

    hooks = [module.register_forward_hook(note) for module in modules]
    try:
        body(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [found.get(module) for module in modules]


def _tensor(module: nn.Module, output: object) -> Tensor:
    """With its channels second: dense layers on maps, and whatever works on tokens (B, N, F), have them last."""
    if isinstance(output, Tensor):
        last = output.ndim == 3 or (output.ndim == 4 and isinstance(module, nn.Linear))
        return output.movedim(-1, 1) if last else output
    raise NetError(
        f"{type(module).__name__} gives a {type(output).__name__}, expected one tensor.",
        remedy="Name a layer inside it.",
    )
