"""One execution of the sensor against the sandbox: what it defers, what a check costs, and what failures cause."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_trackingmore.api.errors import AuthenticationError, InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.exceptions import ShipmentsFailedError
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sensors import shipments
from airflow_provider_trackingmore.sensors.shipments import GRACE_SECONDS, ShipmentDeliveredSensor
from airflow_provider_trackingmore.triggers.events import check_again_event
from tests.integration.airflow.conftest import KEYS, connections
from tests.integration.airflow.parcels import parcel
from tests.task_runner import run_to_end, wait_until_account_is_free

Seed = Callable[..., list[dict[str, Any]]]
LIST = "/trackings/get"
try:
    from airflow.sdk.bases.operator import TriggerFailureReason

    TRIGGER_TIMEOUT = str(TriggerFailureReason.TRIGGER_TIMEOUT.value)
except ImportError:  # before Airflow 3
    TRIGGER_TIMEOUT = "Trigger/execution timeout"


def sensor(shipments: Any, **arguments: Any) -> ShipmentDeliveredSensor:
    return ShipmentDeliveredSensor(**{"task_id": "wait", "shipments": shipments, "poke_interval": 0.05} | arguments)


def deferred(waiting: ShipmentDeliveredSensor) -> TaskDeferred:
    """Return the deferral of a task that checks first, since the account is free."""
    wait_until_account_is_free(waiting.trackingmore_conn_id)
    return deferred_at_once(waiting)


def many(number: int) -> list[dict[str, Any]]:
    return [{"carrier_code": "usps", "tracking_number": f"SBX-DELIVERED-30D-{index:08}"} for index in range(number)]


def deferred_at_once(waiting: ShipmentDeliveredSensor) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        waiting.execute({})  # type: ignore[arg-type]
    return caught.value


def test_it_checks_once_and_then_defers(sandbox: SandboxProcess, seed: Seed) -> None:
    waiting = sensor(seed("transit", "delivered"), deferrable=True, timeout=600, poke_interval=1800, wait_for=2)
    began = time.time()
    deferral = deferred(waiting)
    assert len(sandbox.calls()) == 1
    path, arguments = deferral.trigger.serialize()
    assert path == "airflow_provider_trackingmore.triggers.shipments.ShipmentStatusTrigger"
    stored = arguments["wait"]
    assert began + 600 <= stored.pop("deadline") <= time.time() + 600, "counted from the start of the task"
    assert began + 1800 <= stored.pop("first_check_at") <= time.time() + 1800, "the next check, even after a restart"
    assert stored == {
        "version": 1,
        "carriers": ["usps"],
        "shipments": [[0, "SBX-STUCK-1", "SBX-DELIVERED-1D-1"]],
        "wait_for": 2,
        "poke_interval": 1800.0,
    }
    assert deferral.method_name == "execute_complete"
    assert set(deferral.kwargs or {}) == {"wait", "began", "deadline"}


def test_the_log_names_the_open_shipments_the_next_check_and_the_deadline(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(ShipmentDeliveredSensor, "log", logging.getLogger("sensor"))
    deferred(sensor(seed("transit", "delivered"), deferrable=True, timeout=7200, poke_interval=1800))
    [line] = [message for message in caplog.messages if message.startswith("Still open")]
    found = re.fullmatch(r"Still open: usps SBX-STUCK-1 transit \(next check (.*) UTC, deadline (.*) UTC\)", line)
    assert found is not None, line
    next_check, deadline = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in found.groups())
    assert deadline - next_check == pytest.approx(7200 - 1800, abs=120)
    assert next_check - time.time() == pytest.approx(1800, abs=120)


@pytest.mark.parametrize("build", [ShipmentDeliveredSensor, ShipmentDeliveredSensor.partial])
def test_the_sensor_for_deliveries_refuses_other_statuses(build: Callable[..., Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="use ShipmentStatusSensor to set statuses"):
        build(task_id="wait", statuses=["transit"])


def test_a_first_check_that_would_wait_for_a_slot_is_left_to_the_triggerer(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parcels = seed("delivered")
    connection = connections(sandbox)["trackingmore_default"]
    connection["extra"] = connection["extra"] | {"requests_per_second": 0.01, "pacing": "file"}
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path / "pace"))
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    with TrackingMoreHook() as hook:
        assert hook.get_conn().is_free()
        hook.get_account()
        assert not hook.get_conn().is_free()
    began = time.monotonic()
    deferral = deferred_at_once(sensor(parcels, deferrable=True))
    assert time.monotonic() - began < 50, "the next slot is 100 s away"
    assert [call["path"] for call in sandbox.calls()] == ["/trackings/getuserinfo"]
    assert deferral.trigger.serialize()[1]["wait"]["first_check_at"] == 0.0, "at once, together with the others"


def test_a_first_check_of_more_than_one_call_is_left_to_the_triggerer(sandbox: SandboxProcess, seed: Seed) -> None:
    parcels = seed(*(f"delivered#{number}" for number in range(41)))
    deferral = deferred(sensor(parcels, deferrable=True))
    assert sandbox.calls() == []
    assert deferral.trigger.serialize()[1]["wait"]["first_check_at"] == 0.0


def test_a_wait_that_mysql_may_be_unable_to_store_is_logged_with_its_size(
    sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    deferred(sensor(many(1_500), deferrable=True))
    assert "Airflow's database" not in caplog.text
    size = len(json.dumps(deferred(sensor(many(3_000), deferrable=True)).trigger.serialize()[1]))
    assert size > 60_000
    (message,) = (record for record in caplog.records if "Airflow's database" in record.getMessage())
    assert message.levelname == "WARNING"
    assert f"for 3000 shipments takes {size} bytes" in message.getMessage()


def test_a_wait_that_is_larger_than_the_administrator_allows_is_refused_before_any_call(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(json.dumps(deferred(sensor(many(100), deferrable=True)).trigger.serialize()[1]))
    # A deadline takes more or fewer digits each time.
    monkeypatch.setenv("AIRFLOW__TRACKINGMORE__MAX_TRIGGER_BYTES", str(size - 20))
    with pytest.raises(InvalidArgumentError, match=rf"100 shipments takes \d+ bytes.*= {size - 20}\. Wait for fewer"):
        sensor(many(100), deferrable=True).execute({})  # type: ignore[arg-type]
    monkeypatch.setenv("AIRFLOW__TRACKINGMORE__MAX_TRIGGER_BYTES", str(size + 20))
    deferred(sensor(many(100), deferrable=True))
    assert sandbox.calls() == []


def test_airflow_waits_for_the_rest_of_the_timeout_and_a_little_longer(sandbox: SandboxProcess, seed: Seed) -> None:
    parcels = seed("transit")
    sandbox.fault("latency", path=LIST, min_ms=700, max_ms=700)
    deferral = deferred(sensor(parcels, deferrable=True, timeout=600))
    assert deferral.timeout is not None
    assert 0 < deferral.timeout.total_seconds() - GRACE_SECONDS <= 600 - 0.7


def test_what_the_task_defers_holds_neither_key_nor_personal_data(seed: Seed, personal_data: list[str]) -> None:
    parcels = [parcel | {"customer_email": "ada.lovelace@example.com"} for parcel in seed("transit")]
    shown = str(deferred(sensor(parcels, deferrable=True)).trigger.serialize())
    for secret in (*KEYS, *personal_data):
        assert secret not in shown


@pytest.mark.parametrize("kind", ["503", "500", "429", "html", "reset_after"])
def test_a_first_check_that_fails_does_not_prevent_the_wait(sandbox: SandboxProcess, seed: Seed, kind: str) -> None:
    parcels = seed("delivered", account=1)
    sandbox.fault(kind, path=LIST, account=1)
    deferral = deferred(sensor(parcels, deferrable=True, trackingmore_conn_id="trackingmore_once"))
    stored = deferral.trigger.serialize()[1]["wait"]
    assert (stored["shipments"], stored["first_check_at"]) == ([[0, "SBX-DELIVERED-1D-1"]], 0.0)


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_definite_refusal_ends_it_at_once(
    sandbox: SandboxProcess, seed: Seed, deferrable: bool, soft_fail: bool
) -> None:
    waiting = sensor(
        seed("transit"), deferrable=deferrable, soft_fail=soft_fail, trackingmore_conn_id="trackingmore_wrong_key"
    )
    wait_until_account_is_free(waiting.trackingmore_conn_id)
    with pytest.raises(AuthenticationError, match="check the API key"):
        waiting.execute({})  # type: ignore[arg-type]
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("state", ["missing", "exception"])
def test_a_shipment_that_cannot_arrive_fails_the_task_or_skips_it(seed: Seed, deferrable: bool, state: str) -> None:
    seed("exception")
    parcels = [parcel(state)]
    with pytest.raises(ShipmentsFailedError):
        run_to_end(lambda: sensor(parcels, deferrable=deferrable))
    with pytest.raises(AirflowSkipException):
        run_to_end(lambda: sensor(parcels, deferrable=deferrable, soft_fail=True))
    returned = run_to_end(lambda: sensor(parcels, deferrable=deferrable, on_failed="report"))
    assert [row["outcome"] for row in returned] == ["not_registered" if state == "missing" else "exception"]


def test_in_poke_mode_shipments_that_have_arrived_are_not_checked_again(sandbox: SandboxProcess, seed: Seed) -> None:
    parcels = seed("delivered", "transit")
    with pytest.raises(TrackingMoreError, match="stopped by the test"):
        _stopped_after(3, sensor(parcels, timeout=60)).execute({})  # type: ignore[arg-type]
    requested = [call["query"]["numbers"] for call in sandbox.calls(path=LIST)]
    assert requested == ["SBX-DELIVERED-1D-1,SBX-STUCK-1", "SBX-STUCK-1", "SBX-STUCK-1"]


def _stopped_after(checks: int, waiting: ShipmentDeliveredSensor) -> ShipmentDeliveredSensor:
    class Stopped(ShipmentDeliveredSensor):
        left = checks

        def poke(self, context: Any) -> Any:
            if not self.left:
                raise TrackingMoreError("stopped by the test")
            self.left -= 1
            return super().poke(context)

    waiting.__class__ = Stopped
    return waiting


@pytest.mark.parametrize(("deferrable", "count", "calls"), [(False, 81, 3), (True, 40, 1)])
def test_a_check_costs_one_call_per_forty_parcels(
    sandbox: SandboxProcess, seed: Seed, deferrable: bool, count: int, calls: int
) -> None:
    parcels = seed(*(f"delivered#{number}" for number in range(count)))
    wait_until_account_is_free()
    returned = sensor(parcels, deferrable=deferrable).execute({})  # type: ignore[arg-type]
    assert [row["tracking_number"] for row in returned] == [parcel["tracking_number"] for parcel in parcels]
    assert len(sandbox.calls()) == calls


@pytest.mark.parametrize("deferrable", [False, True])
def test_shipments_may_come_from_an_iterator(seed: Seed, deferrable: bool) -> None:
    parcels = seed("delivered", "delivered#2")
    assert len(run_to_end(lambda: sensor(iter(parcels), deferrable=deferrable))) == 2


def test_an_iterator_is_deferred_whole(seed: Seed) -> None:
    parcels = seed("transit", "delivered")
    assert deferred(sensor(iter(parcels), deferrable=True)).trigger.serialize()[1]["wait"]["shipments"] == [
        [0, *(parcel["tracking_number"] for parcel in parcels)]
    ]


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_empty_list_costs_no_call_and_needs_no_connection(sandbox: SandboxProcess, deferrable: bool) -> None:
    waiting = sensor([], deferrable=deferrable, trackingmore_conn_id="no_such_connection", wait_for=3)
    assert waiting.execute({}) == []  # type: ignore[arg-type]
    assert sandbox.calls() == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_orders_come_back_one_by_one(seed: Seed, deferrable: bool) -> None:
    arrived, lost = seed("delivered", "exception")
    orders = {"A-1": arrived, "A-2": [arrived, lost]}
    returned = run_to_end(
        lambda: ShipmentDeliveredSensor(task_id="t", orders=orders, deferrable=deferrable, on_failed="report")
    )
    assert [(row["order"], row["outcome"], len(row["shipments"])) for row in returned] == [
        ("A-1", "delivered", 1),
        ("A-2", "exception", 2),
    ]
    assert returned[0]["delivered_at"] == returned[0]["shipments"][0]["delivered_at"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_stuck_shipment_is_named(sandbox: SandboxProcess, seed: Seed, deferrable: bool) -> None:
    quiet = seed("transit")
    sandbox.advance(days=10)
    with pytest.raises(ShipmentsFailedError, match="usps SBX-STUCK-1: transit, stuck: no new event for too long"):
        run_to_end(lambda: sensor(quiet, deferrable=deferrable, stuck_after=5 * 86_400, timeout=60))


def test_all_calls_of_the_last_check_together_wait_no_longer_than_one_may(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow has ended the deferral, so the check occupies a worker, however many shipments there are."""
    monkeypatch.setattr(shipments, "LAST_CHECK_SECONDS", 0.5)
    parcels = seed(*(f"transit#{number}" for number in range(800)))
    connection = connections(sandbox)["trackingmore_default"]
    connection["extra"] |= {"requests_per_second": 10}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_SLOW", json.dumps(connection))
    sandbox.clear_ledger()
    waiting = sensor(parcels, deferrable=True, trackingmore_conn_id="trackingmore_slow")
    with pytest.raises(AirflowSensorTimeout):
        waiting.resume_execution("__fail__", {"error": TRIGGER_TIMEOUT}, {})  # type: ignore[arg-type]
    assert 1 <= len(sandbox.calls()) <= 6, "20 calls would check all of them"


