"""Files that are replaced as a whole: until a new one is complete, readers find the old one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from uuid import uuid4

UPLOADS_IN_ONE_STEP = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"})
"""Object stores that show an upload when it is complete, and not at all if it is not."""


@contextmanager
def replace_file(path: str) -> Iterator[IO[str]]:
    """Write a file aside, and put it in place in one step when the block ends without an exception.

    A file on this machine is written beside its target, under a name that begins with a dot and ends with ``.part``,
    and renamed. For any other store it is written to a temporary file on this machine and uploaded afterwards.

    :param path: a file or an object store's address, as ``ObjectStoragePath`` takes it.
    :return: a text file to write to.
    """
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    target = ObjectStoragePath(path)
    if target.protocol in ("", "file", "local"):
        with _beside(os.path.realpath(target.path)) as file:
            yield file
    else:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".part") as file:
            yield file
            file.flush()
            _upload(target.fs, file.name, target.path)
    # What opening the path itself would tell Airflow, for lineage.
    get_hook_lineage_collector().add_output_asset(context=target, uri=str(target))  # type: ignore[no-untyped-call]


@contextmanager
def _beside(target: str) -> Iterator[IO[str]]:
    if os.path.exists(target) and not os.path.isfile(target):  # a device or a pipe cannot be replaced
        with open(target, "w", encoding="utf-8") as file:
            yield file
        return
    aside = _aside(target)
    try:
        with open(aside, "x", encoding="utf-8") as file:
            if os.path.exists(target):
                shutil.copymode(target, aside)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise


def _upload(store: Any, source: str, target: str) -> None:
    protocols = {store.protocol} if isinstance(store.protocol, str) else set(store.protocol)
    if protocols & UPLOADS_IN_ONE_STEP:
        store.put_file(source, target)
        return
    aside = _aside(target)
    try:
        store.put_file(source, aside)
        store.mv(aside, target)
    except BaseException:
        with suppress(Exception):
            store.rm_file(aside)
        raise


def _aside(target: str) -> str:
    directory, slash, name = target.rpartition("/")
    return f"{directory}{slash}.{name}.{uuid4().hex}.part"
