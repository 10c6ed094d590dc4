"""Updating and deleting over a socket, with all switches at their defaults."""

from __future__ import annotations

import pytest

from .conftest import CREATED_FIELDS


def test_updating_changes_what_is_given_and_nothing_else(caller):
    caller.create("SBX-DELIVERED-a1", title="mug", order_id="A-1")
    code, data = caller.ask(
        "PUT", "/trackings/usps/SBX-DELIVERED-a1", json={"title": "lamp", "archived": "true", "destination_code": "DE"}
    )
    assert code == 200
    assert set(data) == CREATED_FIELDS | {"updated_at", "destination_code", "archived"}
    assert (data["title"], data["order_id"], data["archived"], data["destination_code"]) == ("lamp", "A-1", True, "DE")
    assert caller.item("SBX-DELIVERED-a1")["archived"] is True


@pytest.mark.parametrize(
    ("value", "status"), [(4, "delivered"), ("4", "delivered"), (7, "exception"), ("7", "exception")]
)
def test_a_status_can_be_set_and_set_back(caller, value, status):
    caller.create("SBX-DELIVERED-a1")
    assert caller.ask("PUT", "/trackings/usps/SBX-DELIVERED-a1", json={"status": value})[1]["status"] == status
    assert caller.item("SBX-DELIVERED-a1")["status"] == status
    assert caller.ask("PUT", "/trackings/usps/SBX-DELIVERED-a1", json={"status": 8})[1]["status"] == "pending"


@pytest.mark.parametrize(
    ("number", "body", "code"),
    [("SBX-DELIVERED-a1", {"status": 5}, 4033), ("UNKNOWN123", {"title": "x"}, 4017), ("SBX-DELIVERED-a1", [], 4012)],
)
def test_an_invalid_update_is_rejected(caller, number, body, code):
    caller.create("SBX-DELIVERED-a1")
    assert caller.ask("PUT", f"/trackings/usps/{number}", json=body) == (code, [])


@pytest.mark.parametrize("body", [None, b"", b" \r\n", b"{}"])
def test_an_update_without_a_body_is_no_error_and_changes_nothing(caller, body):
    caller.create("SBX-DELIVERED-a1", title="mug", order_id="A-1")
    code, data = caller.ask("PUT", "/trackings/usps/SBX-DELIVERED-a1", data=body)
    assert (code, data["title"], data["order_id"], data["archived"]) == (200, "mug", "A-1", False)
    assert caller.ask("PUT", "/trackings/usps/UNKNOWN123", data=body) == (4017, [])


@pytest.mark.parametrize("body", [b"{", b"title=lamp"])
def test_an_update_whose_body_is_not_json_is_rejected(caller, body):
    caller.create("SBX-DELIVERED-a1")
    assert caller.ask("PUT", "/trackings/usps/SBX-DELIVERED-a1", data=body) == (4015, [])


def test_deleting_removes_a_tracking_once(caller):
    caller.create("SBX-DELIVERED-a1")
    assert caller.ask("DELETE", "/trackings/usps/SBX-DELIVERED-a1") == (200, [])
    assert caller.ask("DELETE", "/trackings/usps/SBX-DELIVERED-a1") == (4017, [])
    assert caller.get("/trackings/usps/SBX-DELIVERED-a1")[0] == 4031


def test_a_deleted_number_comes_back_with_its_id_and_free_of_charge(caller, sandbox):
    first = caller.create("SBX-DELIVERED-a1")[1]["id"]
    caller.ask("DELETE", "/trackings/usps/SBX-DELIVERED-a1")
    assert caller.create("SBX-DELIVERED-a1")[1]["id"] == first
    assert sandbox.accounts()[0]["quota_charged"] == 1


def test_several_are_updated_at_once(caller):
    caller.create("NUMBER0001")
    rows = [
        {"tracking_number": "NUMBER0001", "carrier_code": "usps", "status": "7", "title": "x"},
        {"tracking_number": "NUMBER0002", "carrier_code": "usps", "status": "7"},
        {"tracking_number": "NUMBER0001", "carrier_code": "usps", "status": "9"},
    ]
    code, data = caller.post("/trackings/updatemore", rows)
    assert (code, data["submitted"], data["updated"]) == (200, 3, 1)
    assert data["trackings"][0] == {"tracking_number": "NUMBER0001", "carrier_code": "usps"}
    assert [entry.get("code") for entry in data["trackings"]] == [None, 4017, 4033]
    assert caller.item("NUMBER0001")["status"] == "exception"


def test_several_are_deleted_at_once(caller, sandbox):
    caller.create("NUMBER0001")
    rows = [{"tracking_number": f"NUMBER000{at}", "carrier_code": "usps"} for at in (1, 2)]
    code, data = caller.post("/trackings/delete", rows)
    assert (code, data["submitted"], data["delete"]) == (200, 2, 1)
    assert data["trackings"][0] == {
        "meta": {**rows[0], "code": 200, "type": "Success", "message": "Success"},
    }
    assert data["trackings"][1]["meta"]["code"] == 4017
    assert sandbox.trackings() == []


def test_updates_can_be_stopped(caller, sandbox):
    caller.create("SBX-DELIVERED-1D-a")
    rows = [{"tracking_number": name, "carrier_code": "usps"} for name in ("SBX-DELIVERED-1D-a", "UNKNOWN123")]
    code, data = caller.post("/trackings/notupdate", rows)
    assert (code, data["submitted"], data["change"]) == (200, 2, 1)
    assert data["trackings"][0] == rows[0]
    assert data["trackings"][1]["code"] == 4017
    sandbox.advance(days=5)
    item = caller.item("SBX-DELIVERED-1D-a")
    assert (item["status"], item["track_update"]) == ("pending", False)


def test_the_carrier_can_be_changed(caller, sandbox):
    caller.create("SBX-DELIVERED-1D-a", "dhl", order_id="A-1")
    body = {"tracking_number": "SBX-DELIVERED-1D-a", "carrier_code": "dhl", "update_carrier_code": "usps"}
    assert caller.post("/trackings/update", body) == (200, {"Usertag": ""})
    assert caller.get("/trackings/dhl/SBX-DELIVERED-1D-a")[0] == 4031
    item = caller.item("SBX-DELIVERED-1D-a")
    assert (item["carrier_code"], item["order_id"], item["status"]) == ("usps", "A-1", "pending")
    sandbox.advance(days=1)
    assert caller.item("SBX-DELIVERED-1D-a")["status"] == "delivered"
    assert caller.post("/trackings/update", body)[0] == 4017
    assert caller.post("/trackings/update", body | {"update_carrier_code": "nobody"})[0] == 4015
    assert caller.post("/trackings/update", body | {"update_carrier_code": ""})[0] == 4012
    caller.create("SBX-DELIVERED-1D-a", "dhl")
    assert caller.post("/trackings/update", body)[0] == 4016
