"""The arithmetic of any number of any layer is what the network computed."""

from collections import Counter

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from foveal.errors import NetError
from foveal.explain import Arithmetic, arithmetics, places
from foveal.nets import ACTIVATIONS
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.recipe import InputContract

SIDE, CHANNELS = 11, 3
# Always the same examples: which kinds of layers they meet is part of what is tested.
steady = settings(deadline=None, derandomize=True, database=None, max_examples=40)

kernels = st.sampled_from(["1", "2", "3", "(1x3)", "(3x2)"])
edges = st.sampled_from(["", "same", "p1", "s2", "s2same", "s(1x2)same"])
activations = st.sampled_from(ACTIVATIONS)
convolutions = st.builds("{}c{}{}:{}".format, st.integers(1, 5), kernels, edges, activations)
pools = st.builds(
    "{}{}{}".format,
    st.sampled_from(["mp", "ap", "bp"]),
    st.sampled_from("23"),
    st.sampled_from(["same", "s1same", "p1", "s1"]),
)
norms = st.builds("bn:{}".format, activations)
blocks = st.builds(
    "r({}c3{}:none-bn){}".format, st.integers(1, 4), st.sampled_from(["same", "s2same"]), st.sampled_from(["", ":relu"])
)
lines = st.builds(
    lambda first, layers, last, units, activation: "-".join([first, *layers, last, f"{units}n:{activation}"]),
    st.sampled_from(["w2", "w2s2:tanh", "3c3same"]),
    st.lists(st.one_of(convolutions, pools, norms, blocks, st.just("do0.5")), min_size=1, max_size=5),
    st.sampled_from(["gap", "gmp", "flat"]),
    st.integers(1, 5),
    activations,
)


def unsettled(network: Network, seed: int) -> Network:
    """With biases and statistics that are not those of the beginning."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.01, 4)
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            nn.init.normal_(module.bias)
    network.fit(pixels(seed, n=20))
    return network


def pixels(seed: int, side: int = SIDE, n: int = 1) -> Tensor:
    return torch.randint(0, 256, (n, CHANNELS, side, side), dtype=torch.uint8, generator=torch.manual_seed(seed))


def network_of(net: str | nn.Module, side: int = SIDE) -> Network:
    contract = InputContract(height=side, width=side, channels=CHANNELS, mean=(0.4, 0.5, 0.6), std=(0.3, 0.2, 0.1))
    with torch.random.fork_rng():
        return unsettled(build(net, contract, ClassificationHead, 3).eval(), 1)


def checked(network: Network, image: Tensor, seed: int, each: int, every: int = 1) -> list[Arithmetic]:
    """At some positions of every layer, or of every third."""
    generator, found = torch.Generator().manual_seed(seed), []
    for place in places(network, image)[::every]:
        drawn = [[int(torch.randint(size, (1,), generator=generator)) for size in place.after] for _ in range(each)]
        found += arithmetics(network, image, place.key, drawn)
    for one in found:
        assert abs(one.result - one.value) <= 1e-5 * one.scale or one.result == one.value, one
        if one.kernel is not None:
            assert one.products.sum() + one.bias == pytest.approx(one.result, abs=1e-12 * one.scale)
    return found


def test_any_number_of_any_net_in_our_notation():
    kinds = Counter()

    @steady
    @given(lines, st.integers(0, 2**16))
    def check(line, seed):
        try:
            network = network_of(line)
        except NetError:  # a window that is larger than what is left of the image
            reject()
        kinds.update(one.place.kind for one in checked(network, pixels(seed), seed, 3))

    check()
    assert kinds.total() >= 1000
    assert kinds.keys() >= {
        *("normalisation", "convolution", "whitening", "dense", "batch norm", "max pooling", "average pooling", "blur"),
        *("padding", "flatten", "dropout", "residual sum"),
        *("ReLU", "leaky ReLU", "ELU", "GELU", "SiLU", "sigmoid", "tanh"),
    }


@steady
@given(st.data())
def test_any_window_of_torch(data):
    def draw(*values):
        return data.draw(st.sampled_from(values))

    padding, groups = draw(0, 1, (2, 1), "valid", "same"), draw(1, 3)
    convolution = nn.Conv2d(
        CHANNELS,
        draw(3, 6),
        draw(1, 3, (1, 3)) if padding == "same" else draw(1, 2, 3, (1, 2)),
        stride=1 if padding == "same" else draw(1, 2, (1, 2)),
        padding=padding,
        dilation=draw(1, 2),
        groups=groups,
        bias=draw(True, False),
        padding_mode=draw("zeros", "reflect", "replicate", "circular"),
    )
    window = draw(2, 3), draw(1, 2), draw(0, 1)
    pool = draw(
        nn.MaxPool2d(*window, dilation=draw(1, 2), ceil_mode=draw(False, True)),
        nn.AvgPool2d(*window, ceil_mode=draw(False, True), count_include_pad=draw(False, True)),
        nn.AvgPool2d(2, divisor_override=3),
        nn.AdaptiveAvgPool2d((2, 3)),
        nn.AdaptiveMaxPool2d(3),
    )
    activation = draw(nn.ReLU6(), nn.Hardswish(), nn.Hardsigmoid(), nn.LeakyReLU(0.2), nn.ELU(0.5))
    body = nn.Sequential(
        convolution, activation, nn.ConstantPad2d((1, 0, 2, 1), -1.5), pool, nn.Flatten(), nn.LazyLinear(3)
    )
    body(torch.zeros(1, CHANNELS, SIDE, SIDE))
    assert len(checked(network_of(body), pixels(0), data.draw(st.integers(0, 2**16)), 3)) == 21


def test_any_number_of_a_backbone():
    found = checked(network_of("timm/mobilenetv2_050", 33), pixels(2, 33), 3, 4, every=3)
    kinds = Counter(one.place.kind for one in found)
    assert kinds["convolution"] > 30
    assert kinds["batch norm"] > 30
    assert kinds["own step"] >= 4
