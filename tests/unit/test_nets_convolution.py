"""A convolution on small maps has the gradients of torch's own."""

import pytest
import torch

from foveal.nets import convolution
from foveal.nets.convolution import Convolution


@pytest.fixture(autouse=True)
def with_matrix_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "_has_amx", lambda: True)


@pytest.mark.parametrize("size", [(2, 2), (4, 3), (1, 1), (6, 5), (7, 9)])
@pytest.mark.parametrize("batch", [16, 21, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_equal_torchs(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], batch: int, bias: bool) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(convolution, "WIDE", 0)
    layer = Convolution(24, 40, 3, padding=1, bias=bias)
    pixels = torch.randn(batch, 24, *size).to(memory_format=torch.channels_last)
    ways = torch.randn(batch, 40, *size)
    found = []
    for largest in (9, 0):
        monkeypatch.setattr(convolution, "LARGEST", largest)
        x = pixels.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(x)
        assert ("SmallMaps" in type(y.grad_fn).__name__) is bool(largest)
        gradients = torch.autograd.grad((y.float() * ways).sum(), (x, *layer.parameters()))
        found.append((y.float(), *gradients))
    for mine, theirs in zip(*found, strict=True):
        assert mine.dtype == theirs.dtype
        assert (mine - theirs).norm() <= 0.01 * theirs.norm()


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        (Convolution(8, 8, 3, padding=1), 7),
        (Convolution(128, 128, 3, padding=1), 10),
        (Convolution(8, 8, 3, padding=1, stride=2), 4),
        (Convolution(8, 8, 1), 4),
        (Convolution(8, 8, 3, padding=1, groups=8), 4),
    ],
)
def test_all_others_are_torchs(layer: Convolution, side: int) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "SmallMaps" not in type(layer(torch.randn(2, layer.in_channels, side, side)).grad_fn).__name__


def test_without_learning_or_in_full_precision_it_is_torchs() -> None:
    layer, pixels = Convolution(8, 8, 3, padding=1), torch.randn(2, 8, 2, 2)
    assert "SmallMaps" not in type(layer(pixels).grad_fn).__name__
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(pixels).dtype == torch.bfloat16
