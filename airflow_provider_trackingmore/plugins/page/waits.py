"""The table of open waits: search, sort and page through a snapshot. Pure functions."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from airflow_provider_trackingmore.plugins.page.times import to_iso
from airflow_provider_trackingmore.plugins.task_waits import DeferredWait
from airflow_provider_trackingmore.waiting.progress import WaitProgress

MAX_LIMIT = 500
LATE_INTERVALS = 2
"""A check is late if it is overdue by more than this many ``poke_interval``, plus :data:`REPORT_SECONDS`."""
REPORT_SECONDS = 90.0
"""Triggerers report once a minute, so the newest report may be this old, and checks since then are unknown."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All open waits at one time.

    :param read_at: Unix seconds.
    :param waits: the waits, the longest first.
    :param progress: trigger id -> progress, as reported.
    :param undeferred: DAG -> number of sensors that wait on a worker or for their next reschedule.
    """

    read_at: float
    waits: list[DeferredWait]
    progress: Mapping[int, WaitProgress]
    undeferred: Mapping[str, int]


class SortBy(enum.StrEnum):
    """What the table can be sorted by."""

    DAG_ID = "dag_id"
    WAITING_SINCE = "waiting_since"
    NEXT_CHECK = "next_check"
    DEADLINE = "deadline"
    SHIPMENTS = "shipments"


@dataclass(frozen=True, slots=True)
class WaitQuery:
    """A query of the page.

    :param search: part of a DAG, task, order or tracking number; empty for all waits.
    :param sort: the column to sort by; None for late waits first, then the longest first.
    :param descending: whether to reverse the order. Waits without a value are last in either order.
    :param offset: how many waits to skip.
    :param limit: how many waits to return.
    :param late: whether to return only late waits.
    """

    search: str = ""
    sort: SortBy | None = None
    descending: bool = False
    offset: int = 0
    limit: int = 100
    late: bool = False


def late_reason(wait: DeferredWait, progress: WaitProgress | None, now: float) -> str | None:
    """Decide whether a wait is late.

    :param wait: the wait.
    :param progress: its reported progress; None if there is none.
    :param now: Unix seconds.
    :return: ``"deadline"`` if its deadline has passed, ``"check"`` if its next check is overdue, else None.
    """
    if wait.deadline is not None and now > wait.deadline:
        return "deadline"
    if progress is None or progress.next_check_at is None:
        return None
    overdue = now - progress.next_check_at
    return "check" if overdue > LATE_INTERVALS * wait.poke_interval + REPORT_SECONDS else None


def waiting_since(wait: DeferredWait) -> float:
    """Return when the task started, or else when it was deferred, in Unix seconds.

    :param wait: the wait.
    """
    return wait.deferred_at if wait.task.started_at is None else wait.task.started_at


def find_waits(snapshot: Snapshot, query: WaitQuery, readable: Set[str], now: float) -> dict[str, object]:
    """Answer a query of the page. Waits in DAGs that the user may not read are not counted.

    :param snapshot: all waits.
    :param query: the query.
    :param readable: the DAGs that the user may read.
    :param now: Unix seconds.
    :return: ``read_at``, ``total`` (that match), ``all``, ``late``, ``poke_waits`` (not deferred) and ``waits``.
    """
    # Only the returned rows become dicts: ten thousand new objects per request would trigger garbage collections.
    progress = snapshot.progress
    waits = [wait for wait in snapshot.waits if wait.task.key.dag_id in readable]
    late = [wait for wait in waits if late_reason(wait, progress.get(wait.trigger_id), now) is not None]
    found = late if query.late else waits
    if needle := " ".join(query.search.split()).casefold():
        found = [wait for wait in found if needle in wait.search_text]
    undeferred = sum(count for dag_id, count in snapshot.undeferred.items() if dag_id in readable)
    if query.sort is None:
        late_ids = {wait.trigger_id for wait in late}
        in_order = sorted(found, key=lambda wait: wait.trigger_id not in late_ids)
    else:
        in_order = _sorted(found, query.sort, query.descending, progress)
    rows = in_order[query.offset : query.offset + min(query.limit, MAX_LIMIT)]
    return {
        "read_at": to_iso(snapshot.read_at),
        "total": len(found),
        "all": len(waits),
        "late": len(late),
        "poke_waits": undeferred,
        "waits": [wait_to_json(wait, progress.get(wait.trigger_id), now) for wait in rows],
    }


def wait_to_json(wait: DeferredWait, progress: WaitProgress | None, now: float) -> dict[str, object]:
    """Return a row of the table.

    :param wait: the wait.
    :param progress: its reported progress; None if there is none.
    :param now: Unix seconds.
    """
    late = late_reason(wait, progress, now)
    return {
        "trigger_id": wait.trigger_id,
        **wait.task.key._asdict(),
        "label": wait.task.label,
        "conn_id": wait.conn_id,
        "orders": list(wait.order_names),
        "order_count": wait.order_count,
        "shipments": len(wait.shipments),
        "statuses": None if progress is None else dict(progress.statuses),
        "waiting_since": to_iso(waiting_since(wait)),
        "next_check": None if progress is None else to_iso(progress.next_check_at),
        "deadline": to_iso(wait.deadline),
        "is_late": late is not None,
        "late_reason": late,
    }


def _sorted(
    waits: list[DeferredWait], sort: SortBy, descending: bool, progress: Mapping[int, WaitProgress]
) -> list[DeferredWait]:
    """Sort waits. Those with equal values keep their order."""
    if sort is SortBy.DAG_ID:
        return sorted(waits, key=lambda wait: wait.task.key.dag_id, reverse=descending)

    def next_check(wait: DeferredWait) -> float | None:
        known = progress.get(wait.trigger_id)
        return None if known is None else known.next_check_at

    numbers: dict[SortBy, Callable[[DeferredWait], float | None]] = {
        SortBy.WAITING_SINCE: waiting_since,
        SortBy.NEXT_CHECK: next_check,
        SortBy.DEADLINE: lambda wait: wait.deadline,
        SortBy.SHIPMENTS: lambda wait: len(wait.shipments),
    }
    number = numbers[sort]
    sign = -1 if descending else 1

    def key(wait: DeferredWait) -> float:
        value = number(wait)
        return math.inf if value is None else sign * value

    return sorted(waits, key=key)
