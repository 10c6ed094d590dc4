"""Load into files, or find out where the last load has ended: for the operator and the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.loading.load import Load, LoadOptions, LoadSummary, run_load
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.transfers.files.formats import get_format
from airflow_provider_trackingmore.transfers.files.manifest import folder_name, manifest_path
from airflow_provider_trackingmore.transfers.files.storage import Storage
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES
from airflow_provider_trackingmore.transfers.files.target import FileTarget, read_state
from airflow_provider_trackingmore.transfers.result import LineageDataset, LoadResult

ROWS_PER_FILE = 50_000


@dataclass(frozen=True, slots=True)
class FileDestination:
    """Where a load writes.

    :param path: the folder: a local path or an object store's address.
    :param file_format: one of ``formats.FORMATS``.
    :param tables: the tables to write.
    :param rows_per_file: how many rows a file contains at most.
    """

    path: str
    file_format: str = "ndjson.gz"
    tables: Sequence[str] = tuple(FILE_TABLES)
    rows_per_file: int = ROWS_PER_FILE

    def check(self) -> None:
        """Check the path.

        :raises InvalidArgumentError: if it is blank, which would mean the working directory.
        """
        if not self.path.strip():
            raise InvalidArgumentError("path must be a folder, or an object store's address such as s3://bucket/folder")


def load_into_files(
    source: ShipmentSource,
    options: LoadOptions,
    stream: str,
    destination: FileDestination,
    clock: Callable[[], datetime],
    progress: Callable[[LoadSummary], None],
) -> LoadResult:
    """Load into files, which count from the moment at which the manifest is written.

    :param source: reads the account.
    :param options: what to load.
    :param stream: the name of the state.
    :param destination: the files.
    :param clock: returns the time in UTC.
    :param progress: is called after each batch.
    :return: counts and targets.
    :raises InvalidArgumentError: before any call, naming the argument.
    :raises LoadStateError: before any call, if the state of the last load is damaged.
    :raises LoadConflictError: if another load of the same stream was faster.
    :raises TrackingMoreError: if the account or the connection fails. What was written does not count.
    """
    destination.check()
    account, tables = options.rows.account, destination.tables
    file_format = get_format(destination.file_format)
    storage = Storage(destination.path)
    storage.check(f"_manifests/{folder_name(stream)}")
    state = read_state(storage, stream, account, tables)
    now = clock()
    if state.loaded_at is not None:  # workers' clocks differ, and views pick the newest row
        now = max(now, state.loaded_at + timedelta(microseconds=1))
    suffix, rows = destination.file_format, destination.rows_per_file
    with FileTarget(storage, stream, account, state, tables, file_format, suffix, rows, now) as target:
        load = Load(source, target.known, state.load, options, now)
        after = run_load(load, target, progress)
        manifest = target.commit(after, load.summary)
    result = load.summary.as_dict(after)
    result["rows"] = {table: counts for table, counts in load.summary.rows_as_dict().items() if table in tables}
    result["manifest"] = storage.address(manifest_path(stream, manifest.sequence))
    result["files"] = len(manifest.files)
    _add_to_lineage(storage)
    return LoadResult(result, [LineageDataset(*storage.describe(table)) for table in tables])


def read_files_state(account: str, stream: str, destination: FileDestination) -> LoadState:
    """Read the state of a stream. Nothing is written.

    :param account: the value of the column ``account``.
    :param stream: the name of the state.
    :param destination: the files.
    :return: the state.
    :raises InvalidArgumentError: if the path or an extra is missing, or the stream belongs to another account.
    :raises LoadStateError: if the state is damaged.
    """
    destination.check()
    get_format(destination.file_format)
    return read_state(Storage(destination.path), stream, account, destination.tables).load


def _add_to_lineage(storage: Storage) -> None:
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
    collector.add_output_asset(context=storage.root, uri=str(storage.root))
