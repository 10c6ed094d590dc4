"""The waits recorded for each release, one for each way in which a wait can end."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

START = "2026-03-02T08:00:00+00:00"
SENSORS = "airflow_provider_trackingmore.sensors.shipments."

PUBLIC_ERRORS = {"ShipmentsFailedError", "TrackingMoreError", "AirflowFailException", "AirflowSensorTimeout"}


def parcel(name: str) -> dict[str, str]:
    return {"carrier_code": "usps", "tracking_number": f"SBX-{name}"}


STAYS, ARRIVES, ARRIVED, FAILS = map(parcel, ("STUCK-1", "DELIVERED-5D-1", "DELIVERED-1D-1", "EXCEPTION-5D-1"))


def nothing_happens(sandbox: SandboxProcess) -> None:
    pass


def days_pass(sandbox: SandboxProcess) -> None:
    sandbox.advance(days=5)


def the_shipments_are_deleted(sandbox: SandboxProcess) -> None:
    sandbox.reset()
    sandbox.freeze()


def the_key_is_withdrawn(sandbox: SandboxProcess) -> None:
    os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(sandbox.connection | {"password": "wrong-key"})


@dataclass(frozen=True)
class WaitCase:
    """One wait.

    :param arguments: arguments of the sensor.
    :param meanwhile: what happens between deferral and the event.
    :param sensor: path of its class.
    :param common: arguments of all cases, which are not recorded.
    """

    arguments: dict[str, Any]
    meanwhile: Callable[[SandboxProcess], None]
    sensor: str = SENSORS + "ShipmentDeliveredSensor"
    common: dict[str, Any] = field(default_factory=lambda: {"deferrable": True, "timeout": 600, "poke_interval": 0.05})

    @property
    def registered(self) -> list[dict[str, str]]:
        shipments: list[dict[str, str]] = self.arguments["shipments"]
        return shipments

    def make_sensor(self) -> Any:
        """Create the sensor."""
        return make_sensor(self.sensor, self.common | self.arguments)


WAIT_CASES = {
    "all-arrive": WaitCase({"shipments": [ARRIVES, ARRIVED]}, days_pass),
    "any-arrives": WaitCase({"shipments": [STAYS, ARRIVES], "wait_for": "any"}, days_pass),
    "two-of-three-arrive": WaitCase({"shipments": [STAYS, ARRIVES, ARRIVED], "wait_for": 2}, days_pass),
    "other-statuses": WaitCase(
        {"shipments": [ARRIVES, STAYS], "statuses": ["delivered", "pickup"], "fail_on": [], "wait_for": "any"},
        days_pass,
        SENSORS + "ShipmentStatusSensor",
    ),
    "too-few-can-arrive": WaitCase({"shipments": [FAILS, ARRIVED, STAYS]}, days_pass),
    "not-registered": WaitCase({"shipments": [STAYS]}, the_shipments_are_deleted),
    "time-is-up": WaitCase({"shipments": [STAYS, ARRIVED], "timeout": 2}, nothing_happens),
    "time-is-up-and-that-is-fine": WaitCase(
        {"shipments": [STAYS, ARRIVED], "timeout": 2, "on_failed": "report"}, nothing_happens
    ),
    "wrong-key": WaitCase({"shipments": [STAYS]}, the_key_is_withdrawn),
}


def make_sensor(path: str, arguments: dict[str, Any]) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(task_id="wait", **arguments)


def run_to_end(waiting: Any, method: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return how the task ends: with its result, or with the public classes of its error."""
    try:
        return {"returns": getattr(waiting, method)({}, **kwargs)}
    except Exception as error:
        names = {cls.__name__ for cls in type(error).__mro__}
        return {"raises": sorted(names & PUBLIC_ERRORS), "text": str(error)}
