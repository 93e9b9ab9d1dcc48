"""A server's routes in this process."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from foveal.server.service import Service
from serving import client_of, service_of


@pytest.fixture(scope="module")
def service() -> Service:
    return service_of(images=8, body=1 << 20)


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with client_of(service) as client:
        yield client
