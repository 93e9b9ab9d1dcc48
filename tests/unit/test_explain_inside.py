"""A network seen at work, with numbers worked out by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib import rc_context
from torch import nn

from foveal.errors import NetError
from foveal.explain import (
    activity,
    arithmetic,
    draw_arithmetic,
    draw_filters,
    draw_histogram,
    draw_maps,
    draw_spread,
    dropout_spread,
    filters,
    places,
    png,
    svg,
    watch,
)
from foveal.nets.heads import ClassificationHead, RegressionHead
from foveal.nets.layers import Network, build
from foveal.nets.parts import PixelMean
from foveal.recipe import InputContract


def network(line, size=8, channels=1, head=ClassificationHead, **options) -> Network:
    contract = InputContract(height=size, width=size, channels=channels)
    return build(line, contract, head, 3, **options).eval()


def images(n, size=8, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=torch.manual_seed(seed))


def numbered(size):
    """An image whose pixels are 0, 1, 2, … in reading order."""
    return torch.arange(size * size, dtype=torch.uint8).reshape(1, 1, size, size)


class Own(nn.Module):
    """Somebody's own network: one activation used twice, a sum, and functions that no module holds."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.dense = nn.Linear(2, 3)

    def forward(self, x):
        x = self.relu(self.one(x))
        return self.dense(self.relu(self.two(x) + x).mean((2, 3)))


# Watching


