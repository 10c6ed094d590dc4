"""The arguments of the commands: their types, and those that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from airflow_provider_trackingmore.cli.suggestions import did_you_mean
from airflow_provider_trackingmore.cli.time_arguments import parse_period, parse_time
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES

T = TypeVar("T")

DEBUG_VARIABLE = "TRACKINGMORE_DEBUG"
FORMATS = ("table", "ndjson", "json", "csv")
MAX_WAIT = timedelta(days=3_650)


@dataclass(frozen=True)
class Argument:
    """An argument of a command.

    :param flags: its name, or its options.
    :param options: further arguments of ``add_argument`` of argparse.
    :param completions: values for the completion in a shell.
    """

    flags: tuple[str, ...]
    options: Mapping[str, object]
    completions: tuple[str, ...] = ()

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add the argument to a parser.

        :param parser: the parser of the command.
        """
        action = parser.add_argument(*self.flags, **cast("Mapping[str, Any]", self.options))
        if self.completions:
            action.completer = lambda **_: self.completions  # type: ignore[attr-defined]  # read by argcomplete
        if self.options.get("nargs") == argparse.REMAINDER:
            parser.prefix_chars = "\0"  # everything that follows is for another program, --help included


def argument(*flags: str, completions: Sequence[str] = (), **options: object) -> Argument:
    """Describe an argument as for ``add_argument`` of argparse."""
    return Argument(flags, options, tuple(completions))


def checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """Make argparse show the message of a ``ValueError``, which it would hide otherwise."""

    def read_value(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read_value


def choice(flag: str, values: Sequence[str], help: str, **options: object) -> Argument:
    """Describe an option with a few allowed values; a similar one is suggested for any other value."""

    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"{text!r} is not one of {', '.join(values)}{did_you_mean(text, values)}")
        return text

    return argument(flag, type=checked(read), completions=values, help=help, **options)


def parse_since(text: str) -> datetime:
    """Read the start of a range of times."""
    return parse_time(text, now=datetime.now(UTC))


def parse_until(text: str) -> datetime:
    """Read the end of a range of times; a date without a time includes the whole day."""
    return parse_time(text, now=datetime.now(UTC), end_of_day=True)


def positive_period(text: str) -> timedelta:
    """Read a period that is longer than zero, and short enough to wait for."""
    period = parse_period(text)
    if not timedelta(0) < period <= MAX_WAIT:
        raise ValueError(f"{text!r} is not longer than zero and up to {MAX_WAIT.days} days")
    return period


def positive_count(text: str) -> int:
    """Read a whole number from 1."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise ValueError(f"{text!r} is not a whole number from 1")
    return int(text)


def comma_separated(text: str) -> list[str]:
    """Read values separated by commas."""
    values = [value.strip() for value in text.split(",")]
    if not all(values):
        raise ValueError(f"{text!r} has an empty entry")
    return values


def file_tables(text: str) -> list[str]:
    """Read names of tables, separated by commas."""
    names = comma_separated(text)
    for name in names:
        if name not in FILE_TABLES:
            raise ValueError(f"{name!r} is not one of {', '.join(FILE_TABLES)}{did_you_mean(name, FILE_TABLES)}")
    return names


def assignment(text: str) -> tuple[str, str]:
    """Read ``FIELD=VALUE``."""
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise ValueError(f"{text!r} is not FIELD=VALUE")
    return name.strip(), value.strip()


def time_range(name: str, filter_name: str, what: str) -> tuple[Argument, Argument]:
    """Describe the two options of a range of times.

    :param name: the beginning of both options, such as ``created``.
    :param filter_name: the filter of the API, without ``_min`` and ``_max``.
    :param what: the verb for the help.
    """
    return (
        argument(
            f"--{name}-since",
            dest=f"{filter_name}_min",
            metavar="TIME",
            type=checked(parse_since),
            help=f"{what} at or after TIME: 30m, 12h, 7d or 2w ago, or ISO 8601 (UTC if it has no offset)",
        ),
        argument(
            f"--{name}-until",
            dest=f"{filter_name}_max",
            metavar="TIME",
            type=checked(parse_until),
            help=f"{what} at or before TIME; a date without a time includes the whole day",
        ),
    )


SHARED = (
    argument("--conn-id", metavar="ID", help="Airflow connection; see below"),
    choice(
        "--output",
        FORMATS,
        "table, ndjson (one JSON object per line), json or csv; the default is a table on a terminal, NDJSON elsewhere",
        metavar="FORMAT",
    ),
    argument("--fields", type=checked(comma_separated), metavar="A,B,...", help="show only these fields"),
    argument(
        "--debug", action="store_true", help=f"show debug messages and tracebacks; {DEBUG_VARIABLE}=1 does the same"
    ),
)
INCLUDE_RAW = argument(
    "--include-raw",
    action="store_true",
    help="add TrackingMore's own record, which may contain personal data; only with ndjson and json",
)
LANG = argument("--lang", metavar="LL", help="language of the checkpoint texts, where the carrier offers it")
NUMBER = argument("tracking_number", metavar="NUMBER", help="tracking number")
SHIPMENTS = argument(
    "shipments",
    nargs="+",
    metavar="SHIPMENT",
    help="a CSV file (- is standard input), or the code of a carrier followed by tracking numbers",
)
YES = argument("--yes", action="store_true", help="make the changes; without it only the plan is shown")
