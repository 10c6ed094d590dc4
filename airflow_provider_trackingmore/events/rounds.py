"""Compare the lists with what a watcher knows: which changes to report, and the state after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.events.changes import ShipmentChange
from airflow_provider_trackingmore.events.watch_state import LastSeen, WatchState
from airflow_provider_trackingmore.loading.load import MAX_OPEN, SETTLE
from airflow_provider_trackingmore.loading.window import LoadWindow, WindowTracker, is_settled
from airflow_provider_trackingmore.waiting.history import supersedes
from airflow_provider_trackingmore.waiting.list_subscriptions import ListUpdate
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.responses import ObservedRow


@dataclass(frozen=True, slots=True)
class Reporting:
    """Which changes a watcher reports.

    :param account: the name of the account; it is part of each ``id``.
    :param scope: identifies the filters.
    :param statuses: the statuses to report; empty for all.
    :param include_existing: whether the first round reports every shipment.
    """

    account: str
    scope: str = ""
    statuses: frozenset[str] = frozenset()
    include_existing: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """The result of a round.

    :param changes: the changes to report.
    :param state: the state after them.
    :param unlisted: the shipments that the list of everything has left out, which must be checked by number; None if
        that list was not read.
    """

    changes: list[ShipmentChange]
    state: WatchState
    unlisted: Sequence[ShipmentKey] | None


def compare(
    base: WatchState | None,
    update: ListUpdate,
    by_number: Mapping[ShipmentKey, Observation],
    window: LoadWindow,
    reporting: Reporting,
    now: datetime,
) -> Round:
    """Compare the content of the lists with the state after the previous round.

    :param base: that state; None in the first round.
    :param update: the content of the lists.
    :param by_number: normalized key -> newest state of shipments that the lists have left out.
    :param window: where the lists began.
    :param reporting: which changes to report.
    :param now: the current time in UTC.
    :return: the changes to report, and the next state.
    """
    comparison = _Comparison(base, window, reporting, now)
    listed = {row.key: row for row in update.listed}
    changed = {row.key: row for row in update.changed}
    for key, observed in by_number.items():
        if key not in listed and key not in changed:
            comparison.add_by_number(key, observed, may_settle=key not in update.by_number)
    for key, row in listed.items():
        comparison.add(changed.get(key, row), window_row=row)
    if update.is_full:
        comparison.tracker.finish_window()
    for key, row in changed.items():
        if key not in listed:
            comparison.add(row)
    return comparison.finish(listed.keys() | changed.keys(), is_full=update.is_full)


class _Comparison:
    def __init__(self, base: WatchState | None, window: LoadWindow, reporting: Reporting, now: datetime) -> None:
        self._is_first = base is None
        self._base = base = base or WatchState(scope=reporting.scope)
        self._reporting = reporting
        self._now = now
        self._shipments = dict(base.shipments)
        self._forgotten_until = base.forgotten_until
        self._sequence = max(base.sequence, int(now.timestamp() * 1000) - 1)
        self._changes: list[ShipmentChange] = []
        self.tracker = WindowTracker(base.load_state, window, now, MAX_OPEN)

    def add(self, row: ObservedRow, window_row: ObservedRow | None = None, *, may_settle: bool = True) -> None:
        """Compare a row with the known state of its shipment.

        :param row: the newest row of the shipment.
        :param window_row: its row in the list of everything, if there is one.
        :param may_settle: whether it may be dropped as settled.
        """
        if row.observed is None or row.observed.status is None or row.sent_key is None:
            return
        known = self._shipments.get(row.key)
        status = row.observed.status
        if known is None:
            is_new = self._reporting.include_existing if self._is_first else self._is_new(row)
            if is_new:
                self._report(row, None)
            seen = self._seen(row, self._now if is_new and not self._is_first else None)
        elif not supersedes(row.observed, known.observed, reopens=True):
            seen = known
        elif status == known.status:
            seen = self._seen(row, _from_seconds(known.changed), known.round)
        else:
            self._report(row, known)
            seen = self._seen(row, self._now)
        settled = may_settle and is_settled(row, _from_seconds(seen.changed), self._now, SETTLE)
        if settled:
            self._shipments.pop(row.key, None)
            self._forgotten_until = max(self._forgotten_until, _newest_time(row))
        else:
            self._shipments[row.key] = seen
        self.tracker.add(window_row or row, settled=settled)

    def add_by_number(self, key: ShipmentKey, observed: Observation, *, may_settle: bool) -> None:
        """Compare a shipment that the lists have left out; drop it if it is no longer registered.

        :param key: the shipment, normalized.
        :param observed: its state.
        :param may_settle: whether it may be dropped as settled. One that was checked because of a hint may not: its
            ``updated_at`` is not known, so the next list would report it as new.
        """
        known = self._shipments.get(key)
        if known is None:
            return
        if observed.status is None:
            del self._shipments[key]
            return
        row = ObservedRow(key, observed, None if known.created is None else float(known.created), None, known.key)
        self.add(row, may_settle=may_settle)

    def _is_new(self, row: ObservedRow) -> bool:
        """Tell whether an unknown shipment is new, rather than one that was dropped after it had settled."""
        return not row.is_final or _newest_time(row) > self._base.forgotten_until

    def _seen(self, row: ObservedRow, changed: datetime | None, round_number: int | None = None) -> LastSeen:
        observed, key = row.observed, row.sent_key
        assert observed is not None  # noqa: S101
        assert observed.status is not None  # noqa: S101
        assert key is not None  # noqa: S101
        return LastSeen(
            key,
            observed.status,
            observed.last_update if observed.status == ShipmentStatus.DELIVERED.value else None,
            None if row.created is None else int(row.created),
            None if changed is None else int(changed.timestamp()),
            self._base.round + 1 if round_number is None else round_number,
        )

    def _report(self, row: ObservedRow, known: LastSeen | None) -> None:
        observed, key = row.observed, row.sent_key
        assert observed is not None  # noqa: S101
        assert key is not None  # noqa: S101
        status, previous = str(observed.status), None if known is None else known.status
        if self._reporting.statuses and status not in self._reporting.statuses:
            return
        self._sequence += 1
        self._changes.append(
            {
                "id": change_id(self._reporting.account, key, previous, status, self._since(row, known)),
                "carrier_code": key.carrier_code,
                "tracking_number": key.tracking_number,
                "order_id": observed.order_id,
                "status": status,
                "previous_status": previous,
                "substatus": observed.substatus,
                "delivered_at": observed.delivered_at,
                "last_update": observed.last_update,
                "observed_at": self._now.isoformat(timespec="seconds"),
                "sequence": self._sequence,
            }
        )

    def _since(self, row: ObservedRow, known: LastSeen | None) -> str:
        """Return what a change starts from: the round of the previous status, or the time that makes a shipment new."""
        if known is not None:
            return str(known.round)
        if row.created is not None and row.created > self._base.forgotten_until:
            return f"created {row.created:.0f}"
        return f"round {self._base.round}" if row.updated is None else f"updated {row.updated:.0f}"

    def finish(self, found: set[ShipmentKey], *, is_full: bool) -> Round:
        """Return the result.

        :param found: the shipments that the lists contained, normalized.
        :param is_full: whether the list of everything was read.
        """
        base = self._base
        mark, cursor, unlisted = base.mark, base.cursor, None
        if is_full:
            missing = [seen for key, seen in self._shipments.items() if key not in found]
            unlisted = [seen.key for seen in missing]
            for seen in missing:
                self.tracker.keep_open(seen.key, seen.created)
            after = self.tracker.next_state()
            mark, cursor = after.mark, after.cursor
        state = WatchState(
            round=base.round + 1,
            mark=mark,
            cursor=cursor,
            forgotten_until=self._forgotten_until,
            sequence=self._sequence if self._changes else base.sequence,
            scope=base.scope,
            shipments=self._shipments,
        )
        return Round(self._changes, state, unlisted)


def change_id(account: str, key: ShipmentKey, previous: str | None, status: str, since: str) -> str:
    """Return the ``id`` of a change. It does not depend on our clock, so a change that is reported again keeps it.

    :param account: the name of the account.
    :param key: the shipment.
    :param previous: its previous status; None if it was unknown.
    :param status: its new status.
    :param since: what the change starts from, such as the number of the round of the previous status.
    """
    parts = (account, *key.normalized, previous or "", status, since)
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _newest_time(row: ObservedRow) -> int:
    """Return the newest time on the vendor's clock, in Unix seconds; -1 if there is none."""
    return int(max(row.created or -1.0, row.updated or -1.0))


def _from_seconds(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
