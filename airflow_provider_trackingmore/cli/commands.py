"""What each command that reads does: calls in, rows out. Knows neither terminals nor exit codes of failures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, cast, get_type_hints

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.listing import list_trackings
from airflow_provider_trackingmore.api.models import Tracking
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.api.shipments import shipment_key
from airflow_provider_trackingmore.api.validation import check_tracking_number
from airflow_provider_trackingmore.cli.exits import Exit
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
from airflow_provider_trackingmore.client.runner import run_listing
from airflow_provider_trackingmore.serialization import record_to_dict, tracking_to_dict, with_raw

FILTERS = tuple(name for name in get_type_hints(ListFilters) if name not in ("numbers", "orders"))
SHIPMENT_COLUMNS = ("carrier_code", "tracking_number", "status", "last_update", "order_id")


def account(client: TrackingMoreClient, arguments: argparse.Namespace) -> Exit:
    """Show the account."""
    found = client.send(endpoints.get_account())
    row: dict[str, Any] = {"account": found.masked_email, **record_to_dict(found)}
    _write([with_raw(row, found.raw) if arguments.include_raw else row], tuple(row), arguments)
    return Exit.OK


def carriers(client: TrackingMoreClient, arguments: argparse.Namespace) -> Exit:
    """List carriers."""
    wanted = (arguments.search or "").casefold()
    found = [
        record_to_dict(carrier)
        for carrier in client.send(endpoints.list_carriers(arguments.lang))
        if wanted in carrier.code.casefold() or wanted in carrier.name.casefold()
    ]
    if not found:
        say(f"no carrier with {arguments.search!r} in its code or name")
        return Exit.REFUSED
    _write(found, ("code", "name", "type", "homepage"), arguments)
    return Exit.OK


def detect(client: TrackingMoreClient, arguments: argparse.Namespace) -> Exit:
    """Propose carriers."""
    number = check_tracking_number(arguments.tracking_number)
    found = client.send(endpoints.detect_carrier(number))
    if not found:
        say(f"TrackingMore cannot tell the carrier of {number}; the command carriers lists all")
        return Exit.REFUSED
    _write([{"code": carrier.code, "name": carrier.name} for carrier in found], ("code", "name"), arguments)
    return Exit.OK


def get(client: TrackingMoreClient, arguments: argparse.Namespace) -> Exit:
    """Show one shipment."""
    key = shipment_key({"carrier_code": arguments.carrier_code, "tracking_number": arguments.tracking_number})
    tracking = client.send(endpoints.get_tracking(*key, lang=arguments.lang))
    # Without the events' texts: carriers write into them who signed.
    events: list[dict[str, Any]] = [
        {"time": event.time, "status": event.status_text, "substatus": event.substatus, "place": event.place}
        for event in tracking.checkpoints
    ]
    row = {**_entry(tracking, arguments), "checkpoints": events}
    if arguments.form == "ndjson":
        _write([row], (), arguments)
        return Exit.OK
    with until_closed():
        write_table([row], (*SHIPMENT_COLUMNS[:3], "substatus", *SHIPMENT_COLUMNS[3:], "delivered_at", "created_at"))
        if events:
            sys.stdout.write("\n")
            write_table(events, ("time", "status", "substatus", "place"))
    return Exit.OK


def list_shipments(client: TrackingMoreClient, arguments: argparse.Namespace) -> Exit:
    """List shipments as they arrive."""
    filters = {name: value for name in FILTERS if (value := getattr(arguments, name)) is not None}
    for name in ("numbers", "orders"):
        if given := getattr(arguments, name):
            filters[name] = [entry for entries in given for entry in entries]
    # Elsewhere the rows show how far it is, or what reads them writes to the terminal.
    beyond = PAGE_SIZE if goes_to_file() else sys.maxsize
    with progress("Shipments", beyond=beyond) as tell:
        found = _found(client, filters, arguments.limit, tell)
        _write((_entry(tracking, arguments) for tracking in found), SHIPMENT_COLUMNS, arguments)
    return Exit.OK


def _found(client: TrackingMoreClient, filters: dict[str, Any], limit: int | None, tell: Tell) -> Iterator[Tracking]:
    if limit is not None and limit <= PAGE_SIZE:
        yield from client.send(endpoints.list_page(cast(ListFilters, filters), limit=limit)).items[:limit]
        return
    yield from islice(_walked(client, filters, tell), limit)


def _walked(client: TrackingMoreClient, filters: dict[str, Any], tell: Tell) -> Iterator[Tracking]:
    done = 0
    total: int | None = None

    def send(request: Request[Page]) -> Page:
        nonlocal total
        page = client.send(request)
        total = page.total if total is None else total
        tell(done, total)
        return page

    for tracking in run_listing(list_trackings(filters), send):
        yield tracking
        done += 1


def _entry(tracking: Tracking, arguments: argparse.Namespace) -> dict[str, Any]:
    entry = tracking_to_dict(tracking)
    for name in ("created_at", "updated_at"):
        time = getattr(tracking, name)
        entry[name] = time.isoformat() if time is not None else None
    return with_raw(entry, tracking.raw) if arguments.include_raw else entry


def _write(rows: Iterable[dict[str, Any]], columns: Sequence[str], arguments: argparse.Namespace) -> None:
    with until_closed():
        if arguments.form == "ndjson":
            write_ndjson(rows)
        else:
            write_table(rows, columns)
