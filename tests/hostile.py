"""A folder of images as they come from real disks: most things that can be wrong with a file, made here.

Two classes, `cats` and `dogs`, each with enough good images to train on, among them and beside them everything else.
"""

import io
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from crafted import chunk, png, saved

__all__ = ["EXIF_PAIRS", "UNREADABLE", "make_hostile_folder"]

EXIF_PAIRS = {f"cats/exif_{k}.png": "cats/upright.png" for k in range(1, 9)} | {
    f"dogs/exif_{k}.jpg": f"dogs/exif_{k}_upright.png" for k in range(1, 9)
}
"""Files whose pixels must equal those of another, once they are turned."""

UNREADABLE = {
    "cats/zero.png": "empty",
    "cats/truncated.jpg": "truncated",
    "cats/truncated.png": "truncated",
    "cats/truncated.webp": "truncated",
    "cats/text.png": "not an image",
    "cats/page.jpg": "not an image",
    "cats/bom.png": "not an image",
    "cats/zeros.jpg": "not an image",
    "cats/bomb.png": "too large",
    "cats/bad_crc.png": "damaged PNG",
    "cats/nan.tiff": "values out of range",
    "cats/negative.tiff": "values out of range",
    "cats/poster.psd": "unsupported format",
    "cats/drawing.eps": "unsupported format",
    "cats/pages.pdf": "unsupported format",
    "cats/head_only.png": "truncated",
    "cats/gone.png": "a link to nothing",
    "cats/self.png": "cannot be opened",
    "cats/pipe.png": "not a file",
}
"""What cannot be used, and how its reason starts."""


