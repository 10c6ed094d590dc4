"""The sensor after a deferral: which events it accepts and which it refuses. Its modes are tested in Airflow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    Asset,
    BaseOperator,
    TaskDeferred,
)
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.exceptions import ShipmentsFailedError
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor, ShipmentStatusSensor
from airflow_provider_trackingmore.triggers.shipments import GRACE_SECONDS, can_end_in_triggerer
from airflow_provider_trackingmore.waiting.spec import WaitSpec

PARCELS = [{"carrier_code": "usps", "tracking_number": "P1"}, {"carrier_code": "dhl", "tracking_number": "P2"}]
FAILED_DEFERRAL = "__fail__"
try:
    from airflow.sdk.bases.operator import TriggerFailureReason

    TRIGGER_TIMEOUT: str = TriggerFailureReason.TRIGGER_TIMEOUT
except ImportError:  # before Airflow 3
    TRIGGER_TIMEOUT = "Trigger/execution timeout"


def sensor(**arguments: Any) -> ShipmentDeliveredSensor:
    return ShipmentDeliveredSensor(**{"task_id": "wait", "shipments": PARCELS, "timeout": 600.0} | arguments)


SETTLED = ("delivered", "exception", "expired")


WAIT = WaitSpec.create(shipments=PARCELS).fingerprint


def rows(*statuses: str | None, outcome: str | None = None) -> list[list[Any]]:
    return [[outcome or (status if status in SETTLED else "waiting"), status] for status in statuses]


def event(result: str, *statuses: str | None, **changes: Any) -> dict[str, Any]:
    return {"version": 1, "result": result, "reason": "", "wait": WAIT, "outcomes": [rows(*statuses)]} | changes


def resume(task: ShipmentStatusSensor, method: str = "execute_complete", **arguments: Any) -> Any:
    """Resume a deferred task as Airflow does."""
    return task.resume_execution(method, arguments, {})  # type: ignore[arg-type]


def test_a_released_event_returns_the_outcomes_in_the_users_order() -> None:
    returned = resume(sensor(), event=event("released", "delivered", "delivered"))
    assert [outcome["tracking_number"] for outcome in returned] == ["P1", "P2"]
    assert [row["outcome"] for row in returned] == ["delivered", "delivered"]


def test_fields_of_a_newer_version_are_ignored() -> None:
    given_event = event("released", "delivered", "delivered", of_a_newer_version=1)
    assert len(resume(sensor(), event=given_event)) == 2


def test_a_failed_event_names_the_shipments() -> None:
    with pytest.raises(ShipmentsFailedError, match=r"^usps P1: exception; dhl P2: expired$"):
        resume(sensor(), event=event("failed", "exception", "expired"))


def test_a_failed_event_is_returned_with_on_failed_report() -> None:
    returned = resume(sensor(on_failed="report"), event=event("failed", "exception", "transit"))
    assert [row["outcome"] for row in returned] == ["exception", "waiting"]


def test_an_error_event_raises_the_triggers_message_even_with_soft_fail() -> None:
    for soft_fail in (False, True):
        with pytest.raises(TrackingMoreError, match=r"^the key is wrong$"):
            resume(sensor(soft_fail=soft_fail), event=event("error", reason="the key is wrong"))


def timeouts(**settings: Any) -> list[Callable[[], Any]]:
    """Return the two ways in which a task times out: the trigger reports it, or Airflow has ended the deferral."""
    given_event = event("timed_out", "transit", "delivered")
    settings |= {"trackingmore_conn_id": "trackingmore_unreachable"}
    return [
        lambda: resume(sensor(**settings), event=given_event),
        lambda: resume(sensor(**settings), FAILED_DEFERRAL, error=TRIGGER_TIMEOUT),
    ]


@pytest.fixture(autouse=True)
def _unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"max_attempts": 1, "pacing": "memory", "timeout_seconds": 1}
    unreachable = {
        "conn_type": "trackingmore",
        "password": "unit-test",
        "host": "http://127.0.0.1:9/v2",
        "extra": extra,
    }
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_UNREACHABLE", json.dumps(unreachable))


def test_a_timeout_raises_airflow_sensor_timeout() -> None:
    for ending in timeouts():
        with pytest.raises(AirflowSensorTimeout, match="Timed out after 600 s: usps P1"):
            ending()


def test_a_timeout_is_skipped_with_soft_fail() -> None:
    for ending in timeouts(soft_fail=True):
        with pytest.raises(AirflowSkipException):
            ending()


@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_timeout_is_returned_with_on_failed_report(soft_fail: bool) -> None:
    known, *unknown = (ending() for ending in timeouts(on_failed="report", soft_fail=soft_fail))
    assert [(shipment["status"], shipment["outcome"]) for shipment in known] == [
        ("transit", "timed_out"),
        ("delivered", "delivered"),
    ]
    for returned in unknown:
        assert [(row["status"], row["outcome"]) for row in returned] == [(None, "timed_out"), (None, "timed_out")]


@pytest.mark.parametrize("ahead", [0.0, 0.5, 90.0])
def test_a_timeout_counts_although_the_triggerers_clock_is_ahead_of_the_workers(ahead: float) -> None:
    began = time.time() - 600 + ahead
    with pytest.raises(AirflowSensorTimeout, match="Timed out after 600 s: usps P1"):
        resume(
            sensor(trackingmore_conn_id="trackingmore_unreachable"),
            event=event("timed_out", "transit", "delivered"),
            wait=WAIT,
            began=began,
            deadline=began + 600,
        )


def test_a_task_whose_timeout_was_extended_in_the_meantime_continues_to_wait() -> None:
    began = time.time() - 600
    task = sensor(timeout=900, trackingmore_conn_id="trackingmore_unreachable")
    with pytest.raises(TaskDeferred) as caught:
        resume(
            task,
            event=event("timed_out", "transit", "delivered"),
            wait=WAIT,
            began=began,
            deadline=began + 600,
        )
    assert caught.value.kwargs == {"wait": WAIT, "began": began, "deadline": began + 900}


@pytest.mark.parametrize("settings", [{}, {"soft_fail": True}, {"on_failed": "report"}], ids=str)
def test_a_broken_triggerer_fails_the_task_and_is_never_skipped(settings: dict[str, Any]) -> None:
    with pytest.raises(TrackingMoreError, match="The wait failed in the triggerer: see the triggerer's log"):
        resume(sensor(**settings), FAILED_DEFERRAL, error="Trigger failure", traceback=["Traceback ...", "Boom"])
    with pytest.raises(TrackingMoreError):
        sensor(**settings).resume_execution(FAILED_DEFERRAL, None, {})  # type: ignore[arg-type]


def test_failed_shipments_fail_the_task_for_good() -> None:
    assert issubclass(ShipmentsFailedError, AirflowFailException)


# Events that are refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_event",
    [
        None,
        "released",
        {},
        event("released", "delivered", "delivered", version=2),
        event("success", "delivered", "delivered"),
        event("released", "delivered", "delivered", outcomes=None),
        event("released", "delivered"),
        event("released"),
        event("released", "delivered", "transit"),
        event("released", None, None),
        event("released", outcomes=[[*rows("delivered", "delivered"), {}]]),
        event("released", outcomes=[[*rows("delivered", "delivered"), []]]),
        event("released", outcomes=[rows("transit", "transit", outcome="delivered")]),
        event("released", outcomes=[rows(None, None, outcome="delivered")]),
        event("released", outcomes=[rows("delivered", "delivered", "delivered")]),
        event("released", "delivered", "delivered", wait="0123456789abcdef"),
        event("released", outcomes=[rows("delivered"), rows("delivered")]),
        event("failed", "transit", "transit"),
        event("failed", "delivered", "delivered"),
        event("timed_out", "transit"),
    ],
    ids=str,
)
@pytest.mark.parametrize("settings", [{}, {"soft_fail": True}, {"on_failed": "report"}], ids=str)
def test_an_event_of_another_wait_fails_the_task(given_event: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(TrackingMoreError) as caught:
        resume(sensor(**settings), event=given_event)
    assert any(word in caught.value.message for word in ("Cannot read", "not match", "damaged", "its outcomes say"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
    | st.sampled_from(["released", "timed_out", "failed", "error", "delivered", "P1", "P2", "usps", "dhl"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["version", "result", "reason", "wait", "outcomes"]), inner),
    max_leaves=10,
)  # fmt: skip


@st.composite
def damaged_events(draw: st.DrawFn) -> Any:
    """Return a valid released event with one value replaced."""
    given_event: Any = event("released", "delivered", "delivered")
    value = draw(json_values)
    match draw(st.sampled_from(["version", "result", "wait", "outcomes", 0, 1])):
        case str(name):
            given_event[name] = value
        case int(position):
            given_event["outcomes"][0][0][position] = value
    return given_event


@given(json_values | damaged_events())
def test_only_a_valid_released_event_is_success(given_event: Any) -> None:
    task = sensor()
    try:
        returned = resume(task, event=given_event)
    except (TrackingMoreError, AirflowSensorTimeout, ShipmentsFailedError):
        return
    assert given_event["version"] == 1
    assert given_event["result"] == "released"
    assert given_event["wait"] == WAIT
    assert [outcome["status"] for outcome in returned] == ["delivered", "delivered"]


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shipments": "[{'tracking_number': 'P1'}]"}, "shipments must be a list .* render_template_as_native_obj"),
        ({"shipments": None, "orders": "{}"}, "orders must be a mapping, not text .* render_template_as_native_obj"),
        ({"shipments": [{"tracking_number": "P1"}]}, "carrier_code is missing"),
        ({"wait_for": 3}, "wait_for is 3, but there are only 2"),
        ({"fail_on": ["lost"]}, "fail_on contains 'lost'"),
        ({"on_failed": "ignore"}, "on_failed must be 'fail' or 'report', not 'ignore'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_invalid_arguments_are_named_when_the_task_runs(wrong: dict[str, Any], message: str, deferrable: bool) -> None:
    task = sensor(**wrong, deferrable=deferrable, trackingmore_conn_id="no_such_connection")
    with pytest.raises(InvalidArgumentError, match=message):
        task.execute({})  # type: ignore[arg-type]


def test_the_template_fields_are_as_documented() -> None:
    assert set(ShipmentDeliveredSensor.template_fields) == {
        *("shipments", "orders", "wait_for", "fail_on", "settle_seconds", "stuck_after", "trackingmore_conn_id")
    }
    assert set(ShipmentStatusSensor.template_fields) == {*ShipmentDeliveredSensor.template_fields, "statuses"}


def test_times_may_be_given_as_timedelta() -> None:
    task = sensor(timeout=timedelta(hours=2), poke_interval=timedelta(minutes=30))
    assert (task.timeout, task.poke_interval) == (7200.0, 1800.0)


def test_creating_a_sensor_does_not_read_its_arguments() -> None:
    """Templates are not rendered yet, and the connection need not exist where a DAG is parsed."""
    templates = {"shipments": "{{ ti.xcom_pull('x') }}", "wait_for": "{{ 1 }}", "fail_on": "{{ [] }}"}
    made = sensor(**templates, trackingmore_conn_id="{{ var.value.none }}")
    assert {name: getattr(made, name) for name in templates} == templates


def test_a_sensor_does_not_defer_by_default() -> None:
    assert sensor().deferrable is False


def test_neither_shipments_nor_orders_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="wait: give shipments to wait for, or orders"):
        ShipmentDeliveredSensor(task_id="wait").execute({})  # type: ignore[arg-type]


def test_shipments_and_orders_together_are_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="give shipments or orders, not both"):
        sensor(orders={"A-1": PARCELS}).execute({})  # type: ignore[arg-type]


def test_an_event_has_the_outcomes_of_each_order() -> None:
    task = sensor(shipments=None, orders={"A-1": PARCELS[0], "A-2": PARCELS})
    wait = WaitSpec.create(orders={"A-1": PARCELS[0], "A-2": PARCELS}).fingerprint
    given_event = event("released", wait=wait, outcomes=[rows("delivered")])
    with pytest.raises(TrackingMoreError, match="damaged"):
        resume(task, event=given_event)
    given_event["outcomes"].append(rows("delivered", "delivered"))
    assert [(row["order"], row["outcome"]) for row in resume(task, event=given_event)] == [
        ("A-1", "delivered"),
        ("A-2", "delivered"),
    ]


# Beginning and ending in the triggerer -------------------------------------------------------------------------------

needs_start_from_trigger = pytest.mark.skipif(not can_end_in_triggerer(), reason="Airflow can do this from 3.3 on")


@needs_start_from_trigger
def test_a_task_of_plain_values_begins_in_the_triggerer() -> None:
    task = sensor(start_from_trigger=True, poke_interval=1800.0)
    assert task.start_from_trigger
    arguments = task.start_trigger_args
    assert arguments.trigger_cls == "airflow_provider_trackingmore.triggers.shipments.ShipmentStatusTrigger"
    assert arguments.next_method == "execute_complete"
    assert arguments.timeout == timedelta(seconds=600 + GRACE_SECONDS)
    stored = arguments.trigger_kwargs["wait"]
    assert (stored["carriers"], stored["shipments"]) == (["usps", "dhl"], [[0, "P1"], [1, "P2"]])
    assert (stored["first_check_at"], stored.get("deadline")) == (0.0, None), "at once, and Airflow ends the wait"
    assert arguments.next_kwargs == {"wait": WAIT}
    assert type(task).start_trigger_args is None, "the class has none"


@pytest.mark.parametrize(
    "arguments",
    [
        {"shipments": "{{ ti.xcom_pull(task_ids='x') }}"},
        {"shipments": [{"carrier_code": "usps", "tracking_number": "{{ params.number }}"}]},
        {"shipments": None, "orders": {"{{ ds }}": PARCELS}},
        {"wait_for": "{{ params.count }}"},
        {"trackingmore_conn_id": "{% if x %}a{% endif %}"},
        {"shipments": iter(PARCELS)},
    ],
    ids="-".join,  # an iterator has an address in its text, another one in each process
)
def test_templates_and_iterators_are_refused_where_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    """Airflow reads the attribute at once, or (2.11) when it serializes the DAG."""
    with pytest.raises(InvalidArgumentError, match=r"start_from_trigger takes plain values only.*leave"):
        assert sensor(**arguments, start_from_trigger=True).start_from_trigger


def test_the_result_of_another_task_is_refused_too() -> None:
    with DAG("begins", schedule=None):
        before = BaseOperator(task_id="before")
        with pytest.raises(InvalidArgumentError, match="shipments is a template or comes from another task"):
            assert sensor(shipments=before.output, start_from_trigger=True).start_from_trigger


def test_a_mapped_task_is_refused_with_a_hint() -> None:
    with pytest.raises(InvalidArgumentError, match=r"mapped tasks.*end_from_trigger works"):
        ShipmentDeliveredSensor.partial(task_id="wait", start_from_trigger=True)
    with DAG("mapped", schedule=None):
        mapped = ShipmentDeliveredSensor.partial(task_id="wait", end_from_trigger=True).expand(shipments=[PARCELS])
    assert mapped.task_id == "wait"


def test_invalid_plain_values_are_found_where_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidArgumentError, match="shipment 1: tracking_number is missing"):
        assert sensor(shipments=[{"carrier_code": "usps"}], start_from_trigger=True).start_from_trigger


def test_an_empty_list_begins_on_a_worker() -> None:
    assert not sensor(shipments=[], start_from_trigger=True).start_from_trigger


@needs_start_from_trigger
@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({}, []),
        ({"end_from_trigger": True}, ["released"]),
        ({"end_from_trigger": True, "on_failed": "report"}, ["released", "failed", "timed_out"]),
        ({"end_from_trigger": True, "outlets": [Asset("orders")]}, []),
    ],
    ids=str,
)
def test_only_results_that_need_no_worker_end_in_the_triggerer(settings: dict[str, Any], ends: list[str]) -> None:
    task = sensor(start_from_trigger=True, **settings)
    assert task.start_trigger_args.trigger_kwargs["wait"].get("end_in_triggerer", []) == ends
