"""Three ways to say where in an image an answer comes from. Shapes: B images, C channels, H height, W width.

What they have in common: one scalar of the outputs is explained, that of the pass without the mirror image, and
whatever is taken away is replaced by the image's own mean colour.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from foveal.chosen import Chosen
from foveal.errors import NetError
from foveal.explain.passes import at_once, outputs_of, scalar_of, without_details
from foveal.explain.places import short
from foveal.nets.layers import Network

__all__ = ["METHODS", "Method", "grad_cam", "integrated_gradients", "occlusion", "spatial_layers"]

STEPS = 12  # of the integral: with Gauss and Legendre's points a net of ReLUs is within some percent
WINDOWS = 5  # along a side, without overlap


@dataclass(frozen=True, eq=False)
class Method:
    """A way to make maps, ready for a network and a size of image.

    Args:
        name: as `Attribution.method`.
        signed: whether maps have negative numbers.
        maps: network, normalised images (B, C, H, W), what is chosen and the direction to (B, H, W). Called with other
            weights of the same network too.
        layer, how: as of `Attribution`.
        odd: whether the negative of the scalar gives the negative of the map: over output weights of either sign the
            mean of such maps is none.
        missing: why this network has no such map; empty where it has.
    """

    name: str
    signed: bool
    maps: Callable[[Network, Tensor, Chosen, int], Tensor]
    layer: str = ""
    how: str = ""
    odd: bool = False
    missing: str = ""


@torch.no_grad()
def spatial_layers(network: Network, images: Tensor) -> dict[str, tuple[int, int]]:
    """The modules of the body that give a map with more than one place, in the order of their work: by name within the
    network (`body.3`), height and width."""
    found: dict[str, tuple[int, int]] = {}

    def remember(name: str) -> Callable[..., None]:
        def hook(_module: object, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
                found.pop(name, None)
                found[name] = (output.shape[2], output.shape[3])

        return hook

    named = [(name, module) for name, module in network.named_modules() if name.split(".")[0] == "body"]
    hooks = [module.register_forward_hook(remember(name)) for name, module in named]
    try:
        outputs_of(network, images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def grad_cam(network: Network, images: Tensor, layer: str | None = None) -> Method:
    """Grad-CAM: the maps of a layer, each weighted with the mean of its gradient, summed, what is below zero cut off.
    Selvaraju et al., ICCV 2017, equations 1 and 2.

    Where the body gives maps at several strides, the score of a box depends on one place of them, and the mean of the
    gradient would spread that over all things of its kind: there each number is weighted with its own gradient
    (HiResCAM, Draelos and Carin, arXiv 2011.08891), and the strides are added up.

    Args:
        layer: by its name in the network, as `spatial_layers` lists them; None: the last one, or the maps.

    Raises:
        NetError: there is no such layer, or it has no map.
    """
    layers = spatial_layers(network, images)
    if layer is not None and layer not in layers:
        raise NetError(
            f"Expected a layer with a map of at least two places, found {layer!r}.",
            remedy=f"Layers with a map: {', '.join(layers) or 'none'}.",
        )
    with torch.no_grad():
        maps = network.body(images)
    if layer is None and not isinstance(maps, Tensor):
        sizes = ", ".join(f"{x.shape[2]}×{x.shape[3]}" for x in maps)
        return Method("grad-cam", False, _maps_times_gradient, how=f"each place weighted by its own gradient; {sizes}")
    if not layers:
        return Method("grad-cam", False, _nothing, missing="No layer of this network has a map: there is no Grad-CAM.")
    name = layer or list(layers)[-1]
    height, width = layers[name]

    def at_layer(network: Network, images: Tensor, chosen: Chosen, direction: int) -> Tensor:
        from captum.attr import LayerGradCam

        cam = LayerGradCam(scalar_of(network, chosen, direction), network.get_submodule(name))
        found = cam.attribute(images.detach().requires_grad_(), relu_attributions=True)
        assert isinstance(found, Tensor)
        return F.interpolate(found.detach(), images.shape[2:], mode="bilinear")[:, 0]

    return Method(
        "grad-cam", False, at_layer, layer=name, how=f"the {height}×{width} map of {short(name)}, interpolated"
    )


def _maps_times_gradient(network: Network, images: Tensor, chosen: Chosen, direction: int) -> Tensor:
    from captum.attr import InputXGradient

    def score(*maps: Tensor) -> Tensor:
        return direction * network.head.spotlight(network.head(maps), chosen).float()  # pyright: ignore[reportArgumentType]

    with torch.no_grad():
        maps = network.body(images)
    products = InputXGradient(score).attribute(tuple(x.detach().requires_grad_() for x in maps))
    whole = torch.zeros(len(images), 1, *images.shape[2:], device=images.device)
    for product in products:
        place = product.detach().float().sum(dim=1, keepdim=True)
        # A place of a coarse map is spread over more pixels: the sum over the image stays what it was.
        share = place.shape[2] * place.shape[3] / (images.shape[2] * images.shape[3])
        whole += share * F.interpolate(place, images.shape[2:], mode="bilinear")
    return whole[:, 0].clamp(min=0)


def _nothing(_network: Network, images: Tensor, _chosen: Chosen, _direction: int) -> Tensor:
    return torch.zeros(len(images), *images.shape[2:])


def integrated_gradients(network: Network, images: Tensor, steps: int = STEPS) -> Method:
    """Integrated gradients: the gradient along the straight way from the baseline, the image's mean colour, times the
    way; the sum over channels. Sundararajan, Taly and Yan, ICML 2017, equation 1. The sum of the map is the difference
    that the image makes, up to the error that `Attribution.completeness` tells.

    Args:
        steps: Gauss and Legendre's points.
    """

    def integral(network: Network, images: Tensor, chosen: Chosen, direction: int) -> Tensor:
        from captum.attr import IntegratedGradients

        found = IntegratedGradients(scalar_of(network, chosen, direction)).attribute(
            images.detach(),
            without_details(images),
            n_steps=steps,
            internal_batch_size=max(at_once(images), len(images)),
        )
        return found.detach().sum(dim=1)

    return Method("integrated-gradients", True, integral, how=f"{steps} steps from the image's mean colour", odd=True)


def occlusion(network: Network, images: Tensor) -> Method:
    """Occlusion: by how much the scalar falls where a window is covered with the image's mean colour; a pixel gets the
    mean over the windows that cover it. Zeiler and Fergus, ECCV 2014, section 4.2. Windows are a fifth of a side and
    move by half of themselves: at most 100 passes, whatever the size."""
    window = tuple(math.ceil(side / WINDOWS) for side in images.shape[2:])
    stride = tuple(math.ceil(side / 2) for side in window)

    def covered(network: Network, images: Tensor, chosen: Chosen, direction: int) -> Tensor:
        from captum.attr import Occlusion

        with torch.no_grad():
            found = Occlusion(scalar_of(network, chosen, direction)).attribute(
                images,
                sliding_window_shapes=(images.shape[1], *window),
                strides=(images.shape[1], *stride),
                baselines=without_details(images),
                perturbations_per_eval=max(1, at_once(images) // len(images)),
            )
        return found[:, 0]

    size, step = (f"{rows}×{columns}" for rows, columns in (window, stride))
    return Method(
        "occlusion", True, covered, how=f"a window of {size} every {step} pixels, in the image's mean colour", odd=True
    )


METHODS: dict[str, Callable[[Network, Tensor], Method]] = {
    "grad-cam": grad_cam,
    "integrated-gradients": integrated_gradients,
    "occlusion": occlusion,
}
