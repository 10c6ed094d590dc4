"""Every position of every switch, over a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.switches import SWITCHES

CHECKS: dict[tuple[str, str], Any] = {}


def position(name: str, *values: str) -> Any:
    def note(check: Any) -> Any:
        for value in values:
            CHECKS[name, value] = check
        return check

    return note


@position("created_code", "200", "201")
def _(caller, sandbox, value):
    assert caller.create("NUMBER0001")[0] == int(value)


@position("batch_code", "200", "201")
def _(caller, sandbox, value):
    assert caller.post("/trackings/batch", [{"tracking_number": "NUMBER0001", "carrier_code": "dhl"}])[0] == int(value)


@position("existing_form", "4016", "201-empty", "200-empty", "201-object", "200-object")
def _(caller, sandbox, value):
    created = caller.create("NUMBER0001")[1]
    code, data = caller.create("NUMBER0001")
    assert code == int(value.partition("-")[0])
    assert data == (created if value.endswith("object") else [])
    assert sandbox.accounts()[0]["quota_charged"] == 1


@position("batch_existing", "errors", "trackings")
def _(caller, sandbox, value):
    caller.create("NUMBER0001", "dhl")
    _, data = caller.post("/trackings/batch", [{"tracking_number": "NUMBER0001", "carrier_code": "dhl"}])
    assert data["added"] == 0
    assert len(data[value]) == 1
    assert len(data["errors"]) + len(data["trackings"]) == 1


@position("batch_max", "3", "200")
def _(caller, sandbox, value):
    rows = [{"tracking_number": f"NUMBER{at:04d}", "carrier_code": "dhl"} for at in range(int(value) + 1)]
    assert caller.post("/trackings/batch", rows)[0] == 4020
    assert caller.post("/trackings/batch", rows[:-1])[1]["added"] == int(value)


@position("batch_quota", "errors", "refuse", "applied-then-4021")
def _(caller, sandbox, value):
    sandbox.change_account(quota=2)
    rows = [{"tracking_number": f"NUMBER{at:04d}", "carrier_code": "dhl"} for at in range(4)]
    code, data = caller.post("/trackings/batch", rows)
    assert len(sandbox.trackings()) == (0 if value == "refuse" else 2)
    if value == "errors":
        assert [entry["code"] for entry in data["errors"]] == [4021, 4021]
    else:
        assert (code, data) == (4021, [])


@position("blank_carrier", "4015", "detect")
def _(caller, sandbox, value):
    code, data = caller.create("RN123456785CN", "")
    assert code == (201 if value == "detect" else 4015)
    if value == "detect":
        assert data["carrier_code"] == "china-post"
        assert caller.create("SBX-UNDETECTABLE-1", "")[0] == 4032


@position("readd_charge", "free", "charge")
def _(caller, sandbox, value):
    for _ in range(2):
        caller.create("NUMBER0001")
        caller.ask("DELETE", "/trackings/usps/NUMBER0001")
    assert sandbox.accounts()[0]["quota_charged"] == (1 if value == "free" else 2)


@position("quota_code", "4021", "4019")
def _(caller, sandbox, value):
    sandbox.change_account(quota=0)
    assert caller.create("NUMBER0001") == (int(value), [])


@position("number_format", "sdk", "any")
def _(caller, sandbox, value):
    assert caller.create("A/1 é")[0] == (201 if value == "any" else 4014)
    assert caller.create("  ")[0] == 4014


@position("unknown_number", "4031", "4017")
def _(caller, sandbox, value):
    assert caller.get("/trackings/usps/NUMBER0001") == (int(value), [])


@position("bad_json", "4015", "4012")
def _(caller, sandbox, value):
    assert caller.ask("POST", "/trackings/batch", data="[{") == (int(value), [])


@position("empty_data", "list", "object", "null")
def _(caller, sandbox, value):
    empty = {"list": [], "object": {}, "null": None}[value]
    assert caller.get("/trackings/usps/NUMBER0001") == (4031, empty)
    caller.create("NUMBER0001")
    assert caller.ask("DELETE", "/trackings/usps/NUMBER0001") == (200, empty)
    caller.key = "wrong"
    assert caller.get("/carriers") == (4001, empty)


@position("key_header", "v2", "both")
def _(caller, sandbox, value):
    key, caller.key = caller.key, None
    code, _ = caller.ask("GET", "/carriers", headers={"Tracking-Api-Key": key})
    assert code == (200 if value == "both" else 4001)


@position("email_form", "string", "array", "null")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    caller.create("NUMBER0002", customer_email="someone@shop.example")
    unset, given = caller.item("NUMBER0001")["customer_email"], caller.item("NUMBER0002")["customer_email"]
    assert unset == {"string": "", "array": [], "null": None}[value]
    assert given == (["someone@shop.example"] if value == "array" else "someone@shop.example")


@position("unset_text", "null", "text-null", "empty")
def _(caller, sandbox, value):
    unset = {"null": None, "text-null": "null", "empty": ""}[value]
    assert caller.create("NUMBER0001")[1]["title"] == unset
    assert caller.item("NUMBER0001")["order_id"] == unset


@position("tz", "+08:00", "+00:00")
def _(caller, sandbox, value):
    created = caller.create("NUMBER0001")[1]["created_at"]
    assert created.startswith({"+08:00": "2026-03-02T16:00:", "+00:00": "2026-03-02T08:00:"}[value])
    assert created.endswith(value)


@position("courier_time", "seconds", "minutes")
def _(caller, sandbox, value):
    caller.create("SBX-INSTANT-a1")
    sandbox.advance(hours=1)
    item = caller.item("SBX-INSTANT-a1")
    length = 19 if value == "seconds" else 16
    assert len(item["lastUpdateTime"]) == len(item["origin_info"]["ItemReceived"]) == length
    assert item["lastEvent"].endswith("," + item["lastUpdateTime"])


@position("destination_info", "absent", "nulls")
def _(caller, sandbox, value):
    caller.create("NUMBER0001", "usps", destination_code="US")
    item = caller.item("NUMBER0001")
    assert ("destination_info" in item) == (value == "nulls")
    if value == "nulls":
        assert set(item["destination_info"].values()) == {None}


@position("track_update", "present", "absent")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    assert ("track_update" in caller.item("NUMBER0001")) == (value == "present")


@position("substatus", "rarely", "null", "filled")
def _(caller, sandbox, value):
    sandbox.seed(
        shipments=[
            {"tracking_number": f"SBX-{n}-x1", "carrier_code": "usps", "age_hours": 240} for n in ("STUCK", "RETURNED")
        ]
    )
    stuck, returned = caller.item("SBX-STUCK-x1"), caller.item("SBX-RETURNED-x1")
    assert (stuck["substatus"], returned["substatus"]) == {
        "rarely": (None, "exception010"),
        "null": (None, None),
        "filled": ("transit003", "exception010"),
    }[value]
    assert ("substatus" in stuck["origin_info"]["trackinfo"][-1]) == (value == "filled")


@position("substatus_spelling", "exception010", "exception0010")
def _(caller, sandbox, value):
    sandbox.seed(shipments=[{"tracking_number": "SBX-RETURNED-x1", "carrier_code": "usps", "age_hours": 240}])
    assert caller.item("SBX-RETURNED-x1")["substatus"] == value


@position("updated_at_delivered", "null-at-first-refresh", "null", "time")
def _(caller, sandbox, value):
    caller.create("SBX-INSTANT-a1")
    caller.create("SBX-DELIVERED-1D-a1")
    sandbox.advance(days=1)
    nulls = [caller.item(number)["updated_at"] is None for number in ("SBX-INSTANT-a1", "SBX-DELIVERED-1D-a1")]
    assert nulls == {"null-at-first-refresh": [True, False], "null": [True, True], "time": [False, False]}[value]
    code, page = caller.get("/trackings/get", update_time_min=1)
    assert (0 if code == 4031 else page["count"]) == 2 - sum(nulls)


@position("updated_at_moves", "change", "refresh")
def _(caller, sandbox, value):
    caller.create("SBX-NOTFOUND-a1", "dhl")
    sandbox.advance(hours=1.5)
    before = caller.item("SBX-NOTFOUND-a1", "dhl")["updated_at"]
    sandbox.advance(hours=3)
    assert (caller.item("SBX-NOTFOUND-a1", "dhl")["updated_at"] != before) == (value == "refresh")


@position("refresh_hours", "by-type", "4", "6")
def _(caller, sandbox, value):
    caller.create("SBX-DELIVERED-a1", "dhl")
    first, second = (change["at"] for change in sandbox.trackings()[0]["changes"][:2])
    hours = {"by-type": 3, "4": 4, "6": 6}[value]
    assert (second - first) % (hours * 3_600) == pytest.approx(0, abs=1e-3)


@position("empty_list", "4031", "empty")
def _(caller, sandbox, value):
    code, data = caller.get("/trackings/get")
    if value == "4031":
        assert (code, data) == (4031, [])
    else:
        assert (code, data) == (200, {"page": 1, "limit": 100, "total": "0", "count": 0, "items": []})


@position("total_as_string", "true", "false")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    assert caller.get("/trackings/get")[1]["total"] == ("1" if value == "true" else 1)


@position("list_count", "present", "absent")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    assert ("count" in caller.get("/trackings/get")[1]) == (value == "present")


@position("list_by_post", "false", "true")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    caller.create("NUMBER0002")
    code, data = caller.post("/trackings/get", {"numbers": "NUMBER0002", "limit": 5})
    assert code == (200 if value == "true" else 405)
    if value == "true":
        assert [item["tracking_number"] for item in data["items"]] == ["NUMBER0002"]


@position("page_over_max", "4012", "clamp")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    code, data = caller.get("/trackings/get", limit=5_000)
    assert (code, data) == (4012, []) if value == "4012" else data["limit"] == 2_000


ROWS = [{"tracking_number": f"NUMBER000{at}", "carrier_code": "usps"} for at in (1, 2)]
BATCHES = {"delete": "delete", "notupdate": "change", "updatemore": "updated"}


@position("item_reports", "full", "bare", "done", "none")
def _(caller, sandbox, value):
    for name in BATCHES:
        caller.create("NUMBER0001")
        entries = caller.post(f"/trackings/{name}", ROWS)[1]["trackings"]
        entries = [entry.get("meta", entry) for entry in entries]
        if value == "bare":
            assert entries == [{"tracking_number": row["tracking_number"]} for row in ROWS]
        else:
            numbers = [entry["tracking_number"] for entry in entries]
            assert numbers == ["NUMBER0001", "NUMBER0002"][: {"full": 2, "done": 1, "none": 0}[value]]
        if value == "full":
            assert entries[1] == {**ROWS[1], "code": 4017, "type": "Bad Request", "message": entries[1]["message"]}


@position("item_meta", "delete", "all", "none")
def _(caller, sandbox, value):
    wrapped = {name: "meta" in caller.post(f"/trackings/{name}", ROWS)[1]["trackings"][0] for name in BATCHES}
    assert wrapped == {name: value == "all" or value == name for name in BATCHES}


@position("report_counts", "number", "text", "absent")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    for name in ("notupdate", "updatemore", "delete"):
        data = caller.post(f"/trackings/{name}", ROWS)[1]
        entry = data.pop("trackings")[1]
        counts = {"submitted": 2, BATCHES[name]: 1}
        assert data == {"number": counts, "text": {of: str(count) for of, count in counts.items()}, "absent": {}}[value]
        assert entry.get("meta", entry)["code"] == ("4017" if value == "text" else 4017)


@position("unchanged_count", "counted", "left-out")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    row = ROWS[0] | {"title": "x"}
    for path, count in (("/trackings/notupdate", "change"), ("/trackings/updatemore", "updated")):
        counts = [caller.post(path, [row])[1][count] for _ in range(2)]
        assert counts == [1, 1 if value == "counted" else 0]


@position("updatemore_form", "counted", "empty")
def _(caller, sandbox, value):
    caller.create("NUMBER0001")
    _, data = caller.post(
        "/trackings/updatemore", [{"tracking_number": "NUMBER0001", "carrier_code": "usps", "title": "x"}]
    )
    assert (data == []) == (value == "empty")
    assert caller.item("NUMBER0001")["title"] == "x"


@position("realtime_registers", "false", "true")
def _(caller, sandbox, value):
    assert caller.post("/trackings/realtime", {"tracking_number": "NUMBER0001", "carrier_code": "usps"})[0] == 200
    assert len(sandbox.trackings()) == (1 if value == "true" else 0)
    assert sandbox.accounts()[0]["quota_charged"] == (1 if value == "true" else 0)


@position("realtime_item", "old", "full")
def _(caller, sandbox, value):
    caller.create("SBX-INSTANT-a1")
    (item,) = caller.post("/trackings/realtime", {"tracking_number": "SBX-INSTANT-a1", "carrier_code": "usps"})[1][
        "items"
    ]
    assert ("created_at" in item) == (value == "full")
    assert ("checkpoint_status" in item["origin_info"]["trackinfo"][0]) == (value == "full")


@position("realtime_repeat", "202", "429", "4020", "4012", "403")
def _(caller, sandbox, value):
    body = {"tracking_number": "NUMBER0001", "carrier_code": "usps"}
    caller.post("/trackings/realtime", body)
    assert caller.post("/trackings/realtime", body) == (int(value), [])


@position("realtime_limit", "account", "own-3")
def _(caller, sandbox, value):
    sandbox.reset(limits=True, time_scale=1e-6)
    sandbox.switch(realtime_limit=value)
    codes = [caller.code("GET", "/carriers")]
    for at in range(3):
        sandbox.advance(0.34)
        codes.append(
            caller.post("/trackings/realtime", {"tracking_number": f"NUMBER000{at}", "carrier_code": "usps"})[0]
        )
    assert codes == ([200, 200, 200, 200] if value == "own-3" else [200, 429, 429, 429])


@position("realtime_activated", "true", "false")
def _(caller, sandbox, value):
    code, _ = caller.post("/trackings/realtime", {"tracking_number": "NUMBER0001", "carrier_code": "usps"})
    assert code == (200 if value == "true" else 4018)


@position("userinfo_form", "flat", "plan")
def _(caller, sandbox, value):
    data = caller.get("/trackings/getuserinfo")[1]
    assert (data["track_number"] if value == "flat" else data["plan"]["remaining_order"]) == 100_000
    assert ("track_number" in data) == (value == "flat")


@position("userinfo_phone", "text", "number")
def _(caller, sandbox, value):
    assert isinstance(caller.get("/trackings/getuserinfo")[1]["phone"], str if value == "text" else int)


@position("carriers_meta_short", "true", "false")
def _(caller, sandbox, value):
    assert len(caller.send("GET", "/carriers").json()["meta"]) == (1 if value == "true" else 3)


@position("carrier_urls", "http", "relative")
def _(caller, sandbox, value):
    start = "http://" if value == "http" else "//"
    assert all(row["homepage"].startswith(start) for row in caller.get("/carriers")[1])


LANE = {"carrier_code": "dhl", "original": "CN", "destination": "US"}


@position("costtime_ranges", "share", "percent", "percent-sign")
def _(caller, sandbox, value):
    (row,) = caller.post("/trackings/costtime", [LANE])[1]
    shares = [row[name] for name in ("range1", "range3", "range4", "range5")]
    assert {type(share) for share in shares} == {str if value == "percent-sign" else float}
    total = sum(float(str(share).rstrip("%")) for share in shares)
    assert total == pytest.approx(1 if value == "share" else 100, rel=1e-3)


@position("costtime_form", "list", "items")
def _(caller, sandbox, value):
    data = caller.post("/trackings/costtime", [LANE])[1]
    assert len(data["items"] if value == "items" else data) == 1


@position("remote_other", "question", "answer", "empty")
def _(caller, sandbox, value):
    places = [{"country": "US", "postcode": "CITY-1"}, {"country": "Atlantis", "postcode": "1", "company": "UPS"}]
    other = caller.post("/trackings/remote", places)[1]["other"]
    assert [sorted(place) for place in other] == {
        "question": [["country", "postcode"]] * 2,
        "answer": [["far_city_postcode", "far_country", "far_express_company", "two_code"]] * 2,
        "empty": [],
    }[value]


@position("waybill_max", "3", "101")
def _(caller, sandbox, value):
    waybills = [f"172-{10_000_000 + at}" for at in range(int(value) + 1)]
    assert caller.post("/trackings/aircargo", {"track_number": waybills})[0] == 4020
    assert len(caller.post("/trackings/aircargo", {"track_number": waybills[:-1]})[1]) == int(value)


@position("field_forms", "any", "documented")
def _(caller, sandbox, value):
    taken = {"tracking_ship_date": "20261125", "order_create_time": "2017/8/27 16:51", "order_id": "5"}
    assert caller.create("NUMBER0001", **taken)[0] == 201
    others = [{"tracking_ship_date": "2026-11-25"}, {"order_create_time": "2018-05-20 12:00"}, {"order_id": 5}]
    codes = [caller.create(f"NUMBER001{at}", **fields)[0] for at, fields in enumerate(others)]
    assert codes == [4012 if value == "documented" else 201] * 3


@position("leg_overlap", "none", "handover")
def _(caller, sandbox, value):
    sandbox.switch(substatus="filled")
    caller.create("SBX-DELIVERED-2D-1", "china-post", destination_code="DE")
    sandbox.advance(days=3)
    item = caller.get("/trackings/china-post/SBX-DELIVERED-2D-1")[1]
    newest_at_home, oldest_abroad = item["origin_info"]["trackinfo"][0], item["destination_info"]["trackinfo"][-1]
    again = oldest_abroad["Date"] == newest_at_home["Date"]
    assert again == (value == "handover")
    assert newest_at_home["substatus"] == "transit007"
    assert ("substatus" in oldest_abroad, oldest_abroad["StatusDescription"].endswith(" ")) == (not again, again)


@pytest.mark.parametrize(("name", "value"), CHECKS, ids=["=".join(pair) for pair in CHECKS])
def test_the_switch_decides(caller, sandbox, name, value):
    sandbox.switch(**{name: value})
    CHECKS[name, value](caller, sandbox, value)


def test_every_position_is_tested():
    tested_with_the_limits = {"rate_limit_form", "retry_after", "cool_down_refresh", "rate_tolerance"}
    tested_with_webhooks = {name for name in SWITCHES if name.startswith("webhook_")}
    here = SWITCHES.keys() - tested_with_the_limits - tested_with_webhooks
    assert {(name, value) for name in here for value in SWITCHES[name].values} <= set(CHECKS)
    assert {name for name, _ in CHECKS} == here
