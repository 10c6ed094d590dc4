"""The tables and the picture of ``benchmarks.waiting``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.event_loop import Stalls
from benchmarks.waiting_airflow import Slots
from benchmarks.waiting_large import LargeWaitResult
from benchmarks.waiting_plan import POKE_SECONDS, percentile
from benchmarks.waiting_triggers import TriggersResult


@dataclass(frozen=True)
class Row:
    """One run.

    :param orders: how many waited.
    :param parcels: of all orders.
    :param how: who waited.
    :param scale: clock seconds in a real second.
    :param calls: requests in the ledger.
    :param refused: those of them that were answered 429.
    :param delays: clock seconds of each wait; infinite if it had not ended.
    :param cut: clock seconds after which the run was ended.
    :param cycle: calls in a cycle; None if not even one cycle was completed.
    :param fewest: calls in a cycle that arithmetic allows; None for the baselines.
    :param excess: all calls of the run, over the fewest for the run; None for the baselines.
    :param measured: what the triggers' process saw.
    """

    orders: int
    parcels: int
    how: str
    scale: float
    calls: int
    refused: int
    delays: list[float]
    cut: float
    cycle: float | None = None
    fewest: float | None = None
    excess: float | None = None
    measured: TriggersResult | None = None


@dataclass(frozen=True)
class LargeRow:
    """One run of a single large wait.

    :param wait: what it waits for.
    :param checked: how its shipments were checked.
    :param scale: clock seconds in a real second.
    :param calls: requests in the ledger.
    :param refused: those of them that were answered 429.
    :param delay: clock seconds from the last delivery to the event.
    :param measured: what its process saw.
    :param plain: processor seconds of the same calls with plain ``requests``, decoding included.
    """

    wait: str
    checked: str
    scale: float
    calls: int
    refused: int
    delay: float
    measured: LargeWaitResult
    plain: float


def print_cells(*cells: object) -> None:
    """Print one line of a Markdown table."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def print_header(*cells: str) -> None:
    """Print the head of a Markdown table."""
    print()
    print_cells(*cells)
    print_cells(*["---"] * len(cells))


def seconds(value: float, cut: float) -> str:
    """Write a delay; one that did not end is longer than what was left of the run."""
    return f"{value:,.0f} s" if math.isfinite(value) else f"not in {cut:,.0f} s"


def print_calls_and_delays(rows: Sequence[Row]) -> None:
    """Print how many calls each run took, and how late it was."""
    print_header(
        "orders (parcels)", "method", "clock", "calls", "per cycle", "fewest", "429s", "delay p50", "p95", "longest"
    )
    for row in rows:
        shown = [seconds(percentile(row.delays, share), row.cut) for share in (0.5, 0.95, 1) if row.delays]
        cycle = f"{row.cycle:,.2f}".removesuffix(".00") if row.cycle else f"> {row.calls:,}"
        fewest = f"{row.fewest:.2f} (x {row.excess:.2f})" if row.fewest else ""
        counted = f"{row.orders:,} ({row.parcels:,})"
        print_cells(counted, row.how, f"{row.scale:g} x", f"{row.calls:,}", cycle, fewest, f"{row.refused:,}", *shown)


def print_triggerer(rows: Sequence[Row]) -> None:
    """Print the memory of the triggers, and the longest stalls of the event loop, by cause."""
    print_header("triggers", "memory for each", "phase", *STALLS)
    for row in rows:
        if row.measured:
            weight = f"{row.measured.bytes_each / 1024:.1f} KB"
            print_cells(f"{row.orders:,}", weight, "idle", *stalls(row.measured.idle))
            print_cells("", "", "while they start", *stalls(row.measured.starting))
            print_cells("", "", "while they wait", *stalls(row.measured.waiting))


STALLS = ("own work", "garbage collection", "other threads", "waiting for a processor", "longest in all")


