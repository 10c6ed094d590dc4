"""Operator, hook and API together validate each shipment once, and normalize its key at most once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from airflow_provider_trackingmore.api import validation
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.operators.trackings import (
    CreateTrackingsOperator,
    DeleteTrackingsOperator,
    GetTrackingsOperator,
    RealtimeTrackOperator,
    StopUpdatesOperator,
    UpdateTrackingsOperator,
)
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor
from tests.integration.operators.conftest import Execute, TaskInstance

SHIPMENTS = 1_000


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count validated numbers and normalized keys; all code of the package uses these two functions."""
    counted: Counter[str] = Counter()
    check, normalized = validation.check_tracking_number, ShipmentKey.normalized.fget  # type: ignore[attr-defined]

    def counting_check(value: object) -> str:
        counted["validated"] += 1
        return check(value)

    def counting_normalized(key: ShipmentKey) -> Any:
        counted["normalized"] += 1
        return normalized(key)

    for module in ("validation", "shipments"):
        monkeypatch.setattr(f"airflow_provider_trackingmore.api.{module}.check_tracking_number", counting_check)
    monkeypatch.setattr(ShipmentKey, "normalized", property(counting_normalized))
    return counted


def parcels() -> list[dict[str, Any]]:
    return [{"carrier_code": "usps", "tracking_number": f"94001{number:015d}"} for number in range(SHIPMENTS)]


def test_creating_shipments_validates_each_once(execute: Execute, counts: Counter[str]) -> None:
    report = execute(CreateTrackingsOperator, shipments=parcels(), quota_floor=1)
    assert len(report["created"]) == SHIPMENTS
    assert counts == {"validated": SHIPMENTS, "normalized": SHIPMENTS}


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (GetTrackingsOperator, {}),
        (UpdateTrackingsOperator, {"changes": {"title": "books"}}),
        (StopUpdatesOperator, {}),
        (DeleteTrackingsOperator, {}),
    ],
)
def test_other_operators_validate_each_shipment_once(
    sandbox: SandboxProcess, execute: Execute, counts: Counter[str], operator: type, arguments: dict[str, Any]
) -> None:
    sandbox.seed(shipments=parcels())
    execute(operator, shipments=parcels(), **arguments)
    assert counts == {"validated": SHIPMENTS, "normalized": SHIPMENTS}


def test_realtime_queries_validate_each_shipment_once(
    sandbox: SandboxProcess, execute: Execute, counts: Counter[str]
) -> None:
    sandbox.seed(shipments=parcels()[:10])
    execute(RealtimeTrackOperator, shipments=parcels()[:10])
    assert counts == {"validated": 10, "normalized": 10}


def test_a_sensor_validates_and_normalizes_each_shipment_once_however_often_it_pokes(
    sandbox: SandboxProcess, ti: TaskInstance, counts: Counter[str]
) -> None:
    sandbox.seed(shipments=parcels())
    sensor = ShipmentDeliveredSensor(task_id="wait", shipments=parcels(), on_failed="report", timeout=600)
    assert not sensor._begin({"ti": ti}, 0.0)
    for _ in range(3):
        assert not sensor.poke({"ti": ti}).is_done
    assert counts == {"validated": SHIPMENTS, "normalized": SHIPMENTS}
