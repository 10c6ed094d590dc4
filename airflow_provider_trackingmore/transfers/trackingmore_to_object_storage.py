"""Load trackings and their events into files: NDJSON or Parquet, local or in an object store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.loading.load import utc_now
from airflow_provider_trackingmore.operators.template_values import as_list, parse_choice, parse_number, parse_text
from airflow_provider_trackingmore.transfers.base import LoadBaseOperator
from airflow_provider_trackingmore.transfers.files.errors import LoadConflictError
from airflow_provider_trackingmore.transfers.files.formats import FORMATS
from airflow_provider_trackingmore.transfers.files.load import ROWS_PER_FILE, FileDestination, load_into_files
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES

if TYPE_CHECKING:
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
    from airflow_provider_trackingmore.loading.load import LoadOptions
    from airflow_provider_trackingmore.transfers.result import LoadResult

__all__ = ["LoadConflictError", "TrackingMoreToObjectStorageOperator"]

FileFormat = Literal["ndjson.gz", "ndjson", "parquet"]


class TrackingMoreToObjectStorageOperator(LoadBaseOperator):
    """Load what has changed in the account into files, with the full history of events.

    It reads ``GET /trackings/get`` by registration and by change, then by number, and
    ``GET /trackings/{carrier_code}/{tracking_number}`` for shipments that may be missing. Each load writes new files,
    then a manifest. **Only files that a manifest names count**; a load that fails or is killed leaves none that do.

    It returns ``account``, ``stream``, ``rows`` (table -> ``new``, ``changed``, ``unchanged``), ``window``, ``cursor``,
    ``loaded_at``, ``sequence``, ``open``, ``missing``, ``unconfirmed``, ``api_calls``, ``manifest`` (its address) and
    ``files`` (their number).

    :param path: the folder: a local path, or an object store's address such as ``s3://aws_default@bucket/trackings``. A
        relative path begins in the working directory of the task.
    :param file_format: ``"ndjson.gz"``, ``"ndjson"``, or ``"parquet"``, which needs the extra ``parquet``.
    :param tables: which of ``trackings``, ``tracking_events`` and ``tracking_status_changes`` to write.
    :param rows_per_file: how many rows a file contains at most. Memory grows with it.
    :param filters: the filters of ``list_trackings``, without ``update_time_min`` and ``update_time_max``.
    :param settle: how long a delivered or expired shipment must be unchanged before later loads omit it; a
        ``timedelta`` or seconds.
    :param max_open: how long after its registration a shipment may be read with the list; later it is read by number. A
        ``timedelta`` or seconds.
    :param full_refresh: whether to read everything again. Nothing is deleted.
    :param mark_missing: whether to set ``missing_since`` of shipments that are no longer registered.
    :param event_texts: ``"drop"`` leaves out the carriers' texts, which sometimes contain the receiver's name.
    :param include_personal_data: whether to load names, e-mail addresses and phone numbers.
    :param include_raw: whether to load the vendor's record as JSON. **It may contain personal data.**
    :param account: the value of the column ``account``; None for ``trackingmore_conn_id``.
    :param stream: the name of the state, so that loads with other filters have a cursor of their own; None for one that
        is derived from ``account`` and ``filters``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises InvalidArgumentError: before any request, naming the argument.
    :raises LoadStateError: before any request, if the state of the last load is damaged.
    :raises LoadConflictError: if another load of the same stream was faster; run the task again.
    """

    template_fields = (*LoadBaseOperator.template_fields, "path", "file_format", "tables", "rows_per_file")

    def __init__(
        self,
        *,
        path: str,
        file_format: FileFormat = "ndjson.gz",
        tables: Sequence[str] = tuple(FILE_TABLES),
        rows_per_file: int = ROWS_PER_FILE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.file_format = file_format
        self.tables = tables
        self.rows_per_file = rows_per_file

    def _load(self, hook: TrackingMoreHook, options: LoadOptions, stream: str) -> LoadResult:
        destination = FileDestination(
            parse_text("path", self.path) or "",
            parse_choice("file_format", self.file_format, FORMATS),
            self._parse_tables(),
            self._parse_rows_per_file(),
        )
        return load_into_files(hook.shipment_source(), options, stream, destination, utc_now, self._progress())

    def _parse_tables(self) -> list[str]:
        tables = [str(table) for table in as_list("tables", self.tables, "texts")]
        unknown = [table for table in tables if table not in FILE_TABLES]
        if unknown or not tables:
            raise InvalidArgumentError(
                f"tables must contain one or more of {', '.join(FILE_TABLES)}, "
                f"not {', '.join(map(repr, unknown)) or 'none'}"
            )
        return tables

    def _parse_rows_per_file(self) -> int:
        number = parse_number("rows_per_file", self.rows_per_file)
        if number < 1 or number != int(number):
            raise InvalidArgumentError(f"rows_per_file must be a whole number, 1 or more, not {self.rows_per_file!r}")
        return int(number)
