"""Loads into S3 (moto's server, through s3fs) and into a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from airflow_provider_trackingmore.exceptions import InvalidArgumentError, LoadConflictError
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.transfers.files.storage import Storage
from tests.integration.transfers.files.lake import Lake, Load

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach

Seed = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str) -> s3fs.S3FileSystem:
    """An empty bucket ``bucket``, which is reached by the connection ``moto``."""
    store = s3fs.S3FileSystem(key="testing", secret="testing", endpoint_url=s3_server, skip_instance_cache=True)
    if store.exists("bucket"):
        store.rm("bucket", recursive=True)
    store.mkdir("bucket")
    attach("s3", conn_id="moto", fs=store)
    return store


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    store = fsspec.filesystem("memory")
    store.store.clear()
    attach("memory", conn_id="tests", fs=store)
    return store


PATHS = {"s3": "s3://moto@bucket/folder/lake", "memory": "memory://tests@bucket/folder/lake/"}


@pytest.fixture(params=list(PATHS))
def store(request: pytest.FixtureRequest) -> tuple[str, fsspec.AbstractFileSystem]:
    return PATHS[request.param], request.getfixturevalue(request.param)


def copy(store: fsspec.AbstractFileSystem, lake: Lake) -> None:
    """Bring what is in the store into a local folder, for DuckDB."""
    store.get("bucket/folder/lake/", lake.path + "/", recursive=True)


def test_a_load_into_a_store_writes_what_a_load_into_a_folder_writes(
    load: Load,
    lake: Lake,
    seed: Seed,
    store: tuple[str, fsspec.AbstractFileSystem],
    tmp_path: Any,
    sandbox: SandboxProcess,
) -> None:
    path, files = store
    local = Lake(str(tmp_path / "local"))
    seed("transit", "soon", "exception")
    for _ in range(4):
        results = [load(path=path), load(path=local.path)]
        name = f"_manifests/trackingmore_default/{results[0]['sequence']:010d}.json"
        assert results[0]["manifest"] == f"{path.rstrip('/')}/{name}"
        sandbox.advance(days=3)
    copy(files, lake)
    assert lake.files() == local.files()
    lake.check()


def test_of_two_loads_into_a_store_one_wins(
    load: Load,
    lake: Lake,
    seed: Seed,
    store: tuple[str, fsspec.AbstractFileSystem],
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, files = store
    seed("transit")
    create = Storage.create

    def create_later(storage: Storage, name: str, content: bytes) -> None:
        if name.endswith(".json"):
            monkeypatch.setattr(Storage, "create", create)
            sandbox.advance(hours=1)
            seed("transit#2")
            assert load(path=path)["sequence"] == 1
        create(storage, name, content)

    monkeypatch.setattr(Storage, "create", create_later)
    with pytest.raises(LoadConflictError, match=r"0000000001\.json exists"):
        load(path=path)
    assert load(path=path)["rows"]["trackings"] == {"new": 0, "changed": 0, "unchanged": 2}
    copy(files, lake)
    lake.check()
    assert lake.rows_of_files("trackings") == 2 == len(lake.table("trackings"))


def test_parquet_in_s3_is_read_in_place(load: Load, seed: Seed, s3: s3fs.S3FileSystem) -> None:
    import pyarrow.parquet

    seed("transit", "delivered")
    load(path=PATHS["s3"], file_format="parquet")
    [name] = s3.glob("bucket/folder/lake/trackings/*/*.parquet")
    assert pyarrow.parquet.read_table(name, filesystem=s3).num_rows == 2


def test_a_bucket_that_does_not_exist_is_named_and_not_created(
    load: Load, s3: s3fs.S3FileSystem, sandbox: SandboxProcess
) -> None:
    with pytest.raises(InvalidArgumentError, match="path='s3://moto@none/lake' cannot be written"):
        load(path="s3://moto@none/lake")
    assert sandbox.ledger()["requests"] == 0
    assert not s3.exists("none")
