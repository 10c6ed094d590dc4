"""Operators in a DAG file: cheap to import, and created without reading their arguments or a connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.operators.trackings import (
    CreateTrackingsOperator,
    DeleteTrackingsOperator,
    RealtimeTrackOperator,
)

OPERATORS = [CreateTrackingsOperator, DeleteTrackingsOperator, RealtimeTrackOperator]
every_operator = pytest.mark.parametrize("operator", OPERATORS)
ROOT = Path(__file__).resolve().parents[3]

NEW_MODULES = """
import json, sys
import airflow.providers.common.compat.sdk as sdk
sdk.BaseOperator, sdk.BaseSensorOperator, sdk.BaseHook, sdk.AirflowException
from airflow.triggers.base import BaseTrigger
before = set(sys.modules)
import airflow_provider_trackingmore.operators.trackings, airflow_provider_trackingmore.sensors.shipments
print("RESULT" + json.dumps(sorted(set(sys.modules) - before)))
"""
PARSED_DAG = """
import socket, sqlite3, sys
def refuse(*arguments, **named): raise AssertionError("parsing a DAG has opened a connection")
import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseHook
import airflow_provider_trackingmore.operators.trackings as operators
import airflow_provider_trackingmore.sensors.shipments as sensors
socket.socket.connect = socket.create_connection = sqlite3.connect = refuse
BaseHook.get_connection = classmethod(refuse)
with DAG("parsed", start_date=pendulum.datetime(2026, 1, 1), schedule=None):
    create = operators.CreateTrackingsOperator(task_id="c", shipments=[], trackingmore_conn_id="none_such")
    operators.RealtimeTrackOperator.partial(task_id="r", trackingmore_conn_id="none_such").expand(shipments=[[], []])
    operators.DeleteTrackingsOperator(task_id="d", shipments="{{ 1 / 0 }}", trackingmore_conn_id="{{ 1 / 0 }}")
    create >> sensors.ShipmentDeliveredSensor(task_id="w", shipments=create.output, deferrable=True)
print("RESULT" + str(sensors.ShipmentDeliveredSensor(task_id="x", shipments=[]).deferrable))
"""


class Pushed(dict[str, Any]):
    """A task instance that keeps what is pushed to XCom."""

    def xcom_push(self, key: str, value: Any) -> None:
        self[key] = value


def run_script(code: str, home: Path, **environment: str) -> str:
    variables = os.environ | {"PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(home)} | environment
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.rpartition("RESULT")[2].strip()


def test_importing_operators_and_sensors_is_cheap(tmp_path: Path) -> None:
    loaded = json.loads(run_script(NEW_MODULES, tmp_path))
    assert "airflow_provider_trackingmore.operators.trackings" in loaded
    for library in ("requests", "urllib3", "tenacity", "fastapi", "uvicorn"):
        assert library not in {name.partition(".")[0] for name in loaded}, library
    for heavy in ("client", "hooks.trackingmore", "sandbox", "api.endpoints", "waiting.poller"):
        assert not [name for name in loaded if name.startswith(f"airflow_provider_trackingmore.{heavy}")], heavy


@pytest.mark.parametrize("deferrable", ["True", "False"])
def test_a_dag_is_parsed_without_network_database_or_connection(tmp_path: Path, deferrable: str) -> None:
    assert run_script(PARSED_DAG, tmp_path, AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE=deferrable) == deferrable


@every_operator
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"on_rejected": "ignore"}, "on_rejected must be 'fail' or 'report', not 'ignore'"),
        ({"shipments": "[{'tracking_number': '1'}]"}, "render_template_as_native_obj"),
        ({"shipments": 940}, "shipments must be a list of mappings .* not int"),
    ],
    ids=str,
)
def test_an_invalid_argument_is_named_before_the_connection_is_read(
    operator: Any, wrong: dict[str, Any], message: str
) -> None:
    task = operator(**{"task_id": "t", "shipments": [], "trackingmore_conn_id": "none_such"} | wrong)
    with pytest.raises(InvalidArgumentError, match=message):
        task.execute({})


@every_operator
@pytest.mark.parametrize("nothing", [[], (), None, iter([])], ids=["list", "tuple", "None", "iterator"])
def test_no_shipments_are_success_without_a_connection(operator: Any, nothing: Any) -> None:
    report = operator(task_id="t", shipments=nothing, trackingmore_conn_id="none_such").execute({"ti": Pushed()})
    assert all(entries == [] for entries in report.values())
    assert sorted(report) in (["created", "existing", "rejected"], ["done", "rejected", "unchanged"])


@every_operator
def test_invalid_shipments_are_reported_without_a_connection(operator: Any) -> None:
    task = operator(
        task_id="t", shipments=[{"carrier_code": "usps"}, 5], on_rejected="report", trackingmore_conn_id="x"
    )
    rejected = task.execute({"ti": Pushed()})["rejected"]
    assert [item["code"] for item in rejected] == [None, None]
    assert rejected[0]["message"] == "shipment 1: tracking_number is missing"
