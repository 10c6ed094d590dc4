"""What a triggerer does besides waiting: it reports its status to the page, and listens for hints from webhooks."""

from __future__ import annotations

from airflow import __version__

from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.triggers.connections import connect
from airflow_provider_trackingmore.triggers.hint_listener import listen_for_hints
from airflow_provider_trackingmore.triggers.reporting import start_reports
from airflow_provider_trackingmore.waiting.pollers import Pollers

HAS_API_SERVER_PLUGINS = tuple(map(int, __version__.split(".")[:2])) >= (3, 1)
"""Whether this Airflow can have the page and the webhook route."""


async def connect_in_triggerer(conn_id: str, pollers: Pollers) -> TrackingMoreClient:
    """Read a connection, and start reports and the hint listener, which run while the account has waits or watchers.

    :param conn_id: the Airflow connection.
    :param pollers: the pollers of the running event loop.
    :return: a client for the connection.
    :raises InvalidSettingsError: if a setting of the connection is invalid.
    :raises Exception: Airflow's error, if the connection cannot be read for a minute.
    """
    client = await connect(conn_id)
    if HAS_API_SERVER_PLUGINS:
        start_reports(pollers)
        listen_for_hints(pollers, client)
    return client
