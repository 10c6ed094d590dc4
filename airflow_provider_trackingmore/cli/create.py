"""``create FILE.csv``: what a file would register, and, when told to, registering it. Reads before it writes."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_trackingmore.api import batching, endpoints
from airflow_provider_trackingmore.api.errors import InvalidShipmentError, TrackingMoreError
from airflow_provider_trackingmore.api.limits import BATCH_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import BatchReport, RegistrationReport
from airflow_provider_trackingmore.api.shipments import CREATE_FIELDS, CheckedShipments, shipment_body, shipment_key
from airflow_provider_trackingmore.cli.csv_file import FileError, Row, Sheet, read_sheet
from airflow_provider_trackingmore.cli.exits import QUOTA_CODES, CommandError, Exit, reworded
from airflow_provider_trackingmore.cli.output import progress, say, until_closed, write_ndjson, write_table
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.driving import drive

COLUMNS = ("line", "carrier_code", "tracking_number", "outcome", "message")


@dataclass
class Fate:
    """What becomes of one row.

    :param row: the row.
    :param outcome: ``planned``, ``created``, ``existing``, ``rejected`` or ``duplicate``.
    :param message: why.
    :param code: TrackingMore's code, where it refused.
    """

    row: Row
    outcome: str
    message: str | None = None
    code: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The row as it is shown: whose it is and what becomes of it, and nothing else that stands in the file."""
        given = self.row.shipment
        return {
            "line": self.row.line,
            "carrier_code": given.get("carrier_code"),
            "tracking_number": given.get("tracking_number"),
            "order_id": given.get("order_id"),
            "outcome": self.outcome,
            "code": self.code,
            "message": self.message,
        }


@dataclass
class Plan:
    """What a file would register.

    :param fates: one for each row, in the file's order.
    :param bodies: what would be sent.
    :param by_key: the row that each of them comes from.
    """

    fates: list[Fate] = field(default_factory=list)
    bodies: dict[ShipmentKey, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[ShipmentKey, Fate] = field(default_factory=dict)

    def account_for(self, report: BatchReport) -> None:
        """Write into each row what a report says of it."""
        for key in report.done:
            self.by_key[key].outcome = "created"
        for key in report.unchanged:
            self.by_key[key].outcome = "existing"
        for rejection in report.rejected:
            fate = self.by_key[ShipmentKey(rejection.carrier_code, rejection.tracking_number)]
            fate.outcome, fate.code, fate.message = "rejected", rejection.code, rejection.message

    @property
    def totals(self) -> str:
        """One line: how many of which outcome."""
        counted = Counter(fate.outcome for fate in self.fates)
        return ", ".join(f"{number} {outcome}" for outcome, number in counted.items()) or "no shipments"


def plan(sheet: Sheet) -> Plan:
    """Check a file row by row: one bad row costs none of the others.

    :param sheet: the file.
    :return: what it would register.
    """
    made = Plan()
    for row in sheet.rows:
        fate = Fate(row, "planned")
        made.fates.append(fate)
        try:
            if row.problem:
                raise InvalidShipmentError(row.problem)
            key, body = shipment_key(row.shipment), shipment_body(row.shipment, CREATE_FIELDS)
        except InvalidShipmentError as error:
            fate.outcome, fate.message = "rejected", reworded(error.message)
            continue
        if key in made.bodies:
            fate.outcome, fate.message = "duplicate", f"the same as line {made.by_key[key].row.line}"
            continue
        made.bodies[key], made.by_key[key] = body, fate
    return made


def create(client: TrackingMoreClient, arguments: argparse.Namespace) -> Exit:
    """Show what a file would register, or register it."""
    try:
        sheet = read_sheet(_content(arguments.file))
    except (FileError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"{arguments.file}: {reason}", Exit.USAGE) from error
    if sheet.unknown:
        say(f"TrackingMore has no fields for these columns, they are not sent: {', '.join(sheet.unknown)}")
    made = plan(sheet)
    if arguments.yes:
        return _carry_out(client, made, arguments)
    left = client.send(endpoints.get_account()).quota_left if made.bodies else None
    _write(made, arguments)
    cost = len(made.bodies)
    say(made.totals)
    if cost:
        known = "an unknown number of" if left is None else str(left)
        say(f"It would cost {cost} of {known} units of quota at most; shipments that are registered already cost none.")
        say("Nothing was sent. --yes sends it.")
    if left is not None and cost > left:
        say(f"The quota may not suffice: {cost - left} more units may be needed.")
        return Exit.QUOTA
    return _exit(made)


def _carry_out(client: TrackingMoreClient, made: Plan, arguments: argparse.Namespace) -> Exit:
    checked = CheckedShipments(made.bodies, (), 0)
    try:
        with progress("Registering", beyond=BATCH_SIZE) as tell:

            def settled(report: BatchReport, total: int) -> None:
                tell(len(report), total)

            registering = batching.send_batches(batching.REGISTER, checked, RegistrationReport(), settled)
            made.account_for(drive(registering, client.send))
    except TrackingMoreError as error:
        if error.report is not None:
            made.account_for(error.report)
            _write(made, arguments)
            say(made.totals)
        raise
    except KeyboardInterrupt:
        say("Interrupted: what was registered so far stays, and running it again is safe.")
        raise
    _write(made, arguments)
    say(made.totals)
    return _exit(made)


def _exit(made: Plan) -> Exit:
    if any(fate.code in QUOTA_CODES for fate in made.fates):
        return Exit.QUOTA
    return Exit.REFUSED if any(fate.outcome == "rejected" for fate in made.fates) else Exit.OK


def _content(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _write(made: Plan, arguments: argparse.Namespace) -> None:
    rows: Sequence[Mapping[str, Any]] = [fate.as_dict() for fate in made.fates]
    with until_closed():
        if arguments.form == "ndjson":
            write_ndjson(rows)
        else:
            write_table(rows, COLUMNS, whole=3)
