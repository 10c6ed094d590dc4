"""How an account was used: calls per quarter of an hour, by whom, and the last 429."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_trackingmore.client.rate_limit import usage_stores
from airflow_provider_trackingmore.client.rate_limit.usage import (
    KEPT_QUARTERS,
    KEPT_USERS,
    QUARTER_SECONDS,
    AccountUsage,
    AccountUser,
    UsageStore,
)
from airflow_provider_trackingmore.client.rate_limit.usage_stores import FileUsage, MemoryUsage

NOW = 1_796_000_000.0
QUARTER = int(NOW // QUARTER_SECONDS) * QUARTER_SECONDS
DAY = 86_400.0

each_store = pytest.mark.parametrize(
    "make", [lambda path: MemoryUsage(), lambda path: FileUsage("a", path)], ids=["memory", "file"]
)


@each_store
def test_calls_are_counted_by_quarter_and_user(make: Callable[[Path], UsageStore], tmp_path: Path) -> None:
    store = make(tmp_path)
    for seconds in (0, 1, QUARTER_SECONDS):
        store.record_call("worker", NOW + seconds)
    store.record_call("triggerer", NOW + QUARTER_SECONDS + 7)
    store.record_429(NOW + 2)
    found = store.read(NOW + QUARTER_SECONDS + 8)
    assert found.calls == {QUARTER: 2, QUARTER + QUARTER_SECONDS: 2}
    assert [(user.component, user.last_call_at - NOW) for user in found.users] == [
        ("triggerer", QUARTER_SECONDS + 7),
        ("worker", QUARTER_SECONDS),
    ]
    assert found.last_429_at == NOW + 2


@each_store
def test_the_last_day_is_kept(make: Callable[[Path], UsageStore], tmp_path: Path) -> None:
    store = make(tmp_path)
    store.record_429(NOW)
    for quarter in range(300):
        store.record_call("worker", NOW + quarter * QUARTER_SECONDS)
    now = NOW + 299 * QUARTER_SECONDS
    found = store.read(now)
    assert len(found.calls) == KEPT_QUARTERS
    assert min(found.calls) + DAY >= now - QUARTER_SECONDS
    assert found.last_429_at is None
    assert store.read(now + 3 * DAY) == AccountUsage()


@each_store
def test_counts_from_the_future_are_dropped_after_the_clock_was_set_back(
    make: Callable[[Path], UsageStore], tmp_path: Path
) -> None:
    store = make(tmp_path)
    store.record_call("worker", NOW + 30 * DAY)
    store.record_call("worker", NOW)
    assert store.read(NOW).calls == {QUARTER: 1}


def test_calls_of_threads_and_other_stores_of_the_host_are_all_counted(tmp_path: Path) -> None:
    def use() -> None:
        store = FileUsage("a", tmp_path)
        for _ in range(50):
            store.record_call("worker", NOW)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert FileUsage("a", tmp_path).read(NOW).calls == {QUARTER: 200}
    assert FileUsage("b", tmp_path).read(NOW).calls == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff" * 300, b'{"calls": {"x": 1}, "users": [], "last_429_at": null}', b"[" * 9000],
)
def test_a_damaged_file_is_replaced(content: bytes, tmp_path: Path) -> None:
    store = FileUsage("a", tmp_path)
    store.record_call("worker", NOW)
    next(tmp_path.iterdir()).write_bytes(content)
    assert store.read(NOW) == AccountUsage()
    store.record_call("worker", NOW)
    assert store.read(NOW).calls == {QUARTER: 1}


def test_a_file_that_is_locked_or_cannot_be_written_does_not_delay_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_stores, "LOCK_SECONDS", 0.01)
    store = FileUsage("a", tmp_path)
    store.record_call("worker", NOW)
    with next(tmp_path.iterdir()).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        store.record_call("worker", NOW)
        assert store.read(NOW) == AccountUsage()
    (tmp_path / "no-directory").write_text("")
    FileUsage("a", tmp_path / "no-directory").record_call("worker", NOW)
    assert store.read(NOW).calls == {QUARTER: 1}


def test_many_users_of_a_day_are_bounded_and_the_newest_are_kept() -> None:
    usage = AccountUsage()
    for number in range(3 * KEPT_USERS):
        usage = usage.with_call("worker", f"host-{number}", NOW + number)
    assert [user.host for user in usage.users] == [f"host-{3 * KEPT_USERS - 1 - n}" for n in range(KEPT_USERS)]
    assert AccountUsage.from_json(usage.to_json()) == usage
    assert len(usage.to_json()) < usage_stores.MAX_BYTES


def test_the_largest_record_is_read_whole() -> None:
    users = tuple(AccountUser("command line", "h" * 253, NOW) for _ in range(KEPT_USERS))
    usage = AccountUsage({QUARTER - n * QUARTER_SECONDS: 10**9 for n in range(KEPT_QUARTERS)}, users, NOW)
    assert len(usage.to_json()) < usage_stores.MAX_BYTES
