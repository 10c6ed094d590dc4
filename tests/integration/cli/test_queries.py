"""The commands that read, in a pipe."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import PROGRAM, Program

PERSON = {"customer_name": "Ada Quill", "customer_email": "ada@quill.example", "customer_phone": "+1 555 0100"}


def shipment(number: str, **fields: Any) -> dict[str, Any]:
    return {"carrier_code": "usps", "tracking_number": number, **fields}


def test_account_shows_the_quota_and_no_address(program: Program) -> None:
    ended = program("account")
    assert (ended.code, ended.err) == (0, "")
    (row,) = ended.rows
    assert row["quota_left"] == 100_000
    assert row["account"] == "a…@sandbox.example"
    assert not {"email", "phone", "raw"} & set(row)


def test_account_shows_the_vendors_record_when_asked_to(program: Program) -> None:
    (row,) = program("account", "--include-raw").rows
    assert row["raw"]["email"] == "account-0@sandbox.example"


def test_carriers_are_found_by_a_part_of_their_code_or_name(program: Program) -> None:
    found = program("carriers", "--search", "POST").rows
    assert {"code": "deutsche-post", "name": "Deutsche Post"}.items() <= found[0].items()
    assert all("post" in row["code"] + row["name"].casefold() for row in found)


def test_carriers_have_names_in_other_languages(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    assert len(program("carriers", "--lang", "cn").rows) > 50
    (call,) = trackingmore_sandbox.calls("GET", "/carriers")
    assert call["code"] == 200


def test_no_carrier_is_not_found(program: Program) -> None:
    ended = program("carriers", "--search", "zzz")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "No carrier has 'zzz' in its code or name.\n"


def test_detect_proposes_carriers(program: Program) -> None:
    ended = program("detect", "9400100000000000000000")
    assert ended.code == 0
    assert ended.rows[0] == {"code": "usps", "name": "USPS"}


def test_a_number_of_no_carrier_is_not_found(program: Program) -> None:
    ended = program("detect", "SBX-UNDETECTABLE-1")
    assert (ended.code, ended.out) == (1, "")
    assert "cannot detect the carrier of SBX-UNDETECTABLE-1" in ended.err


def test_get_shows_a_shipment_and_where_it_was(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[shipment("SBX-DELIVERED-1D-A", order_id="O1", **PERSON)])
    trackingmore_sandbox.advance(days=2)
    ended = program("get", "usps", "SBX-DELIVERED-1D-A")
    (row,) = ended.rows
    assert ended.code == 0
    assert (row["status"], row["order_id"]) == ("delivered", "O1")
    assert row["delivered_at"] == row["checkpoints"][0]["time"]
    assert row["checkpoints"][0]["status"] == "delivered"
    assert not [word for word in PERSON.values() if word in ended.out]
    raw = program("get", "usps", "SBX-DELIVERED-1D-A", "--include-raw").rows[0]["raw"]
    assert raw["customer_name"] == PERSON["customer_name"]


def test_what_is_not_registered_is_not_found(program: Program) -> None:
    ended = program("get", "usps", "404404")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("trackingmore: GET /trackings/usps/404404 ")
    assert ended.err.endswith(": register it first, with the command create\n")


def test_list_shows_all_shipments_and_no_personal_data(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[shipment(f"SBX-PENDING-{n}", **PERSON) for n in range(150)])
    ended = program("list")
    assert ended.code == 0
    assert {row["tracking_number"] for row in ended.rows} == {f"SBX-PENDING-{n}" for n in range(150)}
    assert not [word for word in PERSON.values() if word in ended.out]


def test_an_empty_list_is_no_failure(program: Program) -> None:
    ended = program("list", "--status", "exception")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_every_filter_reaches_the_service(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    spans = [
        f"--{name}-{end}"
        for name in ("created", "updated", "ordered")
        for end in ("since=2026-03-01T00:00+08:00", "until=2026-03-01")
    ]
    ended = program(
        *("list", *spans, "--status", "transit", "--not-archived", "--lang", "en"),
        *("--numbers", "A,B", "C", "--orders", "O1", "--limit", "7"),
    )
    assert ended.code == 0, ended.err
    (call,) = trackingmore_sandbox.calls("GET", "/trackings/get")
    spans = ("created_at", "update_time", "order_created_time")
    assert call["query"] == {
        **{f"{name}_min": "1772294400" for name in spans},
        **{f"{name}_max": "1772409599" for name in spans},
        "page": "1",
        "limit": "7",
        "status": "transit",
        "archived": "false",
        "lang": "en",
        "numbers": "A,B,C",
        "orders": "1 orders",  # as the ledger, which keeps no orders, has it
    }


def test_a_limit_costs_one_call(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(count=50)
    assert len(program("list", "--limit", "5").rows) == 5
    assert len(trackingmore_sandbox.calls()) == 1


def test_forty_one_numbers_are_wrong_arguments(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    ended = program("list", "--numbers", ",".join(f"N{n}" for n in range(41)))
    assert ended.code == 2
    assert ended.err == "trackingmore: numbers accepts up to 40 entries, not 41: use several requests\n"
    assert trackingmore_sandbox.calls() == []


@pytest.mark.parametrize("command", ["list", "carriers"])
def test_a_reader_that_closes_the_pipe_is_no_failure(
    program: Program, trackingmore_sandbox: SandboxProcess, command: str
) -> None:
    trackingmore_sandbox.seed(count=2000)
    line = f"set -o pipefail; {shlex.join(PROGRAM)} {command} | head -n 1"
    ended = program(line, program=("bash", "-c"))
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.rows) == 1


def test_a_table_in_a_pipe_is_plain_and_whole(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[shipment("SBX-PENDING-" + "X" * 40, order_id="O" * 200)])
    ended = program("list", "--output", "table")
    assert ended.out.splitlines() == [
        f"carrier code  {'tracking number':52}  status   last update  order id",
        f"usps          SBX-PENDING-{'X' * 40}  pending               {'O' * 200}",
    ]


def test_the_vendors_record_has_no_table(program: Program) -> None:
    ended = program("list", "--include-raw", "--output", "table")
    assert (ended.code, ended.err) == (2, "trackingmore: --include-raw needs --output ndjson or json, not table\n")


def test_the_named_connection_takes_precedence_over_the_environment(
    program: Program, connection: dict[str, Any]
) -> None:
    ended = program(
        "account", "--conn-id", "mine", TRACKINGMORE_API_KEY="wrong", AIRFLOW_CONN_MINE=json.dumps(connection)
    )
    assert (ended.code, ended.err) == (0, "")


def test_the_environment_comes_before_the_default_connection(program: Program) -> None:
    assert program("account", AIRFLOW_CONN_TRACKINGMORE_DEFAULT='{"conn_type": "trackingmore"}').code == 0


def test_without_a_key_it_is_the_default_connection(program: Program) -> None:
    ended = program("account", TRACKINGMORE_API_KEY=None, TRACKINGMORE_BASE_URL=None)
    assert (ended.code, ended.err) == (0, "")
    assert ended.rows[0]["quota_left"] == 100_000


def test_shipments_are_counted_by_status(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(
        shipments=[{"carrier_code": "usps", "tracking_number": f"SBX-PENDING-{n}"} for n in (1, 2)]
    )
    counts = {row["status"]: row["count"] for row in program("count").rows}
    assert counts["pending"] == 2
    assert len(counts) == 8
    assert {row["count"] for row in program("count", "--created-until", "2026-01-01").rows} == {0}


def test_fields_choose_what_is_shown(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": "SBX-PENDING-1"}])
    chosen = ("list", "--fields", "tracking_number,status")
    assert program(*chosen).out == '{"tracking_number":"SBX-PENDING-1","status":"pending"}\n'
    assert program(*chosen, "--output", "csv").out == "tracking_number,status\nSBX-PENDING-1,pending\n"
    assert program(*chosen, "--output", "table").out == "tracking number  status\nSBX-PENDING-1    pending\n"
    assert json.loads(program(*chosen, "--output", "json").out) == [
        {"tracking_number": "SBX-PENDING-1", "status": "pending"}
    ]
    assert program("list", "--output", "csv").out.splitlines()[0] == (
        "carrier_code,tracking_number,status,substatus,last_update,delivered_at,order_id,created_at,updated_at"
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("list", "--fields", "tracking"), "list has no field 'tracking'; did you mean 'tracking_number'?"),
        (("list", "--fields", "colour"), "list has no field 'colour'; the fields are carrier_code, "),
        (("get", "usps", "A", "--fields", "checkpoints", "--output", "csv"), "needs --output ndjson or json"),
        (("account", "--include-raw", "--output", "csv"), "--include-raw needs --output ndjson or json, not csv"),
    ],
)
def test_output_that_is_not_possible_is_refused_before_any_call(
    program: Program, trackingmore_sandbox: SandboxProcess, typed: tuple[str, ...], said: str
) -> None:
    ended = program(*typed)
    assert ended.code == 2
    assert said in ended.err
    assert trackingmore_sandbox.calls() == []


def test_a_base_url_without_its_version_gets_a_hint(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    ended = program("list", TRACKINGMORE_BASE_URL=trackingmore_sandbox.base_url.removesuffix("/v2"))
    assert ended.code == 5
    assert ended.err.rstrip().endswith("Does TRACKINGMORE_BASE_URL end in /v2?")


def test_the_installed_script_is_the_same_program(program: Program) -> None:
    script = Path(sys.executable).parent / "trackingmore-airflow"
    shown = program("--version", program=(str(script),))
    assert (shown.code, shown.out[:30]) == (0, "airflow-provider-trackingmore ")
    assert "usage: trackingmore-airflow list [OPTIONS]" in program("list", "--help", program=(str(script),)).out
