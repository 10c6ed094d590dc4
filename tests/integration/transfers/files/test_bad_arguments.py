"""What cannot work is an error that names the argument, before any call to TrackingMore."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_trackingmore.exceptions import InvalidArgumentError
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.files.lake import Lake, Load

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach


class OverwritingStore(MemoryFileSystem):
    """A store that does not know exclusive creation, as some do that speak S3's language."""

    protocol = "overwriting"
    store: dict[str, Any] = {}  # noqa: RUF012 - as fsspec declares it
    pseudo_dirs = [""]  # noqa: RUF012

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        return super()._open(path, mode.replace("x", "w"), **options)


class ReadOnlyStore(MemoryFileSystem):
    """A store whose credentials may only read."""

    protocol = "readonly"

    def pipe_file(self, *_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    makedirs = pipe_file


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"path": ""}, "path must be a folder, or an object store's address"),
        ({"path": None}, "path must be a folder"),
        ({"path": 5}, "path must be text, not 5"),
        (
            {"path": "none-such://bucket/lake"},
            "path='none-such://bucket/lake' cannot be opened: .* Install",
        ),
        ({"path": "gs://bucket/lake"}, "path='gs://bucket/lake' cannot be opened: .*providers-google for gs://"),
        ({"path": "/proc/lake"}, r"path='/proc/lake' cannot be written .*the worker may write there"),
        ({"file_format": "csv"}, "file_format must be 'ndjson.gz' or 'ndjson' or 'parquet', not 'csv'"),
        ({"tables": ["trackings", "orders"]}, "tables must contain .*tracking_status_changes, not 'orders'"),
        ({"tables": []}, "tables must contain one or more of .*, not none"),
        ({"tables": None}, "tables must contain one or more of .*, not none"),
        ({"rows_per_file": 0}, "rows_per_file must be a whole number, 1 or more, not 0"),
        ({"rows_per_file": 1.5}, "rows_per_file must be a whole number"),
        ({"rows_per_file": "many"}, "rows_per_file must be a number"),
        ({"filters": {"update_time_min": 5}}, "filters cannot contain update_time_min"),
        ({"settle": -1}, "settle must"),
        ({"event_texts": "some"}, "event_texts must be 'keep' or 'drop'"),
    ],
    ids=str,
)
def test_it_is_named_before_any_call(
    load: Load, lake: Lake, sandbox: SandboxProcess, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        load(**arguments)
    assert sandbox.ledger()["requests"] == 0
    assert not Path(lake.path).exists()


def test_a_path_that_is_a_file_is_refused(load: Load, sandbox: SandboxProcess, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(InvalidArgumentError, match=r"path='.*file' cannot be written"):
        load(path=str(file))
    assert sandbox.ledger()["requests"] == 0


def test_a_missing_extra_is_named(load: Load, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        InvalidArgumentError,
        match=r"pip install 'airflow-provider-trackingmore\[parquet\]', or set file_format",
    ):
        load(file_format="parquet")
    assert sandbox.ledger()["requests"] == 0


@pytest.fixture
def attached() -> Callable[[type[MemoryFileSystem]], str]:
    def attach_store(store: type[MemoryFileSystem]) -> str:
        fsspec.register_implementation(store.protocol, store, clobber=True)
        attach("memory", conn_id=store.protocol, fs=store())
        return f"memory://{store.protocol}@bucket/lake"

    return attach_store


def test_a_store_that_cannot_create_exclusively_is_refused(
    load: Load, sandbox: SandboxProcess, attached: Callable[[type[MemoryFileSystem]], str]
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"path=.* cannot create a file only if it does not exist\. Two"):
        load(path=attached(OverwritingStore))
    assert sandbox.ledger()["requests"] == 0


def test_a_store_that_may_only_be_read_is_refused(
    load: Load, sandbox: SandboxProcess, attached: Callable[[type[MemoryFileSystem]], str]
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"cannot be written \(PermissionError: Access Denied\)"):
        load(path=attached(ReadOnlyStore))
    assert sandbox.ledger()["requests"] == 0
