import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from foveal.errors import NetError
from foveal.nets import ZOO, Conv, Dense, MaxPool, parse
from foveal.nets.convolution import Convolution
from foveal.nets.heads import ClassificationHead, RegressionHead
from foveal.nets.layers import build
from foveal.nets.parts import MODULES, Chain
from foveal.recipe import InputContract


def contract(height, width=None, channels=1, **fields):
    return InputContract(height=height, width=width or height, channels=channels, **fields)


def network(line, size, channels=1, **options):
    return build(line, contract(size, channels=channels), ClassificationHead, 3, **options).eval()


def only(line, size, channels=1):
    """The module of a line's first layer."""
    return network(line, size, channels).body[0]


def test_pixels_are_normalised_as_the_contract_says():
    net = build("gap", contract(2, channels=3, mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0)), ClassificationHead, 3)
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    expected = torch.tensor([(0 - 0.5) / 0.5, 0.2 - 0.25, 1.0 / 2])
    assert torch.allclose(net.normalize(pixels)[0, :, 0, 0], expected)
    assert torch.equal(net.normalize(pixels.float()), net.normalize(pixels))
    one = build("gap", contract(2, channels=3, mean=(0.5,), std=(0.25,)), ClassificationHead, 3)
    assert torch.allclose(one.normalize(pixels)[0, :, 1, 1], torch.tensor([-2.0, -1.2, 2.0]))
    assert not any("normalize" in name for name in one.state_dict())


def test_forward_is_normalise_body_head():
    net = network("4c3-5n", 6)
    pixels = torch.randint(0, 256, (2, 1, 6, 6), dtype=torch.uint8)
    conv, dense = net.steps[0].module[0], net.steps[2].module[0]
    by_hand = F.relu(dense(F.relu(conv(pixels / 255)).reshape(2, -1)))
    assert torch.allclose(net(pixels), net.head.output(by_hand))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_memory_format_changes_nothing(memory):
    net = network("4c3same-bp2-8c3s2same:none-bn:relu-r(8c3same)-ap2same-5n", 12, 3)
    pixels = torch.randint(0, 256, (2, 3, 12, 12), dtype=torch.uint8)
    expected = net(pixels)
    found = copy.deepcopy(net).to(memory_format=memory)(pixels.to(memory_format=memory))
    assert torch.allclose(found, expected, atol=1e-6)


def test_same_padding_puts_the_odd_pixel_after():
    conv = only("1c3s2same:none", 4)
    weights = torch.arange(9.0).reshape(1, 1, 3, 3)
    conv.conv.weight.data = weights
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    # Windows start at pixels 0 and 2; the last row and column of the second hang over.
    expected = F.conv2d(F.pad(image, (0, 1, 0, 1)), weights, stride=2)
    assert torch.equal(conv(image), expected)
    assert expected[0, 0, 0, 0] == sum(k * p for k, p in zip(range(9), [0, 1, 2, 4, 5, 6, 8, 9, 10]))


def test_padding_never_wins_a_maximum():
    image = -torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    assert only("mp2same", 3)(image).tolist() == [[[[-1, -3], [-7, -9]]]]
    assert only("mp3s2p1", 3)(image).tolist() == [[[[-1, -2], [-4, -5]]]]


def test_padding_is_not_counted_in_a_mean():
    image = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    assert only("ap2same", 3)(image).tolist() == [[[[3, 4.5], [7.5, 9]]]]
    assert only("ap2s1same", 3)(image)[0, 0].tolist() == [[3, 4, 4.5], [6, 7, 7.5], [7.5, 8.5, 9]]
    assert only("ap3s2p1", 3)(image)[0, 0].tolist() == [[3, 4], [6, 7]]


def test_blurred_pooling_by_hand():
    # One pixel of 16 at row 1, column 1. The 2×2 maximum at every pixel fills rows and columns 0 and 1 of a 3×3 map.
    # Edges repeated, the blur centred on 0 gives them 1 + 2 + 1 quarters, centred on 2 (neighbours 1, 2, 2) one.
    image = torch.zeros(1, 2, 4, 4)
    image[0, 1, 1, 1] = 16
    blurred = only("bp2", 4, 1)(image)
    assert blurred[0, 0].tolist() == [[0, 0], [0, 0]]
    assert blurred[0, 1].tolist() == [[16, 4], [4, 1]]


