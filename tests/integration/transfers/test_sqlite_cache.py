"""What a load into SQLite keeps in memory, and when others can read the database meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.transfers.sql import sqlite
from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator
from tests.integration.transfers.conftest import WAREHOUSE, Load
from tests.integration.transfers.databases import SQLiteFile

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def load_and_watch(database: SQLiteFile, watch: Any) -> None:
    class Watched(TrackingMoreToSqlOperator):
        def _progress(self) -> Any:
            return lambda _: watch()

    Watched(task_id="load", sql_conn_id=WAREHOUSE, full_refresh=True).execute({})


def test_others_can_read_during_a_load(sandbox: SandboxProcess, database: SQLiteFile, load: Load) -> None:
    sandbox.seed(1)
    load()
    sandbox.seed(500, ages_days=(0, 20), seed=1)
    during: list[int] = []
    load_and_watch(database, lambda: during.append(len(database.table("trackings"))))
    assert during[0] == 1
    assert len(database.table("trackings")) == 501


def test_a_large_load_does_not_stay_in_memory(
    sandbox: SandboxProcess, database: SQLiteFile, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAX_CACHE", 200_000)
    sandbox.seed(1)
    load()
    before = database.path.stat().st_size
    sandbox.seed(2_000, ages_days=(0, 20), seed=1)
    during: list[int] = []
    load_and_watch(database, lambda: during.append(database.path.stat().st_size))
    after = database.path.stat().st_size
    assert after - before > 4_000_000  # SQLite has a cache of 2 MB anyway
    assert during[0] > before + (after - before) / 3
    assert len(database.table("trackings")) == 2_001
