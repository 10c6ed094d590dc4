"""``create FILE.csv``: what a file would register, and, when told to, registering it. Reads before it writes."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_trackingmore.api import batching, endpoints
from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.api.limits import BATCH_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import BatchReport, RegistrationReport
from airflow_provider_trackingmore.api.shipments import CREATE_FIELDS, CheckedShipments, shipment_body, shipment_key
from airflow_provider_trackingmore.cli.csv_file import FileError, Row, Sheet, read_sheet
from airflow_provider_trackingmore.cli.exits import QUOTA_CODES, CommandError, Exit, reworded
from airflow_provider_trackingmore.cli.output import (
    Tell,
    goes_to_file,
    progress,
    say,
    until_closed,
    write_ndjson,
    write_table,
)
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.runner import run_stepwise

PLANNED = "planned"
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

    def account_for(self, report: BatchReport) -> list[int]:
        """Write into each row what a report says of it.

        :param report: of a part of the rows, or of all.
        :return: the lines of these rows.
        """
        for key in report.done:
            self.by_key[key].outcome = "created"
        for key in report.unchanged:
            self.by_key[key].outcome = "existing"
        for rejection in report.rejected:
            fate = self.by_key[rejection.key]
            fate.outcome, fate.code, fate.message = "rejected", rejection.code, rejection.message
        keys = (*report.done, *report.unchanged, *(rejection.key for rejection in report.rejected))
        return [self.by_key[key].row.line for key in keys]

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
        fate = Fate(row, PLANNED)
        made.fates.append(fate)
        try:
            if row.problem:
                raise InvalidArgumentError(row.problem)
            key, body = shipment_key(row.shipment), shipment_body(row.shipment, CREATE_FIELDS)
        except InvalidArgumentError as error:
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
    _write(made.fates, arguments)
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
    # A table on a terminal comes at the end, so that rows and the progress bar keep out of each other's way.
    at_end = arguments.form == "table" and sys.stdout.isatty()
    beyond = BATCH_SIZE if at_end or goes_to_file() else sys.maxsize
    finished: list[Fate] = []
    try:
        with progress("Registering", beyond=beyond) as tell:
            fates = _registered(client, made, tell)
            if not at_end:
                _write(fates, arguments, like=made.fates)
            # Whoever read the rows may have left by now: what was asked for is registered all the same.
            for fate in fates:
                finished.append(fate)
    except TrackingMoreError:
        if at_end:
            _write(finished, arguments)
        say(made.totals)
        raise
    except KeyboardInterrupt:
        if at_end:
            _write(finished, arguments)
        say("Interrupted: what was registered so far stays, and running it again is safe.")
        raise
    if at_end:
        _write(finished, arguments)
    say(made.totals)
    return _exit(made)


def _registered(client: TrackingMoreClient, made: Plan, tell: Tell) -> Iterator[Fate]:
    """Register what is planned; each row comes as soon as a call has settled it, after those above it in the file."""
    waiting = deque(made.fates)
    settled: set[int] = set()

    def note(part: BatchReport, done: int, total: int) -> None:
        settled.update(made.account_for(part))
        tell(done, total)

    conversation = batching.send_batches(
        batching.REGISTER, CheckedShipments(made.bodies, (), 0), RegistrationReport(), note
    )
    try:
        for _ in run_stepwise(conversation, client.send):
            unsettled = []
            while settled:
                fate = waiting.popleft()
                settled.discard(fate.row.line)
                if fate.outcome == PLANNED:
                    unsettled.append(fate)
                else:
                    yield fate
            waiting.extendleft(reversed(unsettled))
    except TrackingMoreError as error:
        if error.report is not None:
            made.account_for(error.report)
            yield from waiting
        raise
    yield from waiting


def _exit(made: Plan) -> Exit:
    if any(fate.code in QUOTA_CODES for fate in made.fates):
        return Exit.QUOTA
    return Exit.REFUSED if any(fate.outcome == "rejected" for fate in made.fates) else Exit.OK


def _content(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _write(fates: Iterable[Fate], arguments: argparse.Namespace, like: Iterable[Fate] | None = None) -> None:
    rows = (fate.as_dict() for fate in fates)
    with until_closed():
        if arguments.form == "ndjson":
            write_ndjson(rows)
        else:
            longest = None if like is None else ({**fate.as_dict(), "outcome": "duplicate"} for fate in like)
            write_table(rows, COLUMNS, whole=3, like=longest)
