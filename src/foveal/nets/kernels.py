"""What lies between two convolutions on a CPU, in as few ways to memory and back as there can be; compiled by numba.

Maps are (N, H, W, C) of bfloat16, given as their bits in uint16; h×w is a map after pooling. All arithmetic is in
float32, and sums are kept for each image, so that no result depends on the number of threads. What is rounded to
bfloat16 is rounded to the nearest, ties to even.
"""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportCallIssue=false
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

__all__ = [
    "gradient_sums",
    "gradients",
    "gradients_unpooled",
    "laid_beside",
    "moments",
    "over_images",
    "pooled_moments",
    "rectified",
    "scaled",
    "threads",
]

# The threads of OpenMP, which are torch's own: two teams would wait for one another.
numba.config.THREADING_LAYER = "omp"

ZERO, ONE_BIT, HALF, LOW_BITS = np.float32(0), np.uint32(1), np.uint32(0x7FFF), np.uint32(16)
NOTHING, NAN = np.uint16(0), np.uint16(0x7FC0)
FIRST, SECOND, THIRD, FOURTH = np.uint8(0), np.uint8(1), np.uint8(2), np.uint8(3)
inlined = njit(inline="always")


def _compiled(**options):
    """numba's decorator; what it makes is kept for the next process where there is a place to keep it."""

    def decorate(function):
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # neither this folder nor the user's own can be written to
            return njit(nogil=True, **options)(function)

    return decorate


part, parallel = _compiled(), _compiled(parallel=True)


@intrinsic
def _float_of(context: Any, bits: Any) -> Any:
    return types.float32(types.uint32), lambda c, builder, s, given: builder.bitcast(given[0], ir.FloatType())


@intrinsic
def _bits_of(context: Any, number: Any) -> Any:
    return types.uint32(types.float32), lambda c, builder, s, given: builder.bitcast(given[0], ir.IntType(32))


@inlined
def _wide(bits):
    """bfloat16 to float32."""
    return _float_of(np.uint32(np.uint32(bits) << LOW_BITS))


@inlined
def _narrow(number):
    """float32 to bfloat16, rounded."""
    bits = _bits_of(np.float32(number))
    rounded = np.uint32(bits + HALF + ((bits >> LOW_BITS) & ONE_BIT)) >> LOW_BITS
    return np.uint16(rounded) if number == number else NAN


@part
def _moments(maps, mean, squares):
    """Of one image, (h, w, C): the means, and the sums of the squared distances from them, (C,)."""
    height, width, channels = maps.shape
    total = np.zeros(channels, np.float32)  # a buffer of its own: numba cannot know that `mean` is none of `maps`
    for i in range(height):
        for j in range(width):
            pixel = maps[i, j]
            for c in range(channels):
                total[c] += _wide(pixel[c])
    for c in range(channels):
        total[c] /= np.float32(height * width)
        mean[c] = total[c]
    spread = np.zeros(channels, np.float32)
    for i in range(height):
        for j in range(width):
            pixel = maps[i, j]
            for c in range(channels):
                away = _wide(pixel[c]) - total[c]
                spread[c] += away * away
    for c in range(channels):
        squares[c] = spread[c]


@part
def _pooled(maps, largest, which):
    """The largest of each 2×2 and which of the four it is: as torch does, the first of equal ones, and a NaN first."""
    for i in range(largest.shape[0]):
        for j in range(largest.shape[1]):
            a, b = maps[2 * i, 2 * j], maps[2 * i, 2 * j + 1]
            c, d = maps[2 * i + 1, 2 * j], maps[2 * i + 1, 2 * j + 1]
            most, place = largest[i, j], which[i, j]
            for k in range(len(most)):
                best, at = _wide(a[k]), FIRST
                number = _wide(b[k])
                better = (number > best) | (number != number)
                best, at = number if better else best, SECOND if better else at
                number = _wide(c[k])
                better = (number > best) | (number != number)
                best, at = number if better else best, THIRD if better else at
                number = _wide(d[k])
                better = (number > best) | (number != number)
                best, at = number if better else best, FOURTH if better else at
                most[k] = np.uint16(_bits_of(best) >> LOW_BITS)
                place[k] = at


@parallel
def moments(maps, mean, squares):
    """(N, h, w, C) to the means of each image and the sums of squares around them, (N, C)."""
    for n in prange(len(maps)):
        _moments(maps[n], mean[n], squares[n])


@parallel
def pooled_moments(maps, largest, which, mean, squares):
    """(N, H, W, C) to the largest of each 2×2, (N, h, w, C), and what `moments` finds of those."""
    for n in prange(len(maps)):
        _pooled(maps[n], largest[n], which[n])
        _moments(largest[n], mean[n], squares[n])


