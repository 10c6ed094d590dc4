"""The command that loads into a database or files. Without ``--yes`` it only shows what it would request."""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.cli.account import DEFAULT_CONNECTION, KEY_VARIABLE, find_connection, quiet
from airflow_provider_trackingmore.cli.exit_codes import CommandError, ExitCode
from airflow_provider_trackingmore.cli.output import write_rows
from airflow_provider_trackingmore.cli.terminal import echo, progress_bar
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.loading.load import MAX_OPEN, SETTLE, LoadOptions, LoadSummary, utc_now
from airflow_provider_trackingmore.loading.preview import PlannedRequest, preview_load
from airflow_provider_trackingmore.loading.rows import RowOptions
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState, check_name, stream_name
from airflow_provider_trackingmore.loading.window import format_seconds
from airflow_provider_trackingmore.transfers.files.formats import FORMATS
from airflow_provider_trackingmore.transfers.files.load import FileDestination, load_into_files, read_files_state
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES
from airflow_provider_trackingmore.transfers.sql.load import SqlDestination, load_into_database, read_database_state
from airflow_provider_trackingmore.transfers.sql.tables import ARGUMENTS as TABLE_ARGUMENTS

if TYPE_CHECKING:
    from airflow_provider_trackingmore.transfers.result import LoadResult

COMMA_SEPARATED_FILTERS = {"numbers", "orders"}
SQL_ARGUMENTS = ("schema", *TABLE_ARGUMENTS.values(), "promised_table", "no_create")
FILE_ARGUMENTS = ("file_format", "tables")

REMARKS = {"missing": "no longer registered", "unconfirmed": "not found, to be looked up by the next load"}
"""Counts of a result that are shown only if they are not zero, and the words for them."""

log = logging.getLogger(__name__)


def load(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Load what has changed, or show what a load would request."""
    options = _load_options(arguments)
    stream = stream_name(arguments.stream, options.rows.account, options.filters)
    destination = _destination(arguments)
    source = ShipmentSource(client.send, lambda: client.statistics.requests)
    with _storage_errors(destination):
        if arguments.yes:
            result = _load(source, options, stream, destination)
            _show_result(result.summary, stream, arguments)
        else:
            state, missing = _read_state(options.rows.account, stream, destination)
            requests = preview_load(source, state, options)
            _show_plan(requests, state, missing, stream, arguments)
    return ExitCode.OK


def _load_options(arguments: argparse.Namespace) -> LoadOptions:
    account = arguments.conn_id if arguments.account is None else arguments.account
    if account is None and os.environ.get(KEY_VARIABLE):
        raise CommandError(
            f"--account is needed with {KEY_VARIABLE}: it is the value of the column account. Operators use the ID of "
            f"their connection, such as {DEFAULT_CONNECTION}",
            ExitCode.USAGE,
        )
    rows = RowOptions(
        account=check_name("--account", DEFAULT_CONNECTION if account is None else account),
        event_texts=arguments.event_texts == "keep",
        personal_data=arguments.include_personal_data,
        raw=arguments.load_raw,
    )
    filters = {
        name: value.split(",") if name in COMMA_SEPARATED_FILTERS else value
        for name, value in dict(arguments.filters or ()).items()
    }
    options = LoadOptions(
        rows=rows,
        filters=filters,
        settle=SETTLE if arguments.settle is None else arguments.settle,
        max_open=MAX_OPEN if arguments.max_open is None else arguments.max_open,
        full_refresh=arguments.full_refresh,
        mark_missing=not arguments.no_mark_missing,
    )
    options.check()
    return options


def _destination(arguments: argparse.Namespace) -> SqlDestination | FileDestination:
    _prepare_airflow()
    if arguments.target == "files":
        _refuse_arguments(arguments, SQL_ARGUMENTS, "databases, not for files")
        return FileDestination(
            arguments.where, arguments.file_format or FORMATS[0], arguments.tables or tuple(FILE_TABLES)
        )
    _refuse_arguments(arguments, FILE_ARGUMENTS, "files, not for databases")
    return SqlDestination(
        find_connection(arguments.where, "create it with 'airflow connections add'"),
        {table: getattr(arguments, name) or table for table, name in TABLE_ARGUMENTS.items()},
        arguments.schema,
        create_tables=not arguments.no_create,
        create_views=not arguments.no_create,
        promised_table=arguments.promised_table,
    )


def _refuse_arguments(arguments: argparse.Namespace, names: Iterable[str], purpose: str) -> None:
    for name in names:
        if getattr(arguments, name):
            raise CommandError(f"--{name.replace('_', '-')} is for {purpose}", ExitCode.USAGE)


def _prepare_airflow() -> None:
    """Have hooks find connections as they do in Airflow's own commands, and keep Airflow's log off standard output."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    with quiet(), suppress(Exception):  # whatever needs Airflow reports it
        import airflow.models  # noqa: F401 - sets up logging
    warnings.simplefilter("ignore")  # only now: Airflow 2.11 brings filters of its own
    for name in ("airflow", "airflow.task"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _load(
    source: ShipmentSource, options: LoadOptions, stream: str, destination: SqlDestination | FileDestination
) -> LoadResult:
    with progress_bar("Shipments", threshold=PAGE_SIZE) as progress:

        def update(summary: LoadSummary) -> None:
            progress(summary.read, None if summary.total is None else max(summary.read, summary.total))

        try:
            if isinstance(destination, SqlDestination):
                return load_into_database(source, options, stream, destination, utc_now, log, update)
            return load_into_files(source, options, stream, destination, utc_now, update)
        except KeyboardInterrupt:
            echo("Interrupted. Nothing of this load was kept; the next load continues where the previous one ended.")
            raise


def _read_state(
    account: str, stream: str, destination: SqlDestination | FileDestination
) -> tuple[LoadState, list[str]]:
    if isinstance(destination, SqlDestination):
        return read_database_state(account, stream, destination, log)
    return read_files_state(account, stream, destination), []


def _show_plan(
    requests: tuple[PlannedRequest, ...],
    state: LoadState,
    missing: list[str],
    stream: str,
    arguments: argparse.Namespace,
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "request": planned.request,
            "since": format_seconds(planned.since),
            "shipments": planned.shipments,
            "calls": planned.calls,
        }
        for planned in requests
    ]
    write_rows(rows, arguments)
    position = f"load {state.sequence + 1}, {len(state.open)} open shipments" if state.sequence else "the first load"
    echo(f"Target: {arguments.target} {arguments.where}; stream {stream}: {position}")
    if missing:
        echo(f"Tables that it would create: {', '.join(missing)}")
    calls = sum(planned.calls for planned in requests)
    echo(f"It would take {_count_calls(calls)}, and no quota.")
    echo("Nothing was loaded. --yes loads.")


def _show_result(summary: dict[str, Any], stream: str, arguments: argparse.Namespace) -> None:
    write_rows(({"table": table, **counts} for table, counts in summary["rows"].items()), arguments)
    parts = [_count_calls(summary["api_calls"]), f"{summary['open']} open shipments"]
    parts += [f"{summary[name]} {words}" for name, words in REMARKS.items() if summary[name]]
    echo(f"Load {summary['sequence']} of stream {stream}: {', '.join(parts)}")
    if "manifest" in summary:
        echo(f"Manifest: {summary['manifest']}")


def _count_calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


@contextmanager
def _storage_errors(destination: SqlDestination | FileDestination) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if isinstance(destination, SqlDestination):
            raise
        reason = error.strerror or str(error) or type(error).__name__
        raise CommandError(f"{destination.path}: {reason}", ExitCode.SERVICE) from error
