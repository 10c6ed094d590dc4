"""From registration to delivery through ``dag.test()``: parcels that come from other tasks, and an API that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.conftest import KEYS, Run, connections
from tests.integration.airflow.parcels import AGES, parcel

LIST = "/trackings/get"
MODES = ("poke", "reschedule", "deferrable")
modes = pytest.mark.parametrize("mode", MODES)


def number(name: str) -> str:
    return parcel(name)["tracking_number"]


@contextmanager
def days_pass_after_the_second_check(sandbox: SandboxProcess) -> Iterator[None]:
    """Make sure that each wait has checked before its parcels arrive, however slow the machine is."""
    done = threading.Event()

    def watch() -> None:
        waiting = [number(f"soon#{mode}1") for mode in MODES]
        while waiting and not done.wait(0.05):
            checks = [call for call in sandbox.calls(path=LIST) if waiting[0] in call["query"].get("numbers", "")]
            if len(checks) >= 2:
                sandbox.advance(days=6)
                waiting.pop(0)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def seeded(_running: SandboxProcess) -> SandboxProcess:
    _running.reset()
    _running.freeze()
    for account in (0, 1):
        names = ("delivered", "delivered#a", "delivered#b", "transit#a")
        _running.seed(shipments=[parcel(name) | {"age_hours": AGES["delivered"]} for name in names], account=account)
    # A fault that strikes hides the call from later ones: two failures, a response, two failures, a response ...
    for at, kind in enumerate(("503", "429", "html")):
        _running.fault(kind, path=LIST, account=1, nth=at + 1, count=2)
    return _running


@pytest.fixture(scope="module")
def run(run_dag: Callable[..., Run], seeded: SandboxProcess) -> Run:
    with days_pass_after_the_second_check(seeded):
        return run_dag("register_and_wait", connections(seeded))


def test_all_tasks_succeed_but_the_one_that_is_to_fail(run: Run) -> None:
    assert [name for name, task in run.tasks.items() if task["state"] != "success"] == ["register_refused"]


@modes
def test_what_a_task_has_registered_another_waits_for(run: Run, seeded: SandboxProcess, mode: str) -> None:
    numbers = [number(f"soon#{mode}2"), number(f"soon#{mode}1")]
    assert run.returned(f"{mode}__register") == {
        "created": [{"carrier_code": "usps", "tracking_number": number} for number in numbers],
        "existing": [],
        "rejected": [],
    }
    outcomes = run.returned(f"{mode}__wait")
    assert [(shipment["tracking_number"], shipment["outcome"]) for shipment in outcomes] == [
        (number, "delivered") for number in numbers
    ]
    checks = [call for call in seeded.calls(path=LIST) if numbers[0] in call["query"].get("numbers", "")]
    assert len(checks) >= 3, "two without a change and one that finds it"
    assert all(numbers[1] in call["query"]["numbers"] for call in checks), "both in one call"


def test_each_batch_is_registered_with_one_call(run: Run, seeded: SandboxProcess) -> None:
    bodies = [call["body"]["shipments"] for call in seeded.calls("POST", "/trackings/batch")]
    for mode in MODES:
        assert len([rows for rows in bodies if number(f"soon#{mode}1") in str(rows)]) == 1


@modes
def test_failures_of_the_api_do_not_end_a_wait(run: Run, seeded: SandboxProcess, mode: str) -> None:
    assert run.returned(f"{mode}__unlucky")[0]["outcome"] == "delivered"
    assert run.tasks[f"{mode}__unlucky"]["tries"] == 1
    assert seeded.ledger(1)["faults"] == {"503": 2, "429": 2, "html": 2}


def test_mapped_waits_take_one_order_each(run: Run) -> None:
    assert [[shipment["outcome"] for shipment in run.returned(f"of_each_order[{index}]")] for index in range(3)] == [
        ["delivered"],
        [],
        ["transit", "delivered"],
    ]


@modes
def test_the_parcels_may_come_from_mapped_tasks(run: Run, mode: str) -> None:
    outcomes = run.returned(f"{mode}__gathered")
    assert [outcome["tracking_number"] for outcome in outcomes] == [number("delivered#b"), number("delivered#a")]


def test_the_report_can_be_read_after_the_task_has_failed(run: Run) -> None:
    report = run.returned("register_refused")
    assert [entry["tracking_number"] for entry in report["created"]] == [number("delivered#c")]
    assert run.returned("read_report") == [4014]
    assert "1 of 2 shipments were rejected: usps SBX-REJECT-4014-1" in run.log


def test_registering_accepts_mapped_orders_and_reports_what_was_already_registered(run: Run) -> None:
    reports = [run.returned(f"register_each_order[{index}]") for index in range(3)]
    assert [len(report["existing"]) for report in reports] == [1, 0, 2]
    assert all(report["created"] == report["rejected"] == [] for report in reports)


def test_nothing_to_do_is_success_and_says_so(run: Run) -> None:
    assert run.returned("delete_nothing") == {"done": [], "unchanged": [], "rejected": []}
    assert "No shipments: nothing to do" in run.log


def test_neither_log_nor_xcom_holds_the_key_or_personal_data(run: Run) -> None:
    shown = run.log + str(run.tasks)
    for secret in (*KEYS, "Lovelace", "ada.lovelace", "@example.com", "442079460958"):
        assert secret not in shown
