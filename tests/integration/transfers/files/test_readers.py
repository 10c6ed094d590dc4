"""Files as lakes read them: DuckDB, pyarrow, and the queries for other engines, translated for DuckDB."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset
import pytest
import sqlglot

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.transfers.files.formats import parquet_schema
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES
from docs.sql_files import FOLDER, sql_files
from tests.integration.transfers.files.lake import SQL, Lake, Load

Seed = Callable[..., list[dict[str, Any]]]
VIEWS = ("shipment_lane_transit", "carrier_scorecard", "stuck_shipments", "on_time")


@pytest.fixture
def history(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> Lake:
    """Some days of an account in Parquet: reworded, reopened and deleted shipments among them."""
    parcels = seed("transit", "soon", "exception", "delivered", "delivered#2", "pending")
    for number in range(4):
        load(file_format="parquet")
        sandbox.advance(days=4)
        if number == 0:
            sandbox.reword_event(**parcels[0], description="Scanned")
            sandbox.switch(substatus="filled")
        if number == 2:
            sandbox.delete(**parcels[4])
            sandbox.reopen(**parcels[3], updated_at="null")
            sandbox.switch(substatus="null")
    return lake


def connect_with_views(lake: Lake) -> duckdb.DuckDBPyConnection:
    connection = lake.connect("parquet")
    connection.execute("CREATE TABLE promised_dates AS SELECT 'A-1001' AS order_id, DATE '2026-03-01' AS promised_at")
    for name in ("views.sql", "on_time.sql"):
        connection.execute((SQL / "duckdb" / name).read_text())
    return connection


def test_the_files_in_the_documentation_are_those_of_the_package() -> None:
    written = {str(file.relative_to(FOLDER)): file.read_text(encoding="utf-8") for file in FOLDER.rglob("*.sql")}
    assert written == dict(sql_files()), "run python -m docs.sql_files"


def test_files_that_no_manifest_names_are_not_read(history: Lake) -> None:
    before = history.tables("parquet")
    for file in Path(history.path).rglob("*.parquet"):
        file.with_name(f"killed-{file.name}").write_bytes(file.read_bytes())
    assert history.tables("parquet") == before


def test_pyarrow_reads_what_the_manifests_name(history: Lake) -> None:
    for name, table in FILE_TABLES.items():
        paths = [
            f"{history.path}/{file['path']}"
            for manifest in history.manifests()
            for file in manifest["files"]
            if file["table"] == name
        ]
        found = pyarrow.dataset.dataset(paths, format="parquet", partition_base_dir=history.path)
        assert found.schema.equals(parquet_schema(table))
        assert found.count_rows() == history.rows_of_files(name)


def test_the_views_of_the_documentation_say_what_happened(history: Lake, sandbox: SandboxProcess) -> None:
    with connect_with_views(history) as connection:
        delivered = sum(row["status"] == "delivered" for row in history.table("trackings", "parquet"))
        assert connection.execute("SELECT shipments, delivered FROM carrier_scorecard").fetchall() == [(6, delivered)]
        lanes = connection.execute("SELECT clock, measured, p50_days, p90_days FROM shipment_lane_transit").fetchall()
        assert {lane[0] for lane in lanes} == {"first_attempt", "delivery"}, lanes
        assert all(0 <= lane[2] <= lane[3] for lane in lanes)
        assert connection.execute("SELECT count(*) FROM on_time").fetchone() == (6,)
        stuck = connection.execute("SELECT tracking_number FROM stuck_shipments").fetchall()
        assert ("SBX-STUCK-1",) in stuck


@pytest.mark.parametrize("engine", ["snowflake", "bigquery", "trino"])
def test_the_queries_of_other_engines_are_valid_and_give_the_same(history: Lake, engine: str) -> None:
    with connect_with_views(history) as connection:
        names = ("trackings", "tracking_events", "tracking_status_changes", *VIEWS)
        expected = {name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}").fetchall())) for name in names}
        for file in ("tables.sql", "views.sql", "on_time.sql"):
            text = (SQL / engine / file).read_text()
            assert all(sqlglot.parse(text, read=engine))
            # DuckDB has nothing like Snowflake's FLATTEN.
            text = text.replace(", LATERAL FLATTEN(INPUT => event_keys) k", "CROSS JOIN UNNEST(event_keys) AS k(value)")
            for statement in sqlglot.parse(text, read=engine):
                assert statement is not None
                connection.execute(statement.sql(dialect="duckdb"))
        assert {
            name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}").fetchall())) for name in names
        } == expected
        assert all(expected.values())


@pytest.mark.parametrize("engine", ["snowflake", "bigquery"])
def test_the_tables_for_rows_are_valid(engine: str) -> None:
    statements = sqlglot.parse((SQL / engine / "rows.sql").read_text(), read=engine)
    with duckdb.connect() as connection:
        for statement in statements:
            assert statement is not None
            # Snowflake's arrays have no type.
            connection.execute(re.sub(r"event_keys \S*\[\]", "event_keys VARCHAR[]", statement.sql(dialect="duckdb")))
        names = connection.execute("SELECT DISTINCT table_name FROM information_schema.tables").fetchall()
        assert sorted(names) == [("event_rows",), ("status_change_rows",), ("tracking_rows",)]


def test_merging_the_views_into_tables_gives_the_same_rows_however_often_it_is_done(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    merge = (SQL / "merge.sql").read_text()
    for engine in ("snowflake", "bigquery"):
        assert all(sqlglot.parse(merge, read=engine))
    parcels = seed("transit", "soon", "transit#2")
    names = ("trackings", "tracking_events", "tracking_status_changes")
    for number in range(3):
        load(file_format="parquet")
        with lake.connect("parquet") as connection:
            connection.execute("ATTACH ? AS other", [str(tmp_path / "warehouse.duckdb")])
            connection.execute("CREATE SCHEMA IF NOT EXISTS other.warehouse")
            for name in names:
                connection.execute(f"CREATE TABLE IF NOT EXISTS other.warehouse.{name} AS FROM {name} LIMIT 0")
            for _ in range(2):
                connection.execute(merge.replace("INTO warehouse.", "INTO other.warehouse."))
            for name in names:
                merged, expected = (
                    connection.execute(f"FROM {table} ORDER BY ALL").fetchall()
                    for table in (f"other.warehouse.{name}", name)
                )
                assert merged == expected
        sandbox.advance(days=2)
        if number == 0:
            sandbox.reword_event(**parcels[0], description="Scanned")
            sandbox.delete(**parcels[2])
            sandbox.switch(substatus="filled")
