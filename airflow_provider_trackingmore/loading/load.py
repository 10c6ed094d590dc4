"""Run a load: request the shipments of the window, compare them with the target, and write the differences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, MalformedResponseError, ServerError
from airflow_provider_trackingmore.api.filters import filter_query
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.loading.rows import RowOptions, ShipmentRecord, build_record
from airflow_provider_trackingmore.loading.schema import EVENTS, STATUS_CHANGES, TRACKINGS
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.loading.target import Batch, Counts, KnownShipment, LoadTarget, StatusChange
from airflow_provider_trackingmore.loading.window import (
    LoadWindow,
    WindowTracker,
    change_filters,
    format_seconds,
    is_settled,
    plan_window,
    to_seconds,
    window_filters,
)

log = logging.getLogger(__name__)

MAX_CONFIRMATIONS = 100
"""How many shipments a load confirms as missing with ``GET`` by number. Later loads confirm the others."""

MAX_FAILED_CONFIRMATIONS = 3
"""After this many failed confirmations, the rest is left to later loads."""

REFUSED_FILTERS = ("update_time_min", "update_time_max")

SETTLE = timedelta(days=3)
MAX_OPEN = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What to load.

    :param rows: what the rows contain.
    :param filters: the filters of ``list_trackings``, except ``update_time_min`` and ``update_time_max``.
    :param settle: how long a delivered or expired shipment must be unchanged before later loads omit it.
    :param max_open: how long a shipment may hold the window open; older ones are requested by number.
    :param full_refresh: whether to read everything again. Nothing is deleted.
    :param mark_missing: whether to set ``missing_since`` of shipments that are no longer registered.
    """

    rows: RowOptions
    filters: Mapping[str, object] = field(default_factory=dict)
    settle: timedelta = SETTLE
    max_open: timedelta = MAX_OPEN
    full_refresh: bool = False
    mark_missing: bool = True

    def check(self) -> None:
        """Check the options that do not depend on the target.

        :raises InvalidArgumentError: naming the argument.
        """
        for name in REFUSED_FILTERS:
            if self.filters.get(name) is not None:
                raise InvalidArgumentError(
                    f"filters cannot contain {name}: TrackingMore does not date every change, so the load would miss "
                    "some. A load finds changes by itself: leave the filter out"
                )
        filter_query(self.filters)
        for name, value in (("settle", self.settle), ("max_open", self.max_open)):
            if value < timedelta(0):
                raise InvalidArgumentError(f"{name} must not be negative, but is {value}")


