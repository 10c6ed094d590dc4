"""Each fault over a real socket: what the caller gets, what takes effect, what the ledger records."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest
import requests

from airflow_provider_trackingmore.sandbox.client import SandboxError
from airflow_provider_trackingmore.sandbox.faults import KINDS

LOST = requests.exceptions.ConnectionError
TESTED_HERE = {
    "429",
    "500",
    "503",
    "meta_code",
    "html",
    "truncated",
    "content_type",
    "empty",
    "slow",
    "reset_before",
    "reset_after",
    "close_before",
    "close_after",
    "partial",
    "half_done",
    "expired_key",
    "quota",
    "latency",
}


def post(caller, number="NUMBER0001"):
    return caller.send("POST", "/trackings/post", json={"tracking_number": number, "carrier_code": "usps"})


def test_every_fault_is_tested():
    assert set(KINDS) == TESTED_HERE


@pytest.mark.parametrize(("kind", "http"), [("429", 200), ("500", 500), ("503", 503)])
def test_an_error_fault_applies_nothing_and_the_next_request_succeeds(caller, sandbox, kind, http):
    sandbox.fault(kind)
    response = post(caller)
    assert response.status_code == http
    assert response.json()["meta"]["code"] == int(kind)
    assert sandbox.trackings() == []
    assert post(caller).json()["meta"]["code"] == 201


@pytest.mark.parametrize(("settings", "code"), [({}, 4999), ({"value": 4001}, 4001)])
def test_any_code_can_come_instead(caller, sandbox, settings, code):
    sandbox.fault("meta_code", **settings)
    response = post(caller)
    assert (response.status_code, response.json()["meta"]["code"]) == (200, code)
    assert sandbox.trackings() == []
    assert post(caller).json()["meta"]["code"] == 201


@pytest.mark.parametrize("status", [200, 500, 502])
def test_an_html_page_can_come_instead(caller, sandbox, status):
    sandbox.fault("html", status=status)
    response = post(caller)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert response.text.startswith("<!DOCTYPE html>")
    assert sandbox.trackings() == []


def test_an_error_fault_can_occur_after_the_request_was_applied(caller, sandbox):
    sandbox.fault("503", applied=True)
    assert post(caller).status_code == 503
    assert len(sandbox.trackings()) == 1
    (call,) = sandbox.calls()
    assert (call["effect"], call["code"], call["fault"]) == ({"created": 1}, 503, "503")


def test_truncated_json_is_a_complete_http_answer(caller, sandbox):
    sandbox.fault("truncated")
    response = post(caller)
    assert response.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()
    assert len(sandbox.trackings()) == 1


def test_the_content_type_can_be_wrong(caller, sandbox):
    sandbox.fault("content_type")
    response = post(caller)
    assert response.headers["content-type"].startswith("text/html")
    assert response.json()["meta"]["code"] == 201


def test_the_body_can_be_empty(caller, sandbox):
    sandbox.fault("empty")
    response = post(caller)
    assert (response.status_code, response.content) == (200, b"")
    assert len(sandbox.trackings()) == 1


def test_a_slow_answer_is_applied_before_the_caller_gives_up(caller, sandbox):
    sandbox.fault("slow", seconds=30)
    body = {"tracking_number": "NUMBER0001", "carrier_code": "usps"}
    headers = {"Trackingmore-Api-Key": caller.key}
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(caller.base_url + "/trackings/post", json=body, headers=headers, timeout=0.2)
    assert len(sandbox.trackings()) == 1


@pytest.mark.parametrize(
    ("kind", "applied"), [("reset_before", 0), ("close_before", 0), ("reset_after", 1), ("close_after", 1)]
)
def test_a_connection_can_be_closed_or_reset_before_and_after_the_effect(caller, sandbox, kind, applied):
    caller.send("GET", "/carriers")
    sandbox.fault(kind, method="POST")
    with pytest.raises(LOST):
        post(caller)
    assert len(sandbox.trackings()) == applied
    call = sandbox.calls("POST")[0]
    assert (call["http"], call["code"], call["fault"]) == (None, None, kind)
    assert call["effect"] == ({"created": 1} if applied else {})
    assert post(caller).json()["meta"]["code"] == (4016 if applied else 201)


@pytest.mark.parametrize(("kind", "is_reset"), [("reset_before", True), ("close_before", False)])
def test_a_reset_is_a_real_reset_and_a_close_is_not(caller, sandbox, kind, is_reset):
    sandbox.fault(kind)
    host, port = caller.base_url.removeprefix("http://").removesuffix("/v2").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(f"GET /v2/carriers HTTP/1.1\r\nHost: x\r\nTrackingmore-Api-Key: {caller.key}\r\n\r\n".encode())
        if is_reset:
            with pytest.raises(ConnectionResetError):
                raw.recv(1_000)
        else:
            assert raw.recv(1_000) == b""


def test_a_body_can_end_half_way(caller, sandbox):
    sandbox.fault("partial")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, LOST)):
        post(caller)
    assert len(sandbox.trackings()) == 1
    assert post(caller).status_code == 200


def test_a_key_can_expire_during_a_run(caller, second, sandbox):
    sandbox.fault("expired_key", nth=3, account=0)
    assert [caller.code("GET", "/carriers") for _ in range(4)] == [200, 200, 4002, 4002]
    assert second.code("GET", "/carriers") == 200
    sandbox.change_account(deleted=False)
    assert caller.code("GET", "/carriers") == 200


def test_an_expired_key_can_look_invalid(caller, sandbox):
    sandbox.fault("expired_key", code=4001)
    assert caller.code("GET", "/carriers") == 4001


def test_a_key_can_be_rotated(caller, second, sandbox):
    post(caller)
    sandbox.change_account(api_key="a-new-key")
    assert caller.code("GET", "/carriers") == 4002
    assert second.code("GET", "/carriers") == 200
    headers = {"Trackingmore-Api-Key": "a-new-key"}
    found = requests.get(f"{sandbox.base_url}/trackings/get", headers=headers, timeout=10).json()
    assert [shipment["tracking_number"] for shipment in found["data"]["items"]] == ["NUMBER0001"]
    with pytest.raises(SandboxError, match="has this key already"):
        sandbox.change_account(1, api_key="a-new-key")


def test_the_quota_can_run_out_in_the_middle_of_a_batch(caller, sandbox):
    sandbox.fault("quota", nth=2, path="/trackings/batch", left=3)
    rows = [[{"tracking_number": f"N{batch}NUMBER{at}", "carrier_code": "dhl"} for at in range(5)] for batch in (1, 2)]
    assert caller.post("/trackings/batch", rows[0])[1]["added"] == 5
    _, data = caller.post("/trackings/batch", rows[1])
    assert data["added"] == 3
    assert [entry["code"] for entry in data["errors"]] == [4021, 4021]


def test_latency_is_added_before_the_request_counts_as_arrived(caller, sandbox):
    sandbox.fault("latency", min_ms=80, max_ms=80)
    sent = time.time()
    caller.send("GET", "/carriers")
    (call,) = sandbox.calls()
    assert call["real"] - sent >= 0.08
    assert (call["fault"], call["code"]) == ("latency", 200)


def test_latency_and_another_fault_can_apply_to_the_same_request(caller, sandbox):
    sandbox.fault("latency", max_ms=1)
    sandbox.fault("500")
    assert caller.send("GET", "/carriers").status_code == 500
    assert sandbox.ledger()["faults"] == {"latency": 1, "500": 1}


def test_a_burst_of_429_can_start_a_cool_down(caller, sandbox):
    sandbox.reset(limits=True, time_scale=1e-6)
    sandbox.fault("429", count=2)
    codes = []
    for _ in range(3):
        codes.append(caller.code("GET", "/carriers"))
        sandbox.advance(1)
    assert codes == [429, 429, 200]
    sandbox.fault("429", cool_down=True)
    for _ in range(2):
        codes.append(caller.code("GET", "/carriers"))
        sandbox.advance(119)
    sandbox.advance(2)
    assert [*codes, caller.code("GET", "/carriers")] == [429, 429, 200, 429, 429, 200]


def test_a_fault_selects_requests_by_method_path_number_and_count(caller, sandbox):
    sandbox.fault("500", method="GET", path="/trackings/*", nth=2, count=2)
    ask = ["/carriers", "/trackings/get", "/trackings/getuserinfo", "/carriers", "/trackings/get", "/trackings/get"]
    assert [caller.send("GET", path).status_code for path in ask] == [200, 200, 500, 200, 500, 200]
    (fault,) = sandbox.request("GET", "/faults")["planned"]
    assert (fault["matched"], fault["fired"]) == (4, 2)


def test_a_fault_with_a_probability_hits_the_same_requests_for_the_same_seed(caller, sandbox):
    runs = []
    for seed in (1, 1, 2):
        sandbox.clear_faults()
        sandbox.fault("500", count=None, probability=0.4, seed=seed)
        runs.append([caller.send("GET", "/carriers").status_code for _ in range(30)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 500}


def test_faults_can_be_removed(caller, sandbox):
    first = sandbox.fault("500", count=None)
    sandbox.request("DELETE", f"/faults/{first}")
    assert caller.send("GET", "/carriers").status_code == 200
    sandbox.fault("500", count=None)
    sandbox.clear_faults()
    assert caller.send("GET", "/carriers").status_code == 200
    with pytest.raises(SandboxError):
        sandbox.request("DELETE", "/faults/99")


def test_an_unknown_fault_is_rejected_and_the_message_lists_the_valid_ones(sandbox):
    with pytest.raises(SandboxError, match="reset_after"):
        sandbox.fault("earthquake")


def test_an_unknown_setting_is_rejected_and_the_message_lists_the_valid_ones(sandbox):
    with pytest.raises(SandboxError, match=r"unknown setting 'second'; the settings are .*seconds"):
        sandbox.fault("slow", second=3)
    assert sandbox.request("GET", "/faults")["planned"] == []


def test_faults_do_not_affect_the_control_api(caller, sandbox):
    sandbox.fault("reset_before", count=None)
    with suppress(LOST):
        post(caller)
    assert sandbox.clock()["time_scale"] == 1


def test_a_request_can_be_applied_to_half_of_its_shipments(caller, sandbox):
    rows = [{"tracking_number": f"NUMBER000{at}", "carrier_code": "usps"} for at in range(3)]
    for row in rows:
        caller.create(row["tracking_number"])
    sandbox.fault("half_done", path="/trackings/delete")
    _, data = caller.post("/trackings/delete", rows)
    assert (data["submitted"], data["delete"]) == (3, 1)
    assert [entry["meta"]["tracking_number"] for entry in data["trackings"]] == ["NUMBER0000"]
    assert {left["tracking_number"] for left in sandbox.trackings()} == {"NUMBER0001", "NUMBER0002"}
    assert caller.post("/trackings/delete", rows)[1]["delete"] == 2


def test_half_of_a_batch_can_be_registered(caller, sandbox):
    rows = [{"tracking_number": f"NUMBER000{at}", "carrier_code": "usps"} for at in range(3)]
    sandbox.fault("half_done", path="/trackings/batch")
    _, data = caller.post("/trackings/batch", rows)
    assert (data["submitted"], data["added"], data["errors"]) == (3, 1, [])
    assert [tracking["tracking_number"] for tracking in data["trackings"]] == ["NUMBER0000"]
    assert [tracking["tracking_number"] for tracking in sandbox.trackings()] == ["NUMBER0000"]
