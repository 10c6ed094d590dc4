"""The commands that change shipments: create, delete and update. Without ``--yes`` they only show the plan."""

from __future__ import annotations

import argparse
import enum
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_trackingmore.api import batching, endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError
from airflow_provider_trackingmore.api.limits import BATCH_SIZE
from airflow_provider_trackingmore.api.lookups import find_trackings
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import BatchReport, RegistrationReport
from airflow_provider_trackingmore.api.shipments import CREATE_FIELDS, CheckedShipments, build_body, shipment_key
from airflow_provider_trackingmore.api.updates import UPDATE_FIELDS, changes_body
from airflow_provider_trackingmore.cli.csv_file import Row, Sheet
from airflow_provider_trackingmore.cli.exit_codes import QUOTA_CODES, CommandError, ExitCode
from airflow_provider_trackingmore.cli.messages import with_hint
from airflow_provider_trackingmore.cli.output import write_rows
from airflow_provider_trackingmore.cli.shipment_arguments import read_shipments
from airflow_provider_trackingmore.cli.suggestions import did_you_mean
from airflow_provider_trackingmore.cli.terminal import Progress, echo, output_is_file, progress_bar
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.runner import run, run_stepwise


class RowOutcome(enum.StrEnum):
    """The outcome of a row."""

    PLANNED = "planned"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    CREATED = "created"
    EXISTING = "existing"
    DELETED = "deleted"
    MISSING = "missing"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Action:
    """What a command does with shipments.

    :param title: the title of the progress bar.
    :param job: the batch that is sent.
    :param report: an empty report of the class that the batch fills.
    :param fields: the optional fields of a shipment.
    :param body: turns a shipment into what is sent.
    :param done: the outcome of a shipment that was changed.
    :param unchanged: the outcome of a shipment for which there was nothing to do.
    :param requires: whether a shipment must be registered (True) or must not be (False) for a change.
    :param refusal: why a planned shipment is rejected otherwise; empty if it is just unchanged.
    """

    title: str
    job: batching.Job
    report: BatchReport
    fields: tuple[str, ...]
    body: Callable[[ShipmentKey, Mapping[str, object]], dict[str, str | int]]
    done: RowOutcome
    unchanged: RowOutcome
    requires: bool = True
    refusal: str = ""


@dataclass
class RowResult:
    """The result for a row.

    :param row: the row.
    :param outcome: ``planned``, or what was done with it.
    :param message: the reason.
    :param code: TrackingMore's code, if it rejected the row.
    """

    row: Row
    outcome: RowOutcome
    message: str | None = None
    code: int | None = None

    def reject(self, message: str, code: int | None = None) -> None:
        """Reject the row.

        :param message: the reason.
        :param code: TrackingMore's code, if it has rejected the row.
        """
        self.outcome, self.message, self.code = RowOutcome.REJECTED, message, code

    def as_dict(self) -> dict[str, object]:
        """Return the row for the output: the identity of its shipment and the outcome, but no other cells."""
        shipment = self.row.shipment
        return {
            "line": self.row.line or None,
            "carrier_code": shipment.get("carrier_code"),
            "tracking_number": shipment.get("tracking_number"),
            "order_id": shipment.get("order_id"),
            "outcome": self.outcome.value,
            "code": self.code,
            "message": self.message,
        }


@dataclass
class ChangePlan:
    """The changes to send.

    :param results: one for each row, in the order of the file.
    :param bodies: the body that is sent for each shipment.
    :param by_key: the row of each of these shipments.
    """

    results: list[RowResult] = field(default_factory=list)
    bodies: dict[ShipmentKey, dict[str, str | int]] = field(default_factory=dict)
    by_key: dict[ShipmentKey, RowResult] = field(default_factory=dict)

    def record(self, action: Action, report: BatchReport) -> list[int]:
        """Set the outcome of the rows in a report.

        :param action: what was done.
        :param report: the report on some of the rows.
        :return: the positions of these rows.
        """
        for key in report.done:
            self.by_key[key].outcome = action.done
        for key in report.unchanged:
            self.by_key[key].outcome = action.unchanged
        for rejection in report.rejected:
            self.by_key[rejection.key].reject(rejection.message, rejection.code)
        return [id(self.by_key[key]) for key in report.keys]

    def planned(self) -> dict[ShipmentKey, RowResult]:
        """Return the rows that are still to be changed."""
        return {key: result for key, result in self.by_key.items() if result.outcome is RowOutcome.PLANNED}

    @property
    def totals(self) -> str:
        """The number of rows with each outcome."""
        counts = Counter(result.outcome for result in self.results)
        return ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "no shipments"


