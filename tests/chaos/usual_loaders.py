"""Loaders as people usually write them: a cursor on ``updated_at`` with append, and dlt with merge and a look-back.

Both read with this package's client, which merges the legs of a shipment, so that only the way of loading differs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_trackingmore.api.models import Tracking
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.chaos.kill_points import REPAIR

LOOK_BACK = timedelta(days=2)

try:
    import dlt
    from dlt.common.storages.exceptions import LoadPackageAlreadyCompleted
    from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
    from dlt.pipeline.exceptions import PipelineStepFailed
except ImportError:
    dlt = None


def append_by_cursor(points: Any, now: str, path: str) -> None:
    """List what has changed since the newest ``updated_at``, insert it, then store the new cursor."""
    points.count_sqlite(path)
    with TrackingMoreHook() as hook, closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS trackings (carrier, number, status, updated_at)")
        connection.execute("CREATE TABLE IF NOT EXISTS events (carrier, number, time, text, place, status)")
        connection.execute("CREATE TABLE IF NOT EXISTS cursors (updated_at)")
        cursor = connection.execute("SELECT MAX(updated_at) FROM cursors").fetchone()[0]
        trackings = list(hook.list_trackings(update_time_min=datetime.fromisoformat(cursor) if cursor else None))
        connection.cursor().executemany("INSERT INTO trackings VALUES (?, ?, ?, ?)", [_row(t) for t in trackings])
        connection.commit()
        connection.cursor().executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", [(*t.key, *e) for t in trackings for e in _events(t)]
        )
        connection.commit()
        newest = max((t.updated_at.isoformat() for t in trackings if t.updated_at is not None), default=cursor)
        connection.execute("INSERT INTO cursors VALUES (?)", [newest])
        connection.commit()


def merge_with_dlt(points: Any, now: str, path: str, folder: str) -> None:
    """Merge by carrier and number what has changed since the newest ``updated_at`` less the look-back.

    A kill while dlt completes its package leaves it unable to run, and to abort the package, until somebody removes its
    working folder: done here, as a point of its own.
    """
    points.count_changed_files(folder)
    execute_query = DuckDbSqlClient.execute_query

    def counted(client: Any, query: Any, *arguments: Any, **keywords: Any) -> Any:
        points.reach("before statement")
        return execute_query(client, query, *arguments, **keywords)

    DuckDbSqlClient.execute_query = counted
    incremental = dlt.sources.incremental(
        "updated_at", lag=LOOK_BACK.total_seconds(), on_cursor_value_missing="include"
    )

    @dlt.resource(name="trackings", primary_key=("carrier", "number"), write_disposition="merge")
    def trackings(updated_at: Any = incremental) -> Iterator[dict[str, Any]]:
        with TrackingMoreHook() as hook:
            for tracking in hook.list_trackings(update_time_min=updated_at.last_value):
                names = ("carrier", "number", "status", "updated_at")
                row: dict[str, Any] = dict(zip(names, _row(tracking), strict=True))
                row["updated_at"] = tracking.updated_at
                event_names = ("time", "text", "place", "status")
                row["events"] = [dict(zip(event_names, event, strict=True)) for event in _events(tracking)]
                yield row

    pipeline = dlt.pipeline(
        "killed", pipelines_dir=folder, destination=dlt.destinations.duckdb(path), dataset_name="shipments"
    )
    try:
        pipeline.run(trackings())
    except PipelineStepFailed as error:
        if not isinstance(error.__cause__, LoadPackageAlreadyCompleted):
            raise
        points.reach(REPAIR)
        pipeline.drop().run(trackings())


def _row(tracking: Tracking) -> tuple[str, str, str, str | None]:
    updated_at = tracking.updated_at.isoformat() if tracking.updated_at is not None else None
    return (*tracking.key, tracking.status_text, updated_at)


def _events(tracking: Tracking) -> list[tuple[str | None, str, str, str]]:
    return [(e.time, e.description, e.place, e.status_text) for e in tracking.checkpoints]
