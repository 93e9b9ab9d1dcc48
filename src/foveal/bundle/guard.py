"""What a bundle's files must not be, found before anything else reads them: an ONNX file that names other files, a
safetensors file whose header is not what it says."""

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from foveal.errors import BundleError

__all__ = ["check_onnx", "check_safetensors", "plain_bytes"]

AGAIN = "Export the run again, or copy the bundle again from where it came."
MOST_HEADER = 8 << 20  # bytes: some fifty thousand tensors
MOST_BYTES = 2 << 30  # of a file: what protobuf can hold
SIZES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}

# Where in a message of ONNX's protobuf others are: field number to kind. onnx.proto, IR version 13.
MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "tensor": {},
}
NAME, EXTERNAL, LOCATION = 8, 13, 14  # fields of a tensor
DEEPEST = 32  # graphs within graphs


def plain_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file that is one: no link to somewhere else, no pipe.

    Args:
        most: bytes; of a larger one nothing is read.

    Raises:
        BundleError: it is missing, is something else, is larger, or cannot be read.
    """
    try:
        kind = path.lstat().st_mode
        if not stat.S_ISREG(kind):
            what = "a link" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "no file"
            raise BundleError(f"Expected a plain file at {path}, found {what}.", remedy=AGAIN)
        # A link that takes its place after the look is not followed.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            data = None if os.fstat(handle).st_size > most else file.read(most + 1)  # it may grow after the look
        if data is None or len(data) > most:
            raise BundleError(f"{path} is larger than the {most:,} bytes that it may have.", remedy=AGAIN)
        return data
    except FileNotFoundError:
        raise BundleError(f"{path} is missing: the bundle is not whole.", remedy=AGAIN) from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}.", remedy=AGAIN) from error
    except ValueError:  # a name with a NUL, or that is no Unicode
        raise BundleError(f"Expected the name of a file, found {str(path)!r}.", remedy=AGAIN) from None


def check_onnx(data: bytes, path: Path) -> None:
    """That all numbers of an ONNX model are in its own bytes.

    Raises:
        BundleError: a tensor names another file, or the bytes are no ONNX model.
    """
    try:
        outside = _outside(memoryview(data), "model", 0)
    except (IndexError, ValueError) as error:
        raise BundleError(f"{path} is no ONNX model: {error}.", remedy=AGAIN) from None
    if outside is not None:
        raise BundleError(
            f"{path} wants to read the tensor {outside!r} from another file, which no bundle of Foveal does.",
            remedy="Do not load it unless you know who made it and why; export the run again.",
        )


def _outside(data: memoryview, kind: str, depth: int) -> str | None:
    """The name of a tensor that is not in the message; None where all are."""
    if depth > DEEPEST:
        raise ValueError("its graphs lie deeper in each other than any network needs")
    inner, at, name, outside = MESSAGES[kind], 0, "", False
    while at < len(data):
        key, at = _varint(data, at)
        if key >> 32:  # protobuf drops the bits above, and would see another field
            raise ValueError("it has a field whose number is none")
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            outside |= kind == "tensor" and field == LOCATION and value != 0
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"it has a field of the unknown kind {wire}")
        if size > len(data) - at:
            raise ValueError("it is cut off")
        part, at = data[at : at + size], at + size
        if kind == "tensor":
            outside |= field == EXTERNAL
            name = bytes(part[:200]).decode(errors="replace") if field == NAME else name
        elif field in inner and wire == 2 and (found := _outside(part, inner[field], depth + 1)) is not None:
            return found
    return name if outside else None


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it is cut off")
        byte = data[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number in it does not end")


def check_safetensors(data: bytes, path: Path) -> None:
    """That the header of a safetensors file is of a sensible size and describes exactly the bytes that follow.

    Raises:
        BundleError: it does not; the message says what of it.
    """

    def refuse(reason: str) -> BundleError:
        return BundleError(f"{path} is no sound safetensors file: {reason}.", remedy=AGAIN)

    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MOST_HEADER, len(data) - 8):
        raise refuse(f"its header would be {length:,} bytes long, expected at most {MOST_HEADER:,} and within the file")
    try:
        header = json.loads(data[8 : 8 + length])
        tensors = [_extent(entry) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise refuse(f"its header cannot be read ({type(error).__name__}: {error})") from None
    end = 0
    for begin, stop in sorted(tensors):
        if begin != end:
            raise refuse(f"its tensors leave a gap, or overlap, at byte {min(begin, end):,}")
        end = stop
    if end != len(data) - 8 - length:
        raise refuse(f"its tensors have {end:,} bytes, and {len(data) - 8 - length:,} follow the header")


def _extent(entry: Any) -> tuple[int, int]:
    """Where a tensor begins and ends.

    Raises:
        ValueError, TypeError, KeyError: it is described wrongly.
    """
    begin, end = entry["data_offsets"]
    sides = entry["shape"]
    if not all(isinstance(number, int) and number >= 0 for number in (begin, end, *sides)):
        raise ValueError("a size that is no whole number")
    if end - begin != math.prod(sides) * SIZES[entry["dtype"]]:
        raise ValueError(f"a tensor of {entry['dtype']} and shape {sides} in {end - begin} bytes")
    return begin, end
