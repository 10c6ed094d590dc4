"""Wait for orders: triggers that share their calls, compared with a sensor for each parcel and a sensor for all.

Run from the checkout: ``python -m benchmarks.waiting``. The sandbox counts everything, over a real socket, with its
limits on; a request may come a quarter of a real second early (switch ``rate_tolerance``), the average rate may not.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from benchmarks import waiting_report as report
from benchmarks.waiting_airflow import slot_seconds
from benchmarks.waiting_baselines import Api, BaselineResult, one_batched, one_by_one
from benchmarks.waiting_large import repeat_with_plain_requests, run_one_trigger
from benchmarks.waiting_plan import (
    EXCEPTION,
    LEAD_SECONDS,
    POKE_SECONDS,
    RECONCILE_SECONDS,
    TOLERANCE_SECONDS,
    UNREGISTERED,
    Parcel,
    Timeline,
    orders,
    register_parcels,
)
from benchmarks.waiting_report import LargeRow, Row
from benchmarks.waiting_triggers import run_triggers

CLOCK_BEHIND = timedelta(hours=6)
"""No run takes so long by the sandbox's clock."""
SPREAD = 1800.0
"""Clock seconds in which all parcels are delivered, one after the other."""
SPREAD_BY_LIST = 600.0
"""The same for a large wait that reads the whole list each time."""
TRIGGERS_ALONE = 20_000
"""From this many orders on only the triggers run, for :data:`TRIGGERS_ALONE_SECONDS` of the clock."""
TRIGGERS_ALONE_SECONDS = 600.0
SINGLY_BOUNDED = 5_000
"""From this many orders on, one GET per parcel is ended after 10,000 s of the clock, before it has checked all."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--sizes", default="100,1000,10000,50000", help="how many orders wait, one run each")
    parser.add_argument("--large", default="1000,10000", help="how many shipments one wait has, one run each")
    parser.add_argument("--large-orders", default="10000", help="how many orders one wait has, one run each")
    parser.add_argument("--time-scale", type=float, help="clock seconds in a real second, for ours")
    parser.add_argument("--airflow", action="store_true", help="also measure worker slots, in a real Airflow")
    parser.add_argument("--only", choices=("ours", "baselines", "large", "bad", "airflow"), action="append")
    parser.add_argument("--picture", type=Path, help="where to draw it; needs the dependency group bench")
    options = parser.parse_args()
    sizes, shipments, many_orders = (
        [int(size) for size in text.split(",") if size] for text in (options.sizes, options.large, options.large_orders)
    )
    parts = options.only or ["ours", "baselines", "large", "bad", *(["airflow"] if options.airflow else [])]
    rows: list[Row] = []
    if "ours" in parts:
        rows += [measure_triggers(size, options.time_scale or scale_for(size)) for size in sizes]
    if "baselines" in parts:
        rows += measure_baselines([size for size in sizes if size < TRIGGERS_ALONE])
    rows.sort(key=lambda row: row.orders)
    if rows:
        report.print_calls_and_delays(rows)
    if "ours" in parts:
        report.print_triggerer(rows)
    if "large" in parts:
        cases = [(size, False) for size in shipments] + [(size, True) for size in many_orders]
        report.print_large_waits(
            [
                measure_large_wait(size, in_orders, reconcile_seconds, options.time_scale or scale_for(size), spread)
                for size, in_orders in cases
                for reconcile_seconds, spread in ((RECONCILE_SECONDS, SPREAD), (POKE_SECONDS, SPREAD_BY_LIST))
            ]
        )
    if "bad" in parts:
        report.print_bad_parcels(measure_bad_parcels())
    if "airflow" in parts:
        report.print_slots(slot_seconds())
    if options.picture:
        report.draw(rows, options.picture)


def scale_for(size: int) -> float:
    """Return the clock's speed. Real time of this machine shows as clock time, so long responses need a slow clock."""
    return 40.0 if size < 500 else 20.0 if size < 5000 else 5.0 if size < TRIGGERS_ALONE else 1.0


