"""All operators return and log the same form of report, whatever they do with the shipments."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_trackingmore.exceptions import ShipmentsRejectedError
from airflow_provider_trackingmore.hooks import batch_log
from airflow_provider_trackingmore.operators.trackings import (
    CreateTrackingsOperator,
    DeleteTrackingsOperator,
    RealtimeTrackOperator,
    StopUpdatesOperator,
    UpdateTrackingsOperator,
)
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.parcels import PERSONAL, parcel
from tests.integration.operators.conftest import Execute, Seed, TaskInstance

REFUSED = parcel("missing")
NO_NUMBER = {"carrier_code": "usps"}
CHANGED: dict[str, Any] = {"changes": {"order_id": "B-1"}}
every_batch = pytest.mark.parametrize(
    ("operator", "more", "done", "unchanged"),
    [
        (CreateTrackingsOperator, {}, "created", "existing"),
        (UpdateTrackingsOperator, CHANGED, "done", "unchanged"),
        (DeleteTrackingsOperator, {}, "done", "unchanged"),
        (StopUpdatesOperator, {}, "done", "unchanged"),
        (RealtimeTrackOperator, {}, "done", "unchanged"),
    ],
    ids=["create", "update", "delete", "stop", "realtime"],
)


def shipments(operator: type, seed: Seed) -> list[dict[str, Any]]:
    """Return a good shipment twice, one without a number, and one that the vendor refuses or does not know."""
    good = parcel("transit") if operator is CreateTrackingsOperator else seed("transit")[0]
    invalid = {"carrier_code": "usps", "tracking_number": "SBX.1"}
    refused = invalid if operator in (CreateTrackingsOperator, RealtimeTrackOperator) else REFUSED
    return [shipment | PERSONAL for shipment in (good, NO_NUMBER, refused, good)]


@every_batch
def test_the_report_accounts_for_every_shipment(
    execute: Execute, seed: Seed, operator: type, more: dict[str, Any], done: str, unchanged: str
) -> None:
    given = shipments(operator, seed)
    report = execute(operator, shipments=given, on_rejected="report", **more)
    assert list(report) == [done, unchanged, "rejected"]
    assert [shipment["tracking_number"] for shipment in report[done]] == [given[0]["tracking_number"]]
    assert all(list(item) == ["carrier_code", "tracking_number", "code", "message"] for item in report["rejected"])
    refused = {item["tracking_number"]: item for item in report["rejected"]}
    assert refused[""]["code"] is None
    assert refused[""]["message"] == "shipment 2: tracking_number is missing"
    if operator is DeleteTrackingsOperator:
        assert report[unchanged] == [REFUSED]
    else:
        assert report[unchanged] == []
        assert refused[given[2]["tracking_number"]]["code"] in (4014, 4017)
        assert refused[given[2]["tracking_number"]]["message"]


@every_batch
def test_the_log_has_a_line_of_totals_and_a_line_for_each_rejection(
    execute: Execute,
    seed: Seed,
    logged: Callable[[], list[str]],
    personal_data: list[str],
    operator: type,
    more: dict[str, Any],
    done: str,
    unchanged: str,
) -> None:
    given = shipments(operator, seed)
    report = execute(operator, shipments=given, on_rejected="report", **more)
    ours = [line for line in logged() if "TrackingMore: " in line or "Rejected: " in line]
    counts = f"1 {done}, {len(report[unchanged])} {unchanged}, {len(report['rejected'])} rejected"
    assert ours[0] == f"INFO TrackingMore: {counts} (1 duplicates ignored)"
    assert len(ours) == 1 + len(report["rejected"])
    for line, rejection in zip(ours[1:], report["rejected"], strict=True):
        assert line.startswith("WARNING Rejected: ")
        assert rejection["message"] in line
        assert rejection["tracking_number"] in line
        assert (str(rejection["code"]) in line) == (rejection["code"] is not None)
    assert not [secret for secret in personal_data if secret in "".join(logged())]


@every_batch
def test_a_rejection_fails_the_task_after_the_report_was_pushed(
    execute: Execute, seed: Seed, ti: TaskInstance, operator: type, more: dict[str, Any], done: str, unchanged: str
) -> None:
    given = shipments(operator, seed)
    with pytest.raises(ShipmentsRejectedError, match=r"shipments were rejected: .*tracking_number is missing"):
        execute(operator, shipments=given, on_rejected="fail", **more)
    assert list(ti.pushed["return_value"]) == [done, unchanged, "rejected"]
    assert len(ti.pushed["return_value"][done]) == 1


@every_batch
def test_without_do_xcom_push_nothing_is_pushed(
    execute: Execute, seed: Seed, ti: TaskInstance, operator: type, more: dict[str, Any], done: str, unchanged: str
) -> None:
    given = shipments(operator, seed)
    with pytest.raises(ShipmentsRejectedError):
        execute(operator, shipments=given, on_rejected="fail", do_xcom_push=False, **more)
    assert ti.pushed == {}


@every_batch
def test_a_task_can_be_executed_without_a_task_instance(
    sandbox: SandboxProcess, seed: Seed, operator: Any, more: dict[str, Any], done: str, unchanged: str
) -> None:
    given = shipments(operator, seed)
    assert len(operator(task_id="t", shipments=given[0], **more).execute({})[done]) == 1
    with pytest.raises(ShipmentsRejectedError):
        operator(task_id="t", shipments=NO_NUMBER, on_rejected="fail", **more).execute({})


@pytest.fixture
def four_seconds_a_call(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock for the log only, which advances by four seconds with each call."""
    clock = SimpleNamespace(monotonic=lambda: 4.0 * sandbox.ledger()["requests"])
    monkeypatch.setattr(batch_log, "time", clock)


@every_batch
@pytest.mark.usefixtures("four_seconds_a_call")
def test_a_long_batch_logs_its_progress_every_half_minute(
    sandbox: SandboxProcess,
    execute: Execute,
    logged: Callable[[], list[str]],
    operator: type,
    more: dict[str, Any],
    done: str,
    unchanged: str,
) -> None:
    per_call = 1 if operator is RealtimeTrackOperator else 40
    given = sandbox.seed(count=20 * per_call, seed=4)
    if operator is CreateTrackingsOperator:
        given = [shipment | {"tracking_number": f"{shipment['tracking_number']}X"} for shipment in given]
    report = execute(operator, shipments=given, on_rejected="report", **more)
    assert len(report[done]) == len(given)
    progress = [line for line in logged() if " shipments" in line and " of " in line]
    # 30 seconds are over after the 8th call, and again after the 16th.
    assert progress == [f"INFO Processed {calls * per_call} of {len(given)} shipments" for calls in (8, 16)]


def test_a_short_batch_logs_no_progress(
    sandbox: SandboxProcess, execute: Execute, logged: Callable[[], list[str]]
) -> None:
    execute(DeleteTrackingsOperator, shipments=sandbox.seed(count=200, seed=4))
    assert not [line for line in logged() if " of 200 " in line]
