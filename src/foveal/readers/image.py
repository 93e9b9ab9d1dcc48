"""One image: encoded bytes or pixels in, an upright uint8 or uint16 array out, fitted to what a net takes."""

import io
import logging
import re
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from foveal.errors import UnreadableImage
from foveal.readers import jpeg
from foveal.readers.costs import check_parts, check_run_lengths, frames_of
from foveal.readers.fit import fit, geometry, largest_shrink, pillow_resize, unshrunk
from foveal.readers.pixels import on_white, to_array
from foveal.recipe import InputContract
from foveal.task import Resize
from foveal.types import Facts, Geometry

__all__ = ["MEGAPIXELS", "ImageReader", "size_of"]

MEGAPIXELS = 100
# Encoders write up to some 14 scans. Each costs 1.4 ms a megapixel, in as little as 75 bytes of the file.
USUAL_SCANS, SCAN_MEGAPIXELS = 32, 1000.0
RUN_LENGTHS = (1, 2)  # BI_RLE8, BI_RLE4
NARROW = 4096  # a 16-bit image that stays below it holds 12 bits or fewer, and looks black at 8 bits

# The formats that are read. The classes are called directly, not through Image.open: its limit on pixels is a global
# of the process, and its list of formats holds some that run other programs (EPS) or have no signature (TGA).
FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[io.BytesIO], ImageFile.ImageFile]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImageFile),
    (re.compile(rb"BM"), BmpImageFile),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), TiffImageFile),
    (re.compile(rb"P[1-6f]\s"), PpmImageFile),
    (re.compile(rb"....ftyp(?:avi[fs]|(?:mif1|msf1).{0,48}avi[fs])", re.DOTALL), AvifImageFile),
)
REFUSED = (
    (re.compile(rb"8BPS"), "Photoshop"),
    (re.compile(rb"%!PS"), "PostScript"),
    (re.compile(rb"%PDF"), "PDF"),
    (re.compile(rb"\0\0\x01\0"), "Windows icon"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\0\0\0\x0cJXL |\xff\x0a"), "JPEG XL"),
    (re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"....ftyp|RIFF....AVI |\x1a\x45\xdf\xa3", re.DOTALL), "video"),
    (re.compile(rb".{128}DICM", re.DOTALL), "DICOM"),
    (re.compile(rb"PK\x03\x04"), "ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"\x93NUMPY"), "NumPy array"),
    (re.compile(rb"\x89HDF"), "HDF5"),
    (re.compile(rb"SIMPLE  ="), "FITS"),
    (re.compile(rb"qoif"), "QOI"),
)
END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b"\x3b"}
METADATA = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}  # of Pillow, which can hold an orientation
BEHIND = re.compile(rb"eXIf|XML:com\.adobe\.xmp|Raw profile type exif")  # the same in the bytes of a PNG
UPRIGHT: dict[Any, Callable[[np.ndarray], np.ndarray]] = {  # by EXIF 2.32, tag 0x0112
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
SIDEWAYS = (5, 6, 7, 8)
REVERSED: dict[Any, tuple[bool, bool]] = {  # whether x and y of the upright image run against the file's
    2: (True, False),
    3: (True, True),
    4: (False, True),
    6: (True, False),
    7: (True, True),
    8: (False, True),
}
Shrunk = tuple[int, int | None]  # by how much a JPEG was decoded smaller, and its orientation
# Pillow warns of odd metadata in files that decode well. Warning filters are the process's: one thread at a time.
_metadata = threading.Lock()
# It logs errors that it raises, too; whoever has set up no logging would get them on stderr without their file.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class ImageReader:
    """The `image` reader. Safe to share between threads.

    Args:
        megapixels: larger images are refused before they are decoded, in millions of pixels. Above about 179,
            Pillow's own limit (`PIL.Image.MAX_IMAGE_PIXELS`) refuses some formats first.
    """

    megapixels: float = MEGAPIXELS

    def read(self, source: bytes | np.ndarray) -> np.ndarray:
        """Decode a file, or check an array (uint8 or uint16; H×W or H×W×C with C = 1, 3 or 4).

        Returns uint8 or uint16, H×W×C, upright; C = 1 when stored as gray, 3 otherwise; alpha laid on white.

        Raises:
            UnreadableImage: with the reason.
        """
        return self.inspect(source)[0]

    def inspect(self, source: bytes | np.ndarray) -> tuple[np.ndarray, Facts]:
        """What `read` gives, and what decoding told beside it.

        Raises:
            UnreadableImage: with the reason; the part before its first `:` is the same for all files of that kind.
        """
        return self._decode(source)[:2]

    def load(
        self, source: bytes | np.ndarray, contract: InputContract, resize: Resize = pillow_resize
    ) -> tuple[np.ndarray, Geometry]:
        """`read` and `prepare` in one. A JPEG at least twice as large as needed is decoded to a half, a quarter or an
        eighth of its size (libjpeg's scaled inverse DCT), which differs by some levels from decoding all of it and
        then resizing; everything else gives what `prepare(read(source))` gives. Geometry is in the pixels of the file.

        Args:
            resize: another implementation of the resampling, equal to Pillow's to two levels.

        Raises:
            UnreadableImage: with the reason.
        """
        if isinstance(source, np.ndarray) and source.dtype == np.uint8:
            height, width, channels = contract.height, contract.width, contract.channels
            if source.shape == (height, width, channels):  # what follows would give it back
                return source, self.geometry(width, height, contract)
        array, facts, (shrink, turn) = self._decode(source, contract)
        pixels, mapped = fit(array, contract, resize)
        return pixels, unshrunk(mapped, facts.width, facts.height, shrink, REVERSED.get(turn, (False, False)))

    def geometry(self, width: int, height: int, contract: InputContract) -> Geometry:
        """How `prepare` maps an upright image of that size to what the net takes."""
        return geometry(width, height, contract)

    def prepare(self, array: np.ndarray, contract: InputContract) -> tuple[np.ndarray, Geometry]:
        """Fit to the contract: uint8, height × width × channels, and how the image was mapped there.

        uint16 becomes 8 bits by rounding v / 257; RGB becomes gray by ITU-R 601-2 luma; `pad` fills with black.
        An image of the right size already keeps its pixels bit for bit.
        """
        return fit(array, contract, pillow_resize)

    def _decode(
        self, source: bytes | np.ndarray, contract: InputContract | None = None
    ) -> tuple[np.ndarray, Facts, Shrunk]:
        """The upright pixels, what decoding told, and by how much the image was shrunk, if a contract allows it."""
        if isinstance(source, np.ndarray):
            return *_from_array(source), (1, None)
        opener = _opener(source)
        name = str(getattr(opener, "format", "image"))
        try:
            check_parts(name, source)
            if opener is JpegImageFile and (found := self._decode_jpeg(source, contract)):
                return found
            image, frames = _open(opener, source)
            size = self._checked_size(*image.size)
            if opener is BmpImageFile and image.info.get("compression") in RUN_LENGTHS:
                check_run_lengths(*size, source)
            if opener is JpegImageFile or image.info.get("compression") == "jpeg":
                _check_scans(source, size)
            mode = _stored_mode(image)
            early = _turn(image) if opener is JpegImageFile else None
            shrink = _drafted(image, size, early, contract) if opener is JpegImageFile else 1
            image.load()
            array = _turned(to_array(image), early or _turn(image))
        except UnreadableImage:
            raise
        except MemoryError:
            raise UnreadableImage("too large: not enough memory to decode it") from None
        except Exception as error:  # decoders raise whatever their format's parsing happens to hit
            raise UnreadableImage(_reason(error, name, source)) from error
        notes = (["animated"] if frames > 1 else []) + (["narrow-range"] if _is_narrow(array) else [])
        width, height = _upright_size(size, early) if shrink > 1 else (array.shape[1], array.shape[0])
        return array, Facts(width, height, mode, frames, name, tuple(notes)), (shrink, early)

    def _decode_jpeg(self, data: bytes, contract: InputContract | None) -> tuple[np.ndarray, Facts, Shrunk] | None:
        """As `_decode`, and the same pixels, but quicker; None where Pillow has to do it."""
        seen = jpeg.header(data)
        if seen is None:
            return None
        size = self._checked_size(seen.width, seen.height)
        _check_scans(data, size)
        turn = _turn(_open(JpegImageFile, data)[0]) if seen.metadata else None
        shrink = _shrink(size, turn, contract)
        array = jpeg.decode(data, seen, shrink)
        if array is None:
            return None
        facts = Facts(*_upright_size(size, turn), "L" if seen.channels == 1 else "RGB", 1, "JPEG")
        return _turned(array, turn), facts, (shrink, turn)

    def _checked_size(self, width: int, height: int) -> tuple[int, int]:
        if width * height > self.megapixels * 1e6:
            raise UnreadableImage(f"too large: {width}×{height} pixels, the limit is {self.megapixels:g} megapixels")
        return width, height


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of an encoded image, upright, from its header: no pixel is decoded, unless it is a PNG that may
    carry its orientation behind them. The first 64 KiB of most files are enough; such a PNG's is not seen in them.

    Raises:
        UnreadableImage: not an image, or its header is damaged or not whole.
    """
    opener = _opener(data)
    name = str(getattr(opener, "format", "image"))
    check_parts(name, data)
    seen = jpeg.header(data) if opener is JpegImageFile else None
    if seen and not seen.metadata:
        return seen.width, seen.height
    try:
        with _metadata, warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            image = opener(io.BytesIO(data))
        if opener is PngImageFile and not METADATA & image.info.keys() and BEHIND.search(data):
            facts = ImageReader().inspect(data)[1]
            return facts.width, facts.height
        # Of a TIFF Pillow gives the upright size.
        return _upright_size(image.size, None if isinstance(image, TiffImageFile) else _turn(image))
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise whatever their format's parsing happens to hit
        raise UnreadableImage(_reason(error, name, data)) from error


def _opener(data: bytes) -> Callable[[io.BytesIO], ImageFile.ImageFile]:
    """The class that reads this format, found by signature: names and extensions do not matter."""
    if not data:
        raise UnreadableImage("empty: the file has 0 bytes")
    for signature, opener in FORMATS:
        if signature.match(data):
            return opener
    for signature, name in REFUSED:
        if signature.match(data):
            raise UnreadableImage(f"unsupported format: {name}")
    text = _text(data)
    start = f'the text "{text}"' if text else "the bytes " + data[:8].hex(" ")
    raise UnreadableImage(f"not an image: it starts with {start}")


def _text(data: bytes) -> str:
    """The first words, where the data is text; empty where it is not."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = data[:48].decode(encoding, "replace").rstrip("\ufffd")
    words = " ".join(text.split())
    return words[:40] if words.isprintable() and "\ufffd" not in words else ""


def _open(opener: Callable[[io.BytesIO], ImageFile.ImageFile], data: bytes) -> tuple[ImageFile.ImageFile, int]:
    """Parse the header; decodes nothing. The image, and how many frames it has."""
    if opener is WebPImageFile:  # never warns, and handling warnings takes a tenth of decoding 32×32 pixels
        image = opener(io.BytesIO(data))
        return image, getattr(image, "n_frames", 1)
    with _metadata, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        image = opener(io.BytesIO(data))
        if isinstance(image, TiffImageFile):
            image.getexif()  # decoding asks for it again, then without warnings
        # Pillow would walk through all frames of a GIF, and compare each page of a TIFF with all before it.
        return image, frames_of(str(image.format), data) or getattr(image, "n_frames", 1)


def _stored_mode(image: ImageFile.ImageFile) -> str:
    """Pillow's mode, with `;16` where a color of 16 bits is decoded to its higher byte."""
    args: Any = image.tile[0].args if image.tile else None
    raw = args[0] if isinstance(args, tuple) and args else args
    if isinstance(raw, str) and ";16" in raw and not image.mode.startswith("I"):
        return raw.split(";")[0] + ";16"
    return "I;16" if image.mode.startswith("I;16") else image.mode


def _from_array(pixels: np.ndarray) -> tuple[np.ndarray, Facts]:
    array = pixels[..., None] if pixels.ndim == 2 else pixels
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.dtype not in (np.uint8, np.uint16) or not array.size:
        raise UnreadableImage(
            f"not an image: an array of {pixels.dtype} and shape {pixels.shape}, "
            "expected uint8 or uint16, height × width, with 1, 3 or 4 channels"
        )
    bits = "" if array.dtype == np.uint8 else ";16"
    mode = {1: "I" if bits else "L", 3: "RGB", 4: "RGBA"}[array.shape[2]] + bits
    if array.shape[2] == 4 and bits:
        alpha = array[..., 3:] / 65535
        array = np.round(array[..., :3] * alpha + 65535 * (1 - alpha)).astype(np.uint16)
    elif array.shape[2] == 4:
        array = on_white(Image.fromarray(array))
    notes = ("narrow-range",) if _is_narrow(array) else ()
    return array, Facts(array.shape[1], array.shape[0], mode, 1, "pixels", notes)


def _is_narrow(array: np.ndarray) -> bool:
    return array.dtype == np.uint16 and int(array.max()) < NARROW


def _turn(image: Image.Image) -> int | None:
    """The EXIF or XMP orientation. Except for JPEG to be read after decoding: PNG may carry it behind the pixels, and
    Pillow has turned a TIFF by then, and forgotten its orientation."""
    if not METADATA & image.info.keys():
        return None
    with _metadata, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            return image.getexif().get(ExifTags.Base.Orientation)
        except (ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError):
            return None  # a broken EXIF block says nothing; viewers show the image as it is stored


def _turned(array: np.ndarray, turn: int | None) -> np.ndarray:
    return np.ascontiguousarray(UPRIGHT[turn](array)) if turn in UPRIGHT else array


def _upright_size(size: tuple[int, int], turn: int | None) -> tuple[int, int]:
    return (size[1], size[0]) if turn in SIDEWAYS else size


def _shrink(size: tuple[int, int], turn: int | None, contract: InputContract | None) -> int:
    return largest_shrink(*_upright_size(size, turn), contract) if contract else 1


def _check_scans(data: bytes, size: tuple[int, int]) -> None:
    """
    Raises:
        UnreadableImage: a JPEG made to keep a decoder busy.
    """
    count = jpeg.scans(data)
    if count > USUAL_SCANS and count * size[0] * size[1] > SCAN_MEGAPIXELS * 1e6:
        raise UnreadableImage(
            f"too costly: {count:,} scans of {size[0]}×{size[1]} pixels, expected {USUAL_SCANS} or fewer"
        )


def _drafted(image: Any, size: tuple[int, int], turn: int | None, contract: InputContract | None) -> int:
    """Tell a JPEG that is not decoded yet to become smaller, where it can; by how much."""
    shrink = _shrink(size, turn, contract)
    small = shrink > 1 and image.draft(None, (size[0] // shrink, size[1] // shrink))
    return shrink if small else 1


def _reason(error: Exception, name: str, data: bytes) -> str:
    if data[128:132] == b"DICM":  # the 128 bytes before it are free, and some begin as a TIFF does
        return "unsupported format: DICOM"
    text = " ".join(str(error).split())
    if _is_cut(name, data) or re.search("truncated|not enough image data|no more images|EOF", text, re.IGNORECASE):
        return "truncated: the file ends before the image does"
    rare = re.search("unsupported|unknown pixel mode|not configured", text, re.IGNORECASE)
    return f"{'unsupported kind of' if rare else 'damaged'} {name}: {text or type(error).__name__}"


def _is_cut(name: str, data: bytes) -> bool:
    """Whether a file that did not decode lacks its end, as far as its format tells."""
    if name == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if name == "TIFF":
        return int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big") >= len(data)
    return name in END_MARKS and END_MARKS[name] not in data[-64:]
