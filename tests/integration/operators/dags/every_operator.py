"""Every operator, mapped, with the results of other tasks and with templates; sensors in each mode, for their links."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, chain, task

from airflow_provider_trackingmore.operators.account import GetAccountOperator
from airflow_provider_trackingmore.operators.air_cargo import TrackAirCargoOperator
from airflow_provider_trackingmore.operators.carriers import (
    DetectCarrierOperator,
    ListCarriersOperator,
    RemoteAreasOperator,
    TransitTimesOperator,
)
from airflow_provider_trackingmore.operators.trackings import (
    ChangeCarrierOperator,
    CountByStatusOperator,
    CreateTrackingsOperator,
    DeleteTrackingsOperator,
    GetTrackingsOperator,
    ListTrackingsOperator,
    RealtimeTrackOperator,
    StopUpdatesOperator,
    UpdateTrackingsOperator,
)
from airflow_provider_trackingmore.retry_policies import TRACKINGMORE_RETRY_POLICY
from airflow_provider_trackingmore.sensors.shipments import ShipmentStatusSensor

FIRST, SECOND, THIRD = ({"carrier_code": "usps", "tracking_number": f"SBX-STUCK-{name}"} for name in "abc")
LANE = {"carrier_code": "usps", "original": "CN", "destination": "US"}
PLACE = {"country": "US", "postcode": "REMOTE-1", "company": "ups"}
WAYBILL = "172-31415926"
NUMBER = "94001118992233445566"
MODES: dict[str, dict[str, Any]] = {"poke": {}, "reschedule": {"mode": "reschedule"}, "deferred": {"deferrable": True}}

with DAG(
    "every_operator",
    start_date=pendulum.datetime(2026, 1, 1),
    schedule=None,
    params={"raw": False, "most": 100, "floor": 5, "pick": "first", "nothing": None},
    default_args={"retry_policy": TRACKINGMORE_RETRY_POLICY, "retry_delay": timedelta(0)},
) as dag:

    @task
    def orders() -> list[list[dict[str, str]]]:
        return [[FIRST], [SECOND, THIRD]]

    @task
    def all_of(lists: Any) -> list[dict[str, str]]:
        return [entry for entries in lists for entry in entries]

    @task
    def given(value: Any) -> Any:
        return value

    @task
    def detected(results: Any) -> list[dict[str, Any]]:
        return [entry for result in results for entry in result["detected"]]

    each = orders()
    together: Any = all_of(each)
    raw: Any = "{{ params.raw }}"
    floor: Any = "{{ params.floor }}"
    detect = DetectCarrierOperator.partial(task_id="detect", pick="{{ params.pick }}", quota_floor=floor).expand(
        tracking_numbers=[NUMBER, [NUMBER]]
    )
    # One after the other: each finds the shipments that those before it have left.
    chain(
        CreateTrackingsOperator.partial(task_id="create", quota_floor=floor).expand(shipments=each),
        GetTrackingsOperator.partial(task_id="get", include_raw=raw).expand(shipments=each),
        GetTrackingsOperator(task_id="get_together", shipments=together),
        UpdateTrackingsOperator.partial(task_id="update", shipments=together).expand(
            changes=[{"order_id": "{{ dag.dag_id }}"}, {"archived": "{{ 1 == 1 }}"}]
        ),
        ListTrackingsOperator.partial(
            task_id="list", max_rows="{{ params.most }}", path="{{ params.nothing }}", include_raw=raw
        ).expand(filters=[{"archived": "{{ 1 == 1 }}"}, {"archived": "{{ 1 == 2 }}"}, {"status": "{{ 'pending' }}"}]),
        CountByStatusOperator.partial(task_id="count").expand(
            filters=given.override(task_id="filters")([{}, {"created_at_min": "2030-01-01T00:00:00+00:00"}])
        ),
        RealtimeTrackOperator.partial(task_id="realtime").expand(shipments=each),
        StopUpdatesOperator.partial(task_id="stop").expand(shipments=each),
        ChangeCarrierOperator.partial(task_id="change", new_carrier_code="{{ 'dhl' }}").expand_kwargs([FIRST, SECOND]),
        ListCarriersOperator.partial(task_id="carriers", lang="{{ params.nothing }}").expand(include_raw=[raw, True]),
        detect,
        CreateTrackingsOperator(task_id="create_detected", shipments=detected(detect.output)),
        TransitTimesOperator.partial(task_id="lanes").expand(
            lanes=given.override(task_id="lanes_given")([LANE, [LANE]])
        ),
        RemoteAreasOperator.partial(task_id="remote").expand(places=[PLACE, [PLACE, PLACE]]),
        TrackAirCargoOperator.partial(task_id="air", retries=0).expand(waybills=[WAYBILL, [WAYBILL]]),
        GetAccountOperator.partial(task_id="account").expand(include_raw=[raw, "True"]),
        GetTrackingsOperator(task_id="without_xcom", shipments=[THIRD], do_xcom_push=False),
        *(
            ShipmentStatusSensor.partial(
                task_id=f"wait_{mode}",
                statuses=["delivered"],
                on_failed="report",
                timeout=1,
                poke_interval=0.3,
                **how,
            ).expand(shipments=[[THIRD], [THIRD, FIRST | {"carrier_code": "dhl"}]])
            for mode, how in MODES.items()
        ),
        DeleteTrackingsOperator.partial(task_id="delete").expand(
            shipments=[THIRD, [], [FIRST, FIRST | {"carrier_code": "dhl"}]]
        ),
    )
    GetTrackingsOperator(
        task_id="real_site", shipments=[FIRST, SECOND], trackingmore_conn_id="trackingmore_behind_proxy"
    )
    GetAccountOperator(task_id="wrong_key", trackingmore_conn_id="trackingmore_wrong_key", retries=2)