def stalls(longest: Stalls) -> list[str]:
    """Write the longest stall by each cause."""
    causes = (longest.own_work, longest.collection, longest.other_threads, longest.processor, longest.total)
    return [f"{1000 * stall:,.0f} ms" for stall in causes]


def print_large_waits(rows: Sequence[LargeRow]) -> None:
    """Print how long a single large wait holds the event loop, and what it costs beside decoding its pages."""
    print_header(
        "one wait for",
        "checked",
        "clock",
        "calls",
        "429s",
        "result",
        "delay",
        *STALLS[:2],
        "processor time",
        "plain requests",
        "decoding",
    )
    for row in rows:
        measured = row.measured
        cost = (
            f"{measured.used:.2f} s, {measured.used / measured.decoding:.1f} x",
            f"{row.plain:.2f} s, {row.plain / measured.decoding:.1f} x",
            f"{measured.decoding:.2f} s, {measured.megabytes:.1f} MB",
        )
        delay = f"{row.delay:,.0f} s"
        print_cells(
            row.wait,
            row.checked,
            f"{row.scale:g} x",
            row.calls,
            row.refused,
            measured.result,
            delay,
            *stalls(measured.stalls)[:2],
            *cost,
        )


def print_bad_parcels(found: Mapping[str, tuple[int, list[float]]]) -> None:
    """Print the effect of a bad parcel on the others."""
    print_header("method", "other orders released", "delay p50", "p95")
    for how, (others, delays) in found.items():
        released = [delay for delay in delays if math.isfinite(delay)]
        shown = [f"{percentile(released, share):,.0f} s" for share in (0.5, 0.95)] if released else ["-", "-"]
        print_cells(how, f"{len(released)} of {others}", *shown)


def print_slots(measured: Mapping[str, Slots | str]) -> None:
    """Print how long a wait occupies a worker."""
    print_header("mode", "succeeded", "duration of a wait", "of it in a worker slot", "API calls per wait")
    for mode, result in measured.items():
        if isinstance(result, str):
            print_cells(mode, result, "", "", "")
        else:
            took = f"{result.duration:.0f} s", f"{result.in_slot:.2f} s", f"{result.calls:.1f}"
            print_cells(mode, f"{result.succeeded} of {result.waits}", *took)


LEGEND = {"ours": "this provider"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw calls per cycle and delays against the number of orders, both on logarithmic scales.

    :param rows: the runs.
    :param path: a PNG file.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    colours = {"one sensor per parcel, one at a time": "#c44e52", "one sensor for all": "#dd8452", "ours": "#1f77b4"}
    for how, colour in colours.items():
        runs = [row for row in rows if row.how.partition(", ended")[0] == how]
        sizes = [row.orders for row in runs]
        if not runs:
            continue
        left.plot(sizes, [row.cycle or row.calls for row in runs], "o-", color=colour, label=LEGEND.get(how, how))
        ends = [(row.orders, percentile(row.delays, 0.95), row.cut) for row in runs if row.delays]
        right.plot(
            sizes[: len(ends)],
            [min(late, cut) for _, late, cut in ends],
            "o-",
            color=colour,
            label=LEGEND.get(how, how),
        )
        for size, late, cut in ends:
            if late > cut:
                right.annotate("at least", (size, cut), (0, 6), textcoords="offset points", ha="right", fontsize=8)
    fewest = [(row.orders, row.fewest) for row in rows if row.fewest]
    if fewest:
        left.plot(*zip(*fewest, strict=True), "--", color="black", linewidth=1, label="theoretical minimum")
    right.axhline(POKE_SECONDS, linestyle="--", color="black", linewidth=1, label="poke interval")
    for axes, title in ((left, "API calls per cycle"), (right, "seconds from delivery to release, p95")):
        axes.set(xscale="log", yscale="log", xlabel="waiting orders", title=title)
        axes.grid(alpha=0.3)
        axes.margins(y=0.1)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)
