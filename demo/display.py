"""Progress of the demo: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

PLAIN_INTERVAL = 5.0
"""Seconds between two lines where there is no live display."""
PICTURE_WIDTH = 76
"""Columns of a picture of the live display."""

LABELS = {
    "pending": "pending",
    "notfound": "not found yet",
    "transit": "in transit",
    "pickup": "out for delivery",
    "undelivered": "delivery failed",
    "delivered": "delivered",
    "exception": "exception",
    "expired": "expired",
}
"""The statuses of a parcel in the order of the display."""
_STYLES = {"delivered": "green", "exception": "red", "expired": "red", "undelivered": "yellow"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run.

    :param orders: number of orders by their status in the shop: ``closed``, ``on hold``, ``open``.
    :param parcels: number of registered parcels by status; None at the real service.
    :param calls: API calls of the DAG and of polling one by one; None at the real service.
    :param day: days of the sandbox since the run started; None at the real service.
    """

    orders: Mapping[str, int]
    parcels: Mapping[str, int] | None = None
    calls: tuple[int, int] | None = None
    day: float | None = None

    def orders_text(self) -> str:
        """Return the orders as text."""
        return ", ".join(f"{self.orders.get(status, 0)} {status}" for status in ("closed", "on hold", "open"))

    def parcels_text(self) -> str:
        """Return the parcels as text, without statuses that no parcel has."""
        parcels = self.parcels or {}
        return ", ".join(f"{parcels[status]} {label}" for status, label in LABELS.items() if parcels.get(status))


class Display(ABC):
    """Shows the progress while the ``with`` block runs.

    :param console: where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - a plain display has nothing to remove
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what should not stay on the screen."""

    def event(self, text: str) -> None:
        """Print a line that stays.

        :param text: what happened.
        """
        elapsed = time.monotonic() - self._started
        self.console.print(f"[{elapsed:4.0f} s] {text}", markup=False, highlight=False)

    @abstractmethod
    def phase(self, text: str, url: str = "") -> None:
        """Show the current phase.

        :param text: what the demo is doing.
        :param url: where to watch it; shown only by displays that remove it when it is no longer valid.
        """

    @abstractmethod
    def update(self, snapshot: Snapshot) -> None:
        """Show the state of the run.

        :param snapshot: the state.
        """


class PlainDisplay(Display):
    """Prints a line now and then, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._printed_at = float("-inf")

    def phase(self, text: str, url: str = "") -> None:
        """See :meth:`Display.phase`."""
        self.event(text)

    def update(self, snapshot: Snapshot) -> None:
        """See :meth:`Display.update`."""
        now = time.monotonic()
        if now - self._printed_at < PLAIN_INTERVAL:
            return
        self._printed_at = now
        parts = [] if snapshot.day is None else [f"sandbox day {snapshot.day:.1f}"]
        parts += [f"orders: {snapshot.orders_text()}"]
        parts += [f"parcels: {snapshot.parcels_text()}"] if snapshot.parcels else []
        parts += [] if snapshot.calls is None else ["API calls: {}, one by one: {}".format(*snapshot.calls)]
        self.event("; ".join(parts))


class LiveDisplay(Display):
    """Redraws bars and counts in place; they disappear at the end."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._phase = self._url = ""
        self._spinner = Spinner("dots")
        self._snapshot: Snapshot | None = None
        self._live = Live(console=console, transient=True, refresh_per_second=8, get_renderable=self._render)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def phase(self, text: str, url: str = "") -> None:
        """See :meth:`Display.phase`."""
        self._phase, self._url = text, url

    def update(self, snapshot: Snapshot) -> None:
        """See :meth:`Display.update`."""
        self._snapshot = snapshot

    def _render(self) -> RenderableType:
        snapshot = self._snapshot
        elapsed = time.monotonic() - self._started
        self._spinner.update(text=Text(f"{self._phase} ({elapsed:.0f} s)"))
        if snapshot is None:
            return self._spinner
        counts = Table.grid(padding=(0, 2))
        counts.add_row("Orders", Text(snapshot.orders_text()))
        if snapshot.calls is not None:
            counts.add_row("API calls", Text("{} (polling one by one: {})".format(*snapshot.calls)))
        if snapshot.day is not None:
            counts.add_row("Sandbox", Text(f"day {snapshot.day:.1f}"))
        if self._url:
            counts.add_row("Airflow", Text(self._url))
        parts: list[RenderableType] = [Text(), counts, Text(), self._spinner]
        if snapshot.parcels is not None:
            parts.insert(1, Group(self._bars(snapshot.parcels), Text()))
        return Group(*parts)

    def _bars(self, parcels: Mapping[str, int]) -> Table:
        total = max(1, sum(parcels.values()))
        width = max(10, min(50, self.console.width - 30))
        bars = Table.grid(padding=(0, 2))
        bars.add_column(no_wrap=True)
        bars.add_column(width=width)
        bars.add_column(justify="right")
        for status, label in LABELS.items():
            count = parcels.get(status, 0)
            style = _STYLES.get(status, "cyan")
            bar = ProgressBar(total=total, completed=count, width=width, complete_style=style, finished_style=style)
            bars.add_row(label, bar, str(count))
        return bars


class PictureDisplay(LiveDisplay):
    """A live display that is saved as a picture once most parcels are delivered and some orders closed.

    :param console: where to print.
    :param file: the SVG file to write.
    """

    def __init__(self, console: Console, file: Path) -> None:
        super().__init__(console)
        self._file = file
        self._saved = False

    def update(self, snapshot: Snapshot) -> None:
        """See :meth:`Display.update`."""
        super().update(snapshot)
        parcels = snapshot.parcels or {}
        delivered = parcels.get("delivered", 0) > 0.75 * sum(parcels.values())
        closed = snapshot.orders.get("closed", 0) > 0.1 * sum(snapshot.orders.values())
        if delivered and closed and not self._saved:
            self._save()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._saved and self._snapshot is not None:  # few orders, and some of them never closed
            self._save()
        super().__exit__(kind, error, trace)

    def _save(self) -> None:
        recorder = Console(record=True, width=PICTURE_WIDTH, file=io.StringIO(), force_terminal=True)
        recorder.print(self._render())
        svg = recorder.export_svg(title="make demo")
        svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # fonts from another site
        self._file.write_text(svg, encoding="utf-8")
        self._saved = True


def create_display(console: Console, picture: Path | None = None) -> Display:
    """Create the display that fits the output.

    :param console: where to print.
    :param picture: an SVG file to save the live display to; None for no picture.
    :return: a live display on a terminal or for a picture, else a plain one.
    """
    if picture:
        return PictureDisplay(console, picture)
    live = console.is_terminal and not console.is_dumb_terminal
    return LiveDisplay(console) if live else PlainDisplay(console)