def make_hostile_folder(path: Path) -> None:
    """Fill `path` (made when missing). Needs a file system with links and pipes."""
    rng = np.random.default_rng(7)
    for folder in ("cats", "dogs", "birds", "cats/nested/deeper", "cats/folder.jpg", ".git", "__MACOSX/cats"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    for k in range(8):  # learnable: cats are dark, dogs bright
        _photo(rng, 60).save(path / "cats" / f"good_{k}.png")
        _photo(rng, 190).save(path / "dogs" / f"good_{k}.jpg", quality=95)
    _depths_and_modes(path / "cats", rng)
    _orientations(path, rng)
    _frames(path / "dogs", rng)
    _sizes(path / "dogs")
    _names(path / "dogs", rng)
    _broken(path / "cats", rng)
    _duplicates(path, rng)
    _links_and_pipes(path)
    for hidden in (".git/index", "__MACOSX/cats/._good_0.png", "cats/.DS_Store", "cats/._good_1.png", "dogs/Thumbs.db"):
        (path / hidden).write_bytes(b"\0\0\0\1Bud1")
    (path / "README.txt").write_text("the photographs of our holidays\n")
    _photo(rng, 100).save(path / "stray.png")
    _photo(rng, 60).save(path / "cats/nested/deeper/leaf.png")


def _photo(rng: np.random.Generator, level: int, height: int = 24, width: int = 20) -> Image.Image:
    return Image.fromarray(np.clip(rng.normal(level, 20, (height, width, 3)), 0, 255).astype(np.uint8))


def _depths_and_modes(folder: Path, rng: np.random.Generator) -> None:
    photo = _photo(rng, 60)
    deep = rng.integers(0, 65536, (24, 20), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "gray16.png")
    Image.fromarray(deep >> 4).save(folder / "gray12_in_16.png")
    Image.fromarray(deep).save(folder / "gray16.tiff")
    rows = b"".join(b"\0" + row.tobytes() for row in rng.integers(0, 65536, (24, 20, 3), dtype=np.uint16).astype(">u2"))
    (folder / "color16.png").write_bytes(png(width=20, height=24, bits=16, pixels=chunk(b"IDAT", zlib.compress(rows))))
    Image.fromarray(rng.random((24, 20), dtype=np.float32)).save(folder / "float.tiff")
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("CMYK").save(folder / "cmyk.tiff")
    photo.convert("YCbCr").save(folder / "ycbcr.jpg")
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(photo, to_lab)
    assert lab is not None
    lab.save(folder / "lab.tiff")
    photo.quantize(16).save(folder / "palette.png")
    photo.quantize(16).save(folder / "palette_alpha.png", transparency=bytes(range(0, 256, 16)))
    photo.convert("LA").save(folder / "gray_alpha.png")
    photo.convert("RGBA").save(folder / "alpha.webp", lossless=True)
    photo.convert("L").save(folder / "gray.pgm")
    photo.convert("1").save(folder / "one_bit.png")
    photo.save(folder / "progressive.jpg", progressive=True)


def _orientations(path: Path, rng: np.random.Generator) -> None:
    upright = np.asarray(_photo(rng, 60, 16, 24))
    Image.fromarray(upright).save(path / "cats/upright.png")
    stored: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[:, ::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[::-1].swapaxes(0, 1),
    }
    for k, store in stored.items():
        exif = Image.Exif()
        exif[0x0112] = k
        Image.fromarray(np.ascontiguousarray(store(upright))).save(path / f"cats/exif_{k}.png", exif=exif)
        camera = _photo(rng, 190, 16, 24)
        camera.save(path / f"dogs/exif_{k}.jpg", exif=exif)
        turned = np.asarray(Image.open(io.BytesIO(saved(camera, "JPEG"))))
        # Each way of storing is undone by itself, but for the two quarter turns, which undo each other.
        undo = stored[{6: 8, 8: 6}.get(k, k)]
        Image.fromarray(np.ascontiguousarray(undo(turned))).save(path / f"dogs/exif_{k}_upright.png")
    data = saved(_photo(rng, 190), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(30))
    (path / "dogs/broken_exif.jpg").write_bytes(data)


def _frames(folder: Path, rng: np.random.Generator) -> None:
    frames = [_photo(rng, 190) for _ in range(3)]
    for name in ("animated.gif", "animated.webp", "animated.png", "pages.tiff"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    frames[0].save(folder / "two_views.mpo", save_all=True, append_images=frames[1:])


def _sizes(folder: Path) -> None:
    Image.new("RGB", (1, 1), (190, 190, 190)).save(folder / "one_pixel.png")
    Image.new("RGB", (20_000, 1), (190, 190, 191)).save(folder / "wide.png")
    Image.new("RGB", (1, 20_000), (190, 191, 190)).save(folder / "tall.png")


def _names(folder: Path, rng: np.random.Generator) -> None:
    names = [
        "жук 犬 é.png",
        "two\nlines.png",
        'it\'s "quoted", [bold]so[red] & <b>.png',
        "x" * 240 + ".png",
        "UPPER.PNG",
    ]
    for name in [*names, "really_a_jpeg.png", "no_extension", "-rf.png", "%s %d {0}.png", "trailing space .png"]:
        kind = "JPEG" if name == "really_a_jpeg.png" else "PNG"
        (folder / name).write_bytes(saved(_photo(rng, 190), kind))
    if sys.platform != "linux":  # others refuse such a name
        return
    with open(os.fsencode(folder) + b"/latin1_\xe9.png", "wb") as file:  # noqa: PTH123 (a name that is no UTF-8)
        file.write(saved(_photo(rng, 190), "PNG"))


def _broken(folder: Path, rng: np.random.Generator) -> None:
    good, jpeg, webp = (saved(_photo(rng, 60), kind) for kind in ("PNG", "JPEG", "WEBP"))
    bad_crc = bytearray(good)
    bad_crc[18] ^= 0xFF
    bits = zlib.compressobj(9)
    row = bytes(1 + 30_000 // 8)
    bomb = b"".join(bits.compress(row) for _ in range(30_000)) + bits.flush()
    files = {
        "zero.png": b"",
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "truncated.png": good[: len(good) // 2],
        "truncated.webp": webp[: len(webp) // 2],
        "text.png": b"this is no image\n",
        "page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "bom.png": b"\xef\xbb\xbfname,label\n1.png,cat\n",
        "zeros.jpg": bytes(1000),
        "bomb.png": png(width=30_000, height=30_000, bits=1, color=0, pixels=chunk(b"IDAT", bomb)),
        "bad_crc.png": bytes(bad_crc),
        "poster.psd": b"8BPS\0\1" + bytes(100),
        "drawing.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run\n",
        "pages.pdf": b"%PDF-1.7\n",
        "head_only.png": good[:33],
        "trailing_garbage.png": saved(_photo(rng, 60), "PNG") + b"<?php ?>" * 50,
        "broken_profile.jpg": saved(_photo(rng, 60), "JPEG", icc_profile=b"no profile at all"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(folder / "nan.tiff")
    Image.fromarray(np.array([[-5, 70_000]], np.int32)).save(folder / "negative.tiff")


def _duplicates(path: Path, rng: np.random.Generator) -> None:
    same, contrary = _photo(rng, 60), _photo(rng, 120)
    same.save(path / "cats/same_a.png")
    same.save(path / "cats/same_b.bmp")
    contrary.save(path / "cats/contrary.png")
    contrary.save(path / "dogs/contrary.webp", lossless=True)


def _links_and_pipes(path: Path) -> None:
    (path / "cats/loop").symlink_to(path, target_is_directory=True)
    (path / "cats/gone.png").symlink_to(path / "never_there.png")
    (path / "cats/self.png").symlink_to(path / "cats/self.png")
    (path / "cats/linked.png").symlink_to(path / "cats/good_0.png")
    os.mkfifo(path / "cats/pipe.png")
