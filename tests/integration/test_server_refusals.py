"""What the server refuses: wrong requests, large ones, too many, and those of strangers."""

import threading
import time

import numpy as np
import pytest
from starlette.testclient import TestClient

from foveal.bundle import Outputs
from foveal.server.service import Service
from serving import LIGHT, client_of, problem_of, service_of

ROUTES = {
    "GET": [
        *("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/models", "/v1/models/photos", "/v2"),
        *("/v2/health/live", "/v2/health/ready", "/v2/models/photos", "/v2/models/photos/ready"),
    ],
    "POST": ["/v1/predict", "/v1/models/photos/predict", "/v2/models/photos/infer", "/admin/reload"],
}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_every_error_has_one_form(client: TestClient, method: str) -> None:
    for path in (*ROUTES["GET"], *ROUTES["POST"]):
        response = client.request(method, path)
        if path not in ROUTES.get(method, []):
            problem_of(response, 405)
            assert response.headers["allow"]
        elif method == "GET" or path == "/admin/reload":
            assert response.status_code == 200
        else:
            problem_of(response, 400 if path.startswith("/v2") else 415)
    for path in ("/nothing", "/v1/predict/", "/v1/models/none/predict" if method == "POST" else "/v1"):
        problem_of(client.request(method, path), 404)


def test_limits_of_a_body(client: TestClient, service: Service) -> None:
    large = bytes(service.settings.limits.body + 1)
    began = time.perf_counter()
    problem_of(client.post("/v1/predict", content=large, headers={"content-type": "image/png"}), 413)
    pieces = (large[k : k + 65536] for k in range(0, len(large), 65536))  # chunked: no Content-Length says it
    problem_of(client.post("/v1/predict", content=pieces, headers={"content-type": "image/png"}), 413)
    problem_of(client.post("/v1/predict", files=[("image", ("a", LIGHT))] * 9), 413)
    squeezed = {"content-type": "image/png", "content-encoding": "gzip"}
    problem_of(client.post("/v1/predict", content=LIGHT, headers=squeezed), 415)
    assert time.perf_counter() - began < 2
    assert service.memory.held == 0


def test_bodies_of_all_requests_have_one_limit() -> None:
    service = service_of(body=1 << 20, memory=1 << 20)
    with client_of(service) as client:
        service.memory.held = (1 << 20) - 10
        response = client.post("/v1/predict", content=LIGHT, headers={"content-type": "image/png"})
        assert problem_of(response, 503)["type"].endswith("memory")
        assert response.headers["retry-after"] == "1"
        service.memory.held -= (1 << 20) - 10
        assert service.memory.held == 0


def test_a_token_is_asked_of_everybody() -> None:
    token = "0123456789abcdef"
    with client_of(service_of(token=token)) as client:
        for method, paths in ROUTES.items():
            for path in paths:
                for header in ({}, {"authorization": "Bearer no"}, {"authorization": f"Basic {token}"}):
                    response = client.request(method, path, headers=header)
                    if path in ("/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
                        assert response.status_code == 200
                    else:
                        problem_of(response, 401)
                        assert response.headers["www-authenticate"] == "Bearer"
        right = {"authorization": f"bearer {token}"}
        assert client.post("/v1/predict", files={"image": LIGHT}, headers=right).status_code == 200
        assert client.post("/v1/predict", files={"image": LIGHT}, headers={**right, "host": "x.org"}).status_code == 200
        told = client.get("/openapi.json", headers=right).json()
        assert told["paths"]["/v1/predict"]["post"]["security"] == [{"token": []}]
        assert told["paths"]["/healthz"]["get"]["security"] == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8000", "[::1]:80", "evil.example", "127.0.0.1.evil.example", ""]
)
def test_without_a_token_other_names_are_refused(client: TestClient, host: str) -> None:
    response = client.get("/v1/models", headers={"host": host})
    if "evil" in host or not host:
        problem_of(response, 421)
    else:
        assert response.status_code == 200


def test_pages_of_other_origins_are_refused(client: TestClient) -> None:
    response = client.post("/admin/reload", headers={"origin": "http://evil.example"})
    problem_of(response, 403)
    assert client.get("/v1/models", headers={"origin": "http://127.0.0.1"}).status_code == 200


def test_too_many_requests_are_refused_and_probes_are_not() -> None:
    service = service_of(requests=1)
    with client_of(service) as client:
        predictor = service.shelf.find(None).batcher.predictor
        go, begun, observe = threading.Event(), threading.Event(), predictor.observe

        def held(pixels: np.ndarray) -> Outputs:
            begun.set()
            assert go.wait(10)
            assert observe is not None
            return observe(pixels)

        object.__setattr__(predictor, "observe", held)
        answered: list[int] = []

        def ask() -> None:
            answered.append(client.post("/v1/predict", files={"image": LIGHT}).status_code)

        thread = threading.Thread(target=ask)
        thread.start()
        assert begun.wait(10)
        response = client.post("/v1/predict", files={"image": LIGHT})
        assert problem_of(response, 503)["type"].endswith("busy")
        assert response.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == client.get("/metrics").status_code == 200
        go.set()
        thread.join()
        assert answered == [200]


def test_readiness_ends_with_draining() -> None:
    service = service_of()
    with client_of(service) as client:
        service.admission.draining = True
        for path in ("/readyz", "/v2/health/ready", "/v2/models/photos/ready"):
            problem_of(client.get(path), 503)
        assert client.get("/healthz").status_code == 200
