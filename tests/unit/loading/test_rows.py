"""Rows of a shipment: what the vendor sends in many forms arrives in one, and equal contents have equal hashes."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_trackingmore.api.models import Tracking
from airflow_provider_trackingmore.loading.rows import RowOptions, ShipmentRecord, build_record, clean_text, to_utc
from airflow_provider_trackingmore.loading.schema import CONTENT_COLUMNS

NAMES = [column.name for column in CONTENT_COLUMNS]


def event(time: str, status: str, text: str, place: str = "Leeds") -> dict[str, Any]:
    return {"Date": time, "StatusDescription": text, "Details": place, "checkpoint_status": status, "substatus": ""}


ITEM: dict[str, Any] = {
    "id": "0123456789abcdef0123456789abcdef",
    "carrier_code": "usps",
    "tracking_number": "A1",
    "status": "delivered",
    "created_at": "2026-03-01T08:00:00+08:00",
    "updated_at": None,
    "order_id": "1001",
    "customer_name": "Ada Lovelace",
    "customer_email": ["ada@example.com", "byron@example.com"],
    "customer_phone": "+44",
    "lastUpdateTime": "2026-03-04 10:00:00",
    "origin_info": {
        "ItemReceived": "2026-03-02 09:00",
        "trackinfo": [
            event("2026-03-04 10:00:00", "delivered", "Delivered"),
            event("2026-03-03 10:00:00", "undelivered", "Nobody at home"),
            event("2026-03-02 09:00", "transit", "Received"),
        ],
    },
}


def record(changes: dict[str, Any] | None = None, **options: Any) -> ShipmentRecord:
    return build_record(Tracking.from_payload(copy.deepcopy(ITEM) | (changes or {})), RowOptions("acc", **options))


def test_each_column_has_its_value() -> None:
    content = dict(zip(NAMES, record().content, strict=True))
    assert content["created_at"] == datetime(2026, 3, 1, tzinfo=UTC)
    assert content["updated_at"] is None
    assert {name: content[name] for name in NAMES if name.endswith(("_local", "_event_at"))} == {
        "first_event_at": "2026-03-02 09:00:00",
        "last_event_at": "2026-03-04 10:00:00",
        "first_attempt_at_local": "2026-03-03 10:00:00",
        "delivered_at_local": "2026-03-04 10:00:00",
        "received_at_local": "2026-03-02 09:00:00",
        "dispatched_at_local": None,
        "departed_airport_at_local": None,
        "arrived_abroad_at_local": None,
        "customs_cleared_at_local": None,
        "destination_arrived_at_local": None,
    }


def test_the_same_content_has_the_same_hash_in_other_words() -> None:
    same: dict[str, Any] = {"created_at": "2026-03-01T00:00:00+00:00", "itemTimeLength": 3, "stayTimeLength": 9}
    assert record(same).content_hash == record().content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"status": "transit"},
        {"substatus": "delivered001"},
        {"order_id": None},
        {"updated_at": "2026-03-04T10:00:00+00:00"},
        {"archived": True},
        {"origin_info": {"trackinfo": ITEM["origin_info"]["trackinfo"][:2]}},
        {"origin_info": {"trackinfo": [event("2026-03-04 10:00:00", "delivered", "Delivered", place="York")]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_content_has_another_hash(change: dict[str, Any]) -> None:
    assert record(change).content_hash != record().content_hash


def test_the_hash_covers_what_is_loaded_only() -> None:
    person = {"customer_name": "Charles Babbage"}
    assert record(person).content_hash == record().content_hash
    assert record(person, personal_data=True).content_hash != record(personal_data=True).content_hash
    hashes = {
        record(event_texts=texts, personal_data=personal, raw=raw).content_hash
        for texts in (True, False)
        for personal in (True, False)
        for raw in (True, False)
    }
    assert len(hashes) == 8, "with other options the same shipment is written again"


def test_personal_data_and_the_record_are_left_out_unless_asked_for() -> None:
    assert "Ada" not in repr(record())
    assert "example.com" not in repr(record())
    asked = record(personal_data=True, raw=True)
    assert asked.personal == ("Ada Lovelace", "ada@example.com,byron@example.com", "+44", None)
    assert asked.raw is not None
    assert "Ada Lovelace" in asked.raw


def test_the_key_of_an_event_is_the_same_in_both_legs_and_without_texts() -> None:
    events = ITEM["origin_info"]["trackinfo"]
    second_leg = [copy.deepcopy(events[0]) | {"StatusDescription": " DELIVERED  ", "substatus": "delivered001"}]
    both = record({"destination_info": {"trackinfo": second_leg}})
    assert both.event_keys == record().event_keys
    assert record(event_texts=False).event_keys == record().event_keys
    assert {row.description for row in record(event_texts=False).events} == {None}


def test_the_key_of_an_event_differs_by_account_and_shipment() -> None:
    other = build_record(Tracking.from_payload(ITEM), RowOptions("other"))
    keys = {*record().event_keys, *other.event_keys, *record({"tracking_number": "A2"}).event_keys}
    assert len(keys) == 9


def test_a_shipment_that_is_not_delivered_has_no_delivery() -> None:
    content = dict(zip(NAMES, record({"status": "exception"}).content, strict=True))
    assert content["delivered_at_local"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("é 包裹 📦", "é 包裹 📦"), ("a\0b", "a\N{REPLACEMENT CHARACTER}b"), ("\ud800x", "?x")],
)
def test_texts_that_no_database_takes_are_cleaned(text: str | None, expected: str | None) -> None:
    assert clean_text(text) == expected


def test_a_time_outside_the_calendar_is_none() -> None:
    assert to_utc(datetime.fromisoformat("0001-01-01T00:00:00+08:00")) is None
    assert to_utc(datetime.fromisoformat("9999-12-31T23:00:00-08:00")) is None
    assert to_utc(None) is None