@dataclass(slots=True)
class LoadSummary:
    """What a load has done.

    :param loaded_at: its start: the value of ``first_seen_at``, ``changed_at`` and so on in the rows that it wrote.
    :param window: what it has requested.
    :param trackings: counts of tracking rows.
    :param events: counts of event rows.
    :param status_changes: counts of status changes.
    :param missing: how many shipments are no longer registered.
    :param unconfirmed: how many shipments were in no response, without proof that they are missing. Later loads
        request them again.
    :param read: how many shipments the responses contained.
    :param total: how many the list of the window contains, if TrackingMore says so.
    :param calls: the number of HTTP requests.
    """

    loaded_at: datetime
    window: LoadWindow
    trackings: Counts = field(default_factory=Counts)
    events: Counts = field(default_factory=Counts)
    status_changes: Counts = field(default_factory=Counts)
    missing: int = 0
    unconfirmed: int = 0
    read: int = 0
    total: int | None = None
    calls: int = 0

    def rows_as_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts: table -> ``new``, ``changed``, ``unchanged``."""
        return {
            TRACKINGS.name: self.trackings.as_dict(),
            EVENTS.name: self.events.as_dict(),
            STATUS_CHANGES.name: self.status_changes.as_dict(),
        }

    def window_as_dict(self) -> dict[str, str | None]:
        """Return ``from`` and ``to``, in ISO 8601."""
        return {"from": format_seconds(self.window.created_from), "to": self.loaded_at.isoformat()}

    def as_dict(self, state: LoadState) -> dict[str, object]:
        """Return the counts as JSON-serializable data.

        :param state: the state after the load.
        :return: ``rows`` (table -> ``new``, ``changed``, ``unchanged``), ``window`` (``from``, ``to``), ``cursor``,
            ``loaded_at``, ``sequence``, ``open``, ``missing``, ``unconfirmed`` and ``api_calls``.
        """
        return {
            "rows": self.rows_as_dict(),
            "window": self.window_as_dict(),
            "cursor": format_seconds(state.cursor),
            "loaded_at": self.loaded_at.isoformat(),
            "sequence": state.sequence,
            "open": len(state.open),
            "missing": self.missing,
            "unconfirmed": self.unconfirmed,
            "api_calls": self.calls,
        }


class Load:
    """One load.

    :param source: reads the account.
    :param known: looks up shipments in the target, such as ``target.known``.
    :param state: the state after the previous load.
    :param options: what to load.
    :param now: the start of the load, in UTC.
    """

    def __init__(
        self,
        source: ShipmentSource,
        known: Callable[[Mapping[ShipmentKey, int | None]], Mapping[ShipmentKey, KnownShipment]],
        state: LoadState,
        options: LoadOptions,
        now: datetime,
    ) -> None:
        self._source = source
        self._known = known
        self._options = options
        self._now = now
        self._window = plan_window(state, full_refresh=options.full_refresh)
        self._tracker = WindowTracker(state, self._window, now, options.max_open)
        self._unseen = dict(state.open)
        self._sequence = state.sequence
        self._undated: set[ShipmentKey] = set()
        self.summary = LoadSummary(now, self._window)

    def batches(self) -> Iterator[Batch]:
        """Read the account, and compare each response with the target. Requests are sent as the batches are consumed.

        :return: the batches; each must be written before the next one is requested.
        :raises TrackingMoreError: if the account or the connection fails. Then nothing must be committed.
        """
        for batch in self._read_everything():
            self.summary.total = self._source.total
            self.summary.calls = self._source.calls
            self.summary.status_changes.new += len(batch.status_changes)
            self.summary.trackings.add(Counts(len(batch.new), len(batch.changed), len(batch.unchanged)))
            self.summary.trackings.changed += len(batch.missing)
            self.summary.events.unchanged += sum(len(record.events) for record in batch.unchanged)
            yield batch
        self.summary.calls = self._source.calls

    def next_state(self) -> LoadState:
        """Return the state to commit after all batches have been written."""
        return self._tracker.next_state()

    def _read_everything(self) -> Iterator[Batch]:
        yield from self._read_window()
        self._tracker.finish_window()
        yield from self._read_older_changes()
        yield from self._read_unseen()

    def _read_window(self) -> Iterator[Batch]:
        return self._read(self._source.list_trackings(window_filters(self._window, self._options.filters)))

    def _read_older_changes(self) -> Iterator[Batch]:
        """Read settled shipments that have changed nevertheless."""
        filters, end = change_filters(self._window, self._options.filters), self._window.created_from
        if filters is None or end is None:
            return
        rows = self._source.list_trackings(filters)
        yield from self._read(row for row in rows if not self._was_in_window(row, end))

    def _was_in_window(self, row: Tracking, created_from: int) -> bool:
        return row.key in self._undated if row.created_at is None else row.created_at.timestamp() >= created_from - 1

    def _read_unseen(self) -> Iterator[Batch]:
        """Read the open shipments that no response has contained so far: by number, and one by one if that fails."""
        if not self._unseen:
            return
        try:
            found = self._source.find(self._unseen)
        except LookupInterruptedError as error:
            # A single number may be the cause. The list of this load was complete, so the load continues without it.
            if not isinstance(error.cause, ServerError | MalformedResponseError):
                raise
            log.warning("Some shipments could not be looked up; the next load will retry: %s", error)
            found = error.found
        yield from self._read(found.values())
        for key in found:  # in the spelling that was requested
            self._unseen.pop(key, None)
        yield from self._confirm_missing()

    def _confirm_missing(self) -> Iterator[Batch]:
        missing: dict[ShipmentKey, int | None] = {}
        found: list[Tracking] = []
        failures = 0
        unseen = list(self._unseen.items())
        # Each load begins at another shipment, so that none is postponed forever.
        first = self._sequence * MAX_FAILED_CONFIRMATIONS % max(len(unseen), 1)
        for number, (key, created_at) in enumerate(unseen[first:] + unseen[:first]):
            if number >= MAX_CONFIRMATIONS or failures >= MAX_FAILED_CONFIRMATIONS:
                self._keep_open(key, created_at)
                continue
            try:
                tracking = self._source.get(key)
            except (ServerError, MalformedResponseError) as error:
                failures += 1
                log.warning("%s could not be looked up; the next load will retry: %s", key, error)
                self._keep_open(key, created_at)
                continue
            if tracking is None:
                missing[key] = created_at
            else:
                found.append(tracking)
        yield from self._read(found)
        if missing:
            log.info("No longer registered: %s", format_list(list(missing), limit=20))
            self.summary.missing = len(missing)
            if self._options.mark_missing:
                known = self._known(missing)
                yield Batch(missing=[key for key in missing if key in known and not known[key].is_missing])

    def _keep_open(self, key: ShipmentKey, created_at: int | None) -> None:
        self._tracker.keep_open(key, created_at)
        self.summary.unconfirmed += 1

    def _read(self, trackings: Iterable[Tracking]) -> Iterator[Batch]:
        rows = iter(trackings)
        while records := [build_record(row, self._options.rows) for row in islice(rows, PAGE_SIZE)]:
            batch = self._compare(list({record.key: record for record in records}.values()))
            records.clear()
            yield batch

    def _compare(self, records: list[ShipmentRecord]) -> Batch:
        known = self._known({record.key: to_seconds(record.created_at) for record in records})
        batch = Batch()
        for record in records:
            old = known.get(record.key)
            self._unseen.pop(record.key, None)
            if record.created_at is None:
                self._undated.add(record.key)
            if old is None:
                batch.new.append(record)
                batch.status_changes.append(StatusChange(record.key, None, record.status, record.substatus))
                changed_at = None
            elif old.content_hash != record.content_hash or old.is_missing:
                batch.changed.append(record)
                if old.status != record.status:
                    batch.status_changes.append(StatusChange(record.key, old.status, record.status, record.substatus))
                changed_at = self._now
            else:
                batch.unchanged.append(record)
                changed_at = old.changed_at if old.changed_at != old.first_seen_at else None
            self._tracker.add(record, settled=is_settled(record, changed_at, self._now, self._options.settle))
        self.summary.read += len(records)
        return batch


def utc_now() -> datetime:
    """Return the time at which a load starts."""
    return datetime.now(UTC)


def run_load(load: Load, target: LoadTarget, progress: Callable[[LoadSummary], None] = lambda _: None) -> LoadState:
    """Run a load to its end. The caller then commits what the target has written, together with the returned state.

    :param load: the load.
    :param target: where the rows go.
    :param progress: called after each batch.
    :return: the state for the next load.
    :raises TrackingMoreError: if the account or the connection fails. Then nothing must be committed.
    """
    for batch in load.batches():
        load.summary.events.add(target.write(batch))
        progress(load.summary)
    return load.next_state()
