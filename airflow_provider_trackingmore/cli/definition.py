"""The commands as data: names, arguments, help. One definition for argparse and for Airflow; runs nothing."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentStatus
from airflow_provider_trackingmore.cli.account import DEFAULT_CONNECTION, KEY_VARIABLE, URL_VARIABLE
from airflow_provider_trackingmore.cli.exits import MEANINGS
from airflow_provider_trackingmore.cli.moments import moment

T = TypeVar("T")

DEBUG_VARIABLE = "TRACKINGMORE_DEBUG"

STATUSES = tuple(status.value for status in ShipmentStatus if status is not ShipmentStatus.UNKNOWN)

DESCRIPTION = "Look at, and on request register, the shipments of a TrackingMore account."
EPILOG = "\n".join(
    (
        "The account is that of --conn-id; without it",
        f"  {KEY_VARIABLE} and, if set, {URL_VARIABLE}; without them",
        f"  the Airflow connection {DEFAULT_CONNECTION}.",
        "",
        "exit codes:",
        *(f"  {code.value:<4}{meaning}" for code, meaning in MEANINGS.items()),
    )
)


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    :param flags: its name, or its options.
    :param options: what argparse takes beside them.
    """

    flags: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Command:
    """One command.

    :param name: what is typed.
    :param help: one line.
    :param arguments: what it takes.
    :param more: the rest of its description.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...] = ()
    more: str = field(default="", repr=False)

    @property
    def description(self) -> str:
        """The text above the arguments."""
        return textwrap.fill(f"{self.help}. {self.more}".rstrip(), 78)


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


def _checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show what a reader says of a wrong value."""

    def reading(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reading


def _since(text: str) -> datetime:
    return moment(text, now=datetime.now(UTC))


def _until(text: str) -> datetime:
    return moment(text, now=datetime.now(UTC), end=True)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise ValueError(f"{text!r} is not a whole number from 1")
    return int(text)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"{text!r} has an empty entry")
    return names


def _span(name: str, filter_name: str, what: str) -> tuple[Argument, Argument]:
    return (
        _argument(
            f"--{name}-since",
            dest=f"{filter_name}_min",
            metavar="TIME",
            type=_checked(_since),
            help=f"{what} at or after it: 7d, 12h, 30m, 2w ago, or ISO 8601 (UTC where it has no offset)",
        ),
        _argument(
            f"--{name}-until",
            dest=f"{filter_name}_max",
            metavar="TIME",
            type=_checked(_until),
            help=f"{what} at or before it; a day without a time is meant to its end",
        ),
    )


_SHARED = (
    _argument("--conn-id", metavar="ID", help="Airflow connection; see below"),
    _argument(
        "--output",
        choices=("table", "ndjson"),
        help="a table, or one JSON object a line (default: a table on a terminal, NDJSON elsewhere)",
    ),
    _argument("--debug", action="store_true", help=f"show everything, tracebacks too; so does {DEBUG_VARIABLE}=1"),
)
_RAW = _argument(
    "--include-raw",
    action="store_true",
    help="add TrackingMore's own record, which may hold personal data; always as NDJSON",
)
_NUMBER = _argument("tracking_number", metavar="NUMBER", help="tracking number")

COMMANDS = (
    Command(
        "account",
        "Show the quota that is left",
        (*_SHARED, _RAW),
        "Also a quick way to see whether key and connection work.",
    ),
    Command(
        "carriers",
        "List the carriers and their codes",
        (
            _argument("--search", metavar="TEXT", help="only those with it in their code or name"),
            _argument(
                "--lang", default="en", choices=("en", "cn", "tw", "es", "ru", "it"), help="language of the names"
            ),
            *_SHARED,
        ),
    ),
    Command(
        "create",
        "Register the shipments of a CSV file",
        (
            _argument("file", metavar="FILE.csv", help="the file, - for standard input"),
            _argument("--yes", action="store_true", help="do it; without it nothing is sent, and the plan is shown"),
            *_SHARED,
        ),
        "The first line names the columns: carrier_code, tracking_number and any field of the API, such as order_id. "
        "Each shipment that is new to the account costs one unit of quota. Running it again is safe.",
    ),
    Command(
        "detect",
        "Propose carriers for a number, best first",
        (_NUMBER, *_SHARED),
        "5 calls cost one unit of quota.",
    ),
    Command(
        "get",
        "Show one shipment with its checkpoints",
        (
            _argument("carrier_code", metavar="CARRIER", help="its code, as carriers lists it"),
            _NUMBER,
            _argument("--lang", metavar="LL", help="two letters, for carriers that know more than one language"),
            *_SHARED,
            _RAW,
        ),
    ),
    Command(
        "list",
        "List shipments",
        (
            _argument(
                "--status",
                choices=STATUSES,
                metavar="STATUS",
                help=f"only in this status: {', '.join(STATUSES)}",
            ),
            *_span("created", "created_at", "registered"),
            *_span("updated", "update_time", "changed"),
            *_span("ordered", "order_created_time", "ordered"),
            _argument("--numbers", type=_checked(_names), nargs="+", metavar="NUMBER", help="only these, 40 at most"),
            _argument("--orders", type=_checked(_names), nargs="+", metavar="ORDER", help="only these, 40 at most"),
            _argument(
                "--archived", dest="archived", action="store_const", const=True, help="only archived (default: both)"
            ),
            _argument("--not-archived", dest="archived", action="store_const", const=False, help="only not archived"),
            _argument("--lang", metavar="LL", help="two letters, for carriers that know more than one language"),
            _argument("--limit", type=_checked(_count), metavar="N", help="no more than N"),
            *_SHARED,
            _RAW,
        ),
        f"Rows appear as they arrive, {PAGE_SIZE} a call.",
    ),
    Command(
        "sandbox",
        "Run a stand-in for TrackingMore on this machine",
        (_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the sandbox; --help lists them"),),
    ),
)


def add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    """Have a parser take an argument.

    :param parser: the command's parser.
    :param argument: the argument.
    """
    parser.add_argument(*argument.flags, **argument.options)
    if argument.options.get("nargs") == argparse.REMAINDER:
        parser.prefix_chars = "\0"  # all that follows is for another program: --help too is none of ours


def parser(prog: str) -> argparse.ArgumentParser:
    """Describe the command line for argparse.

    :param prog: the program's name.
    :return: the parser; ``command`` is the name of the command.
    """
    form = argparse.RawDescriptionHelpFormatter
    described = argparse.ArgumentParser(prog=prog, description=DESCRIPTION, epilog=EPILOG, formatter_class=form)
    commands = described.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        below = commands.add_parser(
            command.name, help=command.help, description=command.description, epilog=EPILOG, formatter_class=form
        )
        for argument in command.arguments:
            add_argument(below, argument)
    return described
