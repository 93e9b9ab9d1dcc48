"""The V2 inference protocol of KServe (Open Inference Protocol), over HTTP, with the binary tensors of its extension.

Source: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

import json
import math
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from foveal.errors import UnreadableImage
from foveal.server.forms import MODEL_PROBLEMS, PNG, POST_PROBLEMS, problems
from foveal.server.parts import from_base64
from foveal.server.problems import Problem
from foveal.server.service import Service, as_json

__all__ = ["routes"]

HEADER = "inference-header-content-length"
SIZE = "binary_data_size"
CHANNELS = (1, 3, 4)


class InputTensor(BaseModel):
    """Images: as files (BYTES), or as pixels (UINT8)."""

    model_config = ConfigDict(strict=True)

    name: str
    datatype: Literal["BYTES", "UINT8"]
    shape: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1,
        max_length=4,
        description="BYTES: images; UINT8: images × height × width × channels, or one image without the first",
    )
    data: list[Any] | None = Field(
        default=None, description="BYTES: image files in base64; UINT8: numbers from 0 to 255, flat or nested by rows"
    )
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_size`, where data follows the JSON"
    )


class RequestedOutput(BaseModel):
    """An output to give; all of them where none is named."""

    model_config = ConfigDict(strict=True)

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(BaseModel):
    """One tensor of images."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "example": {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [PNG]}]},
        },
    )

    id: str | None = None
    parameters: dict[str, Any] | None = None
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = None


class OutputTensor(BaseModel):
    """`predictions`, the whole answer of an image as JSON; beside it what in it is one text, number or truth."""

    name: str
    datatype: Literal["BYTES", "FP64", "BOOL"]
    shape: list[int]
    data: list[Any]


class InferResponse(BaseModel):
    """The answers."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class Server(BaseModel):
    """What answers."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    live: bool


class Ready(BaseModel):
    ready: bool


class TensorOf(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelOf(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorOf]
    outputs: list[TensorOf]


def routes(service: Service) -> APIRouter:
    """Those under /v2."""
    router = APIRouter(prefix="/v2", tags=["KServe V2"])

    @router.get("", response_model=Server, responses=problems())
    async def server() -> Response:
        return as_json({"name": "foveal", "version": version("foveal"), "extensions": ["binary_tensor_data"]})

    @router.get("/health/live", response_model=Live, responses=problems())
    async def live() -> Response:
        return as_json({"live": True})

    @router.get("/health/ready", response_model=Ready, responses=problems())
    async def ready() -> Response:
        _check_ready(service)
        return as_json({"ready": True})

    @router.get("/models/{name}", response_model=ModelOf, responses=MODEL_PROBLEMS)
    async def model(name: str) -> Response:
        served = service.shelf.find(name)
        takes = {"name": "image", "datatype": "BYTES", "shape": [-1]}
        gives = {"name": "predictions", "datatype": "BYTES", "shape": [-1]}
        platform = "openvino" if served.manifest.kind == "openvino" else "onnxruntime"
        told = {"name": served.name, "versions": [served.version], "platform": platform}
        return as_json({**told, "inputs": [takes], "outputs": [gives]})

    @router.get("/models/{name}/ready", response_model=Ready, responses=MODEL_PROBLEMS)
    async def model_ready(name: str) -> Response:
        service.shelf.find(name)
        _check_ready(service)
        return as_json({"ready": True})

    schema = InferRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    body = {"required": True, "content": {"application/json": {"schema": schema}}}

    @router.post(
        "/models/{name}/infer",
        response_model=InferResponse,
        responses=POST_PROBLEMS,
        openapi_extra={"requestBody": body},
    )
    async def infer(request: Request, name: str) -> Response:
        served = service.shelf.find(name)
        asked: list[InferRequest] = []

        def read(body: bytes) -> Sequence[bytes | np.ndarray]:
            told, rest = _split(body, request.headers.get(HEADER))
            asked.append(told)
            return _images(told.inputs[0], rest, service.settings.limits.images, service.settings.limits.megapixels)

        _, answers = await service.answered(request, served, read, lambda image: image)
        bad = next((k for k, answer in enumerate(answers) if isinstance(answer, UnreadableImage)), None)
        if bad is not None:  # a tensor has no place for a reason
            raise Problem(422, "unreadable", f"Image {bad} of {len(answers)} cannot be decoded: {answers[bad]}")
        told = [answer.as_dict() for answer in answers if not isinstance(answer, UnreadableImage)]
        outputs = _chosen(list(_outputs(told)), asked[0].outputs)
        number = {} if asked[0].id is None else {"id": asked[0].id}
        return as_json({"model_name": served.name, "model_version": served.version, **number, "outputs": outputs})

    return router


def _check_ready(service: Service) -> None:
    if service.admission.draining:
        raise Problem(503, "draining", "The server ends, and answers only what is under way.")


def _split(body: bytes, header: str | None) -> tuple[InferRequest, bytes]:
    """The JSON of a body, and what follows it.

    Raises:
        Problem: 400 or 422.
    """
    end = len(body)
    if header is not None:
        if not (header.isdecimal() and len(header) < 12 and int(header) <= end):
            raise Problem(400, "malformed", f"Expected {HEADER} to be the bytes of JSON, at most {end}.")
        end = int(header)
    try:
        return InferRequest.model_validate_json(body[:end]), body[end:]
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, fault["loc"]))
        if fault["type"] == "json_invalid":
            raise Problem(400, "malformed", f"The body is no JSON: {fault['msg'][:120]}") from None
        raise Problem(422, "schema", f"{place or 'The body'}: {fault['msg'][:200]}") from None


