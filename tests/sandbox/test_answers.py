"""What was answered about each shipment can be read from the sandbox, and is what a client received."""

from __future__ import annotations

import random

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sandbox.switches import SWITCHES

from .conftest import KEYS, Caller

SHAPES = (
    *("email_form", "unset_text", "tz", "courier_time", "destination_info", "leg_overlap", "track_update", "substatus"),
    *("substatus_spelling", "updated_at_delivered", "updated_at_moves", "empty_list", "total_as_string", "list_count"),
    *("unknown_number", "empty_data"),
)
POSITIONS = [{}, *({name: value} for name in SHAPES for value in SWITCHES[name].values)]
NUMBER = "SBX-DELIVERED-2D-a1"


@pytest.fixture
def remembering(sandbox):
    sandbox.keep_answers()
    sandbox.freeze()
    return sandbox


def only(sandbox, **arguments):
    (shipment,) = sandbox.answers(**arguments)
    return shipment["answers"]


def listed(caller, **filters):
    code, data = caller.get("/trackings/get", **filters)
    return data["items"] if code == 200 else []


@pytest.mark.parametrize("position", POSITIONS, ids=str)
def test_the_answers_are_what_the_client_received_in_every_form(remembering, caller, position):
    remembering.switch(**position)
    caller.create(NUMBER, "china-post", destination_code="PL", customer_email="ada@home.example")
    received = []
    for days in (0, 1, 2):
        remembering.advance(days=days)
        received += [caller.item(NUMBER, "china-post"), *listed(caller, numbers=NUMBER)]
    assert received[0::2] == received[1::2]
    answers = only(remembering)
    assert [answer["item"] for answer in answers] == received[0::2]
    assert [answer["serials"] for answer in answers] == [[2, 3], [4, 5], [6, 7]]
    assert [len(set(answer["clock_unix"])) for answer in answers] == [1, 1, 1]
    assert answers[2]["clock_unix"][0] - answers[0]["clock_unix"][0] == 3 * 86_400
    remembering.delete("china-post", NUMBER)
    assert caller.get(f"/trackings/china-post/{NUMBER}")[0] != 200
    assert listed(caller, numbers=NUMBER) == []
    last = only(remembering)[-1]
    assert (last["item"], last["serials"]) == (None, [8, 9])


def test_nothing_is_remembered_unless_asked_for(sandbox, caller):
    caller.create("NUMBER0001")
    caller.item("NUMBER0001")
    assert list(sandbox.answers()) == []
    sandbox.keep_answers()
    caller.item("NUMBER0001")
    sandbox.keep_answers(False)
    caller.item("NUMBER0001")
    assert [answer["serials"] for answer in only(sandbox)] == [[3]]


def test_counts_of_days_alone_make_no_new_content(remembering, caller):
    caller.create("SBX-STUCK-1D-a1")
    remembering.advance(days=5)
    first = caller.item("SBX-STUCK-1D-a1")
    remembering.advance(days=5)
    later = caller.item("SBX-STUCK-1D-a1")
    assert later["stayTimeLength"] == first["stayTimeLength"] + 5
    (answer,) = only(remembering)
    assert (answer["item"], answer["serials"]) == (first, [2, 3])


def test_a_content_that_comes_back_is_not_new(remembering, caller):
    caller.create("NUMBER0001", title="lamp")
    for title in ("lamp", "mug", "lamp"):
        caller.ask("PUT", "/trackings/usps/NUMBER0001", json={"title": title})
        caller.item("NUMBER0001")
    answers = only(remembering)
    assert [(answer["item"]["title"], answer["serials"]) for answer in answers] == [("lamp", [3, 7]), ("mug", [5])]


def test_changes_that_nobody_asked_about_are_not_answers(remembering, caller):
    caller.create(NUMBER)
    remembering.advance(days=3)
    before = caller.item(NUMBER)
    for text in ("one", "two", "three"):
        remembering.reword_event("usps", NUMBER, text, updated_at="keep")
    after = caller.item(NUMBER)
    assert [answer["item"] for answer in only(remembering)] == [before, after]
    assert after["lastEvent"].startswith("three")


def test_the_requests_can_be_limited_from_both_sides(remembering, caller):
    caller.create(NUMBER)
    marks = [remembering.last_serial()]
    for _ in range(4):
        remembering.advance(days=1)
        caller.item(NUMBER)
        caller.item(NUMBER)
        marks.append(remembering.last_serial())
    assert marks == [1, 3, 5, 7, 9]
    everything = only(remembering)
    assert only(remembering, until=marks[1])[0]["item"] == everything[0]["item"]
    assert [answer["serials"] for answer in only(remembering, since=2, until=4)] == [[3], [4]]
    assert list(remembering.answers(since=marks[-1])) == []
    assert list(remembering.answers(tracking_number="OTHER01")) == []


@pytest.mark.parametrize("kind", ["500", "html", "truncated", "empty", "reset_after", "close_after", "partial"])
def test_an_answer_that_does_not_arrive_is_none(remembering, caller, kind):
    caller.create("NUMBER0001")
    settings = {"applied": True} if kind in ("500", "html") else {}
    remembering.fault(kind, method="GET", **settings)
    for _ in range(3):
        try:
            caller.send("GET", "/trackings/get")
        except OSError:
            caller.session.close()
    serials = [call["serial"] for call in remembering.calls("GET")]
    assert len(serials) >= 3
    assert [answer["serials"] for answer in only(remembering)] == [serials[1:]]


