"""The page Shipments reads the views of the loaded tables, on each database."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from airflow_provider_trackingmore.plugins.page.lanes import KEPT_SECONDS, MAX_ROWS, LaneReader
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.conftest import WAREHOUSE, Load
from tests.integration.transfers.databases import TestDatabase

MISSING_FILE = "no-such-database-of-this-test.db"


class Clock:
    now = 1_796_000_000.0

    def __call__(self) -> float:
        return self.now


async def read(conn_id: str = WAREHOUSE, **options: Any) -> Any:
    return await LaneReader(conn_id, None, **options).read()


async def test_without_a_connection_nothing_is_read() -> None:
    assert await read("") == {"configured": False}


async def test_the_page_shows_what_the_views_have(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    sandbox.seed(300, ages_days=(0, 60), carriers=("usps", "dhl"))
    load()
    found = await read()
    if database.kind == "duckdb":
        assert "only one process" in found["error"]["message"]
        return
    assert (found["configured"], found["error"]) == (True, None)
    assert found["read_at"].endswith("Z")
    json.dumps(found)
    lanes = database.rows("SELECT * FROM shipment_lane_transit WHERE clock = 'delivery'")
    assert len(found["lanes"]) == min(len(lanes), MAX_ROWS)
    largest = max(row["measured"] for row in lanes)
    assert found["lanes"][0]["delivered"] == largest
    for lane in found["lanes"]:
        assert 0 <= lane["p10_days"] <= lane["p50_days"] <= lane["p90_days"]
        assert " → " in lane["lane"]
    for carrier in found["carriers"]:
        assert 0 <= carrier["exceptions"] <= carrier["shipments"]
        rate = carrier["exceptions"] / carrier["shipments"]
        assert carrier["rate"] == pytest.approx(rate, abs=1e-5), "MySQL divides to five digits"
    stuck = database.rows("SELECT * FROM stuck_shipments")
    assert len(found["stuck"]) == min(len(stuck), MAX_ROWS)
    assert all(row["days"] >= 7 for row in found["stuck"])
    assert {len(row["last_update"]) for row in found["stuck"] if row["last_update"]} == {len("2026-11-28T09:10:00")}


async def test_missing_views_are_named(database: TestDatabase) -> None:
    error = (await read())["error"]
    if database.kind == "duckdb":
        return
    assert ("does not exist" if database.kind == "sqlite" else "shipment_lane_transit") in error["message"]
    assert "TrackingMoreToSqlOperator" in error["hint"]


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (None, "there is no connection warehouse"),
        ({"conn_type": "snowflake", "host": "x"}, "snowflake"),
        ({"conn_type": "sqlite", "host": f"/tmp/{MISSING_FILE}"}, "does not exist"),
        ({"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "password": "secret-7f"}, "cannot be opened"),
    ],
    ids=["none", "other", "file", "unreachable"],
)
async def test_a_database_that_cannot_be_read_is_an_error_without_secrets(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any] | None, message: str, airflow_database: None
) -> None:
    if connection is not None:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
        if connection["conn_type"] == "postgres":
            pytest.importorskip("airflow.providers.postgres")
    found = await read()
    assert message in found["error"]["message"]
    assert "secret-7f" not in json.dumps(found)
    assert MISSING_FILE not in os.listdir("/tmp"), "opening it has not created it"


async def test_the_database_is_asked_at_most_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def read_views(_: LaneReader) -> dict[str, object]:
        asked.append(1)
        return {}

    monkeypatch.setattr(LaneReader, "_read", read_views)
    clock = Clock()
    reader = LaneReader(WAREHOUSE, None, clock=clock)
    for _ in range(5):
        await reader.read()
    assert len(asked) == 1
    clock.now += KEPT_SECONDS
    await reader.read()
    assert len(asked) == 2
