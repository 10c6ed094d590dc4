"""The commands as data: names, arguments, fields and help. argparse and Airflow both read them."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import dataclass, field

from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentStatus
from airflow_provider_trackingmore.cli.account import DEFAULT_CONNECTION, KEY_VARIABLE, URL_VARIABLE
from airflow_provider_trackingmore.cli.arguments import (
    INCLUDE_RAW,
    LANG,
    NUMBER,
    SHARED,
    SHIPMENTS,
    YES,
    Argument,
    argument,
    assignment,
    checked,
    choice,
    comma_separated,
    file_tables,
    positive_count,
    positive_period,
    time_range,
)
from airflow_provider_trackingmore.cli.exit_codes import MEANINGS
from airflow_provider_trackingmore.cli.time_arguments import parse_period
from airflow_provider_trackingmore.transfers.files.formats import FORMATS as FILE_FORMATS
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES
from airflow_provider_trackingmore.transfers.sql.tables import ARGUMENTS as TABLE_ARGUMENTS

STATUSES = tuple(status.value for status in ShipmentStatus if status is not ShipmentStatus.UNKNOWN)
LANGUAGES = ("en", "cn", "tw", "es", "ru", "it")

DESCRIPTION = "Read and change the shipments of a TrackingMore account."
EPILOG = "\n".join(
    (
        "The account is the first of these that is given:",
        "  --conn-id",
        f"  {KEY_VARIABLE}, with {URL_VARIABLE} if it is set",
        f"  the Airflow connection {DEFAULT_CONNECTION}",
        "",
        "exit codes:",
        *(f"  {code.value:<4}{meaning}" for code, meaning in MEANINGS.items()),
    )
)

SHIPMENT_FIELDS = (
    *("carrier_code", "tracking_number", "status", "substatus", "last_update", "delivered_at", "order_id"),
    *("created_at", "updated_at"),
)
SHIPMENT_COLUMNS = ("carrier_code", "tracking_number", "status", "last_update", "order_id")
ROW_FIELDS = ("line", "carrier_code", "tracking_number", "order_id", "outcome", "code", "message")
ROW_COLUMNS = ("line", "carrier_code", "tracking_number", "outcome", "message")
CSV_HELP = (
    "The shipments are in a CSV file whose first line names the columns: carrier_code, tracking_number and any other "
    "field of the API, such as order_id. Or name a carrier and its tracking numbers."
)


@dataclass(frozen=True)
class Command:
    """A command.

    :param name: its name on the command line.
    :param help: one line.
    :param arguments: its arguments.
    :param fields: the fields of its rows.
    :param columns: those that a table has by default.
    :param details: the rest of its description.
    :param plan_fields: the fields of its rows without ``--yes``, where they differ.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...] = ()
    fields: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    details: str = field(default="", repr=False)
    plan_fields: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The text above the arguments in the help."""
        return textwrap.fill(f"{self.help}. {self.details}".rstrip(), 78)

    @property
    def usage(self) -> str:
        """The arguments in one line."""
        positional = (each for each in self.arguments if not each.flags[0].startswith("-"))
        names = [
            "..."
            if each.options.get("nargs") == argparse.REMAINDER
            # A CSV file or a list: more than argparse's own usage can say.
            else f"{each.options['metavar']}..."
            if each.options.get("nargs") == "+"
            else str(each.options["metavar"])
            for each in positional
        ]
        return " ".join([self.name, *(["[OPTIONS]"] if len(names) < len(self.arguments) else []), *names])


COMMANDS = (
    Command(
        "account",
        "Show how much quota is left",
        (*SHARED, INCLUDE_RAW),
        ("account", "quota_left", "balance", "registered_at"),
        ("account", "quota_left", "balance", "registered_at"),
        "It also tells whether the key and the connection work.",
    ),
    Command(
        "carriers",
        "List the carriers and their codes",
        (
            argument("--search", metavar="TEXT", help="only carriers with TEXT in their code or name"),
            choice("--lang", LANGUAGES, f"language of the names: {', '.join(LANGUAGES)}", default="en", metavar="LL"),
            *SHARED,
        ),
        ("code", "name", "type", "phone", "homepage"),
        ("code", "name", "type", "homepage"),
    ),
    Command(
        "count",
        "Count shipments by status",
        (
            *time_range("created", "created_at", "registered"),
            *time_range("ordered", "order_created_time", "ordered"),
            *SHARED,
        ),
        ("status", "count"),
        ("status", "count"),
    ),
    Command(
        "create",
        "Register shipments",
        (SHIPMENTS, YES, *SHARED),
        ROW_FIELDS,
        ROW_COLUMNS,
        f"{CSV_HELP} Each shipment that is new to the account costs one unit of quota. It is safe to run again.",
    ),
    Command(
        "delete",
        "Delete shipments from the account",
        (SHIPMENTS, YES, *SHARED),
        ROW_FIELDS,
        ROW_COLUMNS,
        f"{CSV_HELP} The quota of deleted shipments is not refunded. It is safe to run again.",
    ),
    Command(
        "detect",
        "Propose carriers for a tracking number, best first",
        (NUMBER, *SHARED),
        ("code", "name"),
        ("code", "name"),
        "5 calls cost one unit of quota.",
    ),
    Command(
        "get",
        "Show a shipment with its checkpoints",
        (
            argument("carrier_code", metavar="CARRIER", help="code of the carrier; the command carriers lists them"),
            NUMBER,
            LANG,
            *SHARED,
            INCLUDE_RAW,
        ),
        (*SHIPMENT_FIELDS, "checkpoints"),
        (*SHIPMENT_COLUMNS[:3], "substatus", *SHIPMENT_COLUMNS[3:], "delivered_at", "created_at"),
    ),
    Command(
        "list",
        "List shipments",
        (
            choice("--status", STATUSES, f"only in this status: {', '.join(STATUSES)}", metavar="STATUS"),
            *time_range("created", "created_at", "registered"),
            *time_range("updated", "update_time", "changed"),
            *time_range("ordered", "order_created_time", "ordered"),
            argument(
                "--numbers", type=checked(comma_separated), nargs="+", metavar="NUMBER", help="only these, at most 40"
            ),
            argument(
                "--orders", type=checked(comma_separated), nargs="+", metavar="ORDER", help="only these, at most 40"
            ),
            argument(
                "--archived", dest="archived", action="store_const", const=True, help="only archived (default: both)"
            ),
            argument("--not-archived", dest="archived", action="store_const", const=False, help="only not archived"),
            LANG,
            argument("--limit", type=checked(positive_count), metavar="N", help="at most N"),
            *SHARED,
            INCLUDE_RAW,
        ),
        SHIPMENT_FIELDS,
        SHIPMENT_COLUMNS,
        f"Rows are written as they arrive, {PAGE_SIZE} per call.",
    ),
    Command(
        "load",
        "Load shipments and their events into a database or files",
        (
            choice("target", ("sql", "files"), "sql: a database; files: NDJSON or Parquet", metavar="sql|files"),
            argument(
                "where",
                metavar="TARGET",
                help="sql: the Airflow connection of the database; files: a folder, or an object store's address",
            ),
            argument(
                "--filter",
                dest="filters",
                action="append",
                type=checked(assignment),
                metavar="FIELD=VALUE",
                help="load only shipments that match, such as status=delivered; may be repeated",
            ),
            argument("--full-refresh", action="store_true", help="read everything again; nothing is deleted"),
            argument(
                "--settle",
                type=checked(parse_period),
                metavar="PERIOD",
                help="later loads omit delivered and expired shipments unchanged for PERIOD (default: 3d)",
            ),
            argument(
                "--max-open",
                type=checked(parse_period),
                metavar="PERIOD",
                help="from PERIOD after registration on, look up open shipments by number (default: 90d)",
            ),
            choice(
                "--event-texts",
                ("keep", "drop"),
                "keep (default) or drop the carriers' texts, which sometimes contain the receiver's name",
                default="keep",
                metavar="keep|drop",
            ),
            argument(
                "--include-personal-data",
                action="store_true",
                help="load names, e-mail addresses and phones too",
            ),
            argument(
                "--include-raw",
                dest="load_raw",
                action="store_true",
                help="load TrackingMore's own record too, which may hold personal data",
            ),
            argument(
                "--account", metavar="NAME", help="value of the column account (default: the ID of the connection)"
            ),
            argument("--stream", metavar="NAME", help="name of the state (default: from account and filters)"),
            argument("--no-mark-missing", action="store_true", help="leave missing_since as it is"),
            argument("--schema", metavar="NAME", help="sql: the schema of the tables"),
            *(
                argument(f"--{name.replace('_', '-')}", metavar="NAME", help=f"sql: the table (default: {table})")
                for table, name in TABLE_ARGUMENTS.items()
            ),
            argument(
                "--promised-table", metavar="NAME", help="sql: your table of promised dates, for the view on_time"
            ),
            argument("--no-create", action="store_true", help="sql: create and change no tables and views"),
            choice(
                "--file-format",
                FILE_FORMATS,
                f"files: {', '.join(FILE_FORMATS)} (default: {FILE_FORMATS[0]})",
                metavar="FORMAT",
            ),
            argument(
                "--tables",
                type=checked(file_tables),
                metavar="A,B,...",
                help=f"files: the tables to write (default: {','.join(FILE_TABLES)})",
            ),
            YES,
            *SHARED,
        ),
        ("table", "new", "changed", "unchanged"),
        ("table", "new", "changed", "unchanged"),
        "It loads what the operators load, and continues where they ended if account, filters and stream are the "
        f"same. Up to {PAGE_SIZE} shipments take one call; no call costs quota.",
        ("request", "since", "shipments", "calls"),
    ),
    Command(
        "sandbox",
        "Run a local stand-in for TrackingMore",
        (argument("arguments", nargs=argparse.REMAINDER, help="arguments of the sandbox; --help lists them"),),
    ),
    Command(
        "update",
        "Update the account's data on shipments",
        (
            SHIPMENTS,
            argument(
                "--set",
                dest="changes",
                action="append",
                type=checked(assignment),
                metavar="FIELD=VALUE",
                help="set a field of all shipments, such as archived=true; may be repeated",
            ),
            YES,
            *SHARED,
        ),
        ROW_FIELDS,
        ROW_COLUMNS,
        f"{CSV_HELP} It is safe to run again.",
    ),
    Command(
        "wait",
        "Wait until shipments are delivered",
        (
            SHIPMENTS,
            choice(
                "--for",
                STATUSES,
                "wait for this status instead of delivered; may be repeated",
                dest="statuses",
                action="append",
                metavar="STATUS",
            ),
            argument(
                "--every", type=checked(positive_period), metavar="PERIOD", help="time between checks (default: 5m)"
            ),
            argument(
                "--timeout", type=checked(positive_period), metavar="PERIOD", help="give up after this (default: never)"
            ),
            *SHARED,
        ),
        (*SHIPMENT_FIELDS[:7], "outcome"),
        ("carrier_code", "tracking_number", "status", "last_update", "outcome"),
        f"{CSV_HELP} It ends when all shipments have arrived, or can no longer arrive: exception, expired, returned, "
        "not registered. 40 shipments take one call per check.",
    ),
)
