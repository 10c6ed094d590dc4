"""Whatever the response is, parsing it raises nothing but a ``TrackingMoreError``, and its values never raise."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.reports import BatchResponse

RECORDS = {
    path.stem: json.loads(path.read_text("utf-8")) for path in (Path(__file__).parents[2] / "fixtures/v2").glob("*")
}
SENT = [
    {"carrier_code": "gls", "tracking_number": "7714000912352"},
    {"carrier_code": "gls", "tracking_number": "771400091230"},
    {"carrier_code": "ups", "tracking_number": "1Z5R89390357567127"},
    {"carrier_code": "dpd", "tracking_number": "1z5r89390357567127"},
    {"carrier_code": "postnl-3s", "tracking_number": "WISH40227781"},
]
REQUESTS: dict[str, tuple[Request[Any], str]] = {
    "create_tracking": (endpoints.create_tracking(SENT[0]), "post_trackings_post"),
    "get_tracking": (endpoints.get_tracking("gls", "7714000912352"), "get_trackings_carrier_number"),
    "update_tracking": (endpoints.update_tracking("gls", "7714000912352", {}), "put_trackings_carrier_number"),
    "delete_tracking": (endpoints.delete_tracking("gls", "7714000912352"), "delete_trackings_carrier_number"),
    "create_batch": (endpoints.create_batch(SENT), "post_trackings_batch"),
    "update_batch": (endpoints.update_batch(SENT), "post_trackings_delete"),
    "delete_batch": (endpoints.delete_batch(SENT), "post_trackings_delete"),
    "stop_updates": (endpoints.stop_updates(SENT), "post_trackings_notupdate"),
    "list_page": (endpoints.list_page(), "get_trackings_get"),
    "realtime_tracking": (endpoints.realtime_tracking(SENT[0]), "post_trackings_realtime"),
    "change_carrier": (
        endpoints.change_carrier(carrier_code="gls", tracking_number="771400091230", new_carrier_code="dpd"),
        "post_trackings_update",
    ),
    "get_account": (endpoints.get_account(), "get_trackings_getuserinfo"),
    "count_by_status": (endpoints.count_by_status(), "get_trackings_getstatusnumber"),
    "check_remote_areas": (endpoints.check_remote_areas([]), "post_trackings_remote"),
    "get_transit_times": (endpoints.get_transit_times([]), "post_trackings_costtime"),
    "track_air_cargo": (endpoints.track_air_cargo([]), "post_trackings_aircargo"),
    "list_carriers": (endpoints.list_carriers(), "get_carriers"),
    "detect_carrier": (endpoints.detect_carrier("1Z5R89390357567127"), "post_carriers_detect"),
}


def json_slots(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) inside a JSON value."""
    for key, inner in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(inner, (dict, list)):
            yield from json_slots(inner)


NAMES = sorted({key for record in RECORDS.values() for _, key in json_slots(record) if isinstance(key, str)})
TEXTS = [
    "",
    "null",
    "delivered",
    "pending",
    "true",
    "4016",
    "0",
    "nan",
    "2019-07-09 16:08",
    "2020-02-28T09:47:13+08:00",
]
TEXTS += ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\ud83d", "gls", "7714000912352", "//host/", "\x00"]
NUMBERS = [0, -1, 200, 4016, 4017, 10**30, -(10**400), 2**63, float("nan"), float("inf"), 1e308, 0.5]
SCALARS = (
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.integers() | st.text(max_size=8)
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)
STATUSES = st.sampled_from([200, 200, 200, 201, 302, 400, 404, 429, 500, 503])

endpoint = pytest.mark.parametrize("name", REQUESTS)


def with_examples(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def use(value: object) -> None:
    """Do everything with a result that a user might do."""
    repr(value)
    str(value)
    pickle.loads(pickle.dumps(value))
    if dataclasses.is_dataclass(value):
        assert value == value
        hash(value)
        for name in dir(type(value)):
            if not name.startswith("_"):
                use(getattr(value, name)) if name != "raw" else None
    elif isinstance(value, dict):
        for key, inner in value.items():
            use(key)
            use(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            use(inner)


def read(request: Request[Any], status: int, body: bytes) -> None:
    try:
        result = parse_response(request, status, {}, body)
    except TrackingMoreError as error:
        result = error
    if isinstance(result, TrackingMoreError):
        assert str(result)
        assert pickle.loads(pickle.dumps(result)).code == result.code
        return
    use(result)
    if isinstance(result, BatchResponse):
        rejected = [(rejection.carrier_code, rejection.tracking_number) for rejection in result.rejected]
        named = [*result.done, *result.unchanged, *rejected, *result.unconfirmed]
        assert sorted(named) == sorted((shipment["carrier_code"], shipment["tracking_number"]) for shipment in SENT)


@endpoint
@with_examples(25)
@given(status=st.integers(100, 599), body=st.binary(max_size=40))
def test_any_bytes(name: str, status: int, body: bytes) -> None:
    read(REQUESTS[name][0], status, body)


@endpoint
@with_examples(25)
@given(status=STATUSES, answer=ANY_JSON)
def test_any_json(name: str, status: int, answer: object) -> None:
    read(REQUESTS[name][0], status, json.dumps(answer).encode())


@endpoint
@with_examples(40)
@given(status=STATUSES, code=st.sampled_from([200, 200, 201, "200", 202, 4016, 4031, 429]), data=ANY_JSON)
def test_any_data_in_a_proper_envelope(name: str, status: int, code: object, data: object) -> None:
    read(REQUESTS[name][0], status, json.dumps({"meta": {"code": code}, "data": data}).encode())


@endpoint
@with_examples(60)
@given(source=st.data())
def test_any_change_of_a_recorded_response(name: str, source: st.DataObject) -> None:
    request, recorded = REQUESTS[name]
    answer = copy.deepcopy(RECORDS[recorded]["response"])
    for _ in range(source.draw(st.integers(1, 3))):
        container, key = source.draw(st.sampled_from(list(json_slots(answer))))
        container[key] = source.draw(ANY_JSON)
    read(request, 200, json.dumps(answer).encode())


@with_examples(150)
@given(
    added=st.lists(st.sampled_from(SENT), max_size=6),
    refused=st.lists(st.tuples(st.sampled_from(SENT), st.sampled_from([4016, 4015, None, 200])), max_size=6),
    carrier=st.sampled_from([None, "", "GLS", "another"]),
)
@pytest.mark.parametrize("name", ["create_batch", "update_batch", "delete_batch", "stop_updates"])
def test_a_batch_response_accounts_for_each_shipment_once_even_if_it_repeats_itself(
    name, added, refused, carrier
) -> None:
    override = {} if carrier is None else {"carrier_code": carrier}
    data = {
        "trackings": [{**shipment, **override} for shipment in added]
        + [{"meta": {**shipment, "code": code}} for shipment, code in refused],
        "errors": [{**shipment, "code": code, "message": "no"} for shipment, code in refused],
        "delete": len(SENT),
    }
    read(REQUESTS[name][0], 200, json.dumps({"meta": {"code": 201}, "data": data}).encode())
