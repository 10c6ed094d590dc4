"""Store status reports: in Airflow's Variables, or in Redis if the rate limit is kept there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from airflow_provider_trackingmore.client.executor import AccountExecutor
from airflow_provider_trackingmore.client.redis_connection import KEY_PREFIX, connect_redis
from airflow_provider_trackingmore.status_reports.report import KEPT_SECONDS, SLOTS, report_name
from airflow_provider_trackingmore.variables import read_variable, write_variable

T = TypeVar("T")
DESCRIPTION = (
    "Written once a minute by a triggerer for the page Shipments: calls, next checks and counts. Safe to delete. "
    "[trackingmore] status_reports = False turns it off."
)


class ReportStorage(Protocol):
    """Stores reports by name."""

    async def get(self, name: str) -> str | None:
        """Return the report with a name; None if there is none."""

    async def set(self, name: str, text: str) -> None:
        """Store a report under a name."""


class VariableReports:
    """Reports in Airflow's Variables."""

    async def get(self, name: str) -> str | None:
        """Return the report with a name; None if there is none."""
        return await read_variable(name)

    async def set(self, name: str, text: str) -> None:
        """Store a report under a name."""
        await write_variable(name, text, DESCRIPTION)


class RedisReports:
    """Reports in Redis. They expire.

    :param url: the Redis server.
    :raises InvalidSettingsError: if the ``redis`` package is not installed or rejects the URL.
    """

    def __init__(self, url: str) -> None:
        self._redis, self._error = connect_redis(url)

    async def get(self, name: str) -> str | None:
        """Return the report with a name; None if there is none."""
        return _text(await run_blocking(lambda: self._redis.get(_key(name))))

    async def set(self, name: str, text: str) -> None:
        """Store a report under a name."""
        await run_blocking(lambda: self._redis.set(_key(name), text, ex=int(KEPT_SECONDS)))

    def read_all(self, account: str) -> Sequence[str]:
        """Read all reports on an account. This blocks.

        :param account: its fingerprint.
        :return: the reports; empty while Redis is unavailable.
        """
        found: list[bytes | str | None] = []
        with contextlib.suppress(self._error):
            found = list(self._redis.mget([_key(report_name(account, slot)) for slot in range(SLOTS)]))
        return [text for text in map(_text, found) if text is not None]


async def run_blocking(work: Callable[[], T]) -> T:
    """Run a blocking function in a separate thread, since all of Airflow shares the default ones.

    :param work: the function.
    :return: its result.
    """
    return await asyncio.get_running_loop().run_in_executor(_executor, work)


def _key(name: str) -> str:
    return f"{KEY_PREFIX}:{name}"


def _text(value: bytes | str | None) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


_executor = AccountExecutor("status-reports", max_threads=1)
