"""The tests of maps, held against numbers that are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cues import CONTRACT, SIDE, cued, seeing
from foveal.chosen import Chosen
from foveal.errors import NetError
from foveal.explain.attribution import Attribution, Check, at_original
from foveal.explain.attribution import Tested as Explained  # a name that pytest does not take for a class of tests
from foveal.explain.drawing import svg
from foveal.explain.faithful import Bench, rank_correlation
from foveal.explain.methods import Method, grad_cam, occlusion, spatial_layers
from foveal.explain.picture import FAILED, PASSED, draw_tested
from foveal.explain.redraw import redrawn
from foveal.nets.detect import DetectionHead
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.nets.parts import Normalize
from foveal.recipe import InputContract
from foveal.types import Geometry

ONE_EACH = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def summing(weights: Tensor) -> Network:
    """The output is the sum of the red channel under these weights, (32, 32)."""
    body = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2, bias=False))
    with torch.no_grad():
        body[1].weight.zero_()
        body[1].weight[0, : SIDE * SIDE] = weights.flatten()
    return Network(Normalize(CONTRACT), body, ClassificationHead(None, 2)).eval()


def test_areas_under_curves_of_a_sum_are_what_the_patches_hold() -> None:
    """A corner of 8×8 pixels, four of 64 patches, is white on black and all that counts: it holds 64. Covered in the
    mean colour, 1/16, it holds 4."""
    weights = torch.zeros(SIDE, SIDE)
    weights[:8, :8] = 1
    bench = Bench(summing(weights), (weights * 255).expand(1, 3, SIDE, SIDE), Chosen(0, "sum"))
    patches = np.zeros((8, 8))
    patches[:2, :2] = 1
    best = np.argsort(-patches.ravel(), kind="stable")
    (deleted, worst), _ = bench.areas_of([best, best[::-1].copy()])
    # Shares 0, 2, 4, 8, … of 64: 64, 34, 4, 4, … for the best order; the last, 64 until the share is 32/64, then 4.
    assert deleted == pytest.approx(((64 + 34) / 2 * 2 + (34 + 4) / 2 * 2 + 4 * 60) / 64, rel=1e-5)
    assert worst == pytest.approx((64 * 32 + (64 + 4) / 2 * 32) / 64, rel=1e-5)
    _, (opened, late) = bench.areas_of([best, best[::-1].copy()])
    assert opened > late


def test_occlusion_of_a_sum_is_what_a_window_holds() -> None:
    weights = torch.zeros(SIDE, SIDE)
    weights[12:16, 12:16] = 1  # all of it in the windows from 8 and from 12 on, 7×7 with a stride of 4
    network = summing(weights)
    image = (weights * 255).expand(1, 3, SIDE, SIDE)
    method = occlusion(network, image / 255)
    found = method.maps(network, image / 255, Chosen(0, "sum"), 1)[0]
    assert found[14, 14] == pytest.approx((16 + 12 + 12 + 9) / 4 * (1 - 1 / 64), rel=1e-4)
    assert found[0, 0] == pytest.approx(0, abs=1e-5)


def test_rank_correlation_is_spearmans() -> None:
    array = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    assert rank_correlation(array, np.exp(array)) == pytest.approx(1)
    assert rank_correlation(array, -array) == pytest.approx(-1)
    assert rank_correlation(array, np.zeros_like(array)) == 0
    assert rank_correlation(np.kron(array, np.ones((4, 4), np.float32)), array) == pytest.approx(1), (
        "compared by places"
    )


@pytest.mark.parametrize(
    "net", ["8c3same:none-bn:relu-8c3same:none-bn:relu-8c3same:none-bn:relu-gap", "16c3-16c3-16c3-8n"]
)
def test_signals_stay_as_large_under_new_weights(net: str) -> None:
    network = build(net, CONTRACT, ClassificationHead, 3).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(30)  # no scale that anybody would draw
    images = network.normalize(torch.stack([cued(k, k % 3)[0] for k in range(4)]))
    before = {name: x.clone() for name, x in network.state_dict().items()}
    with torch.no_grad():
        outputs = [redrawn(network, images, seed)(images * 255) for seed in range(4)]
    assert 0.02 < float(torch.cat(outputs).std()) < 20
    assert all(torch.equal(x, before[name]) for name, x in network.state_dict().items())
    assert not torch.equal(outputs[0], outputs[1])


def test_only_the_upper_layers_are_drawn_anew() -> None:
    network = build("4c3-4c3-4c3-4n", CONTRACT, ClassificationHead, 3).eval()
    images = network.normalize(cued(0, 0)[0][None].expand(2, -1, -1, -1))
    for share, kept in ((0.4, 3), (0.0, 4), (1.0, 0)):
        other = redrawn(network, images, 0, share)  # the seed of the initial weights
        same = [
            torch.equal(one.weight, two.weight)
            for one, two in zip(network.modules(), other.modules())
            if isinstance(one, nn.Conv2d | nn.Linear) and isinstance(two, nn.Conv2d | nn.Linear)
        ]
        assert same == [True] * kept + [False] * (5 - kept)


def test_a_map_that_shakes_fails_the_noise_test() -> None:
    network = seeing(ClassificationHead, ONE_EACH)
    pixels, _ = cued(0, 0)
    shaky = Method("shaky", False, lambda _net, images, *_: torch.rand(len(images), SIDE, SIDE))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check = Bench(network, pixels[None].float(), Chosen(0, "red")).test(shaky).checks[-1]
    assert (check.name, check.passed) == ("noise", False)
    assert check.value < 0.5


@pytest.mark.parametrize(("bar", "level", "images"), [(0.02, 0.02, 2), (0.004, 0.005, 2), (0.001, 0.005, 0)])
def test_noise_is_taken_down_until_the_answer_stays(bar: float, level: float, images: int) -> None:
    """The second output is the mean of the positive differences between neighbours, 0.56 of the noise; the first is a
    bar that it takes."""
    difference = nn.Conv2d(3, 1, (1, 2), bias=False)
    last = nn.Linear(1, 2)
    with torch.no_grad():
        difference.weight.zero_()[0, 0, 0] = torch.tensor([1.0, -1.0])
        last.weight.copy_(torch.tensor([[0.0], [1.0]]))
        last.bias.copy_(torch.tensor([bar, 0.0]))
    body = nn.Sequential(difference, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    network = Network(Normalize(CONTRACT), body, ClassificationHead(None, 2)).eval()
    pixels = torch.full((1, 3, SIDE, SIDE), 100.0)
    bench = Bench(network, pixels, Chosen(0, "bar"))
    found, noisy = bench.noisy
    assert (found, len(noisy)) == (level, images)
    if images:
        assert float((noisy - network.normalize(pixels)).std()) == pytest.approx(level, rel=0.05)


def test_a_map_of_the_middle_is_no_better_than_the_middle() -> None:
    network = seeing(ClassificationHead, ONE_EACH)
    pixels, (corner,) = cued(0, 0)
    assert np.abs(corner - 10).max() > 4, "the cue is not in the middle"
    rows = torch.arange(SIDE) - 15.5
    hill = torch.exp(-(rows[:, None] ** 2 + rows**2) / 50)
    middle = Method("middle", False, lambda _net, images, *_: hill.expand(len(images), -1, -1))
    tested = Bench(network, pixels[None].float(), Chosen(0, "red")).test(middle)
    assert {check.name for check in tested.checks if not check.passed} >= {"weights", "deletion", "insertion"}


def test_checks_are_json_and_what_cannot_be_measured_fails() -> None:
    assert Check("noise", 0.6, 0.5, "above", "").passed
    assert not Check("weights", 0.6, 0.5, "below", "").passed
    unknown = Check("noise", math.nan, 0.5, "above", "no", {"each": []})
    assert unknown.as_dict() == {
        "value": None,
        "bound": 0.5,
        "better": "above",
        "passed": False,
        "message": "no",
        "each": [],
    }


def test_a_map_lies_over_the_original_where_the_network_saw_it() -> None:
    array = np.arange(16, dtype=np.float32).reshape(4, 4)
    # An image of 12×8 (width × height), halved to 6×4, and its middle 4×4 taken: columns 2 to 9 are seen.
    there = at_original(array, Geometry(12, 8, 0.5, 0.5, -1.0, 0.0))
    assert there.shape == (8, 12)
    assert np.isnan(there[:, [0, 1, 10, 11]]).all()
    assert not np.isnan(there[:, 2:10]).any()
    assert there[0, 2] == 0
    assert there[0, 3] == pytest.approx(0.25), "a quarter of the way from the first centre to the second"
    assert there[7, 9] == 15
    assert np.array_equal(at_original(array, Geometry(4, 4, 1, 1, 0, 0)), array)


def test_heads_that_find_things_are_explained_at_their_strides() -> None:
    contract = InputContract(width=64, height=64, channels=3)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 3, 64, 64), np.uint8))
    line = "8c3s2same-8c3s2same-8c3s2same-8c3s2same-8c3s2same"
    for net, strides, sizes in ((line, (8, 16, 32), "8×8, 4×4, 2×2"), (line + "-ssd", (16, 32), "4×4, 2×2")):
        network = build(net, contract, lambda *told, **more: DetectionHead(*told, **more), 2, strides=strides).eval()
        images = network.normalize(pixels)
        method = grad_cam(network, images)
        assert method.how.endswith(sizes)
        outputs = network.head(network.body(images))[0]
        found = method.maps(network, images, network.head.winner(outputs), 1)
        assert found.shape == (1, 64, 64)
        assert found.isfinite().all()
        assert found.max() > 0
        name = next(iter(spatial_layers(network, images)))
        assert grad_cam(network, images, name).layer == name


def test_a_figure_says_whether_it_is_an_explanation() -> None:
    found = Attribution(
        "occlusion", Chosen(0, "red"), np.diag([2.0] * 4 + [-1.0] * 4).astype(np.float32), True, how="a window"
    )
    image = np.full((8, 8, 1), 90, np.uint8)
    stood, fell = (
        Explained(found, (Check("noise", value, 0.5, "above", "Noise gives another map."),)) for value in (0.9, 0.1)
    )
    figure = draw_tested([stood, fell], image)
    texts = [text.get_text() for text in figure.texts]
    assert texts[:4] == ["tested", "✓ noise", "not an explanation", "✗ noise"]
    assert [figure.texts[number].get_color() for number in (0, 2)] == [PASSED, FAILED]
    assert texts[4].startswith("occlusion: This map stood all 1 tests")
    assert texts[5] == "occlusion: Noise gives another map. Made from: a window."
    plain, first, second = figure.axes
    assert [len(axes.lines) for axes in (plain, first, second)] == [0, 0, 2]  # only what failed is crossed out
    under, over = first.images
    assert under.get_array()[0, 0].tolist() == [90, 90, 90]
    purple, orange = over.to_rgba(np.array([2.0, -2.0]))[:, :3]
    assert purple[2] > purple[0] > purple[1]
    assert orange[0] > orange[1] > orange[2]
    assert over.get_alpha()[0, 1] == 0
    assert over.get_alpha()[0, 0] > over.get_alpha()[7, 7] > 0
    assert svg(figure) == svg(draw_tested([stood, fell], image))
    assert len(draw_tested([stood] * 4, image).axes) == 5
    across = draw_tested([fell], np.zeros((16, 32, 3), np.uint8), Geometry(32, 16, 0.5, 0.5, -4, 0))
    assert across.axes[1].images[1].get_array().shape == (16, 32)
    with pytest.raises(NetError, match="found none"):
        draw_tested([], image)
