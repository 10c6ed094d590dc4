"""Registering one or many shipments over a socket, with all switches at their defaults."""

from __future__ import annotations

import re

import pytest

from .conftest import CREATED_FIELDS


def test_creating_answers_with_the_new_tracking(caller):
    code, data = caller.create("SBX-DELIVERED-a1", order_id="A-1", order_create_time="2026/2/27 16:51")
    assert code == 201
    assert set(data) == CREATED_FIELDS
    assert re.fullmatch(r"[0-9a-f]{32}", data["id"])
    assert data["status"] == "pending"
    assert data["order_create_time"] == 1772211060
    assert data["order_id"] == "A-1"
    assert data["title"] is None
    assert data["destination"] == ""
    assert data["created_at"].startswith("2026-03-02T16:00:")
    assert data["created_at"].endswith("+08:00")


def test_creating_again_is_rejected_with_4016(caller):
    caller.create("SBX-DELIVERED-a1")
    assert caller.create("SBX-DELIVERED-a1") == (4016, [])


def test_two_carriers_may_share_a_number(caller):
    assert caller.create("SHARED12345", "usps")[0] == caller.create("SHARED12345", "dhl")[0] == 201
    _, page = caller.get("/trackings/get", numbers="SHARED12345")
    assert {item["carrier_code"] for item in page["items"]} == {"usps", "dhl"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 4013),
        ({"carrier_code": "usps"}, 4013),
        ({"tracking_number": "", "carrier_code": "usps"}, 4013),
        ({"tracking_number": "12345678"}, 4015),
        ({"tracking_number": "12345678", "carrier_code": "no-such-carrier"}, 4015),
        ({"tracking_number": "1234 678", "carrier_code": "usps"}, 4014),
        ({"tracking_number": "1234", "carrier_code": "usps"}, 4014),
        ({"tracking_number": ["12345678"], "carrier_code": "usps"}, 4014),
        ({"tracking_number": "12345678", "carrier_code": 7}, 4015),
        ([{"tracking_number": "12345678", "carrier_code": "usps"}], 4012),
        ({"tracking_number": "SBX-REJECT-4018-x", "carrier_code": "usps"}, 4018),
    ],
)
def test_an_invalid_creation_is_rejected_with_the_documented_code(caller, sandbox, body, code):
    assert caller.post("/trackings/post", body) == (code, [])
    assert sandbox.trackings() == []


def test_a_tracking_number_may_be_sent_as_a_json_number(caller):
    assert caller.create(1234567890)[1]["tracking_number"] == "1234567890"


def test_a_body_that_is_not_json_is_rejected(caller):
    assert caller.ask("POST", "/trackings/post", data="tracking_number=1") == (4015, [])


def test_a_batch_reports_what_was_added_and_what_was_not(caller):
    caller.create("SBX-DELIVERED-old")
    rows = [
        {"tracking_number": "SBX-DELIVERED-b1", "carrier_code": "usps", "title": "mug"},
        {"tracking_number": "SBX-DELIVERED-old", "carrier_code": "usps"},
        {"tracking_number": "SBX-DELIVERED-b2", "carrier_code": "nobody"},
        {"tracking_number": "SBX-DELIVERED-b1", "carrier_code": "usps"},
        "nonsense",
    ]
    code, data = caller.post("/trackings/batch", rows)
    assert code == 201
    assert (data["submitted"], data["added"]) == (5, 1)
    assert [set(row) for row in data["trackings"]] == [CREATED_FIELDS]
    assert [(row["tracking_number"], row["code"]) for row in data["errors"]] == [
        ("SBX-DELIVERED-old", 4016),
        ("SBX-DELIVERED-b2", 4015),
        ("SBX-DELIVERED-b1", 4016),
        (None, 4012),
    ]
    assert set(data["errors"][0]) == {"tracking_number", "carrier_code", "code", "message"}


def test_a_batch_of_more_than_forty_is_rejected_as_a_whole(caller, sandbox):
    rows = [{"tracking_number": f"NUMBER{at:04d}", "carrier_code": "dhl"} for at in range(41)]
    assert caller.post("/trackings/batch", rows) == (4020, [])
    assert caller.post("/trackings/batch", rows[:40])[1]["added"] == 40
    assert len(sandbox.trackings()) == 40


@pytest.mark.parametrize("body", [[], {}, "text", 7])
def test_a_batch_that_is_not_a_list_of_shipments_is_rejected(caller, body):
    assert caller.post("/trackings/batch", body)[0] == 4012
