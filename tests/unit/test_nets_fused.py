"""Pooling, batch norm, bias and ReLU as one: held to torch's own layers, one after the other, in double precision."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foveal.nets import fused
from foveal.nets.convolution import _beside
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.recipe import InputContract

pytestmark = pytest.mark.skipif(not fused.works(), reason="numba, or its OpenMP threads, is not here")
EPS = 2.0**-8  # of a number rounded to bfloat16, at most


def maps(*shape: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 1.5 + 0.3
    return drawn.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


def norm_of(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, momentum=0.3)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, channels))
        norm.bias.copy_(torch.linspace(-0.5, 0.7, channels))
    return norm


def there_and_back(layer: nn.Module, x: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    x = x.detach().double().requires_grad_()
    y = layer(x)
    y.backward(gradient.double())
    assert x.grad is not None
    return y.detach(), x.grad


def close(found: Tensor, expected: Tensor, share: float = 1.0) -> bool:
    """To the rounding of bfloat16, beside the largest of all for what was nearly cancelled."""
    room = share * EPS * expected.abs() + 1e-3 * expected.abs().max() * EPS + 1e-7
    return bool(((found.double() - expected).abs() <= room).all())


@pytest.mark.parametrize("shape", [(5, 24, 8, 8), (3, 7, 9, 7), (9, 64, 5, 3), (1, 1, 4, 4), (6, 40, 1, 1)])
@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("normed", [False, True])
def test_as_torchs_layers(shape: tuple[int, ...], pool: bool, normed: bool) -> None:
    if pool and min(shape[2:]) < 2:
        pytest.skip("nothing to pool")
    x, channels = maps(*shape).requires_grad_(), shape[1]
    norm, bias = norm_of(channels), torch.linspace(-1, 1, channels).requires_grad_()
    exact = copy.deepcopy(norm).double()
    y = fused.rectified(x, norm, pool=pool) if normed else fused.rectified(x, None, bias, pool)
    gradient = maps(*y.shape, seed=1)
    y.backward(gradient)

    wide_bias = bias.detach().double().requires_grad_()
    middle = exact if normed else _Added(wide_bias)
    layer = nn.Sequential(nn.MaxPool2d(2) if pool else nn.Identity(), middle, nn.ReLU())
    expected, slope = there_and_back(layer, x, gradient)
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert close(y, expected)
    assert x.grad is not None
    assert close(x.grad, slope)
    if normed:
        assert exact.weight.grad is not None
        assert exact.bias.grad is not None
        torch.testing.assert_close(norm.weight.grad, exact.weight.grad.float(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(norm.bias.grad, exact.bias.grad.float(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(norm.running_mean, exact.running_mean.float(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(norm.running_var, exact.running_var.float(), rtol=1e-5, atol=1e-6)
        assert norm.num_batches_tracked == exact.num_batches_tracked == 1
    else:
        assert wide_bias.grad is not None
        torch.testing.assert_close(bias.grad, wide_bias.grad.float(), rtol=1e-4, atol=1e-4)


class _Added(nn.Module):
    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias[:, None, None]


def test_a_large_mean_costs_no_digits() -> None:
    x = (maps(64, 4, 6, 6).float() * 0.5 + 200).to(torch.bfloat16).requires_grad_()
    norm = nn.BatchNorm2d(4, momentum=1.0)
    fused.rectified(x.contiguous(memory_format=torch.channels_last), norm)
    torch.testing.assert_close(norm.running_var, x.detach().double().var((0, 2, 3)).float(), rtol=1e-5, atol=0)


def test_of_equal_ones_the_first_is_the_largest() -> None:
    x = torch.zeros(1, 3, 4, 4, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last).requires_grad_()
    fused.rectified(x, None, torch.ones(3), pool=True).sum().backward()
    assert x.grad is not None
    expected = torch.zeros(4, 4)
    expected[::2, ::2] = 1
    assert (x.grad.float() == expected).all()


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_no_number_stays_so(place: int, sign: int) -> None:
    x = maps(2, 8, 2, 2)
    x[0, 3, place // 2, place % 2] = sign * torch.nan
    y = fused.rectified(x.clone().requires_grad_(), None, None, pool=True)
    assert y.isnan().nonzero().tolist() == [[0, 3, 0, 0]]
    norm = norm_of(8)
    fused.rectified(x.clone().requires_grad_(), norm)
    assert norm.running_mean is not None
    assert norm.running_mean.isnan().nonzero().tolist() == [[3]]
    assert fused.rectify(x.clone()).isnan().sum() == 1


def test_the_same_bits_with_any_number_of_threads() -> None:
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            x, norm = maps(37, 24, 10, 10).requires_grad_(), norm_of(24)
            y = fused.rectified(x, norm, pool=True)
            y.backward(maps(*y.shape, seed=2))
            results.append((y.detach(), x.grad, norm.weight.grad, norm.running_var))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize(("shape", "side"), [((8, 6, 3, 4), 2), ((16, 5, 7, 7), 4), ((4, 1, 1, 1), 2)])
def test_laid_beside_each_other_as_torch_lays_them(shape: tuple[int, ...], side: int) -> None:
    x = maps(*shape)
    assert torch.equal(fused.beside(x, side), _beside(x, side))


@pytest.mark.parametrize("count", [1, 2, 17])
def test_rectified_in_place(count: int) -> None:
    x = maps(count, 24, 5, 3)
    expected = torch.relu(x)
    assert torch.equal(fused.rectify(x), expected)
    assert torch.equal(x, expected)


LINES = {
    "w2-16c3same:none-mp2-bn:relu-16c3same:none-bn:relu-gmp": 3,  # whitening's ReLU, pooled, not pooled
    "16c3-16c3-mp2-do0.1-flat": 1,  # a bias
    "16c3same:none-bn:relu-mp2-gap": 1,
    "16c3same:none-bn:tanh-gap": 0,
    "16c3same:none-bn:relu-mp3-gap": 1,
    "16c3same:none-mp3-bn:relu-gap": 1,
}


def network(line: str) -> Network:
    contract = InputContract(height=16, width=16, channels=3, mean=(0.5,), std=(0.25,))
    torch.manual_seed(3)
    made = build(line, contract, ClassificationHead, 4, seed=1)
    made.fit(torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8))
    return made.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("line", LINES)
def test_a_network_learns_the_same(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, own = network(line), network(line)
    own.fuse(True)
    calls: list[str] = []
    for name in ("rectified", "rectify"):
        done = getattr(fused, name)
        monkeypatch.setattr(
            fused, name, lambda *given, _done=done, **more: (calls.append("x"), _done(*given, **more))[1]
        )
    pixels = torch.randint(0, 256, (32, 3, 16, 16), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    losses = []
    for made in (plain, own):
        made.train()
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            outputs = made(pixels).float()
        loss = nn.functional.cross_entropy(outputs, torch.arange(32) % 4)
        loss.backward()
        losses.append(float(loss.detach()))
    assert len(calls) == LINES[line]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    for (name, one), two in zip(plain.named_parameters(), own.parameters()):
        assert one.grad is not None
        assert two.grad is not None
        away = (one.grad - two.grad).norm() / one.grad.norm().clamp(min=1e-3)
        assert away < 0.1, f"{name}: {float(away)}"
    with torch.no_grad():
        assert torch.allclose(plain.eval()(pixels), own.eval()(pixels), atol=0.05)


def test_in_single_precision_and_without_training_nothing_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = network("w2-16c3same:none-mp2-bn:relu-gmp")
    own.fuse(True)
    calls, kernels = [0], fused.kernels

    def counted() -> Any:
        calls[0] += 1
        return kernels()

    monkeypatch.setattr(fused, "kernels", counted)
    pixels = torch.zeros(2, 3, 16, 16, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    own.train()(pixels)
    with torch.autocast("cpu", torch.bfloat16):
        own.eval()(pixels)
    assert calls[0] == 0
    with torch.autocast("cpu", torch.bfloat16):
        own.train()(pixels)
    assert calls[0] == 2, "whitening's ReLU, and pooling with batch norm"
