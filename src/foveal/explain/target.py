"""The layers of a network that can be looked at, by name, and how to run it up to one of them."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn

from foveal.errors import NetError
from foveal.nets.composed import Residual
from foveal.nets.layers import Network
from foveal.nets.parts import Whitening
from foveal.nets.walk import Step

__all__ = [
    "BODY",
    "Linear",
    "Target",
    "channels_second",
    "device_of",
    "find_target",
    "linear_of",
    "reach",
    "reach_all",
    "targets",
]

Linear = nn.Conv2d | nn.Linear | Whitening
CLOSE = 4  # names suggested
BODY = "body."  # begins the paths of its modules in the network


@dataclass(frozen=True, eq=False)
class Target:
    """A layer that is looked at.

    Args:
        name: its token in the line, `64c3`; `mp2#2` for the second of that token, and `flat` for a flattening that is
            implied. Inside a backbone or a module of one's own: its path.
        path: of its module in the network, as `named_modules` spells it: `body.0.conv`.
        step: of the notation; None for a single module.
    """

    name: str
    path: str
    module: nn.Module
    step: Step | None

    def within(self, body: nn.Module) -> nn.Module:
        """The same module in a copy of the network's body."""
        return body.get_submodule(self.path.removeprefix(BODY))


def targets(network: Network) -> tuple[Target, ...]:
    """The layers of the notation in the order of their work, then the modules inside a backbone, or inside a body of
    one's own, in the order in which torch lists them."""
    paths = {module: BODY + path for path, module in network.body.named_modules()}
    found: list[Target] = []
    seen: Counter[str] = Counter()
    for built in network.steps:
        token = built.step.token or "flat"
        seen[token] += 1
        name = token if seen[token] == 1 else f"{token}#{seen[token]}"
        found.append(Target(name, paths[built.module], built.module, built.step))
    inside = network.backbone if network.steps else network.body
    for module in inside.modules() if inside is not None else ():
        if module is not inside:
            found.append(Target(paths[module], paths[module], module, None))
    return tuple(found)


def find_target(network: Network, layer: str | Target) -> Target:
    """The layer of that name, or the module of the body that has that path.

    Raises:
        NetError: there is none.
    """
    if isinstance(layer, Target):
        return layer
    known = {target.name: target for target in targets(network)}
    if layer in known:
        return known[layer]
    for path, module in network.body.named_modules():
        if path and BODY + path == layer:
            return Target(layer, layer, module, None)
    close = difflib.get_close_matches(layer, known, n=CLOSE, cutoff=0.4) or list(known)[:CLOSE]
    raise NetError(f"The network has no layer {layer!r}.", remedy=f"Its layers are named as {', '.join(close)}.")


def device_of(network: Network) -> torch.device:
    """Where its weights are."""
    return next((weight.device for weight in network.parameters()), torch.device("cpu"))


def linear_of(target: Target) -> Linear:
    """The convolution or dense layer that a target is, without its activation.

    Raises:
        NetError: it is neither.
    """
    parts = [target.module]
    if target.step is not None and not isinstance(target.step.layer, Residual):
        parts += target.module.children()
    for part in parts:
        if isinstance(part, Linear):
            return part
    raise NetError(
        f"{target.name} is no convolution and no dense layer, so it has no filters.",
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
        found.append(channels_second(module, output))
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
            found[module] = channels_second(module, output).clone()  # what comes next may change it in place

    hooks = [module.register_forward_hook(note) for module in modules]
    try:
        body(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [found.get(module) for module in modules]


def channels_second(module: nn.Module, output: object) -> Tensor:
    """Its output with channels second: dense layers on maps, and whatever works on tokens (B, N, F), have them last."""
    if isinstance(output, Tensor):
        last = output.ndim == 3 or (output.ndim == 4 and isinstance(module, nn.Linear))
        return output.movedim(-1, 1) if last else output
    raise NetError(
        f"{type(module).__name__} gives a {type(output).__name__}, expected one tensor.",
        remedy="Name a layer inside it.",
    )
