"""What a triggerer does besides waiting: it reports to the page, and listens for hints that webhooks have caused."""

from __future__ import annotations

from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.triggers.connections import connect
from airflow_provider_trackingmore.triggers.hint_listener import listen_for_hints
from airflow_provider_trackingmore.triggers.reporting import start_reports
from airflow_provider_trackingmore.waiting.pollers import Pollers


async def connect_in_triggerer(conn_id: str, pollers: Pollers) -> TrackingMoreClient:
    """Read a connection, and start what the triggerer does for its account for as long as it has waits or watchers.

    :param conn_id: the Airflow connection.
    :param pollers: the pollers of the running event loop.
    :return: a client for the connection.
    :raises InvalidSettingsError: if a setting of the connection is invalid.
    :raises Exception: the error of Airflow, if the connection cannot be read for a minute.
    """
    client = await connect(conn_id)
    start_reports(pollers)
    listen_for_hints(pollers, client)
    return client