@part
def over_images(mean, squares, pixels):
    """Mean and variance of all, (C,) float64, from those of the images: Chan, Golub and LeVeque 1983."""
    count, channels = mean.shape
    level, spread = np.zeros(channels), np.zeros(channels)
    for n in range(count):
        for c in range(channels):
            level[c] += np.float64(mean[n, c])
    level /= count
    for n in range(count):
        for c in range(channels):
            away = np.float64(mean[n, c]) - level[c]
            spread[c] += np.float64(squares[n, c]) + pixels * away * away
    return level, spread / (count * pixels)


@part
def _scaled(maps, result, scale, shift):
    for i in range(maps.shape[0]):
        for j in range(maps.shape[1]):
            pixel, into = maps[i, j], result[i, j]
            for c in range(len(pixel)):
                number = _wide(pixel[c]) * scale[c] + shift[c]
                into[c] = _narrow(ZERO if number < ZERO else number)


@parallel
def scaled(maps, result, scale, shift):
    """ReLU of maps · scale + shift, the two (C,)."""
    for n in prange(len(maps)):
        _scaled(maps[n], result[n], scale, shift)


@part
def _gradient_sums(gradient, maps, scale, shift, mean, whole, along):
    height, width, channels = maps.shape
    first, second = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for i in range(height):
        for j in range(width):
            pixel, slope = maps[i, j], gradient[i, j]
            for c in range(channels):
                number = _wide(pixel[c])
                passed = _wide(slope[c]) if number * scale[c] + shift[c] > ZERO else ZERO
                first[c] += passed
                second[c] += passed * (number - mean[c])
    for c in range(channels):
        whole[c], along[c] = first[c], second[c]


@parallel
def gradient_sums(gradient, maps, scale, shift, mean, whole, along):
    """Of the gradient behind `scaled`'s ReLU: its sum in each image, and its sum times (maps − mean), (N, C) each."""
    for n in prange(len(maps)):
        _gradient_sums(gradient[n], maps[n], scale, shift, mean, whole[n], along[n])


@part
def _gradients(gradient, maps, scale, shift, slope, level, result):
    for c in range(len(maps)):
        number = _wide(maps[c])
        passed = _wide(gradient[c]) if number * scale[c] + shift[c] > ZERO else ZERO
        result[c] = _narrow(scale[c] * passed + slope[c] * number + level[c])


@part
def _routed(result, gradient, which, place):
    for c in range(len(result)):
        result[c] = gradient[c] if which[c] == place else NOTHING


@part
def _unpooled(gradient, maps, which, scale, shift, slope, level, result):
    found = np.empty(maps.shape[2], np.uint16)
    for i in range(maps.shape[0]):
        upper, lower = result[2 * i], result[2 * i + 1]
        for j in range(maps.shape[1]):
            _gradients(gradient[i, j], maps[i, j], scale, shift, slope, level, found)
            _routed(upper[2 * j], found, which[i, j], FIRST)
            _routed(upper[2 * j + 1], found, which[i, j], SECOND)
            _routed(lower[2 * j], found, which[i, j], THIRD)
            _routed(lower[2 * j + 1], found, which[i, j], FOURTH)
        upper[2 * maps.shape[1] :] = NOTHING
        lower[2 * maps.shape[1] :] = NOTHING
    result[2 * maps.shape[0] :] = NOTHING


@parallel
def gradients(gradient, maps, scale, shift, slope, level, result):
    """scale · (the gradient behind `scaled`'s ReLU) + slope · maps + level, the four (C,)."""
    for n in prange(len(maps)):
        for i in range(maps.shape[1]):
            for j in range(maps.shape[2]):
                _gradients(gradient[n, i, j], maps[n, i, j], scale, shift, slope, level, result[n, i, j])


@parallel
def gradients_unpooled(gradient, maps, which, scale, shift, slope, level, result):
    """The same, each put where the largest of the 2×2 was and zeros elsewhere: (N, h, w, C) to (N, H, W, C)."""
    for n in prange(len(maps)):
        _unpooled(gradient[n], maps[n], which[n], scale, shift, slope, level, result[n])


@parallel
def rectified(numbers):
    """ReLU of any numbers, (K,), in place; a NaN stays one."""
    for k in prange(len(numbers)):
        number = _wide(numbers[k])
        if number < ZERO:
            numbers[k] = NOTHING


@part
def _copied(numbers, into):
    for k in range(len(numbers)):
        into[k] = numbers[k]


@part
def _cleared(into):
    for k in range(len(into)):
        into[k] = NOTHING


@parallel
def laid_beside(maps, result, side, channels):
    """side² images as one, each with a line of zeros below and to its right, rows as one: (N, H, W · C) to
    (N / side², side · (H + 1), side · (W + 1) · C)."""
    height, length = maps.shape[1:]
    for n in prange(len(maps)):
        row, left = n // side % side * (height + 1), n % side * (length + channels)
        into = result[n // (side * side)]
        for i in range(height):
            _copied(maps[n, i], into[row + i, left : left + length])
            _cleared(into[row + i, left + length : left + length + channels])
        _cleared(into[row + height, left : left + length + channels])


def threads(count: int) -> None:
    """The number of threads that the parallel parts have from now on, in this thread of Python."""
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
