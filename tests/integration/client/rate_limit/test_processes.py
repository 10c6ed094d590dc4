"""The slot clock in a file, with real processes and a real socket: gaps are kept, even if a process is killed."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from airflow_provider_trackingmore.client.rate_limit.stores import FileStore
from tests.integration.client.conftest import KEY
from tests.integration.client.fault_server import Exchange, FaultServer, answer
from tests.integration.client.rate_limit.conftest import Processes

INTERVAL = 0.04

SENDER = """
import sys
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings

url, key, rate, times = sys.argv[1:]
request = Request(method="GET", path="/trackings/get", parse=lambda data: data)
with TrackingMoreClient(ClientSettings(api_key=key, base_url=url, requests_per_second=float(rate))) as client:
    print("ready", flush=True)
    for _ in range(int(times)):
        client.send(request)
"""

HOLDER = """
import sys, time
from pathlib import Path
from airflow_provider_trackingmore.client.rate_limit.stores import FileStore

def hold(state, now):
    print("holding", flush=True)
    time.sleep(60)

FileStore("account", Path(sys.argv[1])).update(hold, time.time)
"""


def start(processes: Processes, code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    processes.append(process)
    return process


def smallest_gap(server: FaultServer) -> float:
    return min(after - before for before, after in itertools.pairwise(sorted(server.arrivals)))


def test_processes_share_one_rate_limit_and_a_killed_one_does_not_stop_the_others(
    server: FaultServer, processes: Processes
) -> None:
    senders = [start(processes, SENDER, server.url, KEY, 1 / INTERVAL, 25) for _ in range(4)]
    victim = senders[0]

    def kills_the_victim(exchange: Exchange) -> bool:
        victim.send_signal(signal.SIGKILL)
        return bool(answer()(exchange))

    server.does(*[answer()] * 30, kills_the_victim, answer())
    for process in senders[1:]:
        assert process.wait(timeout=60) == 0
    assert victim.wait(timeout=10) == -signal.SIGKILL
    assert 75 <= len(server.requests) < 100
    assert smallest_gap(server) >= INTERVAL - 0.002  # they use the wall clock, and the server a monotonic one


def test_a_killed_process_does_not_keep_the_lock(processes: Processes, tmp_path: Path) -> None:
    holder = start(processes, HOLDER, tmp_path)
    assert holder.stdout
    assert holder.stdout.readline() == "holding\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=10)
    assert FileStore("account", tmp_path).update(lambda state, now: (None, "got it"), time.time) == "got it"
