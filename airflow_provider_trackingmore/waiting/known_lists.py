"""The lists of an account: how long each is, and from when on it may be requested again."""

from __future__ import annotations

import math

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE
from airflow_provider_trackingmore.waiting.change_cursor import ChangeCursor
from airflow_provider_trackingmore.waiting.change_list import ChangeList
from airflow_provider_trackingmore.waiting.planner import Plan, plan
from airflow_provider_trackingmore.waiting.registry import WatchedShipment
from airflow_provider_trackingmore.waiting.schedule import Due

DAY = 86_400.0
LIST_MEMORY_SECONDS = 6 * 3600.0
"""How long to remember the length of the list of everything, and which shipments it leaves out."""
LONG_LIST_SECONDS = 300.0
"""For how long a list of everything with several pages counts as that long, whichever shipment it begins with. Then it
may be requested again to find out: by then the oldest open shipment may be a newer one."""
LONG_CHANGES_SECONDS = 300.0
"""For how long a list of changes that was too long counts as that long. Then it may be requested again to find out: by
then it begins later. The time doubles whenever the list is too long again ..."""
MAX_LONG_CHANGES_SECONDS = 1800.0
"""... up to this."""
REFUSED_LIST_SECONDS = 1800.0
"""When to retry a list that the vendor refused."""
SHIFTED_CHANGES_SECONDS = 60.0
"""When to retry a list of changes whose rows moved while it was read."""
UNKNOWN_TOTAL = 10**9
"""The number of rows of a list that does not say how long it is."""


class KnownLists:
    """The list of everything and the list of changes of one account. Times are those of the event loop, in seconds."""

    def __init__(self) -> None:
        self.cursor = ChangeCursor()
        self.changes_checked_at = -math.inf
        self.changes_per_second = 0.0
        self._changes_allowed_at = -math.inf
        self._long_changes_seconds = LONG_CHANGES_SECONDS
        self._changed_rows = 0
        self._long_changes = (0, -math.inf)  # rows, until when the list counts as that long
        self._everything: tuple[float, int, float] | None = None  # created since, rows, when that was seen
        self._everything_allowed_at = -math.inf

    def plan(self, due: Due, now: float) -> Plan:
        """Choose how to check what is due with the fewest calls.

        :param due: the shipments.
        :param now: event loop time in seconds.
        """
        self.cursor.advance(due.oldest_check)
        can_list_changes = self.cursor.since is not None and now >= self._changes_allowed_at
        stale = [shipment for shipment in due.stale if not shipment.unlisted]
        return plan(
            due.listable,
            len(stale),
            rows=self._rows(due.created_since, now),
            changed=self._expected_changed_rows(now) if can_list_changes else None,
            left_out=sum(1 for shipment in due.shipments if not shipment.unlisted and self._leaves_out(shipment, now)),
            stale_left_out=sum(1 for shipment in stale if self._leaves_out(shipment, now)),
            number_calls_a_round=due.number_rate / FILTER_NUMBERS * due.shortest_interval,
        )

    def _expected_changed_rows(self, now: float) -> int:
        """Return the expected number of rows of the list of changes."""
        rows, until = self._long_changes
        return rows if now < until else self._changed_rows

    def _leaves_out(self, shipment: WatchedShipment, now: float) -> bool:
        """Tell whether the list of everything leaves out a shipment, although it begins early enough."""
        if shipment.list_again_at <= now:
            return False
        return shipment.created is None or self._everything is None or shipment.created >= self._everything[0]

    def _rows(self, since: float, now: float) -> int | None:
        """Return the maximum number of rows of the list of everything; None if that is unknown or outdated."""
        if now < self._everything_allowed_at:
            return UNKNOWN_TOTAL
        if self._everything is None:
            return None
        created_since, rows, seen_at = self._everything
        if rows > PAGE_SIZE and now <= seen_at + LONG_LIST_SECONDS:
            return rows
        if created_since > since or now > seen_at + LIST_MEMORY_SECONDS:
            return None
        return rows if rows <= PAGE_SIZE or since <= created_since + DAY else None

    def record_everything(self, since: float, total: int | None, now: float) -> None:
        """Record how long the list of everything is.

        :param since: Unix seconds of the registration that it begins with.
        :param total: the number of its rows; None if the response does not say.
        :param now: event loop time in seconds.
        """
        self._everything = since, UNKNOWN_TOTAL if total is None else total, now

    def avoid_everything(self, now: float, seconds: float) -> None:
        """Do not request the list of everything for a while.

        :param now: event loop time in seconds.
        :param seconds: for how long.
        """
        self._everything_allowed_at = now + seconds

    def begin_changes(self, now: float) -> ChangeList:
        """Begin to read the list of changes.

        :param now: event loop time in seconds.
        """
        return ChangeList(self.cursor.since or 0, self.cursor.earliest_now(now), self.changes_per_second)

    def record_changes(self, rows: int, seen_until: float) -> None:
        """Record that the list of changes was read to its end, which counts as a check of every shipment.

        :param rows: the number of its rows.
        :param seen_until: the list has every change until then, in event loop time.
        """
        self._changed_rows = rows
        self._long_changes_seconds = LONG_CHANGES_SECONDS
        self._long_changes = (0, -math.inf)
        self.changes_checked_at = seen_until

    def avoid_changes(self, now: float, seconds: float) -> None:
        """Do not request the list of changes for a while.

        :param now: event loop time in seconds.
        :param seconds: for how long.
        """
        self._changes_allowed_at = now + seconds

    def record_long_changes(self, rows: int, now: float) -> None:
        """Record that the list of changes is too long at present, which it may not be for more shipments.

        :param rows: the number of its rows.
        :param now: event loop time in seconds.
        """
        self._long_changes = rows, now + self._long_changes_seconds
        self._long_changes_seconds = min(2 * self._long_changes_seconds, MAX_LONG_CHANGES_SECONDS)
