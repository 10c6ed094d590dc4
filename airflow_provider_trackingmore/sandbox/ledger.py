"""The ledger: every request to ``/v2`` and its outcome, without the API key and personal data."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .clock import format_time
from .faults import Fault

CAPACITY = 250_000
"""The number of entries kept; the summary counts all requests."""
_MAX_LISTED = 40


@dataclass(slots=True)
class Entry:
    """One request.

    :param serial: number of the request since the last reset.
    :param account: index of the account; None if the API key is unknown.
    :param real: real time of arrival in Unix seconds.
    :param clock: clock time of arrival in Unix seconds.
    :param method: HTTP method.
    :param path: path below ``/v2``, as sent.
    :param query: the query; of ``orders`` only the count.
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
        """Record a fault.

        :param fault: the fault that applied to the request; None for no fault.
        """
        if fault is not None:
            self.fault = fault.kind if self.fault is None else f"{self.fault}+{fault.kind}"

    def to_dict(self) -> dict[str, Any]:
        """Convert it to a dict.

        :return: the fields; ``http`` None means that no response was sent.
        """
        shown = {name: getattr(self, name) for name in self.__slots__}
        return shown | {"clock": format_time(self.clock), "clock_unix": self.clock}


@dataclass(slots=True)
class Totals:
    """The counts of one account."""

    requests: int = 0
    endpoints: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    quota_charged: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Convert it to a dict.

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
        """Remove all entries and counts."""
        self._entries: deque[Entry] = deque(maxlen=CAPACITY)
        self._totals: dict[int | None, Totals] = {}
        self._serial = 0

    def open_entry(
        self, account: int | None, real: float, clock: float, method: str, path: str, query: dict[str, str]
    ) -> Entry:
        """Add an entry for a request that has arrived.

        :param account: index of the account; None if the API key is unknown.
        :param real: real time in Unix seconds.
        :param clock: clock time in Unix seconds.
        :param method: HTTP method.
        :param path: path below ``/v2``.
        :param query: the query.
        :return: the entry, to be completed by the caller.
        """
        self._serial += 1
        entry = Entry(self._serial, account, real, clock, method, path, _redact_orders(query))
        self._entries.append(entry)
        return entry

    def close_entry(self, entry: Entry, created: Iterable[str]) -> None:
        """Count a request that has been answered.

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
        """Return entries, oldest first.

        :param account: index of the account; None for all requests, including those with an unknown key.
        :param since: only entries with a higher serial.
        :param limit: maximum number of entries.
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
        """Sum up the requests.

        :param account: index of the account; None for all accounts.
        :return: the counts.
        """
        if account is not None:
            return self._totals.get(account, Totals()).to_dict()
        total = Totals()
        for part in self._totals.values():
            total.requests += part.requests
            total.endpoints += part.endpoints
            total.codes += part.codes
            total.faults += part.faults
            total.created += part.created
            total.quota_charged += part.quota_charged
        twice = {name for part in self._totals.values() for name in part.to_dict()["created_twice"]}
        return total.to_dict() | {"created_twice": sorted(twice)}

    @property
    def request_count(self) -> int:
        """Number of requests since the last reset."""
        return self._serial


def summarize_body(body: bytes) -> dict[str, Any] | None:
    """Summarize a request body: its size, field names and shipments.

    :param body: the body.
    :return: ``bytes``; of JSON also ``items``, ``fields`` and up to 40 ``shipments``; None without a body.
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
    summary["shipments"] = [_shipment_label(row) for row in rows[:_MAX_LISTED] if "tracking_number" in row]
    return summary


def _shipment_label(row: dict[str, Any]) -> str:
    return f"{row.get('carrier_code', '')}/{row['tracking_number']}"[:120]


def _redact_orders(query: dict[str, str]) -> dict[str, str]:
    if "orders" not in query:
        return query
    return query | {"orders": f"{query['orders'].count(',') + 1} orders"}
