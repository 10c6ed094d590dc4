"""The sides of the comparison. Each runs in a process of its own, which has loaded one shipment elsewhere before."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.loading import load as load_module
from airflow_provider_trackingmore.loading.rows import EventRow, RowOptions, ShipmentRecord, build_record
from airflow_provider_trackingmore.loading.schema import (
    CONTENT_COLUMNS,
    EVENTS,
    PERSONAL_COLUMNS,
    STATUS_CHANGES,
    TABLES,
    TRACKINGS,
    ColumnType,
    Table,
)
from benchmarks.loading_pages import ACCOUNT, ReadPages, saved_record
from benchmarks.peak_memory import Cost, measure

WAREHOUSE = "benchmark_warehouse"
_KEY = TRACKINGS.key
_TRACKING_NAMES = (
    *(*_KEY, *(column.name for column in (*CONTENT_COLUMNS, *PERSONAL_COLUMNS))),
    *("content_hash", "first_seen_at", "changed_at", "last_seen_at"),
)
_EVENT_NAMES = (*_KEY, *EventRow._fields, "first_seen_at")
_LOCAL = {column.name for table in TABLES for column in table.columns if column.type is ColumnType.LOCAL}

Rows = Callable[[ShipmentRecord], Iterator[tuple[Any, ...]]]


@dataclass(frozen=True)
class Target:
    """Where a side loads to.

    :param kind: ``postgres``, ``sqlite``, ``duckdb`` or ``parquet``.
    :param folder: of files and of what dlt remembers.
    :param connection: an Airflow connection; empty for Parquet.
    """

    kind: str
    folder: Path
    connection: Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """What a load took.

    :param cost: without the time in which pages were replayed.
    :param events: how many events the target has afterwards.
    """

    cost: Cost
    events: int


def run_side(
    side: str, target: Target, pages: Path | None, trackingmore: Mapping[str, Any], *, is_first: bool
) -> Measured:
    """Run a load in a new process.

    :param side: ``ours``, ``insert_rows`` or ``dlt``.
    :param target: where to.
    :param pages: the saved pages; None to read from TrackingMore.
    :param trackingmore: the Airflow connection to it.
    :param is_first: whether the target is empty.
    :return: what it took.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_run, side, target, pages, trackingmore, is_first).result()


def _run(side: str, target: Target, pages: Path | None, trackingmore: Mapping[str, Any], is_first: bool) -> Measured:
    os.environ["TRACKINGMORE_PACING_DIR"] = str(target.folder)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(trackingmore)
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    logging.disable(logging.WARNING)
    kind = {"ours": Operators, "insert_rows": InsertRows, "dlt": Dlt}[side]
    scratch = target.folder / "first-shipment"
    scratch.mkdir(exist_ok=True)
    connection = target.connection
    if target.kind in ("sqlite", "duckdb"):
        connection = {**connection, "host": str(scratch / Path(connection["host"]).name)}
    elif target.kind == "postgres":
        connection = {**connection, "schema": connection["schema"] + "_scratch"}
    # What the first load imports is not the cost of loading.
    any_pages = pages or target.folder.parent / "pages"
    kind(replace(target, folder=scratch, connection=connection), ReadPages(any_pages, 1), True).load()
    source = ReadPages(pages) if pages else None
    loading = kind(target, source, is_first)
    cost = measure(loading.load)
    if source is not None:
        cost = replace(cost, seconds=cost.seconds - source.seconds, processor=cost.processor - source.processor)
    return Measured(cost, loading.events())


