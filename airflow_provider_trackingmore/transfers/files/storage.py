"""A folder of an object store, or of this machine, in which files are written once and never changed."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.atomic_file import has_atomic_uploads

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

CHECK_FILE = "_check"
_CHECK_TEXT = b"Each load writes this file to check that it can write here. It has no other use.\n"
_LOCAL = ("", "file", "local")
_REFUSED = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)


class Storage:
    """A folder, through Airflow's ``ObjectStoragePath``. All methods take paths below it.

    :param path: a local folder or an object store's address.
    :raises InvalidArgumentError: if no file system is installed for it.
    """

    def __init__(self, path: str) -> None:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        if "://" not in path:
            path = os.path.abspath(path)  # a relative path would begin at the root of the file system on Airflow 2.11
        self._given = path
        try:
            self.root: ObjectStoragePath = ObjectStoragePath(path)
            self._store: Any = self.root.fs
        except (ValueError, ImportError, NotImplementedError) as error:
            raise InvalidArgumentError(
                f"path={path!r} cannot be opened: {error}. Install the provider of that store: "
                "apache-airflow-providers-amazon[s3fs] for s3://, apache-airflow-providers-google for gs://, "
                "apache-airflow-providers-microsoft-azure for abfs://"
            ) from error
        self.is_local = self.root.protocol in _LOCAL
        self.folder = os.path.realpath(self.root.path) if self.is_local else self.root.path.rstrip("/")

    def address(self, name: str) -> str:
        """Return the address of a file, as ``ObjectStoragePath`` takes it.

        :param name: its path below the folder.
        """
        return f"{self._given.rstrip('/')}/{name}"

    def describe(self, name: str) -> tuple[str, str]:
        """Return the namespace and the name of a folder by the rules of OpenLineage.

        :param name: its path below this one.
        """
        if self.is_local:
            return "file", self._path(name)
        container, _, folder = self.folder.partition("/")
        return f"{self.root.protocol}://{container}", f"{folder}/{name}".lstrip("/")

    def check(self, folder: str) -> None:
        """Check that files can be written, and that a file can be created only if it does not exist.

        :param folder: where; it is created.
        :raises InvalidArgumentError: if not.
        """
        name = f"{folder}/{CHECK_FILE}"
        try:
            self._write(name, _CHECK_TEXT)
        except OSError as error:
            if not isinstance(error, _REFUSED) and error.errno != errno.EROFS:
                raise
            raise InvalidArgumentError(
                f"path={self._given!r} cannot be written ({type(error).__name__}: {error}): check that it exists, and "
                "that the worker may write there"
            ) from error
        try:
            self.create(name, _CHECK_TEXT)
        except FileExistsError:
            return
        except (ValueError, NotImplementedError, TypeError):
            pass
        raise InvalidArgumentError(
            f"path={self._given!r} is in a store that cannot create a file only if it does not exist. Two loads "
            "could overwrite each other there: choose a local path, S3, Google Cloud Storage or Azure"
        )

    def list(self, folder: str) -> list[str]:
        """List the names in a folder.

        :param folder: the folder.
        :return: names without path; none if the folder does not exist.
        """
        path = self._path(folder)
        self._store.invalidate_cache(path)
        try:
            return [str(found).rstrip("/").rpartition("/")[2] for found in self._store.ls(path, detail=False)]
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """Read a file.

        :param name: the file.
        :raises FileNotFoundError: if it does not exist.
        """
        content: bytes = self._store.cat_file(self._path(name))
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file whose name contains the hash of its content. If it exists, it is left alone.

        :param name: the file.
        :param content: its content.
        """
        path = self._path(name)
        with suppress(FileNotFoundError):
            if self._store.info(path)["size"] == len(content):
                return
        self._write(name, content)

    def create(self, name: str, content: bytes) -> None:
        """Create a file completely or not at all, and only if it does not exist.

        :param name: the file.
        :param content: its content.
        :raises FileExistsError: if it exists.
        """
        path = self._path(name)
        if self.is_local:
            _create_local(path, content)
            return
        # Nothing between opening and closing can fail, other than by the store: closing would upload a part.
        file = self._store.open(path, "xb")
        file.write(content)
        file.close()
        self._store.invalidate_cache(path)

    def remove(self, name: str) -> None:
        """Remove a file, if it exists.

        :param name: the file.
        """
        with suppress(FileNotFoundError):
            self._store.rm_file(self._path(name))

    def _write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        if self.is_local:
            _write_local(path, content)
            return
        if has_atomic_uploads(self._store.protocol) or self.root.protocol == "memory":
            self._store.pipe_file(path, content)
            return
        parent, _, base = path.rpartition("/")
        temporary = f"{parent}/.{base}.{uuid4().hex}.part"
        self._store.makedirs(parent, exist_ok=True)
        try:
            self._store.pipe_file(temporary, content)
            self._store.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                self._store.rm_file(temporary)
            raise

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}"


def _write_local(path: str, content: bytes) -> None:
    temporary = _write_temporary(path, content)
    try:
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(path)


def _create_local(path: str, content: bytes) -> None:
    temporary = _write_temporary(path, content)
    try:
        try:
            os.link(temporary, path)  # unlike open("xb"), it never leaves a part of the file
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with open(path, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    finally:
        _remove(temporary)
    _sync_folder(path)


def _write_temporary(path: str, content: bytes) -> str:
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{name}.{uuid4().hex}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        _remove(temporary)
        raise
    return temporary


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _sync_folder(path: str) -> None:
    with suppress(OSError):  # not every file system can
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
