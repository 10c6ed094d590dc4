"""What is known of an account's lists: how long they are, and when each may be asked for. Pure."""

from __future__ import annotations

import math

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE
from airflow_provider_trackingmore.waiting.changes import ChangeCursor
from airflow_provider_trackingmore.waiting.planner import Plan, plan
from airflow_provider_trackingmore.waiting.schedule import Due

DAY = 86_400.0
LIST_MEMORY_SECONDS = 6 * 3600.0
"""The length of the list of everything, and that it leaves a shipment out, are remembered for so long."""
LONG_LIST_SECONDS = 300.0
"""A list of everything that was too long is tried again after this: the oldest open shipment may be newer by then."""
LONG_CHANGES_SECONDS = 1800.0
"""A list that was too long, or that the vendor refused, is tried again after this."""
SHIFTED_CHANGES_SECONDS = 60.0
"""A list of changes that moved while it was read is tried again after this."""
UNKNOWN_TOTAL = 10**9
"""Rows of a list that does not say how long it is."""


class KnownLists:
    """The list of everything and the list of changes of one account. Times are those of the event loop, in seconds."""

    def __init__(self) -> None:
        self.cursor = ChangeCursor()
        self.changes_checked_at = -math.inf
        self._changes_allowed_at = -math.inf
        self._changed_rows = 0
        self._everything: tuple[float, int, float] | None = None  # created since, rows, when that was seen
        self._everything_allowed_at = -math.inf

    def plan(self, due: Due, now: float) -> Plan:
        """Choose how to check what is due with the fewest calls.

        :param due: the shipments.
        :param now: seconds of the event loop.
        """
        self.cursor.advance(due.oldest_check)
        can_ask_for_changes = self.cursor.since is not None and now >= self._changes_allowed_at
        stale = [shipment for shipment in due.stale if not shipment.unlisted]
        # A list of everything that leaves all of them out does not help them.
        is_left_out = bool(stale) and all(shipment.list_again_at > now for shipment in stale)
        return plan(
            due.listable,
            len(stale),
            rows=UNKNOWN_TOTAL if is_left_out else self._rows(due.created_since, now),
            changed=self._changed_rows if can_ask_for_changes else None,
            prefer_all=due.number_rate / FILTER_NUMBERS > 1 / due.shortest_interval,
        )

    def _rows(self, since: float, now: float) -> int | None:
        """How many rows the list of everything has, at most; None when that is not known (any more)."""
        if now < self._everything_allowed_at:
            return UNKNOWN_TOTAL
        if self._everything is None:
            return None
        created_since, rows, seen_at = self._everything
        if created_since > since or now > seen_at + LIST_MEMORY_SECONDS:
            return None
        return rows if rows <= PAGE_SIZE or since <= created_since + DAY else None

    def record_everything(self, since: float, total: int | None, now: float) -> None:
        """Take in how long the list of everything is.

        :param since: unix seconds of the registration that it begins with.
        :param total: its rows; None: the answer does not say.
        :param now: seconds of the event loop.
        """
        self._everything = since, UNKNOWN_TOTAL if total is None else total, now

    def avoid_everything(self, now: float, seconds: float) -> None:
        """Do not ask for the list of everything for a while.

        :param now: seconds of the event loop.
        :param seconds: for how long.
        """
        self._everything_allowed_at = now + seconds

    def record_changes(self, rows: int, began: float) -> None:
        """The list of changes was read to its end, which counts as a check of every shipment.

        :param rows: its length.
        :param began: when its first page came, in seconds of the event loop.
        """
        self._changed_rows = rows
        self.changes_checked_at = began

    def avoid_changes(self, now: float, seconds: float) -> None:
        """Do not ask for the list of changes for a while.

        :param now: seconds of the event loop.
        :param seconds: for how long.
        """
        self._changes_allowed_at = now + seconds
