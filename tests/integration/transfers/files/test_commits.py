"""What counts when loads overlap, die or find the folder damaged."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.exceptions import InvalidArgumentError, LoadConflictError, LoadStateError
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.transfers import trackingmore_to_object_storage
from airflow_provider_trackingmore.transfers.files.storage import Storage
from tests.integration.transfers.files.lake import Lake, Load

Seed = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done once, right before the next load creates its manifest."""

    def scheduled(action: Callable[[], object]) -> None:
        create = Storage.create

        def create_later(storage: Storage, name: str, content: bytes) -> None:
            if name.endswith(".json"):
                monkeypatch.setattr(Storage, "create", create)
                action()
            create(storage, name, content)

        monkeypatch.setattr(Storage, "create", create_later)

    return scheduled


# Two loads at once ---------------------------------------------------------------------------------------------------


def test_of_two_loads_that_overlap_one_wins_and_a_retry_of_the_other_continues(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess, between: Callable[[Callable[[], object]], None]
) -> None:
    seed("transit", "delivered")
    load()
    seed("transit#2")

    def other_load() -> None:
        sandbox.advance(hours=1)
        assert load()["sequence"] == 2
        seed("transit#3")

    between(other_load)
    with pytest.raises(LoadConflictError, match=r"0000000002\.json exists\. Nothing .* counts\. Run the task again"):
        load()
    lake.check()
    assert len(lake.table("trackings")) == 3 == lake.rows_of_files("trackings")
    assert load()["rows"]["trackings"] == {"new": 1, "changed": 0, "unchanged": 3}
    assert len(lake.table("trackings")) == 4 == lake.rows_of_files("trackings")


