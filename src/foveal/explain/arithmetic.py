"""Any number of any layer, as the arithmetic that makes it: patch, kernel, products, bias, sum."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from foveal.errors import NetError
from foveal.explain.operations import Caught, work_out
from foveal.explain.passing import observe, on_cpu, single
from foveal.explain.places import Place, Tokens, find
from foveal.explain.terms import Arithmetic
from foveal.nets.layers import Network

__all__ = ["arithmetic", "arithmetics"]


def arithmetic(network: Network, pixels: Tensor, layer: str, position: Sequence[int]) -> Arithmetic:
    """How the number at a position of a layer comes about, for one image without its mirror image.

    It is worked out in double precision from what the layer got and its weights, and compared with what the network
    computed in single precision: |result − value| is at most 1e-5 of the sum of the sizes of what was added,
    Σ |patch · kernel| + |bias|. A network in another precision or on another device is copied to the CPU in single
    precision for it.

    Known are the layers of the notation, torch's two-dimensional convolutions and poolings, dense layers, batch norms
    with running statistics, the common activations, and blocks that add or multiply what they get and what their last
    module gives.

    Args:
        pixels: (1, C, H, W), uint8 or float, 0 to 255.
        layer: the key of a place (`body.0.conv`), or a token (`32c3`): the first layer that belongs to it.
        position: (channel, row, column) of maps, (unit,) of numbers in a row, from 0, in what the layer gives.

    Raises:
        NetError: no such layer or position, not one image, a layer whose arithmetic is not known, or one that
            computes something else than its class does.
    """
    return arithmetics(network, pixels, layer, [position])[0]


def arithmetics(network: Network, pixels: Tensor, layer: str, positions: Sequence[Sequence[int]]) -> list[Arithmetic]:
    """As `arithmetic`, for several positions of one layer, in one pass.

    Raises:
        NetError: as `arithmetic`.
    """
    caught = _catch(on_cpu(network), single(pixels).cpu(), layer)
    return [_worked_out(caught, _checked(caught, position)) for position in positions]


def _worked_out(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    found = work_out(caught, position)
    name = type(caught.module).__name__
    if found is None:
        raise NetError(
            f"The arithmetic of {name} ({caught.place.key}) is not known.",
            remedy="Take one of the layers inside or before it: places(network, pixels) lists them.",
        )
    if not found.agrees:
        raise NetError(
            f"{caught.place.key} is {name}, and computes {found.value:g} where the arithmetic of its kind "
            f"({caught.place.kind}) gives {found.result:g}.",
            remedy="It does something of its own in forward; take another layer.",
        )
    return found


def _checked(caught: Caught, position: Sequence[int]) -> tuple[int, ...]:
    shape, at = caught.output.shape, tuple(int(index) for index in position)
    if len(at) != len(shape) or not all(0 <= index < size for index, size in zip(at, shape)):
        raise NetError(
            f"{caught.place.key} gives {'×'.join(map(str, shape))} numbers, and {at} is no position among them.",
            remedy=f"Give {len(shape)} whole {'numbers' if len(shape) > 1 else 'number'}, from 0.",
        )
    return at


def _catch(network: Network, pixels: Tensor, layer: str) -> Caught:
    tokens, path = Tokens(network), layer.partition("#")[0]
    seen: list[Place] = []
    caught: list[Caught] = []
    inner: dict[str, dict[str, np.ndarray]] = {}

    def wanted(candidate: str) -> bool:
        return candidate == path or tokens.of(candidate)[0] == layer

    def see(place: Place, module: nn.Module, x: Tensor, output: Tensor) -> None:
        seen.append(place)
        if layer and not caught and layer in (place.key, place.token):
            caught.append(Caught(place, module, _array(x), _array(output), dict(inner.get(place.path, {}))))

    handles = []
    try:
        for whole, module in network.named_modules():
            if wanted(whole):
                handles += [_keep(child, name, inner.setdefault(whole, {})) for name, child in module.named_children()]
        observe(network, pixels, see, copied=wanted)
    finally:
        for handle in handles:
            handle.remove()
    find(seen, layer)
    return caught[0]


def _keep(module: nn.Module, name: str, kept: dict[str, np.ndarray]) -> torch.utils.hooks.RemovableHandle:
    def keep(_: nn.Module, args: object, output: object) -> None:
        if isinstance(output, Tensor):
            kept.pop(name, None)  # so that the last to work is the last
            kept[name] = _array(output)

    return module.register_forward_hook(keep)


def _array(values: Tensor) -> np.ndarray:
    """A copy without the batch."""
    return (values[0] if len(values) == 1 else values).detach().to(torch.float64, copy=True).numpy()
