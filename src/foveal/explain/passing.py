"""One pass of a network in evaluation, seen layer by layer. Shapes: B images, C, H, W.

A network that answers with the mean over an image and its mirror image (`Network.mirror`) is seen with the image as it
is: that is the pass whose maps lie over the image.
"""

import copy
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from foveal.errors import FovealError, NetError
from foveal.explain.places import NORMS, Place, Tokens, kind_of, words_of
from foveal.nets.layers import Network
from foveal.nets.parts import PixelMean

__all__ = ["evaluated", "observe", "on_cpu", "plain", "single"]

See = Callable[[Place, nn.Module, Tensor, Tensor], None]
"""What is called after each layer: its place, the module, what it got and what it gave, both (B, …). They are live: who
keeps one copies it, since the next layer may write into it."""


def single(pixels: Tensor) -> Tensor:
    """(1, C, H, W) of one image as the network takes it, 0 to 255.

    Raises:
        NetError: not one image of that shape.
    """
    if pixels.ndim != 4 or len(pixels) != 1:
        raise NetError(
            f"Expected one image of shape (1, channels, height, width), found {tuple(pixels.shape)}.",
            remedy="Take one image at a time: pixels[:1] of a batch, pixels[None] of an image without one.",
        )
    return pixels


def plain(network: Network, pixels: Tensor) -> Tensor:
    """Raw outputs (B, …) of images (B, C, H, W), 0 to 255, without their mirror images.

    Raises:
        NetError: the network cannot take them.
    """
    try:
        return network.head(network.body(network.normalize(pixels.to(network.normalize.mean.device))))
    except FovealError:
        raise
    except Exception as error:  # whatever the layers raise
        shape = "×".join(str(size) for size in pixels.shape)
        raise NetError(
            f"The network cannot take a batch of {shape} (images × channels × height × width): {error}",
            remedy="Give it images of the size that it was built for.",
        ) from error


def on_cpu(network: Network) -> Network:
    """The network, or a copy of it, on the CPU in single precision."""
    weights = [network.normalize.mean, *network.parameters()]
    if all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in weights):
        return network
    return copy.deepcopy(network).cpu().float()


@contextmanager
def evaluated(network: nn.Module, *, dropout: bool = False) -> Iterator[None]:
    """Evaluation without gradients, and the modes as they were after it.

    Args:
        dropout: whether dropout works as in training; all else is in evaluation.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    if dropout:
        for module in network.modules():
            if isinstance(module, _DropoutNd):
                module.train()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def observe(
    network: Network, pixels: Tensor, see: See, *, copied: Callable[[str], bool] = lambda path: False
) -> Tensor:
    """Pass images (B, C, H, W), 0 to 255, through a network in evaluation; `see` is called after every layer, in the
    order of their work.

    Layers are modules without others inside (and PixelMean, and batch norms that hold their activation). A module with
    others inside is one where it gives something that none of them gave, as a residual sum. Operations that no module
    holds, such as a function in somebody's own `forward`, are not seen. Identities are left out.

    Args:
        copied: of which paths the input is copied before the module works. Others that work in place, as our ReLU does,
            have overwritten it when `see` is called.

    Returns:
        Raw outputs (B, …).

    Raises:
        NetError: the network cannot take the images.
    """
    watch = _Watch(network, see, copied)
    handles = []
    try:
        for path, module in network.named_modules():
            if path and not watch.inside(path):
                handles += watch.hooks(path, module)
        with evaluated(network):
            return plain(network, pixels)
    finally:
        for handle in handles:
            handle.remove()


class _Watch:
    """What the hooks of one pass share."""

    def __init__(self, network: Network, see: See, copied: Callable[[str], bool]) -> None:
        self.see, self.copied = see, copied
        self.tokens = Tokens(network)
        self.calls: Counter[str] = Counter()
        self.given: dict[int, weakref.ref[Tensor]] = {}
        self.whole = [f"{path}." for path, module in network.named_modules() if isinstance(module, (PixelMean, *NORMS))]

    def inside(self, path: str) -> bool:
        """Whether it is part of a module that is seen as a whole."""
        return any(path.startswith(whole) for whole in self.whole)

    def hooks(self, path: str, module: nn.Module) -> list[Any]:
        leaf = not any(module.children()) or isinstance(module, (PixelMean, *NORMS))
        inputs: list[Tensor] = []
        handles = []
        if self.copied(path):
            handles.append(module.register_forward_pre_hook(lambda _, args: _keep(inputs, _first(args))))

        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            x = inputs.pop() if inputs else _first(args)
            if isinstance(output, Tensor) and isinstance(x, Tensor | type(None)):
                self.note(path, module, leaf, x, output)

        return [*handles, module.register_forward_hook(after)]

    def note(self, path: str, module: nn.Module, leaf: bool, x: Tensor | None, output: Tensor) -> None:
        known = self.given.get(id(output))
        if isinstance(module, nn.Identity) or (not leaf and known is not None and known() is output):
            return
        self.given[id(output)] = weakref.ref(output)
        self.calls[path] += 1
        token, number = self.tokens.of(path)
        got = output if x is None else x
        shapes = tuple(got.shape[1:]), tuple(output.shape[1:])
        words = words_of(module, leaf)
        self.see(
            Place(path, self.calls[path], kind_of(module, leaf), words, token, number, *shapes), module, got, output
        )


def _keep(inputs: list[Tensor], x: Any) -> None:
    if isinstance(x, Tensor):
        inputs.append(x.clone())


def _first(args: tuple[Any, ...]) -> Any:
    first = args[0] if args else None
    return first[0] if isinstance(first, tuple | list) and first else first
