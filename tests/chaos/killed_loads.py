"""Runs loads in processes that kill themselves, one after the other: ``python -m tests.chaos.killed_loads``.

Each line on standard input is an order. Everything is imported once, then each load runs in a process of its own that
is forked from this one.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self, cast

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a load has ended.

    :param was_killed: whether SIGKILL has ended it.
    :param points: the names of the points that it has reached.
    """

    was_killed: bool
    points: list[str]


class LoadRunner:
    """Runs loads. A context manager.

    :param environment: the connections.
    :param folder: for reports and the log.
    """

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._report = folder / "points.json"
        self.log = folder / "loads.log"
        self._log: IO[str] | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._log = self.log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.killed_loads"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | self._environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()
        if self._log is not None:
            self._log.close()

    def run(self, loader: str, arguments: dict[str, Any], now: str, kill_at: int | str | None = None) -> Outcome:
        """Run a load to its end, or to the point at which it is killed."""
        assert self._process is not None
        order = {"loader": loader, "arguments": arguments, "now": now, "kill_at": kill_at, "report": str(self._report)}
        pipe = cast("IO[str]", self._process.stdin)
        pipe.write(json.dumps(order) + "\n")
        pipe.flush()
        line = cast("IO[str]", self._process.stdout).readline()
        assert line, self.log.read_text()[-3000:]
        code = json.loads(line)["code"]
        assert code in (0, -9), self.log.read_text()[-3000:]
        return Outcome(code == -9, json.loads(self._report.read_text()))


def _load_into_database(points: Any, now: str, kind: str, path: str, **arguments: Any) -> None:
    from airflow_provider_trackingmore.transfers import trackingmore_to_sql as module

    if kind == "sqlite":
        points.count_sqlite(path)
    else:
        points.count_postgres()
    module.utc_now = lambda: datetime.fromisoformat(now)
    module.TrackingMoreToSqlOperator(task_id="load", **arguments).execute({})  # type: ignore[arg-type]


def _load_into_files(points: Any, now: str, path: str, **arguments: Any) -> None:
    from airflow_provider_trackingmore.transfers import trackingmore_to_object_storage as module

    points.count_files(path)
    module.utc_now = lambda: datetime.fromisoformat(now)
    module.TrackingMoreToObjectStorageOperator(task_id="load", path=path, **arguments).execute({})  # type: ignore[arg-type]


def _run(order: dict[str, Any]) -> int:
    from tests.chaos import usual_loaders
    from tests.chaos.kill_points import KillPoints

    points = KillPoints(order["kill_at"], order["report"])
    points.count_calls()
    loaders = {
        "sql": _load_into_database,
        "files": _load_into_files,
        "append": usual_loaders.append_by_cursor,
        "dlt": usual_loaders.merge_with_dlt,
    }
    loaders[order["loader"]](points, order["now"], **order["arguments"])
    points.write_report()
    return 0


def main() -> None:
    """Run what standard input orders."""
    import psycopg  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    from airflow.providers.postgres.hooks import postgres  # noqa: F401
    from airflow.providers.sqlite.hooks import sqlite  # noqa: F401

    from airflow_provider_trackingmore.transfers import trackingmore_to_object_storage, trackingmore_to_sql  # noqa: F401
    from tests.chaos import kill_points, usual_loaders  # noqa: F401

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a load prints goes into the log
    gc.collect()
    gc.freeze()  # so that processes share the memory
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = _run(order)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        replies.write(json.dumps({"code": os.waitstatus_to_exitcode(status)}) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
