"""A list that is written to a path replaces the previous file only when it is complete."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.atomic_file import replace_file
from airflow_provider_trackingmore.operators.trackings import ListTrackingsOperator
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.operators.conftest import Execute, Seed

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach

YESTERDAY = '{"tracking_number": "OF-YESTERDAY"}\n'
ROOT = Path(__file__).resolve().parents[3]
LIST = """
import sys
from airflow_provider_trackingmore.operators.trackings import ListTrackingsOperator
ListTrackingsOperator(task_id="t", path=sys.argv[1]).execute({})
"""


def interrupt_upload(store: MemoryFileSystem, source: str, target: str, **kwargs: object) -> None:
    """Upload only the beginning of a file."""
    with store.open(target, "wb") as file:
        file.write(Path(source).read_bytes()[:10])
    raise ConnectionResetError("the connection broke in the middle of the upload")


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    attach("memory", fs=memory)
    yield memory
    memory.store.clear()


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path, memory: fsspec.AbstractFileSystem) -> str:
    """The path of yesterday's list."""
    path = f"{tmp_path}/night.ndjson" if request.param == "file" else "memory://bucket/night.ndjson"
    with ObjectStoragePath(path).open("w") as file:
        file.write(YESTERDAY)
    return path


def content(path: str) -> str:
    with ObjectStoragePath(path).open("r") as file:
        return file.read()


def names(path: str) -> list[str]:
    """Return the names of all files in its folder."""
    place = ObjectStoragePath(path)
    return sorted(found.rpartition("/")[2] for found in place.fs.ls(place.path.rpartition("/")[0], detail=False))


def test_a_complete_list_replaces_the_previous_one(execute: Execute, seed: Seed, path: str) -> None:
    [parcel] = seed("transit")
    assert execute(ListTrackingsOperator, path=path) == {"rows": 1, "path": path, "trackings": None}
    assert json.loads(content(path))["tracking_number"] == parcel["tracking_number"]
    assert names(path) == ["night.ndjson"]


def test_a_list_that_fails_midway_keeps_the_previous_one(sandbox: SandboxProcess, execute: Execute, path: str) -> None:
    sandbox.seed(count=4_500, seed=9)
    sandbox.fault("expired_key", path="/trackings/get", nth=2)
    with pytest.raises(TrackingMoreError, match="check the API key"):
        execute(ListTrackingsOperator, path=path)
    assert content(path) == YESTERDAY
    assert names(path) == ["night.ndjson"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_any_exception_while_writing_keeps_the_previous_file(path: str, error: type[BaseException]) -> None:
    def write() -> None:
        with replace_file(path) as file:
            file.write("half of ")
            file.flush()
            raise error

    with pytest.raises(error):
        write()
    assert content(path) == YESTERDAY
    assert names(path) == ["night.ndjson"]


def test_readers_see_the_previous_file_until_the_new_one_is_complete(path: str) -> None:
    with replace_file(path) as file:
        file.write("new")
        file.flush()
        assert content(path) == YESTERDAY
    assert content(path) == "new"


@pytest.mark.usefixtures("memory")
def test_an_upload_that_fails_keeps_the_previous_object(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "memory://bucket/night.ndjson"
    with replace_file(path) as file:
        file.write(YESTERDAY)
    monkeypatch.setattr(MemoryFileSystem, "put_file", interrupt_upload)
    with pytest.raises(ConnectionResetError), replace_file(path) as file:
        file.write("of today, of today, of today")
    assert content(path) == YESTERDAY
    assert names(path) == ["night.ndjson"]


def test_a_list_that_is_killed_midway_keeps_the_previous_one(sandbox: SandboxProcess, tmp_path: Path) -> None:
    file = tmp_path / "night.ndjson"
    file.write_text(YESTERDAY)
    sandbox.seed(count=4_500, seed=9)
    sandbox.fault("slow", path="/trackings/get", nth=3, seconds=60)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", LIST, str(file)], env=environment)
    try:
        until = time.monotonic() + 90
        while not [aside for aside in tmp_path.iterdir() if aside != file and aside.stat().st_size > 100_000]:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert file.read_text() == YESTERDAY
    assert [aside.name[:14] for aside in tmp_path.iterdir() if aside != file] == [".night.ndjson."]


def test_permissions_are_preserved(tmp_path: Path) -> None:
    file, new = tmp_path / "night.ndjson", tmp_path / "new.ndjson"
    file.touch(0o640)
    file.chmod(0o640)
    umask = os.umask(0o027)
    try:
        for path in (file, new):
            with replace_file(str(path)) as writing:
                writing.write("x")
    finally:
        os.umask(umask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, new)] == [0o640, 0o640]


def test_a_symbolic_link_and_a_device_are_not_replaced(tmp_path: Path) -> None:
    file, link = tmp_path / "night.ndjson", tmp_path / "latest.ndjson"
    file.write_text(YESTERDAY)
    link.symlink_to(file)
    for path in (str(link), "/dev/null"):
        with replace_file(path) as writing:
            writing.write("new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replace_file(f"{tmp_path}/nowhere/night.ndjson"):
        pass
