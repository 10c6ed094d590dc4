"""What loads write into each database: the rows, and which of them count as new, changed and unchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest

from airflow_provider_trackingmore.exceptions import AuthenticationError
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.conftest import Load
from tests.integration.transfers.databases import TestDatabase

TABLES = ("trackings", "tracking_events", "tracking_status_changes")
PARCEL = ("usps", "SBX-DELIVERED-5D-1")
PERSONAL = {
    "customer_name": "Ada Lovelace",
    "customer_email": "ada.lovelace@example.com",
    "customer_phone": "+442079460958",
}
AWKWARD = "tab\there, line\nfeed\r, back\\slash \\N \\., \"double\" 'single' `tick` %s %(x)s {new} ; -- 包裹 📦 \x00 é"


def counts(new: int = 0, changed: int = 0, unchanged: int = 0) -> dict[str, int]:
    return {"new": new, "changed": changed, "unchanged": unchanged}


def put(sandbox: SandboxProcess, number: str = PARCEL[1], age_hours: float = 48, **fields: str) -> None:
    parcel = {"carrier_code": PARCEL[0], "tracking_number": number, "age_hours": age_hours}
    sandbox.seed(shipments=[parcel | fields])


def contents(database: TestDatabase) -> dict[str, list[dict[str, Any]]]:
    """All rows, without ``last_seen_at``, which every load sets."""
    orders = ("", ", event_key", ", observed_at")
    found = {
        name: database.table(name, f"account, carrier_code, tracking_number{order}")
        for name, order in zip(TABLES, orders, strict=True)
    }
    for row in found["trackings"]:
        del row["last_seen_at"]
    return found


def events(database: TestDatabase) -> dict[str, dict[str, Any]]:
    """The events of a test's only parcel, by text."""
    return {row["description"]: row for row in database.table("tracking_events")}


# The first load and the next ----------------------------------------------------------------------------------------


