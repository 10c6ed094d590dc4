"""Rows on standard output: as a table, NDJSON, JSON or CSV."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from airflow_provider_trackingmore.cli.definition import Command
from airflow_provider_trackingmore.cli.exit_codes import CommandError, ExitCode
from airflow_provider_trackingmore.cli.messages import printable
from airflow_provider_trackingmore.cli.suggestions import did_you_mean
from airflow_provider_trackingmore.cli.table import write_table

Row = Mapping[str, Any]

NESTED_FIELDS = frozenset({"checkpoints", "raw"})
_CONTROL_CHARACTERS = re.compile("[\x7f-\x9f]")


def check_output(command: Command, arguments: argparse.Namespace) -> None:
    """Choose the format and the fields of the output; replaces ``arguments.output`` and ``arguments.fields``.

    :param command: the command.
    :param arguments: its arguments.
    :raises CommandError: if the format cannot show what the user asked for.
    """
    include_raw = getattr(arguments, "include_raw", False)
    if include_raw and arguments.output in ("table", "csv"):
        raise CommandError(f"--include-raw needs --output ndjson or json, not {arguments.output}", ExitCode.USAGE)
    arguments.output = arguments.output or ("table" if sys.stdout.isatty() and not include_raw else "ndjson")
    is_plan = bool(command.plan_fields) and not arguments.yes
    fields = command.plan_fields if is_plan else command.fields
    known = (*fields, "raw") if include_raw else fields
    for name in arguments.fields or ():
        if name not in known:
            hint = did_you_mean(name, known) or f"; the fields are {', '.join(known)}"
            what = f"{command.name} without --yes" if is_plan else command.name
            raise CommandError(f"{what} has no field {name!r}{hint}", ExitCode.USAGE)
        if name in NESTED_FIELDS and arguments.output in ("table", "csv"):
            raise CommandError(f"the field {name} needs --output ndjson or json", ExitCode.USAGE)
    arguments.columns = arguments.fields or (command.plan_fields if is_plan else command.columns)
    if arguments.output == "csv" and not arguments.fields:
        arguments.fields = [name for name in fields if name not in NESTED_FIELDS]


def write_rows(rows: Iterable[Row], arguments: argparse.Namespace, *, sample: Iterable[Row] | None = None) -> None:
    """Write rows in the format that the user chose, as they arrive.

    :param rows: plain data.
    :param arguments: the command's arguments, after :func:`check_output`.
    :param sample: rows that are as wide as those to come, so that a table can show each row at once.
    """
    with until_closed():
        match arguments.output:
            case "table":
                write_table(rows, arguments.columns, sample=sample)
            case "csv":
                write_csv(rows, arguments.fields)
            case "json":
                write_json(select_fields(rows, arguments.fields))
            case _:
                write_ndjson(select_fields(rows, arguments.fields))


def select_fields(rows: Iterable[Row], fields: Sequence[str] | None) -> Iterable[Row]:
    """Keep some fields of each row.

    :param rows: plain data.
    :param fields: the fields; None keeps all.
    :return: the rows.
    """
    return rows if fields is None else ({name: row.get(name) for name in fields} for row in rows)


@contextlib.contextmanager
def until_closed() -> Iterator[None]:
    """Stop writing when the reader of a pipe closes it: ``| head`` is not an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Otherwise the interpreter would fail at exit to flush its buffer.
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), sys.stdout.fileno())


def write_ndjson(rows: Iterable[Row]) -> None:
    """Write one JSON object per line, in UTF-8 whatever the locale.

    :param rows: plain data.
    """
    _use_utf8()
    for row in rows:
        sys.stdout.write(_to_json(row) + "\n")


def write_json(rows: Iterable[Row]) -> None:
    """Write a JSON array, one object per line, in UTF-8 whatever the locale.

    :param rows: plain data.
    """
    _use_utf8()
    separator = "["
    for row in rows:
        sys.stdout.write(f"{separator}\n{_to_json(row)}")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")


def write_csv(rows: Iterable[Row], fields: Sequence[str]) -> None:
    """Write CSV with a header line, in UTF-8 whatever the locale.

    :param rows: plain data.
    :param fields: the columns.
    """
    _use_utf8()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for cells in chain([fields], ([row.get(name) for name in fields] for row in rows)):
        writer.writerow([printable(cell) if isinstance(cell, str) else cell for cell in cells])


def _use_utf8() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # a lone surrogate becomes its JSON escape


def _to_json(row: Row) -> str:
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return _CONTROL_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
