"""Batches and lookups of many shipments, against a small server in the test and without a socket."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.batching import DELETE, REGISTER, STOP, UPDATE, Job, send_batches
from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.errors import (
    AuthenticationError,
    ResponseLostError,
    ServerError,
    TrackingMoreError,
)
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError, LookupInterruptedError
from airflow_provider_trackingmore.api.limits import MAX_FILTER_CHARACTERS
from airflow_provider_trackingmore.api.lookups import find_trackings, look_up
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import BatchReport, RegistrationReport
from airflow_provider_trackingmore.api.shipments import check_shipments
from airflow_provider_trackingmore.client.runner import run

WHOLE_CALL_CODES = (4012, 4014, 4015, 4020, 4032)
"""Codes with which one shipment makes its whole call fail."""


@dataclass
class Server:
    """Responds in the vendor's forms (1.2, 1.5-1.8, 1.13).

    :param behaviour: what it does with a number: ``"lists"`` an existing one among the trackings, ``"upper"`` returns
        the number in capitals, ``"silent"`` processes it without mentioning it, ``"ignores"`` neither processes nor
        mentions it, ``"slow"`` ignores it the first time only; a code refuses it, ``-code`` refuses the whole call.
    :param quota_error: whether a lack of quota is reported for each ``"item"`` or for the whole ``"call"``.
    :param confirms_by: what responses to changes and deletions contain: ``"codes"``, ``"count"``, both, or nothing.
    """

    registered: set[ShipmentKey] = field(default_factory=set)
    behaviour: dict[str, str | int] = field(default_factory=dict)
    quota: int = 1_000_000
    quota_error: str = "item"
    hidden: set[ShipmentKey] = field(default_factory=set)
    fail: Callable[[int], TrackingMoreError | None] = lambda call: None
    calls: list[Request[Any]] = field(default_factory=list)
    confirms_by: str = "count codes"

    def send(self, request: Request[Any]) -> Any:
        self.calls.append(request)
        assert len(self.calls) < 10_000
        if error := self.fail(len(self.calls)):
            raise error
        code, data = self._answer(request)
        response = {"meta": {"code": code, "type": "Success", "message": "Message of the server"}, "data": data}
        return parse_response(request, 200, {}, json.dumps(response).encode())

    def numbers_sent(self, path: str = "*") -> list[list[str]]:
        return [
            [body["tracking_number"] for body in call.body]
            for call in self.calls
            if isinstance(call.body, list) and path in ("*", call.path)
        ]

    def count(self, method: str) -> int:
        return sum(call.method == method for call in self.calls)

    def _answer(self, request: Request[Any]) -> tuple[int, Any]:
        if request.path == "/trackings/get":
            wanted = [number.casefold() for number in request.query["numbers"].split(",")]
            assert len(wanted) <= 40
            if any(self.behaviour.get(number) == -4014 for number in request.query["numbers"].split(",")):
                return 4014, []
            found = [key for key in self.registered - self.hidden if key.tracking_number.casefold() in wanted]
            return (200, {"items": [self._item(key) for key in found]}) if found else (4031, [])
        if request.method == "GET":
            carrier, number = map(unquote, request.path.split("/")[2:])
            key = ShipmentKey(carrier, number)
            return (200, self._item(key)) if key in self.registered else (4031, [])
        if request.method == "PUT":
            carrier, number = map(unquote, request.path.split("/")[2:])
            return (200, []) if ShipmentKey(carrier, number) in self.registered else (4017, [])
        assert 0 < len(request.body) <= 40
        for body in request.body:
            behaviour = self.behaviour.get(body["tracking_number"])
            if isinstance(behaviour, int) and behaviour < 0:
                return -behaviour, []
        endpoints = {
            "batch": self._create,
            "delete": self._delete,
            "updatemore": self._change,
            "notupdate": self._change,
        }
        return endpoints[request.path.rpartition("/")[2]]([(_key(body), body) for body in request.body])

    def _create(self, rows: list[tuple[ShipmentKey, Any]]) -> tuple[int, Any]:
        trackings, errors = [], []
        ran_out = False
        for key, _ in rows:
            behaviour = self.behaviour.get(key.tracking_number, "")
            if isinstance(behaviour, int):
                errors.append(self._error(key, behaviour))
            elif key in self.registered and behaviour == "lists":
                trackings.append(self._item(key))
            elif key in self.registered and behaviour not in ("silent", "ignores"):
                errors.append(self._error(key, 4016))
            elif key not in self.registered and self.quota <= 0:
                ran_out = True
                errors.append(self._error(key, 4021))
            elif behaviour != "ignores":
                self.quota -= key not in self.registered
                self.registered.add(key)
                if behaviour != "silent":
                    trackings.append(self._item(key) | {"status": "pending"})
        if ran_out and self.quota_error == "call":
            return 4021, []
        return 201, {"submitted": len(rows), "added": len(trackings), "trackings": trackings, "errors": errors}

    def _delete(self, rows: list[tuple[ShipmentKey, Any]]) -> tuple[int, Any]:
        return 200, self._each(rows, "delete", self.registered.discard)

    def _change(self, rows: list[tuple[ShipmentKey, Any]]) -> tuple[int, Any]:
        return 200, self._each(rows, "change", lambda key: None)

    def _each(self, rows: list[tuple[ShipmentKey, Any]], count: str, apply: Callable[[ShipmentKey], None]) -> Any:
        done, entries = 0, []
        for key, _ in rows:
            behaviour = self.behaviour.get(key.tracking_number)
            code = behaviour if isinstance(behaviour, int) else 200 if key in self.registered else 4017
            if code == 200 and behaviour not in ("ignores", "slow"):
                apply(key)
                done += 1
            if behaviour not in ("silent", "ignores", "slow"):
                entries.append({"meta": self._error(key, code)})
            if behaviour == "slow":
                self.behaviour[key.tracking_number] = ""
        if "codes" not in self.confirms_by:
            entries = [{"meta": {"tracking_number": entry["meta"]["tracking_number"]}} for entry in entries]
        return (
            {"trackings": entries, **({count: done} if "count" in self.confirms_by else {})} if self.confirms_by else []
        )

    def _item(self, key: ShipmentKey) -> dict[str, Any]:
        upper = self.behaviour.get(key.tracking_number) == "upper"
        number = key.tracking_number.upper() if upper else key.tracking_number
        return {"tracking_number": number, "carrier_code": key.carrier_code, "status": "transit"}

    def _error(self, key: ShipmentKey, code: int) -> dict[str, Any]:
        return self._item(key) | {"code": code, "message": "Message about the item"}


def _key(body: dict[str, Any]) -> ShipmentKey:
    return ShipmentKey(body["carrier_code"], body["tracking_number"])


def shipment(number: str, carrier: str = "usps") -> dict[str, Any]:
    return {"tracking_number": number, "carrier_code": carrier}


def many(count: int, carrier: str = "usps") -> list[dict[str, Any]]:
    return [shipment(f"n{at:04d}", carrier) for at in range(count)]


def keys(shipments: Iterable[dict[str, Any]]) -> tuple[ShipmentKey, ...]:
    return tuple(map(_key, shipments))


def send(server: Server, shipments: Any, job: Job = REGISTER) -> BatchReport:
    report = RegistrationReport() if job is REGISTER else BatchReport()
    return run(send_batches(job, check_shipments(shipments), report), server.send)


def rejected(report: BatchReport) -> dict[str, int | None]:
    return {item.tracking_number: item.code for item in report.rejected}


JOBS = pytest.mark.parametrize("job", [REGISTER, UPDATE, DELETE, STOP], ids=["register", "update", "delete", "stop"])


# Chunks --------------------------------------------------------------------------------------------------------------


@JOBS
@pytest.mark.parametrize("count", [1, 39, 40, 41, 200])
def test_shipments_are_sent_forty_per_call(job: Job, count: int) -> None:
    server = Server() if job is REGISTER else Server(set(keys(many(count))))
    report = send(server, many(count), job)
    assert report.done == keys(many(count))
    assert [len(numbers) for numbers in server.numbers_sent()] == [40] * (count // 40) + [count % 40] * (count % 40 > 0)
    assert len(server.calls) == -(-count // 40)


@JOBS
def test_nothing_to_send_makes_no_call(job: Job) -> None:
    server = Server()
    assert len(send(server, [], job)) == 0
    assert len(send(server, [shipment(""), shipment("n1", "no such code"), "text", None], job).rejected) == 4
    assert server.calls == []


def test_a_duplicate_is_counted_and_not_sent() -> None:
    server = Server()
    report = send(server, [*many(50), *many(30), shipment(" n0001 "), shipment("n0001", "dhl")])
    assert report.duplicates == 31
    assert len(report.done) == 51
    sent = [number for numbers in server.numbers_sent() for number in numbers]
    assert Counter(sent) == Counter([f"n{at:04d}" for at in range(50)] + ["n0001"])
    assert report.totals == "51 created, 0 existing, 0 rejected (31 duplicates ignored)"


def test_an_invalid_shipment_is_rejected_with_its_position_and_the_others_are_sent() -> None:
    server = Server()
    report = send(server, [shipment("n1"), shipment("", "dhl"), shipment("n2"), {"carrier_code": "dhl"}, 7])
    assert report.done == (("usps", "n1"), ("usps", "n2"))
    assert [item.code for item in report.rejected] == [None] * 3
    assert [item.message[:10] for item in report.rejected] == ["shipment 2", "shipment 4", "shipment 5"]
    assert len(server.calls) == 1


def test_progress_is_reported_after_each_call_and_ends_with_all_shipments() -> None:
    reported: list[tuple[int, int, int]] = []
    checked = check_shipments([*many(90), shipment("")])

    def record(part: BatchReport, known: int, total: int) -> None:
        reported.append((len(part), known, total))

    run(send_batches(REGISTER, checked, BatchReport(), record), Server().send)
    assert reported == [(40, 41, 91), (40, 81, 91), (10, 91, 91)]


# Reports on the items ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["", "lists", "silent"])
def test_a_number_that_already_exists_counts_as_registered_in_every_form_of_the_response(behaviour: str) -> None:
    server = Server({ShipmentKey("usps", "n0001")}, {"n0001": behaviour})
    report = send(server, many(3))
    assert report.done == (("usps", "n0000"), ("usps", "n0002"))
    assert report.unchanged == (("usps", "n0001"),)
    assert report.rejected == ()


def test_a_refused_item_is_rejected_with_code_and_reason() -> None:
    report = send(Server(behaviour={"n0001": 4014}), many(3))
    assert rejected(report) == {"n0001": 4014}
    assert report.rejected[0].message == "Message about the item"


def test_a_number_returned_in_capitals_matches_the_one_sent() -> None:
    server = Server(behaviour={"n0001": "upper"})
    assert send(server, many(2)).done == keys(many(2))
    assert len(server.calls) == 1


def test_shipments_that_a_response_omits_are_looked_up_with_one_call() -> None:
    server = Server(behaviour={"n0001": "silent", "n0002": "silent", "n0003": "ignores"})
    report = send(server, many(5))
    assert report.done == (("usps", "n0000"), ("usps", "n0004"))
    assert report.unchanged == (("usps", "n0001"), ("usps", "n0002"))
    assert rejected(report) == {"n0003": None}
    assert "not registered: run it again" in report.rejected[0].message
    assert [call.path for call in server.calls] == ["/trackings/batch", "/trackings/get"]


each_confirmation = pytest.mark.parametrize("confirms_by", ["count codes", "count", "codes", ""])


@each_confirmation
def test_an_unconfirmed_deletion_is_done_if_the_shipment_is_gone(confirms_by: str) -> None:
    server = Server(set(keys(many(4))), {"n0001": "silent"}, confirms_by=confirms_by)
    report = send(server, many(5), DELETE)
    gone = {*report.done, *report.unchanged}
    assert gone == set(keys(many(5)))
    assert (("usps", "n0004") in report.unchanged) is ("codes" in confirms_by)
    assert report.rejected == ()
    assert server.registered == set()


@each_confirmation
def test_a_shipment_that_still_exists_is_deleted_again(confirms_by: str) -> None:
    server = Server(set(keys(many(4))), {"n0002": "slow"}, confirms_by=confirms_by)
    report = send(server, many(4), DELETE)
    assert set(report.done) == set(keys(many(4)))
    assert (report.unchanged, report.rejected) == ((), ())
    sent = ["/trackings/delete", "/trackings/get", "/trackings/delete"]
    assert [call.path for call in server.calls][:3] == sent
    assert server.numbers_sent("/trackings/delete")[1:] == [["n0002"]]


@each_confirmation
def test_a_shipment_that_survives_two_deletions_is_rejected(confirms_by: str) -> None:
    server = Server(set(keys(many(4))), {"n0002": "ignores", "n0003": "ignores"}, confirms_by=confirms_by)
    report = send(server, many(4), DELETE)
    assert set(report.done) == set(keys(many(2)))
    assert rejected(report) == {"n0002": None, "n0003": None}
    assert "still registered after two attempts to delete it: run it again" in report.rejected[0].message
    assert server.numbers_sent("/trackings/delete")[1:] == [["n0002", "n0003"]]


def test_a_deletion_that_took_effect_late_is_done_and_not_unchanged() -> None:
    server = Server({ShipmentKey("usps", "n0000")}, {"n0000": "slow"})

    def late(request: Request[Any]) -> Any:
        if len(server.calls) == 2:
            server.registered.clear()
        return server.send(request)

    report = run(send_batches(DELETE, check_shipments(many(1)), BatchReport()), late)
    assert (report.done, report.unchanged, report.rejected) == (keys(many(1)), (), ())


@pytest.mark.parametrize("job", [UPDATE, STOP], ids=["update", "stop"])
@each_confirmation
def test_an_unregistered_shipment_can_neither_be_changed_nor_stopped(job: Job, confirms_by: str) -> None:
    server = Server(set(keys(many(2))), confirms_by=confirms_by)
    report = send(server, many(3), job)
    assert (report.done, report.unchanged) == (keys(many(2)), ())
    assert rejected(report) == {"n0002": 4017 if "codes" in confirms_by else None}
    assert "register it first" in report.rejected[0].message or "codes" in confirms_by
    assert len(server.calls) == (1 if "codes" in confirms_by else 2)


@pytest.mark.parametrize("job", [UPDATE, STOP], ids=["update", "stop"])
def test_a_registered_shipment_that_is_not_counted_as_changed_is_unchanged(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    shipments = many(3)
    server = Server(set(keys(shipments)), {"n0001": "ignores"})
    report = send(server, shipments, job)
    assert (report.done, report.unchanged) == ((("usps", "n0000"), ("usps", "n0002")), (("usps", "n0001"),))
    server = Server(set(keys(shipments)), {f"n{at:04d}": "ignores" for at in range(3)}, confirms_by="count")
    assert send(server, shipments, job).unchanged == keys(shipments)
    assert caplog.text == ""


def test_the_log_says_when_it_is_unknown_which_shipments_were_changed(caplog: pytest.LogCaptureFixture) -> None:
    responses = [{"change": 1, "trackings": many(3)}, {"items": many(3)}]

    def respond(request: Request[Any]) -> Any:
        data = responses.pop(0)
        return parse_response(request, 200, {}, json.dumps({"meta": {"code": 200}, "data": data}).encode())

    report = run(send_batches(STOP, check_shipments(many(3)), BatchReport()), respond)
    assert report.unchanged == keys(many(3))
    assert "changed 1 of 3 shipments but does not say which" in caplog.text


# Changes that only PUT accepts ---------------------------------------------------------------------------------------


def test_a_change_that_only_put_accepts_is_sent_with_put() -> None:
    server = Server(set(keys(many(43))))
    rows = [
        shipment | {"title": "New"} | ({"customer_phone": "+1"} if at % 20 == 0 else {})
        for at, shipment in enumerate(many(43))
    ]
    checked = check_shipments(rows, ("title", "customer_phone"))
    report = run(send_batches(UPDATE, checked, BatchReport()), server.send)
    assert set(report.done) == set(keys(rows))
    assert [len(numbers) for numbers in server.numbers_sent()] == [40]
    puts = [(call.path, call.body) for call in server.calls if call.method == "PUT"]
    assert puts == [(f"/trackings/usps/n00{at:02d}", {"title": "New", "customer_phone": "+1"}) for at in (0, 20, 40)]


@pytest.mark.parametrize("error", [ResponseLostError("no answer"), ServerError("it failed", code=500)], ids=repr)
def test_a_failure_among_single_changes_leaves_a_complete_report(error: TrackingMoreError) -> None:
    rows = [*many(2), *(shipment | {"customer_phone": "+1"} for shipment in many(5)[2:])]
    server = Server(set(keys(many(5))), fail=lambda call: error if call == 3 else None)
    with pytest.raises(BatchInterruptedError) as caught:
        run(send_batches(UPDATE, check_shipments(rows, ("customer_phone",)), BatchReport()), server.send)
    report = caught.value.report
    assert caught.value.cause is error
    assert report.done == keys(many(3))
    assert ["not sent" in item.message for item in report.rejected] == [False, True]


def test_a_single_change_of_an_unregistered_shipment_is_rejected() -> None:
    server = Server({ShipmentKey("usps", "n0001")})
    rows = [shipment | {"customer_phone": "+1"} for shipment in many(2)]
    report = run(send_batches(UPDATE, check_shipments(rows, ("customer_phone",)), BatchReport()), server.send)
    assert report.done == (("usps", "n0001"),)
    assert rejected(report) == {"n0000": 4017}
    assert "register it first" in report.rejected[0].message


# Refusals of a whole request -----------------------------------------------------------------------------------------


@JOBS
@pytest.mark.parametrize("code", WHOLE_CALL_CODES)
def test_a_shipment_that_makes_its_call_fail_does_not_affect_the_others(job: Job, code: int) -> None:
    shipments = many(80)
    registered = set() if job is REGISTER else set(keys(shipments))
    server = Server(registered, {"n0017": -code})
    report = send(server, shipments, job)
    assert rejected(report) == {"n0017": code}
    assert set(report.done) == set(keys(shipments)) - {("usps", "n0017")}
    # 2 calls for 80; the refused one is halved until the one is alone: 20, 10, 5, 2 or 3, 1 or 2, 1.
    assert len(server.calls) <= 2 + 2 * 6


def test_several_shipments_that_make_their_call_fail_are_each_found() -> None:
    bad = {"n0000": -4014, "n0013": -4015, "n0014": -4012, "n0039": -4020}
    server = Server(behaviour=dict(bad))
    report = send(server, many(40))
    assert rejected(report) == {number: -code for number, code in bad.items()}
    assert len(report.done) == 36


def test_a_call_refused_because_its_shipments_exist_reports_them_as_existing() -> None:
    server = Server(behaviour={f"n{at:04d}": -4016 for at in range(6)})
    report = send(server, many(6))
    assert report.unchanged == keys(many(6))
    assert report.rejected == ()


def test_a_deletion_refused_because_the_shipment_does_not_exist_is_unchanged() -> None:
    server = Server(set(keys(many(4))), {"n0002": -4017})
    report = send(server, many(4), DELETE)
    assert report.unchanged == (("usps", "n0002"),)
    assert len(report.done) == 3


def test_a_server_that_accepts_fewer_than_forty_is_sent_fewer() -> None:
    server = Server()

    def send_ten(request: Request[Any]) -> Any:
        if isinstance(request.body, list) and len(request.body) > 10:
            server.calls.append(request)
            return parse_response(request, 200, {}, b'{"meta": {"code": 4020}, "data": []}')
        return server.send(request)

    report = run(send_batches(REGISTER, check_shipments(many(40)), BatchReport()), send_ten)
    assert report.done == keys(many(40))
    assert [len(numbers) for numbers in server.numbers_sent()] == [40, 20, 10, 10, 20, 10, 10]


@JOBS
def test_an_endpoint_that_is_not_activated_rejects_the_shipments(job: Job) -> None:
    report = send(Server(behaviour={"n0000": -4018}), many(40), job)
    assert set(rejected(report).values()) == {4018}
    assert "ask TrackingMore's support" in report.rejected[0].message


# Quota ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confirms_by", ["item", "call"])
def test_quota_that_runs_out_midway_rejects_only_unregistered_shipments(confirms_by: str) -> None:
    server = Server({ShipmentKey("usps", "n0060")}, quota=50, quota_error=confirms_by)
    report = send(server, many(100))
    registered = set(report.done) | set(report.unchanged)
    assert registered == server.registered
    assert len(registered) == 51
    assert set(rejected(report).values()) == {4021}
    assert len(report) == 100


@pytest.mark.parametrize("job", [UPDATE, DELETE, STOP], ids=["update", "delete", "stop"])
def test_a_402_rejects_every_shipment_of_the_call(job: Job) -> None:
    server = Server(set(keys(many(3))), {"n0001": -402})
    report = send(server, many(3), job)
    assert report.done == report.unchanged == ()
    assert set(rejected(report).values()) == {402}
    assert len(server.calls) == 1


# When the account or the connection fails ----------------------------------------------------------------------------


@JOBS
@pytest.mark.parametrize("error", [ResponseLostError("no answer"), ServerError("it failed", code=500)], ids=repr)
def test_a_failure_midway_leaves_a_complete_report(job: Job, error: TrackingMoreError) -> None:
    shipments = [*many(130), shipment("n0000"), shipment("")]
    server = Server(set() if job is REGISTER else set(keys(shipments)), fail=lambda call: error if call == 3 else None)
    with pytest.raises(BatchInterruptedError) as caught:
        send(server, shipments, job)
    report = caught.value.report
    assert caught.value.cause is caught.value.__cause__ is error
    assert type(report) is (RegistrationReport if job is REGISTER else BatchReport)
    assert report.done == keys(many(80))
    assert report.duplicates == 1
    assert len(report) == 131
    messages = {item.tracking_number: item.message for item in report.rejected}
    assert len(messages) == 51
    assert all("may or may not have been processed" in messages[f"n{at:04d}"] for at in range(80, 120))
    assert all("not sent" in messages[f"n{at:04d}"] for at in range(120, 130))
    assert "tracking_number is missing" in messages[""]


def test_a_refused_key_ends_the_job_at_once() -> None:
    server = Server(fail=lambda call: AuthenticationError("wrong key", code=4001))
    with pytest.raises(BatchInterruptedError) as caught:
        send(server, many(200))
    assert len(server.calls) == 1
    assert isinstance(caught.value.cause, AuthenticationError)
    assert len(caught.value.report.rejected) == 200


def test_a_failure_while_omitted_shipments_are_looked_up_leaves_a_report_too() -> None:
    server = Server(behaviour={"n0001": "silent"}, fail=lambda call: ResponseLostError("gone") if call == 2 else None)
    with pytest.raises(BatchInterruptedError) as caught:
        send(server, many(3))
    report = caught.value.report
    assert isinstance(caught.value.cause, ResponseLostError)
    assert report.done == (("usps", "n0000"), ("usps", "n0002"))
    assert rejected(report) == {"n0001": None}


# Any mix of behaviour ------------------------------------------------------------------------------------------------

NUMBERS = st.sampled_from(
    [f"{letter}{at:02d}" for letter in "aA" for at in range(60)] + ["a,1", "b c", "50%", "é12345"]
)
BEHAVIOUR = st.sampled_from(
    ["", "lists", "upper", "silent", "ignores", "slow", 4014, 4032, *(-code for code in WHOLE_CALL_CODES)]
)
ENTRIES = st.one_of(
    st.builds(shipment, NUMBERS, st.sampled_from(["usps", "dhl"])),
    st.sampled_from([None, "text", {}, shipment(""), {"tracking_number": "n1"}]),
)


@given(
    job=st.sampled_from([REGISTER, UPDATE, DELETE, STOP]),
    entries=st.lists(ENTRIES, max_size=130),
    behaviour=st.dictionaries(NUMBERS, BEHAVIOUR, max_size=30),
    registered=st.sets(st.builds(ShipmentKey, st.sampled_from(["usps", "dhl"]), NUMBERS), max_size=40),
    quota=st.one_of(st.just(1_000), st.integers(0, 60)),
    quota_error=st.sampled_from(["item", "call"]),
    confirms_by=st.sampled_from(["count codes", "count", "codes", ""]),
    fails_at=st.one_of(st.none(), st.integers(1, 8)),
)
def test_every_shipment_is_in_the_report_once_whatever_happens(
    job: Job,
    entries: list[Any],
    behaviour: dict[str, str | int],
    registered: set[ShipmentKey],
    quota: int,
    quota_error: str,
    confirms_by: str,
    fails_at: int | None,
) -> None:
    server = Server(set(registered), behaviour, quota, quota_error, confirms_by=confirms_by)
    server.fail = lambda call: ResponseLostError("gone") if call == fails_at else None
    checked = check_shipments(entries)
    report = report_in_spite_of_failures(server, entries, job)
    named = [*report.done, *report.unchanged]
    named += [ShipmentKey(item.carrier_code, item.tracking_number) for item in report.rejected]
    assert Counter(key for key in named if key in checked.bodies) == Counter(dict.fromkeys(checked.bodies, 1))
    assert len(report) + report.duplicates == len(entries)
    remaining = {key.normalized for key in server.registered}
    if job is REGISTER:
        assert {key.normalized for key in (*report.done, *report.unchanged)} <= remaining
    if job is DELETE:
        assert not {*report.done, *report.unchanged} & server.registered
    if job in (UPDATE, STOP):
        assert {key.normalized for key in (*report.done, *report.unchanged)} <= remaining


def report_in_spite_of_failures(server: Server, entries: list[Any], job: Job) -> BatchReport:
    try:
        return send(server, entries, job)
    except BatchInterruptedError as error:
        return error.report


# Looking up ----------------------------------------------------------------------------------------------------------


def lookup(server: Server, wanted: Iterable[ShipmentKey]) -> dict[ShipmentKey, Tracking]:
    return run(find_trackings(wanted), server.send)


def test_forty_numbers_are_looked_up_with_one_call() -> None:
    server = Server(set(keys(many(100))))
    assert set(lookup(server, [*keys(many(100)), *keys(many(20))])) == set(keys(many(100)))
    assert [len(call.query["numbers"].split(",")) for call in server.calls] == [40, 40, 20]


def test_nothing_to_look_up_makes_no_call() -> None:
    server = Server()
    assert lookup(server, []) == {}
    assert run(look_up([]), server.send) == {}
    assert server.calls == []


def test_two_carriers_with_the_same_number_are_two_shipments() -> None:
    usps, dhl, ups = (ShipmentKey(carrier, "1234567890") for carrier in ("usps", "dhl", "ups"))
    server = Server({usps, dhl})
    found = lookup(server, [usps, dhl, ups])
    assert {key: tracking.carrier_code for key, tracking in found.items()} == {usps: "usps", dhl: "dhl"}
    assert server.calls[0].query["numbers"] == "1234567890"


def test_a_lookup_ignores_case() -> None:
    server = Server({ShipmentKey("usps", "AB12")})
    found = lookup(server, [ShipmentKey("USPS", "ab12")])
    assert found[ShipmentKey("USPS", "ab12")].tracking_number == "AB12"


@pytest.mark.parametrize("number", ["1 2 3", "50%", "50%2C1", "a&b=c", "é-ß-漢", "a+b", "#1", "a;b", 'a"b', "a/b?c"])
def test_odd_numbers_are_requested_as_they_are(number: str) -> None:
    server = Server({ShipmentKey("usps", number)})
    assert lookup(server, [ShipmentKey("usps", number)])[ShipmentKey("usps", number)].tracking_number == number
    assert server.calls[0].path == "/trackings/get"
    assert server.calls[0].target.count("&") == 2
    assert server.calls[0].target.isascii()


def test_a_number_with_a_comma_is_requested_alone() -> None:
    listed, alone, missing = (ShipmentKey("usps", number) for number in ("n1", "n1,2", "x,y"))
    server = Server({listed, alone})
    assert set(lookup(server, [listed, alone, missing])) == {listed, alone}
    assert [call.target for call in server.calls[1:]] == ["/trackings/usps/n1%2C2", "/trackings/usps/x%2Cy"]
    assert server.calls[0].query["numbers"] == "n1"


def test_long_numbers_are_divided_so_that_no_url_is_too_long() -> None:
    plain = [ShipmentKey("usps", f"{at:03d}" + "x" * 197) for at in range(40)]
    wide = [ShipmentKey("usps", f"{at:03d}" + "漢" * 197) for at in range(40)]
    server = Server({*plain, *wide})
    assert set(lookup(server, plain + wide)) == {*plain, *wide}
    assert max(len(call.target) for call in server.calls) <= MAX_FILTER_CHARACTERS + 100
    assert len(server.calls) == 22


def test_a_number_that_makes_the_call_fail_is_found_by_halving_and_left_out() -> None:
    server = Server(set(keys(many(40))), {"n0023": -4014})
    assert set(lookup(server, keys(many(40)))) == set(keys(many(40))) - {("usps", "n0023")}
    assert len(server.calls) <= 1 + 2 * 6


def test_a_refused_key_is_not_reported_as_missing_shipments() -> None:
    server = Server(fail=lambda call: AuthenticationError("wrong key", code=4001))
    with pytest.raises(LookupInterruptedError, check=lambda error: isinstance(error.cause, AuthenticationError)):
        lookup(server, keys(many(3)))
    with pytest.raises(LookupInterruptedError, check=lambda error: isinstance(error.cause, AuthenticationError)):
        run(look_up(keys(many(3))), server.send)


def test_a_shipment_is_requested_alone_before_it_is_reported_as_missing() -> None:
    server = Server(set(keys(many(5))), hidden=set(keys(many(2))))
    found = run(look_up(keys(many(7))), server.send)
    assert [key for key, tracking in found.items() if tracking is None] == [("usps", "n0005"), ("usps", "n0006")]
    assert [call.path for call in server.calls] == [
        "/trackings/get",
        *(f"/trackings/usps/n000{at}" for at in (0, 1, 5, 6)),
    ]


def test_a_request_that_fails_does_not_keep_other_missing_shipments_from_being_confirmed() -> None:
    listed, fails, hidden, missing = wanted = keys(many(4))
    server = Server({listed, fails, hidden}, hidden={fails, hidden})
    server.fail = lambda call: ServerError("broken") if call == 2 else None
    with pytest.raises(LookupInterruptedError) as caught:
        run(look_up(wanted), server.send)
    assert caught.value.failed == [fails]
    assert set(caught.value.found) == {listed, hidden, missing}
    assert caught.value.found[missing] is None
    assert str(caught.value) == "broken; not looked up: usps n0001"


def test_a_number_that_no_list_can_contain_does_not_keep_others_from_being_confirmed() -> None:
    fails, missing = wanted = keys(many(2))
    server = Server()
    server.fail = lambda call: ServerError("broken") if call <= 2 else None  # the list, and its first half
    with pytest.raises(LookupInterruptedError) as caught:
        run(look_up(wanted), server.send)
    assert (caught.value.failed, caught.value.found) == ([fails], {missing: None})


def test_when_every_request_fails_the_lookup_ends() -> None:
    server = Server(fail=lambda call: ServerError("broken") if call > 1 else None)
    with pytest.raises(LookupInterruptedError) as caught:
        run(look_up(keys(many(30))), server.send)
    assert caught.value.failed is None
    assert len(server.calls) == 1 + 10


def test_when_nothing_is_missing_nothing_is_requested_twice() -> None:
    server = Server(set(keys(many(60))))
    assert None not in run(look_up(keys(many(60))), server.send).values()
    assert len(server.calls) == 2


def test_a_missing_number_with_a_comma_is_requested_only_once() -> None:
    comma, hidden = ShipmentKey("usps", "a,b"), ShipmentKey("usps", "n1")
    server = Server({hidden}, hidden={hidden})
    found = run(look_up([comma, hidden]), server.send)
    assert found[comma] is None
    assert found[hidden] is not None
    assert sum(call.path.endswith("a%2Cb") for call in server.calls) == 1


def test_a_carrier_that_the_vendor_corrected_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    checked = check_shipments({"carrier_code": "usps", "tracking_number": "9400110000000001"})

    def corrects(request: Request[Any]) -> Any:
        data = {"trackings": [{"tracking_number": "9400110000000001", "carrier_code": "ups", "status": "pending"}]}
        return parse_response(request, 200, {}, json.dumps({"meta": {"code": 201}, "data": data}).encode())

    report = run(send_batches(REGISTER, checked, RegistrationReport()), corrects)
    assert report.created == (ShipmentKey("usps", "9400110000000001"),)
    assert "usps 9400110000000001: TrackingMore chose another carrier and registered ups" in caplog.text
