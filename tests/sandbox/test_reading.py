"""One tracking, lists, counts and realtime over a socket, with all switches at their defaults."""

from __future__ import annotations

import re

import pytest

INFO_FIELDS = {
    "ReferenceNumber",
    "ItemReceived",
    "ItemDispatched",
    "DepartfromAirport",
    "ArrivalfromAbroad",
    "CustomsClearance",
    "DestinationArrived",
    "weblink",
    "phone",
    "carrier_code",
    "trackinfo",
}
STATUSES = {"pending", "notfound", "transit", "pickup", "delivered", "undelivered", "exception", "expired"}


def test_one_tracking_is_shown_with_its_journey(caller, sandbox):
    caller.create("SBX-DELIVERED-2D-a", "china-post", destination_code="PL", customer_name="Ola", title="lamp")
    sandbox.advance(days=2)
    item = caller.item("SBX-DELIVERED-2D-a", "china-post")
    assert item["status"] == "delivered"
    assert item["track_update"] is False
    assert item["customer_name"] == "Ola"
    assert item["title"] == "lamp"
    assert item["archived"] is False
    assert item["original_country"] == "China"
    assert item["destination_country"] == "Poland"
    assert item["itemTimeLength"] == 1
    assert set(item["origin_info"]) == set(item["destination_info"]) == INFO_FIELDS
    assert item["destination_info"]["carrier_code"] == "poczta-polska"
    rows = item["destination_info"]["trackinfo"]
    assert [row["Date"] for row in rows] == sorted((row["Date"] for row in rows), reverse=True)
    assert rows[0]["checkpoint_status"] == "delivered"
    assert item["lastEvent"] == f"Delivered,{rows[0]['Details']},{rows[0]['Date']}"
    assert item["lastUpdateTime"] == rows[0]["Date"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", rows[0]["Date"])
    received = item["origin_info"]["trackinfo"][-1]
    assert received["ItemNode"] == "ItemReceived"
    assert item["origin_info"]["ItemReceived"] == received["Date"]


def test_a_new_tracking_has_no_events(caller):
    caller.create("SBX-DELIVERED-a1")
    item = caller.item("SBX-DELIVERED-a1")
    assert item["status"] == "pending"
    assert item["track_update"] is True
    assert item["origin_info"]["trackinfo"] is None
    assert item["lastEvent"] == ""
    assert item["itemTimeLength"] is None


def test_a_language_is_used_by_carriers_that_support_it(caller, sandbox):
    for carrier in ("china-post", "usps"):
        caller.create("SBX-INSTANT-a1", carrier, destination_code="US")
    sandbox.advance(hours=2)
    chinese = caller.get("/trackings/china-post/SBX-INSTANT-a1/cn")[1]
    english = caller.get("/trackings/usps/SBX-INSTANT-a1/cn")[1]
    assert chinese["lastEvent"].startswith("已签收")
    assert english["lastEvent"].startswith("Delivered")


@pytest.mark.parametrize(
    ("path", "code"), [("usps/12345678", 4031), ("nobody/12345678", 4015), ("usps/1%202345", 4014)]
)
def test_an_unknown_tracking_is_rejected(caller, path, code):
    assert caller.get(f"/trackings/{path}") == (code, [])


def test_a_list_is_newest_first_and_paged(caller, sandbox):
    for at in range(5):
        caller.create(f"NUMBER{at:04d}", "dhl")
        sandbox.advance(10)
    code, page = caller.get("/trackings/get", page=2, limit=2)
    assert code == 200
    assert (page["page"], page["limit"], page["total"], page["count"]) == (2, 2, "5", 2)
    assert [item["tracking_number"] for item in page["items"]] == ["NUMBER0002", "NUMBER0001"]
    assert caller.get("/trackings/get", page=4, limit=2) == (4031, [])


def listed(caller, **query):
    code, page = caller.get("/trackings/get", **query)
    return {item["tracking_number"] for item in page["items"]} if code == 200 else code


def test_lists_are_filtered(caller, sandbox):
    caller.create("SBX-INSTANT-a1", "dhl", order_id="A-1", order_create_time="2026-01-05 10:00")
    sandbox.advance(hours=2)
    second_born = int(sandbox.clock()["unix"])
    caller.create("SBX-NOTFOUND-b1", "usps", order_id="B-1")
    caller.create("SBX-NOTFOUND-b2", "dhl", order_id="B-1")
    caller.ask("PUT", "/trackings/dhl/SBX-NOTFOUND-b2", json={"archived": "true"})
    sandbox.advance(hours=2)
    everything = {"SBX-INSTANT-a1", "SBX-NOTFOUND-b1", "SBX-NOTFOUND-b2"}
    late = everything - {"SBX-INSTANT-a1"}
    assert listed(caller) == everything
    assert listed(caller, status="delivered") == {"SBX-INSTANT-a1"}
    assert listed(caller, status="nonsense") == 4033
    assert listed(caller, created_at_min=second_born) == late
    assert listed(caller, created_at_max=second_born - 1) == {"SBX-INSTANT-a1"}
    assert listed(caller, update_time_min=second_born) == late
    assert listed(caller, order_created_time_max=1767700000) == {"SBX-INSTANT-a1"}
    assert listed(caller, order_created_time_min=1767700000) == 4031
    assert listed(caller, numbers="SBX-INSTANT-a1,SBX-NOTFOUND-b1,MISSING99") == {"SBX-INSTANT-a1", "SBX-NOTFOUND-b1"}
    assert listed(caller, orders="B-1") == late
    assert listed(caller, orders="B-1", numbers="SBX-NOTFOUND-b1") == {"SBX-NOTFOUND-b1"}
    assert listed(caller, archived="true") == {"SBX-NOTFOUND-b2"}
    assert listed(caller, archived="false") == everything - {"SBX-NOTFOUND-b2"}
    assert listed(caller, archived="perhaps") == everything


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 2001}, 4012),
        ({"limit": 0}, 4012),
        ({"page": "first"}, 4012),
        ({"created_at_min": "yesterday"}, 4012),
        ({"numbers": ",".join(f"N{at:05d}" for at in range(41))}, 4020),
        ({"orders": ",".join(f"O{at:05d}" for at in range(41))}, 4020),
    ],
)
def test_an_invalid_filter_is_rejected(caller, query, code):
    assert caller.get("/trackings/get", **query) == (code, [])


