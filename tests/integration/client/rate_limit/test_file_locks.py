"""Another process holds the lock of the slot clock: calls end in time and name that process."""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import RateLimitError, RateLimitLockedError
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.rate_limit.clock import RateLimiter, SlotBusy, SlotState
from airflow_provider_trackingmore.client.rate_limit.stores import DIRECTORY_VARIABLE, FileStore
from airflow_provider_trackingmore.client.settings import ClientSettings
from tests.integration.client.conftest import KEY
from tests.integration.client.fault_server import Exchange, FaultServer, answer, envelope

REQUEST: Request[object] = Request(method="GET", path="/trackings/get", parse=lambda data: data)

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that locks an account's file and keeps the lock."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid
        assert self._process.stdout
        assert self._process.stdout.readline() == b"locked\n"

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.communicate(timeout=10)


@pytest.fixture
def client(server: FaultServer) -> Iterator[TrackingMoreClient]:
    settings = ClientSettings(api_key=KEY, base_url=server.url, requests_per_second=100, max_attempts=2)
    with TrackingMoreClient(settings) as client:
        yield client


@pytest.fixture
def hold(client: TrackingMoreClient) -> Iterator[Callable[[], Holder]]:
    holders: list[Holder] = []

    def hold_lock() -> Holder:
        path = Path(os.environ[DIRECTORY_VARIABLE]) / f"{client.settings.fingerprint}.json"
        holders.append(Holder(path))
        return holders[-1]

    yield hold_lock
    for holder in holders:
        holder.close()


@pytest.mark.parametrize("how", ["send", "send_async"])
def test_a_call_ends_on_time_although_another_process_holds_the_lock_and_names_it(
    how: str, client: TrackingMoreClient, server: FaultServer, hold: Callable[[], Holder]
) -> None:
    client.send(REQUEST)
    holder = hold()
    began = time.monotonic()
    ways = {
        "send": lambda: client.send(REQUEST, max_wait_seconds=1),
        "send_async": lambda: asyncio.run(client.send_async(REQUEST, max_wait_seconds=1)),
    }
    with pytest.raises(RateLimitLockedError) as caught:
        ways[how]()
    assert 0.9 < time.monotonic() - began < 8, "without the limit it is 10 s"
    assert re.search(
        rf"GET /trackings/get: not sent: process {holder.pid} holds the lock on .*\.json", str(caught.value)
    )
    assert len(server.requests) == 1


def test_a_call_without_a_limit_ends_too_and_the_next_one_succeeds_once_the_lock_is_free(
    client: TrackingMoreClient, hold: Callable[[], Holder], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.send(REQUEST)
    holder = hold()
    monkeypatch.setattr("airflow_provider_trackingmore.client.call.LOCK_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(RateLimitLockedError):
        client.send(REQUEST)
    holder.close()
    assert client.send(REQUEST) == {"fine": True}


def test_a_call_continues_if_the_lock_is_released_in_time(
    client: TrackingMoreClient, hold: Callable[[], Holder]
) -> None:
    client.send(REQUEST)
    holder = hold()
    closing = threading.Timer(0.5, holder.close)
    closing.start()
    assert client.send(REQUEST, max_wait_seconds=10) == {"fine": True}
    closing.join()


def test_an_account_whose_clock_is_locked_counts_as_busy_without_waiting(
    client: TrackingMoreClient, hold: Callable[[], Holder]
) -> None:
    client.send(REQUEST)
    time.sleep(0.05)
    assert client.is_free()
    hold()
    began = time.monotonic()
    assert not client.is_free()
    assert time.monotonic() - began < 5, "a call would wait 10 s for it"


@pytest.mark.parametrize("code", [200, 429])
def test_a_response_is_not_lost_when_another_process_takes_the_lock_meanwhile(
    code: int,
    client: TrackingMoreClient,
    server: FaultServer,
    hold: Callable[[], Holder],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def is_locked_first(exchange: Exchange) -> bool | None:
        if not exchange.connection.recv(1, socket.MSG_PEEK):
            return None
        hold()
        return answer(envelope(code, data={"fine": True}))(exchange)

    server.does(answer(), is_locked_first)
    client.send(REQUEST)
    began = time.monotonic()
    if code == 200:
        assert client.send(REQUEST, max_wait_seconds=0.5) == {"fine": True}
        assert "that could not be recorded" in caplog.text
    else:
        with pytest.raises(RateLimitError):
            client.send(REQUEST, max_wait_seconds=0.5)
        assert "the other processes could not be notified" in caplog.text
    assert time.monotonic() - began < 8, "without the limit it is 10 s"


def test_a_process_that_is_forked_while_the_lock_is_held_does_not_keep_it(tmp_path: Path) -> None:
    store = FileStore("account", tmp_path)
    children: list[int] = []

    def fork(state: SlotState, now: float) -> tuple[SlotState, None]:
        children.append(os.fork())
        if not children[-1]:
            time.sleep(30)
            os._exit(0)
        return SlotState(now), None

    try:
        store.update(fork, time.time)
        assert store.update(lambda state, now: (None, state.next_free_at), time.time, timeout=1) > 0
    finally:
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)


GROUP, USERS = 54321, (54322, 54323)


def depart_as(user: int, groups: list[int], directory: str, outcomes: multiprocessing.Queue[object]) -> None:
    os.setgroups(groups)
    os.setgid(user)
    os.setuid(user)
    os.umask(0o022)
    departed = RateLimiter(FileStore("account", Path(directory)), interval=60, clock=time.time).try_acquire(warm=True)
    outcomes.put("waits" if isinstance(departed, SlotBusy) else "departs")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as two users")
@pytest.mark.parametrize("mode", [0o770, 0o2770, 0o1770], ids=oct)
def test_two_users_of_a_group_share_the_rate_limit_in_its_directory_whatever_their_umask(mode: int) -> None:
    directory = tempfile.mkdtemp(dir="/tmp")
    context = multiprocessing.get_context("fork")
    outcomes: multiprocessing.Queue[object] = context.Queue()
    try:
        os.chown(directory, -1, GROUP)
        os.chmod(directory, mode)
        for user in USERS:
            process = context.Process(target=depart_as, args=(user, [GROUP], directory, outcomes))
            process.start()
            process.join(20)
        assert [outcomes.get(timeout=5) for _ in USERS] == ["departs", "waits"]
        found = os.stat(f"{directory}/account.json")
        assert (stat.S_IMODE(found.st_mode), found.st_gid, found.st_uid) == (0o660, GROUP, USERS[0])
    finally:
        shutil.rmtree(directory)


def test_a_file_in_a_directory_of_one_user_is_for_that_user_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    FileStore("account", tmp_path).update(lambda state, now: (SlotState(now), None), time.time)
    assert stat.S_IMODE((tmp_path / "account.json").stat().st_mode) == 0o600


def test_the_store_takes_the_lock_that_the_other_tests_take(tmp_path: Path) -> None:
    """The tests above lock the file themselves: this shows that the store takes the same lock."""
    store = FileStore("account", tmp_path)
    store.update(lambda state, now: (SlotState(now), None), time.time)

    def is_locked(state: SlotState, now: float) -> tuple[None, bool]:
        with (tmp_path / "account.json").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None, True
            return None, False

    assert store.update(is_locked, time.time)