def test_a_delivery_of_days_ago_has_settled_at_the_first_check(seed: Seed) -> None:
    assert sensor(seed("delivered"), settle_seconds=3600).execute({})[0]["outcome"] == "delivered"  # type: ignore[arg-type]


# Webhooks ------------------------------------------------------------------------------------------------------------


def test_a_task_that_a_webhook_woke_checks_and_ends_if_the_parcel_has_arrived(
    sandbox: SandboxProcess, seed: Seed
) -> None:
    waiting = sensor(seed("soon"), deferrable=True, timeout=600, poke_interval=1800)
    deferral = deferred(waiting)
    sandbox.advance(days=5)
    wait_until_account_is_free(waiting.trackingmore_conn_id)
    (outcome,) = waiting.execute_complete({}, event=check_again_event(None), **deferral.kwargs)  # type: ignore[arg-type]
    assert outcome["outcome"] == "delivered"


def test_a_task_that_a_webhook_woke_without_a_change_waits_until_the_same_deadline(
    sandbox: SandboxProcess, seed: Seed
) -> None:
    waiting = sensor(seed("transit"), deferrable=True, timeout=600, poke_interval=1800)
    deferral = deferred(waiting)
    calls = len(sandbox.calls())
    for _ in range(3):
        wait_until_account_is_free(waiting.trackingmore_conn_id)
        with pytest.raises(TaskDeferred) as again:
            waiting.execute_complete({}, event=check_again_event(None), **deferral.kwargs)  # type: ignore[arg-type]
        assert again.value.kwargs == deferral.kwargs
        assert again.value.trigger.serialize()[1]["wait"]["deadline"] == deferral.kwargs["deadline"]
        deferral = again.value
    assert len(sandbox.calls()) == calls + 3


def test_a_task_that_began_in_the_triggerer_keeps_the_deadline_that_airflow_knows(
    sandbox: SandboxProcess, seed: Seed
) -> None:
    waiting = sensor(seed("transit"), deferrable=True, timeout=600, poke_interval=1800)
    deadline = time.time() + 100
    wait_until_account_is_free(waiting.trackingmore_conn_id)
    with pytest.raises(TaskDeferred) as again:
        waiting.execute_complete({}, event=check_again_event(deadline), wait="any")  # type: ignore[arg-type]
    assert again.value.kwargs["deadline"] == pytest.approx(deadline)
    assert again.value.timeout.total_seconds() == pytest.approx(100 + GRACE_SECONDS, abs=30)


def test_a_task_that_a_webhook_woke_reports_what_failed(sandbox: SandboxProcess, seed: Seed) -> None:
    waiting = sensor(seed("exception"), deferrable=True, timeout=600)
    wait_until_account_is_free(waiting.trackingmore_conn_id)
    with pytest.raises(ShipmentsFailedError):
        waiting.execute_complete({}, event=check_again_event(None), began=time.time())  # type: ignore[arg-type]