def test_an_order_can_change_its_shipments(caller):
    caller.create("NUMBER0001", order_id="A-1")
    caller.ask("PUT", "/trackings/usps/NUMBER0001", json={"order_id": "A-2"})
    assert listed(caller, orders="A-1") == 4031
    assert listed(caller, orders="A-2") == {"NUMBER0001"}


def test_statuses_are_counted(caller, sandbox):
    sandbox.seed(3, journey="INSTANT", ages_days=(1, 2))
    sandbox.seed(2, journey="STUCK", ages_days=(9, 10), seed=2)
    code, counts = caller.get("/trackings/getstatusnumber")
    assert code == 200
    assert set(counts) == STATUSES
    assert (counts["delivered"], counts["transit"], sum(counts.values())) == (3, 2, 5)
    week_ago = int(sandbox.clock()["unix"]) - 7 * 86_400
    assert sum(caller.get("/trackings/getstatusnumber", created_at_min=week_ago)[1].values()) == 3


def test_realtime_queries_the_carrier_and_registers_nothing(caller, sandbox):
    body = {"tracking_number": "SBX-INSTANT-a1", "carrier_code": "hong-kong-post", "lang": "en"}
    code, data = caller.post("/trackings/realtime", body)
    assert code == 200
    (item,) = data["items"]
    assert item["status"] == "delivered"
    assert {"created_at", "substatus"}.isdisjoint(item)
    assert set(item["origin_info"]) == {"weblink", "phone", "carrier_code", "trackinfo"}
    assert set(item["origin_info"]["trackinfo"][0]) == {"Date", "StatusDescription", "Details"}
    assert sandbox.trackings() == []
    assert sandbox.accounts()[0]["quota_charged"] == 0


def test_realtime_refreshes_what_is_registered(caller):
    caller.create("SBX-INSTANT-a1")
    assert caller.item("SBX-INSTANT-a1")["status"] == "pending"
    caller.post("/trackings/realtime", {"tracking_number": "SBX-INSTANT-a1", "carrier_code": "usps"})
    assert caller.item("SBX-INSTANT-a1")["status"] == "delivered"


def test_realtime_takes_the_same_shipment_once_in_two_hours(caller, sandbox):
    body = {"tracking_number": "SBX-INSTANT-a1", "carrier_code": "usps"}
    assert caller.post("/trackings/realtime", body)[0] == 200
    sandbox.advance(hours=1.99)
    assert caller.post("/trackings/realtime", body) == (202, [])
    assert caller.post("/trackings/realtime", body | {"tracking_number": "SBX-INSTANT-a2"})[0] == 200
    sandbox.advance(hours=0.02)
    assert caller.post("/trackings/realtime", body)[0] == 200