def make_plan(sheet: Sheet, action: Action) -> ChangePlan:
    """Check the rows one by one, so that an invalid row does not affect the others.

    :param sheet: the rows.
    :param action: what to do with them.
    :return: the plan.
    """
    plan = ChangePlan()
    first_lines: dict[ShipmentKey, int | None] = {}
    for row in sheet.rows:
        result = RowResult(row, RowOutcome.PLANNED)
        plan.results.append(result)
        try:
            if row.problem:
                raise InvalidArgumentError(row.problem)
            key = shipment_key(row.shipment)
            body = action.body(key, row.shipment)
        except InvalidArgumentError as error:
            result.reject(with_hint(error))
            continue
        if key.normalized in first_lines:
            first = first_lines[key.normalized]
            result.outcome, result.message = RowOutcome.DUPLICATE, f"the same as line {first}" if first else "repeated"
            continue
        first_lines[key.normalized] = row.line
        plan.bodies[key], plan.by_key[key] = body, result
    return plan


def create(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Register shipments, or show what would be registered."""
    action = Action(
        "Registering",
        batching.REGISTER,
        RegistrationReport(),
        CREATE_FIELDS,
        lambda key, shipment: build_body(key, shipment, CREATE_FIELDS),
        done=RowOutcome.CREATED,
        unchanged=RowOutcome.EXISTING,
        requires=False,
    )
    plan = _plan_from_arguments(arguments, action)
    if arguments.yes:
        return _execute_plan(client, plan, action, arguments)
    if plan.bodies:
        _check_carriers(client, plan)
    _check_registered(client, plan, action)
    cost = len(plan.planned())
    left = client.send(endpoints.get_account()).quota_left if cost else None
    available = "an unknown number of" if left is None else left
    _show_plan(plan, arguments, f"It would cost {cost} of {available} units of quota.")
    if left is not None and cost > left:
        echo(f"The quota is not sufficient: {cost - left} more units are needed.")
        return ExitCode.QUOTA
    return _exit_code(plan)


def delete(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Delete shipments, or show what would be deleted."""
    action = Action(
        "Deleting",
        batching.DELETE,
        BatchReport(),
        (),
        lambda key, shipment: build_body(key, shipment, ()),
        done=RowOutcome.DELETED,
        unchanged=RowOutcome.MISSING,
    )
    return _change(client, arguments, action)


def update(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Update shipments, or show what would be updated."""
    changes = dict(arguments.changes or ())
    for name in changes:
        if name not in UPDATE_FIELDS:
            hint = did_you_mean(name, UPDATE_FIELDS) or f"; the fields are {', '.join(UPDATE_FIELDS)}"
            raise CommandError(f"--set cannot change {name!r}{hint}", ExitCode.USAGE)

    def body(key: ShipmentKey, shipment: Mapping[str, object]) -> dict[str, str | int]:
        fields = {name: shipment[name] for name in UPDATE_FIELDS if name in shipment} | changes
        return key._asdict() | changes_body(fields)

    action = Action(
        "Updating",
        batching.UPDATE,
        BatchReport(),
        UPDATE_FIELDS,
        body,
        done=RowOutcome.UPDATED,
        unchanged=RowOutcome.UNCHANGED,
        refusal="it is not registered; the command create registers it",
    )
    return _change(client, arguments, action)


def _change(client: TrackingMoreClient, arguments: argparse.Namespace, action: Action) -> ExitCode:
    plan = _plan_from_arguments(arguments, action)
    if arguments.yes:
        return _execute_plan(client, plan, action, arguments)
    _check_registered(client, plan, action)
    _show_plan(plan, arguments)
    return _exit_code(plan)


def _plan_from_arguments(arguments: argparse.Namespace, action: Action) -> ChangePlan:
    sheet = read_shipments(arguments.shipments, action.fields)
    if sheet.unknown:
        echo(f"Columns that are not used: {', '.join(sheet.unknown)}")
    if not arguments.fields and not any(row.line for row in sheet.rows):
        arguments.columns = [name for name in arguments.columns if name != "line"]
    return make_plan(sheet, action)


def _check_carriers(client: TrackingMoreClient, plan: ChangePlan) -> None:
    codes = {carrier.code for carrier in client.send(endpoints.list_carriers())}
    for key, result in plan.by_key.items():
        if key.carrier_code not in codes:
            hint = did_you_mean(key.carrier_code, codes) or "; the command carriers lists them"
            result.reject(f"TrackingMore has no carrier {key.carrier_code!r}{hint}")


def _check_registered(client: TrackingMoreClient, plan: ChangePlan, action: Action) -> None:
    """Find out which shipments are registered. This is free; 40 shipments take one call."""
    planned = plan.planned()
    with progress_bar("Checking", threshold=BATCH_SIZE) as progress:
        done = 0

        def send(request: Request[Any]) -> Any:
            nonlocal done
            response = client.send(request)
            done = min(done + BATCH_SIZE, len(planned))
            progress(done, len(planned))
            return response

        registered = run(find_trackings(planned), send)
    for key, result in planned.items():
        if (key in registered) is action.requires:
            continue
        if action.refusal:
            result.reject(action.refusal)
        else:
            result.outcome = action.unchanged


def _show_plan(plan: ChangePlan, arguments: argparse.Namespace, cost: str = "") -> None:
    _write(plan.results, arguments)
    echo(plan.totals)
    if plan.planned():
        if cost:
            echo(cost)
        echo("Nothing was changed. --yes makes the changes.")


def _execute_plan(
    client: TrackingMoreClient, plan: ChangePlan, action: Action, arguments: argparse.Namespace
) -> ExitCode:
    # A table on a terminal is written at the end, so that it does not mix with the progress bar.
    at_end = arguments.output == "table" and sys.stdout.isatty()
    threshold = BATCH_SIZE if at_end or output_is_file() else sys.maxsize
    finished: list[RowResult] = []
    try:
        with progress_bar(action.title, threshold=threshold) as progress:
            results = _send(client, plan, action, progress)
            if not at_end:
                _write(results, arguments, sample=plan.results, action=action)
            # The reader of the rows may have gone away; the rest of the file is sent nevertheless.
            finished.extend(results)
    except TrackingMoreError:
        if at_end:
            _write(finished, arguments)
        echo(plan.totals)
        raise
    except KeyboardInterrupt:
        if at_end:
            _write(finished, arguments)
        echo("Interrupted. The changes made so far are kept, and it is safe to run the command again.")
        raise
    if at_end:
        _write(finished, arguments)
    echo(plan.totals)
    return _exit_code(plan)


def _send(client: TrackingMoreClient, plan: ChangePlan, action: Action, progress: Progress) -> Iterator[RowResult]:
    """Send the plan. Each row is yielded once its outcome and those of the rows above it are known."""
    remaining = deque(plan.results)
    settled: set[int] = set()

    def record_progress(part: BatchReport, done: int, total: int) -> None:
        settled.update(plan.record(action, part))
        progress(done, total)

    flow = batching.send_batches(
        action.job, CheckedShipments(plan.bodies, (), 0), replace(action.report), record_progress
    )
    try:
        for _ in run_stepwise(flow, client.send):
            unsettled = []
            while settled:
                result = remaining.popleft()
                settled.discard(id(result))
                if result.outcome is RowOutcome.PLANNED:
                    unsettled.append(result)
                else:
                    yield result
            remaining.extendleft(reversed(unsettled))
    except BatchInterruptedError as error:
        plan.record(action, error.report)
        yield from remaining
        raise
    yield from remaining


def _exit_code(plan: ChangePlan) -> ExitCode:
    if any(result.code in QUOTA_CODES for result in plan.results):
        return ExitCode.QUOTA
    return ExitCode.REFUSED if any(result.outcome is RowOutcome.REJECTED for result in plan.results) else ExitCode.OK


def _write(
    results: Iterable[RowResult],
    arguments: argparse.Namespace,
    *,
    sample: Iterable[RowResult] | None = None,
    action: Action | None = None,
) -> None:
    rows = (result.as_dict() for result in results)
    widest = None
    if sample is not None and action is not None:
        longest = max((RowOutcome.DUPLICATE, action.done, action.unchanged), key=len)
        widest = ({**result.as_dict(), "outcome": longest.value} for result in sample)
    write_rows(rows, arguments, sample=widest)
