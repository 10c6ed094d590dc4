"""Carriers, account, remote areas, transit times and waybills over a socket, with all switches at their defaults."""

from __future__ import annotations

import pytest


def test_the_account_has_its_quota(caller):
    caller.create("NUMBER0001")
    code, data = caller.get("/trackings/getuserinfo")
    assert code == 200
    assert {name: type(value) for name, value in data.items()} == {
        "email": str,
        "regtime": str,
        "phone": str,
        "money": int,
        "track_number": int,
    }
    assert data["track_number"] == 99_999


def test_remote_areas_are_recognized(caller, sandbox):
    places = [
        {"country": "Japan", "postcode": "REMOTE-1"},
        {"country": "NZ", "postcode": "CITY-1"},
        {"country": "JP", "postcode": "REMOTE-1", "company": "DHL"},
        {"country": "Atlantis", "postcode": "REMOTE-1"},
    ]
    response = caller.send("POST", "/trackings/remote", json=places).json()
    assert response["meta"] == {"code": 200, "type": "Success", "message": "The request was successful."}
    data = response["data"]
    assert data["submitted"] == 4
    assert len(data["remote"]) == 3
    assert data["remote"][-1] == {
        "far_express_company": "dhl",
        "two_code": "JP",
        "far_country": "Japan",
        "far_city_postcode": "REMOTE-1",
    }
    assert [place["country"] for place in data["other"]] == ["NZ", "Atlantis"]
    assert sandbox.accounts()[0]["quota_charged"] == 0.2
    assert caller.post("/trackings/remote", [{"country": "JP"}])[0] == 4012


def test_lanes_have_their_transit_times(caller):
    lane = {"carrier_code": "dhl", "original": "CN", "destination": "US"}
    code, (row,) = caller.post("/trackings/costtime", [lane])
    assert code == 200
    assert row | lane == row
    assert 0 < row["delivered"] <= row["total"]
    assert sum(row[name] for name in ("range1", "range3", "range4", "range5")) == pytest.approx(1, abs=1e-3)
    assert caller.post("/trackings/costtime", [lane])[1] == [row]
    assert caller.post("/trackings/costtime", [lane | {"carrier_code": "nobody"}])[0] == 4015
    assert caller.post("/trackings/costtime", [{"carrier_code": "dhl", "original": "CN"}])[0] == 4012


def test_air_cargo_is_tracked_by_waybill(caller, sandbox):
    code, data = caller.post("/trackings/aircargo", {"track_number": ["172-00000015", "172-00000015", "999 0000002"]})
    assert code == 200
    assert set(data) == {"172-00000015", "999 0000002"}
    cargo = data["172-00000015"]
    assert set(cargo) == {"return_data", "airline_info"}
    assert set(cargo["return_data"]) == {
        "weight",
        "piece",
        "origin",
        "destination",
        "status_number",
        "flight_info",
        "track_info",
    }
    assert cargo["airline_info"]["name"] == "Cargolux"
    assert sandbox.accounts()[0]["quota_charged"] == 40
    sandbox.advance(days=7)
    _, later = caller.post("/trackings/aircargo", {"track_number": "172-00000015", "lang": "en"})
    assert later["172-00000015"]["return_data"]["track_info"][0]["event"] == "DLV"


@pytest.mark.parametrize(
    ("waybills", "code"),
    [("17200000015x", 4014), ("555-00000001", 4031), ([], 4012), (None, 4012), (["172-00000001"] * 21, 4020)],
)
def test_an_invalid_waybill_is_rejected(caller, sandbox, waybills, code):
    assert caller.post("/trackings/aircargo", {"track_number": waybills})[0] == code
    assert sandbox.accounts()[0]["quota_charged"] == 0


def test_carriers_are_listed_with_a_short_meta(caller):
    response = caller.send("GET", "/carriers", headers={"Lang": "en"}).json()
    assert response["meta"] == {"code": 200}
    assert len(response["data"]) == 88
    assert set(response["data"][0]) == {"name", "code", "phone", "homepage", "type", "picture"}
    assert {"usps", "dhl", "czech-post"} <= {row["code"] for row in response["data"]}
    assert {row["type"] for row in response["data"]} == {"express", "globalpost"}


@pytest.mark.parametrize(
    ("number", "first"),
    [("RN123456785CN", "china-post"), ("1Z00000X0000000001", "ups"), ("CX000000001PL", "poczta-polska")],
)
def test_a_carrier_is_detected(caller, sandbox, number, first):
    code, data = caller.post("/carriers/detect", {"tracking_number": number})
    assert code == 200
    assert data[0]["code"] == first
    assert set(data[0]) == {"name", "code"}
    assert sandbox.accounts()[0]["quota_charged"] == 0.2


@pytest.mark.parametrize(("number", "code"), [("SBX-UNDETECTABLE-1", 4032), ("", 4013), ("a b", 4014)])
def test_detection_can_fail(caller, number, code):
    assert caller.post("/carriers/detect", {"tracking_number": number})[0] == code
