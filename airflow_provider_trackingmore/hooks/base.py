"""The base of the hook: it creates the client for an Airflow connection and runs request flows with it."""

from __future__ import annotations

import math
import time
from typing import Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.runner import run
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.hooks.connection import settings_from
from airflow_provider_trackingmore.hooks.hints import AIRFLOW_HINTS
from airflow_provider_trackingmore.metrics import METRICS

T = TypeVar("T")


class TrackingMoreBaseHook(BaseHook):
    """Send requests with the account of an Airflow connection; the base class of ``TrackingMoreHook``.

    :param trackingmore_conn_id: the Airflow connection.
    :param max_wait_seconds: how long one request may wait in total, for the rate limit and before retries; None for no
        limit.
    :param wait_until: the time of ``time.monotonic()`` until which requests may wait, however many there are; None for
        no limit.
    """

    conn_name_attr = "trackingmore_conn_id"
    default_conn_name = "trackingmore_default"
    conn_type = "trackingmore"
    hook_name = "TrackingMore"
    component = "worker"
    """The kind of process that uses the connection: who shares the rate limit is recorded by it."""

    def __init__(
        self,
        trackingmore_conn_id: str = default_conn_name,
        *,
        max_wait_seconds: float | None = None,
        wait_until: float | None = None,
    ) -> None:
        super().__init__()
        self.wait_until = wait_until
        self.max_wait_seconds = max_wait_seconds
        self.trackingmore_conn_id = trackingmore_conn_id
        self._client: TrackingMoreClient | None = None

    def get_conn(self) -> TrackingMoreClient:
        """Return the client for the connection. It is created by the first call; no request is sent.

        :return: the same client for all calls until :meth:`close`.
        :raises InvalidSettingsError: if a field of the connection is invalid.
        """
        if self._client is None:
            connection = self.get_connection(self.trackingmore_conn_id)
            self._client = _new_client(settings_from(connection, connection.extra_dejson), self.component)
        return self._client

    async def aget_conn(self) -> TrackingMoreClient:
        """Return the client like :meth:`get_conn`, without blocking the event loop; for triggers.

        :return: as for :meth:`get_conn`.
        :raises InvalidSettingsError: as for :meth:`get_conn`.
        """
        if self._client is None:
            connection = await get_async_connection(self.trackingmore_conn_id, hook=type(self))
            settings = settings_from(connection, await get_async_extra_dejson(connection))
            self._client = _new_client(settings, "triggerer")
        return self._client

    def close(self) -> None:
        """Close all open connections; the next request opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def run(self, flow: RequestFlow[T]) -> T:
        """Run a request flow of ``api``, such as ``lookups.find_trackings(keys)``.

        The methods of the hook validate their arguments; a flow is for keys that are validated already.

        :param flow: the flow.
        :return: its result.
        :raises TrackingMoreError: if a request fails and the flow does not handle it.
        """
        return run(flow, self._send)

    def _send(self, request: Request[T]) -> T:
        remaining = math.inf if self.wait_until is None else max(self.wait_until - time.monotonic(), 0.0)
        seconds = min(remaining, math.inf if self.max_wait_seconds is None else self.max_wait_seconds)
        return self.get_conn().send(request, max_wait_seconds=None if math.isinf(seconds) else seconds)


def _new_client(settings: ClientSettings, component: str) -> TrackingMoreClient:
    return TrackingMoreClient(settings, observer=METRICS, hint_texts=AIRFLOW_HINTS, component=component)
