"""What every request was and what came of it, without key and personal data. Bounded. Judges nothing."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .clock import iso
from .faults import Fault

CAPACITY = 250_000
"""Entries kept; the counts of the summary go on beyond."""
_SHOWN_NUMBERS = 40


@dataclass(slots=True)
class Entry:
    """One request.

    :param serial: counts all requests since the last reset.
    :param account: index of the account; None when the key is unknown.
    :param real: real time of arrival in unix seconds.
    :param clock: clock time of arrival in unix seconds.
    :param method: HTTP method.
    :param path: path below ``/v2``, as sent.
    :param query: the query, ``orders`` shortened to its count.
    :param endpoint: method and path pattern; None for an unknown path.
    """

    serial: int
    account: int | None
    real: float
    clock: float
    method: str
    path: str
    query: dict[str, str]
    endpoint: str | None = None
    body: dict[str, Any] | None = None
    http: int | None = None
    code: int | None = None
    fault: str | None = None
    items: int = 0
    effect: dict[str, int] = field(default_factory=dict)
    charged: float = 0.0

    def add_fault(self, fault: Fault | None) -> None:
        """Note a fault.

        :param fault: what hit the request; None for nothing.
        """
        if fault is not None:
            self.fault = fault.kind if self.fault is None else f"{self.fault}+{fault.kind}"

    def public(self) -> dict[str, Any]:
        """Show it.

        :return: a plain dict; ``http`` None means that no answer was sent.
        """
        shown = {name: getattr(self, name) for name in self.__slots__}
        return shown | {"clock": iso(self.clock), "clock_unix": self.clock}


@dataclass(slots=True)
class Totals:
    """Counts of one account."""

    requests: int = 0
    endpoints: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    quota_charged: float = 0.0

    def public(self) -> dict[str, Any]:
        """Show it.

        :return: counts by endpoint, by code, by fault and by created number.
        """
        return {
            "requests": self.requests,
            "by_endpoint": dict(self.endpoints),
            "by_code": dict(self.codes),
            "rate_limited": self.codes["429"],
            "faults": dict(self.faults),
            "created": dict(self.created),
            "created_twice": sorted(name for name, times in self.created.items() if times > 1),
            "quota_charged": round(self.quota_charged, 1),
        }


class Ledger:
    """All requests to ``/v2`` since the start or the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._entries: deque[Entry] = deque(maxlen=CAPACITY)
        self._totals: dict[int | None, Totals] = {}
        self._serial = 0

    def open(
        self, account: int | None, real: float, clock: float, method: str, path: str, query: dict[str, str]
    ) -> Entry:
        """Note an arrival.

        :param account: index of the account; None when the key is unknown.
        :param real: real time in unix seconds.
        :param clock: clock time in unix seconds.
        :param method: HTTP method.
        :param path: path below ``/v2``.
        :param query: the query.
        :return: the entry, to be completed.
        """
        self._serial += 1
        entry = Entry(self._serial, account, real, clock, method, path, _without_orders(query))
        self._entries.append(entry)
        return entry

    def close(self, entry: Entry, created: Iterable[str]) -> None:
        """Count a request that is over.

        :param entry: the completed entry.
        :param created: carrier/number of each shipment it registered.
        """
        totals = self._totals.setdefault(entry.account, Totals())
        totals.requests += 1
        totals.endpoints[entry.endpoint or "unknown"] += 1
        totals.codes["none" if entry.code is None else str(entry.code)] += 1
        if entry.fault:
            totals.faults.update(entry.fault.split("+"))
        totals.created.update(created)
        totals.quota_charged += entry.charged

    def entries(self, account: int | None, since: int, limit: int) -> list[Entry]:
        """Read entries, oldest first.

        :param account: index of the account; None for all, those with an unknown key too.
        :param since: only entries with a higher serial.
        :param limit: most entries.
        :return: the entries.
        """
        found: list[Entry] = []
        for entry in self._entries:
            if entry.serial > since and (account is None or entry.account == account):
                found.append(entry)
                if len(found) == limit:
                    break
        return found

    def summary(self, account: int | None) -> dict[str, Any]:
        """Add up.

        :param account: index of the account; None adds up all of them.
        :return: the counts.
        """
        if account is not None:
            return self._totals.get(account, Totals()).public()
        total = Totals()
        for part in self._totals.values():
            total.requests += part.requests
            total.endpoints += part.endpoints
            total.codes += part.codes
            total.faults += part.faults
            total.created += part.created
            total.quota_charged += part.quota_charged
        twice = {name for part in self._totals.values() for name in part.public()["created_twice"]}
        return total.public() | {"created_twice": sorted(twice)}

    @property
    def size(self) -> int:
        """Requests noted since the last reset."""
        return self._serial


def body_summary(body: bytes) -> dict[str, Any] | None:
    """Describe a body by its size, its field names and its shipments.

    :param body: the bytes of the request.
    :return: ``bytes``; of JSON also ``items``, ``fields``, up to 40 ``shipments`` (carrier/number); None for no body.
    """
    if not body:
        return None
    summary: dict[str, Any] = {"bytes": len(body)}
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return summary
    rows = [row for row in (content if isinstance(content, list) else [content]) if isinstance(row, dict)]
    summary["items"] = len(content) if isinstance(content, list) else 1
    summary["fields"] = sorted({str(name)[:40] for row in rows for name in row})[:40]
    summary["shipments"] = [_name(row) for row in rows[:_SHOWN_NUMBERS] if "tracking_number" in row]
    return summary


def _name(row: dict[str, Any]) -> str:
    return f"{row.get('carrier_code', '')}/{row['tracking_number']}"[:120]


def _without_orders(query: dict[str, str]) -> dict[str, str]:
    if "orders" not in query:
        return query
    return query | {"orders": f"{query['orders'].count(',') + 1} orders"}
