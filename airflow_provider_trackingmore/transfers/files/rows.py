"""Collect the rows of a table, and encode them to sorted files, in memory that does not grow with their number."""

from __future__ import annotations

import heapq
import pickle
from collections.abc import Iterator
from operator import itemgetter
from tempfile import TemporaryFile
from typing import IO, TypeAlias

from airflow_provider_trackingmore.loading.schema import Table
from airflow_provider_trackingmore.transfers.files.formats import FileFormat, Row

RUN_ROWS = 1_000
RUN_TEXT = 4_000_000
"""Rows, and characters of the vendor's records, that are sorted in memory."""

BLOCK_ROWS = 100
MAX_BYTES = 16_000_000
"""Bytes of the rows of a file before it is compressed; where it would be more, a file gets fewer rows."""

_Keyed: TypeAlias = tuple[list[str], object]


class TableFiles:
    """The files of one table.

    Rows and files are kept in temporary files without names, which disappear with the process even if it is killed.

    :param table: the table.
    :param file_format: encodes rows.
    :param rows_per_file: how many rows a file gets at most.
    """

    def __init__(self, table: Table, file_format: FileFormat, rows_per_file: int) -> None:
        self.table = table
        self._format = file_format
        self._rows_per_file = rows_per_file
        self._run: list[_Keyed] = []
        self._run_text = 0
        self._rows = 0
        self._runs: list[list[int]] = []
        self._spilled: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by close()
        self._encoded: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by close()
        self._files: list[tuple[int, int]] = []
        names = table.names
        self._key = [names.index(name) for name in table.key]
        self._raw = names.index("raw") if "raw" in names else None

    def close(self) -> None:
        """Remove the temporary files."""
        self._spilled.close()
        self._encoded.close()

    def add(self, row: Row) -> None:
        """Add a row.

        :param row: the values of the columns.
        """
        self._run.append(([str(row[number]) for number in self._key], self._format.prepare(self.table, row)))
        self._rows += 1
        if self._raw is not None:
            self._run_text += len(row[self._raw] or "")
        if len(self._run) >= RUN_ROWS or self._run_text >= RUN_TEXT or self._rows >= self._rows_per_file:
            self._spill()
            if self._rows >= self._rows_per_file or self._spilled.tell() >= MAX_BYTES:
                self._finish_file()

    def files(self) -> Iterator[tuple[int, bytes]]:
        """Return the files, once all rows are added.

        :return: the number of rows and the content of each.
        """
        if self._rows:
            self._spill()
            self._finish_file()
        self._encoded.seek(0)
        for rows, size in self._files:
            yield rows, self._encoded.read(size)

    def _spill(self) -> None:
        """Sort what is in memory, and write it in blocks that can be read one by one."""
        self._run.sort(key=itemgetter(0))
        offsets = []
        for first in range(0, len(self._run), BLOCK_ROWS):
            offsets.append(self._spilled.tell())
            pickle.dump(self._run[first : first + BLOCK_ROWS], self._spilled, pickle.HIGHEST_PROTOCOL)
        self._runs.append(offsets)
        self._run = []
        self._run_text = 0

    def _finish_file(self) -> None:
        before = self._encoded.seek(0, 2)
        rows = heapq.merge(*map(self._read_run, self._runs), key=itemgetter(0))
        self._format.write(self.table, (row for _, row in rows), self._encoded)
        self._files.append((self._rows, self._encoded.seek(0, 2) - before))
        self._spilled.seek(0)
        self._spilled.truncate()
        self._runs = []
        self._rows = 0

    def _read_run(self, offsets: list[int]) -> Iterator[_Keyed]:
        for offset in offsets:
            self._spilled.seek(offset)
            yield from pickle.load(self._spilled)  # noqa: S301 - written by _spill, to a file that has no name
