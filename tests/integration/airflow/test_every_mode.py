"""Poke, reschedule and deferrable mode give the same results: one DAG with ``dag.test()``, for each end of a wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.conftest import KEYS, Run, connections
from tests.integration.airflow.parcels import AGES, PERSONAL, parcel

FIELDS = [
    "carrier_code",
    "tracking_number",
    "status",
    "substatus",
    "delivered_at",
    "last_update",
    "order_id",
    "outcome",
]
modes = pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])


@pytest.fixture(scope="module")
def run(run_dag: Callable[..., Run], seeded: SandboxProcess) -> Run:
    return run_dag("every_mode", connections(seeded))


@pytest.fixture(scope="module")
def seeded(_running: SandboxProcess) -> SandboxProcess:
    _running.reset()
    _running.freeze()
    names = ("delivered", "delivered#2", "exception", "transit", "pending")
    rows = [parcel(name) | PERSONAL | {"age_hours": AGES[name.partition("#")[0]]} for name in names]
    _running.seed(shipments=rows)
    return _running


def numbers(outcomes: list[dict[str, Any]]) -> list[str]:
    return [outcome["tracking_number"] for outcome in outcomes]


@modes
@pytest.mark.parametrize(
    ("case", "state"),
    [
        ("nothing", "success"),
        ("delivered", "success"),
        ("one_of_three", "success"),
        ("two_of_four", "success"),
        ("other_statuses", "success"),
        ("not_registered", "failed"),
        ("lost", "failed"),
        ("lost_or_skipped", "skipped"),
        ("lost_and_returned", "success"),
        ("late", "failed"),
        ("late_or_skipped", "skipped"),
        ("late_and_returned", "success"),
        ("late_and_returned_not_skipped", "success"),
        ("wrong_key", "failed"),
        ("wrong_argument", "failed"),
    ],
)
def test_the_state_of_the_task(run: Run, mode: str, case: str, state: str) -> None:
    assert run.state(f"{mode}__{case}") == state


@modes
def test_the_sensor_returns_an_outcome_for_each_shipment_in_the_given_order(run: Run, mode: str) -> None:
    returned = run.returned(f"{mode}__delivered")
    assert numbers(returned) == [parcel("delivered#2")["tracking_number"], parcel("delivered")["tracking_number"]]
    for shipment in returned:
        assert sorted(shipment) == sorted(FIELDS)
        assert (shipment["carrier_code"], shipment["status"], shipment["outcome"]) == ("usps", "delivered", "delivered")
        assert shipment["delivered_at"] == shipment["last_update"]
        assert shipment["order_id"] == PERSONAL["order_id"]


@modes
def test_shipments_that_were_not_needed_are_returned_as_they_are(run: Run, mode: str) -> None:
    assert [shipment["outcome"] for shipment in run.returned(f"{mode}__one_of_three")] == [
        "waiting",
        "delivered",
        "exception",
    ]
    assert [shipment["outcome"] for shipment in run.returned(f"{mode}__two_of_four")] == [
        "waiting",
        "delivered",
        "exception",
        "delivered",
    ]
    assert [shipment["outcome"] for shipment in run.returned(f"{mode}__other_statuses")] == ["transit", "pending"]


@modes
def test_nothing_to_wait_for_returns_nothing(run: Run, mode: str) -> None:
    assert run.returned(f"{mode}__nothing") == []


@modes
def test_on_failed_report_returns_the_outcomes_of_lost_and_late_shipments(run: Run, mode: str) -> None:
    assert [shipment["outcome"] for shipment in run.returned(f"{mode}__lost_and_returned")] == [
        "delivered",
        "exception",
    ]
    late = run.returned(f"{mode}__late_and_returned")
    assert [(shipment["status"], shipment["outcome"]) for shipment in late] == [
        ("delivered", "delivered"),
        ("transit", "timed_out"),
    ]
    assert [shipment["outcome"] for shipment in run.returned(f"{mode}__late_and_returned_not_skipped")] == ["timed_out"]


@modes
def test_a_timeout_is_not_retried_although_the_task_has_retries(run: Run, mode: str) -> None:
    assert run.tasks[f"{mode}__late"]["tries"] == 1


def test_all_modes_return_the_same(run: Run) -> None:
    for task, found in run.tasks.items():
        if task.startswith("poke__"):
            case = task.removeprefix("poke__")
            assert run.returned(f"reschedule__{case}") == found["returned"], case
            assert run.returned(f"deferrable__{case}") == found["returned"], case


def test_the_log_says_why(run: Run) -> None:
    assert run.log.count("No shipments to wait for: done") >= 3
    assert "usps SBX-NEVER-1 is not registered with TrackingMore: run CreateTrackingsOperator first" in run.log
    assert "check the API key in the password field of the Airflow connection" in run.log
    assert "wait_for must be 'all', 'any' or a number from 1, not 'most'" in run.log


def test_neither_log_nor_xcom_holds_the_key_or_personal_data(run: Run) -> None:
    shown = run.log + str(run.tasks)
    for secret in (*KEYS, "wrong-key-4d5e6f", "Lovelace", "ada.lovelace", "@example.com", "442079460958"):
        assert secret not in shown


def test_a_wait_costs_one_check_and_changes_nothing(run: Run, seeded: SandboxProcess) -> None:
    calls = seeded.calls()
    assert {call["method"] for call in calls} == {"GET"}, "a wait changes nothing"
    decided_at_once = parcel("delivered#2")["tracking_number"] + "," + parcel("delivered")["tracking_number"]
    assert len([call for call in calls if call["query"].get("numbers") == decided_at_once]) == 3, "one check per mode"
    refused = [call for call in calls if call["code"] in (401, 4001, 4002)]
    # A worker uses a wrong key once. If the account is busy, the triggerer does, and has the refusal confirmed.
    assert len(refused) in (3, 4)
