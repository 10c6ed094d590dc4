"""Write the status reports of one event loop, once a minute. If one cannot be written, no wait is affected."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import PACING_CHOICES
from airflow_provider_trackingmore.status_reports.report import (
    KEPT_QUOTA_READINGS,
    SLOTS,
    STALE_SECONDS,
    WRITE_SECONDS,
    Problem,
    QuotaReading,
    StatusReport,
    StatusReportError,
    merge_counts,
    report_name,
)
from airflow_provider_trackingmore.status_reports.storage import (
    RedisReports,
    ReportStorage,
    VariableReports,
    run_blocking,
)
from airflow_provider_trackingmore.waiting.cooperative import run_off_loop
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.pollers import Pollers
from airflow_provider_trackingmore.waiting.progress import WaitProgress

log = logging.getLogger(__name__)

FIRST_SECONDS = 10.0
"""The delay of the first report after the first wait."""
QUOTA_SECONDS = 3600.0
"""How often the quota is read with ``GET /trackings/getuserinfo``, which is free."""
QUOTA_WAIT_SECONDS = 10.0
"""How long that call may wait for the rate limit."""
WRITE_TIMEOUT_SECONDS = 50.0
"""For the report on one account, including the call for the quota."""


@dataclass(eq=False, slots=True)
class _Account:
    """An account with reports.

    :param client: a client of the account.
    :param storage: where its reports are stored.
    :param slot: this triggerer's slot; None before the first report.
    :param quota: readings of the quota, the oldest first.
    :param quota_due: when to read the quota next, in Unix seconds.
    :param is_finished: whether the last report had no waits and no watchers.
    :param has_failed: whether the last report could not be written.
    """

    client: TrackingMoreClient
    storage: ReportStorage
    slot: int | None = None
    quota: tuple[QuotaReading, ...] = ()
    quota_due: float = 0.0
    is_finished: bool = False
    has_failed: bool = False


def storage_of(client: TrackingMoreClient) -> ReportStorage:
    """Return where the reports on an account are stored: in Redis if its rate limit is kept there, else in Variables.

    :param client: a client of the account.
    """
    pacing = client.settings.pacing
    return VariableReports() if pacing in PACING_CHOICES else RedisReports(pacing)


class StatusReporter:
    """Writes the reports of one event loop, one for each account.

    :param pollers: the pollers of the event loop.
    :param open_storage: returns where the reports on an account are stored.
    :param clock: Unix seconds.
    """

    def __init__(
        self,
        pollers: Pollers,
        *,
        open_storage: Callable[[TrackingMoreClient], ReportStorage] = storage_of,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pollers = pollers
        self._open_storage = open_storage
        self._clock = clock
        self._host = socket.gethostname()
        self._instance = f"{self._host}:{os.getpid()}"
        self._accounts: dict[str, _Account] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to write reports, until there are no waits and no watchers. This may be called repeatedly."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="trackingmore-status-reports")

    async def _run(self) -> None:
        seconds = FIRST_SECONDS * random.uniform(1, 1.5)  # noqa: S311  # spreads, protects nothing
        while True:
            await asyncio.sleep(seconds)
            seconds = WRITE_SECONDS
            await self.write_all()
            is_finished = all(account.is_finished or account.has_failed for account in self._accounts.values())
            if is_finished and not self._pollers.all:
                return

    async def write_all(self) -> None:
        """Write a report for each account that has waits or watchers, or had any at the last report."""
        by_account: dict[str, list[Poller]] = {}
        for poller in self._pollers.all:
            client = poller.sender
            if isinstance(client, TrackingMoreClient):
                by_account.setdefault(client.account, []).append(poller)
                if client.account not in self._accounts:
                    self._accounts[client.account] = _Account(client, self._open_storage(client))
                self._accounts[client.account].client = client
        for fingerprint, account in self._accounts.items():
            pollers = by_account.get(fingerprint, [])
            if account.is_finished and not pollers:
                continue
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
                    await self._write(account, pollers)
            except Exception as error:
                level = logging.DEBUG if account.has_failed else logging.WARNING
                account.has_failed = True
                log.log(
                    level,
                    "Cannot report the status of account %s to the page Shipments (%s). Waits are not affected",
                    fingerprint,
                    type(error).__name__,
                )
            else:
                account.has_failed = False
                account.is_finished = not pollers

    async def _write(self, account: _Account, pollers: list[Poller]) -> None:
        name = account.client.account
        if account.slot is not None and not self._is_free(await _read(account, account.slot)):
            account.slot = None  # another triggerer has claimed the same slot at the same time
        if account.slot is None:
            await self._claim_slot(account)
        if pollers:
            await self._read_quota(account, pollers)
        report = await self._report(account, pollers)
        text = await run_off_loop(len(report.progress), report.to_text)
        await account.storage.set(report_name(name, account.slot or 0), text)

    async def _claim_slot(self, account: _Account) -> None:
        """Claim the first slot without a running triggerer, and continue its counts."""
        for slot in range(SLOTS):
            before = await _read(account, slot)
            if not self._is_free(before):
                continue
            account.slot = slot
            if before is not None:
                activity = self._pollers.activity(account.client.account)
                activity.releases = merge_counts(activity.releases, before.releases, now=self._clock())
                account.quota = _sorted_readings((*before.quota, *account.quota))
                if account.quota:
                    account.quota_due = account.quota[-1].read_at + QUOTA_SECONDS
            return
        raise NoFreeSlotError

    def _is_free(self, report: StatusReport | None) -> bool:
        """Tell whether a slot may be claimed, from the report in it."""
        if report is None or report.instance == self._instance or report.age(self._clock()) > STALE_SECONDS:
            return True
        return report.host == self._host and not _is_running(report.instance)

    async def _read_quota(self, account: _Account, pollers: Iterable[Poller]) -> None:
        """Read the quota if that is due and the account has no problem. Other calls of the account have priority."""
        now = self._clock()
        if now < account.quota_due or any(poller.problem is not None for poller in pollers):
            return
        account.quota_due = now + QUOTA_SECONDS
        try:
            found = await account.client.send_async(
                endpoints.get_account(), max_attempts=1, max_wait_seconds=QUOTA_WAIT_SECONDS
            )
        except TrackingMoreError as error:
            log.debug("Cannot read the quota of account %s: %s", account.client.account, error)
            return
        if found.quota_left is not None:
            account.quota = _sorted_readings((*account.quota, QuotaReading(now, found.quota_left)))

    async def _report(self, account: _Account, pollers: Iterable[Poller]) -> StatusReport:
        client = account.client
        progress: dict[int, WaitProgress] = {}
        problem: TrackingMoreError | None = None
        waits = watchers = 0
        for poller in pollers:
            progress |= await poller.read_progress()
            waits += poller.waits
            watchers += poller.watchers
            problem = problem or poller.problem
        usage, scope = await run_blocking(client.read_usage)
        cool_down = await run_blocking(client.cool_down_seconds)
        now = self._clock()
        activity = self._pollers.activity(client.account)
        return StatusReport(
            account=client.account,
            conn_ids=tuple(sorted(activity.conn_ids)),
            component="triggerer",
            host=self._host,
            instance=self._instance,
            written_at=now,
            requests_per_second=client.settings.requests_per_second,
            waits=waits,
            watchers=watchers,
            usage=usage,
            usage_scope=scope,
            cool_down_until=now + cool_down if cool_down else None,
            releases=activity.releases,
            quota=account.quota,
            problem=None if problem is None else Problem(type(problem).__name__, problem.hint_text),
            progress=progress,
        )


class NoFreeSlotError(Exception):
    """The account has reports of as many triggerers as there are slots."""


async def _read(account: _Account, slot: int) -> StatusReport | None:
    text = await account.storage.get(report_name(account.client.account, slot))
    try:
        return None if text is None else StatusReport.from_text(text)
    except StatusReportError:
        return None


def _is_running(instance: str) -> bool:
    """Tell whether a process on this host is running.

    :param instance: its host and process id.
    """
    process_id = instance.rpartition(":")[2]
    if not process_id.isdigit():
        return True
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sorted_readings(readings: Iterable[QuotaReading]) -> tuple[QuotaReading, ...]:
    return tuple(sorted(set(readings), key=lambda reading: reading.read_at))[-KEPT_QUOTA_READINGS:]
