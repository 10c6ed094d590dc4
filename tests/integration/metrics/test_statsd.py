"""A hook's calls arrive at a statsd server as Airflow sends them there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

pytest.importorskip("statsd", reason="Airflow's metrics go to statsd with 'apache-airflow[statsd]' only")

# A task of Airflow 3 sets its stats up when it begins; 2.11 does it by itself.
TASK = """
import importlib
try:
    stats = importlib.import_module("airflow.sdk.observability.stats")
    utils = importlib.import_module("airflow.sdk.observability.metrics.stats_utils")
    if hasattr(stats, "initialize"):
        stats.initialize(factory=utils.get_stats_factory(), export_legacy_names=True)
    else:  # Airflow 3.2
        stats.Stats.initialize(factory=utils.get_stats_factory(stats.Stats))
except ModuleNotFoundError:
    pass
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
with TrackingMoreHook() as hook:
    hook.get_account(), hook.get_account()
"""


@pytest.fixture
def statsd() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        yield server


def received(server: socket.socket) -> list[str]:
    packets = []
    try:
        while True:
            packets.append(server.recv(65536).decode())
    except TimeoutError:
        return [line for packet in packets for line in packet.splitlines() if "trackingmore" in line]


def test_metrics_of_a_call_arrive_with_name_type_and_value(
    statsd: socket.socket, trackingmore_sandbox: SandboxProcess
) -> None:
    trackingmore_sandbox.fault("429")
    connection = trackingmore_sandbox.connection
    connection["extra"] |= {"cool_down_seconds": 0.1, "requests_per_second": 5, "pacing": "memory"}
    settings = {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.getsockname()[1]),
        "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(connection),
    }
    subprocess.run([sys.executable, "-c", TASK], env=os.environ | settings, check=True)

    lines = received(statsd)

    metrics = [line.removeprefix("airflow.trackingmore.") for line in lines]
    assert metrics.count("requests:1|c") == 3
    assert metrics.count("retries:1|c") == metrics.count("rate_limited:1|c") == 1
    assert "quota_left:100000|g" in metrics
    timers = {metric.partition(":")[0] for metric in metrics if metric.endswith("|ms")}
    assert timers == {"slot_wait", "exchange"}
    waited = sum(float(metric.split(":")[1].split("|")[0]) for metric in metrics if metric.startswith("slot_wait:"))
    assert 100 < waited < 30_000, "milliseconds"
    everything = "\n".join(lines)
    assert trackingmore_sandbox.api_key not in everything
    assert "account" not in everything
