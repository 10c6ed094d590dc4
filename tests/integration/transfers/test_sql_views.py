"""The views over the loaded tables, compared with what plain Python makes of the same rows."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.conftest import Load
from tests.integration.transfers.databases import TestDatabase

Key = tuple[Any, ...]


def time(text: Any) -> datetime:
    return datetime.fromisoformat(str(text)).replace(tzinfo=None)


def days(start: Any, end: Any) -> float:
    return (time(end) - time(start)) / timedelta(days=1)


def nearest_rank(values: list[float], percent: int) -> float:
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]


@pytest.fixture
def trackings(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> list[dict[str, Any]]:
    """A few hundred shipments of some carriers, of which many have arrived and some never will."""
    sandbox.seed(400, ages_days=(0, 60), carriers=("usps", "dhl", "royal-mail"))
    load()
    return database.table("trackings")


def test_lane_transit_has_the_quantiles_of_each_lane_by_both_clocks(
    database: TestDatabase, trackings: list[dict[str, Any]]
) -> None:
    durations: dict[Key, list[float]] = defaultdict(list)
    for row in trackings:
        lane = (row["carrier_code"], row["origin_country"], row["destination_country"])
        for clock, end in (("first_attempt", "first_attempt_at_local"), ("delivery", "delivered_at_local")):
            if row["first_event_at"] and row[end] and row[end] >= row["first_event_at"]:
                durations[(*lane, clock)].append(days(row["first_event_at"], row[end]))
    expected = {
        lane: (len(values), *(nearest_rank(values, percent) for percent in (10, 50, 90)))
        for lane, values in durations.items()
    }
    found = {
        (row["carrier_code"], row["origin_country"], row["destination_country"], row["clock"]): (
            row["measured"],
            *(pytest.approx(float(row[f"p{percent}_days"]), abs=1e-4) for percent in (10, 50, 90)),
        )
        for row in database.rows("SELECT * FROM shipment_lane_transit")
    }
    assert expected == found
    assert {len(values) for values in durations.values()} - {1, 2, 3}, "some lanes have several shipments"


def test_the_scorecard_has_the_rates_of_each_carrier(database: TestDatabase, trackings: list[dict[str, Any]]) -> None:
    had: dict[Key, set[str]] = defaultdict(set)
    for event in database.table("tracking_events"):
        had[event["carrier_code"], event["tracking_number"]].add(event["status"])
    expected = {}
    for carrier in {row["carrier_code"] for row in trackings}:
        rows = [row for row in trackings if row["carrier_code"] == carrier]
        delivered = [row for row in rows if row["status"] == "delivered"]
        waits = [days(row["created_at"], row["first_event_at"]) for row in rows if row["first_event_at"]]

        def share(status: str, rows: list[dict[str, Any]] = rows) -> Any:
            ever = [row for row in rows if status in {row["status"], *had[row["carrier_code"], row["tracking_number"]]}]
            return pytest.approx(len(ever) / len(rows), abs=1e-4)

        expected[carrier] = {
            "shipments": len(rows),
            "delivered": len(delivered),
            "delivered_rate": pytest.approx(len(delivered) / len(rows), abs=1e-4),
            "exception_rate": share("exception"),
            "failed_attempt_rate": share("undelivered"),
            "expired_rate": pytest.approx(sum(row["status"] == "expired" for row in rows) / len(rows), abs=1e-4),
            "scanned": len(waits),
            "p50_days_registration_to_first_scan": pytest.approx(nearest_rank(waits, 50), abs=1e-4),
            "p90_days_registration_to_first_scan": pytest.approx(nearest_rank(waits, 90), abs=1e-4),
            "measurable_share": pytest.approx(
                sum(bool(row["first_event_at"] and row["delivered_at_local"]) for row in delivered) / len(delivered),
                abs=1e-4,
            ),
        }
    found = {
        row.pop("carrier_code"): {name: float(value) for name, value in row.items() if name != "account"}
        for row in database.rows("SELECT * FROM carrier_scorecard")
    }
    assert found == expected
    assert any(row["exception_rate"] for row in found.values())
    assert any(row["failed_attempt_rate"] for row in found.values())


def test_stuck_shipments_are_those_without_an_event_for_a_week(
    database: TestDatabase, trackings: list[dict[str, Any]]
) -> None:
    as_of = max(row["last_seen_at"] for row in trackings)
    expected = {}
    for row in trackings:
        idle = days(row["last_event_at"] or row["created_at"], as_of)
        if row["status"] not in ("delivered", "expired") and idle >= 7:
            expected[row["tracking_number"]] = pytest.approx(idle, abs=1e-3)
    found = {
        row["tracking_number"]: float(row["days_without_event"])
        for row in database.rows("SELECT * FROM stuck_shipments")
    }
    assert found == expected
    assert found


@pytest.mark.parametrize("order_ids", ["text", "number"])
def test_on_time_compares_with_the_promised_dates(
    order_ids: str, sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    ages = {"1001": ("SBX-DELIVERED-1D-1", 96), "1002": ("SBX-DELIVERED-1D-2", 96), "1003": ("SBX-STUCK-1", 96)}
    sandbox.seed(
        shipments=[
            {"carrier_code": "usps", "tracking_number": number, "age_hours": age, "order_id": order}
            for order, (number, age) in {**ages, "1004": ("SBX-STUCK-2", 1)}.items()
        ]
    )
    key_type = "VARCHAR(20)" if order_ids == "text" else "INTEGER"
    database.rows(f"CREATE TABLE orders (order_id {key_type}, promised_at TIMESTAMP)")
    load(promised_table="orders")
    delivered = {row["order_id"]: row["delivered_at_local"] for row in database.table("trackings")}
    promised = {
        "1001": time(delivered["1001"]) - timedelta(days=1),
        "1002": time(delivered["1002"]).replace(hour=0, minute=0, second=0),  # the day counts, not the hour
        "1003": time(delivered["1001"]) - timedelta(days=1),
        "1004": datetime(2037, 1, 1),  # noqa: DTZ001
    }
    for order, promise in promised.items():
        database.rows(f"INSERT INTO orders VALUES ({order}, '{promise}')")
    found = {row["order_id"]: row["delivery"] for row in database.rows("SELECT * FROM on_time")}
    assert found == {"1001": "late", "1002": "on time", "1003": "late", "1004": "open"}


def test_views_are_created_again_only_if_they_differ(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    sandbox.seed(3, ages_days=(0, 1))
    load(create_views=False)
    assert not _views(database)
    load()
    (digest,) = {row["views"] for row in database.rows("SELECT views FROM trackingmore_load_state")}
    assert digest
    assert _views(database) == {"carrier_scorecard", "shipment_lane_transit", "stuck_shipments"}
    _replace_view(database, "CREATE VIEW stuck_shipments AS SELECT 1 AS mine")
    load()
    assert database.rows("SELECT * FROM stuck_shipments") == [{"mine": 1}]
    database.rows("UPDATE trackingmore_load_state SET views = 'of another version'")
    _replace_view(database, None)
    load()
    assert _views(database) == {"carrier_scorecard", "shipment_lane_transit", "stuck_shipments"}
    assert all("days_without_event" in row for row in database.rows("SELECT * FROM stuck_shipments"))


def _replace_view(database: TestDatabase, statement: str | None) -> None:
    database.rows("DROP VIEW stuck_shipments")
    if statement:
        database.rows(statement)


def _views(database: TestDatabase) -> set[str]:
    statement = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'view'",
        "duckdb": "SELECT view_name AS name FROM duckdb_views() WHERE NOT internal",
        "postgres": "SELECT viewname AS name FROM pg_views WHERE schemaname = 'public'",
        "mysql": "SELECT table_name AS name FROM information_schema.views WHERE table_schema = DATABASE()",
    }[database.kind.partition("-")[0]]
    return {row["name"] for row in database.rows(statement)}