def test_the_first_load_writes_every_shipment_with_its_events(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    sandbox.seed(300, ages_days=(0, 20))
    result = load()
    shipments = {(row["carrier_code"], row["tracking_number"]): row for row in database.table("trackings")}
    loaded: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
    for row in database.table("tracking_events"):
        event = (row["event_time_local"], row["status"], row["description"])
        loaded.setdefault((row["carrier_code"], row["tracking_number"]), set()).add(event)
    with TrackingMoreHook() as hook:
        sent = {tuple(tracking.key): tracking for tracking in hook.list_trackings()}
    assert shipments.keys() == sent.keys()
    assert len(sent) == 300
    for key, tracking in sent.items():
        row = shipments[key]
        assert (row["account"], row["status"], row["tracking_id"]) == (
            "trackingmore_default", tracking.status_text, tracking.id,
        )  # fmt: skip
        expected = {
            (point.time and point.time.replace("T", " "), point.status_text or None, point.description or None)
            for point in tracking.checkpoints
        }
        assert loaded.get(key, set()) == expected
        assert (row["delivered_at_local"] or "") == (tracking.delivered_at or "").replace("T", " ")
    assert result["rows"] == {
        "trackings": counts(new=300),
        "tracking_events": counts(new=sum(map(len, loaded.values()))),
        "tracking_status_changes": counts(new=300),
    }
    assert {row["previous_status"] for row in database.table("tracking_status_changes")} == {None}


def test_a_second_load_changes_nothing_but_last_seen_at(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    sandbox.seed(200, ages_days=(0, 20))
    first = load()
    before, (first_seen,) = contents(database), {row["last_seen_at"] for row in database.table("trackings")}
    second = load()
    assert contents(database) == before
    seen = Counter(row["last_seen_at"] for row in database.table("trackings"))
    settled = seen.pop(first_seen)
    ((last_seen, read),) = seen.items()
    assert 0 < settled < 200, "what was delivered long ago is not read again"
    assert last_seen > first_seen
    assert second["rows"]["trackings"] == counts(unchanged=read)
    assert second["rows"]["tracking_events"]["new"] == second["rows"]["tracking_events"]["changed"] == 0
    assert second["rows"]["tracking_status_changes"] == counts()
    assert (first["sequence"], second["sequence"]) == (1, 2)


def test_times_are_those_of_the_vendor_in_utc(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    put(sandbox)
    load()
    (row,) = database.table("trackings")
    with TrackingMoreHook() as hook:
        created_at = hook.get_tracking(*PARCEL).created_at
    assert created_at is not None
    assert row["created_at"].partition(".")[0] == f"{created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def test_what_changed_is_updated_and_what_happened_is_added(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox, age_hours=24)
    load()
    (before,) = database.table("trackings")
    assert before["status"] != "delivered"
    sandbox.advance(days=6)
    result = load()
    (after,) = database.table("trackings")
    assert (after["status"], after["first_seen_at"]) == ("delivered", before["first_seen_at"])
    assert before["delivered_at_local"] is None
    assert after["delivered_at_local"] is not None
    assert after["changed_at"] > before["changed_at"]
    changes = database.table("tracking_status_changes", "observed_at")
    assert [(row["previous_status"], row["status"]) for row in changes] == [
        (None, before["status"]),
        (before["status"], "delivered"),
    ]
    assert result["rows"]["trackings"] == counts(changed=1)
    assert result["rows"]["tracking_events"]["new"] > 0
    assert result["rows"]["tracking_events"]["changed"] == 0


# Nulls ----------------------------------------------------------------------------------------------------------------


def test_null_does_not_overwrite_what_was_known(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    put(sandbox, order_id="A-1001")
    load()
    (before,) = database.table("trackings")
    assert before["updated_at"] is not None
    sandbox.touch(*PARCEL, updated_at="null")
    result = load()
    (after,) = database.table("trackings")
    assert result["rows"]["trackings"] == counts(changed=1)
    assert (after["updated_at"], after["order_id"]) == (before["updated_at"], "A-1001")
    assert after["content_hash"] != before["content_hash"]


def test_a_missing_substatus_keeps_the_known_one_only_while_the_status_is_the_same(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox, age_hours=24)
    sandbox.switch(substatus="filled")
    load()
    (filled,) = database.table("trackings")
    assert filled["substatus"]
    sandbox.switch(substatus="null")
    load()
    (kept,) = database.table("trackings")
    assert (kept["status"], kept["substatus"]) == (filled["status"], filled["substatus"])
    assert kept["content_hash"] != filled["content_hash"]
    sandbox.advance(days=6)
    load()
    (moved,) = database.table("trackings")
    assert (moved["status"], moved["substatus"]) == ("delivered", None)


def test_the_substatus_of_an_event_is_filled_in_and_then_kept(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox)
    sandbox.switch(substatus="null")
    load()
    assert {row["substatus"] for row in events(database).values()} == {None}
    sandbox.switch(substatus="filled")
    result = load()
    filled = {text: row["substatus"] for text, row in events(database).items()}
    assert all(filled.values())
    assert result["rows"]["tracking_events"] == counts(changed=len(filled))
    sandbox.switch(substatus="null")
    load()
    assert {text: row["substatus"] for text, row in events(database).items()} == filled


# Events that change ---------------------------------------------------------------------------------------------------


def test_a_reworded_event_is_kept_beside_the_new_one(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox)
    load()
    before = events(database)
    change = sandbox.reword_event(*PARCEL, "Reworded by the carrier")
    result = load()
    after = events(database)
    assert after.keys() - before.keys() == {"Reworded by the carrier"}
    old = after[change["before"]["description"]]
    assert old["superseded_at"] is not None
    assert after["Reworded by the carrier"]["superseded_at"] is None
    assert result["rows"]["tracking_events"] == counts(new=1, changed=1, unchanged=len(before) - 1)

    sandbox.reword_event(*PARCEL, change["before"]["description"])
    result = load()
    back = events(database)
    assert back.keys() == after.keys()
    assert back[change["before"]["description"]]["superseded_at"] is None
    assert back["Reworded by the carrier"]["superseded_at"] is not None
    assert back[change["before"]["description"]]["first_seen_at"] == old["first_seen_at"]
    assert result["rows"]["tracking_events"] == counts(changed=2, unchanged=len(before) - 1)


def test_a_withdrawn_event_stays_and_a_late_one_is_added(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox)
    load()
    before = events(database)
    withdrawn = sandbox.drop_event(*PARCEL)["before"]["description"]
    load()
    assert events(database)[withdrawn]["superseded_at"] is not None
    superseded_at = events(database)[withdrawn]["superseded_at"]
    sandbox.add_event(*PARCEL, "Seen two days ago", age_hours=48, updated_at="null")
    result = load()
    after = events(database)
    assert after.keys() == {*before, "Seen two days ago"}
    assert after[withdrawn]["superseded_at"] == superseded_at
    assert result["rows"]["tracking_events"] == counts(new=1, unchanged=len(before) - 1)


def test_awkward_texts_arrive_as_they_are(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    put(sandbox)
    sandbox.reword_event(*PARCEL, AWKWARD)
    load()
    sandbox.reword_event(*PARCEL, "\\" + AWKWARD, event=1)
    load()
    expected = AWKWARD.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    assert {expected, "\\" + expected} <= events(database).keys()
    assert load()["rows"]["trackings"] == counts(unchanged=1)


# Shipments that come back, go, or leave the filters -------------------------------------------------------------------


def test_a_reopened_shipment_is_no_longer_delivered(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox, "SBX-DELIVERED-1D-7", age_hours=72)
    load()
    (before,) = database.table("trackings")
    assert before["status"] == "delivered"
    assert before["delivered_at_local"]
    sandbox.reopen("usps", "SBX-DELIVERED-1D-7", updated_at="null")
    load()
    (after,) = database.table("trackings")
    assert (after["status"], after["delivered_at_local"]) == ("transit", None)
    changes = database.table("tracking_status_changes", "observed_at")
    assert [row["status"] for row in changes] == ["delivered", "transit"]


def test_a_deleted_shipment_is_marked_until_it_is_registered_again(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox)
    load()
    (before,) = database.table("trackings")
    number_of_events = len(database.table("tracking_events"))
    sandbox.delete(*PARCEL)
    result = load()
    (gone,) = database.table("trackings")
    assert gone["missing_since"] is not None
    assert gone["last_seen_at"] == before["last_seen_at"]
    assert len(database.table("tracking_events")) == number_of_events
    assert (result["missing"], result["rows"]["trackings"]) == (1, counts(changed=1))
    assert load()["missing"] == 0
    put(sandbox)
    load()
    (back,) = database.table("trackings")
    assert (back["missing_since"], back["first_seen_at"]) == (None, before["first_seen_at"])


def test_missing_shipments_are_left_alone_on_request(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox)
    load()
    sandbox.delete(*PARCEL)
    assert load(mark_missing=False)["missing"] == 1
    assert database.table("trackings")[0]["missing_since"] is None


def test_a_shipment_that_leaves_the_filters_is_followed_and_not_missing(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox, age_hours=24)
    (status,) = {row["status"] for row in sandbox.trackings()}
    filters = {"status": status}
    load(filters=filters)
    sandbox.advance(days=6)
    result = load(filters=filters)
    (row,) = database.table("trackings")
    assert (row["status"], row["missing_since"], result["missing"]) == ("delivered", None, 0)


def test_streams_have_cursors_of_their_own(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    put(sandbox, "SBX-STUCK-1")
    put(sandbox, "SBX-DELIVERED-1D-1", age_hours=72)
    transit = load(filters={"status": "transit"})
    everything = load()
    again = load(filters={"status": "transit"})
    assert [run["sequence"] for run in (transit, everything, again)] == [1, 1, 2]
    assert len({transit["stream"], everything["stream"]}) == 2
    assert everything["rows"]["trackings"] == counts(new=1, unchanged=1)
    streams = {row["stream"]: row for row in database.rows("SELECT * FROM trackingmore_load_state")}
    assert {name: row["sequence"] for name, row in streams.items()} == {transit["stream"]: 2, everything["stream"]: 1}


def test_accounts_share_the_tables(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    parcel = {"carrier_code": PARCEL[0], "tracking_number": PARCEL[1], "age_hours": 48}
    for account in (0, 1):
        sandbox.seed(shipments=[parcel], account=account)
    load()
    result = load(trackingmore_conn_id="trackingmore_second", account="second")
    assert result["rows"]["trackings"] == counts(new=1)
    assert [row["account"] for row in database.table("trackings")] == ["second", "trackingmore_default"]


# Options --------------------------------------------------------------------------------------------------------------


def test_personal_data_and_records_are_loaded_on_request_only(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox, **PERSONAL)
    load()
    everything = repr(contents(database))
    assert not [value for value in PERSONAL.values() if value in everything]
    result = load(include_personal_data=True, include_raw=True)
    assert result["rows"]["trackings"] == counts(changed=1)
    (row,) = database.table("trackings")
    assert {name: row[name] for name in PERSONAL} == PERSONAL
    assert PERSONAL["customer_name"] in row["raw"]
    assert load(include_personal_data=True, include_raw=True)["rows"]["trackings"] == counts(unchanged=1)


def test_event_texts_can_be_left_out_and_added_later(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    put(sandbox)
    load(event_texts="drop")
    dropped = database.table("tracking_events", "event_key")
    assert {row["description"] for row in dropped} == {None}
    result = load()
    kept = database.table("tracking_events", "event_key")
    assert [row["event_key"] for row in kept] == [row["event_key"] for row in dropped]
    assert all(row["description"] for row in kept)
    assert result["rows"]["tracking_events"] == counts(changed=len(kept))


def test_a_full_refresh_reads_everything_again_and_deletes_nothing(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    sandbox.seed(50, ages_days=(1, 20))
    load()
    before = contents(database)
    (stuck, *_) = (row for row in before["trackings"] if row["status"] == "delivered")
    database.rows(f"DELETE FROM trackings WHERE tracking_number = '{stuck['tracking_number']}'")
    result = load(full_refresh=True)
    assert result["window"]["from"] is None
    assert result["rows"]["trackings"] == counts(new=1, unchanged=49)
    assert result["rows"]["tracking_events"]["new"] == 0
    after = contents(database)
    assert [row["event_key"] for row in after["tracking_events"]] == [
        row["event_key"] for row in before["tracking_events"]
    ]


def test_tables_can_be_named(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    put(sandbox)
    names = {
        "trackings_table": "Parcels",
        "events_table": "order",
        "changes_table": "status changes",
        "state_table": "load state",
    }
    result = load(**names)
    assert result["target"]["tables"] == {
        "trackings": "Parcels",
        "tracking_events": "order",
        "tracking_status_changes": "status changes",
        "trackingmore_load_state": "load state",
    }
    assert len(database.table("Parcels")) == len(database.table("status changes")) == 1
    assert load(**names)["rows"]["trackings"] == counts(unchanged=1)


def test_several_pages_are_one_load(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    sandbox.seed(4500, ages_days=(0, 5), journey="STUCK")
    result = load()
    assert result["rows"]["trackings"] == counts(new=4500)
    assert result["api_calls"] == 3
    ((number, distinct),) = (
        row.values()
        for row in database.rows("SELECT COUNT(*) AS n, COUNT(DISTINCT tracking_number) AS d FROM trackings")
    )
    assert (number, distinct) == (4500, 4500)
    sandbox.advance(days=1)
    assert load()["rows"]["trackings"]["new"] == 0


# What fails on the way ------------------------------------------------------------------------------------------------


def test_nothing_is_committed_if_the_account_fails(
    sandbox: SandboxProcess, database: TestDatabase, load: Load, calls: Callable[[], int]
) -> None:
    sandbox.seed(2500, ages_days=(0, 5), journey="STUCK")
    sandbox.fault("meta_code", path="/trackings/get", nth=2, count=None, value=4001)
    with pytest.raises(AuthenticationError):
        load()
    assert [database.table(name) for name in TABLES] == [[], [], []]
    ((state, sequence),) = (
        row.values() for row in database.rows("SELECT state, sequence FROM trackingmore_load_state")
    )
    assert (state, sequence) == (None, 0)
    sandbox.clear_faults()
    assert load()["rows"]["trackings"] == counts(new=2500)
