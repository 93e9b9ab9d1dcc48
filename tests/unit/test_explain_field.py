"""Where a layer looks from: theory against the gradient, and against what is known by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from foveal.errors import NetError
from foveal.explain.field import effective_field, receptive_field
from foveal.explain.support import Linearised, positive_copy, positive_image
from foveal.explain.target import reach, targets
from foveal.nets import AvgPool, BatchNorm, BlurPool, Conv, Dense, GlobalAvgPool, MaxPool, Net, Whiten
from foveal.nets.composed import Residual
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.recipe import InputContract

COOKBOOK = "32c3-mp2-64c3-mp2-128c3-128n"
SHAPE = 3, 32, 32


def network(net, channels=3, height=32, width=32):
    contract = InputContract(height=height, width=width, channels=channels)
    return build(net, contract, ClassificationHead, outputs=3)


def fields(line, **size):
    net = network(line, **size)
    shape = size.get("channels", 3), size.get("height", 32), size.get("width", 32)
    return {target.name: receptive_field(net, target, shape) for target in targets(net)}


def support(net, target, shape, row, column):
    """Where the gradient of a positive copy is not zero."""
    twin, image = positive_copy(net.body), positive_image(shape)
    with Linearised():
        output = reach(twin, target.within(twin), image)
    unit = output[..., row, column] if output.ndim == 4 else output
    return (torch.autograd.grad(unit.sum(), image)[0][0] != 0).any(dim=0).numpy()


def test_the_worked_example():
    found = fields(COOKBOOK)
    assert {name: tuple(field.box) for name, field in found.items()} == {
        "32c3": (15, 15, 18, 18),
        "mp2": (14, 14, 18, 18),
        "64c3": (12, 12, 20, 20),
        "mp2#2": (12, 12, 22, 22),
        "128c3": (8, 8, 26, 26),
        # 13 rows do not fill 2×2 windows: the last is never looked at, and with it the last two of the image.
        "flat": (0, 0, 30, 30),
        "128n": (0, 0, 30, 30),
    }
    assert not any(field.has_holes for field in found.values())


def test_at_the_edge_a_field_is_cut():
    net = network("4c3same-mp2-4c5same-bp2")
    first = receptive_field(net, "4c3same", SHAPE, 0, 31)
    assert (first.box, first.box.size, first.pixels) == ((0, 30, 2, 32), (2, 2), 4)
    # The kernel of 5 pooled maps sees 0..2 of them, those are columns 0..5, each sees one more: 0..6.
    assert receptive_field(net, "4c5same", SHAPE, 0, 0).box == (0, 0, 7, 7)
    assert receptive_field(net, "bp2", SHAPE, 0, 0).box == (0, 0, 11, 11)


def test_a_stride_beyond_the_kernel_leaves_holes():
    field = receptive_field(network("2c2s4-2c2"), "2c2", SHAPE, 0, 0)
    assert (field.box.size, field.pixels, field.has_holes) == ((6, 6), 16, True)
    assert np.flatnonzero(field.mask[0]).tolist() == [0, 1, 4, 5]


def test_a_wrong_layer_or_unit_is_named():
    net = network(COOKBOOK)
    with pytest.raises(NetError, match="no layer '64c5'") as error:
        receptive_field(net, "64c5", SHAPE)
    assert "64c3" in error.value.remedy
    with pytest.raises(NetError, match="map of 13×13, found row 13, column 0"):
        receptive_field(net, "64c3", SHAPE, 13, 0)
    with pytest.raises(NetError, match="channels 0 to 63, found 64"):
        effective_field(net, "64c3", torch.zeros(1, 3, 32, 32, dtype=torch.uint8), channel=64)


same = st.sampled_from([0, 1, "same"])
kernels = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
convolutions = st.builds(Conv, st.integers(1, 3), kernels, strides, same, st.sampled_from(["relu", "tanh", "none"]))
pools = st.builds(
    lambda pool, kernel, stride, padded: pool(kernel, stride, "same" if padded else 0),
    st.sampled_from([MaxPool, AvgPool, BlurPool]),
    kernels,
    strides,
    st.booleans(),
)
blocks = st.builds(
    lambda kernel, stride, again: Residual(
        [Conv(2, kernel, stride, "same"), Conv(2, again, 1, "same", "none")], "relu"
    ),
    kernels,
    strides,
    kernels,
)
bodies = st.builds(
    lambda first, body, end: Net([*first, *body, *end]),
    st.lists(st.builds(Whiten, st.integers(1, 3), st.integers(1, 2)), max_size=1),
    st.lists(convolutions | pools | blocks | st.just(BatchNorm("relu")), min_size=1, max_size=5),
    st.sampled_from([(), (GlobalAvgPool(),), (Dense(2),)]),
)


@settings(max_examples=40, deadline=None)
@given(bodies, st.integers(9, 24), st.integers(9, 24), st.data())
def test_theory_is_the_support_of_the_gradient(body, height, width, data):
    try:
        net = network(body, 1, height, width)
    except NetError:
        return  # it leaves nothing
    shape = 1, height, width
    target = data.draw(st.sampled_from(targets(net)))
    size = receptive_field(net, target, shape).shape
    rows, columns = size[1:] if len(size) == 3 else (1, 1)
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    found = receptive_field(net, target, shape, row, column)
    assert np.array_equal(found.mask, support(net, target, shape, row, column))


class Odd(nn.Module):
    """What the notation has no word for: dilation, dilated pooling, a gate that sees everything."""

    def __init__(self):
        super().__init__()
        self.dilated = nn.Conv2d(3, 4, 3, dilation=2)
        self.act = nn.Hardswish()
        self.pool = nn.MaxPool2d(2, 1, dilation=3)
        self.after = nn.Conv2d(4, 2, 1)
        self.gate = nn.Conv2d(2, 2, 1)
        self.last = nn.Conv2d(2, 2, 1)
        self.output = nn.Linear(2, 3)

    def forward(self, x):
        x = -self.act(self.dilated(x))
        x = self.after(self.pool(x))
        x = self.last(x * torch.sigmoid(self.gate(x.amax((2, 3), keepdim=True))))
        return self.output(x.mean((2, 3)))


def test_a_module_of_ones_own():
    contract = InputContract(height=16, width=16, channels=3)
    net = build(Odd(), contract, lambda *_, **__: nn.Identity(), outputs=3)
    dilated, pool, last = (
        receptive_field(net, f"body.{name}", (3, 16, 16), 4, 4) for name in ("dilated", "pool", "last")
    )
    assert (dilated.box, dilated.pixels) == ((4, 4, 9, 9), 9)
    assert np.flatnonzero(pool.mask[4]).tolist() == [4, 6, 7, 8, 9, 11]
    assert last.pixels == 256


def test_tokens_see_their_patch_until_attention_shows_them_all():
    net = network("timm/test_vit-4n", height=160, width=160)
    qkv = receptive_field(net, "body.0.net.blocks.0.attn.qkv", (3, 160, 160), 0, 1)
    assert (qkv.shape, qkv.box) == ((192, 101), (0, 0, 16, 16))  # the class token, then 10 × 10 patches
    after = receptive_field(net, "body.0.net.blocks.0.attn.proj", (3, 160, 160), 0, 1)
    assert after.pixels == 160 * 160


def test_the_effective_field_of_one_convolution_is_its_kernel():
    net = network("1c3:none-mp2", channels=1, height=8, width=8)
    conv = net.steps[0].module[0]
    weights = torch.tensor([[0.0, 1.0, 0.0], [1.0, 14.0, 2.0], [0.0, -2.0, 0.0]])
    conv.weight.data = weights[None, None]
    pixels = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = effective_field(net, "1c3:none", pixels, 2, 3)
    assert found.weight[2:5, 3:6] == pytest.approx(weights.abs().numpy() / 20)
    assert found.weight.sum() == pytest.approx(1)
    # 14, 2 and 2 of 20 are 90%, and one more pixel makes it 95%.
    assert (found.area.value, found.mask.sum(), found.of_theoretical) == (4, 4, pytest.approx(4 / 9))
    rows, columns = (1 + 2) / 20 - (1 / 20) ** 2, (1 + 2) / 20 - (1 / 20) ** 2
    assert found.spread.value == pytest.approx(np.sqrt((rows + columns) / 2))
    assert (found.spread.low, found.spread.high) == (found.spread.value, found.spread.value)  # whatever the image
    assert effective_field(net, "1c3:none", pixels, 2, 3, share=0.9).area.value == 3
    assert (found.images, found.dead) == (5, 0)


def test_a_unit_that_is_off_is_counted_as_dead():
    net = network("1c3-mp2", channels=1, height=8, width=8)
    net.steps[0].module[0].bias.data.fill_(-1e3)
    found = effective_field(net, "1c3", torch.full((2, 1, 8, 8), 9, dtype=torch.uint8))
    assert (found.dead, found.area.value, found.mask.sum(), found.weight.sum()) == (2, 0, 0, 0)


def test_an_effective_field_lies_within_the_theoretical_one():
    net = network("8c3same:none-bp2-r(8c3same-8c3same:none)-8c3")
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    found = effective_field(net, "8c3", pixels)
    assert not (found.weight[~found.theoretical.mask]).any()
    assert 0 < found.area.low <= found.area.value <= found.area.high <= 2 * found.theoretical.pixels
    assert found.weight[found.mask].sum() >= 0.95 > found.weight[found.mask].sum() - found.weight[found.mask].min()