def sandbox_with(accounts: int, scale: float) -> SandboxProcess:
    """A sandbox with its limits on. Its clock begins in the past, or it would soon be ahead of the machine's clock."""
    return SandboxProcess(
        api_keys=[f"waiting-{account}" for account in range(accounts)],
        time_scale=scale,
        quota=1e9,
        start=(datetime.now(UTC) - CLOCK_BEHIND).isoformat(),
        switches={"rate_tolerance": TOLERANCE_SECONDS},
    )


def clock_converter(sandbox: SandboxProcess) -> Callable[[float], float]:
    """Return a function that converts a reading of the monotonic clock to clock time."""
    before = time.monotonic()
    clock = sandbox.clock()
    middle = (before + time.monotonic()) / 2
    return lambda reading: clock["unix"] + (reading - middle) * clock["time_scale"]


def delays(
    waits: Iterable[Sequence[Parcel]],
    ended: Iterable[float | None],
    timeline: Timeline,
    clock: Callable[[float], float],
) -> list[float]:
    """Clock seconds from "delivered" at the vendor to the end of each wait; infinite if it did not end."""
    return [
        float("inf") if end is None else clock(end) - timeline.arrival_of(wait)
        for wait, end in zip(waits, ended, strict=True)
    ]


def measure_triggers(size: int, scale: float, bad: Sequence[Parcel] = (), spread: float = SPREAD) -> Row:
    """Run the triggers.

    :param size: how many orders.
    :param scale: clock seconds in a real second.
    :param bad: parcels that are never delivered; each an order of its own.
    :param spread: clock seconds in which all are delivered.
    """
    waits = orders(size)
    everything = [parcel for wait in waits for parcel in wait]
    registered = [parcel for parcel in bad if parcel != UNREGISTERED]
    bounded = TRIGGERS_ALONE_SECONDS if size >= TRIGGERS_ALONE else None
    with sandbox_with(1, scale) as sandbox:
        (timeline,) = register_parcels(
            sandbox, everything + registered, spread, lead=LEAD_SECONDS + (10 + size / 1000) * scale
        )
        clock = clock_converter(sandbox)
        give_up = bounded or spread + LEAD_SECONDS + 3600
        measured = run_triggers([*waits, *([parcel] for parcel in bad)], sandbox.connection, scale, give_up)
        ledger, calls = sandbox.ledger(), sandbox.calls()
    times = [call["clock_unix"] for call in calls]
    last = max((clock(end) for end in measured.ended if end is not None), default=times[-1])
    until = clock(measured.began) + bounded if bounded else max(last, times[-1])
    fewest, ticks = timeline.fewest(times[0], until)
    cycles = max((until - times[0]) // POKE_SECONDS + 1, ticks)
    late = delays(waits, measured.ended[:size], timeline, clock)
    if bounded:  # waits whose parcels were not due yet say nothing
        cut = clock(measured.began) + bounded - POKE_SECONDS
        late = [delay for wait, delay in zip(waits, late, strict=True) if timeline.arrival_of(wait) < cut]
    return Row(
        size,
        len(everything),
        "ours" + (f", ended at {bounded:,.0f} s" if bounded else ""),
        scale,
        calls=ledger["requests"],
        refused=ledger["rate_limited"],
        delays=late,
        cut=(bounded or give_up),
        cycle=ledger["requests"] / cycles,
        fewest=fewest / ticks,
        excess=ledger["requests"] / fewest,
        measured=measured,
    )


def measure_large_wait(size: int, in_orders: bool, reconcile_seconds: float, scale: float, spread: float) -> LargeRow:
    """Run one trigger for many shipments, or many orders.

    :param size: how many shipments or orders.
    :param in_orders: whether they are orders.
    :param reconcile_seconds: clock seconds between two checks of a shipment that do not rely on the list of changes;
        ``POKE_SECONDS`` makes every check read the whole list.
    :param scale: clock seconds in a real second.
    :param spread: clock seconds in which all are delivered.
    """
    waits = orders(size)
    everything = [parcel for wait in waits for parcel in wait]
    if not in_orders:
        del everything[size:]
    named: dict[str | None, Sequence[Parcel]] = {None: everything}
    if in_orders:
        named = {f"order-{at:05d}": wait for at, wait in enumerate(waits)}
    with sandbox_with(1, scale) as sandbox:
        (timeline,) = register_parcels(sandbox, everything, spread, lead=LEAD_SECONDS + 5 * scale)
        clock = clock_converter(sandbox)
        give_up = spread + LEAD_SECONDS + reconcile_seconds + 600
        measured = run_one_trigger(named, sandbox.connection, scale, reconcile_seconds, give_up)
        ledger = sandbox.ledger()
        plain = repeat_with_plain_requests(sandbox.connection, measured.targets, scale)
    return LargeRow(
        f"{size:,} orders ({len(everything):,} shipments)" if in_orders else f"{size:,} shipments",
        "by list" if reconcile_seconds == POKE_SECONDS else "by change",
        scale,
        calls=ledger["requests"],
        refused=ledger["rate_limited"],
        delay=clock(measured.ended) - timeline.arrival_of(everything),
        measured=measured,
        plain=plain,
    )


def measure_baselines(sizes: Sequence[int], scale: float = 40.0, spread: float = SPREAD) -> list[Row]:
    """Run both baselines for each size, all at the same time, each against a sandbox of its own.

    :param sizes: how many orders.
    :param scale: clock seconds in a real second.
    :param spread: clock seconds in which all are delivered.
    """
    jobs: list[tuple[int, str, int, float, float]] = [(size, "batched", 1, scale, 7200.0) for size in sizes]
    jobs += [(size, "singly", 1, scale, 7200.0) for size in sizes if size < SINGLY_BOUNDED]
    jobs += [(size, "singly", 1, 60.0, 10_000.0) for size in sizes if size >= SINGLY_BOUNDED]
    jobs += [(size, "singly", 4, scale, 7200.0) for size in sizes[:1] if size < SINGLY_BOUNDED]
    rows: list[Row] = []

    def run(size: int, how: str, slots: int, scale: float, cut: float) -> None:
        waits = orders(size)
        everything = [parcel for wait in waits for parcel in wait]
        with sandbox_with(1, scale) as sandbox:
            (timeline,) = register_parcels(sandbox, everything, spread)
            clock = clock_converter(sandbox)
            api = Api(sandbox.base_url, sandbox.api_key, scale, time.monotonic() + cut / scale)
            result = one_by_one(api, everything, slots) if how == "singly" else one_batched(api, everything)
            ledger = sandbox.ledger()
        names = {1: "one sensor per parcel, one at a time", 4: "one sensor per parcel, four at a time"}
        units = [[parcel] for parcel in everything] if how == "singly" else waits
        ended = [result.released.get(unit[-1]) for unit in units]
        rows.append(
            Row(
                size,
                len(everything),
                names[slots] if how == "singly" else "one sensor for all",
                scale,
                calls=ledger["requests"],
                refused=ledger["rate_limited"],
                delays=delays(units, ended, timeline, clock),
                cut=cut,
                cycle=float(result.first_pass_calls) or None,
            )
        )

    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return rows


def measure_bad_parcels(
    size: int = 100, scale: float = 40.0, spread: float = 600.0
) -> Mapping[str, tuple[int, list[float]]]:
    """Add an exception and an unregistered number to the waits.

    :return: for each way of waiting, how many others there were, and their delays.
    """
    waits = orders(size)
    everything = [parcel for wait in waits for parcel in wait]
    found: dict[str, tuple[int, list[float]]] = {}
    for name, bad in (("ours, none bad", ()), ("ours, two bad", (EXCEPTION, UNREGISTERED))):
        row = measure_triggers(size, scale, bad, spread)
        assert row.measured is not None
        assert row.measured.results[size:] == ["failed"] * len(bad)
        found[name] = size, row.delays
    for on_bad in ("raise", "wait"):
        with sandbox_with(1, scale) as sandbox:
            (timeline,) = register_parcels(sandbox, [*everything, EXCEPTION], spread)
            clock = clock_converter(sandbox)
            until = time.monotonic() + (LEAD_SECONDS + spread + 600) / scale
            api = Api(sandbox.base_url, sandbox.api_key, scale, until)
            result: BaselineResult = one_batched(api, [*everything, EXCEPTION, UNREGISTERED], on_bad)
            ended = [result.released.get(wait[-1]) for wait in waits]
            found[f"one sensor for all, {on_bad}s"] = size, delays(waits, ended, timeline, clock)
    return found


if __name__ == "__main__":
    main()
