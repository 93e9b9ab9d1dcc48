"""From a request's body to the images in it: multipart, raw bytes, or JSON with base64."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from foveal.server.problems import Problem

__all__ = ["ACCEPTED", "Part", "from_base64", "images_of", "json_of"]

ACCEPTED = "multipart/form-data, image/*, application/octet-stream, application/json"
FIELDS = ("image", "images", "file", "files")  # of a form, that are images without a file name, too
DATA_URL = re.compile(r"data:[\w.+/-]*;base64,")
LONGEST_NAME = 255
MOST_OTHERS = 16  # parts of a form beyond the images, before their number is refused


@dataclass(slots=True)
class Part:
    """An encoded image, and how the client calls it; None where it does not."""

    file: str | None
    data: bytes

    def taken(self) -> bytes:
        """The data, which it has no more."""
        data, self.data = self.data, b""
        return data


def images_of(body: bytes, content_type: str, most: int) -> list[Part]:
    """The images of a body, one or more, in their order.

    Args:
        most: images that a request may have.

    Raises:
        Problem: 400 the body is damaged, 413 too many images, 415 of no type that is read, 422 no image in it.
    """
    kind, options = parse_options_header(content_type)
    kind = kind.strip().lower()
    if kind == b"multipart/form-data":
        found = _multipart(body, options.get(b"boundary", b""), most)
    elif kind == b"application/json":
        found = _listed(json_of(body), most)
    elif kind.startswith(b"image/") or kind == b"application/octet-stream":
        found = [Part(None, body)]
    else:
        hint = " With curl: --data-binary @photo.jpg -H 'Content-Type: image/jpeg', or -F image=@photo.jpg."
        raise Problem(
            415,
            "media-type",
            f"Expected a body of {ACCEPTED}; found {_shown(kind)}.{hint}",
            {"Accept": ACCEPTED},
        )
    if not found or not any(part.data for part in found):
        raise Problem(422, "no-image", "Expected an image, found none: the body holds no bytes of one.")
    return found


def json_of(body: bytes) -> Any:
    """
    Raises:
        Problem: 400 it is no JSON.
    """
    try:
        return json.loads(body)
    except RecursionError:
        raise Problem(400, "malformed", "The JSON is nested too deeply.") from None
    except ValueError as error:  # the message names the place, and quotes nothing
        place = f"line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else "no UTF-8"
        raise Problem(
            400, "malformed", f"The body is no JSON: {getattr(error, 'msg', 'its bytes are')} ({place})."
        ) from None


def from_base64(text: str, where: str) -> bytes:
    """
    Raises:
        Problem: 422 it is no base64.
    """
    head = DATA_URL.match(text)
    try:
        return base64.b64decode(text[head.end() :] if head else text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(422, "base64", f"Expected {where} to be an image file in base64 (RFC 4648).") from None


def _listed(told: Any, most: int) -> list[Part]:
    """`{"images": [BASE64 | {"data": BASE64, "file": NAME}, …]}`."""
    images = told.get("images") if isinstance(told, dict) else None
    if not isinstance(images, list) or not images or set(told) != {"images"}:
        raise Problem(
            422,
            "schema",
            'Expected {"images": [...]}: a list of images, each in base64 or {"data": its base64, "file": its name}.',
        )
    _check_count(len(images), most)
    return [_one(image, f"images[{k}]") for k, image in enumerate(images)]


def _one(image: Any, where: str) -> Part:
    fields = {"data": image} if isinstance(image, str) else image
    if (
        not isinstance(fields, dict)
        or not isinstance(fields.get("data"), str)
        or not isinstance(fields.get("file", ""), str | None)
        or set(fields) - {"data", "file"}
    ):
        raise Problem(422, "schema", f'Expected {where} to be base64, or {{"data": base64, "file": a name}}.')
    name = fields.get("file")
    return Part(None if name is None else _name(name), from_base64(fields["data"], where))


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise Problem(413, "too-many-images", f"Expected at most {most} images in a request; found more.")


@dataclass(slots=True)
class _Open:
    """A part of a form while it is read."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes = b""
    value: bytes = b""
    data: list[bytes] = field(default_factory=list)


def _multipart(body: bytes, boundary: bytes, most: int) -> list[Part]:
    found: list[Part] = []
    part, count, ended = _Open(), 0, False

    def begin() -> None:
        nonlocal part, count
        part, count = _Open(), count + 1
        _check_count(count, most + MOST_OTHERS)

    def header_name(data: bytes, start: int, end: int) -> None:
        part.name += data[start:end]

    def header_value(data: bytes, start: int, end: int) -> None:
        part.value += data[start:end]

    def header_end() -> None:
        part.headers[part.name.lower()] = part.value
        part.name = part.value = b""

    def content(data: bytes, start: int, end: int) -> None:
        part.data.append(data[start:end])

    def part_end() -> None:
        found.append(_part(part))
        _check_count(len(found), most)

    def end() -> None:
        nonlocal ended
        ended = True

    calls: dict[str, Callable[..., None]] = {
        "on_part_begin": begin,
        "on_header_field": header_name,
        "on_header_value": header_value,
        "on_header_end": header_end,
        "on_part_data": content,
        "on_part_end": part_end,
        "on_end": end,
    }
    if not boundary:
        raise Problem(400, "malformed", "The Content-Type multipart/form-data names no boundary.")
    try:
        parser = MultipartParser(boundary, calls)  # pyright: ignore[reportArgumentType]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Problem(400, "malformed", f"The multipart body is damaged: {_shown(str(error).encode())}.") from None
    if not ended:
        raise Problem(400, "malformed", "The multipart body ends before its last boundary.")
    return found


def _part(part: _Open) -> Part:
    kind, options = parse_options_header(part.headers.get(b"content-disposition", b""))
    name = options.get(b"name", b"").decode(errors="replace")
    if kind != b"form-data" or (b"filename" not in options and name not in FIELDS):
        raise Problem(
            422,
            "no-image",
            f"Expected each part of the form to be an image: a file, or a field called {' or '.join(FIELDS)}; "
            f"found the field {_shown(name.encode())}.",
        )
    file = options.get(b"filename")
    return Part(None if file is None else _name(file.decode(errors="replace")), b"".join(part.data))


def _name(file: str) -> str:
    return "".join(c for c in file[:LONGEST_NAME] if c.isprintable())


def _shown(data: bytes) -> str:
    """What a client sent, in a message: short, printable."""
    text = "".join(c for c in data.decode(errors="replace")[:80] if c.isprintable())
    return repr(text) if text else "nothing"
