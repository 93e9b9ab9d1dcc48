"""Networks by name. A name stands wherever a line may stand."""

import difflib
import re
from collections.abc import Sequence

from foveal.errors import NetError
from foveal.nets.composed import Net
from foveal.nets.notation import parse
from foveal.nets.specs import Layer, Ssd

__all__ = ["ZOO", "expand", "is_for_boxes", "net_of"]

_RESNET9_BLOCK = "r(({0}c3same:none-bn:relu)x2)"
_RESIDUAL = "r({0}c3same:none-bn:relu-{0}c3same:none-bn):relu"

ZOO: dict[str, str] = {
    # The worked example: three convolutions, two max pools, a dense layer.
    "cookbook": "32c3-mp2-64c3-mp2-128c3-128n",
    # LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, for 32×32 gray images. There pools
    # have weights, tanh is scaled, a table says which maps each filter of the second convolution sees (here all six),
    # and the output is a distance to drawn digits (here dense). Its C5 is the 120n, which is the same at 32×32.
    "lenet5": "6c5:tanh-ap2-16c5:tanh-ap2-120n:tanh-84n:tanh",
    # The pattern of Simonyan and Zisserman, "Very Deep Convolutional Networks", 2015, three stages for small images.
    "vgg-small": "(32c3same)x2-mp2-(64c3same)x2-mp2-(128c3same)x2-mp2-256n-do0.5",
    # Page, "How to Train Your ResNet", 2018 (the DAWNBench entry for CIFAR-10), for 32×32. There the output layer has
    # no bias and its result is multiplied by 0.125.
    "resnet9": "64c3same:none-bn:relu-128c3same:none-bn:relu-mp2-"
    + _RESNET9_BLOCK.format(128)
    + "-256c3same:none-bn:relu-mp2-512c3same:none-bn:relu-mp2-"
    + _RESNET9_BLOCK.format(512)
    + "-mp4",
    # For boxes from scratch: the pattern of He et al., "Deep Residual Learning for Image Recognition", 2016, with maps
    # at the strides 8, 16 and 32. Dense convolutions: a CPU made for bfloat16 does more of them in a second than of
    # the separable ones of small networks.
    "detector": "24c3s2same:none-bn:relu-48c3s2same:none-bn:relu-"
    + _RESIDUAL.format(48)
    + "".join(f"-{width}c3s2same:none-bn:relu-" + _RESIDUAL.format(width) for width in (96, 192, 320)),
    # Sandler et al., "MobileNetV2", 2018, section 6.2: its head instead of the one that the task brings.
    "ssdlite": "timm/mobilenetv2_100-ssd",
}


FOR_BOXES = ("detector",)
"""Names whose nets end in maps, for a head that finds things."""


def is_for_boxes(net: str | Sequence[Layer]) -> bool:
    """Whether a net says by its name or its last token that it finds things.

    Raises:
        NetError: as `net_of`.
    """
    return (isinstance(net, str) and net.strip().lower() in FOR_BOXES) or isinstance(net_of(net)[-1], Ssd)


def net_of(net: str | Net | Sequence[Layer]) -> Net:
    """A network from a name of the zoo, a line, or layers.

    Raises:
        NetError: neither a name nor a line that can be read.
    """
    if not isinstance(net, str):
        return net if isinstance(net, Net) else Net(net)
    name = net.strip().lower()
    if name in ZOO:
        return parse(ZOO[name])
    try:
        return parse(net)
    except NetError:
        close = difflib.get_close_matches(name, ZOO, n=1)
        if close or re.fullmatch("[a-z_]+", name):
            meant = f"Did you mean {close[0]}? " if close else ""
            raise NetError(
                f"{net.strip()!r} is neither a network of the zoo nor a line of layers.",
                remedy=f"{meant}The zoo has {', '.join(ZOO)}; a line is written {ZOO['cookbook']}.",
            ) from None
        raise


def expand(text: str) -> str:
    """The line behind a name or a line, in its one canonical spelling.

    Raises:
        NetError: as `net_of`.
    """
    return str(net_of(text))
