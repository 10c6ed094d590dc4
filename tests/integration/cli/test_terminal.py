"""The same program on a terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import Program, plain

LONG = "SBX-PENDING-" + "X" * 40
WITHOUT_RICH = (
    sys.executable,
    "-c",
    "import runpy, sys; sys.modules['rich'] = None; sys.argv[0] = 'tm';"
    "runpy.run_module('airflow_provider_trackingmore', run_name='__main__')",
)


def test_a_terminal_gets_a_table_with_colours(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-INSTANT-1"}])
    trackingmore_sandbox.advance(days=1)
    ended = program.on_terminal("list")
    assert ended.code == 0
    head, row = [line.rstrip() for line in plain(ended.err).splitlines()]
    assert head.split() == ["carrier", "code", "tracking", "number", "status", "last", "update", "order", "id"]
    assert row.split()[:3] == ["usps", "SBX-INSTANT-1", "delivered"]
    assert "\x1b[32mdelivered" in ended.err
    assert "\x1b[" not in program.on_terminal("list", NO_COLOR="1", TERM="dumb").err


def test_a_narrow_terminal_breaks_no_number_and_loses_nothing(
    program: Program, trackingmore_sandbox: SandboxProcess
) -> None:
    order = "order-" + "9" * 60
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": LONG, "order_id": order}])
    wide = plain(program.on_terminal("list", columns=160).err)
    narrow = plain(program.on_terminal("list", columns=40).err)
    assert LONG in wide
    assert order in wide
    assert LONG in narrow
    assert order not in narrow
    assert narrow.count("9") == 60


def test_wide_characters_stay_in_their_columns(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(
        shipments=[
            {"carrier_code": "usps", "tracking_number": f"SBX-PENDING-{n}", "order_id": order}
            for n, order in enumerate(["包裹包裹", "A1"])
        ]
    )
    rows = plain(program.on_terminal("list").err).splitlines()[1:]
    assert len({row.index("pending") for row in rows}) == 1


def test_ndjson_comes_on_a_terminal_when_asked_for(program: Program) -> None:
    ended = program.on_terminal("account", "--output", "ndjson")
    assert json.loads(ended.err)["quota_left"] == 100_000


def test_get_shows_the_shipment_and_its_checkpoints(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-DELIVERED-1D-A"}])
    trackingmore_sandbox.advance(days=2)
    shown = plain(program.on_terminal("get", "usps", "SBX-DELIVERED-1D-A", columns=140).err)
    above, below = shown.split("\n\n")
    assert "SBX-DELIVERED-1D-A" in above
    assert below.split()[:4] == ["time", "status", "substatus", "place"]
    assert len(below.splitlines()) > 2


def test_long_work_shows_a_bar_on_standard_error_alone(
    program: Program, trackingmore_sandbox: SandboxProcess, connection: dict[str, Any], tmp_path: Path
) -> None:
    file, out = tmp_path / "orders.csv", tmp_path / "out"
    file.write_text("carrier_code,tracking_number\n" + "".join(f"usps,SBX-PENDING-{n}\n" for n in range(120)))
    mine = {"AIRFLOW_CONN_MINE": json.dumps(connection)}
    ended = program.on_terminal("create", str(file), "--yes", "--conn-id", "mine", to_file=out, **mine)
    assert ended.code == 0
    assert "Registering" in ended.err
    assert "120/120" in ended.err
    assert plain(ended.err).splitlines()[-1] == "120 created"
    assert len(ended.rows) == 120
    assert {row["outcome"] for row in ended.rows} == {"created"}


def test_a_long_list_shows_a_bar_only_when_it_goes_into_a_file(
    program: Program, trackingmore_sandbox: SandboxProcess, tmp_path: Path
) -> None:
    trackingmore_sandbox.seed(count=2500)
    ended = program.on_terminal("list", to_file=tmp_path / "out")
    assert len(ended.rows) == 2500
    assert "/2500" in ended.err
    shown = program.on_terminal("list").err
    assert shown.count("SB0X") == 2500
    assert "Shipments" not in shown


def test_short_work_shows_no_bar(program: Program, trackingmore_sandbox: SandboxProcess, tmp_path: Path) -> None:
    trackingmore_sandbox.seed(count=100)
    ended = program.on_terminal("list", to_file=tmp_path / "out")
    assert (len(ended.rows), ended.err) == (100, "")


def test_without_rich_the_table_is_plain(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-PENDING-1"}])
    ended = program.on_terminal("list", program=WITHOUT_RICH)
    assert (ended.code, ended.err.splitlines()) == (
        0,
        ["carrier code  tracking number  status   last update  order id", "usps          SBX-PENDING-1    pending"],
    )
