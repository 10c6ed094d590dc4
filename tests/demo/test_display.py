"""The progress of the demo, on terminals of any width and where there is none."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from demo.display import LiveDisplay, PlainDisplay, Snapshot, create_display

SNAPSHOT = Snapshot({"open": 22, "closed": 12, "on hold": 2}, {"transit": 60, "delivered": 12}, (14, 187), 6.44)
URL = "http://127.0.0.1:28443"


def rendered(width: int, snapshot: Snapshot) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=False, width=width)
    display = LiveDisplay(console)
    display.phase("DAG order_closing is running", URL)
    display.update(snapshot)
    with console.capture() as capture:
        console.print(display._render())
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_live_display_shows_bars_orders_calls_and_the_day(width: int) -> None:
    lines = rendered(width, SNAPSHOT)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert re.search(r"in transit .* 60$", text, re.MULTILINE)
    assert re.search(r"delivered .* 12$", text, re.MULTILINE)
    assert "12 closed, 2 on hold, 22 open" in text
    assert "14 (polling one by one: 187)" in text
    assert "day 6.4" in text
    assert URL in text
    assert len(lines) < 20


def test_the_live_display_shows_what_is_known_of_the_real_service() -> None:
    text = "\n".join(rendered(80, Snapshot({"open": 3})))
    assert "0 closed, 0 on hold, 3 open" in text
    assert "API calls" not in text
    assert "Sandbox" not in text


def test_the_picture_shows_most_parcels_delivered_and_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "demo.svg"
    console = Console(file=io.StringIO(), force_terminal=False, width=40)
    with create_display(console, file) as display:
        display.phase("DAG order_closing is running", URL)
        display.update(SNAPSHOT)
        assert not file.exists(), "12 of 72 parcels are delivered"
        display.update(replace(SNAPSHOT, parcels={"transit": 12, "delivered": 60}, orders={"open": 36}))
        assert not file.exists(), "no order is closed"
        display.update(replace(SNAPSHOT, parcels={"transit": 12, "delivered": 60}))
        display.update(replace(SNAPSHOT, parcels={"delivered": 72}))
    svg = file.read_text(encoding="utf-8")
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert re.search(r"in transit\W+12\b.*delivered\W+60\b", text, re.DOTALL)
    assert "14 (polling one by one: 187)" in text
    assert re.findall(r"https?://[^/\s\"<]+", svg.replace(URL, "")) == [
        "http://www.w3.org",
        "https://www.textualize.io",
    ]


def test_plain_lines_have_no_control_characters_and_no_url() -> None:
    output = io.StringIO()
    with create_display(Console(file=output, force_terminal=False, width=150)) as display:
        assert isinstance(display, PlainDisplay)
        display.phase("DAG order_closing is running", URL)
        display.update(SNAPSHOT)
        display.update(SNAPSHOT)
    lines = output.getvalue().splitlines()
    assert all(line.isprintable() for line in lines)
    assert URL not in output.getvalue()
    assert len(lines) == 2, "the second snapshot comes too soon after the first"
    assert lines[1].partition("] ")[2] == (
        "sandbox day 6.4; orders: 12 closed, 2 on hold, 22 open; parcels: 60 in transit, 12 delivered; "
        "API calls: 14, one by one: 187"
    )


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(create_display(Console(file=io.StringIO(), force_terminal=True)), PlainDisplay)


def test_a_picture_is_saved_at_the_end_even_if_few_parcels_are_delivered(tmp_path: Path) -> None:
    file = tmp_path / "demo.svg"
    with create_display(Console(file=io.StringIO(), force_terminal=False, width=40), file) as display:
        display.update(SNAPSHOT)
        assert not file.exists()
    assert "12&#160;closed" in file.read_text(encoding="utf-8")
