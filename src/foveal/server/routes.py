"""The service's own routes: predictions, models, probes, metrics, reload, and the page."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from foveal.errors import FovealError, UnreadableImage
from foveal.server.forms import (
    MODEL_PROBLEMS,
    POST_PROBLEMS,
    PREDICT_BODY,
    Model,
    Models,
    Predictions,
    Reloaded,
    Status,
    problems,
)
from foveal.server.metrics import CONTENT_TYPE_LATEST
from foveal.server.page import page
from foveal.server.parts import Part, images_of
from foveal.server.problems import Problem
from foveal.server.service import Service, as_json
from foveal.server.shelf import Served

__all__ = ["routes"]

PREDICT: dict[str, Any] = {
    "response_model": Predictions,
    "responses": POST_PROBLEMS,
    "openapi_extra": PREDICT_BODY,
    "tags": ["predictions"],
}


def routes(service: Service) -> APIRouter:
    """All of them but those of KServe."""
    router = APIRouter()
    _predictions(router, service)
    _probes(router, service)
    _rest(router, service)
    return router


def _predictions(router: APIRouter, service: Service) -> None:
    @router.post("/v1/predict", summary="Answers of the only model", operation_id="predict", **PREDICT)
    async def predict(request: Request) -> Response:
        """Where several models are served this is 404: ask one by its name."""
        return await predicted(request, service.shelf.find(None))

    @router.post("/v1/models/{name}/predict", summary="Answers of a model", operation_id="predict_by_name", **PREDICT)
    async def predict_by_name(request: Request, name: str) -> Response:
        return await predicted(request, service.shelf.find(name))

    async def predicted(request: Request, served: Served) -> Response:
        kind, most = request.headers.get("content-type", ""), service.settings.limits.images

        def read(body: bytes) -> list[Part]:
            return images_of(body, kind, most)

        parts, answers = await service.answered(request, served, read, Part.taken)
        told = [
            {
                "file": part.file,
                **({"error": answer.message} if isinstance(answer, UnreadableImage) else answer.as_dict()),
            }
            for part, answer in zip(parts, answers, strict=True)
        ]
        return as_json({"model": served.name, "version": served.version, "predictions": told})

    @router.get("/v1/models", response_model=Models, responses=problems(), tags=["models"])
    async def models() -> Response:
        return as_json({"models": [_model(served) for served in service.shelf.models.values()]})

    @router.get("/v1/models/{name}", response_model=Model, responses=MODEL_PROBLEMS, tags=["models"])
    async def model(name: str) -> Response:
        return as_json(_model(service.shelf.find(name)))


def _probes(router: APIRouter, service: Service) -> None:
    @router.get("/healthz", response_model=Status, responses=problems(), tags=["probes"])
    async def healthz() -> Response:
        """Whether the process answers at all."""
        return as_json({"status": "ok"})

    @router.get("/readyz", response_model=Status, responses=problems(), tags=["probes"])
    async def readyz() -> Response:
        """Whether it takes requests: 503 while it ends."""
        if service.admission.draining:
            raise Problem(503, "draining", "The server ends, and answers only what is under way.")
        return as_json({"status": "ready"})

    @router.get(
        "/metrics",
        tags=["probes"],
        response_class=Response,
        responses={**problems(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """In the form of Prometheus; of several workers the sums."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _rest(router: APIRouter, service: Service) -> None:
    @router.post("/admin/reload", response_model=Reloaded, responses=problems(409), tags=["models"])
    async def reload() -> Response:
        """Open all bundles again, from where they were. Where one is refused all models stay as they are."""
        try:
            models = await service.shelf.reload()
        except FovealError as error:
            raise Problem(409, "refused", error.message) from None
        return as_json({"models": models, "workers": 1 + service.tell_others()})

    @router.get("/", include_in_schema=False)
    async def root() -> Response:
        return page()


def _model(served: Served) -> dict[str, Any]:
    manifest = served.manifest
    return {
        "name": served.name,
        "version": served.version,
        "task": manifest.task,
        "kind": manifest.kind,
        "labels": list(manifest.labels),
        "input": manifest.input.model_dump(mode="json"),
        "agreement": manifest.agreement.model_dump(mode="json"),
        "made": manifest.made,
    }
