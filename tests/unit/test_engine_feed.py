"""Batches on their way: made once each, in their order, whether ahead or not."""

from collections.abc import Iterator

import numpy as np
import torch

from foveal.engine.feed import Batch, Feed, gather, resident


def numbered(count: int, made: list[int]) -> Iterator[Batch]:
    for number in range(count):
        made.append(number)
        yield Batch(np.array([number]), torch.zeros(1), torch.zeros(1))


def test_batches_come_in_their_order_and_one_ahead_at_most() -> None:
    made: list[int] = []
    feed = Feed(numbered(4, made))
    assert made == []
    first = next(feed)
    feed.prepare()
    feed.prepare()
    assert made == [0, 1], "prepared once"
    assert [int(batch.rows[0]) for batch in (first, *feed)] == [0, 1, 2, 3]
    feed.prepare()
    assert list(feed) == []


def test_on_a_cpu_images_are_gathered_where_they_lie() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), np.uint8)
    device, rows = torch.device("cpu"), np.array([7, 0, 7])
    assert resident(pixels, device) is None
    for there in (None, torch.from_numpy(pixels)):
        images = gather(pixels, there, rows, device)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), pixels[rows])
