"""Photographs that are made up, and copies of them as people make them."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

__all__ = ["COPIES", "jpeg", "photo"]


def photo(seed: int, height: int = 96, width: int = 128) -> Image.Image:
    """Noise whose spectrum falls as that of photographs, one over the frequency, with some color."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) + 1 / width
    noise = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) / frequency) for _ in range(4)]
    planes = np.stack([noise[0] + 0.4 * other for other in noise[1:]], axis=2)
    planes = 128 + 50 * (planes - planes.mean()) / planes.std()
    return Image.fromarray(planes.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "resized": lambda image: jpeg(image.resize((round(0.6 * image.width), round(0.6 * image.height)))),
    "enlarged": lambda image: jpeg(image.resize((2 * image.width, 2 * image.height))),
    "recompressed": lambda image: jpeg(image, 30),
    "mirrored": lambda image: jpeg(ImageOps.mirror(image)),
    "cropped": lambda image: jpeg(image.crop((0, 0, round(0.95 * image.width), round(0.95 * image.height)))),
    "cropped elsewhere": lambda image: jpeg(image.crop((3, 2, round(0.98 * image.width), round(0.98 * image.height)))),
    "darker": lambda image: jpeg(Image.eval(image, lambda value: int(0.7 * value))),
}