class _Side:
    def __init__(self, target: Target, source: ReadPages | None, is_first: bool) -> None:
        self.target = target
        self.source = source
        self.is_first = is_first
        self.now = datetime.now(UTC)
        if target.connection:
            os.environ[f"AIRFLOW_CONN_{WAREHOUSE.upper()}"] = json.dumps(target.connection)

    def load(self) -> None:
        raise NotImplementedError

    def events(self) -> int:
        """Count the events in the target."""
        if self.target.kind == "parquet":
            return _count_parquet(self.target.folder / "lake", EVENTS.name)
        with closing(_hook(self.target.kind).get_conn()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"SELECT count(*) FROM {self.events_table}")
            return int(cursor.fetchone()[0])

    events_table = EVENTS.name

    def rows(self, to_rows: Rows) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a table, page by page."""
        for page in self.pages():
            yield [row for record in page for row in to_rows(record)]

    def pages(self) -> Iterator[list[ShipmentRecord]]:
        if self.source is not None:
            yield from self.source.pages()
            return
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        options = RowOptions(ACCOUNT)
        with TrackingMoreHook() as hook:
            page = []
            for tracking in hook.list_trackings():
                page.append(build_record(tracking, options))
                if len(page) == PAGE_SIZE:
                    yield page
                    page = []
            yield page

    def tables(self) -> Iterator[tuple[Table, tuple[str, ...], Rows]]:
        """Yield tables, their columns and what builds their rows; changes of status only where the target is empty."""
        yield TRACKINGS, _TRACKING_NAMES, self._tracking_row
        yield EVENTS, _EVENT_NAMES, self._event_rows
        if self.is_first:
            yield STATUS_CHANGES, STATUS_CHANGES.names, self._status_change

    def _tracking_row(self, record: ShipmentRecord) -> Iterator[tuple[Any, ...]]:
        times = (self.now, self.now, self.now)
        yield ACCOUNT, *record.key, *record.content, *record.personal, record.content_hash, *times

    def _event_rows(self, record: ShipmentRecord) -> Iterator[tuple[Any, ...]]:
        for event in record.events:
            yield ACCOUNT, *record.key, *event, self.now

    def _status_change(self, record: ShipmentRecord) -> Iterator[tuple[Any, ...]]:
        yield ACCOUNT, *record.key, self.now, None, record.status, record.substatus


class Operators(_Side):
    """The operators. The second load reads everything again where pages are replayed, and its window otherwise."""

    def load(self) -> None:
        shared: dict[str, Any] = {
            "task_id": "load",
            "account": ACCOUNT,
            "full_refresh": self.source is not None and not self.is_first,
        }
        operator: Any
        if self.target.kind == "parquet":
            from airflow_provider_trackingmore.transfers.trackingmore_to_object_storage import (
                TrackingMoreToObjectStorageOperator,
            )

            path = str(self.target.folder / "lake")
            operator = TrackingMoreToObjectStorageOperator(path=path, file_format="parquet", **shared)
        else:
            from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator

            operator = TrackingMoreToSqlOperator(sql_conn_id=WAREHOUSE, **shared)
        if self.source is None:
            operator.execute({})
            return
        options = operator._load_options()
        with mock.patch.object(load_module, "build_record", saved_record):
            operator._load(self.source, options, operator._stream(options))


class InsertRows(_Side):
    """``insert_rows`` of the hook, into tables with the same columns and keys."""

    def __init__(self, target: Target, source: ReadPages | None, is_first: bool) -> None:
        super().__init__(target, source, is_first)
        if is_first:
            self._create_tables()

    def load(self) -> None:
        hook = _hook(self.target.kind)
        for table, names, to_rows in self.tables():
            rows = (row for page in self.rows(to_rows) for row in page)
            if self.target.kind == "sqlite":  # its driver takes no times
                rows = (tuple(str(cell) if isinstance(cell, datetime) else cell for cell in row) for row in rows)
            hook.insert_rows(
                table.name, rows, target_fields=names, replace=True, executemany=True, replace_index=list(table.key)
            )

    def _create_tables(self) -> None:
        from airflow.providers.common.compat.sdk import BaseHook

        from airflow_provider_trackingmore.transfers.sql.connections import open_database

        connection = BaseHook.get_connection(WAREHOUSE)
        with closing(open_database(connection, None, logging.getLogger())) as database:
            for table in TABLES:
                database.execute("creating", database.create_table(table.name, table))


class Dlt(_Side):
    """dlt: merge by the same keys; for Parquet, which it cannot merge into, append."""

    events_table = f"bench.{EVENTS.name}"

    def load(self) -> None:
        import dlt

        folder = self.target.folder
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=str(folder / "dlt"), destination=self._destination(), dataset_name="bench"
        )
        options = {"loader_file_format": "parquet"} if self.target.kind == "parquet" else {}
        is_merge = self.target.kind != "parquet"
        resources = [
            dlt.resource(
                self._dicts(names, to_rows),
                name=table.name,
                primary_key=list(table.key),
                write_disposition="merge" if is_merge else "append",
            )
            for table, names, to_rows in self.tables()
        ]
        pipeline.run(resources, **options).raise_on_failed_jobs()

    def _dicts(self, names: tuple[str, ...], to_rows: Rows) -> Iterator[list[dict[str, Any]]]:
        local = [name for name in names if name in _LOCAL]
        for page in self.rows(to_rows):
            items = [dict(zip(names, row, strict=True)) for row in page]
            for item in items:
                for name in local:
                    if item[name] is not None:
                        item[name] = datetime.fromisoformat(item[name])
            yield items

    def _destination(self) -> Any:
        import dlt

        connection = self.target.connection
        if self.target.kind == "postgres":
            login = f"{connection['login']}:{connection['password']}"
            address = f"{connection['host']}:{connection['port']}/{connection['schema']}"
            return dlt.destinations.postgres(f"postgresql://{login}@{address}")
        if self.target.kind == "sqlite":
            return dlt.destinations.sqlalchemy(f"sqlite:///{connection['host']}")
        if self.target.kind == "duckdb":
            return dlt.destinations.duckdb(connection["host"])
        return dlt.destinations.filesystem((self.target.folder / "lake").as_uri())

    def events(self) -> int:
        if self.target.kind != "sqlite":
            return super().events()
        import sqlite3

        (file,) = Path(self.target.connection["host"]).parent.glob("*__bench.*")  # beside the one that was named
        with closing(sqlite3.connect(file)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {EVENTS.name}").fetchone()[0])


def _hook(kind: str) -> Any:
    module, name = {
        "postgres": ("airflow.providers.postgres.hooks.postgres", "PostgresHook"),
        "sqlite": ("airflow.providers.sqlite.hooks.sqlite", "SqliteHook"),
        "duckdb": ("duckdb_provider.hooks.duckdb_hook", "DuckDBHook"),
    }[kind]
    return getattr(import_module(module), name)(WAREHOUSE)


def _count_parquet(folder: Path, table: str) -> int:
    from pyarrow import parquet

    return sum(parquet.read_metadata(file).num_rows for file in folder.rglob("*.parquet") if table in file.parts)
