"""Explanations of networks of which it is known what they go by: one patch, made here, and nothing else."""

import json
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cues import CONTRACT, CUE, SIDE, cued, inside, seeing
from foveal.chosen import Chosen
from foveal.errors import NetError
from foveal.explain import attribution, explain_answer
from foveal.explain.methods import METHODS, Method, grad_cam
from foveal.explain.passes import scalar_of
from foveal.explain.redraw import redrawn
from foveal.nets.heads import ClassificationHead, MultiLabelHead, RegressionHead
from foveal.nets.layers import Network, build
from foveal.nets.parts import Normalize
from foveal.nets.spotlights import box_logit, surest_box

ONE_EACH = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
PLAIN = ("grad-cam", "occlusion")


class PlacesHead(nn.Module):
    """A box of 12×12 around every place of every map, with a score for each of three labels: what the maps hold."""

    def fit(self, targets: np.ndarray) -> None:
        pass

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        rows = []
        for x in maps:
            stride = SIDE // x.shape[2]
            y, column = torch.meshgrid(*[torch.arange(x.shape[2]) * stride + stride / 2] * 2, indexing="ij")
            centre = torch.stack([column, y], dim=2).reshape(1, -1, 2).expand(len(x), -1, -1)
            rows.append(torch.cat([centre - 6, centre + 6, 30 * x[:, :3].flatten(2).transpose(1, 2) - 4], dim=2))
        return torch.cat(rows, dim=1)

    def loss(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError

    def spotlight(self, outputs: Tensor, chosen: Chosen | None = None) -> Tensor:
        return box_logit(outputs, chosen)

    def winner(self, outputs: Tensor) -> Chosen:
        return surest_box(outputs)


class Maps(nn.Module):
    """A body's map and the same at half its size."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(images)
        return x, nn.functional.avg_pool2d(x, 2)


def finding() -> Network:
    body = seeing(ClassificationHead, ONE_EACH).body
    return Network(Normalize(CONTRACT), Maps(nn.Sequential(*list(body.children())[:-1])), PlacesHead()).eval()


def guided_backpropagation(network: Network, images: Tensor, chosen: Chosen, direction: int) -> Tensor:
    from captum.attr import GuidedBackprop

    class Scalar(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            return scalar_of(network, chosen, direction)(images)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it sets hooks, and says so
        found = GuidedBackprop(Scalar()).attribute(images.detach().clone().requires_grad_())
    return found.detach().abs().sum(dim=1)


GUIDED = Method("guided-backpropagation", False, guided_backpropagation)


def told(tested: attribution.Tested) -> str:
    return f"{tested.attribution.method}: {tested.sentence}"


def test_maps_of_a_label_lie_on_the_cue_and_pass() -> None:
    network = seeing(ClassificationHead, ONE_EACH)
    for seed in range(4):
        pixels, (corner,) = cued(seed, seed % 3)
        for tested in explain_answer(network, pixels, methods=PLAIN):
            assert tested.attribution.chosen.number == seed % 3
            assert inside(tested.attribution.map, corner) >= 0.8, told(tested)
            assert tested.passed, told(tested)


@pytest.mark.parametrize("method", PLAIN)
def test_a_map_of_other_weights_fails(method: str) -> None:
    """As a method that always asks the same untrained network would give it."""
    network = seeing(ClassificationHead, ONE_EACH)
    for seed in range(3):
        pixels, _ = cued(seed, 0)
        images = network.normalize(pixels[None])
        other = redrawn(network, torch.cat([images, images.flip(3)]), seed=7)
        inner = METHODS[method](network, images)
        stuck = Method("stuck", inner.signed, lambda _, *told, inner=inner, other=other: inner.maps(other, *told))
        (tested,) = explain_answer(network, pixels, methods=[stuck])
        assert not tested.passed


def test_guided_backpropagation_fails_the_weights_test_only_there() -> None:
    """Adebayo et al., figure 2: it hardly changes when upper layers are drawn anew, and looks right nonetheless."""
    network = seeing(ClassificationHead, ONE_EACH)
    for seed in range(3):
        pixels, (corner,) = cued(seed, seed % 3)
        (tested,) = explain_answer(network, pixels, methods=[GUIDED])
        assert inside(tested.attribution.map, corner) >= 0.8
        assert [check.name for check in tested.checks if not check.passed] == ["weights"], told(tested)
        assert tested.as_dict()["badge"] == "not an explanation"


def test_a_label_that_loses_has_its_own_map() -> None:
    network = seeing(MultiLabelHead, ONE_EACH, bias=-2.0)
    pixels, (red, blue) = cued(3, 0, 2)
    for k, corner in ((0, red), (2, blue)):
        for tested in explain_answer(network, pixels, Chosen(k, "it"), PLAIN):
            assert inside(tested.attribution.map, corner) >= 0.8, told(tested)


def test_a_value_may_be_low() -> None:
    network = seeing(RegressionHead, [[1.0, -1.0, 0.0]])
    network.head.fit(np.array([0.0, 10.0]))
    for kind, direction in ((0, 1), (1, -1)):
        pixels, (corner,) = cued(4, kind)
        for tested in explain_answer(network, pixels, methods=PLAIN):
            assert tested.attribution.direction == direction
            assert inside(tested.attribution.map, corner) >= 0.8, told(tested)
            assert tested.passed, told(tested)


def test_of_two_boxes_the_chosen_one_is_explained() -> None:
    network = finding()
    pixels, corners = cued(5, 1, 1)
    outputs = network(pixels[None])[0].detach()
    for row, column in corners:
        wanted = torch.tensor([column, row, column + CUE, row + CUE], dtype=torch.float32)
        place = int((outputs[:, :4] - wanted).abs().sum(dim=1).argmin())
        chosen = Chosen(1, "green", place, tuple(outputs[place, :4].tolist()))
        for tested in explain_answer(network, pixels, chosen, PLAIN):
            assert inside(tested.attribution.map, np.array([row, column])) >= 0.8, told(tested)
        assert "8×8" in explain_answer(network, pixels, chosen, ["grad-cam"])[0].attribution.how


def test_integrated_gradients_add_up() -> None:
    network = seeing(ClassificationHead, ONE_EACH)
    pixels, _ = cued(1, 1)
    (tested,) = explain_answer(network, pixels, methods=["integrated-gradients"])
    image = network.normalize(pixels[None])
    gone = image.mean(dim=(2, 3), keepdim=True).expand_as(image)
    difference = (network.head(network.body(image)) - network.head(network.body(gone)))[0, 1].item()
    completeness = tested.attribution.completeness
    assert completeness is not None
    assert completeness < 0.05
    assert abs(tested.attribution.map.sum() - difference) == pytest.approx(completeness * abs(difference), abs=1e-4)


def test_the_mirror_image_is_left_out() -> None:
    pixels, _ = cued(2, 2)
    alone, both = (seeing(ClassificationHead, ONE_EACH) for _ in range(2))
    both.mirror = True
    maps = [explain_answer(network, pixels, methods=["occlusion"])[0].attribution.map for network in (alone, both)]
    assert np.array_equal(*maps)


def test_the_same_seed_gives_the_same_and_nothing_is_left_behind() -> None:
    network = seeing(ClassificationHead, ONE_EACH).train()
    pixels, _ = cued(2, 2)
    state, before = torch.get_rng_state(), {name: x.clone() for name, x in network.state_dict().items()}
    first, second = (explain_answer(network, pixels, methods=["grad-cam"])[0] for _ in range(2))
    assert json.dumps(first.as_dict()) == json.dumps(second.as_dict())
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(x, before[name]) for name, x in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())


@pytest.mark.parametrize("fill", [0.0, 3.0, np.nan])
def test_a_map_that_tells_nothing_is_no_explanation(fill: float) -> None:
    network = seeing(ClassificationHead, ONE_EACH)
    flat = Method("flat", False, lambda _net, images, *_: torch.full((len(images), SIDE, SIDE), fill))
    (tested,) = explain_answer(network, cued(0, 0)[0], methods=[flat])
    assert not tested.passed
    assert tested.checks == ()
    assert tested.sentence.startswith("The map ")


def test_other_bodies_have_maps_too() -> None:
    """A residual net, somebody's own module with ReLU in place, and one that has no maps."""
    pixels = cued(0, 0)[0]
    residual = build("8c3same-mp4-r(8c3same:none-bn:relu-8c3same:none):relu-gap", CONTRACT, ClassificationHead, 2)
    own = nn.Sequential(nn.Conv2d(3, 8, 5, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(800, 2))
    module = build(own, CONTRACT, ClassificationHead, 2)
    for network, layer, size in ((residual, "body.2", "8×8"), (module, "body.1", "10×10")):
        (tested,) = explain_answer(network, pixels, methods=["grad-cam"])
        assert tested.attribution.layer == layer
        assert size in tested.attribution.how
    dense = build("flat-8n", CONTRACT, ClassificationHead, 2)
    (tested,) = explain_answer(dense, pixels, methods=["grad-cam"])
    assert tested.sentence == "No layer of this network has a map: there is no Grad-CAM."
    with pytest.raises(NetError, match=r"found 'body\.9'"):
        grad_cam(residual, residual.normalize(pixels[None]), "body.9")
    with pytest.raises(NetError, match="found 'lime'"):
        explain_answer(dense, pixels, methods=["lime"])
    with pytest.raises(ValueError, match="expected one image"):
        explain_answer(dense, pixels[0])
