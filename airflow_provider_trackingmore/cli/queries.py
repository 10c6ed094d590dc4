"""The commands that read: account, carriers, count, detect, get and list."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast, get_type_hints

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.filters import CountFilters, ListFilters
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.listing import list_trackings
from airflow_provider_trackingmore.api.models import Tracking
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.api.shipments import check_key
from airflow_provider_trackingmore.api.validation import check_tracking_number
from airflow_provider_trackingmore.cli.exit_codes import ExitCode
from airflow_provider_trackingmore.cli.output import until_closed, write_rows
from airflow_provider_trackingmore.cli.table import write_table
from airflow_provider_trackingmore.cli.terminal import Progress, echo, output_is_file, progress_bar
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.runner import run_listing
from airflow_provider_trackingmore.serialization import record_to_dict, tracking_to_dict, with_raw

LIST_FILTERS = tuple(name for name in get_type_hints(ListFilters) if name not in ("numbers", "orders"))
COUNT_FILTERS = tuple(get_type_hints(CountFilters))


def account(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Show how much quota is left."""
    found = client.send(endpoints.get_account())
    row: dict[str, Any] = {"account": found.masked_email, **record_to_dict(found)}
    write_rows([with_raw(row, found.raw) if arguments.include_raw else row], arguments)
    return ExitCode.OK


def carriers(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """List the carriers."""
    text = (arguments.search or "").casefold()
    rows = [
        record_to_dict(carrier)
        for carrier in client.send(endpoints.list_carriers(arguments.lang))
        if text in carrier.code.casefold() or text in carrier.name.casefold()
    ]
    if not rows:
        echo(f"No carrier has {arguments.search!r} in its code or name.")
        return ExitCode.REFUSED
    write_rows(rows, arguments)
    return ExitCode.OK


def count(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Count shipments by status."""
    counts = client.send(endpoints.count_by_status(cast(CountFilters, _filters(arguments, COUNT_FILTERS))))
    write_rows(({"status": status.value, "count": number} for status, number in counts.items()), arguments)
    return ExitCode.OK


def detect(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Propose carriers for a tracking number."""
    number = check_tracking_number(arguments.tracking_number)
    found = client.send(endpoints.detect_carrier(number))
    if not found:
        echo(f"TrackingMore cannot detect the carrier of {number}. The command carriers lists all carriers.")
        return ExitCode.REFUSED
    write_rows([{"code": carrier.code, "name": carrier.name} for carrier in found], arguments)
    return ExitCode.OK


def get(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """Show a shipment with its checkpoints."""
    key = check_key(arguments.carrier_code, arguments.tracking_number)
    tracking = client.send(endpoints.get_tracking(*key, lang=arguments.lang))
    # Without the texts of the checkpoints: carriers write there who signed.
    checkpoints: list[dict[str, Any]] = [
        {"time": event.time, "status": event.status_text, "substatus": event.substatus, "place": event.place}
        for event in tracking.checkpoints
    ]
    row = {**_to_row(tracking, arguments), "checkpoints": checkpoints}
    write_rows([row], arguments)
    if arguments.output == "table" and not arguments.fields and checkpoints:
        with until_closed():
            sys.stdout.write("\n")
            write_table(checkpoints, ("time", "status", "substatus", "place"))
    return ExitCode.OK


def list_shipments(client: TrackingMoreClient, arguments: argparse.Namespace) -> ExitCode:
    """List shipments as they arrive."""
    filters = _filters(arguments, LIST_FILTERS)
    for name in ("numbers", "orders"):
        if given := getattr(arguments, name):
            filters[name] = [value for values in given for value in values]
    # On a terminal the rows themselves show the progress; the reader of a pipe may write to the terminal.
    threshold = PAGE_SIZE if output_is_file() else sys.maxsize
    with progress_bar("Shipments", threshold=threshold) as progress:
        trackings = _list_trackings(client, filters, arguments.limit, progress)
        write_rows((_to_row(tracking, arguments) for tracking in trackings), arguments)
    return ExitCode.OK


def _filters(arguments: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _list_trackings(
    client: TrackingMoreClient, filters: dict[str, Any], limit: int | None, progress: Progress
) -> Iterator[Tracking]:
    if limit is not None and limit <= PAGE_SIZE:
        yield from client.send(endpoints.list_page(cast(ListFilters, filters), limit=limit)).items[:limit]
        return
    yield from islice(_list_all(client, filters, progress), limit)


def _list_all(client: TrackingMoreClient, filters: dict[str, Any], progress: Progress) -> Iterator[Tracking]:
    done = 0
    total: int | None = None

    def send(request: Request[Page]) -> Page:
        nonlocal total
        page = client.send(request)
        total = page.total if total is None else total
        progress(done, total)
        return page

    for tracking in run_listing(list_trackings(filters), send):
        yield tracking
        done += 1


def _to_row(tracking: Tracking, arguments: argparse.Namespace) -> dict[str, Any]:
    row = tracking_to_dict(tracking)
    for name in ("created_at", "updated_at"):
        time = getattr(tracking, name)
        row[name] = time.isoformat() if time is not None else None
    return with_raw(row, tracking.raw) if arguments.include_raw else row
