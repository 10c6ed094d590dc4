"""``create``, ``update`` and ``delete``: the plan first, and changes only with ``--yes``."""

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


def wait_for_batches(sandbox: SandboxProcess, number: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the sandbox has received that many batches from a program that is still running."""
    until = time.monotonic() + 60
    while len(sandbox.calls("POST", "/trackings/batch")) < number:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


def test_without_yes_nothing_is_created(program: Program, trackingmore_sandbox: SandboxProcess, file: Path) -> None:
    file.write_text(GOOD)
    ended = program("create", str(file))
    assert ended.code == 0
    assert outcomes(ended.rows) == {2: "planned", 3: "planned", 4: "planned"}
    assert ended.err.splitlines() == [
        "3 planned",
        "It would cost 3 of 100000 units of quota.",
        "Nothing was changed. --yes makes the changes.",
    ]
    assert {call["method"] for call in trackingmore_sandbox.calls()} == {"GET"}
    assert trackingmore_sandbox.ledger()["created"] == {}


def test_with_yes_all_are_created_and_a_second_run_costs_nothing(
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


def test_a_shipment_in_two_spellings_is_a_duplicate(program: Program, file: Path) -> None:
    file.write_text("carrier_code,tracking_number\nusps,SBX-PENDING-1\nUSPS,sbx-pending-1\n")
    ended = program("create", str(file))
    assert outcomes(ended.rows) == {2: "planned", 3: "duplicate"}
    assert ended.rows[1]["message"] == "the same as line 2"


@pytest.mark.parametrize("typed", [(), ("--yes",)], ids=["planned", "done"])
def test_an_invalid_row_does_not_affect_the_others(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path, typed: tuple[str, ...]
) -> None:
    file.write_text(MIXED, newline="")
    ended = program("create", str(file), *typed)
    found = {row["line"]: (row["outcome"], row["code"], row["message"]) for row in ended.rows}
    good = "created" if typed else "planned"
    assert found[2] == (good, None, None)
    assert found[3][0] == "rejected"
    assert "a spreadsheet rounded" in found[3][2]
    assert found[5][0] == "rejected"
    assert "find the code with the commands carriers and detect" in found[5][2]
    assert found[6] == (good, None, None)
    assert found[7] == ("duplicate", None, "the same as line 6")
    assert found[8][0] == "rejected"
    assert "carrier_code is missing" in found[8][2]
    assert found[9][:2] == (("rejected", 4014) if typed else ("planned", None))
    assert ended.code == 1
    assert ended.err.startswith("Columns that are not used: colour\n")
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
    assert ended.err.endswith("The quota is not sufficient: 2 more units are needed.\n")


@pytest.mark.parametrize("form", ["ndjson", "table"])
def test_the_output_of_a_killed_command_has_what_was_registered(
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
            wait_for_batches(trackingmore_sandbox, 5, process)
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


def test_rows_of_a_split_call_are_written_before_the_next_part_is_sent(
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
            wait_for_batches(trackingmore_sandbox, 5, process)  # 40, 20, 10, 10, 20
        finally:
            process.kill()
            process.wait(30)
    assert len(record.read_text().splitlines()) == 20


def test_closing_the_pipe_does_not_stop_the_registration(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path
) -> None:
    file.write_text("carrier_code,tracking_number\n" + "".join(f"usps,SBX-PENDING-{n:04d}\n" for n in range(120)))
    line = f"set -o pipefail; {' '.join(PROGRAM)} create {file} --yes | head -1"
    ended = program(line, program=("bash", "-c"))
    assert (ended.code, len(ended.rows)) == (0, 1)
    assert ended.err == "120 created\n"
    assert len(trackingmore_sandbox.ledger()["created"]) == 120


def test_ctrl_c_keeps_the_rows_that_were_finished(
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
        # A background job of a shell ignores Ctrl-C, and so do its children; a program on a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    assert process.stdout is not None
    rows = [json.loads(process.stdout.readline()) for _ in range(40)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert {row["outcome"] for row in rows} == {"created"}
    assert (process.returncode, out) == (130, b"")
    assert b"Interrupted. The changes made so far are kept" in err


def test_a_quota_that_runs_out_midway_is_reported_row_by_row(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path
) -> None:
    trackingmore_sandbox.change_account(0, quota=1)
    file.write_text(GOOD)
    ended = program("create", str(file), "--yes")
    assert ended.code == 4
    assert outcomes(ended.rows) == {2: "created", 3: "rejected", 4: "rejected"}
    assert [row["code"] for row in ended.rows] == [None, 4021, 4021]


def test_a_failure_midway_reports_what_was_done(
    program: Program, trackingmore_sandbox: SandboxProcess, connection: dict[str, Any], file: Path
) -> None:
    file.write_text("carrier_code,tracking_number\n" + "".join(f"usps,SBX-PENDING-{n}\n" for n in range(100)))
    trackingmore_sandbox.fault("expired_key", method="POST", nth=2)
    ended = program("create", str(file), "--yes", "--conn-id", "mine", AIRFLOW_CONN_MINE=json.dumps(connection))
    assert ended.code == 3
    found = list(outcomes(ended.rows).values())
    assert (found.count("created"), found.count("rejected")) == (40, 60)
    assert "not sent because an earlier request failed: run it again" in ended.rows[-1]["message"]
    totals, said = ended.err.splitlines()
    assert totals == "40 created, 60 rejected"
    assert said.endswith("check the API key in connection 'mine'")


@pytest.mark.parametrize("content", ["carrier_code,tracking_number\n", "carrier_code,tracking_number\n\n,\n"])
def test_no_rows_make_no_calls(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path, content: str
) -> None:
    file.write_text(content)
    for typed in ((), ("--yes",)):
        ended = program("create", str(file), *typed)
        assert (ended.code, ended.out, ended.err) == (0, "", "no shipments\n")
    assert trackingmore_sandbox.calls() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), ("", "it is empty"), ("order_id\nO1\n", "its first line has no column")],
)
def test_a_file_that_cannot_be_read_is_an_invalid_argument(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path, content: str | None, said: str
) -> None:
    if content is not None:
        file.write_text(content)
    ended = program("create", str(file), "--yes")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"trackingmore: {file}: {said}")
    assert ended.err.count("\n") == 1
    assert trackingmore_sandbox.calls() == []


def test_closing_the_pipe_does_not_change_the_exit_code(program: Program, file: Path) -> None:
    file.write_text(MIXED, newline="")
    line = f"set -o pipefail; {' '.join(PROGRAM)} create {file} --yes | true"
    assert program(line, program=("bash", "-c")).code == 1


# The plan ------------------------------------------------------------------------------------------------------------


def test_the_plan_knows_carriers_and_registered_shipments(
    program: Program, trackingmore_sandbox: SandboxProcess, file: Path
) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-PENDING-1"}])
    file.write_text("carrier_code,tracking_number\nusps,SBX-PENDING-1\nfedx,SBX-PENDING-2\nups,SBX-PENDING-3\n")
    ended = program("create", str(file))
    assert ended.code == 1
    assert outcomes(ended.rows) == {2: "existing", 3: "rejected", 4: "planned"}
    assert ended.rows[1]["message"] == "TrackingMore has no carrier 'fedx'; did you mean 'fedex'?"
    assert "It would cost 1 of 100000 units of quota." in ended.err


def test_shipments_need_no_file(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    assert program("create", "ups", "SBX-PENDING-1", "SBX-PENDING-2", "--yes").code == 0
    assert set(trackingmore_sandbox.ledger()["created"]) == {"ups/SBX-PENDING-1", "ups/SBX-PENDING-2"}
    [again] = program("create", "ups", "SBX-PENDING-1").rows
    assert (again["line"], again["outcome"]) == (None, "existing")


def test_delete_plans_and_deletes(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-PENDING-1"}])
    typed = ("delete", "usps", "SBX-PENDING-1", "SBX-PENDING-2")
    planned = program(*typed)
    assert planned.code == 0
    assert [row["outcome"] for row in planned.rows] == ["planned", "missing"]
    assert planned.err.splitlines() == ["1 planned, 1 missing", "Nothing was changed. --yes makes the changes."]
    assert len(trackingmore_sandbox.trackings()) == 1
    deleted = program(*typed, "--yes")
    assert (deleted.code, deleted.err) == (0, "1 deleted, 1 missing\n")
    assert trackingmore_sandbox.trackings() == []


def test_update_plans_and_updates(program: Program, trackingmore_sandbox: SandboxProcess, file: Path) -> None:
    trackingmore_sandbox.seed(
        shipments=[{"carrier_code": "usps", "tracking_number": f"SBX-PENDING-{n}"} for n in (1, 2)]
    )
    file.write_text(
        "carrier_code,tracking_number,title\nusps,SBX-PENDING-1,Shoes\nusps,SBX-PENDING-2,\nusps,SBX-NEVER-3,x\n"
    )
    typed = ("update", str(file), "--set", "order_id=2026-7", "--set", "archived=true")
    planned = program(*typed)
    assert outcomes(planned.rows) == {2: "planned", 3: "planned", 4: "rejected"}
    assert planned.rows[2]["message"] == "it is not registered; the command create registers it"
    updated = program(*typed, "--yes")
    assert updated.code == 1
    assert outcomes(updated.rows) == {2: "updated", 3: "updated", 4: "rejected"}
    rows = program("list", "--archived", "--include-raw").rows
    assert {(row["tracking_number"], row["raw"]["title"], row["order_id"]) for row in rows} == {
        ("SBX-PENDING-1", "Shoes", "2026-7"),
        ("SBX-PENDING-2", "", "2026-7"),
    }


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--set", "titel=x"), "--set cannot change 'titel'; did you mean 'title'?"),
        (("--set", "colour=red"), "--set cannot change 'colour'; the fields are title, "),
    ],
)
def test_a_field_that_cannot_be_changed_is_refused(program: Program, typed: tuple[str, ...], said: str) -> None:
    ended = program("update", "usps", "SBX-PENDING-1", *typed)
    assert ended.code == 2
    assert said in ended.err


def test_an_update_without_a_change_is_rejected(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    ended = program("update", "usps", "SBX-PENDING-1")
    assert (ended.code, ended.rows[0]["outcome"]) == (1, "rejected")
    assert "nothing to change" in ended.rows[0]["message"]
    assert trackingmore_sandbox.calls() == []
