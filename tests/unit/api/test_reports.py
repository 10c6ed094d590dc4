"""Every shipment that was passed in is in exactly one place of the report, and nothing else is."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import (
    BatchReport,
    BatchResponse,
    RegistrationReport,
    Rejection,
    match_keys,
)

A, B, C = ShipmentKey("ups", "A1"), ShipmentKey("dpd", "B2"), ShipmentKey("gls", "C3")
NO = Rejection("gls", "C3", 4015, "no such carrier")
KEYS = st.builds(
    ShipmentKey, st.sampled_from(["ups", "UPS", "dpd", ""]), st.sampled_from(["A1", "a1", "B2", "ß", "SS", ""])
)


def body(key: ShipmentKey) -> dict[str, str]:
    return {"tracking_number": key.tracking_number, "carrier_code": key.carrier_code}


# Reports -------------------------------------------------------------------------------------------------------------


def test_reports_add_up() -> None:
    first = RegistrationReport(done=(A,), duplicates=1)
    second = BatchReport(unchanged=(B,), rejected=(NO,), duplicates=2)
    total = first + second
    assert total == RegistrationReport(done=(A,), unchanged=(B,), rejected=(NO,), duplicates=3)
    assert isinstance(total, RegistrationReport)
    assert len(total) == 3
    assert len(BatchReport()) == 0


def test_adding_keeps_the_order_of_the_calls() -> None:
    assert (BatchReport(done=(A, B)) + BatchReport(done=(C,))).done == (A, B, C)


def test_a_registration_report_has_its_own_names() -> None:
    report = RegistrationReport(done=(A,), unchanged=(B,), rejected=(NO,))
    assert (report.created, report.existing) == ((A,), (B,))
    assert list(report.as_dict()) == ["created", "existing", "rejected"]
    assert report.totals == "1 created, 1 existing, 1 rejected"


def test_one_line_has_the_totals() -> None:
    assert BatchReport(done=(A, B)).totals == "2 done, 0 unchanged, 0 rejected"
    assert BatchReport(done=(A,), duplicates=4).totals == "1 done, 0 unchanged, 0 rejected (4 duplicates ignored)"


def test_as_dict_is_plain_data_with_identity_code_and_message_only() -> None:
    report = BatchReport(done=(A,), unchanged=(B,), rejected=(NO, Rejection("", "", None, "shipment 4: is missing")))
    plain = report.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain == {
        "done": [{"carrier_code": "ups", "tracking_number": "A1"}],
        "unchanged": [{"carrier_code": "dpd", "tracking_number": "B2"}],
        "rejected": [
            {"carrier_code": "gls", "tracking_number": "C3", "code": 4015, "message": "no such carrier"},
            {"carrier_code": "", "tracking_number": "", "code": None, "message": "shipment 4: is missing"},
        ],
    }
    assert type(plain["done"][0]) is dict


def test_a_report_survives_pickling() -> None:
    report = RegistrationReport((A,), (B,), (NO,), 2)
    assert pickle.loads(pickle.dumps(report)) == report


@pytest.mark.parametrize(
    ("rejection", "line"),
    [
        (NO, "gls C3: no such carrier (4015)"),
        (Rejection("ups", "", None, "tracking_number is missing"), "ups: tracking_number is missing"),
        (Rejection("", "", None, "shipment 4: is missing"), "a shipment: shipment 4: is missing"),
    ],
)
def test_a_rejection_is_one_line_of_text(rejection: Rejection, line: str) -> None:
    assert str(rejection) == line


# Matching the shipments of a response --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "mentioned", "found"),
    [
        ([A, B], [B, A], {A: A, B: B}),
        ([A], [ShipmentKey("ups", "a1")], {ShipmentKey("ups", "a1"): A}),
        ([A], [ShipmentKey("UPS", "A1")], {ShipmentKey("UPS", "A1"): A}),
        ([A], [ShipmentKey("fedex", "A1")], {ShipmentKey("fedex", "A1"): A}),
        ([A], [ShipmentKey("", "A1")], {ShipmentKey("", "A1"): A}),
        ([A], [ShipmentKey("ups", "")], {}),
        ([A], [B], {}),
        ([], [A], {}),
        ([A], [], {}),
    ],
    ids=[
        "exact",
        "case of number",
        "case of carrier",
        "corrected",
        "no carrier",
        "no number",
        "other",
        "none",
        "silent",
    ],
)
def test_a_mentioned_shipment_is_matched(sent, mentioned, found) -> None:
    assert match_keys(sent, mentioned) == found


def test_two_carriers_with_the_same_number_are_kept_apart() -> None:
    ups, dpd = ShipmentKey("ups", "A1"), ShipmentKey("dpd", "A1")
    assert match_keys([ups, dpd], [dpd]) == {dpd: dpd}
    assert match_keys([ups, dpd], [ShipmentKey("DPD", "a1")]) == {ShipmentKey("DPD", "a1"): dpd}


def test_a_corrected_carrier_is_not_guessed_among_two() -> None:
    ups, dpd, other = ShipmentKey("ups", "A1"), ShipmentKey("dpd", "A1"), ShipmentKey("fedex", "A1")
    assert match_keys([ups, dpd], [other]) == {}


@pytest.mark.parametrize("certain", [ShipmentKey("dpd", "A1"), ShipmentKey("DPD", "a1")])
def test_a_corrected_carrier_is_known_once_the_other_one_is(certain: ShipmentKey) -> None:
    ups, dpd, other = ShipmentKey("ups", "A1"), ShipmentKey("dpd", "A1"), ShipmentKey("fedex", "A1")
    assert match_keys([ups, dpd], [other, certain]) == {other: ups, certain: dpd}
    assert match_keys([ups, dpd], [certain, other]) == {other: ups, certain: dpd}


def test_numbers_that_differ_in_case_only_are_two_shipments() -> None:
    upper, lower = ShipmentKey("ups", "AB"), ShipmentKey("ups", "ab")
    assert match_keys([upper, lower], [lower, upper]) == {lower: lower, upper: upper}
    assert match_keys([upper, lower], [ShipmentKey("ups", "Ab")]) == {}


@settings(max_examples=300, deadline=None)
@given(sent=st.lists(KEYS, max_size=6), mentioned=st.lists(KEYS, max_size=6))
def test_no_shipment_is_matched_twice(sent: list[ShipmentKey], mentioned: list[ShipmentKey]) -> None:
    found = match_keys(sent, mentioned)
    assert set(found) <= set(mentioned)
    assert set(found.values()) <= set(sent)
    assert len(set(found.values())) == len(found)
    for key in set(sent) & set(mentioned):
        assert found[key] == key


# Responses to batches ------------------------------------------------------------------------------------------------


def created(data: object, read: Callable[..., Any], sent: tuple[ShipmentKey, ...] = (A, B, C)) -> BatchResponse:
    answer: BatchResponse = read(
        endpoints.create_batch([body(key) for key in sent]), {"meta": {"code": 201}, "data": data}
    )
    return answer


@pytest.mark.parametrize("data", [[], {}, None, {"submitted": 3}, {"trackings": None, "errors": {}}, "x", [1], 7])
def test_shipments_that_a_response_omits_are_unconfirmed(data: object, read: Callable[..., Any]) -> None:
    """Success without a record is one form of "already exists"; only a lookup can tell."""
    assert created(data, read) == BatchResponse(unconfirmed=(A, B, C))


def test_created_existing_refused_and_unmentioned_are_kept_apart(read: Callable[..., Any]) -> None:
    d = ShipmentKey("usps", "D4")
    data = {
        "trackings": [{**body(A), "status": "pending"}],
        "errors": [
            {**body(B), "code": 4016, "message": "Tracking already exists."},
            {**body(C), "code": 4014, "message": "x" * 1000},
        ],
    }
    answer = created(data, read, (A, B, C, d))
    assert (answer.done, answer.unchanged, answer.unconfirmed) == ((A,), (B,), (d,))
    (rejection,) = answer.rejected
    assert (rejection.carrier_code, rejection.tracking_number, rejection.code) == ("gls", "C3", 4014)
    assert len(rejection.message) == 300


def test_an_existing_shipment_may_be_returned_as_its_record(read: Callable[..., Any]) -> None:
    data = {"trackings": [{**body(A), "status": "transit"}, {**body(B), "status": "pending"}, body(C)]}
    assert created(data, read) == BatchResponse(done=(B, C), unchanged=(A,))


def test_a_refusal_without_code_or_reason_is_a_refusal(read: Callable[..., Any]) -> None:
    answer = created({"errors": [body(A), {**body(B), "code": None, "message": ""}]}, read)
    assert answer.rejected == (
        Rejection("ups", "A1", None, "refused without a reason"),
        Rejection("dpd", "B2", None, "refused without a reason"),
    )
    assert answer.unconfirmed == (C,)


def test_a_record_proves_more_than_a_refusal_of_the_same_shipment(read: Callable[..., Any]) -> None:
    data = {"trackings": [body(A), body(A)], "errors": [{**body(A), "code": 4014}, {**body(B), "code": 4016}]}
    assert created(data, read) == BatchResponse(done=(A,), unchanged=(B,), unconfirmed=(C,))


def test_a_corrected_carrier_is_reported(read: Callable[..., Any]) -> None:
    as_registered = ShipmentKey("dpd-uk", "B2")
    data = {
        "trackings": [{**body(as_registered), "status": "pending"}, {"tracking_number": "A1"}, {"carrier_code": "x"}]
    }
    assert created(data, read) == BatchResponse(done=(B, A), unconfirmed=(C,), corrected=((B, as_registered),))


def test_another_case_of_a_code_is_not_a_correction(read: Callable[..., Any]) -> None:
    assert created({"trackings": [body(ShipmentKey("UPS", "a1"))]}, read).corrected == ()


def test_a_refused_shipment_without_its_carrier_is_still_matched(read: Callable[..., Any]) -> None:
    answer = created({"errors": [{"tracking_number": "C3", "code": 4015, "message": "no"}]}, read)
    assert answer.rejected == (Rejection("gls", "C3", 4015, "no"),)
    assert answer.corrected == ()


def test_unknown_shipments_in_a_response_are_ignored(read: Callable[..., Any]) -> None:
    stranger = body(ShipmentKey("usps", "Z9"))
    data = {"trackings": [stranger, body(A), body(B), body(C)], "errors": [{**stranger, "code": 4014}]}
    assert created(data, read) == BatchResponse(done=(A, B, C))


@pytest.mark.parametrize("wrap", [lambda entry: {"meta": entry}, lambda entry: entry], ids=["meta", "flat"])
def test_each_deleted_one_has_its_own_code(wrap: Callable[[Any], Any], read: Callable[..., Any]) -> None:
    d = ShipmentKey("usps", "D4")
    entries = [
        {**body(A), "code": 200},
        {**body(B), "code": 4017},
        {**body(C), "code": 4012, "message": "not understood"},
    ]
    data = {"submitted": 4, "delete": 1, "trackings": [wrap(entry) for entry in entries]}
    answer = read(endpoints.delete_batch([body(key) for key in (A, B, C, d)]), {"meta": {"code": 200}, "data": data})
    assert answer == BatchResponse(
        (A,), (B,), rejected=(Rejection("gls", "C3", 4012, "not understood"),), unconfirmed=(d,), count=0
    )


def test_the_first_of_two_entries_for_a_shipment_counts(read: Callable[..., Any]) -> None:
    entries = [{"meta": {**body(A), "code": code}} for code in (200, 4017)]
    request = endpoints.delete_batch([body(A)])
    assert read(request, {"meta": {"code": 200}, "data": {"trackings": entries}}) == BatchResponse(done=(A,))


COUNTED = pytest.mark.parametrize(
    ("build", "count"),
    [(endpoints.delete_batch, "delete"), (endpoints.stop_updates, "change"), (endpoints.update_batch, "updated")],
    ids=["delete", "stop", "update"],
)


def changed(build: Callable[..., Any], data: object, read: Callable[..., Any]) -> BatchResponse:
    answer: BatchResponse = read(build([body(key) for key in (A, B, C)]), {"meta": {"code": 200}, "data": data})
    return answer


@COUNTED
@pytest.mark.parametrize("number", [3, "3", 4])
@pytest.mark.parametrize("listed", [(), (A,), (A, B, C)], ids=len)
def test_a_count_of_all_means_that_all_are_done(build, count: str, number: Any, listed: Any, read) -> None:
    data = {"submitted": 3, count: number, "trackings": [body(key) for key in listed]}
    assert changed(build, data, read) == BatchResponse(done=(A, B, C))


@COUNTED
@pytest.mark.parametrize("number", [0, 1, "1"])
@pytest.mark.parametrize("code", [{}, {"code": 200}, {"code": "200"}], ids=str)
def test_a_count_lower_than_the_list_confirms_nothing(build, count: str, number: Any, code: Any, read) -> None:
    data = {count: number, "trackings": [{"meta": {**body(key), **code}} for key in (A, B)]}
    expected = BatchResponse(unconfirmed=(A, B, C), listed=(A, B), count=int(number))
    assert changed(build, data, read) == expected


@COUNTED
@pytest.mark.parametrize("number", [1, 2, "2"])
def test_a_count_that_agrees_with_the_codes_leaves_only_the_others_unconfirmed(
    build, count: str, number: Any, read
) -> None:
    data = {count: number, "trackings": [{"meta": {**body(A), "code": 200}}, {"meta": body(B)}]}
    expected = BatchResponse(done=(A,), unconfirmed=(B, C), listed=(B,), count=int(number) - 1)
    assert changed(build, data, read) == expected


@COUNTED
@pytest.mark.parametrize("number", [2, "2"])
def test_a_count_that_is_lower_by_the_refused_ones_is_complete(build, count: str, number: Any, read) -> None:
    data = {count: number, "trackings": [body(A), {**body(B), "code": "4012", "message": "no"}]}
    assert changed(build, data, read) == BatchResponse((A, C), rejected=(Rejection(*B, 4012, "no"),))


@COUNTED
@pytest.mark.parametrize(
    "wrong", [{}, {"submitted": 3}, {"failed": 3}, {"COUNT": None}, {"COUNT": "many"}, {"COUNT": -1}]
)
def test_without_a_count_only_a_success_code_is_proof(build, count: str, wrong: Any, read) -> None:
    counts = {count if name == "COUNT" else name: value for name, value in wrong.items()}
    data = {**counts, "trackings": [{"meta": {**body(A), "code": 200}}, {"meta": body(B)}]}
    assert changed(build, data, read) == BatchResponse(done=(A,), unconfirmed=(B, C), listed=(B,))


@COUNTED
@pytest.mark.parametrize("data", [[], {}, None, "x", 7, {"trackings": {}}], ids=repr)
def test_an_empty_response_confirms_nothing(build, count: str, data: object, read) -> None:
    assert changed(build, data, read) == BatchResponse(unconfirmed=(A, B, C))


@COUNTED
def test_an_entry_has_its_identity_inside_or_beside_its_meta(build, count: str, read) -> None:
    entries = [{**body(A), "meta": {"code": 4012, "message": "no"}}, {"meta": {"tracking_number": "B2", "code": 4013}}]
    answer = changed(build, {"trackings": entries}, read)
    assert [(item.key, item.code) for item in answer.rejected] == [(A, 4012), (B, 4013)]


@COUNTED
@pytest.mark.parametrize("code", [{}, {"code": None}, {"code": 4012}], ids=str)
def test_an_entry_among_the_errors_is_refused(build, count: str, code: Any, read) -> None:
    data = {count: 2, "trackings": [body(A), body(C)], "errors": [{**body(B), **code}]}
    assert changed(build, data, read) == BatchResponse(
        done=(A, C), rejected=(Rejection(*B, code.get("code"), "refused without a reason"),)
    )


@pytest.mark.parametrize(
    ("data", "is_new"),
    [
        ([], False),
        ({}, False),
        (None, False),
        ({"status": "pending"}, True),
        ({"id": "1"}, True),
        ({"status": "transit"}, False),
    ],
)
def test_a_single_create_distinguishes_new_from_existing(data: object, is_new: bool, read: Callable[..., Any]) -> None:
    tracking = read(endpoints.create_tracking(body(A)), {"meta": {"code": 201}, "data": data})
    assert tracking.created is is_new
    assert tracking.key == A
