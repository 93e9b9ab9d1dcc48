"""What a channel likes."""

import numpy as np
import pytest
import torch

from foveal.errors import NetError
from foveal.explain.likes import likings
from foveal.explain.maximise import maximised
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.recipe import InputContract


def network(net, channels=1, side=12):
    contract = InputContract(height=side, width=side, channels=channels)
    return build(net, contract, ClassificationHead, outputs=3)


def spots(count, side=12):
    """Black images with one white pixel: image i at row i, column 2, as bright as 10 · (i + 1)."""
    pixels = torch.zeros(count, 1, side, side, dtype=torch.uint8)
    for number in range(count):
        pixels[number, 0, number, 2] = 10 * (number + 1)
    return pixels


def batches(pixels, size):
    names = [f"{number}.png" for number in range(len(pixels))]
    for start in range(0, len(pixels), size):
        yield names[start : start + size], pixels[start : start + size]


def test_the_brightest_spots_are_found_where_they_are():
    net = network("2c3-mp2")
    conv = net.steps[0].module[0]
    conv.weight.data.zero_()
    conv.weight.data[0, 0, 1, 1] = 1  # the pixel itself
    conv.weight.data[1, 0, 1, 1] = -1
    bright, dark = likings(net, "2c3", batches(spots(10), 4), top=3)
    assert (bright.channel, dark.channel, bright.images) == (0, 1, 10)
    # The spot of image i is in the middle of the patch whose unit stands at row i − 1; image 9 has its at row 8.
    assert [(one.file, one.row, one.column, tuple(one.box)) for one in bright.top] == [
        ("9.png", 8, 1, (8, 1, 11, 4)),
        ("8.png", 7, 1, (7, 1, 10, 4)),
        ("7.png", 6, 1, (6, 1, 9, 4)),
    ]
    assert [one.value for one in bright.top] == pytest.approx([100 / 255, 90 / 255, 80 / 255])
    assert bright.top[0].patch[..., 0].tolist() == [[0, 0, 0], [0, 100, 0], [0, 0, 0]]
    assert [one.value for one in dark.top] == [0, 0, 0]
    values = torch.zeros(10, 10, 10)
    for number in range(1, 10):
        values[number, number - 1, 1] = 10 * (number + 1) / 255
    assert bright.mean == pytest.approx(float(values.mean()))
    assert bright.deviation == pytest.approx(float(values.std(unbiased=False)), rel=1e-5)


def test_batches_of_any_size_give_the_same():
    net = network("3c3-mp2-4c3same-5n")
    pixels = torch.randint(0, 256, (23, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for layer in ("4c3same", "5n"):
        one, many = (likings(net, layer, batches(pixels, size), [3, 0], top=4) for size in (23, 5))
        assert [liking.channel for liking in one] == [3, 0]
        for a, b in zip(one, many):
            assert [(x.file, x.row, x.column, x.box) for x in a.top] == [
                (x.file, x.row, x.column, x.box) for x in b.top
            ]
            assert [x.value for x in a.top] == sorted((x.value for x in a.top), reverse=True)
            assert len({x.file for x in a.top}) == 4
    assert one[0].top[0].patch.shape == (12, 12, 1)


def test_what_has_no_filters_likes_nothing():
    net = network("3c3-mp2-5n")
    with pytest.raises(NetError, match="mp2 is no convolution and no dense layer"):
        likings(net, "mp2", [])
    with pytest.raises(NetError, match="5n has channels 0 to 4, found 5"):
        maximised(net, "5n", (1, 12, 12), [5])
    with pytest.raises(NetError, match="found none"):
        likings(net, "5n", [])


def test_an_edge_filter_is_shown_stripes():
    net = network("2c(1x2)-mp2", side=16)
    net.steps[0].module[0].weight.data = torch.tensor([[[[1.0, 1.0]]], [[[-1.0, 1.0]]]])
    made = maximised(net, "2c(1x2)", (1, 16, 16), steps=60)
    white, edges = made.images[..., 0].astype(float)
    assert (made.images.shape, made.images.dtype) == ((2, 16, 16, 1), np.uint8)
    assert made.values[0] == pytest.approx((white[:, 1:] + white[:, :-1]).mean() / 255, abs=1e-5)
    assert made.values[0] > 1.7 > 1.1 > made.before[0]
    # The mean of all differences to the right is what the last column has more than the first.
    assert made.values[1] == pytest.approx((edges[:, -1] - edges[:, 0]).mean() / 255 / 15, abs=1e-5)
    assert made.peaks[0] == pytest.approx((white[:, 1:] + white[:, :-1]).max() / 255, abs=1e-5)


@pytest.mark.parametrize("layer", ["4c3", "6c3", "5n"])
def test_ascent_climbs_above_what_noise_gives_and_repeats_itself(layer):
    net = network("4c3-mp2-6c3-5n", channels=3, side=16)
    state = torch.get_rng_state()
    made = maximised(net, layer, (3, 16, 16), steps=30)
    assert (made.values > made.before).all()
    again = maximised(net, layer, (3, 16, 16), [2, 1], steps=30)
    assert np.abs(again.images[1].astype(int) - made.images[1]).max() <= 1
    assert torch.equal(state, torch.get_rng_state())
    assert all(weight.grad is None for weight in net.parameters())
