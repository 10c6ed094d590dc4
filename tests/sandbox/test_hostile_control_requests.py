"""Invalid control requests are rejected with a message, and the sandbox keeps working."""

from __future__ import annotations

import pytest
import requests

AGE = '{"shipments": [{"carrier_code": "usps", "tracking_number": "NUMBER0001", "age_hours": %s}]}'

INVALID = [
    ("POST", "/clock", '{"advance": 1e276}'),
    ("POST", "/clock", '{"advance": Infinity}'),
    ("POST", "/clock", '{"time_scale": Infinity}'),
    ("POST", "/clock", '{"time_scale": NaN}'),
    ("POST", "/clock", '{"set": "9999-12-31T23:59:59-14:00"}'),
    ("POST", "/clock", '{"set": "yesterday"}'),
    ("POST", "/reset", '{"start": "0001-01-01T00:00:00+14:00"}'),
    ("POST", "/reset", '{"start": "9999-12-31T23:59:59"}'),
    ("PATCH", "/accounts/0", '{"quota": 1e308}'),
    ("PATCH", "/accounts/0", '{"quota": Infinity}'),
    ("PATCH", "/accounts/0", '{"webhook_url": "file:///etc/passwd"}'),
    ("PATCH", "/accounts/0", '{"webhook_url": "http://shop.example/\\r\\nX-Header: 1"}'),
    ("POST", "/webhooks", '{"action": "send", "carrier_code": "usps", "tracking_number": "NOWHERE1"}'),
    ("POST", "/webhooks", '{"action": "replay", "serial": 7}'),
    ("POST", "/webhooks", '{"action": "forge"}'),
    ("POST", "/seed", '{"count": 2, "ages_days": [0, 1e300]}'),
    ("POST", "/seed", '{"count": 2, "ages_days": [0, Infinity]}'),
    ("POST", "/seed", '{"count": 2, "carriers": ["nobody"]}'),
    ("POST", "/seed", '{"shipments": [{"carrier_code": ["usps"], "tracking_number": "NUMBER0001"}]}'),
    ("POST", "/seed", AGE % "1e300"),
    ("POST", "/seed", AGE % "-1"),
    ("POST", "/seed", AGE % "null"),
    ("POST", "/seed", AGE % '"old"'),
    ("POST", "/switches", '{"batch_max": Infinity}'),
    ("POST", "/switches", '{"rate_tolerance": NaN}'),
    ("POST", "/switches", '{"no_such_switch": 1}'),
    ("POST", "/faults", '{"kind": "slow", "settings": {"seconds": NaN}}'),
    ("POST", "/faults", '{"kind": "slow", "settings": {"seconds": 1e9}}'),
    ("POST", "/faults", '{"kind": "latency", "settings": {"min_ms": -5}}'),
    ("POST", "/faults", '{"kind": "html", "settings": {"status": 0}}'),
    ("POST", "/faults", '{"kind": "quota", "settings": {"left": -1e308}}'),
    ("POST", "/faults", '{"kind": "expired_key", "settings": {"code": 7}}'),
]


def send(sandbox, method, path, body):
    url = sandbox.base_url.removesuffix("/v2") + "/_sandbox" + path
    return requests.request(method, url, data=body, headers={"Content-Type": "application/json"}, timeout=60)


def assert_still_works(caller, sandbox):
    assert caller.create("NUMBER0009")[0] == 201
    assert caller.get("/trackings/get")[0] == 200
    assert caller.get("/trackings/getuserinfo")[0] == 200
    assert sandbox.trackings()
    assert sandbox.accounts()
    assert sandbox.clock()["now"]


@pytest.mark.parametrize(("method", "path", "body"), INVALID, ids=[f"{path} {body}" for _, path, body in INVALID])
def test_an_invalid_control_request_is_rejected_with_a_message_and_changes_nothing(caller, sandbox, method, path, body):
    answer = send(sandbox, method, path, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(answer.json()["detail"], str)
    assert_still_works(caller, sandbox)


def test_a_body_that_is_not_json_is_rejected_with_a_message(caller, sandbox):
    answer = send(sandbox, "POST", "/clock", b"\xff{")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert_still_works(caller, sandbox)


def test_a_clock_that_reaches_its_end_stops_there(caller, sandbox):
    sandbox.set_time_scale(1e300)
    assert sandbox.clock()["now"].startswith("9000-01-01")
    assert_still_works(caller, sandbox)
