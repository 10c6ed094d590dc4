"""Encode rows as NDJSON or Parquet, so that the same rows give the same bytes."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.loading.schema import Column, ColumnType, Table

if TYPE_CHECKING:
    import pyarrow

Row: TypeAlias = tuple[Any, ...]
"""The values of a table's columns, in order. Local times are text, times in UTC are datetimes."""

FORMATS = ("ndjson.gz", "ndjson", "parquet")
LINES_AT_ONCE = 1_000
ROWS_PER_GROUP = 1_000


class FileFormat(Protocol):
    """A format of files."""

    def prepare(self, table: Table, row: Row) -> object:
        """Convert a row to the form in which it is kept until its file is written.

        :param table: its table.
        :param row: the values of the columns.
        """

    def write(self, table: Table, rows: Iterable[object], file: IO[bytes]) -> None:
        """Write a file.

        :param table: the table.
        :param rows: its rows, prepared.
        :param file: is written at its end.
        """


def get_format(name: str) -> FileFormat:
    """Return a format.

    :param name: one of :data:`FORMATS`.
    :return: the format.
    :raises InvalidArgumentError: if pyarrow is needed and not installed.
    """
    if name != "parquet":
        return Ndjson(compressed=name == "ndjson.gz")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise InvalidArgumentError(
            "file_format='parquet' needs pyarrow, which is not installed: run "
            "pip install 'airflow-provider-trackingmore[parquet]', or set file_format='ndjson.gz'"
        ) from error
    return Parquet()


class Ndjson:
    """One JSON object per line, times in ISO 8601.

    :param compressed: whether to compress it with gzip.
    """

    def __init__(self, *, compressed: bool) -> None:
        self._compressed = compressed

    def prepare(self, table: Table, row: Row) -> bytes:
        """Convert a row to a line.

        :param table: its table.
        :param row: the values of the columns.
        """
        values = {}
        for column, value in zip(table.columns, row, strict=True):
            is_local = column.type is ColumnType.LOCAL and value is not None
            values[column.name] = value.replace(" ", "T", 1) if is_local else value
        return _TO_JSON(values).encode() + b"\n"

    def write(self, table: Table, rows: Iterable[object], file: IO[bytes]) -> None:
        """Write a file.

        :param table: the table.
        :param rows: its lines.
        :param file: is written at its end.
        """
        if self._compressed:
            with open_gzip(file) as compressed:
                _write_lines(rows, compressed)
        else:
            _write_lines(rows, file)


class Parquet:
    """Parquet, compressed with zstd."""

    def prepare(self, table: Table, row: Row) -> Row:
        """Keep a row as it is.

        :param table: its table.
        :param row: the values of the columns.
        """
        return row

    def write(self, table: Table, rows: Iterable[object], file: IO[bytes]) -> None:
        """Write a file.

        :param table: the table.
        :param rows: its rows.
        :param file: is written at its end.
        """
        import pyarrow
        import pyarrow.parquet

        schema = parquet_schema(table)
        content = io.BytesIO()
        with pyarrow.parquet.ParquetWriter(content, schema, compression="zstd") as writer:
            for group in _groups(rows, ROWS_PER_GROUP):
                arrays = []
                for column, field, values in zip(table.columns, schema, zip(*group, strict=True), strict=True):
                    if column.type is ColumnType.LOCAL:
                        arrays.append(pyarrow.array(values, pyarrow.string()).cast(field.type))
                    else:
                        arrays.append(pyarrow.array(values, field.type))
                writer.write_batch(pyarrow.RecordBatch.from_arrays(arrays, schema=schema))
        file.write(content.getbuffer())
        pyarrow.default_memory_pool().release_unused()


def parquet_schema(table: Table) -> pyarrow.Schema:
    """Return the schema of a table's Parquet files.

    :param table: the table.
    """
    import pyarrow

    return pyarrow.schema(
        [pyarrow.field(column.name, _arrow_type(column), nullable=not column.is_required) for column in table.columns]
    )


def open_gzip(file: IO[bytes]) -> gzip.GzipFile:
    """Compress what is written, without a name and a time in the header.

    :param file: where it goes.
    """
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)


def _write_lines(lines: Iterable[Any], file: IO[bytes] | gzip.GzipFile) -> None:
    for some in _groups(lines, LINES_AT_ONCE):
        file.write(b"".join(some))


def _groups(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    remaining = iter(rows)
    while group := list(islice(remaining, size)):
        yield group


def _arrow_type(column: Column) -> pyarrow.DataType:
    import pyarrow

    types = {
        ColumnType.UTC: pyarrow.timestamp("us", tz="UTC"),
        ColumnType.LOCAL: pyarrow.timestamp("us"),
        ColumnType.BOOLEAN: pyarrow.bool_(),
        ColumnType.TEXTS: pyarrow.list_(pyarrow.string()),
    }
    return types.get(column.type, pyarrow.string())


def _isoformat(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")


_TO_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_isoformat).encode
