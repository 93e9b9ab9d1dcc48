"""What requests and answers look like, for OpenAPI and for whoever reads it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from foveal.server.problems import MEDIA_TYPE, ProblemDocument

__all__ = [
    "MODEL_PROBLEMS",
    "POST_PROBLEMS",
    "PREDICT_BODY",
    "Model",
    "Models",
    "Predictions",
    "Reloaded",
    "Status",
    "problems",
]

PNG = (  # 2×2 pixels, gray
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR42mM8wcDEwAAAA/oAzJ1i2jMAAAAASUVORK5CYII="
)
WHY = {
    400: "The body is damaged: malformed multipart or JSON.",
    401: "The server's token is missing or wrong.",
    403: "A web page of another origin.",
    404: "No such model or path.",
    408: "The body did not arrive in time.",
    409: "A bundle was refused; the models are as they were.",
    413: "The body, or the number of images, is above the limit.",
    415: "A media type that is not read.",
    421: "Addressed to another host.",
    422: "An image cannot be decoded, or the body is not of the expected form.",
    500: "A mistake in the server; its log has the place.",
    503: "Too much to do; `Retry-After` says when to try again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: what every route may answer, and those."""
    every = sorted({401, 403, 421, 500, 503, *statuses})
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {code: {"description": WHY[code], "content": {MEDIA_TYPE: {"schema": schema}}} for code in every}


MODEL_PROBLEMS = problems(404, 422)
POST_PROBLEMS = problems(400, 404, 408, 413, 415, 422)

_BINARY = {"type": "string", "format": "binary"}
_BASE64 = {
    "type": "string",
    "format": "byte",
    "minLength": 1,
    "description": "an image file in base64; a data URL is taken, too",
}
_LISTED = {
    "type": "object",
    "required": ["images"],
    "additionalProperties": False,
    "properties": {
        "images": {
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    _BASE64,
                    {
                        "type": "object",
                        "required": ["data"],
                        "additionalProperties": False,
                        "properties": {"data": _BASE64, "file": {"type": ["string", "null"]}},
                    },
                ]
            },
        }
    },
}
_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": {"type": "array", "minItems": 1, "items": _BINARY}},
    "additionalProperties": False,
}
PREDICT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An image as it is, or several in a form or JSON. JPEG, PNG, WebP, GIF, BMP, TIFF, PNM, AVIF.",
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "application/json": {
                "schema": _LISTED,
                "examples": {
                    "one": {"value": {"images": [PNG]}},
                    "named": {"value": {"images": [{"data": PNG, "file": "gray.png"}]}},
                },
            },
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
        },
    }
}


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Status(_Open):
    """Of a probe."""

    status: str = Field(description="`ok`, `ready`")


class Answer(_Open):
    """For one image, as `foveal predict --json` prints it: `label` and `probability`, or `values`, `labels`, `boxes`;
    or `error`, where it cannot be decoded."""

    file: str | None = Field(description="as the client called it")


class Predictions(BaseModel):
    """An answer an image, in the order of the request."""

    model: str = Field(description="its name")
    version: str = Field(description="of its weights; changes when they do")
    predictions: list[Answer]

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": "photos-1",
                "version": "3f2a9c01d7be",
                "predictions": [
                    {
                        "file": "new.jpg",
                        "label": "cat",
                        "probability": 0.93,
                        "probabilities": {"cat": 0.93, "dog": 0.07},
                        "abstained": False,
                    }
                ],
            }
        }
    )


class Model(_Open):
    """What a model is, as its bundle says."""

    name: str
    version: str = Field(description="of its weights; changes when they do")
    task: str
    labels: list[str] = Field(description="names of what it says, in their order")
    input: dict[str, Any] = Field(description="what the network takes; the server fits images of any size to it")
    agreement: dict[str, Any] = Field(description="with the network in torch, on the run's test images")
    made: dict[str, Any] = Field(description="when, and with which versions")


class Models(BaseModel):
    """All that are served."""

    models: list[Model]


class Reloaded(BaseModel):
    """After a reload."""

    models: dict[str, str] = Field(description="name to version")
    workers: int = Field(description="processes that were told; the others follow within seconds")
