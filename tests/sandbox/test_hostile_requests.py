"""The sandbox answers any request in the vendor's envelope and never fails."""

from __future__ import annotations

import json

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.sandbox.envelope import CODES
from airflow_provider_trackingmore.sandbox.routes import ENDPOINTS

FIELDS = ("tracking_number", "carrier_code", "update_carrier_code", "status", "archived", "order_id", "track_number")
FIELDS += ("country", "postcode", "company", "original", "destination", "order_create_time", "lang", "customer_email")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["usps", "dhl", "NUMBER0001", "172-00000015", "JP", "REMOTE", "4", "cn", "2026/1/5 10:00", "9999/99/99"]
    )
)
ROWS = st.dictionaries(st.sampled_from(FIELDS) | st.text(), LEAVES | st.lists(LEAVES, max_size=3), max_size=6)
BODIES = LEAVES | ROWS | st.lists(ROWS | LEAVES, max_size=5)
QUERIES = st.dictionaries(
    st.sampled_from(["page", "limit", "status", "numbers", "orders", "archived", "created_at_min", "update_time_max"]),
    st.text() | st.integers().map(str),
    max_size=4,
)
SEGMENTS = st.text(min_size=1, max_size=8).map(
    lambda text: requests.utils.quote(text.encode("utf-8", "replace"), safe="")
)


@pytest.fixture(params=ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def endpoint(request):
    return request.param


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_makes_the_sandbox_fail(caller, sandbox, endpoint, data):
    sandbox.switch(number_format="any", blank_carrier="detect", list_by_post=True)
    path = endpoint.path
    for part in ("{carrier_code}", "{tracking_number}", "{lang}"):
        path = path.replace(part, data.draw(SEGMENTS) if part in path else "")
    body = json.dumps(data.draw(BODIES))
    response = caller.send(endpoint.method, path, data=body, params=data.draw(QUERIES))
    assert response.status_code == 200
    assert response.json()["meta"]["code"] in set(CODES) - {500}


def test_deeply_nested_json_is_not_json(caller):
    assert caller.code("POST", "/trackings/batch", data="[" * 200_000) == 4015