@pytest.mark.parametrize(("kind", "settings"), [("latency", {}), ("slow", {"seconds": 0.1})])
def test_an_answer_that_arrives_late_is_one(remembering, caller, kind, settings):
    caller.create("NUMBER0001")
    remembering.fault(kind, method="GET", **settings)
    listed(caller)
    assert [answer["serials"] for answer in only(remembering)] == [[2]]


def test_a_rejected_request_is_no_answer(remembering, caller):
    caller.create("NUMBER0001")
    caller.get("/trackings/get", limit=2_001)
    caller.key = "wrong"
    caller.get("/trackings/get")
    assert list(remembering.answers()) == []


def test_a_list_by_numbers_tells_what_is_missing_only_if_it_is_whole_and_has_no_other_filter(remembering, caller):
    for carrier in ("usps", "dhl"):
        caller.create("NUMBER0001", carrier)
    listed(caller)
    remembering.delete("usps", "NUMBER0001")
    listed(caller, numbers="NUMBER0001", status="delivered")
    listed(caller)
    listed(caller, numbers="NUMBER0001,NEVER0001")
    answers = {shipment["carrier_code"]: shipment["answers"] for shipment in remembering.answers()}
    assert [answer["item"] is None for answer in answers["usps"]] == [False, True]
    assert answers["usps"][1]["serials"] == [6]
    assert [answer["serials"] for answer in answers["dhl"]] == [[3, 5, 6]]


def test_accounts_do_not_share_answers(remembering, caller, second):
    caller.create("NUMBER0001")
    second.create("NUMBER0001", "dhl")
    listed(caller)
    listed(second)
    assert [shipment["carrier_code"] for shipment in remembering.answers()] == ["usps"]
    assert [shipment["carrier_code"] for shipment in remembering.answers(account=1)] == ["dhl"]


def test_answers_are_forgotten_alone_with_the_ledger_and_by_a_reset(remembering, caller):
    caller.create("NUMBER0001")
    for forget in (remembering.clear_answers, remembering.clear_ledger):
        listed(caller)
        forget()
        assert list(remembering.answers()) == []
    listed(caller)
    assert [answer["serials"] for answer in only(remembering)] == [[1]]
    remembering.reset()
    caller.create("NUMBER0001")
    listed(caller)
    assert list(remembering.answers()) == []


def test_a_sandbox_can_remember_from_the_start_and_after_a_reset():
    with SandboxProcess(api_keys=KEYS, no_limits=True, keep_answers=True) as sandbox:
        caller = Caller(sandbox.base_url)
        for _ in range(2):
            caller.create("NUMBER0001")
            listed(caller)
            assert [answer["serials"] for answer in only(sandbox)] == [[2]]
            sandbox.reset()


def test_texts_that_utf8_cannot_hold_are_remembered(remembering, caller):
    remembering.switch(number_format="any")
    assert (
        caller.code("POST", "/trackings/post", data='{"tracking_number": "A\\ud800B", "carrier_code": "usps"}') == 201
    )
    received = listed(caller)
    (shipment,) = remembering.answers()
    assert shipment["tracking_number"] == "A\ud800B"
    assert [answer["item"] for answer in shipment["answers"]] == received


def collect(caller, seen, serial, **filters):
    """Note what a client receives, as a loader would: distinct contents without the counts of days, by shipment."""
    page, rows, total = 0, 0, 1
    while rows < total:
        page += 1
        code, data = caller.get("/trackings/get", page=page, limit=700, **filters)
        serial += 1
        if code == 4031:
            return serial
        total = int(data["total"])
        for item in data["items"]:
            rows += 1
            content = {name: value for name, value in item.items() if not name.endswith("TimeLength")}
            contents = seen.setdefault((item["carrier_code"], item["tracking_number"]), [])
            known = next((answer for answer in contents if answer[0] == content), None)
            if known:
                known[1].append(serial)
            else:
                contents.append((content, [serial]))
    return serial


@pytest.mark.slow
def test_sixty_nights_of_loading_are_remembered_exactly(remembering, caller):
    """Every night the clock jumps a day, parcels are added, reworded, reopened and deleted, and a client lists them."""
    choose = random.Random(11)
    remembering.seed(1_500, ages_days=(0, 30), events=10)
    seen, serial = {}, 0
    for night in range(60):
        remembering.advance(days=1)
        remembering.seed(20, seed=1_000 + night, ages_days=(0, 1), events=10)
        shipments = remembering.trackings()
        changes = []
        for tracking in choose.sample(shipments, 20):
            action = choose.choice(["add", "reopen", "touch", "delete"])
            change = {name: tracking[name] for name in ("carrier_code", "tracking_number")} | {"action": action}
            change |= {"updated_at": choose.choice(["now", "keep", "null"])}
            changes.append(change | ({"description": f"Night {night}", "age_hours": 90} if action == "add" else {}))
        remembering.change_trackings(changes)
        since = int(remembering.clock()["unix"]) - 40 * 86_400
        serial = collect(caller, seen, serial, created_at_min=since)
        assert serial == remembering.last_serial()
    assert remembering.ledger()["rate_limited"] == 0
    remembered = {
        (shipment["carrier_code"], shipment["tracking_number"]): [
            (
                {name: value for name, value in answer["item"].items() if not name.endswith("TimeLength")},
                answer["serials"],
            )
            for answer in shipment["answers"]
        ]
        for shipment in remembering.answers()
    }
    assert len(remembered) > 1_000
    assert remembered == seen
