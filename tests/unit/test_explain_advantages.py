"""What convolution buys."""

import numpy as np
import pytest
import torch
from torch import nn

from foveal.examples import Examples
from foveal.explain.advantages import connections, shift_consistency
from foveal.explain.equivariance import equivariance
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.recipe import InputContract
from foveal.tasks import named_task

COOKBOOK = "32c3-mp2-64c3-mp2-128c3-128n"


def network(net, channels=3, side=32, outputs=10):
    contract = InputContract(height=side, width=side, channels=channels)
    return build(net, contract, ClassificationHead, outputs=outputs)


def noise(count, channels=3, side=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)


def test_the_worked_example_counted():
    first, *_, last = connections(network(COOKBOOK), (3, 32, 32))
    assert (first.layer, first.before, first.after, first.kernel) == ("32c3", (3, 32, 32), (32, 30, 30), (3, 3))
    # 30·30 places · 32 filters · 27 numbers; and 28 where each has a bias of its own.
    assert (first.connections, first.local_parameters, first.parameters) == (777_600, 806_400, 896)
    assert first.dense_parameters == 88_502_400  # (32·32·3 + 1) · 30·30·32
    assert (first.multiplications, first.dense_multiplications) == (777_600, 88_473_600)
    assert first.local_share == pytest.approx(9 / 1024)
    assert (first.sharing, first.saving) == (900, pytest.approx(98_775))
    assert (last.layer, last.connections, last.parameters) == ("128c3", 16 * 128 * 576, 73_856)


def test_padding_connects_nothing():
    # Along an axis of 5, `same` with a kernel of 3 meets 2 + 3 + 3 + 3 + 2 = 13 pixels.
    (found,) = connections(network("2c3same", channels=1, side=5), (1, 5, 5))
    assert (found.connections, found.local_parameters, found.multiplications) == (2 * 169, 2 * 169 + 50, 2 * 225)
    # Unequal edges are a module of their own: places 0, 2, 4, 6 of 8, none before, one after: 3 + 3 + 3 + 2.
    (found,) = connections(network("1c3s2same", channels=1, side=8), (1, 8, 8))
    assert (found.before, found.connections) == ((1, 8, 8), 121)


def test_shortcuts_and_modules_are_counted():
    inner, shortcut = connections(network("r(4c1s2)", channels=1, side=8), (1, 8, 8))
    assert (inner.layer, shortcut.layer, shortcut.parameters) == ("4c1s2", "r(4c1s2)", 4)
    module = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False), nn.Flatten(), nn.Linear(150, 3))
    contract = InputContract(height=5, width=5, channels=3)
    (found,) = connections(build(module, contract, lambda *_, **__: nn.Identity(), outputs=3), (3, 5, 5))
    assert (found.layer, found.parameters, found.connections) == ("body.0", 6 * 9, 169 * 6)


def test_a_layer_moves_with_the_image_by_multiples_of_its_jump():
    net = network("4c3same-mp2-6c3same-bp2-4c3-5n")
    found = {(one.layer, one.distance): one for one in equivariance(net, noise(5))}
    for (layer, distance), one in found.items():
        jump = {"4c3same": 1, "mp2": 2, "6c3same": 2, "bp2": 4, "4c3": 4}.get(layer)
        assert one.jump == (None if jump is None else (jump, jump))
        assert one.exact == (jump is not None and distance % jump == 0)
        assert one.error is not None
        assert one.error.n == 5
        assert one.error.value < 1e-6 if one.exact else one.error.low > 1e-3
    # Of 32 columns of the first map 30 see no padding, and after 4 pixels 26 of them what was there before.
    assert (found["4c3same", 1].numbers, found["4c3same", 4].numbers) == (29 * 30, 26 * 30)
    # 14 of 16 pooled columns; 13 of them after one place; half a place needs both neighbours as well.
    assert [found["mp2", far].numbers for far in (1, 2, 3)] == [13 * 14, 13 * 14, 12 * 14]


def test_interpolation_is_exact_where_the_map_is_a_plane():
    net = network("1c1s2:none-mp2", channels=1, side=16)
    net.steps[0].module[0].weight.data.fill_(1)
    ramp = (torch.arange(16)[:, None] * 4 + torch.arange(16)[None] * 8)[None, None].to(torch.uint8)
    (found,) = equivariance(net, ramp.expand(2, -1, -1, -1), ["1c1s2:none"], [1])
    assert found.error is not None
    assert found.error.value < 1e-6
    assert not found.exact


def test_no_number_is_free_of_the_edges():
    found = equivariance(network("2c5same-2c5same-2c5same", side=10), noise(2, side=10), ["2c5same#3"], [1])
    assert [(one.error, one.numbers) for one in found] == [(None, 0)]


def test_convolutions_of_a_module_are_found_and_those_that_see_an_edge_passed_over():
    module = nn.Sequential(
        *(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 2, 9)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    contract = InputContract(height=20, width=20, channels=1)
    net = build(module, contract, lambda *_, **__: nn.Identity(), outputs=2)
    found = equivariance(net, noise(3, 1, 20), distances=[1, 2])
    assert [(one.layer, one.jump, one.exact) for one in found] == [
        ("body.0", (2, 2), False),
        ("body.0", (2, 2), True),
        ("body.2", (2, 2), False),
        ("body.2", (2, 2), True),
    ]
    assert [one.error.value < 1e-6 for one in found if one.error] == [False, True, False, True]
    # Of 10 columns at 0, 2, … 18 the first sees padding, of the next layer the first two and the last.
    assert [one.numbers for one in found] == [8 * 9, 8 * 9, 6 * 7, 6 * 7]


def test_a_network_without_weights_answers_the_same_wherever_the_thing_is():
    net = network("4c3-gap", channels=1, side=16, outputs=3)
    pixels = noise(20, 1, 16).permute(0, 2, 3, 1).numpy()
    test = Examples([f"{number}.png" for number in range(20)], pixels, np.zeros(20, np.int64))
    task = named_task("classification")
    with torch.no_grad():
        net.head.output.weight.zero_()
    found = shift_consistency(net, task, test, ["a", "b", "c"])
    assert (found.images, found.change, set(found.scores)) == (20, "same", {"straight", "diagonal", "random"})
    assert [score.value for score in found.scores["straight"]] == [1, 1]
    assert found.scores["straight"][0].low == pytest.approx(0.8389, abs=1e-4)  # Wilson's of 20 of 20
