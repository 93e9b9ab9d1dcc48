"""The fastest 3×3 convolution of this machine, in GFLOP/s: SEED, which changes nothing.

The best of a few shapes and of many calls each, channels_last, unpadded (so that no product with a padding counts):
forward alone, and forward with both gradients; in float32, and in bfloat16 where the processor is made for it.
"""

import itertools
import time

import torch
from shared import say
from torch.nn.functional import conv2d

SHAPES = ((256, 64, 15), (64, 64, 32), (256, 128, 16), (64, 256, 16))  # images, channels in and out, side
SECONDS = 0.8  # a shape, precision and direction


def main() -> None:
    has = torch.cpu.get_capabilities()
    precisions = {"fp32": torch.float32}
    if has.get("avx512_bf16") or has.get("amx_bf16"):
        precisions["bf16"] = torch.bfloat16
    peaks = {}
    for name, dtype in precisions.items():
        for way, learn in (("forward", False), ("training", True)):
            found = {f"{n}x{c}x{side}x{side}": rate(n, c, side, dtype, learn) for n, c, side in SHAPES}
            best = max(found, key=lambda shape: found[shape])
            peaks[f"{name} {way}"] = {"gflops": found[best], "shape": best}
    say(("torch",), peaks=peaks, threads=torch.get_num_threads())


def rate(count: int, channels: int, side: int, dtype: torch.dtype, learn: bool) -> float:
    """GFLOP/s of the fastest call, 2 for each product added to a sum."""
    images = torch.randn(count, channels, side, side, dtype=dtype).to(memory_format=torch.channels_last)
    kernels = torch.randn(channels, channels, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    images.requires_grad_(learn)
    kernels.requires_grad_(learn)
    gradient = torch.ones_like(conv2d(images, kernels).detach())
    flops = 2 * count * (side - 2) ** 2 * channels * channels * 9 * (3 if learn else 1)
    best, end = float("inf"), time.perf_counter() + SECONDS
    for call in itertools.count():
        start = time.perf_counter()
        with torch.set_grad_enabled(learn):
            outputs = conv2d(images, kernels)
        if learn:
            torch.autograd.grad(outputs, (images, kernels), gradient)
        now = time.perf_counter()
        best = min(best, now - start) if call else best
        if now > end and call:
            return flops / best / 1e9
    raise AssertionError


if __name__ == "__main__":
    main()
