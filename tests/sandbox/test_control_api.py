"""The control API: clock, seeds, ledger, trackings, accounts, reset."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_trackingmore.sandbox.client import SandboxClient, SandboxError


def test_the_clock_starts_at_its_start_and_can_be_moved(sandbox):
    assert sandbox.clock()["now"].startswith("2026-03-02T08:00:0")
    assert sandbox.advance(days=1, hours=1, minutes=1, seconds=1)["now"].startswith("2026-03-03T09:01:0")
    assert sandbox.set_clock("2026-04-01T00:00:00+08:00")["now"].startswith("2026-03-31T16:00:0")
    assert sandbox.set_time_scale(250)["time_scale"] == 250
    assert sandbox.freeze()["frozen"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"set": "2020-01-01T00:00:00"},
        {"advance": -1},
        {"advance": 9, "set": "2026-03-02T08:00:01"},
        {"time_scale": 0},
        {"set": "soon"},
        {"hours": 1},
    ],
)
def test_invalid_changes_of_the_clock_are_rejected(sandbox, change):
    before = sandbox.freeze()
    with pytest.raises(SandboxError):
        sandbox.request("POST", "/clock", {"time_scale": 9} | change)
    assert sandbox.clock() == before


def test_statuses_become_visible_at_refreshes_as_the_clock_moves(caller, sandbox):
    caller.create("SBX-DELIVERED-2D-a1", "dhl")
    seen = [caller.item("SBX-DELIVERED-2D-a1", "dhl")]
    for _ in range(48):
        sandbox.advance(hours=1)
        item = caller.item("SBX-DELIVERED-2D-a1", "dhl")
        if item["status"] != seen[-1]["status"]:
            seen.append(item)
    assert [item["status"] for item in seen] == ["pending", "notfound", "transit", "pickup", "delivered"]
    assert len({item["updated_at"] for item in seen}) == 5
    assert [item["track_update"] for item in seen] == [True] * 4 + [False]


def test_upcoming_changes_can_be_read_and_do_happen(caller, sandbox):
    caller.create("SBX-DELIVERED-2D-a1")
    (tracking,) = sandbox.trackings()
    last = tracking["changes"][-1]
    sandbox.freeze()
    sandbox.advance(last["at"] - sandbox.clock()["unix"] - 1)
    assert caller.item("SBX-DELIVERED-2D-a1")["status"] == "pickup"
    sandbox.advance(2)
    assert caller.item("SBX-DELIVERED-2D-a1")["status"] == last["status"] == "delivered"
    assert sandbox.trackings()[0]["updated_at"] == last["at"]


def test_seeded_shipments_have_ages_and_cost_nothing(caller, sandbox):
    rows = sandbox.seed(50, seed=3, ages_days=(2, 5), carriers=["dhl", "usps"])
    assert len(rows) == 50
    assert {row["carrier_code"] for row in rows} == {"dhl", "usps"}
    now = sandbox.clock()["unix"]
    ages = [(now - tracking["created_at"]) / 86_400 for tracking in sandbox.trackings()]
    assert ages == sorted(ages, reverse=True)
    assert 2 <= min(ages) < max(ages) <= 5.001
    assert sandbox.accounts()[0]["quota_charged"] == 0
    assert sandbox.ledger()["requests"] == 0
    assert caller.get("/trackings/get")[1]["total"] == "50"


def test_the_same_seed_gives_the_same_shipments_once(sandbox):
    first = sandbox.seed(20, seed=3)
    assert sandbox.seed(20, seed=3) == []
    sandbox.reset()
    assert sorted(map(json.dumps, sandbox.seed(20, seed=3))) == sorted(map(json.dumps, first))


def test_older_and_newer_seeded_shipments_stay_in_order(caller, sandbox):
    sandbox.seed(10, seed=1, ages_days=(1, 2))
    sandbox.seed(10, seed=2, ages_days=(5, 6))
    caller.create("NUMBER0001")
    sandbox.seed(10, seed=3, ages_days=(0.5, 9))
    created = [item["created_at"] for item in caller.get("/trackings/get", limit=100)[1]["items"]]
    assert created == sorted(created, reverse=True)
    assert len(created) == 31


def test_given_shipments_can_be_seeded_into_any_account(second, sandbox):
    shipment = {"tracking_number": "SBX-DELIVERED-2D-a1", "carrier_code": "usps", "age_hours": 49, "order_id": "A-1"}
    assert sandbox.seed(shipments=[shipment], account=1) == [
        {"carrier_code": "usps", "tracking_number": "SBX-DELIVERED-2D-a1"}
    ]
    item = second.item("SBX-DELIVERED-2D-a1")
    assert (item["status"], item["order_id"]) == ("delivered", "A-1")


@pytest.mark.parametrize(
    "wrong", [{"account": 7, "count": 1}, {"shipments": [{"tracking_number": "X"}]}, {"count": -1}]
)
def test_invalid_seeds_are_rejected(sandbox, wrong):
    with pytest.raises(SandboxError):
        sandbox.seed(**wrong)
    assert sandbox.trackings() == []


def test_the_ledger_lists_each_request_without_key_and_personal_data(caller, sandbox):
    row = {
        "tracking_number": "NUMBER0001",
        "carrier_code": "usps",
        "customer_name": "Ada Person",
        "customer_email": "ada@home.example",
        "order_id": "SECRET-ORDER",
    }
    caller.post("/trackings/batch", [row, row])
    caller.get("/trackings/get", orders="SECRET-ORDER,B", leak=caller.key)
    caller.code("GET", f"/trackings/usps/{caller.key}")
    first, second, third = sandbox.calls()
    assert first["method"] == "POST"
    assert first["endpoint"] == "POST /trackings/batch"
    assert (first["http"], first["code"], first["items"]) == (200, 201, 2)
    assert (first["effect"], first["charged"], first["fault"]) == ({"created": 1}, 1.0, None)
    assert first["body"]["items"] == 2
    assert first["body"]["shipments"] == ["usps/NUMBER0001", "usps/NUMBER0001"]
    assert first["clock"].startswith("2026-03-02T08:00:")
    assert first["real"] > 1.7e9
    assert second["query"] == {"orders": "2 orders", "leak": "***"}
    assert third["path"] == "/trackings/usps/***"
    everything = json.dumps(sandbox.request("GET", "/ledger"))
    for secret in ("Ada", "ada@home", "SECRET-ORDER", caller.key):
        assert secret not in everything


def test_the_ledger_is_summed_up_by_account(caller, second, sandbox):
    caller.create("NUMBER0001")
    caller.create("NUMBER0001")
    second.get("/carriers")
    second.key = "wrong"
    second.get("/carriers")
    summary = sandbox.ledger(0)
    assert summary["by_endpoint"] == {"POST /trackings/post": 2}
    assert summary["by_code"] == {"201": 1, "4016": 1}
    assert summary["created"] == {"usps/NUMBER0001": 1}
    assert (summary["quota_charged"], summary["created_twice"], summary["rate_limited"]) == (1.0, [], 0)
    assert sandbox.ledger(1)["requests"] == 1
    assert sandbox.ledger()["requests"] == 4
    assert sandbox.ledger()["by_code"]["4001"] == 1


def test_a_number_created_twice_is_reported(caller, sandbox):
    for _ in range(2):
        caller.create("NUMBER0001")
        caller.ask("DELETE", "/trackings/usps/NUMBER0001")
    assert sandbox.ledger()["created_twice"] == ["usps/NUMBER0001"]


def test_calls_are_found_by_method_path_and_serial(caller, sandbox):
    caller.create("NUMBER0001")
    caller.get("/trackings/usps/NUMBER0001")
    caller.get("/carriers")
    assert [call["path"] for call in sandbox.calls("GET")] == ["/trackings/usps/NUMBER0001", "/carriers"]
    assert [call["serial"] for call in sandbox.calls(path="/trackings/*")] == [1, 2]
    assert [call["serial"] for call in sandbox.calls(since=2)] == [3]
    sandbox.clear_ledger()
    assert sandbox.calls() == []
    assert sandbox.ledger()["requests"] == 0


def test_texts_that_utf8_cannot_hold_break_nothing(caller, sandbox):
    sandbox.switch(number_format="any")
    body = '{"tracking_number": "A\\ud800B", "carrier_code": "usps", "order_id": "\\udfff"}'
    assert caller.code("POST", "/trackings/post", data=body) == 201
    assert sandbox.trackings()[0]["tracking_number"] == "A\ud800B"
    assert len(sandbox.calls()) == 1


def test_trackings_are_found_by_status_and_number(sandbox):
    sandbox.seed(3, journey="INSTANT", ages_days=(1, 1))
    sandbox.seed(2, journey="NOTFOUND", ages_days=(1, 1))
    assert len(sandbox.trackings(status="delivered")) == 3
    number = sandbox.trackings(status="notfound")[0]["tracking_number"]
    assert [found["status"] for found in sandbox.trackings(tracking_number=number)] == ["notfound"]


def test_an_account_counts_its_trackings_by_status(sandbox):
    sandbox.seed(3, journey="INSTANT")
    sandbox.seed(2, journey="STUCK-30D")
    sandbox.advance(days=21)
    (first, _) = sandbox.accounts()
    assert first["statuses"] == {"delivered": 3, "transit": 2}


def test_a_reset_starts_with_the_given_settings(caller, sandbox):
    caller.create("NUMBER0001")
    sandbox.fault("500", count=None)
    sandbox.change_account(quota=1, deleted=True)
    sandbox.reset(start="2027-01-01T00:00:00", time_scale=5, seed=9)
    clock = sandbox.clock()
    assert (clock["now"][:16], clock["time_scale"]) == ("2027-01-01T00:00", 5)
    assert caller.get("/trackings/get") == (4031, [])
    assert sandbox.accounts()[0]["quota_left"] == 100_000
    assert sandbox.ledger()["requests"] == 1


def test_an_unknown_control_path_or_account_is_rejected(sandbox):
    url = sandbox.base_url.removesuffix("/v2") + "/_sandbox/"
    assert requests.get(url + "nonsense", timeout=60).status_code == 404
    assert requests.patch(url + "accounts/5", json={}, timeout=60).status_code == 404
    assert requests.get(url.removesuffix("_sandbox/") + "v3/trackings", timeout=60).status_code == 404


def test_a_client_takes_a_url_with_a_slash_at_its_end_and_says_when_no_sandbox_is_there(sandbox):
    assert SandboxClient(sandbox.base_url + "/").clock()["time_scale"] == 1
    with pytest.raises(SandboxError, match=r"there is no sandbox at http://127\.0\.0\.1:1/v2: .*refused"):
        SandboxClient("http://127.0.0.1:1/v2").clock()