@pytest.mark.parametrize("line", ["32c3-mp2-64c3-mp2-128c3-128n", "resnet9", "timm/mobilenetv2_050"])
def test_what_is_seen_is_what_a_hook_finds(line):
    net, pixels = network(line, 32, 3), images(1, 32, 3)
    found = {}

    def note(path):
        def keep(module, args, output):
            found[path] = output.clone()[0].numpy()

        return keep

    leaves = [(path, module) for path, module in net.named_modules() if not any(module.children())]
    wholes = [(path, module) for path, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [module.register_forward_hook(note(path)) for path, module in {*leaves, *wholes}]
    with torch.no_grad():
        outputs = net(pixels)
    for hook in hooks:
        hook.remove()
    seen = watch(net, pixels)
    paths = [layer.place.path for layer in seen.layers]
    expected = [path for path, module in {*leaves, *wholes} if path in found and type(module) is not nn.Identity]
    inside = [path for path in expected if any(path.startswith(f"{whole}.") for whole, _ in wholes)]
    assert set(expected) - set(inside) <= set(paths)
    assert len(paths) == len(set(paths)) > 8
    for layer in seen.layers:
        if layer.place.path in found:
            assert np.array_equal(layer.values, found[layer.place.path]), layer.place
        assert layer.values.shape == layer.place.after
    assert np.array_equal(seen.outputs, outputs[0].numpy())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_what_a_relu_in_place_overwrites_is_kept():
    seen = watch(network("4c3-5n"), images(1))
    before, after = seen["body.0.conv"].values, seen["body.0.activation"].values
    assert before.min() < 0
    assert np.array_equal(np.maximum(before, 0), after)


def test_layers_have_their_tokens_and_plain_names():
    net = network("4c3same-(r(4c3same:none-bn))x2-mp2-6n", head=RegressionHead)
    found = [(place.key, place.token, place.number, place.kind) for place in places(net, images(2))]
    assert found[:4] == [
        ("normalize", "", 0, "normalisation"),
        ("body.0.conv", "4c3same", 1, "convolution"),
        ("body.0.activation", "4c3same", 1, "ReLU"),
        ("body.1.sum.body.0.conv", "4c3same:none", 2, "convolution"),
    ]
    assert ("body.2.sum", "r(4c3same:none-bn)", 2, "residual sum") in found
    assert ("body.3", "mp2", 4, "max pooling") in found
    assert found[-2:] == [("head.output", "", 0, "dense"), ("head", "", 0, "own step")]
    assert str(places(net, images(1))[1]) == "body.0.conv (4c3same, token 1): convolution 3×3, 4 filters"
    assert places(net, images(2))[1].after == (4, 8, 8)


def test_a_module_that_works_twice_is_seen_twice():
    net = build(Own(), InputContract(height=8, width=8, channels=1), ClassificationHead, 3)
    seen = watch(net, images(1))
    assert [place.key for place in seen.places] == [
        "normalize",
        "body.one",
        "body.relu",
        "body.two",
        "body.relu#2",
        "body.dense",
    ]
    assert np.array_equal(seen["body.relu#2"].values, np.maximum(seen["body.two"].values + seen["body.relu"].values, 0))


def test_a_mirrored_network_is_seen_without_the_mirror():
    line, pixels = "4c3-mp2-5n", images(1)
    seen, twice = watch(network(line), pixels), watch(network(line, mirror=True), pixels)
    assert [place.key for place in seen.places] == [place.key for place in twice.places]
    assert np.array_equal(seen.outputs, twice.outputs)
    assert not np.array_equal(seen.outputs, network(line, mirror=True)(pixels).detach().numpy()[0])


def test_winners_of_max_pooling():
    # 5 × 5 pixels that rise in reading order: the last of each window wins.
    assert watch(network("mp2", 5), numbered(5))["mp2"].winners.tolist() == [[[[1, 1], [1, 3]], [[3, 1], [3, 3]]]]
    # Windows of 4×4 at stride 1 over 4×4 pixels, padded by 1 before and 2 after, by a layer of its own.
    padded = watch(network("mp4s1same", 4), numbered(4))["body.0.pool"].winners[0]
    assert padded[:, :, 0].tolist() == [[2] * 4, [3] * 4, [3] * 4, [3] * 4]
    assert padded[:, :, 1].tolist() == [[2, 3, 3, 3]] * 4
    assert watch(network("gmp", 4), numbered(4))["gmp"].winners.tolist() == [[[[3, 3]]]]
    assert watch(network("ap2", 4), numbered(4))["ap2"].winners is None


def test_only_what_is_asked_for_is_kept():
    seen = watch(network("4c3-mp2-5n"), images(1), keep=lambda place: place.kind == "convolution")
    assert [place.key for place in seen.places] == ["body.0.conv"]
    with pytest.raises(NetError, match=r"no layer 'body\.1'"):
        seen["body.1"]


def test_filters_and_their_images():
    net = network("2c2-3n", channels=3)
    weight = torch.zeros(2, 3, 2, 2)
    weight[0, 0, 0, 0], weight[0, 2, 1, 1] = 2.0, -1.0
    net.steps[0].module.conv.weight.data = weight
    found = filters(net, "body.0.conv")
    assert np.array_equal(found.weights, weight.numpy())
    drawn = found.as_images()
    assert drawn.shape == (2, 2, 2, 3)
    assert drawn[0, 0, 0].tolist() == [255, 128, 128]
    assert drawn[0, 1, 1].tolist() == [128, 128, 64]
    assert np.all(drawn[1] == 128)
    assert filters(net, "head.output").weights.shape == (3, 3)
    assert filters(network("flat-6n", 8, 3), "body.1.dense").as_images((3, 8, 8)).shape == (6, 8, 8, 3)
    with pytest.raises(NetError, match=r"body.0.activation is ReLU"):
        filters(net, "body.0.activation")
    with pytest.raises(NetError, match="only those with one channel or three"):
        filters(network("2c3-4c3"), "body.1.conv").as_images()


# Over many images


def test_activity_is_that_of_all_images_at_once():
    net, pixels = network("4c3-mp2-6n:tanh"), images(70)
    net.steps[0].module.conv.bias.data[1] = -100
    found = activity(net, pixels)
    with torch.no_grad():
        maps = net.body[0](net.normalize(pixels)).numpy()
    layer = found["body.0.activation"]
    assert layer.images == 70
    assert layer.dead.tolist() == [1]
    assert layer.saturated is None
    assert np.allclose(layer.mean, maps.mean((0, 2, 3)), atol=1e-6)
    assert np.array_equal(layer.lowest, maps.min((0, 2, 3)))
    assert np.array_equal(layer.highest, maps.max((0, 2, 3)))
    assert np.allclose(layer.above_zero, (maps > 0).mean((0, 2, 3)))
    counts, edges = np.histogram(maps, 60)
    assert np.allclose(layer.edges, edges)
    assert np.abs(layer.counts - counts).sum() <= 4  # values at an edge, in single precision
    assert layer.counts.sum() == maps.size
    assert found["body.0.conv"].dead is None
    assert json.loads(json.dumps(layer.as_dict()))["dead"] == [1]
    assert np.allclose(activity(net, [pixels[:9], pixels[9:]])["mp2"].mean, found["mp2"].mean)


def test_saturated_units():
    net = network("flat-3n:tanh-3n:sigmoid")
    tanh, sigmoid = net.steps[1].module, net.steps[2].module
    tanh.dense.weight.data[:], tanh.dense.bias.data = 0, torch.tensor([2.6, 2.7, -3.0])
    # tanh(2.6) = 0.98903, tanh(2.7) = 0.99101; sigmoid(5.2) = 0.9945 and sigmoid(5.4) = 0.9955 lie as far out.
    sigmoid.dense.weight.data[:], sigmoid.dense.bias.data = 0, torch.tensor([5.2, 5.4, -5.4])
    found = activity(net, images(3))
    assert found["body.1.activation"].saturated.tolist() == [1, 2]
    assert found["body.2.activation"].saturated.tolist() == [1, 2]
    assert found["body.1.activation"].dead is None


def test_values_that_are_not_finite_are_counted_and_left_out():
    net = network("2c1:none-3n")
    net.steps[0].module.conv.weight.data = torch.tensor([1.0, torch.nan]).reshape(2, 1, 1, 1)
    layer = activity(net, images(5))["body.0.conv"]
    assert layer.not_finite == 5 * 64
    assert layer.counts.sum() == 5 * 64
    assert layer.highest[0] <= 1
    assert np.isnan(layer.mean[1])
    assert activity(network("2c3-3n"), images(2))["body.0.activation"].dead.tolist() == []


def test_dropout_at_work():
    net, pixels = network("bn-flat-do0.5-4n:none"), images(1)
    state, training = torch.get_rng_state(), net.train()
    found = dropout_spread(training, pixels, passes=400, seed=3)
    assert net.training
    assert torch.equal(torch.get_rng_state(), state)
    assert found.passes.shape == (400, 3)
    assert np.array_equal(found.passes, dropout_spread(net, pixels, passes=400, seed=3).passes)
    assert not np.array_equal(found.passes, dropout_spread(net, pixels, passes=400, seed=4).passes)
    assert np.allclose(found.without, net.eval()(pixels).detach().numpy()[0])
    # Each number is doubled or dropped: the output has the variance Σ (weight · number)².
    weight = net.head.output.weight @ net.steps[3].module.dense.weight
    numbers = net.body[:2](net.normalize(pixels))
    expected = (weight * numbers).square().sum(1).sqrt().detach().numpy()
    assert np.allclose(found.deviation, expected, rtol=0.12)
    assert np.all(np.abs(found.mean - found.without) < 4 * expected / 20)
    assert net.steps[0].module.norm.num_batches_tracked == 0
    assert dropout_spread(network("4c3-5n"), pixels) is None


# Arithmetic


def test_a_convolution_by_hand():
    net = network("2c2s2p1:none-3n", 3)
    conv = net.steps[0].module.conv
    conv.weight.data[1] = torch.tensor([[[1.0, 2.0], [3.0, -4.0]]]) * 255
    conv.bias.data[1] = 0.5
    found = arithmetic(net, numbered(3), "2c2s2p1:none", (1, 1, 0))
    # Rows 1 and 2, columns −1 (padding) and 0 of 0…8: 2 · 3 − 4 · 6 + 0.5.
    assert found.patch.round(4).tolist() == [[[0, round(3 / 255, 4)], [0, round(6 / 255, 4)]]]
    assert (found.rows.tolist(), found.columns.tolist()) == ([1, 2], [-1, 0])
    assert found.padding.tolist() == [[True, False], [True, False]]
    assert found.products.round(4).tolist() == [[[0, 6], [0, -24]]]
    assert found.bias == 0.5
    assert found.result == pytest.approx(-17.5)
    assert found.value == pytest.approx(-17.5)
    assert found.scale == pytest.approx(30.5)
    assert str(found).splitlines() == [
        "body.0.conv (2c2s2p1:none, token 1): convolution 2×2, 2 filters, stride 2",
        "map 1, row 1, column 0 = Σ patch · kernel + bias",
        "    -24.0000 =     0.0235 × -1020.0000  map 0, row 2, column 0",
        "      6.0000 =     0.0118 ×   510.0000  map 0, row 1, column 0",
        "      0.0000 =     0.0000 ×   255.0000  padding",
        "      0.0000 =     0.0000 ×   765.0000  padding",
        "      0.5000  bias",
        "=   -17.5000",
        "    -17.5000  as the network computed it",
    ]
    assert json.loads(json.dumps(found.as_dict()))["products"][0][1][1] == pytest.approx(-24)


def test_pools_by_hand():
    largest = arithmetic(network("mp2", 4), numbered(4), "mp2", (0, 1, 1))
    assert (largest.patch * 255).round(3).tolist() == [[[10, 11], [14, 15]]]
    assert largest.winner == (3, 3)
    assert largest.result == pytest.approx(15 / 255)
    padded = arithmetic(network("mp2p1", 4), numbered(4), "mp2p1", (0, 0, 0))
    assert padded.patch[0, 0, 0] == -np.inf
    assert padded.as_dict()["patch"] == [[[None, None], [None, 0.0]]]
    # The mean of the pixels alone: of the window's four, 3, 7 and padding twice.
    edge = arithmetic(network("ap2s1same", 4), numbered(4), "ap2s1same", (0, 0, 3))
    assert isinstance(network("ap2s1same", 4).body[0], PixelMean)
    assert edge.result == pytest.approx(5 / 255)
    assert edge.kernel.tolist() == [[[0.5, 0.5], [0.5, 0.5]]]
    assert arithmetic(network("gap", 4), numbered(4), "gap", (0, 0, 0)).result == pytest.approx(7.5 / 255)
    blurred = arithmetic(network("bp1s2", 4), numbered(4), "body.0.blur", (0, 1, 1))
    assert blurred.kernel.tolist() == [[[1 / 16, 1 / 8, 1 / 16], [1 / 8, 1 / 4, 1 / 8], [1 / 16, 1 / 8, 1 / 16]]]
    assert blurred.result == pytest.approx(10 / 255)


def test_a_batch_norm_spells_out_its_statistics():
    net = network("bn:relu")
    norm = net.steps[0].module.norm
    norm.running_mean[:], norm.running_var[:] = 0.25, 4.0
    norm.weight.data[:], norm.bias.data[:] = 3.0, 1.0
    pixels = torch.full((1, 1, 8, 8), 255)
    found = arithmetic(net, pixels, "body.0.norm", (0, 2, 3))
    assert found.constants == {"mean": 0.25, "variance": 4.0, "ε": 1e-5, "scale": 3.0, "shift": 1.0}
    assert found.result == pytest.approx((1 - 0.25) / 2 * 3 + 1, rel=1e-5)
    assert arithmetic(net, pixels, "body.0.activation", (0, 2, 3)).formula == "max(0, x)"
    assert arithmetic(net, pixels, "normalize", (0, 2, 3)).result == 1


def test_both_ways_of_a_residual_sum():
    net = network("r(1c3same)")
    seen, pixels = watch(net, images(1)), images(1)
    found = arithmetic(net, pixels, "body.0.sum", (0, 3, 4))
    ways = seen["normalize"].values[0, 3, 4], seen["body.0.sum.body.0.activation"].values[0, 3, 4]
    assert found.patch.tolist() == list(ways)
    assert found.labels == ("shortcut", "body")
    assert found.value == seen["body.0.sum"].values[0, 3, 4]


def test_a_value_in_the_unit_of_the_user():
    net = network("gap", head=RegressionHead)
    net.head.fit(np.array([[1.0, 2, 3], [3, 2, 7]]))
    found, value = arithmetic(net, images(1), "head", (2,)), net(images(1))[0, 2].item()
    assert found.constants == {"spread": 2.0, "mean": 5.0}
    assert found.value == value == pytest.approx(found.result)


def test_a_network_in_another_precision_is_copied():
    net = network("2c3-do0.5-3n").to(torch.bfloat16)
    assert arithmetic(net, images(1), "2c3", (1, 2, 3)).difference < 1e-6
    assert dropout_spread(net, images(1), passes=2).passes.dtype == np.float32
    assert watch(net, images(1))["2c3"].values.dtype == np.float32
    assert {weight.dtype for weight in net.parameters()} == {torch.bfloat16}


def test_what_is_not_a_number_is_no_disagreement():
    net = network("2c3:none-3n")
    net.steps[0].module.conv.weight.data[1, 0, 0, 0] = torch.nan
    found = arithmetic(net, images(1), "2c3:none", (1, 2, 3))
    assert np.isnan(found.value)
    assert found.difference == 0
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["result"] is None
    assert "nan" in str(found)


def test_a_layer_that_does_something_of_its_own_is_refused():
    class Doubled(nn.Conv2d):
        def forward(self, x):
            return 2 * super().forward(x)

    body = nn.Sequential(Doubled(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softsign(), nn.Linear(2, 3))
    net = build(body, InputContract(height=8, width=8, channels=1), ClassificationHead, 3)
    with pytest.raises(NetError, match=r"body.0 is Doubled, and computes"):
        arithmetic(net, images(1), "body.0", (0, 1, 1))
    with pytest.raises(NetError, match=r"The arithmetic of Softsign \(body.3\) is not known"):
        arithmetic(net, images(1), "body.3", (0,))


def test_what_cannot_be_asked():
    net = network("4c3-5n")
    with pytest.raises(NetError, match=r"no layer '8c3'.*\n?.*Its layers are normalize, body.0.conv"):
        arithmetic(net, images(1), "8c3", (0, 0, 0))
    with pytest.raises(NetError, match="no layer ''"):
        arithmetic(net, images(1), "", (0, 0, 0))
    with pytest.raises(NetError, match=r"gives 4×6×6 numbers, and \(0, 6, 0\) is no position"):
        arithmetic(net, images(1), "4c3", (0, 6, 0))
    with pytest.raises(NetError, match="Expected one image"):
        watch(net, images(2))
    with pytest.raises(NetError, match="cannot take a batch of 1×1×3×3"):
        watch(net, images(1, 3))
    with pytest.raises(NetError, match="found none"):
        activity(net, images(0))


# Figures


def test_figures():
    net, pixels = network("3c3same:none-bn:relu-do0.2-4c3-5n", channels=3), images(1, channels=3)
    seen = watch(net, pixels)
    sheet = draw_maps(seen["body.0.conv"])
    assert [text.get_text() for text in sheet.axes[0].texts] == ["0", "1", "2"]
    assert svg(sheet) == svg(sheet)
    assert svg(sheet).startswith("<svg")
    assert ">3 maps, one scale, up to" in svg(sheet)
    assert png(draw_maps(seen["5n"], shared=False), dpi=40).startswith(b"\x89PNG")
    assert len(draw_filters(filters(net, "body.3.conv")).axes[0].images) == 12
    assert "gray is 0" in draw_filters(filters(net, "body.0.conv")).axes[0].get_title(loc="left")
    assert "4 units, 0 dead" in svg(draw_histogram(activity(net, pixels)["body.3.activation"]))
    assert ">ship</text>" in svg(draw_spread(dropout_spread(net, pixels, passes=3), ("cat", "dog", "ship")))
    worked = arithmetic(net, pixels, "4c3", (1, 2, 3))
    drawn = svg(draw_arithmetic(worked))
    assert f"the network computed {worked.value:.5g}" in drawn
    assert "patch: rows 2 to 4, columns 3 to 5" in drawn
    output = arithmetic(net, pixels, "head.output", (1,))
    dense = draw_arithmetic(output)
    assert len(dense.axes) == 3
    assert {"input", "× weight", "= products"} <= {text.get_text() for text in dense.texts}  # the formula's words
    assert "-0.0000" not in str(replace(output, bias=0.0, kernel=-np.zeros_like(output.patch)))
    with rc_context({"figure.constrained_layout.use": True, "axes.grid": True}):  # as in somebody's notebook
        assert draw_arithmetic(output).get_layout_engine() is None
        assert svg(draw_maps(seen["body.0.conv"])) == svg(sheet)
    assert "variance" in svg(draw_arithmetic(arithmetic(net, pixels, "body.1.norm", (1, 2, 3))))
    pooled = network("mp3same-8c1:elu", channels=3)
    for layer, position in (("mp3same", (0, 0, 0)), ("8c1:elu", (5, 0, 0)), ("body.1.activation", (5, 0, 0))):
        assert svg(draw_arithmetic(arithmetic(pooled, pixels, layer, position)))  # without a missing letter
