"""Replace a file atomically: readers see the old content until the new content is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from uuid import uuid4

_ATOMIC_UPLOAD_PROTOCOLS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"})

_ENCODING_ERRORS = "backslashreplace"
"""Writes a lone surrogate as its JSON escape. A vendor that cuts a text in the middle of an emoji sends one."""


@contextmanager
def replace_file(path: str) -> Iterator[IO[str]]:
    """Write to a temporary file that replaces the target when the ``with`` block ends without an exception.

    For a local target the temporary file is in the same folder, with a name that begins with a dot and ends in
    ``.part``, and is renamed. For any other store it is a local temporary file that is uploaded at the end.

    :param path: a local file or an object store's address, as ``ObjectStoragePath`` takes it.
    :return: a text file to write JSON to, in UTF-8. Lone surrogates, which UTF-8 cannot encode, become JSON escapes.
    """
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    target = ObjectStoragePath(path)
    if target.protocol in ("", "file", "local"):
        with _replace_local(os.path.realpath(target.path)) as file:
            yield file
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".part", encoding="utf-8", errors=_ENCODING_ERRORS) as file:
            yield file
            file.flush()
            _upload(target.fs, file.name, target.path)
    # Lineage: opening the path itself would have reported it to Airflow.
    get_hook_lineage_collector().add_output_asset(context=target, uri=str(target))  # type: ignore[no-untyped-call]


@contextmanager
def _replace_local(target: str) -> Iterator[IO[str]]:
    if os.path.exists(target) and not os.path.isfile(target):  # a device or a pipe cannot be replaced
        with open(target, "w", encoding="utf-8", errors=_ENCODING_ERRORS) as file:
            yield file
        return
    temporary = _temporary_name(target)
    try:
        with open(temporary, "x", encoding="utf-8", errors=_ENCODING_ERRORS) as file:
            if os.path.exists(target):
                shutil.copymode(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def has_atomic_uploads(protocols: str | Iterable[str]) -> bool:
    """Tell whether an upload to an object store becomes visible only when it is complete.

    :param protocols: the ``protocol`` of its fsspec file system: a name, or several.
    :return: whether that is known of one of them.
    """
    names = {protocols} if isinstance(protocols, str) else set(protocols)
    return bool(names & _ATOMIC_UPLOAD_PROTOCOLS)


def _upload(store: Any, source: str, target: str) -> None:
    if has_atomic_uploads(store.protocol):
        store.put_file(source, target)
        return
    temporary = _temporary_name(target)
    try:
        store.put_file(source, temporary)
        store.mv(temporary, target)
    except BaseException:
        with suppress(Exception):
            store.rm_file(temporary)
        raise


def _temporary_name(target: str) -> str:
    directory, slash, name = target.rpartition("/")
    return f"{directory}{slash}.{name}.{uuid4().hex}.part"
