"""Pages are reduced to what the poller needs, row by row while they are decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api import json_rows
from airflow_provider_trackingmore.api.envelope import parse_response
from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.responses import ObservedPage, page_request

NOW = 1_800_000_000.0
WATCHED = ShipmentKey("usps", "p1")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("9999-12-31 23:59:59"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *("status", "substatus", "order_id", "lastUpdateTime", "stayTimeLength", "created_at", "updated_at"),
    *("origin_info", "destination_info"),
)


def row(number: str, **fields: Any) -> dict[str, Any]:
    return {"carrier_code": "USPS", "tracking_number": number, "status": "transit", **fields}


def read(items: list[Any], **data: Any) -> ObservedPage:
    request = page_request({}, 1, {WATCHED}, lambda: NOW)
    body = {"meta": {"code": 200}, "data": {"items": items, "total": len(items), **data}}
    return parse_response(request, 200, {}, json.dumps(body).encode())


@pytest.mark.parametrize("large", [0, 10**9], ids=["row by row", "at once"])
def test_rows_of_shipments_without_subscribers_are_counted_but_not_parsed(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "LARGE", large)
    created, updated = "2027-01-14T08:00:00+00:00", "2027-01-15T16:00:00+08:00"
    known = row("P1", created_at=created, updated_at=updated)
    page = read([known, row("P2", updated_at="soon")], total="7")
    assert page.keys == {WATCHED, ShipmentKey("usps", "p2")}
    assert (page.total, page.is_last) == (7, True)
    assert [row.observed for row in page.rows] == [Observation.from_record(known, NOW), None]
    assert [(row.created, row.updated) for row in page.rows] == [(NOW - 86_400, NOW), (None, None)]


def test_a_page_that_is_full_is_not_the_last_one() -> None:
    assert not read([row(str(number)) for number in range(PAGE_SIZE)]).is_last


@pytest.mark.parametrize("items", [["P1"], [None], [row("P1"), []], "P1"])
def test_a_page_with_anything_but_trackings_is_refused(items: Any) -> None:
    with pytest.raises(MalformedResponseError, match="page of trackings"):
        read(items)


@given(st.dictionaries(st.sampled_from(FIELDS), ANY_JSON))
def test_a_record_with_any_values_can_be_read(fields: dict[str, Any]) -> None:
    (found,) = read([row("P1", **fields)]).rows
    assert found.observed is not None
    tracking = Tracking.from_payload(row("P1", **fields))
    assert found.observed.status == (tracking.status_text or "unknown")
    assert (found.observed.delivered_at, found.observed.last_update) == (tracking.delivered_at, tracking.last_update)
