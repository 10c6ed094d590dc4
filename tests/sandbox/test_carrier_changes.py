"""Carriers correct what they have reported, and shipments are deleted elsewhere: through the control API."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.client import SandboxError
from airflow_provider_trackingmore.sandbox.switches import SWITCHES

KEY = ("china-post", "SBX-DELIVERED-2D-a1")
ITEM_SWITCHES = (
    *("email_form", "unset_text", "tz", "courier_time", "destination_info", "leg_overlap", "track_update", "substatus"),
    *("substatus_spelling", "updated_at_delivered", "updated_at_moves", "total_as_string", "list_count"),
)
POSITIONS = [{}, *({name: value} for name in ITEM_SWITCHES for value in SWITCHES[name].values)]


@pytest.fixture
def delivered(sandbox, caller):
    """A parcel with two legs that was delivered a day ago; the clock stands still."""
    caller.create(KEY[1], KEY[0], destination_code="PL")
    sandbox.freeze()
    sandbox.advance(days=3)
    return sandbox


def events_of(item):
    rows = [row for leg in ("origin_info", "destination_info") for row in (item.get(leg) or {}).get("trackinfo") or []]
    return sorted(rows, key=lambda row: row["Date"], reverse=True)


def texts_of(item):
    return [row["StatusDescription"].rstrip() for row in events_of(item)]


def listed(caller, **filters):
    code, data = caller.get("/trackings/get", **filters)
    return data["items"] if code == 200 else code


@pytest.mark.parametrize("position", POSITIONS, ids=str)
def test_reworded_dropped_and_added_events_show_in_every_form_of_an_answer(delivered, caller, position):
    delivered.switch(**position)
    before = caller.item(KEY[1], KEY[0])
    handover = 1 if position.get("leg_overlap") == "handover" else 0
    assert len(events_of(before)) == 8 + handover
    change = delivered.reword_event(*KEY, "Handed to J\u00f3zef", event=0)
    assert change["before"]["description"] == "Delivered"
    assert change["after"] == change["before"] | {"description": "Handed to J\u00f3zef"}
    reworded = caller.item(KEY[1], KEY[0])
    assert texts_of(reworded) == ["Handed to J\u00f3zef", *texts_of(before)[1:]]
    assert reworded["lastEvent"] == before["lastEvent"].replace("Delivered", "Handed to J\u00f3zef")
    assert reworded["status"] == "delivered"
    dropped_text = delivered.drop_event(*KEY, event=1)["before"]["description"]
    dropped = caller.item(KEY[1], KEY[0])
    assert texts_of(dropped) == [text for text in texts_of(reworded) if text != dropped_text]
    late = delivered.add_event(*KEY, "Scanned on the way", age_hours=36, place="Lodz")
    added = caller.item(KEY[1], KEY[0])
    assert sorted(texts_of(added)) == sorted([*texts_of(dropped), "Scanned on the way"])
    row = next(row for row in events_of(added) if row["StatusDescription"] == "Scanned on the way")
    assert late["after"]["local_time"].startswith(row["Date"])
    assert (row["Details"], row["checkpoint_status"]) == ("Lodz", "transit")
    assert added["lastEvent"] == dropped["lastEvent"]
    assert added["status"] == "delivered"
    assert listed(caller) == [added]


@pytest.mark.parametrize("overlap", ["none", "handover"])
def test_an_event_of_both_legs_is_reworded_in_both(delivered, caller, overlap):
    delivered.switch(leg_overlap=overlap)
    item = caller.item(KEY[1], KEY[0])
    position = len(item["destination_info"]["trackinfo"]) - (overlap == "handover")
    delivered.reword_event(*KEY, "Loaded", event=position)
    item = caller.item(KEY[1], KEY[0])
    assert texts_of(item).count("Loaded") == (2 if overlap == "handover" else 1)
    assert item["origin_info"]["trackinfo"][0]["StatusDescription"] == "Loaded"


def test_a_reworded_event_has_the_same_text_in_every_language(delivered, caller):
    delivered.reword_event(*KEY, "New")
    assert caller.get("/trackings/china-post/SBX-DELIVERED-2D-a1/cn")[1]["lastEvent"].startswith("New,")


CHANGES = {
    "reword": lambda sandbox, updated_at: sandbox.reword_event(*KEY, "New", updated_at=updated_at),
    "drop": lambda sandbox, updated_at: sandbox.drop_event(*KEY, updated_at=updated_at),
    "add": lambda sandbox, updated_at: sandbox.add_event(*KEY, "New", age_hours=30, updated_at=updated_at),
    "reopen": lambda sandbox, updated_at: sandbox.reopen(*KEY, updated_at=updated_at),
    "touch": lambda sandbox, updated_at: sandbox.touch(*KEY, updated_at=updated_at),
}


@pytest.mark.parametrize("delivered_form", ["time", "null"])
@pytest.mark.parametrize("moves", ["change", "refresh"])
@pytest.mark.parametrize("updated_at", ["now", "keep", "null"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_does_to_updated_at_what_it_was_told(delivered, caller, change, updated_at, moves, delivered_form):
    delivered.switch(tz="+00:00", updated_at_moves=moves, updated_at_delivered=delivered_form)
    before = caller.item(KEY[1], KEY[0])
    now = delivered.clock()
    CHANGES[change](delivered, updated_at)
    item = caller.item(KEY[1], KEY[0])
    always_null = delivered_form == "null" and item["status"] == "delivered"
    if always_null or updated_at == "null":
        assert item["updated_at"] is None
    elif updated_at == "now":
        assert item["updated_at"] == now["now"]
    elif change != "reopen":
        assert item["updated_at"] == before["updated_at"]
    else:
        assert item["updated_at"] < now["now"]
    found = listed(caller, update_time_min=int(now["unix"]))
    assert found == ([item] if updated_at == "now" and not always_null else 4031)


def test_null_lasts_until_the_next_change(sandbox, caller):
    sandbox.freeze()
    sandbox.seed(shipments=[{"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-9D-a1", "age_hours": 48}])
    sandbox.touch("dhl", "SBX-DELIVERED-9D-a1", updated_at="null")
    assert caller.item("SBX-DELIVERED-9D-a1", "dhl")["updated_at"] is None
    sandbox.advance(hours=1)
    assert caller.item("SBX-DELIVERED-9D-a1", "dhl")["updated_at"] is None
    sandbox.advance(days=4)
    assert caller.item("SBX-DELIVERED-9D-a1", "dhl")["updated_at"] is not None
    sandbox.touch("dhl", "SBX-DELIVERED-9D-a1", updated_at="null")
    caller.ask("PUT", "/trackings/dhl/SBX-DELIVERED-9D-a1", json={"title": "lamp"})
    assert caller.item("SBX-DELIVERED-9D-a1", "dhl")["updated_at"] is not None


@pytest.mark.parametrize("after", [None, 30])
def test_a_reopened_parcel_is_in_transit_and_delivered_again_if_asked(delivered, caller, after):
    before = caller.item(KEY[1], KEY[0])
    delivered.reopen(*KEY, delivered_after_hours=after)
    item = caller.item(KEY[1], KEY[0])
    assert (item["status"], item["track_update"]) == ("transit", True)
    assert texts_of(item) == ["Delivery scan withdrawn, parcel under way again", *texts_of(before)]
    delivered.advance(hours=29)
    assert caller.item(KEY[1], KEY[0])["status"] == "transit"
    delivered.advance(hours=1 + 6)
    last = caller.item(KEY[1], KEY[0])
    assert last["status"] == ("delivered" if after else "transit")
    assert len(texts_of(last)) == len(texts_of(item)) + (1 if after else 0)


def test_a_parcel_that_the_user_called_delivered_can_be_reopened(sandbox, caller):
    caller.create("NUMBER0001")
    caller.ask("PUT", "/trackings/usps/NUMBER0001", json={"status": 4})
    sandbox.reopen("usps", "NUMBER0001")
    assert caller.item("NUMBER0001")["status"] == "transit"


def test_the_journey_goes_on_after_a_change(sandbox, caller):
    """A change adds and removes what is visible; what comes later comes as planned."""
    sandbox.freeze()
    rows = [{"carrier_code": code, "tracking_number": "SBX-UNDELIVERED-4D-a1"} for code in ("dhl", "usps")]
    sandbox.seed(shipments=rows)
    planned = {tracking["carrier_code"]: tracking["changes"][-1] for tracking in sandbox.trackings()}
    for hour in range(0, 84, 12):
        sandbox.advance(hours=12)
        for row in rows:
            key = row["carrier_code"], row["tracking_number"]
            sandbox.add_event(*key, f"Scan {hour}", age_hours=hour / 2)
            sandbox.drop_event(*key, event=0)
    sandbox.advance(hours=12)
    for row in rows:
        item = caller.item(row["tracking_number"], row["carrier_code"])
        assert item["status"] == planned[row["carrier_code"]]["status"] == "delivered"
    assert {tracking["carrier_code"]: tracking["changes"][-1] for tracking in sandbox.trackings()} == planned


def test_a_pending_parcel_gets_its_first_event(sandbox, caller):
    caller.create("SBX-PENDING-a1")
    sandbox.add_event("usps", "SBX-PENDING-a1", "Found in the depot", place="Memphis")
    item = caller.item("SBX-PENDING-a1")
    assert (item["status"], texts_of(item)) == ("transit", ["Found in the depot"])
    sandbox.add_event("usps", "SBX-PENDING-a1", "Handed over", event_status="delivered", status="delivered")
    item = caller.item("SBX-PENDING-a1")
    assert (item["status"], item["track_update"]) == ("delivered", False)
    assert events_of(item)[0]["Details"] == "Memphis"


def test_a_shipment_can_be_deleted_without_a_call(delivered, caller):
    delivered.delete(*KEY)
    assert caller.get("/trackings/china-post/SBX-DELIVERED-2D-a1")[0] == 4031
    assert listed(caller) == 4031
    assert delivered.trackings() == []
    assert caller.create(KEY[1], KEY[0])[0] == 201


def test_changes_reach_the_account_that_they_name(sandbox, second):
    second.create("SBX-INSTANT-a1")
    sandbox.advance(days=1)
    with pytest.raises(SandboxError, match="usps SBX-INSTANT-a1 is not registered"):
        sandbox.reword_event("usps", "SBX-INSTANT-a1", "New")
    sandbox.reword_event("usps", "SBX-INSTANT-a1", "New", account=1)
    assert texts_of(second.item("SBX-INSTANT-a1"))[0] == "New"


def test_many_changes_are_applied_all_or_none(sandbox, caller):
    sandbox.freeze()
    rows = sandbox.seed(40, journey="DELIVERED-2D", ages_days=(5, 9))
    before = listed(caller)
    changes = [row | {"action": "reword", "description": "New"} for row in rows]
    with pytest.raises(SandboxError, match="is not registered"):
        sandbox.change_trackings([*changes, {"carrier_code": "dhl", "tracking_number": "NOBODY1", "action": "delete"}])
    with pytest.raises(SandboxError, match="has two changes"):
        sandbox.change_trackings([*changes, rows[0] | {"action": "delete"}])
    with pytest.raises(SandboxError, match="events, the newest is 0"):
        sandbox.change_trackings([*changes[1:], rows[0] | {"action": "drop", "event": 99}])
    assert listed(caller) == before
    assert len(sandbox.change_trackings(changes)) == 40
    assert {texts_of(item)[0] for item in listed(caller)} == {"New"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"action": "reword"}, "new description or place"),
        ({"action": "add"}, "needs a description"),
        ({"action": "explode"}, "action"),
        ({"action": "drop", "event": -1}, "event"),
        ({"action": "touch", "updated_at": "yesterday"}, "updated_at"),
        ({"action": "add", "description": "x", "status": "lost"}, "status"),
    ],
)
def test_an_invalid_change_is_explained(delivered, change, says):
    row = {"carrier_code": KEY[0], "tracking_number": KEY[1]}
    with pytest.raises(SandboxError, match=says):
        delivered.change_trackings([row | change])