def test_blurred_pooling_keeps_a_constant_and_blurs_only_strided_axes():
    assert torch.allclose(only("bp3s2same", 7)(torch.full((1, 1, 7, 7), 3.0)), torch.full((1, 1, 4, 4), 3.0))
    image = torch.rand(1, 1, 6, 6)
    assert torch.equal(only("bp(1x1)s(1x2)", 6)(image)[..., 1], (image[..., 1] + 2 * image[..., 2] + image[..., 3]) / 4)
    assert torch.equal(only("bp2s1", 6)(image), F.max_pool2d(image, 2, 1))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", F.relu),
        ("sigmoid", torch.sigmoid),
        ("tanh", torch.tanh),
        ("gelu", lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))),
        ("silu", lambda x: x * torch.sigmoid(x)),
        ("lrelu", lambda x: torch.where(x > 0, x, 0.01 * x)),
        ("elu", lambda x: torch.where(x > 0, x, torch.exp(x) - 1)),
        ("none", lambda x: x),
    ],
)
def test_activations_are_what_their_names_say(name, function):
    x = torch.linspace(-4, 4, 50).reshape(2, 1, 5, 5)
    norm = only(f"bn:{name}", 5)
    assert torch.allclose(norm(x), function(x / math.sqrt(1 + 1e-5)), atol=1e-6)
    dense = network(f"4n:{name}", 5).steps[1].module
    assert torch.allclose(dense(x.flatten(1)), function(dense.dense(x.flatten(1))), atol=1e-6)
    conv = only(f"4c3:{name}", 5)
    assert torch.allclose(conv(x), function(conv.conv(x)), atol=1e-6)
    residual = only(f"r(1c3same):{name}", 5)
    assert torch.allclose(residual(x), function(x + residual.sum.body(x)), atol=1e-6)


def test_an_activation_is_a_module_of_its_own():
    assert set(MODULES) | {"none"} == {"relu", "sigmoid", "tanh", "gelu", "silu", "lrelu", "elu", "none"}
    assert [type(part) for part in only("4c3same:none-bn", 5)] == [Convolution]
    assert [type(part) for part in only("4c3s2same", 4)] == [nn.ConstantPad2d, Convolution, nn.ReLU]


def test_a_residual_block_adds_its_shortcut():
    net = network("r(4c3same:none)-r(6c3s2same:none):relu", 8, 3)
    outer = [built for built in net.steps if built.step.token.startswith("r(")]
    assert [built.step.token for built in net.steps][:4] == [
        "4c3same:none",
        "r(4c3same:none)",
        "6c3s2same:none",
        "r(6c3s2same:none):relu",
    ]
    first, second = (built.module.sum for built in outer)
    x = torch.rand(2, 3, 8, 8)
    made = first.body(x) + F.conv2d(x, first.shortcut.weight)
    assert torch.allclose(outer[0].module(x), made, atol=1e-6)
    assert second.shortcut.stride == (2, 2)
    assert second.shortcut.bias is None
    again = F.relu(second.body(made) + F.conv2d(made, second.shortcut.weight, stride=2))
    assert torch.allclose(outer[1].module(made), again, atol=1e-6)
    assert isinstance(only("r(3c3same)", 8, 3).sum.shortcut, nn.Identity)


def test_gradients_reach_every_weight():
    line = "4c3same:none-bn:gelu-bp2-r(6c3s2same-6c3same:none):relu-ap3s2same-mp2same-8n:tanh-do0.5-bn"
    net = network(line, 16, 3).train()
    loss = net.head.loss(net(torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)), [0, 1, 2] * 2 + [0, 1])
    loss["cross_entropy"].backward()
    assert {name for name, parameter in net.named_parameters() if not parameter.grad.any()} == set()


def test_gradients_agree_with_finite_differences():
    net = build("2c3same:tanh-bp2-r(2c3same:elu)-ap2same-3n:silu", contract(5), RegressionHead, 1).double().eval()
    pixels = torch.rand(2, 1, 5, 5, dtype=torch.double) * 255
    assert torch.autograd.gradcheck(lambda x: net(x * 255), (pixels / 255).requires_grad_())


def test_dropout_acts_in_training_only():
    net = network("flat-do0.5", 20)
    x = torch.ones(4, 400)
    drop = net.steps[1].module
    assert torch.equal(drop(x), x)
    assert set(drop.train()(x).unique().tolist()) == {0.0, 2.0}


