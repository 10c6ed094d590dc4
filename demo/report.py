"""What the demo says: progress while it runs, the table at the end. Knows how to print; starts and asks nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .shop import Order

LINE_EVERY = 3.0
"""Seconds between two progress lines where a line cannot be written over."""


class Progress:
    """Lines for what happened, and one line for what is going on.

    On a terminal the last line is written over; elsewhere it is printed when it has changed, every :data:`LINE_EVERY`.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._status = console.status("") if console.is_terminal else None
        self._shown = ""
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def say(self, text: str) -> None:
        """Print what has happened.

        :param text: one line.
        """
        self.console.print(f"[{time.monotonic() - self._began:4.0f} s] {text}", markup=False, highlight=False)

    def now(self, text: str) -> None:
        """Show what is going on.

        :param text: one line.
        """
        if self._status:
            self._status.update(text)
        elif text != self._shown and time.monotonic() - self._shown_at >= LINE_EVERY:
            self._shown, self._shown_at = text, time.monotonic()
            self.say(text)


def outcome_of(order: Order) -> str:
    """Say what became of an order.

    :param order: the order.
    :return: a few words.
    """
    if order.status == "on hold":
        return order.reason or "on hold"
    return "delivered" if order.status == "closed" else "still on its way: stays open"


def order_table(orders: list[Order]) -> Table:
    """Set the orders in a table.

    :param orders: the orders.
    :return: order, parcels, outcome, delivered at.
    """
    table = Table(pad_edge=False)
    table.add_column("order", no_wrap=True)
    table.add_column("parcels", justify="right")
    table.add_column("outcome", overflow="fold")
    table.add_column("delivered at", no_wrap=True)
    for order in orders:
        style = {"closed": None, "open": "dim"}.get(order.status, "yellow")
        cells = (order.order_id, str(order.parcels), outcome_of(order), order.delivered_at or "")
        table.add_row(*map(escape, cells), style=style)
    return table


def call_table(dag: Mapping[str, int], naive: Mapping[str, int]) -> Table:
    """Set two counts of API calls side by side.

    :param dag: calls of the DAG by endpoint, counted at the server.
    :param naive: calls of the naive poller, likewise.
    :return: a row for each endpoint, and the sum.
    """
    table = Table(title="API calls, counted at the server", title_justify="left", pad_edge=False)
    table.add_column("endpoint", no_wrap=True)
    table.add_column("this DAG", justify="right")
    table.add_column("one parcel at a time", justify="right")
    for endpoint in sorted({*dag, *naive}):
        table.add_row(endpoint, *(str(side.get(endpoint, 0)) for side in (dag, naive)))
    table.add_section()
    table.add_row("all", str(sum(dag.values())), str(sum(naive.values())), style="bold")
    return table
