"""The command ``wait``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.api.lookups import look_up
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.shipments import shipment_key
from airflow_provider_trackingmore.cli.csv_file import Sheet
from airflow_provider_trackingmore.cli.exit_codes import CommandError, ExitCode
from airflow_provider_trackingmore.cli.messages import with_hint
from airflow_provider_trackingmore.cli.output import write_rows
from airflow_provider_trackingmore.cli.shipment_arguments import read_shipments
from airflow_provider_trackingmore.cli.terminal import echo
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.runner import run
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.failures import is_final
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.outcome import Verdict, WaitResult
from airflow_provider_trackingmore.waiting.spec import WaitSpec

CHECK_EVERY = timedelta(minutes=5)
FAIL_ON = ("exception", "expired", "returned")


def wait(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Wait until shipments have arrived; each row is written as soon as its outcome is known."""
    shipments = _shipments(read_shipments(arguments.shipments, ()))
    condition = Condition(
        WaitSpec.create(
            orders={str(key): [key] for key in shipments},  # so that a shipment that fails does not end the wait
            statuses=arguments.statuses or ("delivered",),
            fail_on=FAIL_ON,
        )
    )
    every = (arguments.every or CHECK_EVERY).total_seconds()
    deadline = time.time() + arguments.timeout.total_seconds() if arguments.timeout else None
    widest = {"status": "undelivered", "last_update": "0" * 19, "outcome": "not_registered"}
    sample = [{**key._asdict(), **widest} for key in shipments]
    write_rows(_check_until_over(client, condition, every, deadline), arguments, sample=sample)
    if condition.is_over():
        return ExitCode.OK if condition.verdict().result is WaitResult.RELEASED else ExitCode.REFUSED
    if deadline is not None and time.time() >= deadline:
        return ExitCode.TIMED_OUT
    return ExitCode.OK  # the reader of the rows has closed the pipe


def _shipments(sheet: Sheet) -> list[ShipmentKey]:
    keys: dict[ShipmentKey, ShipmentKey] = {}
    problems = []
    for row in sheet.rows:
        try:
            if row.problem:
                raise InvalidArgumentError(row.problem)
            key = shipment_key(row.shipment)
            keys.setdefault(key.normalized, key)
        except InvalidArgumentError as error:
            problems.append(f"line {row.line}: {with_hint(error)}" if row.line else with_hint(error))
    if problems:
        raise CommandError("; ".join(problems), ExitCode.USAGE)
    return list(keys.values())


def _check_until_over(
    client: TrackingMoreClient, condition: Condition, every: float, deadline: float | None
) -> Iterator[Mapping[str, Any]]:
    """Check until every outcome is known, and yield the outcomes as they become known."""
    written: set[ShipmentKey] = set()
    while True:
        _check(client, condition)
        now = time.time()
        is_late = deadline is not None and now >= deadline
        verdict = condition.verdict().at_deadline() if is_late else condition.verdict()
        yield from _new_rows(verdict, written)
        if condition.is_over() or is_late:
            return
        next_check = now + every if deadline is None else min(now + every, deadline)
        if sys.stderr.isatty():
            at = pendulum.from_timestamp(next_check, tz="local").to_time_string()
            echo(f"{len(written)} of {len(condition.spec.shipments)} decided; next check at {at}")
        time.sleep(max(next_check - time.time(), 0))


def _check(client: TrackingMoreClient, condition: Condition) -> None:
    open_shipments = condition.open
    found: Mapping[ShipmentKey, Any]
    try:
        found = run(look_up(open_shipments.values()), client.send)
    except LookupInterruptedError as error:
        if is_final(error.cause):
            raise
        echo(f"Check failed, the wait continues: {error}")
        found = error.found
    now = time.time()
    for normalized, key in open_shipments.items():
        if key in found:
            tracking = found[key]
            observed = NOT_REGISTERED if tracking is None else Observation.from_record(tracking.raw, now)
            condition.update(normalized, observed, now)
    condition.decide()


def _new_rows(verdict: Verdict, written: set[ShipmentKey]) -> Iterator[Mapping[str, Any]]:
    for order in verdict.orders.values():
        if order.result is WaitResult.WAITING:
            continue
        for outcome in order.outcomes:
            if outcome.key not in written:
                written.add(outcome.key)
                yield outcome.to_dict()