def test_weights_are_a_function_of_the_seed_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = network("8c3-bn-8n", 8, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    second, other = network("8c3-bn-8n", 8, seed=3), network("8c3-bn-8n", 8, seed=4)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    assert not torch.equal(first.steps[0].module.conv.weight, other.steps[0].module.conv.weight)


@pytest.mark.parametrize("init", ["glorot", "he"])
def test_initial_weights_have_the_variance_of_their_paper(init):
    net = build("64c3same-64c3same-256n", contract(8, channels=3), ClassificationHead, 100, init=init, seed=1)
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    fans = [(27, 576), (576, 576), (4096, 256), (256, 100)]
    for layer, (fan_in, fan_out) in zip(layers, fans, strict=True):
        glorot = init == "glorot" or layer is layers[-1]
        variance = 2 / (fan_in + fan_out) if glorot else 2 / fan_in
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.1)
        assert layer.weight.mean().item() == pytest.approx(0, abs=4 * math.sqrt(variance / layer.weight.numel()))
        limit = math.sqrt(6 / (fan_in + fan_out))
        assert (layer.weight.abs().max().item() <= limit) == glorot
        assert layer.bias is not None
        assert not layer.bias.any()


def correlated(images=150, side=6):
    """uint8 whose neighbours and channels vary together; two of the three channels are the same."""
    grain = np.random.default_rng(0).normal(size=(images, 3, side, side))
    smooth = grain + np.roll(grain, 1, 2) + np.roll(grain, 1, 3) + 0.7 * grain[:, :1]
    smooth[:, 2] = smooth[:, 1]
    return torch.from_numpy(np.clip(127.5 + 20 * smooth, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("line", ["w2", "w3s2"])
def test_whitened_patches_are_uncorrelated_and_of_unit_variance(line):
    pixels, kernel = correlated(), int(line[1])
    net = build(line, contract(6, channels=3, mean=(0.5,), std=(0.25,)), ClassificationHead, 3)
    whiten = net.body[0].whiten
    assert not whiten.weight.any()
    net.fit(pixels)
    # Numpy on its own: the second moments of patches that do not overlap, in the order channel, row, column.
    normalised = (pixels.numpy() / 255 - 0.5) / 0.25
    blocks = normalised.reshape(len(pixels), 3, 6 // kernel, kernel, 6 // kernel, kernel)
    patches = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(-1, 3 * kernel**2)
    variances = np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1]
    assert variances[-1] < 1e-9 < 0.1 < variances[0], "some components do not vary at all"

    filters = whiten.weight.flatten(1).numpy()
    half = len(filters) // 2
    np.testing.assert_array_equal(filters[half:], -filters[:half])
    np.testing.assert_allclose(np.linalg.norm(filters[:half], axis=1), (np.abs(variances) + 5e-4) ** -0.5, rtol=1e-4)
    responses = patches @ filters[:half].T
    covariance = responses.T @ responses / len(patches)
    np.testing.assert_allclose(covariance, np.diag(variances / (variances + 5e-4)), atol=1e-4)
    assert covariance[0, 0] > 0.99


def test_whitening_is_saved_and_not_trained():
    pixels = correlated(8)
    net = network("w2-4c3same-gmp", 6, 3)
    net.fit(pixels)
    net.train()
    x = net.normalize(pixels)
    both = net.body[0](x)
    linear = F.conv2d(x, net.body[0].whiten.weight[:12])
    assert both.shape == (8, 24, 5, 5)
    assert torch.allclose(both[:, :12] - both[:, 12:], linear, atol=1e-6)
    assert (both >= 0).all()
    net.head.loss(net(pixels), [0, 1] * 4)["cross_entropy"].backward()
    assert [name for name, _ in net.named_parameters()] == [f"body.1.conv.{n}" for n in ("weight", "bias")] + [
        f"head.output.{n}" for n in ("weight", "bias")
    ]
    other = network("w2-4c3same-gmp", 6, 3, seed=1)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(pixels), net.eval()(pixels))


def test_global_max_pooling_is_the_largest_of_each_channel():
    image = torch.randn(2, 3, 5, 4)
    assert torch.equal(only("gmp", 5, 3)(image), image.amax((2, 3)))


def test_dirac_convolutions_pass_their_input_on():
    net = build("8c3same:none-4c5same:none-20n", contract(6, channels=3), ClassificationHead, 9, init="dirac", seed=1)
    wide, narrow = (built.module.conv for built in net.steps[:2])
    image = torch.randn(2, 3, 6, 6)
    eight = wide(image)
    assert torch.equal(eight[:, :3], image)
    assert torch.equal(narrow(eight), eight[:, :4])
    limits = [(wide.weight[3:], 27, 1), (net.steps[3].module.dense.weight, 144, 1), (net.head.output.weight, 20, 9)]
    for weight, fan_in, share in limits:
        limit = 1 / math.sqrt(fan_in) / share
        assert 0.97 * limit < weight.abs().max() <= limit
        assert weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.1)
    assert all(not parameter.any() for name, parameter in net.named_parameters() if name.endswith("bias"))