def test_a_load_that_two_others_overtake_does_not_call_the_state_damaged_that_they_have_removed(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed("transit")
    load()
    utc_now = trackingmore_to_object_storage.utc_now

    def overtake() -> datetime:
        monkeypatch.setattr(trackingmore_to_object_storage, "utc_now", utc_now)
        for number in (2, 3):
            seed(f"transit#{number}")
            load()
            sandbox.advance(hours=1)
        return utc_now()

    monkeypatch.setattr(trackingmore_to_object_storage, "utc_now", overtake)
    with pytest.raises(
        LoadConflictError, match=r"was faster: its load 3 is complete\. Nothing .* counts\. Run the task"
    ):
        load()
    lake.check()
    assert load()["sequence"] == 4


def test_a_manifest_that_this_load_has_created_itself_is_no_conflict(
    load: Load, lake: Lake, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may create the object, lose the answer and refuse the repeated request."""
    seed("transit")
    create = Storage.create

    def create_twice(storage: Storage, name: str, content: bytes) -> None:
        if name.endswith(".json"):
            create(storage, name, content)
        create(storage, name, content)

    monkeypatch.setattr(Storage, "create", create_twice)
    assert load()["sequence"] == 1
    lake.check()


def test_many_loads_at_once_lose_and_double_nothing(
    load: Load, lake: Lake, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.seed(count=30, seed=2)
    utc_now = trackingmore_to_object_storage.utc_now

    def attempt(number: int, results: Any) -> None:
        later = utc_now() + timedelta(microseconds=number)
        monkeypatch.setattr(trackingmore_to_object_storage, "utc_now", lambda: later)
        try:
            results.put(load()["sequence"])
        except LoadConflictError:
            results.put(None)

    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    processes = [context.Process(target=attempt, args=(number, results)) for number in range(4)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join(60)
    sequences = sorted(sequence for sequence in found if sequence)
    assert sequences == list(range(1, len(sequences) + 1))
    lake.check()
    assert lake.rows_of_files("trackings") == 30 == len(lake.table("trackings"))
    assert lake.rows_of_files("tracking_events") == len(lake.table("tracking_events"))


# Killed --------------------------------------------------------------------------------------------------------------


def kill_at(point: int, *, after: bool) -> None:
    """Kill this process at a write: before or after a file gets its name."""
    left = point

    def deadly(real: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                real(*arguments)
            finally:
                if left == 0 and after:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.link = deadly(os.replace), deadly(os.link)


def load_and_die(load: Load, point: int, *, after: bool) -> bool:
    """Load in a process of its own that is killed at its ``point``-th write; return whether there was one."""

    def run() -> None:
        kill_at(point, after=after)
        load()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_load_that_is_killed_at_any_write_leaves_all_or_nothing(
    load: Load, tmp_path: Path, seed: Seed, sandbox: SandboxProcess, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("SQLITE_TMPDIR", str(temporary))
    seed("transit", "soon")
    lakes = [Lake(str(tmp_path / str(number))) for number in range(12)]
    for lake in lakes:
        load(path=lake.path)
    before = lakes[0].tables()
    seed("delivered")
    sandbox.advance(days=2)
    load(path=lakes[0].path)
    complete = lakes[0].tables()
    killed = 0
    for point, lake in enumerate(lakes[1:], 1):
        if not load_and_die(lambda lake=lake: load(path=lake.path), point, after=after):
            break
        killed += 1
        lake.check()
        assert lake.tables() in (before, complete)
        load(path=lake.path)
        lake.check()
        assert lake.tables() == complete
    assert killed == 9  # check, check again, three data files, index and part of the month, state, manifest
    assert not list(temporary.iterdir())


def test_a_load_that_fails_midway_writes_nothing(load: Load, lake: Lake, sandbox: SandboxProcess) -> None:
    sandbox.seed(count=2_100, seed=9)
    sandbox.fault("expired_key", path="/trackings/get", nth=2)
    with pytest.raises(Exception, match="check the API key"):
        load()
    assert [name.rpartition("/")[2] for name in lake.files()] == ["_check"]


# Damaged -------------------------------------------------------------------------------------------------------------


def newest(lake: Lake, pattern: str) -> Path:
    return max(Path(lake.path).glob(pattern))


def rewrite(lake: Lake, **changes: Any) -> None:
    file = newest(lake, "_manifests/*/*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_damaged_manifest_or_state_stops_a_load_before_any_call(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    seed("transit")
    load()
    load()
    manifest = newest(lake, "_manifests/*/*.json")
    state = newest(lake, "_state/*/*2-*.json")
    month = newest(lake, "_state/*/*.gz")
    for file, content, says in (
        (manifest, b"", "The manifest .*0000000002.json is damaged .*: restore it, or remove .*0000000002.json"),
        (manifest, b"[]", "The manifest .* is damaged"),
        (manifest, b"{}", "The manifest .* is damaged"),
        (state, b"{}", r"The state .* is damaged: its hash differs: restore it, or remove .*0000000002\.json"),
    ):
        original = file.read_bytes()
        file.write_bytes(content)
        with pytest.raises(LoadStateError, match=says):
            load()
        assert sandbox.ledger()["requests"] == 0
        file.write_bytes(original)
    seed("transit#2")
    original = month.read_bytes()
    month.write_bytes(original[:-1])
    with pytest.raises(LoadStateError, match="its hash differs"):
        load()
    month.unlink()
    with pytest.raises(LoadStateError, match="is missing: restore it, or remove"):
        load()
    month.write_bytes(original)
    assert load()["rows"]["trackings"] == {"new": 1, "changed": 0, "unchanged": 1}


def test_after_removing_a_damaged_manifest_the_next_load_continues_from_the_one_before(
    load: Load, lake: Lake, seed: Seed
) -> None:
    seed("transit")
    load()
    seed("delivered")
    load()
    expected = lake.tables()
    newest(lake, "_manifests/*/*.json").unlink()
    assert len(lake.table("trackings")) == 1
    assert load()["sequence"] == 2
    assert lake.tables() == expected


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 99}, r"0000000001\.json was written by a later version .*: install that version again"),
        ({"sequence": 7}, "belongs to another stream or load"),
        ({"stream": "other"}, "belongs to another stream or load"),
    ],
    ids=str,
)
def test_a_manifest_that_cannot_be_used_stops_a_load_before_any_call(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess, changes: dict[str, Any], says: str
) -> None:
    seed("transit")
    load()
    rewrite(lake, **changes)
    with pytest.raises(LoadStateError, match=says):
        load()
    assert sandbox.ledger()["requests"] == 0


def test_a_state_of_a_later_version_stops_a_load_before_any_call(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    seed("transit")
    load()
    for change in ({"version": 99}, {"load": {"version": 99}}):
        content = json.dumps(json.loads(newest(lake, "_state/*/0*1-*.json").read_text()) | change).encode()
        Path(lake.path, "_state", "later.json").write_bytes(content)
        rewrite(lake, state={"path": "_state/later.json", "sha256": hashlib.sha256(content).hexdigest()})
        with pytest.raises(LoadStateError, match=r"later version of this package .* install that version again"):
            load()
        assert sandbox.ledger()["requests"] == 0


def test_a_stream_belongs_to_one_account_and_its_tables(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    seed("transit")
    load(stream="s", tables=["trackings"])
    with pytest.raises(InvalidArgumentError, match="stream='s' has loaded account='trackingmore_default' so far"):
        load(stream="s", account="other")
    with pytest.raises(InvalidArgumentError, match="tables contains 'tracking_events', which stream='s' has not"):
        load(stream="s")
    assert sandbox.ledger()["requests"] == 0
