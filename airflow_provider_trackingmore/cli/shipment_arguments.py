"""Shipments on the command line: a CSV file, or a carrier and its tracking numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_trackingmore.cli.csv_file import FileError, Row, Sheet, read_sheet
from airflow_provider_trackingmore.cli.exit_codes import CommandError, ExitCode


def read_shipments(words: Sequence[str], fields: Sequence[str]) -> Sheet:
    """Read the shipments that the user named.

    :param words: a CSV file (``-`` is standard input), or the code of a carrier followed by tracking numbers.
    :param fields: the optional columns of a file that are read.
    :return: the shipments; those that are not from a file have the line 0.
    :raises CommandError: if the file cannot be read.
    """
    if len(words) > 1:
        carrier, *numbers = words
        shipments = [{"carrier_code": carrier, "tracking_number": number} for number in numbers]
        return Sheet(tuple(Row(0, shipment) for shipment in shipments), ())
    (file,) = words
    try:
        return read_sheet(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes(), fields)
    except (FileError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"{file}: {reason}", ExitCode.USAGE) from error
