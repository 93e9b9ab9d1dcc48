"""SSDLite's head: what it says, and that its loss is torchvision's."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from foveal.errors import NetError
from foveal.nets import describe, expand, parse, walk
from foveal.nets.detect import DetectionHead
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.nets.ssdlite import SsdLiteHead, _each_alone, _together
from foveal.recipe import InputContract

LINE = "8c3s4same-16c3s4same-24c3s2same-ssd"
NAN = float("nan")
CONTRACT = InputContract(height=64, width=96, channels=3)
TARGET = torch.full((2, 3, 6), NAN)
TARGET[0, 0] = torch.tensor([8.0, 8, 40, 44, 0, 0])
TARGET[0, 1] = torch.tensor([50.0, 20, 90, 60, 2, 0])
TARGET[1, 0] = torch.tensor([20.0, 10, 26, 15, 1, 0])


def network(line: str = LINE, labels: int = 3) -> Network:
    return build(line, CONTRACT, DetectionHead, labels, strides=(8, 16, 32))


def maps(count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, c, h, w, generator=generator) for c, h, w in ((16, 4, 6), (24, 2, 3))]


def head(labels: int = 3) -> SsdLiteHead:
    torch.manual_seed(0)
    return SsdLiteHead((16, 24), labels)


def test_a_line_that_ends_in_ssd_has_its_head() -> None:
    net = network()
    assert isinstance(net.head, SsdLiteHead)
    assert [tuple(one.shape[1:]) for one in net.body(torch.zeros(1, 3, 64, 96))] == [(16, 4, 6), (24, 2, 3)]
    assert net(torch.zeros(2, 3, 64, 96)).shape == (2, 6 * (24 + 6 + 2 + 1 + 1 + 1), 4 + 3)
    backbone = network("timm/test_efficientnet-ssd").backbone
    assert backbone is not None
    assert backbone.indices == [3, 4]


def test_its_name_is_a_line() -> None:
    assert expand("ssdlite") == "timm/mobilenetv2_100-ssd"
    assert str(parse("8C3-SSD")) == "8c3-ssd"


@pytest.mark.parametrize("line", [LINE, "timm/test_efficientnet-ssd"])
def test_where_targets_are_no_boxes_it_is_refused(line: str) -> None:
    with pytest.raises(NetError, match="ends in a head that finds things") as caught:
        build(line, CONTRACT, ClassificationHead, 3)
    assert caught.value.remedy == f"Leave out its last token: {line.removesuffix('-ssd')}."


@pytest.mark.parametrize("line", ["8c3-ssd-8c3", "(8c3-ssd)x2", "r(8c3same-ssd)"])
def test_it_is_the_last_token(line: str) -> None:
    with pytest.raises(NetError, match="must be the last token"):
        walk(parse(line), (3, 32, 32))


def test_it_may_be_written_wrong() -> None:
    with pytest.raises(NetError, match="ssdlite") as caught:
        parse("8c3-ssdlite")
    assert "Did you mean ssd?" in caught.value.remedy


def test_a_table_of_layers_refuses_it_where_there_are_no_boxes() -> None:
    with pytest.raises(NetError, match="ends in a head that finds things") as refused:
        describe(LINE, (64, 96, 3), 4)
    assert LINE.removesuffix("-ssd") in str(refused.value)


def test_a_table_of_layers_counts_it_as_it_is_built() -> None:
    table = describe(LINE, (64, 96, 3), 3, strides=(8, 16, 32))
    assert table.parameters == sum(weights.numel() for weights in network().parameters())


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
def test_logits_are_shares_of_the_softmax(scale: float) -> None:
    scores = torch.randn(500, 5, generator=torch.Generator().manual_seed(0)).double() * scale
    others = [scores[:, [k for k in range(5) if k != label]].logsumexp(dim=1) for label in range(1, 5)]
    expected = scores[:, 1:] - torch.stack(others, dim=1)
    found = _each_alone(scores.float())
    assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-4)
    assert torch.allclose(found.double().sigmoid(), scores.softmax(dim=1)[:, 1:], atol=1e-5)


def test_equal_scores_share_alike() -> None:
    assert torch.allclose(_each_alone(torch.zeros(1, 4)).sigmoid(), torch.tensor(0.25))


def test_the_softmax_comes_back_with_its_gradient() -> None:
    scores = (torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * 2).requires_grad_()
    found, expected = _together(_each_alone(scores)), scores.log_softmax(dim=1)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3)
    weights = torch.randn(500, 4, generator=torch.Generator().manual_seed(1))
    gradients = [
        torch.autograd.grad((some * weights).sum(), scores, retain_graph=True)[0] for some in (found, expected)
    ]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-3)


def test_the_loss_is_torchvisions() -> None:
    ours = head()
    levels = [expand(x) for expand, x in zip(ours.expand, maps())]
    for extra in ours.extra:
        levels.append(extra(levels[-1]))
    raw = ours.ssd.head(levels)
    defaults = ours.ssd.anchor_generator(ImageList(torch.zeros(2, 3, 64, 96), [(64, 96)] * 2), levels)
    outputs = ours(maps())
    whole = {"class": 0.0, "box": 0.0}
    for k in range(2):
        rows = TARGET[k][~TARGET[k, :, 0].isnan()]
        truth = {"boxes": rows[:, :4], "labels": rows[:, 4].long() + 1}
        matched = ours.ssd.proposal_matcher(box_iou(truth["boxes"], defaults[k]))
        one = {name: tensor[k : k + 1] for name, tensor in raw.items()}
        loss = ours.ssd.compute_loss([truth], one, [defaults[k]], [matched])
        whole["class"] += loss["classification"].item() / 2
        whole["box"] += loss["bbox_regression"].item() / 2
    found = ours.loss(outputs, TARGET)
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(whole, rel=1e-3)


def test_the_loss_of_a_batch_is_the_mean_over_its_images() -> None:
    ours = head()
    outputs = ours(maps()).detach()
    together = ours.loss(outputs, TARGET)
    alone = [ours.loss(outputs[k : k + 1], TARGET[k : k + 1]) for k in range(2)]
    for name in ("class", "box"):
        assert together[name].item() == pytest.approx((alone[0][name] + alone[1][name]).item() / 2, rel=1e-6)


def test_images_without_boxes_and_crowds_are_no_trouble() -> None:
    ours, crowd = head(), TARGET.clone()
    outputs = ours(maps()).detach().requires_grad_()
    nothing = ours.loss(outputs, torch.full((2, 3, 6), NAN))
    assert nothing["class"] == nothing["box"] == 0
    crowd[0, 1] = torch.tensor([0.0, 0, 96, 64, 1, 1])
    sum(ours.loss(outputs, crowd).values()).backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    taught = outputs.grad[0].any(dim=1)
    defaults = ours._defaults(outputs)
    matched = ours.ssd.proposal_matcher(box_iou(crowd[0, :1, :4], defaults)) >= 0
    assert torch.equal(taught, matched), "all else lies in the crowd"


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e12])
def test_boxes_are_finite_and_ordered_whatever_the_weights(training: bool, scale: float) -> None:
    ours = head().train(training)
    with torch.no_grad():
        for weight in ours.ssd.head.parameters():
            weight.normal_(std=scale)
        outputs = ours(maps())
    assert outputs.isfinite().all()
    assert (outputs[..., 2:4] >= outputs[..., :2]).all()


def test_one_image_of_which_a_single_number_is_left_can_be_learned_from() -> None:
    ours = head()
    outputs = ours(maps(1))
    sum(ours.loss(outputs, TARGET[:1]).values()).backward()
    assert all(weight.grad is not None for weight in ours.parameters())


def test_a_small_net_learns() -> None:
    images = torch.full((2, 3, 64, 96), 40, dtype=torch.uint8)
    images[0, 0, 8:44, 8:40] = 220
    images[1, 2, 20:60, 50:90] = 220
    truth = torch.full((2, 1, 6), NAN)
    truth[0, 0] = torch.tensor([8.0, 8, 40, 44, 0, 0])
    truth[1, 0] = torch.tensor([50.0, 20, 90, 60, 1, 0])
    net = network("8c3s2same:none-bn:relu-16c3s4same:none-bn:relu-32c3s2same-32c3s2same-ssd", labels=2)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = sum(net.head.loss(net(images), truth).values())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert isinstance(net.head, nn.Module)
    outputs = net.eval()(images).detach()
    for found, row in zip(outputs, truth[:, 0]):
        place = int(found[:, 4:].amax(dim=1).argmax())
        assert int(found[place, 4:].argmax()) == int(row[4])
        assert box_iou(found[place : place + 1, :4], row[None, :4]) > 0.5
