"""The sandbox conforms to its OpenAPI description, for valid and for invalid requests."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sandbox.routes import ENDPOINTS
from tests.sandbox.conftest import KEYS

BOUNDED = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CONTROL = [
    *("GET /clock", "POST /clock", "GET /switches", "POST /switches", "POST /seed", "GET /faults", "POST /faults"),
    *("DELETE /faults", "DELETE /faults/{fault_id}", "GET /ledger", "DELETE /ledger", "GET /ledger/summary"),
    *("GET /webhooks", "POST /webhooks"),
    *("GET /answers", "POST /answers", "DELETE /answers"),
    *("POST /trackings/changes", "GET /trackings", "GET /accounts", "PATCH /accounts/{index}", "POST /reset"),
]


@functools.cache
def description(root: str) -> Any:
    return schemathesis.openapi.from_url(f"{root}/_sandbox/openapi.json")


@pytest.fixture
def described(sandbox: SandboxProcess) -> Any:
    return description(sandbox.base_url.removesuffix("/v2"))


def some_case(described: Any, path: str, method: str, data: st.DataObject) -> Any:
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    operation = described[path][method]
    return data.draw(operation.as_strategy(generation_mode=mode))


def test_every_operation_of_the_description_is_tried(described: Any) -> None:
    tried = {f"{endpoint.method} /v2{endpoint.path}" for endpoint in ENDPOINTS}
    tried |= {operation.replace(" ", " /_sandbox") for operation in CONTROL}
    assert {operation.ok().label for operation in described.get_all_operations()} == tried


def test_the_key_is_described(described: Any) -> None:
    (scheme,) = described.raw_schema["components"]["securitySchemes"].values()
    assert scheme == {"type": "apiKey", "in": "header", "name": "Trackingmore-Api-Key"}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
@BOUNDED
@given(data=st.data())
def test_an_endpoint_answers_as_described(described: Any, endpoint: Any, data: st.DataObject) -> None:
    case = some_case(described, "/v2" + endpoint.path, endpoint.method, data)
    response = case.call(headers={"Trackingmore-Api-Key": KEYS[0]}, timeout=60)
    case.validate_response(response, checks=CHECKS)
    assert set(response.json()) == {"meta", "data"}


@pytest.mark.parametrize("operation", CONTROL)
@BOUNDED
@given(data=st.data())
def test_a_control_request_is_answered_as_described(described: Any, operation: str, data: st.DataObject) -> None:
    method, path = operation.split()
    case = some_case(described, "/_sandbox" + path, method, data)
    case.validate_response(case.call(timeout=60), checks=CHECKS)
