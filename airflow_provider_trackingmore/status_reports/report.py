"""``StatusReport``: what one triggerer knows about one account, as a short text.

It contains figures about the account, times of checks and counts. It contains no keys, tracking numbers, orders or
personal data.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.client.rate_limit.usage import AccountUsage, counts_of_last_day
from airflow_provider_trackingmore.waiting.progress import WaitProgress

VERSION = "1"
WRITE_SECONDS = 60.0
"""How often a triggerer writes its reports."""
STALE_SECONDS = 180.0
"""If a report with open waits or watchers is older than this, its triggerer does not run any more."""
KEPT_SECONDS = 86_400.0
"""Older reports are ignored."""
MAX_LENGTH = 44_000
"""The maximum number of characters. Encrypted, as Airflow stores Variables, that is less than 60 kB."""
MAX_DECOMPRESSED_BYTES = 4_000_000
KEPT_QUOTA_READINGS = 48
SLOTS = 16
"""The maximum number of triggerers that report on one account."""
NAME_PREFIX = "trackingmore_status"
_ACCOUNT = re.compile(r"[0-9a-f]{16}")


class StatusReportError(TrackingMoreError):
    """A stored report is damaged, or was written by another version."""


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """The quota of an account at one time.

    :param read_at: Unix seconds.
    :param left: how many shipments can still be registered.
    """

    read_at: float
    left: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the calls of an account fail.

    :param error: the name of the exception.
    :param hint: what to do about it; empty if there is no hint.
    """

    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What one triggerer knows about one account. Times are Unix seconds.

    :param account: the fingerprint of the API key.
    :param conn_ids: the Airflow connections whose waits have used the account.
    :param component: the kind of process that wrote the report, ``"triggerer"``.
    :param host: the name of its host.
    :param instance: identifies the process.
    :param written_at: when the report was written.
    :param requests_per_second: the rate limit.
    :param waits: the number of deferred waits in the triggerer.
    :param watchers: the number of watchers in the triggerer.
    :param usage: how all processes that share the rate limit have used the account in the last day.
    :param usage_scope: where the usage is kept. Reports with the same scope have the same usage, so do not add it up.
    :param cool_down_until: when the cool-down after a 429 ends; None if there is none.
    :param releases: how many waits of this triggerer were released, by the start of a quarter of an hour.
    :param quota: readings of the quota, the oldest first.
    :param problem: why its calls fail; None if they succeed.
    :param progress: trigger id -> progress of its waits.
    :param left_out: how many waits did not fit into ``progress``.
    """

    account: str
    conn_ids: tuple[str, ...]
    component: str
    host: str
    instance: str
    written_at: float
    requests_per_second: float
    waits: int = 0
    watchers: int = 0
    usage: AccountUsage = field(default_factory=AccountUsage)
    usage_scope: str = ""
    cool_down_until: float | None = None
    releases: Mapping[int, int] = field(default_factory=dict)
    quota: tuple[QuotaReading, ...] = ()
    problem: Problem | None = None
    progress: Mapping[int, WaitProgress] = field(default_factory=dict)
    left_out: int = 0

    def is_stale(self, now: float) -> bool:
        """Tell whether its triggerer should have written another report by now.

        :param now: Unix seconds.
        """
        return bool(self.waits or self.watchers) and self.age(now) > STALE_SECONDS

    def age(self, now: float) -> float:
        """Return its age in seconds. It stays positive if the clock was set back.

        :param now: Unix seconds.
        """
        return abs(now - self.written_at)

    def to_text(self) -> str:
        """Serialize the report to at most :data:`MAX_LENGTH` characters, without the waits that are checked last."""
        report = self
        while True:
            text = f"{VERSION}.{_compress(_to_values(report))}"
            if len(text) <= MAX_LENGTH or not report.progress:
                return text
            room = int(len(report.progress) * 0.9 * MAX_LENGTH / len(text))
            report = replace(report, progress=_earliest_checks(report.progress, room))
            report = replace(report, left_out=self.left_out + len(self.progress) - len(report.progress))

    @classmethod
    def from_text(cls, text: str) -> StatusReport:
        """Parse a report.

        :param text: from :meth:`to_text`.
        :raises StatusReportError: if it is damaged, or was written by another version.
        """
        version, _, data = text.partition(".")
        if version != VERSION:
            raise StatusReportError("the status report was written by another version")
        try:
            return _from_values(json.loads(_decompress(data)))
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, zlib.error):
            raise StatusReportError("the status report is damaged") from None


def report_name(account: str, slot: int) -> str:
    """Return the name under which a report is stored.

    :param account: the fingerprint of the API key.
    :param slot: from 0 to :data:`SLOTS` - 1; a different one for each triggerer that reports on the account.
    """
    return f"{NAME_PREFIX}_{account}_{slot}"


def merge_counts(*counts: Mapping[int, int], now: float) -> dict[int, int]:
    """Add up counts of the last day.

    :param counts: counts by the start of a quarter of an hour, in Unix seconds.
    :param now: Unix seconds.
    """
    total: dict[int, int] = {}
    for by_quarter in counts:
        for begin, count in by_quarter.items():
            total[begin] = total.get(begin, 0) + count
    return counts_of_last_day(total, now)


def _earliest_checks(progress: Mapping[int, WaitProgress], number: int) -> dict[int, WaitProgress]:
    def key(item: tuple[int, WaitProgress]) -> float:
        at = item[1].next_check_at
        return math.inf if at is None else at

    return dict(sorted(progress.items(), key=key)[:number])


def _to_values(report: StatusReport) -> dict[str, Any]:
    problem = report.problem
    return {
        "account": report.account,
        "conn_ids": report.conn_ids,
        "component": report.component,
        "host": report.host,
        "instance": report.instance,
        "written_at": round(report.written_at, 3),
        "requests_per_second": report.requests_per_second,
        "waits": report.waits,
        "watchers": report.watchers,
        "usage": report.usage.to_json(),
        "usage_scope": report.usage_scope,
        "cool_down_until": report.cool_down_until,
        "releases": dict(report.releases),
        "quota": [[round(reading.read_at), reading.left] for reading in report.quota[-KEPT_QUOTA_READINGS:]],
        "problem": None if problem is None else [problem.error, problem.hint],
        "left_out": report.left_out,
        "progress": _progress_columns(report.progress, report.written_at),
    }


def _progress_columns(progress: Mapping[int, WaitProgress], written_at: float) -> dict[str, Any]:
    """Return columns of small numbers, which compress better than rows.

    Ids are stored as differences, times relative to the report, and equal counts once.
    """
    ids = sorted(progress)
    counts: dict[tuple[tuple[str, int], ...], int] = {}
    kinds, times = [], []
    for trigger_id in ids:
        wait = progress[trigger_id]
        kinds.append(counts.setdefault(tuple(sorted(wait.statuses.items())), len(counts)))
        times.append(None if wait.next_check_at is None else round(wait.next_check_at - written_at))
    return {
        "ids": [*ids[:1], *(after - before for before, after in pairwise(ids))],
        "times": times,
        "kinds": kinds,
        "counts": [dict(kind) for kind in counts],
    }


def _from_values(values: Mapping[str, Any]) -> StatusReport:
    written_at = _number(values["written_at"])
    problem = values["problem"]
    cool_down = values["cool_down_until"]
    account = str(values["account"])
    if not _ACCOUNT.fullmatch(account):
        raise ValueError("not a fingerprint")
    return StatusReport(
        account=account,
        conn_ids=tuple(str(conn_id) for conn_id in values["conn_ids"]),
        component=str(values["component"]),
        host=str(values["host"]),
        instance=str(values["instance"]),
        written_at=written_at,
        requests_per_second=_number(values["requests_per_second"]),
        waits=int(values["waits"]),
        watchers=int(values["watchers"]),
        usage=AccountUsage.from_json(values["usage"]),
        usage_scope=str(values["usage_scope"]),
        cool_down_until=None if cool_down is None else _number(cool_down),
        releases={int(begin): int(count) for begin, count in values["releases"].items()},
        quota=tuple(QuotaReading(_number(read_at), int(left)) for read_at, left in values["quota"]),
        problem=None if problem is None else Problem(str(problem[0]), str(problem[1])),
        progress=_progress(values["progress"], written_at),
        left_out=int(values["left_out"]),
    )


def _progress(columns: Mapping[str, Sequence[Any]], written_at: float) -> dict[int, WaitProgress]:
    counts = [{str(status): int(count) for status, count in kind.items()} for kind in columns["counts"]]
    return {
        trigger_id: WaitProgress(None if seconds is None else written_at + _number(seconds), counts[kind])
        for trigger_id, seconds, kind in zip(
            accumulate(map(int, columns["ids"])), columns["times"], columns["kinds"], strict=True
        )
    }


def _number(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # whatever is no number raises
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _compress(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")


def _decompress(data: str) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        text = decompressor.decompress(base64.b64decode(data, validate=True), MAX_DECOMPRESSED_BYTES)
    except binascii.Error:
        raise ValueError("not base64") from None
    if not decompressor.eof:
        raise ValueError("too large, or cut off")
    return text
