"""``wait``: checks until every shipment has arrived or can no longer arrive."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import PROGRAM, Program, plain


def test_it_ends_when_all_have_arrived(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    parcels = [{"carrier_code": "usps", "tracking_number": f"SBX-INSTANT-{n}"} for n in (1, 2)]
    trackingmore_sandbox.seed(shipments=parcels)
    trackingmore_sandbox.advance(days=1)
    ended = program("wait", "usps", "SBX-INSTANT-1", "SBX-INSTANT-2")
    assert (ended.code, ended.err) == (0, "")
    assert [(row["tracking_number"], row["outcome"]) for row in ended.rows] == [
        ("SBX-INSTANT-1", "delivered"),
        ("SBX-INSTANT-2", "delivered"),
    ]
    assert all(row["delivered_at"] for row in ended.rows)
    assert len(trackingmore_sandbox.calls()) == 1


def test_a_delivery_meanwhile_ends_it(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.freeze()
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-INSTANT-1"}])
    process = subprocess.Popen(
        [*PROGRAM, "wait", "usps", "SBX-INSTANT-1", "--every", "1s"],
        stdout=subprocess.PIPE,
        env=program.environment,
        text=True,
    )
    until = time.monotonic() + 300
    while len(trackingmore_sandbox.calls()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert process.poll() is None
    trackingmore_sandbox.advance(days=1)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert '"outcome":"delivered"' in out


def test_what_cannot_arrive_does_not_end_the_wait_for_the_others(
    program: Program, trackingmore_sandbox: SandboxProcess, tmp_path: Path
) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-PENDING-1"}])
    file = tmp_path / "orders.csv"
    file.write_text("carrier_code,tracking_number\nusps,SBX-NEVER-1\nusps,SBX-PENDING-1\nUSPS,SBX-NEVER-1\n")
    ended = program("wait", str(file), "--every", "1s", "--timeout", "2s", "--fields", "tracking_number,outcome")
    assert ended.code == 6
    assert ended.rows == [
        {"tracking_number": "SBX-NEVER-1", "outcome": "not_registered"},
        {"tracking_number": "SBX-PENDING-1", "outcome": "timed_out"},
    ]
    assert program("wait", "usps", "SBX-NEVER-1").code == 1
    assert program("wait", "usps", "SBX-PENDING-1", "--for", "pending", "--for", "transit").code == 0


def test_a_reader_that_closes_the_pipe_ends_it_without_a_failure(
    program: Program, trackingmore_sandbox: SandboxProcess
) -> None:
    parcels = [{"carrier_code": "usps", "tracking_number": f"SBX-{name}-1"} for name in ("INSTANT", "PENDING")]
    trackingmore_sandbox.seed(shipments=parcels)
    trackingmore_sandbox.advance(days=1)
    line = f"set -o pipefail; {' '.join(PROGRAM)} wait usps SBX-INSTANT-1 SBX-PENDING-1 --timeout 1h | true"
    ended = program(line, program=("bash", "-c"))
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_failed_check_does_not_end_the_wait(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-INSTANT-1"}])
    trackingmore_sandbox.advance(days=1)
    trackingmore_sandbox.fault("html", status=403, count=1)
    ended = program("wait", "usps", "SBX-INSTANT-1", "--every", "1s")
    assert ended.code == 0
    assert ended.err.startswith("Check failed, the wait continues: ")


def test_a_rejected_key_ends_it(program: Program) -> None:
    program.keys.append("wrong-key-of-somebody")
    assert program("wait", "usps", "SBX-1", TRACKINGMORE_API_KEY="wrong-key-of-somebody").code == 3


def test_every_invalid_row_is_named_before_any_call(
    program: Program, trackingmore_sandbox: SandboxProcess, tmp_path: Path
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("carrier_code,tracking_number\nusps,9E+21\n,A1\n")
    ended = program("wait", str(file))
    assert ended.code == 2
    assert "line 2: a spreadsheet rounded" in ended.err
    assert "line 3: carrier_code is missing" in ended.err
    assert trackingmore_sandbox.calls() == []


def test_a_terminal_shows_the_time_of_the_next_check(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-PENDING-1"}])
    shown = plain(program.on_terminal("wait", "usps", "SBX-PENDING-1", "--every", "1s", "--timeout", "1s").err)
    assert "0 of 1 decided; next check at " in shown
    assert shown.rstrip().endswith("timed_out")
