"""Manifests: which files count, and where the state for the next load is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import NoReturn

from airflow_provider_trackingmore.loading.schema import SCHEMA_VERSION
from airflow_provider_trackingmore.loading.state import LoadStateError
from airflow_provider_trackingmore.transfers.files.storage import Storage

MANIFEST_VERSION = 1
_NAME = re.compile(r"\d{10}\.json")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of rows.

    :param table: its table.
    :param path: its path, below that of the operator.
    :param rows: how many rows it contains.
    :param sha256: hash of its content.
    """

    table: str
    path: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StateFile:
    """A file of the state.

    :param path: its path, below that of the operator.
    :param sha256: hash of its content.
    """

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a load has written. Only files that a manifest names count.

    :param stream: the name of the stream of loads.
    :param account: the value of the column ``account``.
    :param sequence: number of the load in its stream, from 1.
    :param loaded_at: start of the load.
    :param window: what it has requested, as in the operator's result.
    :param cursor: the state's cursor, as in the operator's result.
    :param state: the state for the next load.
    :param files: its files of rows.
    """

    stream: str
    account: str
    sequence: int
    loaded_at: datetime
    window: Mapping[str, str | None]
    cursor: str | None
    state: StateFile
    files: tuple[DataFile, ...]

    def to_json(self) -> bytes:
        """Return the content of the manifest's file."""
        content = {
            "version": MANIFEST_VERSION,
            "stream": self.stream,
            "account": self.account,
            "schema_version": SCHEMA_VERSION,
            "sequence": self.sequence,
            "previous": self.sequence - 1 if self.sequence > 1 else None,
            "loaded_at": self.loaded_at.isoformat(),
            "window": dict(self.window),
            "cursor": self.cursor,
            "state": asdict(self.state),
            "files": [asdict(file) for file in self.files],
        }
        return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def folder_name(stream: str) -> str:
    """Return the name of the folders of a stream: its own name, or a readable form of it and a hash.

    :param stream: the stream.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", stream):
        return stream
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", stream)[:80]
    return f"{readable}-{hash_of(stream.encode())[:12]}"


def manifest_path(stream: str, sequence: int) -> str:
    """Return the path of a manifest.

    :param stream: the stream.
    :param sequence: number of the load.
    """
    return f"_manifests/{folder_name(stream)}/{sequence:010d}.json"


def read_newest(storage: Storage, stream: str) -> Manifest | None:
    """Read the newest manifest of a stream.

    :param storage: where.
    :param stream: the stream.
    :return: the manifest; None before the first load.
    :raises LoadStateError: if it is damaged, or was written by a later version.
    """
    names = [name for name in storage.list(f"_manifests/{folder_name(stream)}") if _NAME.fullmatch(name)]
    if not names:
        return None
    sequence = int(max(names).removesuffix(".json"))
    path = manifest_path(stream, sequence)
    address = storage.address(path)
    try:
        content = json.loads(storage.read(path))
        check_version(content["version"], MANIFEST_VERSION, address)
        manifest = Manifest(
            stream=content["stream"],
            account=content["account"],
            sequence=content["sequence"],
            loaded_at=datetime.fromisoformat(content["loaded_at"]),
            window=content["window"],
            cursor=content["cursor"],
            state=StateFile(content["state"]["path"], content["state"]["sha256"]),
            files=tuple(DataFile(**file) for file in content["files"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(f"The manifest {address} is damaged ({type(error).__name__})", address) from error
    if manifest.sequence != sequence or manifest.stream != stream:
        raise _damaged(f"The manifest {address} belongs to another stream or load", address)
    return manifest


def read_state_file(storage: Storage, file: StateFile, manifest: str) -> bytes:
    """Read a file of the state and verify its hash.

    :param storage: where.
    :param file: the file.
    :param manifest: address of the manifest, for the error.
    :return: its content.
    :raises LoadStateError: if it is missing or damaged.
    """
    try:
        content = storage.read(file.path)
    except FileNotFoundError as error:
        raise _damaged(f"The state {storage.address(file.path)} is missing", manifest) from error
    if hash_of(content) != file.sha256:
        raise _damaged(f"The state {storage.address(file.path)} is damaged: its hash differs", manifest)
    return content


def check_version(version: object, known: int, address: str) -> None:
    """Check the version of a file.

    :param version: the version that it states.
    :param known: the version that this package writes.
    :param address: the file, for the error.
    :raises LoadStateError: if it is later.
    :raises ValueError: if it is no version.
    """
    if not isinstance(version, int) or version < 1:
        raise ValueError("no version")
    if version > known:
        raise LoadStateError(
            f"{address} was written by a later version of this package (its form is {version}, this version reads up "
            f"to {known}): install that version again"
        )


def raise_damaged(what: str, manifest: str) -> NoReturn:
    """Raise the error for a damaged state.

    :param what: what is damaged.
    :param manifest: address of the manifest that names it.
    :raises LoadStateError: always.
    """
    raise _damaged(what, manifest)


def hash_of(content: bytes) -> str:
    """Return the SHA-256 of a file in hex digits.

    :param content: its content.
    """
    return sha256(content).hexdigest()


def _damaged(what: str, manifest: str) -> LoadStateError:
    return LoadStateError(
        f"{what}: restore it, or remove {manifest}, after which the next load continues from the one before"
    )
