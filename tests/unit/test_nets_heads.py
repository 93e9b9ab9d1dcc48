import math

import numpy as np
import pytest
import torch
from torch import nn

from foveal.chosen import Chosen
from foveal.nets.heads import ClassificationHead, MultiLabelHead, RegressionHead

HEADS = [ClassificationHead, MultiLabelHead, RegressionHead]
NAN = float("nan")


def test_classification_loss_is_cross_entropy():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    expected = (math.log(math.e**2 + 2) - 2 + math.log(math.e + 2) - 1) / 2
    for targets in ([0, 1], np.array([0, 1], dtype=np.int64), torch.tensor([0, 1])):
        loss = ClassificationHead(4, 3).loss(logits, targets)
        assert list(loss) == ["cross_entropy"]
        assert loss["cross_entropy"].item() == pytest.approx(expected, rel=1e-6)


def test_label_smoothing_spreads_a_share_over_all_labels():
    logits = torch.tensor([[2.0, 0.0]])
    log_p = [2 - math.log(math.e**2 + 1), -math.log(math.e**2 + 1)]
    loss = ClassificationHead(4, 2, label_smoothing=0.2).loss(logits, [0])
    assert loss["cross_entropy"].item() == pytest.approx(-(0.9 * log_p[0] + 0.1 * log_p[1]), rel=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_without_features_there_is_no_output_layer(head):
    outputs = torch.rand(2, 3)
    assert torch.equal(head(None, 3)(outputs), outputs)
    assert not list(head(None, 3).parameters())
    assert head(5, 3)(torch.rand(2, 5)).shape == (2, 3)
    assert isinstance(head(5, 3).output, nn.Linear)


@pytest.mark.parametrize("head", HEADS[:2])
def test_labels_have_nothing_to_fit(head):
    fitted = head(5, 3)
    fitted.fit(np.zeros((4, 3), np.float32))
    assert sorted(fitted.state_dict()) == ["output.bias", "output.weight"]


def test_multi_label_loss_is_the_mean_over_known_cells():
    logits, targets = torch.tensor([[2.0, -1.0], [0.5, 3.0]]), torch.tensor([[1.0, NAN], [0.0, 1.0]])
    losses = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(0.5)), math.log(1 + math.exp(-3))]
    for given in (targets, targets.numpy(), targets.tolist()):
        loss = MultiLabelHead(4, 2).loss(logits, given)
        assert list(loss) == ["binary_cross_entropy"]
        assert loss["binary_cross_entropy"].item() == pytest.approx(sum(losses) / 3, rel=1e-6)


def test_multi_label_smoothing():
    smoothed = MultiLabelHead(4, 1, label_smoothing=0.2).loss(torch.tensor([[2.0]]), torch.tensor([[1.0]]))
    expected = 0.9 * math.log(1 + math.exp(-2)) + 0.1 * math.log(1 + math.exp(2))
    assert smoothed["binary_cross_entropy"].item() == pytest.approx(expected, rel=1e-6)


def test_unknown_labels_have_no_gradient():
    logits = torch.zeros(2, 2, requires_grad=True)
    loss = MultiLabelHead(None, 2, 0.1).loss(logits, torch.tensor([[1.0, NAN], [NAN, NAN]]))
    loss["binary_cross_entropy"].backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0
    assert logits.grad.flatten()[1:].tolist() == [0, 0, 0]
    nothing = MultiLabelHead(None, 2).loss(logits, torch.full((2, 2), NAN))
    assert nothing["binary_cross_entropy"].item() == 0


def test_regression_loss_is_hubers_or_the_mean_square():
    outputs, targets = torch.tensor([[1.0], [3.0]]), [1.5, 5.0]
    squared = RegressionHead(4, 1, label_smoothing=0.3, loss="squared")
    assert squared.loss(outputs, targets)["squared_error"].item() == pytest.approx((0.25 + 4) / 2)
    for loss in ("auto", "huber"):
        huber = RegressionHead(4, 1, loss=loss).loss(outputs, targets)
        assert huber["huber"].item() == pytest.approx((0.5 * 0.25 + 2 - 0.5) / 2)
    several = RegressionHead(4, 2, loss="squared").loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    assert several["squared_error"].item() == 2.5


def test_values_are_learned_in_units_of_their_spread():
    targets = np.array([[1000.0, 5], [3000, 5]], np.float32)
    head = RegressionHead(2, 2, loss="squared")
    head.fit(targets)
    assert head.mean.tolist() == [2000, 5]
    assert head.spread.tolist() == [1000, 1], "what is always the same has no spread"
    nn.init.zeros_(head.output.weight)
    with torch.no_grad():
        head.output.bias.copy_(torch.tensor([0.5, 0.0]))
    outputs = head(torch.rand(2, 2))
    assert outputs.tolist() == [[2500, 5]] * 2
    assert head.loss(outputs, targets)["squared_error"].item() == pytest.approx((1.5**2 + 0.5**2) / 4)
    assert head.spotlight(outputs).tolist() == [0.5, 0.5]
    kept = RegressionHead(2, 2)
    kept.load_state_dict(head.state_dict())
    assert torch.equal(kept(torch.zeros(1, 2)), outputs[:1])


def test_spread_of_a_constant_that_is_no_binary_fraction_is_1():
    head = RegressionHead(None, 1)
    head.fit(np.full(1001, 0.1, np.float32))
    assert head.spread.tolist() == [1]
    assert head(torch.zeros(1, 1)).item() == pytest.approx(0.1)


def test_the_loss_does_not_depend_on_the_unit():
    targets = np.random.default_rng(0).normal(30, 10, (50, 1)).astype(np.float32)
    features = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    losses = []
    for unit in (1, 1000):
        head = RegressionHead(3, 1)
        nn.init.constant_(head.output.weight, 0.2)
        nn.init.zeros_(head.output.bias)
        head.fit(unit * targets)
        losses.append(head.loss(head(features), torch.from_numpy(unit * targets))["huber"].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_is_chosen_stands_in_the_light():
    outputs = torch.tensor([[1.0, 5.0, 2.0], [-1.0, -3.0, -2.0]])
    for head in (ClassificationHead(4, 3), MultiLabelHead(4, 3)):
        assert [head.winner(row).number for row in outputs] == [1, 0]
        assert head.spotlight(outputs, Chosen(2, "z")).tolist() == [2, -2]
    head = RegressionHead(4, 3)
    head.fit(np.array([[0.0, 0.0, 10.0], [0.0, 0.0, 30.0]]))
    assert head.spotlight(outputs, Chosen(2, "z")).tolist() == pytest.approx([-1.8, -2.2]), "in units of the spread"
    assert head.winner(outputs[0]).either_way


def test_spotlights_are_one_number_an_image():
    outputs = torch.tensor([[1.0, 5.0, 2.0], [-1.0, -3.0, -2.0]])
    assert ClassificationHead(4, 3).spotlight(outputs).tolist() == [5, -1]
    assert MultiLabelHead(4, 3).spotlight(outputs).tolist() == [5, -1]
    assert RegressionHead(4, 3).spotlight(outputs).tolist() == [1, -1]
