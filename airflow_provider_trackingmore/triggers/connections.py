"""Read Airflow connections in the triggerer, with retries, and once for all triggers that need one at the same time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.api.errors import TrackingMoreError

if TYPE_CHECKING:
    from airflow_provider_trackingmore.client.client import TrackingMoreClient

log = logging.getLogger(__name__)

RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 20.0)
"""Pauses between attempts to read a connection. After a restart, Airflow's API server or a secrets backend may be
unavailable, and Airflow then reports that the connection is not defined."""

_pending: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[TrackingMoreClient]]] = (
    WeakKeyDictionary()
)


async def connect(conn_id: str) -> TrackingMoreClient:
    """Read a connection and return a client for it.

    After a restart, thousands of triggers start together. They share one read.

    :param conn_id: the Airflow connection.
    :return: the client.
    :raises InvalidSettingsError: if a setting of the connection is invalid.
    :raises Exception: Airflow's error, if the connection cannot be read for a minute.
    """
    loop = asyncio.get_running_loop()
    pending = _pending.setdefault(loop, {})
    task = pending.get(conn_id)
    if task is None:
        task = pending[conn_id] = loop.create_task(_read(conn_id))
        task.add_done_callback(lambda _: pending.pop(conn_id, None))
    return await asyncio.shield(task)


async def _read(conn_id: str) -> TrackingMoreClient:
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

    for seconds in RETRY_SECONDS:
        try:
            return await TrackingMoreHook(conn_id).aget_conn()
        except TrackingMoreError:
            raise
        except Exception as error:
            log.warning("Cannot read connection %s (%s), retrying in %.0f s", conn_id, type(error).__name__, seconds)
            await asyncio.sleep(seconds)
    return await TrackingMoreHook(conn_id).aget_conn()
