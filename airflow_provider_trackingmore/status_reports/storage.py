"""Where reports are stored: Airflow's Variables, or Redis where the rate limit is kept there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from airflow_provider_trackingmore.client.executor import AccountExecutor
from airflow_provider_trackingmore.client.redis_connection import KEY_PREFIX, connect_redis
from airflow_provider_trackingmore.status_reports.report import KEPT_SECONDS, SLOTS, report_name

T = TypeVar("T")
DESCRIPTION = (
    "Written once a minute by a triggerer for the page Shipments: calls, next checks and counts. Safe to delete. "
    "[trackingmore] status_reports = False turns it off."
)


class ReportStorage(Protocol):
    """Keeps reports by name."""

    async def get(self, name: str) -> str | None:
        """Return a report; None if there is none."""

    async def set(self, name: str, text: str) -> None:
        """Store a report."""


class VariableReports:
    """Reports in Airflow's Variables.

    Their API blocks, so it runs in a thread: one of asgiref, in which Airflow finds its way back to the event loop.
    """

    async def get(self, name: str) -> str | None:
        """Return a report; None if there is none."""
        from airflow.providers.common.compat.sdk import Variable
        from asgiref.sync import sync_to_async

        value = await sync_to_async(Variable.get, thread_sensitive=False)(name, None)
        return value if isinstance(value, str) else None

    async def set(self, name: str, text: str) -> None:
        """Store a report."""
        from airflow.providers.common.compat.sdk import Variable
        from asgiref.sync import sync_to_async

        await sync_to_async(Variable.set, thread_sensitive=False)(name, text, DESCRIPTION)


class RedisReports:
    """Reports in Redis. They expire.

    :param url: the Redis server.
    :raises InvalidSettingsError: if the ``redis`` package is not installed or rejects the URL.
    """

    def __init__(self, url: str) -> None:
        self._redis, self._error = connect_redis(url)

    async def get(self, name: str) -> str | None:
        """Return a report; None if there is none."""
        return _text(await run_blocking(lambda: self._redis.get(_key(name))))

    async def set(self, name: str, text: str) -> None:
        """Store a report."""
        await run_blocking(lambda: self._redis.set(_key(name), text, ex=int(KEPT_SECONDS)))

    def read_all(self, account: str) -> Sequence[str]:
        """Read all reports on an account. This blocks; none are returned while Redis is unavailable.

        :param account: its fingerprint.
        """
        found: list[bytes | str | None] = []
        with contextlib.suppress(self._error):
            found = list(self._redis.mget([_key(report_name(account, slot)) for slot in range(SLOTS)]))
        return [text for text in map(_text, found) if text is not None]


async def run_blocking(work: Callable[[], T]) -> T:
    """Run what blocks in a thread of its own, since the default ones are everybody's.

    :param work: the function.
    :return: its result.
    """
    return await asyncio.get_running_loop().run_in_executor(_executor, work)


def _key(name: str) -> str:
    return f"{KEY_PREFIX}:{name}"


def _text(value: bytes | str | None) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


_executor = AccountExecutor("status-reports", max_threads=1)