def _images(tensor: InputTensor, rest: bytes, most: int, megapixels: float) -> Sequence[bytes | np.ndarray]:
    count = tensor.shape[0] if tensor.datatype == "BYTES" or len(tensor.shape) == 4 else 1
    if count > most:
        raise Problem(413, "too-many-images", f"Expected at most {most} images in a request, found {count}.")
    size = (tensor.parameters or {}).get(SIZE)
    if size is not None and (not isinstance(size, int) or size != len(rest)):
        raise Problem(400, "malformed", f"{SIZE} and what follows the JSON ({len(rest)} bytes) differ.")
    if size is None and (tensor.data is None or rest):
        raise Problem(422, "schema", f"Expected the tensor's data, or its {SIZE} and the bytes behind the JSON.")
    if tensor.datatype == "BYTES":
        return _files(tensor, None if size is None else rest)
    return _pixels(tensor, None if size is None else rest, megapixels)


def _files(tensor: InputTensor, binary: bytes | None) -> list[bytes]:
    count = math.prod(tensor.shape)
    found = _flat(tensor.data or []) if binary is None else _prefixed(binary)
    if len(found) != count:
        raise Problem(
            422, "schema", f"Expected {count} elements, as the shape {tensor.shape} says; found {len(found)}."
        )
    images = []
    for k, element in enumerate(found):
        if not isinstance(element, str | bytes):
            raise Problem(422, "schema", f"Expected element {k} to be a text: an image file in base64.")
        images.append(element if isinstance(element, bytes) else from_base64(element, f"element {k}"))
    if not any(images):
        raise Problem(422, "no-image", "Expected an image, found none: the tensor holds no bytes of one.")
    return images


def _prefixed(binary: bytes) -> list[Any]:
    """Elements with their length before them, 4 bytes, the lowest first."""
    found, at = [], 0
    while at < len(binary):
        size = int.from_bytes(binary[at : at + 4], "little")
        if at + 4 + size > len(binary):
            raise Problem(400, "malformed", "An element of the binary tensor is longer than what is left of it.")
        found.append(binary[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _pixels(tensor: InputTensor, binary: bytes | None, megapixels: float) -> Sequence[np.ndarray]:
    shape = tensor.shape if len(tensor.shape) == 4 else [1, *tensor.shape]
    if len(shape) != 4 or shape[3] not in CHANNELS:
        raise Problem(
            422,
            "schema",
            "Expected pixels of the shape [images, height, width, channels] with 1, 3 or 4 channels; "
            f"found {tensor.shape}.",
        )
    if shape[1] * shape[2] > megapixels * 1e6:
        raise Problem(413, "too-large", f"Expected images of at most {megapixels:g} megapixels; found {tensor.shape}.")
    if binary is not None:
        found = np.frombuffer(binary, np.uint8)
    else:
        try:
            numbers = np.array(_flat(tensor.data or []))
        except (ValueError, OverflowError):
            numbers = np.array([], object)
        if numbers.size and (numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() > 255):
            raise Problem(422, "schema", "Expected pixels that are whole numbers from 0 to 255.")
        found = numbers.astype(np.uint8)
    if found.size != math.prod(shape):
        raise Problem(
            422, "schema", f"Expected {math.prod(shape)} numbers, as the shape {tensor.shape} says; found {found.size}."
        )
    return list(found.reshape(shape))


def _flat(data: Sequence[Any]) -> list[Any]:
    """Elements of lists in lists, in their order."""
    found: list[Any] = []
    waiting = [iter(data)]
    while waiting:
        for element in waiting[-1]:
            if isinstance(element, list):
                waiting.append(iter(element))
                break
            found.append(element)
        else:
            waiting.pop()
    return found


def _outputs(answers: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    shape = [len(answers)]
    yield {
        "name": "predictions",
        "datatype": "BYTES",
        "shape": shape,
        "data": [json.dumps(answer, ensure_ascii=False) for answer in answers],
    }
    for key in answers[0]:
        column = [answer.get(key) for answer in answers]
        kinds = {type(value) for value in column}
        kind = "BYTES" if kinds == {str} else "BOOL" if kinds == {bool} else "FP64" if kinds <= {int, float} else None
        if kind:
            yield {"name": key, "datatype": kind, "shape": shape, "data": column}


def _chosen(outputs: list[dict[str, Any]], asked: Sequence[RequestedOutput] | None) -> list[dict[str, Any]]:
    if not asked:
        return outputs
    there = {output["name"]: output for output in outputs}
    wrong = next((output.name for output in asked if output.name not in there), None)
    if wrong is not None:
        raise Problem(422, "schema", f"Expected outputs among {', '.join(there)}; found another.")
    return [there[output.name] for output in asked]
