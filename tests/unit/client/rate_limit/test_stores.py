"""The stores of slot clocks: memory, and files in directories that may be damaged, removed or not ours."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.client.rate_limit import stores
from airflow_provider_trackingmore.client.rate_limit.clock import SlotState, SlotStore
from airflow_provider_trackingmore.client.rate_limit.stores import (
    DIRECTORY_VARIABLE,
    FileStore,
    MemoryStore,
    memory_store,
    open_store,
)

NOW = 1_800_000_000.0
STATE = SlotState(NOW + 1.5, NOW + 1.0, "0123456789ab", NOW, 0.02)


@pytest.fixture(autouse=True)
def _separate_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_in_this_process", {})


def clock() -> float:
    return NOW


def put(store: SlotStore, state: SlotState) -> None:
    store.update(lambda _, now: (state, None), clock)


def get(store: SlotStore) -> SlotState:
    return store.update(lambda state, now: (None, state), clock)


@pytest.mark.parametrize(
    "make", [lambda path: MemoryStore(), lambda path: FileStore("a", path)], ids=["memory", "file"]
)
def test_a_written_state_is_read_again(make: Callable[[Path], SlotStore], tmp_path: Path) -> None:
    store = make(tmp_path)
    assert get(store) == SlotState()
    put(store, STATE)
    assert get(store) == STATE
    assert store.update(lambda state, now: (None, ("result", now)), clock) == ("result", NOW)
    assert get(store) == STATE


@pytest.mark.parametrize(
    "make", [lambda path: MemoryStore(), lambda path: FileStore("a", path)], ids=["memory", "file"]
)
def test_updates_are_atomic(make: Callable[[Path], SlotStore], tmp_path: Path) -> None:
    store = make(tmp_path)

    def count() -> None:
        for _ in range(200):
            store.update(lambda state, now: (replace(state, next_free_at=state.next_free_at + 1), None), clock)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(store).next_free_at == 1600


def test_each_account_has_its_own_memory() -> None:
    put(open_store("memory", "one", interval=1), STATE)
    assert get(open_store("memory", "one", interval=1)) == STATE
    assert get(open_store("memory", "other", interval=1)) == SlotState()


def test_each_account_has_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "made" / "when needed"))
    put(open_store("file", "one", interval=1), STATE)
    assert get(open_store("file", "one", interval=1)) == STATE
    assert get(open_store("file", "other", interval=1)) == SlotState()


def test_by_default_the_file_is_in_a_directory_that_only_this_user_can_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    put(open_store("file", "one", interval=1), STATE)
    (directory,) = tmp_path.iterdir()
    assert directory.name == f"trackingmore-pacing-{os.getuid()}"
    assert directory.stat().st_mode & 0o777 == 0o700
    directory.chmod(0o755)
    assert get(open_store("file", "one", interval=1)) == STATE
    assert directory.stat().st_mode & 0o777 == 0o700


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    damage=st.binary(max_size=400)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.fixed_dictionaries(
                dict.fromkeys(("next_free_at", "earliest_at", "departure", "written_at", "margin"), inner)
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_a_damaged_file_counts_as_empty_and_is_repaired_by_the_next_write(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(damage)
    store = FileStore("a", tmp_path)
    found = get(store)
    assert isinstance(found.next_free_at, float)
    assert len(found.departure) <= 12
    put(store, STATE)
    assert get(store) == STATE


def test_an_empty_file_is_a_new_state(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    assert get(FileStore("a", tmp_path)) == SlotState()


def test_a_file_that_is_removed_while_a_caller_waits_for_its_lock_is_not_used(tmp_path: Path) -> None:
    """A cleanup of temporary files must not split the account's clock in two."""
    store, path = FileStore("a", tmp_path), tmp_path / "a.json"
    holding, finish, waiting = threading.Event(), threading.Event(), threading.Event()

    def holds_the_lock(state: SlotState, now: float) -> tuple[None, None]:
        holding.set()
        assert finish.wait(10)
        return None, None

    holder = threading.Thread(target=store.update, args=(holds_the_lock, clock))
    holder.start()
    assert holding.wait(10)
    real_flock = stores.fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        waiting.set()
        real_flock(descriptor, how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores.fcntl, "flock", flock)
        waiter = threading.Thread(target=put, args=(store, STATE))
        waiter.start()
        assert waiting.wait(10)
        path.unlink()
        finish.set()
        holder.join()
        waiter.join()
    assert get(store) == STATE


def blocked_by_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "directory"


def blocked_by_a_link(tmp_path: Path) -> Path:
    (tmp_path / "a.json").symlink_to(tmp_path / "elsewhere")
    return tmp_path


@pytest.mark.parametrize("blocked", [blocked_by_a_file, blocked_by_a_link])
def test_a_directory_that_cannot_be_used_is_replaced_by_memory_with_one_warning(
    blocked: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store = FileStore("a", blocked(tmp_path))
    put(store, STATE)
    assert get(store) == STATE
    assert get(memory_store("a")) == STATE
    (warning,) = caplog.records
    assert "not shared with other processes" in warning.getMessage()
    assert DIRECTORY_VARIABLE in warning.getMessage()


def test_a_directory_of_another_user_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "target").mkdir()
    (tmp_path / f"trackingmore-pacing-{os.getuid()}").symlink_to(tmp_path / "target")
    put(open_store("file", "a", interval=1), STATE)
    assert list((tmp_path / "target").iterdir()) == []
    assert get(memory_store("a")) == STATE
    assert "is not a directory of this user" in caplog.text
