"""The accounts as the page shows them: pure functions of the status reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from itertools import pairwise

from airflow_provider_trackingmore.client.rate_limit.usage import (
    KEPT_QUARTERS,
    QUARTER_SECONDS,
    AccountUsage,
    quarter_of,
)
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.plugins.page.times import to_iso
from airflow_provider_trackingmore.status_reports.report import QuotaReading, StatusReport, merge_counts

HOUR = 3_600.0
DAY = 86_400.0
SHORTEST_QUOTA_SPAN = HOUR
"""A rate of use that was measured over less time is not meaningful."""
LATEST_DAY = 3_650.0
"""Days. A quota that lasts longer has no such date."""


def accounts_to_json(
    reports: Sequence[StatusReport],
    waits: Mapping[str, int],
    settings: Mapping[str, ClientSettings | None],
    visible: Set[str],
    now: float,
) -> dict[str, object]:
    """Describe all accounts with reports, and those with waits but without reports.

    The figures are those of the whole account, since all of its DAGs share the rate limit. They contain no DAG.

    :param reports: the reports, the newest first.
    :param waits: connection -> number of its waits in DAGs that the user may read.
    :param settings: the settings of these connections; None for one that cannot be used.
    :param visible: the connections that the user may see.
    :param now: Unix seconds.
    :return: ``accounts``: a list of accounts, each a dict.
    """
    by_account: dict[str, list[StatusReport]] = {}
    for report in reports:
        by_account.setdefault(report.account, []).append(report)
    conn_ids: dict[str, set[str]] = {}
    unusable = []
    for conn_id in sorted(waits):
        known = settings.get(conn_id)
        if known is None:
            unusable.append(conn_id)
        else:
            conn_ids.setdefault(known.fingerprint, set()).add(conn_id)
    accounts = []
    for name in sorted({*by_account, *conn_ids}):
        found = by_account.get(name, [])
        named = conn_ids.get(name, set()) | {
            conn_id for report in found for conn_id in report.conn_ids if conn_id in visible
        }
        accounts.append(_account(name, found, sorted(named), sum(waits.get(conn_id, 0) for conn_id in named), now))
    return {"accounts": [*accounts, *(_unusable(conn_id, waits[conn_id]) for conn_id in unusable)]}


def _account(
    name: str, reports: Sequence[StatusReport], conn_ids: Sequence[str], waits: int, now: float
) -> dict[str, object]:
    current = [report for report in reports if not report.is_stale(now)]
    usages = _usages(reports)
    calls = merge_counts(*(usage.calls for usage in usages), now=now)
    limited = [usage.last_429_at for usage in usages if usage.last_429_at is not None]
    cool_downs = [report.cool_down_until for report in reports if (report.cool_down_until or 0) > now]
    quota = _quota_readings(reports)
    problems = [report.problem for report in current if report.problem is not None]
    rate = reports[0].requests_per_second if reports else None
    error = (
        {"message": f"The calls of the triggerer fail: {problems[0].error}.", "hint": problems[0].hint or None}
        if problems
        else None
    )
    users = {(user.component, user.host): user for usage in usages for user in usage.users}
    return {
        "conn_ids": list(conn_ids),
        "account": name,
        "requests_per_second": rate,
        "calls_last_hour": calls_of_last_hour(calls, now) if reports else None,
        "max_calls_last_hour": None if rate is None else round(rate * HOUR),
        "cool_down_until": to_iso(max(filter(None, cool_downs), default=None)),
        "last_429_at": to_iso(max(limited, default=None)),
        "quota_left": quota[-1].left if quota else None,
        "quota_ends_on": quota_ends_on(quota, now),
        "error": error,
        "reporters": [_reporter(report, now) for report in reports],
        "users": [
            {"component": user.component, "host": user.host, "last_call_at": to_iso(user.last_call_at)}
            for user in sorted(users.values(), key=lambda user: -user.last_call_at)
        ],
        "history": _history(calls, merge_counts(*(report.releases for report in reports), now=now), now),
        "waits": sum(report.waits for report in current) if current else waits,
    }


def _unusable(conn_id: str, waits: int) -> dict[str, object]:
    error = {
        "message": f"The connection {conn_id} is missing, or it cannot be used.",
        "hint": f"Run: airflow connections test {conn_id}",
    }
    return {**_account("", [], [conn_id], waits, 0.0), "account": None, "error": error, "history": []}


def _reporter(report: StatusReport, now: float) -> dict[str, object]:
    return {
        "component": report.component,
        "host": report.host,
        "written_at": to_iso(report.written_at),
        "waits": report.waits,
        "watchers": report.watchers,
        "is_stale": report.is_stale(now),
    }


def _usages(reports: Iterable[StatusReport]) -> list[AccountUsage]:
    """Return the newest usage of each scope."""
    found: dict[str, AccountUsage] = {}
    for report in reports:
        found.setdefault(report.usage_scope, report.usage)
    return list(found.values())


def calls_of_last_hour(calls: Mapping[int, int], now: float) -> int:
    """Estimate the calls of the last hour, with a share of the quarter of an hour in which it began.

    :param calls: calls by the start of a quarter of an hour, in Unix seconds.
    :param now: Unix seconds.
    """
    begin = now - HOUR
    first = quarter_of(begin)
    share = 1 - (begin - first) / QUARTER_SECONDS
    whole = sum(count for quarter, count in calls.items() if first < quarter <= now)
    return round(whole + share * calls.get(first, 0))


def _quota_readings(reports: Iterable[StatusReport]) -> list[QuotaReading]:
    return sorted({reading for report in reports for reading in report.quota}, key=lambda reading: reading.read_at)


def quota_ends_on(readings: Sequence[QuotaReading], now: float) -> str | None:
    """Estimate the day on which the quota runs out, at the rate of use in the readings. Top-ups are ignored.

    :param readings: the readings, the oldest first.
    :param now: Unix seconds.
    :return: a date such as ``2026-12-24``; None if nothing is used, or too little is known.
    """
    if len(readings) < 2 or readings[-1].read_at - readings[0].read_at < SHORTEST_QUOTA_SPAN:
        return None
    used = sum(max(0, before.left - after.left) for before, after in pairwise(readings))
    if not used:
        return None
    days = readings[-1].left / used * (readings[-1].read_at - readings[0].read_at) / DAY
    if days > LATEST_DAY:
        return None
    return datetime.fromtimestamp(max(now, readings[-1].read_at + days * DAY), UTC).date().isoformat()


def _history(calls: Mapping[int, int], releases: Mapping[int, int], now: float) -> list[dict[str, object]]:
    newest = quarter_of(now)
    quarters = range(newest - (KEPT_QUARTERS - 1) * QUARTER_SECONDS, newest + 1, QUARTER_SECONDS)
    return [
        {"begin": to_iso(quarter), "calls": calls.get(quarter, 0), "releases": releases.get(quarter, 0)}
        for quarter in quarters
    ]
