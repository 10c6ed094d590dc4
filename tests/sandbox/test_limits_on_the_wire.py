"""Rate limit, quota and keys over a socket. The clock hardly runs, so that nothing depends on real time."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.switches import SWITCHES


@pytest.fixture
def limited(sandbox):
    sandbox.reset(limits=True, time_scale=1e-6)
    return sandbox


def test_one_request_a_second_is_always_served(caller, limited):
    for _ in range(50):
        assert caller.code("GET", "/carriers") == 200
        limited.advance(1)


def test_a_request_that_is_too_early_gets_429_for_two_minutes(caller, limited):
    codes = []
    for pause in (0.9, 1, 60, 58.9, 0.2, 1):
        codes.append(caller.code("GET", "/carriers"))
        limited.advance(pause)
    assert codes == [200, 429, 429, 429, 429, 200]


def test_a_rejected_request_has_no_effect_but_is_in_the_ledger(caller, limited):
    caller.code("GET", "/carriers")
    assert caller.create("NUMBER0001") == (429, [])
    assert limited.trackings() == []
    assert limited.ledger()["rate_limited"] == 1
    assert limited.calls("POST")[0]["code"] == 429


def test_the_limit_belongs_to_the_account(caller, second, limited):
    assert caller.code("GET", "/carriers") == 200
    assert second.code("GET", "/carriers") == 200
    assert caller.code("GET", "/carriers") == 429
    limited.advance(1)
    assert second.code("GET", "/carriers") == 200


def test_the_key_is_checked_before_the_rate_limit(caller, limited):
    caller.code("GET", "/carriers")
    caller.key = "wrong"
    assert caller.code("GET", "/carriers") == 4001


def test_the_rate_limit_is_checked_before_the_body(caller, limited):
    caller.code("GET", "/carriers")
    assert caller.code("POST", "/trackings/batch", data="no json") == 429


def test_the_rate_limit_scales_with_the_clock(caller, limited):
    limited.set_time_scale(1e9)
    assert [caller.code("GET", "/carriers") for _ in range(20)] == [200] * 20


def test_a_frozen_clock_has_no_limit(caller, limited):
    limited.freeze()
    assert [caller.code("GET", "/carriers") for _ in range(5)] == [200] * 5


def test_control_requests_are_not_limited_and_not_in_the_ledger(caller, limited):
    for _ in range(5):
        limited.clock()
    assert caller.code("GET", "/carriers") == 200
    assert limited.ledger()["requests"] == 1


def test_a_cool_down_can_be_started_and_ended_through_the_control_api(caller, limited):
    limited.change_account(cool_down=True)
    assert caller.code("GET", "/carriers") == 429
    limited.change_account(cool_down=False)
    assert caller.code("GET", "/carriers") == 200


def test_the_quota_is_checked_before_existence(caller, sandbox):
    caller.create("NUMBER0001")
    sandbox.change_account(quota=0)
    for answer in (caller.create("NUMBER0002"), caller.post("/carriers/detect", {"tracking_number": "NUMBER0002"})):
        assert answer == (4021, [])
    batch = [{"tracking_number": "NUMBER0001", "carrier_code": "usps"}]
    assert caller.post("/trackings/batch", batch) == (4021, [])
    assert caller.post("/trackings/aircargo", {"track_number": "172-00000015"}) == (4021, [])
    assert caller.post("/trackings/remote", [{"country": "JP", "postcode": "1"}]) == (4021, [])
    assert caller.get("/trackings/usps/NUMBER0001")[0] == 200


def test_five_detections_cost_one(caller, sandbox):
    sandbox.change_account(quota=1)
    codes = [caller.post("/carriers/detect", {"tracking_number": "NUMBER0002"})[0] for _ in range(6)]
    assert codes == [200] * 5 + [4021]


def test_a_deleted_key_gets_4002(caller, sandbox):
    sandbox.change_account(deleted=True)
    assert caller.get("/carriers") == (4002, [])


@pytest.mark.parametrize("value", SWITCHES["rate_limit_form"].values)
def test_rate_limit_form_is_a_switch(caller, limited, value):
    for _ in range(2):
        caller.send("GET", "/carriers")
    limited.switch(rate_limit_form=value)
    refused = caller.send("GET", "/carriers")
    assert refused.status_code == int(value.removeprefix("http"))
    assert refused.json()["meta"]["code"] == 429


@pytest.mark.parametrize("value", SWITCHES["retry_after"].values)
def test_retry_after_is_a_switch(caller, limited, value):
    for _ in range(2):
        caller.send("GET", "/carriers")
    limited.switch(retry_after=value)
    seconds = caller.send("GET", "/carriers").headers.get("Retry-After")
    if value == "absent":
        assert seconds is None
    else:  # real seconds: two minutes of a clock that is a million times slower
        assert int(seconds) == pytest.approx(120e6, rel=1e-3)


@pytest.mark.parametrize("value", SWITCHES["cool_down_refresh"].values)
def test_cool_down_refresh_is_a_switch(caller, limited, value):
    for _ in range(2):
        caller.send("GET", "/carriers")
    limited.switch(cool_down_refresh=value)
    limited.advance(60)
    assert caller.code("GET", "/carriers") == 429
    limited.advance(0.5)
    assert caller.code("GET", "/carriers") == 429
    left = limited.accounts()[0]["cool_down_seconds"]
    assert left == pytest.approx(59.5 if value == "never" else 120, abs=0.01)
    limited.advance(10)
    assert caller.code("GET", "/carriers") == 429
    left_later = limited.accounts()[0]["cool_down_seconds"]
    assert left_later == pytest.approx(120 if value == "any" else left - 10, abs=0.01)


@pytest.mark.parametrize("value", ["0", "500000"])
def test_rate_tolerance_is_a_switch(caller, limited, value):
    limited.switch(rate_tolerance=value)
    assert caller.code("GET", "/carriers") == 200
    limited.advance(0.6)
    assert caller.code("GET", "/carriers") == (429 if value == "0" else 200)
