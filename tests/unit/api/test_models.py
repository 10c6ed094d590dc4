"""A tracking is parsed from every form that the vendor sends, and keeps unknown fields and values."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.json_values import parse_int, parse_local_time, parse_text
from airflow_provider_trackingmore.api.models import (
    Checkpoint,
    ShipmentKey,
    ShipmentStatus,
    Tracking,
    _start_of_last_delivery,
)
from airflow_provider_trackingmore.api.resources import Account, Page


def tracking(**fields: Any) -> Tracking:
    return Tracking.from_payload({"tracking_number": "RR907115226SE", "carrier_code": "sweden-posten", **fields})


def event(date: str | None, description: str = "Moved", status: str | None = None, **more: Any) -> dict[str, Any]:
    found = {"Date": date, "StatusDescription": description, "Details": "", **more}
    return found if status is None else {**found, "checkpoint_status": status}


@pytest.mark.parametrize("status", [status for status in ShipmentStatus if status is not ShipmentStatus.UNKNOWN])
def test_each_documented_status_is_known(status: ShipmentStatus) -> None:
    read = tracking(status=str(status))
    assert (read.status, read.status_text) == (status, status.value)


def test_the_statuses_are_the_documented_ones() -> None:
    documented = {"pending", "notfound", "transit", "pickup", "delivered", "undelivered", "exception", "expired"}
    assert {status.value for status in ShipmentStatus} - {"unknown"} == documented


@pytest.mark.parametrize("value", ["inforeceived", "DELIVERED", "delivered ", "held at border", "unknown"])
def test_a_new_status_is_unknown_and_keeps_its_text(value: str) -> None:
    read = tracking(status=value)
    assert (read.status, read.status_text) == (ShipmentStatus.UNKNOWN, value)


@pytest.mark.parametrize("value", [None, 4, True, [], {}])
def test_a_status_that_is_not_text_is_unknown(value: object) -> None:
    read = tracking(status=value)
    assert (read.status, read.status_text) == (ShipmentStatus.UNKNOWN, "")


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        (["a@shop.example", "b@shop.example"], ("a@shop.example", "b@shop.example")),
        ("a@shop.example", ("a@shop.example",)),
        ("", ()),
        ("null", ()),
        (None, ()),
        ([], ()),
        (["", None, "null", {}, "a@shop.example"], ("a@shop.example",)),
        ({}, ()),
    ],
)
def test_email_addresses_are_a_list_a_text_or_absent(value: object, addresses: tuple[str, ...]) -> None:
    assert tracking(customer_email=value).customer_emails == addresses


@pytest.mark.parametrize("unset", [None, "", "null", [], {}, True])
def test_unset_texts_are_none_in_every_form(unset: object) -> None:
    read = tracking(
        id=unset, order_id=unset, title=unset, comment=unset, substatus=unset, customer_name=unset,
        customer_phone=unset, singed_by=unset, original_country=unset, destination_country=unset, lastEvent=unset,
    )  # fmt: skip
    assert read == tracking()
    assert (read.title, read.comment, read.last_event, read.original_country) == (None,) * 4
    assert (read.customer_name, read.customer_phone, read.signed_by, read.destination_country) == (None,) * 4


def test_a_numeric_order_number_becomes_text() -> None:
    assert tracking(order_id=10482).order_id == "10482"


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2020-02-28T09:47:13+00:00", datetime(2020, 2, 28, 9, 47, 13, tzinfo=UTC)),
        ("2020-02-28T17:47:13+08:00", datetime(2020, 2, 28, 17, 47, 13, tzinfo=timezone(timedelta(hours=8)))),
        ("2020-02-28T09:47:13Z", datetime(2020, 2, 28, 9, 47, 13, tzinfo=UTC)),
        ("2020-02-28T09:47:13", None),
        ("2020-02-28", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1582883233, None),
        ("2020-02-30T09:47:13+00:00", None),
    ],
)
def test_a_time_of_the_account_keeps_its_offset_and_never_gets_one(value: object, moment: datetime | None) -> None:
    read = tracking(created_at=value, updated_at=value)
    assert read.created_at == read.updated_at == moment
    if moment is not None and read.created_at is not None:
        assert read.created_at.utcoffset() == moment.utcoffset()


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("2019-07-09 16:08", "2019-07-09T16:08:00"),
        ("2019-07-09 16:08:11", "2019-07-09T16:08:11"),
        (" 2019-07-09 16:08 ", "2019-07-09T16:08:00"),
        ("2019-07-09T16:08:11", "2019-07-09T16:08:11"),
        ("2019-07-09 16:08:11.250", "2019-07-09T16:08:11"),
        ("2019-07-09T16:08:11+02:00", "2019-07-09T16:08:11"),
        ("2019-07-09", "2019-07-09T00:00:00"),
        ("0000-00-00 00:00:00", None),
        ("09.07.2019", None),
        ("2019-07", None),
        ("", None),
        (None, None),
        (20190709, None),
    ],
)
def test_a_time_of_the_carrier_is_local_with_or_without_seconds(value: object, wanted: str | None) -> None:
    assert parse_local_time(value) == wanted
    assert tracking(lastUpdateTime=value).last_update == wanted
    assert [point.time for point in tracking(origin_info={"trackinfo": [event(value)]}).checkpoints] == [wanted]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("false", False),
        (None, None),
        ("", None),
        (1, None),
        ("yes", None),
    ],
)
def test_a_flag_is_a_boolean_or_text(value: object, wanted: bool | None) -> None:
    read = tracking(track_update=value, archived=value)
    assert read.updating is read.archived is wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (12, 12), ("12", 12), (12.0, 12), ("12.0", 12), (0, 0), ("0", 0), (-3, -3), (2**62 + 1, 2**62 + 1),
        (None, None), ("", None), ("many", None), (True, None), ([], None), ({}, None),
        (float("nan"), None), (float("inf"), None), ("nan", None), ("-inf", None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_an_integer_is_a_number_or_text(value: object, wanted: int | None) -> None:
    assert parse_int(value) == wanted
    assert tracking(itemTimeLength=value, stayTimeLength=value).transit_days == wanted
    assert Page.from_payload({"total": value, "items": []}).total == wanted


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_not_a_text(value: float) -> None:
    assert parse_text(value) is None


def test_checkpoints_of_both_legs_are_merged_newest_first_each_once() -> None:
    read = tracking(
        origin_info={
            "trackinfo": [
                event("2019-07-09 16:08", "Left the country", "transit"),
                event("2019-07-07 14:00", "Posted", "transit", substatus="transit001"),
            ]
        },
        destination_info={
            "trackinfo": [
                event("2019-07-12 08:30:05", "Handed over", "delivered"),
                event("2019-07-09 16:08:00", "Left the country", "transit"),
                event("2019-07-09 16:08", "Left the country by air", "transit"),
            ]
        },
    )
    assert [(point.time, point.description) for point in read.checkpoints] == [
        ("2019-07-12T08:30:05", "Handed over"),
        ("2019-07-09T16:08:00", "Left the country"),
        ("2019-07-09T16:08:00", "Left the country by air"),
        ("2019-07-07T14:00:00", "Posted"),
    ]
    assert read.checkpoints[-1].substatus == "transit001"


def test_events_of_one_minute_stay_in_the_vendors_order() -> None:
    rows = [event("2019-07-09 16:08", name) for name in ("third", "second", "first")]
    assert [point.description for point in tracking(origin_info={"trackinfo": rows}).checkpoints] == [
        "third",
        "second",
        "first",
    ]


def test_an_event_without_a_valid_time_is_last() -> None:
    rows = [event(None, "sometime"), event("2019-07-09 16:08", "then")]
    assert [point.description for point in tracking(origin_info={"trackinfo": rows}).checkpoints] == [
        "then",
        "sometime",
    ]


@pytest.mark.parametrize(
    "leg", [None, [], {}, "", {"trackinfo": None}, {"trackinfo": {}}, {"trackinfo": [None, 3, "x"]}]
)
def test_a_leg_without_events_has_no_checkpoints(leg: object) -> None:
    assert tracking(origin_info=leg, destination_info=leg).checkpoints == ()


def test_an_event_of_both_legs_counts_once_when_only_one_leg_knows_its_details() -> None:
    origin = [
        event(
            "2019-07-09 16:08", "Left the country", "transit", Details="Oslo ", substatus="transit007", substatus_num=17
        ),
        event("2019-07-08 10:00", "Sorted"),
    ]
    destination = [
        event("2019-07-09 16:08:00 ", "Left the country ", Details="Oslo", ItemNode="DepartfromAirport"),
        event("2019-07-08 10:00", "Sorted\n", "transit", substatus=" transit002 "),
    ]
    merged = (
        Checkpoint(
            "2019-07-09T16:08:00", "Left the country", "Oslo", ShipmentStatus.TRANSIT, "transit", "transit007", 17,
            "DepartfromAirport",
        ),
        Checkpoint("2019-07-08T10:00:00", "Sorted", "", ShipmentStatus.TRANSIT, "transit", "transit002"),
    )  # fmt: skip
    for leg, other in ((origin, destination), (destination, origin)):
        read = tracking(origin_info={"trackinfo": leg}, destination_info={"trackinfo": other})
        assert read.checkpoints == merged


@pytest.mark.parametrize(
    "differs",
    [
        {"Date": "2019-07-09 16:09"},
        {"StatusDescription": "Left the country by air"},
        {"Details": "Bergen"},
        {"checkpoint_status": "pickup"},
        {"substatus": "transit006"},
    ],
    ids=lambda differs: next(iter(differs)),
)
def test_events_that_differ_in_values_of_both_legs_are_not_merged(differs: dict[str, str]) -> None:
    one = event("2019-07-09 16:08", "Left the country", "transit", Details="Oslo", substatus="transit007")
    read = tracking(origin_info={"trackinfo": [one]}, destination_info={"trackinfo": [{**one, **differs}]})
    assert len(read.checkpoints) == 2


@pytest.mark.parametrize(("value", "number"), [(21, 21), ("21", 21), (0, 0), (None, None), ("", None), ([], None)])
def test_a_checkpoint_has_the_milestone_and_the_number_of_its_substatus(value: object, number: int | None) -> None:
    row = event("2024-06-21 15:26:26", "Label made", "transit", substatus_num=value, ItemNode="ItemReceived")
    (checkpoint,) = tracking(origin_info={"trackinfo": [row]}).checkpoints
    assert (checkpoint.substatus_number, checkpoint.item_node) == (number, "ItemReceived")


DELIVERY = "2019-07-12T08:30:00"
BEFORE = [("2019-07-11 18:00", "undelivered"), ("2019-07-09 10:00", "transit")]


@pytest.mark.parametrize(
    "rows",
    [
        [("2019-07-12 08:30", "delivered"), *BEFORE],
        [("2019-07-13 09:00", "transit"), ("2019-07-12 08:30", "delivered"), *BEFORE],
        [("2019-07-15 09:00", "delivered"), ("2019-07-12 08:30", "delivered"), *BEFORE],
        [("2019-07-15 09:00", "delivered"), ("2019-07-13 09:00", None), ("2019-07-12 08:30", "delivered"), *BEFORE],
        [("2019-07-13 09:00", None), ("2019-07-12 08:30", "delivered"), ("2019-07-12 08:00", None), *BEFORE],
        [("2019-07-12 08:30", "delivered"), *BEFORE, ("2019-07-05 09:00", "delivered")],
        [("2019-07-12 08:30", "delivered"), ("2019-07-11 09:00", "held at border"), ("2019-07-05 09:00", "delivered")],
        [*reversed(BEFORE), ("2019-07-12 08:30", "delivered"), ("2019-07-15 09:00", "delivered")],
        [("2019-07-12 08:30", "delivered"), *BEFORE, ("2019-07-15 09:00", "delivered")],
        [("2019-07-13 09:00", "delivered"), ("2019-07-12 08:30", "pickup"), ("2019-07-12 08:30", "delivered"), *BEFORE],
        [("2019-07-12 08:30", "delivered"), ("2019-07-12 08:30", "undelivered"), ("2019-07-12 08:00", "delivered")],
        [("2019-07-12 08:30", "delivered"), ("yesterday", "delivered"), (None, "transit"), *BEFORE],
        [("2019-07-12 08:30", "delivered ")],
    ],
    ids=[
        "one scan", "a survey after it", "a proof of delivery later", "a row without a status between",
        "rows without a status around", "an earlier delivery that failed", "an unknown status between", "oldest first",
        "the proof at the end", "the other leg's transit in the same minute", "the run ends in the same minute",
        "rows without a time", "a trailing blank",
    ],
)  # fmt: skip
def test_delivered_at_is_the_first_of_the_last_unbroken_run(rows: list[tuple[str | None, str | None]]) -> None:
    trackinfo = [event(date, f"row {position}", status) for position, (date, status) in enumerate(rows)]
    read = tracking(status="delivered", origin_info={"trackinfo": trackinfo}, lastUpdateTime="2019-07-20 09:00")
    assert read.delivered_at == DELIVERY
    dates = [date for date, _ in rows]
    if len(set(dates)) == len(dates):  # across legs, the order within a minute is not known
        half = len(trackinfo) // 2
        legs = {"origin_info": {"trackinfo": trackinfo[half:]}, "destination_info": {"trackinfo": trackinfo[:half]}}
        assert tracking(status="delivered", **legs).delivered_at == DELIVERY


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["2019-07-12 08:30", "2019-07-12 08:31", "2019-07-13 09:00", "soon"]),
            st.sampled_from(["Handed over", "Under way"]),
            st.sampled_from(["delivered", "transit", "null", None]),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_delivered_at_is_what_the_checkpoints_say(rows: list[tuple[str, str, str | None, bool]]) -> None:
    legs: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for date, description, status, at_origin in rows:
        legs[at_origin].append(event(date, description, status))
    read = tracking(
        status="delivered", origin_info={"trackinfo": legs[True]}, destination_info={"trackinfo": legs[False]}
    )
    assert read.delivered_at == _start_of_last_delivery(read.checkpoints)


def test_delivered_at_needs_the_status_and_the_time() -> None:
    rows = [event(None, "Handed over", "delivered"), event("2019-07-11 18:00", "Under way", "transit")]
    read = tracking(status="delivered", origin_info={"trackinfo": rows}, lastUpdateTime="2019-07-12 08:30")
    assert read.delivered_at == DELIVERY


def test_delivered_at_falls_back_to_the_last_update() -> None:
    """Events had no status before 2018."""
    rows = [event("2019-07-12 08:30", "Handed over")]
    read = tracking(status="delivered", origin_info={"trackinfo": rows}, lastUpdateTime="2019-07-12 08:30")
    assert read.delivered_at == "2019-07-12T08:30:00"


def test_delivered_at_is_none_if_nothing_indicates_it() -> None:
    assert tracking(status="delivered").delivered_at is None


def test_delivered_at_needs_more_than_a_delivery_event() -> None:
    """A parcel that went back was once "delivered" to the wrong door."""
    rows = [event("2019-07-12 08:30", "Handed over", "delivered")]
    assert tracking(status="exception", origin_info={"trackinfo": rows}).delivered_at is None


def test_a_delivered_tracking_may_never_have_been_updated() -> None:
    read = tracking(status="delivered", updated_at=None, lastUpdateTime="2019-07-12 08:30")
    assert read.updated_at is None
    assert read.delivered_at == "2019-07-12T08:30:00"


def test_the_signer_is_read_in_the_vendors_spelling() -> None:
    assert tracking(singed_by="Maren Tveit").signed_by == "Maren Tveit"
    assert tracking(signed_by="Maren Tveit").signed_by == "Maren Tveit"


def test_a_repr_contains_neither_personal_data_nor_the_record() -> None:
    read = tracking(
        status="delivered",
        order_id="SO-10482",
        customer_name="Maren Tveit",
        customer_email=["maren@shop.example"],
        customer_phone="+4790000001",
        singed_by="Ola Tveit",
        comment="leave with Kari",
        title="oak side table",
        lastEvent="Signed by Ola Tveit,Stavanger",
        origin_info={"trackinfo": [event("2019-07-12 08:30", "Signed by Ola Tveit", "delivered")]},
    )
    shown = repr(read) + str(read) + repr(Page((read,), 1))
    assert "RR907115226SE" in shown
    assert "SO-10482" in shown
    for personal in ("Tveit", "maren", "+479", "Kari", "oak", "raw"):
        assert personal not in shown
    account = Account.from_payload({"email": "maren@shop.example", "phone": "+4790000001", "track_number": 5})
    assert "maren" not in repr(account)
    assert "+479" not in repr(account)


def test_unknown_fields_stay_in_the_record() -> None:
    assert tracking(packageStatus="sealed", new_field={"a": [1]}).raw["new_field"] == {"a": [1]}


def test_trackings_with_the_same_known_fields_are_equal() -> None:
    assert tracking(new_field=1) == tracking(new_field=2)
    assert hash(tracking(new_field=1)) == hash(tracking(new_field=2))


def test_a_tracking_survives_pickling() -> None:
    read = tracking(status="transit", created_at="2020-02-28T17:47:13+08:00", title="oak side table")
    other = pickle.loads(pickle.dumps(read))
    assert other == read
    assert other.title == "oak side table"


def test_a_tracking_is_identified_by_carrier_and_number() -> None:
    assert tracking().key == ShipmentKey("sweden-posten", "RR907115226SE")
    assert str(tracking().key) == "sweden-posten RR907115226SE"


@pytest.mark.parametrize("data", [None, [], "x", 3, True])
def test_anything_but_an_object_is_not_a_tracking(data: object) -> None:
    with pytest.raises(MalformedResponseError, match="expected a tracking"):
        Tracking.from_payload(data)
