"""The example DAG through Airflow itself, against the sandbox over a socket and a real database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import Shop

pytestmark = pytest.mark.system

ORDERS = (
    ("A-1", "dhl", "SBX-DELIVERED-1D-A1"),
    ("A-2", "ups", "SBX-DELIVERED-2D-A2"),
    ("A-2", "dhl", "SBX-DELIVERED-1D-A2"),
    ("B-lost", "dhl", "SBX-DELIVERED-1D-B"),
    ("B-lost", "ups", "SBX-EXCEPTION-2D-B"),
    ("C-expired", "dpd", "SBX-EXPIRED-2D-C"),
    ("D-refused", "dhl", "SBX-DELIVERED-1D-D"),
    ("D-refused", "dhll", "SBX-DELIVERED-2D-D"),
    ("E-known", "gls", "SBX-DELIVERED-2D-E"),
    ("F-stuck", "gls", "SBX-STUCK-F"),
)


def test_every_order_ends_as_its_parcels_did_and_none_ends_twice(
    fast_sandbox: SandboxProcess, the_shop: Shop, run_order_closing: Callable[..., str]
) -> None:
    the_shop.fill(*ORDERS)
    fast_sandbox.seed(shipments=[{"carrier_code": "gls", "tracking_number": "SBX-DELIVERED-2D-E", "order_id": "other"}])

    run_order_closing()

    orders = the_shop.orders()
    assert {order_id: order.status for order_id, order in orders.items()} == {
        "A-1": "closed",
        "A-2": "closed",
        "B-lost": "on hold",
        "C-expired": "on hold",
        "D-refused": "on hold",
        "E-known": "closed",
        "F-stuck": "open",
    }
    assert orders["B-lost"].reason == "ups SBX-EXCEPTION-2D-B: delivery exception"
    assert orders["C-expired"].reason == "dpd SBX-EXPIRED-2D-C: no news for too long"
    assert orders["D-refused"].reason == "dhll SBX-DELIVERED-2D-D: unknown carrier"
    arrivals = {order_id: order.delivered_at for order_id, order in orders.items() if order.delivered_at}
    assert [*arrivals] == ["A-1", "A-2", "E-known"]

    run_order_closing()

    assert the_shop.orders() == orders
    assert the_shop.changes() == sorted(
        (name, order.status) for name, order in orders.items() if order.status != "open"
    )
    ledger = fast_sandbox.ledger()
    assert len(ledger["created"]) == len(ORDERS) - 2, "all but the refused one and the one that was known"
    assert ledger["created_twice"] == []
    assert ledger["by_endpoint"]["POST /trackings/batch"] == 2
    looked_for = {number for call in fast_sandbox.calls("GET") for number in call["query"]["numbers"].split(",")}
    assert looked_for == {number for order_id, _, number in ORDERS if order_id != "D-refused"}


def test_an_order_whose_wait_was_marked_as_success_stays_open_and_the_next_run_closes_it(
    fast_sandbox: SandboxProcess, the_shop: Shop, run_order_closing: Callable[..., str]
) -> None:
    the_shop.fill(("A-1", "dhl", "SBX-DELIVERED-1D-A1"))

    log = run_order_closing("--mark-success-pattern", r"order\.wait")

    assert the_shop.orders()["A-1"].status == "open"
    assert "Order A-1 stays open: its wait has no result, because it was marked as success" in log

    run_order_closing()

    assert the_shop.orders()["A-1"].status == "closed"


def test_the_rows_of_mapped_tasks_are_named_after_their_orders(
    fast_sandbox: SandboxProcess, the_shop: Shop, run_order_closing: Callable[..., str]
) -> None:
    the_shop.fill(("A-1", "dhl", "SBX-DELIVERED-1D-A1"), ("A-2", "ups", "SBX-DELIVERED-2D-A2"))

    run_order_closing()

    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as database:
        newest = "run_id = (SELECT run_id FROM dag_run WHERE dag_id = 'order_closing' ORDER BY id DESC LIMIT 1)"
        rows = database.execute(
            "SELECT task_id, rendered_map_index FROM task_instance"
            f" WHERE dag_id = 'order_closing' AND task_id LIKE 'order.%' AND {newest}"
        )
        assert sorted(rows.fetchall()) == [
            (task, f"order {order}") for task in ("order.close", "order.wait") for order in ("A-1", "A-2")
        ]


def test_a_day_without_orders_makes_no_call(
    fast_sandbox: SandboxProcess, the_shop: Shop, run_order_closing: Callable[..., str]
) -> None:
    the_shop.fill()

    run_order_closing()

    assert fast_sandbox.ledger()["requests"] == 0
