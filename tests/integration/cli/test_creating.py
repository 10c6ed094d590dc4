"""``create FILE.csv``: a plan first, and nothing but a plan until told otherwise."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import PROGRAM, Program

GOOD = "carrier_code,tracking_number,order_id,customer_name\n" + "".join(
    f"usps,SBX-PENDING-{n},O{n},Ada Quill\n" for n in range(3)
)
MIXED = (
    "\ufeffCarrier Code;Tracking Number;order_id;colour\r\n"
    "usps;9400100000000000000000;O1;red\r\n"
    "usps;9,4001E+21;O2;\r\n"
    "\r\n"
    "U S P S;SBX-PENDING-4;O3;\r\n"
    "ups;SBX-PENDING-5;O4;\r\n"
    "ups;SBX-PENDING-5;O4;\r\n"
    ";SBX-PENDING-6;O5;\r\n"
    "ups;SBX-REJECT-4014-7;O6;\r\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def outcomes(rows: list[dict[str, Any]]) -> dict[int, str]:
    return {row["line"]: row["outcome"] for row in rows}


def test_without_yes_nothing_is_created(program: Program, trackingmore_sandbox: SandboxProcess, file: Path) -> None:
    file.write_text(GOOD)
    ended = program("create", str(file))
    assert ended.code == 0
    assert outcomes(ended.rows) == {2: "planned", 3: "planned", 4: "planned"}
    assert ended.err.splitlines() == [
        "3 planned",
        "It would cost 3 of 100000 units of quota at most; shipments that are registered already cost none.",
        "Nothing was sent. --yes sends it.",
    ]
    assert [call["method"] for call in trackingmore_sandbox.calls()] == ["GET"]
    assert trackingmore_sandbox.ledger()["created"] == {}


def test_with_yes_all_are_created_and_a_second_time_costs_nothing(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path
) -> None:
    file.write_text(GOOD)
    first = program("create", str(file), "--yes")
    assert (first.code, first.err) == (0, "3 created\n")
    assert outcomes(first.rows) == {2: "created", 3: "created", 4: "created"}
    assert "Ada" not in first.out
    second = program("create", str(file), "--yes")
    assert (second.code, second.err) == (0, "3 existing\n")
    ledger = trackingmore_sandbox.ledger()
    assert ledger["created"] == {f"usps/SBX-PENDING-{n}": 1 for n in range(3)}
    assert trackingmore_sandbox.accounts()[0]["quota_left"] == 99_997


@pytest.mark.parametrize("typed", [(), ("--yes",)], ids=["planned", "done"])
def test_a_bad_row_is_named_and_costs_none_of_the_others(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path, typed: tuple[str, ...]
) -> None:
    file.write_text(MIXED, newline="")
    ended = program("create", str(file), *typed)
    found = {row["line"]: (row["outcome"], row["code"], row["message"]) for row in ended.rows}
    good = "created" if typed else "planned"
    assert found[2] == (good, None, None)
    assert found[3][0] == "rejected"
    assert "rounded by a spreadsheet" in found[3][2]
    assert found[5][0] == "rejected"
    assert "the command carriers lists them" in found[5][2]
    assert found[6] == (good, None, None)
    assert found[7] == ("duplicate", None, "the same as line 6")
    assert found[8][0] == "rejected"
    assert "carrier_code is missing" in found[8][2]
    assert found[9][:2] == (("rejected", 4014) if typed else ("planned", None))
    assert ended.code == 1
    assert ended.err.startswith("TrackingMore has no fields for these columns, they are not sent: colour\n")
    assert set(trackingmore_sandbox.ledger()["created"]) == (
        {"usps/9400100000000000000000", "ups/SBX-PENDING-5"} if typed else set()
    )


def test_the_file_may_come_from_standard_input(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    ended = program("create", "-", "--yes", stdin=GOOD.encode())
    assert (ended.code, ended.err) == (0, "3 created\n")


def test_a_plan_beyond_the_quota_says_so(program: Program, trackingmore_sandbox: SandboxProcess, file: Path) -> None:
    trackingmore_sandbox.change_account(0, quota=1)
    file.write_text(GOOD)
    ended = program("create", str(file))
    assert ended.code == 4
    assert "It would cost 3 of 1 units" in ended.err
    assert ended.err.endswith("The quota may not suffice: 2 more units may be needed.\n")


@pytest.mark.parametrize("form", ["ndjson", "table"])
def test_killed_midway_the_file_says_what_was_registered(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path, tmp_path: Path, form: str
) -> None:
    rows = [f"usps,SBX-PENDING-{n:04d}" for n in range(400)]
    rows[7] = rows[6]
    file.write_text("\n".join(["carrier_code,tracking_number", *rows]))
    record = tmp_path / "record"
    with record.open("wb") as out:
        process = subprocess.Popen(
            [*PROGRAM, "create", str(file), "--yes", "--output", form],
            stdout=out,
            env=program.environment,
            cwd=program.directory,
        )
        try:
            until = time.monotonic() + 60
            while len(trackingmore_sandbox.calls("POST", "/trackings/batch")) < 5:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait(30)
    calls = trackingmore_sandbox.calls("POST", "/trackings/batch")
    assert 5 <= len(calls) <= 6
    written = record.read_text()
    assert written.endswith("\n")
    finished = {shipment.partition("/")[2] for call in calls[:-1] for shipment in call["body"]["shipments"]}
    assert len(finished) == 40 * (len(calls) - 1)
    if form == "ndjson":
        found = [json.loads(line) for line in written.splitlines()]
        created = {row["tracking_number"] for row in found if row["outcome"] == "created"}
        assert [row["line"] for row in found] == sorted(row["line"] for row in found)
        assert [row["line"] for row in found if row["outcome"] == "duplicate"] == [9]
    else:
        created = {line.split()[2] for line in written.splitlines() if line.split()[3] == "created"}
    assert finished <= created


def test_what_a_divided_call_has_registered_is_written_before_the_next_part_is_sent(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path, tmp_path: Path
) -> None:
    trackingmore_sandbox.switch(batch_max=10)
    trackingmore_sandbox.fault("slow", path="/trackings/batch", nth=5, seconds=60)
    file.write_text("carrier_code,tracking_number\n" + "".join(f"usps,SBX-PENDING-{n:04d}\n" for n in range(40)))
    record = tmp_path / "record"
    with record.open("wb") as out:
        arguments = [*PROGRAM, "create", str(file), "--yes"]
        process = subprocess.Popen(arguments, stdout=out, env=program.environment, cwd=program.directory)
        try:
            until = time.monotonic() + 60
            while len(trackingmore_sandbox.calls("POST", "/trackings/batch")) < 5:  # 40, 20, 10, 10, 20
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait(30)
    assert len(record.read_text().splitlines()) == 20


def test_a_reader_that_leaves_early_does_not_stop_the_registering(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path
) -> None:
    file.write_text("carrier_code,tracking_number\n" + "".join(f"usps,SBX-PENDING-{n:04d}\n" for n in range(120)))
    line = f"set -o pipefail; {' '.join(PROGRAM)} create {file} --yes | head -1"
    ended = program(line, program=("bash", "-c"))
    assert (ended.code, len(ended.rows)) == (0, 1)
    assert ended.err == "120 created\n"
    assert len(trackingmore_sandbox.ledger()["created"]) == 120


def test_ctrl_c_leaves_the_rows_that_were_done(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path
) -> None:
    file.write_text("carrier_code,tracking_number\n" + "".join(f"usps,SBX-PENDING-{n:04d}\n" for n in range(120)))
    trackingmore_sandbox.fault("slow", path="/trackings/batch", nth=2, seconds=60)
    process = subprocess.Popen(
        [*PROGRAM, "create", str(file), "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=program.environment,
        cwd=program.directory,
    )
    assert process.stdout is not None
    rows = [json.loads(process.stdout.readline()) for _ in range(40)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert {row["outcome"] for row in rows} == {"created"}
    assert (process.returncode, out) == (130, b"")
    assert b"Interrupted: what was registered so far stays" in err


def test_a_quota_that_ends_midway_is_told_row_by_row(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path
) -> None:
    trackingmore_sandbox.change_account(0, quota=1)
    file.write_text(GOOD)
    ended = program("create", str(file), "--yes")
    assert ended.code == 4
    assert outcomes(ended.rows) == {2: "created", 3: "rejected", 4: "rejected"}
    assert [row["code"] for row in ended.rows] == [None, 4021, 4021]


def test_a_failure_midway_says_what_was_done(
    program: Program, trackingmore_sandbox: SandboxProcess, connection: dict[str, Any], file: Path
) -> None:
    file.write_text("carrier_code,tracking_number\n" + "".join(f"usps,SBX-PENDING-{n}\n" for n in range(100)))
    trackingmore_sandbox.fault("expired_key", method="POST", nth=2)
    ended = program("create", str(file), "--yes", "--conn-id", "mine", AIRFLOW_CONN_MINE=json.dumps(connection))
    assert ended.code == 3
    found = list(outcomes(ended.rows).values())
    assert (found.count("created"), found.count("rejected")) == (40, 60)
    assert "not sent, because an earlier call failed: run it again" in ended.rows[-1]["message"]
    totals, said = ended.err.splitlines()
    assert totals == "40 created, 60 rejected"
    assert said.endswith("check the API key in connection 'mine'")


@pytest.mark.parametrize("content", ["carrier_code,tracking_number\n", "carrier_code,tracking_number\n\n,\n"])
def test_no_rows_are_no_work(program: Program, trackingmore_sandbox: SandboxProcess, file: Path, content: str) -> None:
    file.write_text(content)
    for typed in ((), ("--yes",)):
        ended = program("create", str(file), *typed)
        assert (ended.code, ended.out, ended.err) == (0, "", "no shipments\n")
    assert trackingmore_sandbox.calls() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), ("", "it is empty"), ("order_id\nO1\n", "its first line has no column")],
)
def test_a_file_that_cannot_be_read_is_a_wrong_argument(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path, content: str | None, said: str
) -> None:
    if content is not None:
        file.write_text(content)
    ended = program("create", str(file), "--yes")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"trackingmore: {file}: {said}")
    assert ended.err.count("\n") == 1
    assert trackingmore_sandbox.calls() == []


def test_a_reader_that_has_enough_changes_no_exit_code(program: Program, file: Path) -> None:
    file.write_text(MIXED, newline="")
    line = f"set -o pipefail; {' '.join(PROGRAM)} create {file} --yes | true"
    assert program(line, program=("bash", "-c")).code == 1
