"""Files as the target of a load: data files first, then the state, then the manifest that makes them count."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.load import LoadSummary
from airflow_provider_trackingmore.loading.rows import ShipmentRecord
from airflow_provider_trackingmore.loading.schema import EVENTS, STATUS_CHANGES, TRACKINGS
from airflow_provider_trackingmore.loading.state import LoadState, LoadStateError
from airflow_provider_trackingmore.loading.target import Batch, Counts, KnownShipment
from airflow_provider_trackingmore.loading.window import format_seconds, to_seconds
from airflow_provider_trackingmore.transfers.files.errors import LoadConflictError
from airflow_provider_trackingmore.transfers.files.events import compare_events
from airflow_provider_trackingmore.transfers.files.formats import FileFormat
from airflow_provider_trackingmore.transfers.files.manifest import (
    DataFile,
    Manifest,
    StateFile,
    check_version,
    folder_name,
    hash_of,
    manifest_path,
    raise_damaged,
    read_newest,
    read_state_file,
)
from airflow_provider_trackingmore.transfers.files.rows import TableFiles
from airflow_provider_trackingmore.transfers.files.shipments import FiledShipment, ShipmentStore
from airflow_provider_trackingmore.transfers.files.storage import Storage
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES, FILE_TRACKINGS

log = logging.getLogger(__name__)

FILES_STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class FilesState:
    """The state that the previous load left.

    :param load: the state of the load.
    :param tables: the tables that the stream writes; empty before the first load.
    :param months: the files of the shipments, by month of registration: first the index, then the parts.
    :param obsolete: paths of files of shipments that only the load before the previous one has named.
    :param loaded_at: start of the previous load.
    :param manifest: address of its manifest.
    """

    load: LoadState = field(default_factory=LoadState)
    tables: tuple[str, ...] = ()
    months: Mapping[str, Sequence[StateFile]] = field(default_factory=dict)
    obsolete: tuple[str, ...] = ()
    loaded_at: datetime | None = None
    manifest: str = ""


def read_state(storage: Storage, stream: str, account: str, tables: Sequence[str]) -> FilesState:
    """Read the state that the previous load of a stream left.

    :param storage: where.
    :param stream: the stream.
    :param account: the account of this load.
    :param tables: the tables of this load.
    :return: the state.
    :raises LoadStateError: if manifest or state are damaged, or were written by a later version.
    :raises InvalidArgumentError: if the stream belongs to another account, or has not written one of the tables.
    """
    manifest = read_newest(storage, stream)
    if manifest is None:
        return FilesState()
    address = storage.address(manifest_path(stream, manifest.sequence))
    if manifest.account != account:
        raise InvalidArgumentError(
            f"stream={stream!r} has loaded account={manifest.account!r} so far, not {account!r}: give each account a "
            "stream of its own"
        )
    content = read_state_file(storage, manifest.state, address)
    try:
        stored = json.loads(content)
        check_version(stored["version"], FILES_STATE_VERSION, storage.address(manifest.state.path))
        state = FilesState(
            load=LoadState.from_dict(stored["load"]),
            tables=tuple(stored["tables"]),
            months={month: [StateFile(**file) for file in files] for month, files in stored["months"].items()},
            obsolete=tuple(stored["obsolete"]),
            loaded_at=manifest.loaded_at,
            manifest=address,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise_damaged(f"The state {storage.address(manifest.state.path)} is damaged ({type(error).__name__})", address)
    if state.load.sequence != manifest.sequence:
        raise LoadStateError(f"{address} names the state of another load: remove it, and the previous one counts")
    if added := [table for table in tables if table not in state.tables]:
        raise InvalidArgumentError(
            f"tables contains {added[0]!r}, which stream={stream!r} has not written so far: its rows would begin now. "
            "Choose another stream, which reads everything"
        )
    return state


class FileTarget:
    """Writes a load. A context manager, which removes what is temporary.

    :param storage: where.
    :param stream: the stream.
    :param account: the value of the column ``account``.
    :param state: the state that the previous load left.
    :param tables: the tables to write.
    :param file_format: encodes rows.
    :param suffix: of the names of data files.
    :param rows_per_file: rows of a data file.
    :param now: start of the load.
    """

    def __init__(
        self,
        storage: Storage,
        stream: str,
        account: str,
        state: FilesState,
        tables: Sequence[str],
        file_format: FileFormat,
        suffix: str,
        rows_per_file: int,
        now: datetime,
    ) -> None:
        self._storage = storage
        self._stream = stream
        self._account = account
        self._state = state
        self._suffix = suffix
        self._now = now
        self._files = {
            name: TableFiles(FILE_TABLES[name], file_format, rows_per_file) for name in FILE_TABLES if name in tables
        }
        self._shipments = ShipmentStore(state.months, self._read_month, self._read_index)
        self._found: dict[ShipmentKey, FiledShipment] = {}
        self._registered: Mapping[ShipmentKey, int | None] = {}

    def __enter__(self) -> FileTarget:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._shipments.close()
        for files in self._files.values():
            files.close()

    def known(self, shipments: Mapping[ShipmentKey, int | None]) -> dict[ShipmentKey, KnownShipment]:
        """Look up shipments.

        :param shipments: the shipments of the next batch, with the Unix seconds of their registration.
        :return: those that the files contain.
        """
        self._registered = dict(shipments)
        self._found = self._shipments.look_up(shipments)
        return {key: found.known for key, found in self._found.items()}

    def write(self, batch: Batch) -> Counts:
        """Add the rows of a batch.

        :param batch: the batch.
        :return: the counts of events.
        """
        counts = Counts()
        for record in (*batch.new, *batch.changed):
            counts.add(self._add_record(record))
        for change in batch.status_changes:
            row = (self._account, *change.key, self._now, change.previous_status, change.status, change.substatus)
            self._add(STATUS_CHANGES.name, row)
        for key in batch.missing:
            self._add_missing(key)
        return counts

    def commit(self, state: LoadState, summary: LoadSummary) -> Manifest:
        """Write the files, then the state, then the manifest.

        :param state: the state for the next load.
        :param summary: what the load has done.
        :return: the manifest.
        :raises LoadConflictError: if another load of the stream was faster.
        """
        files = tuple(self._write_data(state.sequence))
        manifest = Manifest(
            stream=self._stream,
            account=self._account,
            sequence=state.sequence,
            loaded_at=self._now,
            window=summary.window_as_dict(),
            cursor=format_seconds(state.cursor),
            state=self._write_state(state),
            files=files,
        )
        path, content = manifest_path(self._stream, state.sequence), manifest.to_json()
        try:
            self._storage.create(path, content)
        except FileExistsError as error:
            # It is ours if the store had created it, its answer was lost, and the request was repeated.
            if self._storage.read(path) != content:
                raise self._conflict(f"{self._storage.address(path)} exists") from error
        self._remove_obsolete()
        return manifest

    def _conflict(self, evidence: str) -> LoadConflictError:
        return LoadConflictError(
            f"Another load of stream {self._stream!r} was faster: {evidence}. Nothing that this load has written "
            "counts. Run the task again: it continues from there. Set max_active_runs=1, so that loads of a stream do "
            "not overlap"
        )

    def _remove_obsolete(self) -> None:
        """Remove files of shipments that neither this load's state nor the previous one names."""
        try:
            for path in self._state.obsolete:
                self._storage.remove(path)
        except Exception as error:  # the load is complete, and the files do no harm
            log.warning("Files of an old state in %s could not be removed: %s", self._storage.address("_state"), error)

    def _add_record(self, record: ShipmentRecord) -> Counts:
        found = self._found.get(record.key)
        codes, events, counts = compare_events(found.events if found else b"", record.events)
        first_seen_at = found.known.first_seen_at if found else self._now
        self._add(
            TRACKINGS.name,
            (
                self._account,
                *record.key,
                *record.content,
                *record.personal,
                record.raw,
                record.content_hash,
                first_seen_at,
                self._now,
                self._now,
                None,
                list(record.event_keys),
            ),
        )
        for event in events:
            self._add(EVENTS.name, (self._account, *record.key, *event, self._now))
        known = KnownShipment(record.content_hash, record.status, first_seen_at, self._now)
        self._shipments.update(record.key, to_seconds(record.created_at), FiledShipment(known, codes))
        return counts

    def _add_missing(self, key: ShipmentKey) -> None:
        found = self._found[key]
        old = found.known
        values: dict[str, Any] = {
            "account": self._account,
            **key._asdict(),
            "status": old.status,
            "content_hash": old.content_hash,
            "first_seen_at": old.first_seen_at,
            "changed_at": self._now,
            "last_seen_at": old.changed_at,
            "missing_since": self._now,
        }
        self._add(TRACKINGS.name, tuple(values.get(name) for name in FILE_TRACKINGS.names))
        known = KnownShipment(old.content_hash, old.status, old.first_seen_at, old.changed_at, is_missing=True)
        self._shipments.update(key, self._registered[key], FiledShipment(known, found.events))

    def _add(self, table: str, row: tuple[Any, ...]) -> None:
        if table in self._files:
            self._files[table].add(row)

    def _write_data(self, sequence: int) -> Iterator[DataFile]:
        for table, files in self._files.items():
            for number, (rows, content) in enumerate(files.files(), 1):
                digest = hash_of(content)
                path = (
                    f"{table}/load_date={self._now:%Y-%m-%d}/"
                    f"{folder_name(self._stream)}-{sequence:010d}-{number:05d}-{digest[:16]}.{self._suffix}"
                )
                self._storage.write(path, content)
                yield DataFile(table, path, rows, digest)

    def _write_state(self, state: LoadState) -> StateFile:
        months = {month: [asdict(file) for file in files] for month, files in self._state.months.items()}
        obsolete: list[str] = []
        for month, changed in self._shipments.changed_months():
            # The number makes the names new, so that no file can be named again by the time it is removed.
            name = f"{month}-{state.sequence:010d}"
            files = [self._write_state_file(f"{name}-index", "bin", changed.index)]
            files += [self._write_state_file(name, "ndjson.gz", part) for part in changed.parts]
            obsolete += [file["path"] for file in months.get(month, ())]
            months[month] = [asdict(file) for file in files]
        content = {
            "version": FILES_STATE_VERSION,
            "load": state.to_dict(),
            "tables": list(self._files),
            "months": months,
            "obsolete": obsolete,
        }
        text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
        return self._write_state_file(f"{state.sequence:010d}", "json", text.encode())

    def _write_state_file(self, name: str, suffix: str, content: bytes) -> StateFile:
        digest = hash_of(content)
        path = f"_state/{folder_name(self._stream)}/{name}-{digest[:16]}.{suffix}"
        self._storage.write(path, content)
        return StateFile(path, digest)

    def _read_month(self, month: str) -> Iterator[bytes]:
        for file in self._state.months[month][1:]:
            yield self._read_state_file(file)

    def _read_index(self, month: str) -> bytes:
        return self._read_state_file(self._state.months[month][0])

    def _read_state_file(self, file: StateFile) -> bytes:
        """Read a file of the previous state. Two later loads of the stream would have removed it."""
        try:
            return read_state_file(self._storage, file, self._state.manifest)
        except LoadStateError:
            newest = read_newest(self._storage, self._stream)
            if newest is None or newest.sequence == self._state.load.sequence:
                raise
            raise self._conflict(f"its load {newest.sequence} is complete") from None
