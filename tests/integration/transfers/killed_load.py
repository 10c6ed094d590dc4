"""A load that kills itself: python killed_load.py POINT. Run in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from airflow_provider_trackingmore.transfers.sql.load_tables import LoadTables
from airflow_provider_trackingmore.transfers.sql.target import SqlTarget
from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator

POINTS = {
    "tables are created": (LoadTables, "prepare_state", 1, "before"),
    "the state is locked": (LoadTables, "begin", 1, "after"),
    "the second page is read": (SqlTarget, "write", 2, "before"),
    "the second page is written": (SqlTarget, "write", 2, "after"),
    "everything is written": (LoadTables, "commit", 1, "before"),
    "it is committed": (LoadTables, "commit", 1, "after"),
}
"""When it dies -> class, method, which call, before or after it."""


def kill_at(point: str) -> None:
    cls, name, number, when = POINTS[point]
    original = getattr(cls, name)
    calls = 0

    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(cls, name, dying)


if __name__ == "__main__":
    if sys.argv[1:]:
        kill_at(sys.argv[1])
    TrackingMoreToSqlOperator(task_id="load", sql_conn_id="warehouse").execute({})
