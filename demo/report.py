"""The report at the end of the demo: orders, API calls, lanes, carriers, a summary, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from .nightly import Lane, LoadCounts, Scores
from .shop import Order

MAX_LANES = 12
INVENTED = "The sandbox invents every journey, status and date, also for real tracking numbers."


def outcome_of(order: Order) -> str:
    """Describe the outcome of an order.

    :param order: the order.
    :return: a few words.
    """
    if order.status == "on hold":
        return order.reason or "on hold"
    return "delivered" if order.status == "closed" else "not delivered yet, stays open"


def order_table(orders: Sequence[Order]) -> Table:
    """Build a table of the orders.

    :param orders: the orders.
    :return: order, parcels, outcome, delivered at.
    """
    table = Table()
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
    """Build a table that compares the API calls.

    :param dag: calls of the DAG by endpoint, counted by the sandbox.
    :param naive: calls of the naive poller, likewise.
    :return: a row for each endpoint, and the sum.
    """
    table = Table(title="API calls, counted by the sandbox", title_justify="left")
    table.add_column("endpoint", no_wrap=True)
    table.add_column("this DAG", justify="right")
    table.add_column("one by one", justify="right")
    for endpoint in sorted({*dag, *naive}):
        table.add_row(endpoint, *(str(calls.get(endpoint, 0)) for calls in (dag, naive)))
    table.add_section()
    table.add_row("total", str(sum(dag.values())), str(sum(naive.values())), style="bold")
    return table


def lane_table(lanes: Sequence[Lane]) -> Table:
    """Build a table of the lanes.

    :param lanes: the lanes.
    :return: carrier, countries and days of the first :data:`MAX_LANES`.
    """
    table = Table(title="Days from the first scan to the delivery (view shipment_lane_transit)", title_justify="left")
    table.add_column("carrier", overflow="fold")
    table.add_column("from", no_wrap=True)
    table.add_column("to", no_wrap=True)
    for heading in ("delivered", "p50 days", "p90 days"):
        table.add_column(heading, justify="right")
    for lane in lanes[:MAX_LANES]:
        days = (f"{lane.p50_days:.1f}", f"{lane.p90_days:.1f}")
        table.add_row(*map(escape, (lane.carrier_code, lane.origin, lane.destination)), str(lane.measured), *days)
    if (more := len(lanes) - MAX_LANES) > 0:
        table.add_section()
        table.add_row(f"{more} more lane{'s' if more > 1 else ''}", style="dim")
    return table


def scorecard_table(scores: Sequence[Scores]) -> Table:
    """Build a table of the carriers.

    :param scores: the carriers.
    :return: the carrier, its parcels, and rates in percent.
    """
    table = Table(title="Carriers (view carrier_scorecard)", title_justify="left")
    table.add_column("carrier", overflow="fold")
    for heading in ("parcels", "delivered", "exception", "failed attempt", "expired"):
        table.add_column(heading, justify="right")
    for carrier in scores:
        rates = (carrier.delivered_rate, carrier.exception_rate, carrier.failed_attempt_rate, carrier.expired_rate)
        table.add_row(escape(carrier.carrier_code), str(carrier.shipments), *(f"{rate:.0%}" for rate in rates))
    return table


def load_summary(loads: Sequence[LoadCounts]) -> str:
    """Sum up the loads in a line each.

    :param loads: the loads, in order.
    :return: such as ``second load: 0 new, 71 unchanged, 2 calls``.
    """
    lines = []
    for name, load in zip(("first", "second"), loads, strict=True):
        changed = [f"{load.changed} changed"] if load.changed else []
        calls = "1 call" if load.calls == 1 else f"{load.calls} calls"
        lines.append(", ".join([f"{name} load: {load.new} new", *changed, f"{load.unchanged} unchanged", calls]))
    return "\n".join(lines)


def summary(orders: Sequence[Order], calls: tuple[int, int] | None) -> str:
    """Sum up the run in one line.

    :param orders: the orders.
    :param calls: API calls of the DAG and of polling one by one; None at the real service.
    :return: such as ``31 delivered, 5 on hold, 43 calls instead of 595``.
    """
    count = Counter(order.status for order in orders)
    parts = [f"{count['closed']} delivered", f"{count['on hold']} on hold"]
    parts += [f"{count['open']} still open"] if count["open"] else []
    parts += ["{} calls instead of {}".format(*calls)] if calls else []
    return ", ".join(parts)


def next_steps(own_orders: bool, sandbox: bool) -> list[tuple[str, str]]:
    """Suggest what to do next.

    :param own_orders: whether the orders were the user's own.
    :param sandbox: whether the run used the sandbox.
    :return: a command or file, and what it is for.
    """
    steps = [("make standalone", "the same in Airflow's UI")]
    if not own_orders:
        steps.append(("make demo ORDERS=my-orders.csv", "your own orders, one parcel per row"))
    elif sandbox:
        steps.append(("TRACKINGMORE_API_KEY=... make demo ORDERS=...", "the real service; asks first"))
    if sandbox:
        steps.append(("demo/dags/nightly_load.py", "the DAG that loads into a database"))
    return [*steps, ("example_dags/order_closing.py", "the DAG that closes orders, to copy and adapt")]