def test_batch_norm_has_the_momentum_that_is_asked_for():
    for asked, expected in (({}, 0.1), ({"norm_momentum": 0.4}, 0.4)):
        net = build("4c3-bn-5n-r(bn)", contract(6), ClassificationHead, 3, **asked)
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
        assert [norm.momentum for norm in norms] == [expected] * 2


def test_a_mirrored_network_answers_with_the_mean_of_both_sides():
    pixels = torch.randint(0, 256, (4, 1, 6, 6), dtype=torch.uint8)
    plain, mirrored = network("4c3-5n", 6), network("4c3-5n", 6, mirror=True)
    one, other = plain(pixels), plain(pixels.flip(3))
    assert not torch.allclose(one, other)
    assert torch.allclose(mirrored(pixels), (one + other) / 2, atol=1e-6)
    assert torch.equal(mirrored.train()(pixels), one)
    for mirror in (False, True):
        own = build(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), contract(6), ClassificationHead, 3, mirror=mirror)
        assert torch.allclose(own.eval()(pixels), own(pixels.flip(3)), atol=1e-6) == mirror


@pytest.mark.parametrize(
    ("name", "size", "channels", "parameters"),
    [
        ("cookbook", 32, 3, 356_810),
        ("lenet5", 32, 1, 61_706),
        ("vgg-small", 32, 3, 814_122),
        ("resnet9", 32, 3, 6_573_130),
    ],
)
def test_zoo(name, size, channels, parameters):
    net = build(name, contract(size, channels=channels), ClassificationHead, 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    assert name in ZOO


def test_a_line_its_objects_and_its_net_build_the_same():
    layers = [Conv(4, 3), MaxPool(2), Dense(5, "tanh")]
    pixels = torch.rand(2, 1, 8, 8) * 255
    found = [network(net, 8)(pixels) for net in ("4c3-mp2-5n:tanh", layers, parse("4c3-mp2-5n:tanh"))]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_too_many_parameters_are_refused_before_they_are_made():
    with pytest.raises(NetError, match=r"3,601,000,040 parameters.*1000000n \(token 2\) alone"):
        network("4c3same-1000000n", 30)


class Own(nn.Module):
    def __init__(self, outputs=3):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, outputs, 3), nn.BatchNorm2d(outputs)
        self.seen = None

    def forward(self, images):
        self.seen = images
        return self.norm(self.conv(images)).mean((2, 3))


def test_a_module_of_ones_own_keeps_its_weights_and_gets_normalised_images():
    module = Own()
    module.norm.eval()
    weights = module.conv.weight.clone()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    net = build(module, contract(8, channels=3, mean=(0.5,), std=(0.5,)), ClassificationHead, 3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(module.conv.weight, weights)
    assert module.training
    assert not module.norm.training
    assert not module.norm.running_mean.any()
    pixels = torch.full((2, 3, 8, 8), 255, dtype=torch.uint8)
    assert torch.equal(net.eval()(pixels), module(torch.ones(2, 3, 8, 8)))
    assert torch.equal(module.seen, torch.ones(2, 3, 8, 8))
    assert net.steps == ()
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Own(4), r"Own must return \(batch, outputs\), here \(2, 3\), found shape \(2, 4\)"),
        (nn.Conv2d(3, 3, 3), r"found shape \(2, 3, 6, 6\)"),
        (nn.LSTM(8, 3), "LSTM cannot take a batch of 2×3×8×8"),
        (nn.Conv2d(1, 3, 8), "Conv2d cannot take a batch of 2×3×8×8"),
        (nn.Sequential(nn.Flatten(), nn.RNN(192, 3)), "found tuple"),
    ],
)
def test_a_module_that_does_not_fit_is_named(module, words):
    with pytest.raises(NetError, match=words):
        build(module, contract(8, channels=3), ClassificationHead, 3)


@pytest.mark.parametrize("net", ["8c3-mp2-12c3same-mp3s2-6n", "8c3same-mp2same-r(8c3same-mp(1x1)-8c3same):relu-gap"])
def test_activating_after_pooling_changes_nothing(net: str) -> None:
    networks = [network(net, 16, 3, seed=1), network(net, 16, 3, seed=1)]
    chains = [module for module in networks[1].modules() if isinstance(module, Chain)]
    assert chains
    for chain in chains:
        chain.__class__ = nn.Sequential
    pixels = torch.randint(0, 256, (6, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    found = []
    for one in networks:
        outputs = one.train()(pixels)
        outputs.square().sum().backward()
        found.append([outputs, *(weight.grad for weight in one.parameters())])
    assert all(torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5) for ours, theirs in zip(*found))
