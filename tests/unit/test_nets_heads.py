import math

import numpy as np
import pytest
import torch
from torch import nn

from foveal.nets.heads import ClassificationHead, RegressionHead


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


@pytest.mark.parametrize("head", [ClassificationHead, RegressionHead])
def test_without_features_there_is_no_output_layer(head):
    outputs = torch.rand(2, 3)
    assert head(None, 3)(outputs) is outputs
    assert not list(head(None, 3).parameters())
    assert head(5, 3)(torch.rand(2, 5)).shape == (2, 3)
    assert isinstance(head(5, 3).output, nn.Linear)


def test_regression_loss_is_the_mean_square():
    head = RegressionHead(4, 1, label_smoothing=0.3)
    assert head.loss(torch.tensor([[1.0], [3.0]]), [2.0, 5.0])["squared_error"].item() == 2.5
    several = RegressionHead(4, 2).loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    assert several["squared_error"].item() == 2.5


def test_spotlights_are_one_number_an_image():
    outputs = torch.tensor([[1.0, 5.0, 2.0], [-1.0, -3.0, -2.0]])
    assert ClassificationHead(4, 3).spotlight(outputs).tolist() == [5, -1]
    assert RegressionHead(4, 3).spotlight(outputs).tolist() == [8, -6]
