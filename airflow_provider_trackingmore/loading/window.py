"""Decide what a load requests, and where the window of the next load begins.

Not every change can be found by ``updated_at``, which may be null. So a load lists all shipments that were registered
since a mark: the registration of the oldest shipment that is not settled. Three more requests complete the list: older
shipments that have changed according to ``updated_at``; older shipments that are not settled, by number; and shipments
that should have been in the list but were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from airflow_provider_trackingmore.api.dates import to_unix_seconds
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.state import LoadState

OVERLAP_SECONDS = 3600
"""How far before the newest change of the previous load the next one begins. This covers changes that the vendor
records a little late, and clocks that differ. It costs no request, because a settled shipment rarely changes."""


class WindowRow(Protocol):
    """The times of a shipment, such as :class:`~.rows.ShipmentRecord`."""

    @property
    def key(self) -> ShipmentKey:
        """Carrier and number."""

    @property
    def is_final(self) -> bool:
        """Whether its status is final."""

    @property
    def created_at(self) -> datetime | None:
        """When it was registered."""

    @property
    def updated_at(self) -> datetime | None:
        """When the vendor last changed it."""

    @property
    def active_at(self) -> datetime | None:
        """The latest time of any activity."""


@dataclass(frozen=True, slots=True)
class LoadWindow:
    """What a load requests.

    :param created_from: list what was registered since then (Unix seconds); None for everything.
    :param changed_from: list what was registered earlier and has changed since then; None for nothing.
    """

    created_from: int | None
    changed_from: int | None


def plan_window(state: LoadState, *, full_refresh: bool) -> LoadWindow:
    """Plan a load.

    :param state: the state after the previous load.
    :param full_refresh: whether to list everything.
    :return: what to request.
    """
    if full_refresh or state.mark is None:
        return LoadWindow(None, None)
    return LoadWindow(state.mark, state.cursor if state.cursor is not None else 0)


def window_filters(window: LoadWindow, filters: Mapping[str, object]) -> dict[str, object]:
    """Return the filters of the list of the window.

    :param window: what the load requests.
    :param filters: the user's filters.
    :return: the user's filters, with ``created_at_min`` raised to the beginning of the window.
    """
    combined = dict(filters)
    if window.created_from is not None:
        # One second earlier: it is not documented whether the bound is inclusive.
        combined["created_at_min"] = max(window.created_from - 1, to_unix_seconds(filters.get("created_at_min")) or 0)
    return combined


def change_filters(window: LoadWindow, filters: Mapping[str, object]) -> dict[str, object] | None:
    """Return the filters of the list of what was registered before the window and has changed since.

    :param window: what the load requests.
    :param filters: the user's filters.
    :return: the filters; None if there is no such list.
    """
    if window.created_from is None or window.changed_from is None:
        return None
    given = to_unix_seconds(filters.get("created_at_max"))
    end = window.created_from if given is None else min(window.created_from, given)
    return {**filters, "created_at_max": end, "update_time_min": window.changed_from}


def is_settled(record: WindowRow, changed_at: datetime | None, now: datetime, settle: timedelta) -> bool:
    """Decide whether a shipment is settled: delivered or expired, and unchanged for some time.

    :param record: the shipment.
    :param changed_at: when a load last saw it change; None if none has.
    :param now: the start of this load.
    :param settle: how long it must be unchanged.
    :return: whether later loads can omit it.
    """
    if not record.is_final:
        return False
    times = [time for time in (record.active_at, changed_at) if time is not None]
    return bool(times) and now - max(times) >= settle


class WindowTracker:
    """Tracks which shipments a load has read, to compute the state after it.

    :param state: the state after the previous load.
    :param window: what this load requests.
    :param now: the start of this load.
    :param max_open: how long a shipment may hold the window open; older ones are requested by number.
    """

    def __init__(self, state: LoadState, window: LoadWindow, now: datetime, max_open: timedelta) -> None:
        self._state = state
        self._window = window
        self._now = int(now.timestamp())
        self._oldest = self._now - int(max_open.total_seconds())
        self._newest_created: int | None = None
        self._newest_change: int | None = None
        self._listed_window = False
        self.open: dict[ShipmentKey, int | None] = {}

    def add(self, record: WindowRow, *, settled: bool) -> None:
        """Record a shipment that a response contained.

        :param record: the shipment.
        :param settled: whether it is settled.
        """
        created_at = to_seconds(record.created_at)
        if not settled:
            self.open[record.key] = created_at
        if self._listed_window:
            return
        if created_at is not None:
            self._newest_created = max(self._newest_created or 0, created_at)
        if record.updated_at is not None:
            self._newest_change = max(self._newest_change or 0, int(record.updated_at.timestamp()))

    def keep_open(self, key: ShipmentKey, created_at: int | None) -> None:
        """Keep a shipment open that this load could not read.

        :param key: the shipment.
        :param created_at: Unix seconds of its registration.
        """
        self.open[key] = created_at

    def finish_window(self) -> None:
        """Record that the list of the window is complete. The request for older changes comes next.

        Later responses do not move the cursor: an older shipment that changes while its list is read may be missing
        from it.
        """
        self._listed_window = True

    def next_state(self) -> LoadState:
        """Return the state after this load."""
        return LoadState(self._state.sequence + 1, self._next_mark(), self._next_cursor(), self.open)

    def _next_mark(self) -> int:
        start = self._window.created_from if self._window.created_from is not None else 0
        newest = self._newest_created if self._newest_created is not None else self._state.mark or 0
        # The mark moves on even if nothing is open, or only a shipment that is dated in the future.
        latest = min(newest, self._now) - OVERLAP_SECONDS
        oldest = max(start, self._oldest)
        holding = (created for created in self.open.values() if created is not None and created >= oldest)
        return max(start, min(latest, min(holding, default=latest)))

    def _next_cursor(self) -> int:
        newest = 0 if self._newest_change is None else min(self._newest_change, self._now) - OVERLAP_SECONDS
        return max(self._state.cursor or 0, newest, 0)


def to_seconds(time: datetime | None) -> int | None:
    """Convert a time to Unix seconds.

    :param time: an aware datetime; None for none.
    :return: whole seconds, rounded down; None for none.
    """
    return int(time.timestamp()) if time is not None else None


def format_seconds(seconds: int | None) -> str | None:
    """Format Unix seconds in ISO 8601, in UTC.

    :param seconds: Unix seconds; None for none.
    :return: such as ``2026-03-02T08:00:00+00:00``; None for none.
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds is not None else None
