"""Batches: every row once, in an order that only seed and epoch decide; their pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from foveal.data.batches import gathered, order, row_batches, steps_in_epoch

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 4, 6, 3), dtype=np.uint8)
ROWS = np.arange(3, 45)


def run(**changes: object) -> list[np.ndarray]:
    options = {"batch_size": 8, "seed": 1, "epoch": 2, **changes}
    return list(row_batches(ROWS, **options))  # type: ignore[arg-type]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    assert sorted(order(1000, 5, 7)) == list(range(1000))
    assert (order(1000, 5, 7) == order(1000, 5, 7)).all()
    others = [order(1000, *key) for key in ((5, 8), (6, 7), (7, 5), (2**62, 7))]
    assert all((order(1000, 5, 7) != other).mean() > 0.9 for other in others)
    assert order(5, 0, 0).dtype == np.int64


def test_every_row_once_with_its_pixels() -> None:
    out = run()
    assert [len(rows) for rows in out] == [8, 8, 8, 8, 8, 2]
    assert sorted(np.concatenate(out)) == ROWS.tolist()
    for rows in out:
        images = gathered(PIXELS, rows)
        assert images.shape == (len(rows), 3, 4, 6)
        assert images.dtype == torch.uint8
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), PIXELS[rows])


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(17, 8, [8, 9]), (16, 8, [8, 8]), (18, 8, [8, 8, 2]), (1, 8, [1]), (9, 8, [9]), (3, 1, [1, 1, 1])],
)
def test_a_last_row_on_its_own_joins_the_batch_before(n: int, batch_size: int, sizes: list[int]) -> None:
    out = row_batches(np.arange(n), batch_size=batch_size, seed=0, epoch=0)
    assert [len(chosen) for chosen in out] == sizes
    assert steps_in_epoch(n, batch_size) == len(sizes)


def test_epochs_differ_and_seeds_differ() -> None:
    first = [run(**change)[0].tolist() for change in ({}, {"epoch": 3}, {"seed": 2})]
    assert len({tuple(rows) for rows in first}) == 3


@pytest.mark.parametrize("start", range(8))
def test_starting_later_gives_the_batches_that_would_have_come(start: int) -> None:
    whole, rest = run(), run(start_step=start)
    assert len(rest) == max(0, len(whole) - start)
    for rows, again in zip(whole[start:], rest, strict=True):
        assert (rows == again).all()


def test_unshuffled_keeps_the_rows() -> None:
    assert np.concatenate(run(shuffle=False)).tolist() == ROWS.tolist()


def test_mapped_and_gray_pixels(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", PIXELS[..., :1])
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    rows = next(row_batches(ROWS, batch_size=5, seed=0, epoch=0))
    images = gathered(mapped, rows)
    assert images.shape == (5, 1, 4, 6)
    assert np.array_equal(images[:, 0].numpy(), PIXELS[rows, ..., 0])
    images += 1  # a copy: the file cannot change
    assert np.array_equal(mapped, PIXELS[..., :1])
