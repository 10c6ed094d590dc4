"""The stored form of the trigger. Its behaviour is tested against the sandbox."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting.outcome import WaitResult
from airflow_provider_trackingmore.waiting.spec import WaitSpec

GOLDEN_PATH = "airflow_provider_trackingmore.triggers.shipments.ShipmentStatusTrigger"
GOLDEN_SPEC = WaitSpec.create(
    shipments=[
        {"carrier_code": "usps", "tracking_number": "9400100000000000000001"},
        {"carrier_code": "usps", "tracking_number": "9400100000000000000002"},
        {"carrier_code": "china-post", "tracking_number": "RX000000001CN"},
        {"carrier_code": "usps", "tracking_number": "9400100000000000000003"},
    ],
    statuses=["delivered", "pickup"],
    wait_for=2,
    settle_seconds=3600,
    stuck_after=864_000,
    poke_interval=1800,
    reconcile_seconds=900,
    deadline=1772438400.5,
    first_check_at=1772400000.0,
    end_in_triggerer=[WaitResult.RELEASED, WaitResult.FAILED],
    push_result=False,
    trackingmore_conn_id="shop",
)
GOLDEN_WAIT: dict[str, Any] = {
    "version": 1,
    "carriers": ["usps", "china-post"],
    "shipments": [
        [0, "9400100000000000000001", "9400100000000000000002"],
        [1, "RX000000001CN"],
        [0, "9400100000000000000003"],
    ],
    "statuses": ["delivered", "pickup"],
    "wait_for": 2,
    "settle_seconds": 3600.0,
    "stuck_after": 864000.0,
    "poke_interval": 1800.0,
    "reconcile_seconds": 900.0,
    "deadline": 1772438400.5,
    "first_check_at": 1772400000.0,
    "end_in_triggerer": ["released", "failed"],
    "push_result": False,
    "trackingmore_conn_id": "shop",
}
PARCEL = {"carrier_code": "usps", "tracking_number": "1", "customer_email": "ada@example.com"}


def test_the_stored_form_is_a_promise_to_every_running_triggerer() -> None:
    """A changed form strands deferred tasks: new options need a default, and old ones stay."""
    assert ShipmentStatusTrigger(GOLDEN_SPEC).serialize() == (GOLDEN_PATH, {"wait": GOLDEN_WAIT})
    assert WaitSpec.from_dict(GOLDEN_WAIT) == GOLDEN_SPEC


def test_airflow_stores_and_loads_it_unchanged() -> None:
    from airflow.models.trigger import Trigger

    path, kwargs = ShipmentStatusTrigger(GOLDEN_SPEC).serialize()
    stored = Trigger(classpath=path, kwargs=kwargs)
    assert stored.kwargs == kwargs
    assert ShipmentStatusTrigger(**stored.kwargs).serialize() == (path, kwargs)


def test_it_consists_of_plain_json() -> None:
    _, kwargs = ShipmentStatusTrigger(GOLDEN_SPEC).serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs


def test_arguments_and_options_of_a_newer_version_are_accepted() -> None:
    newer = ShipmentStatusTrigger(GOLDEN_WAIT | {"of_a_newer_version": {"a": 1}}, another=None)
    assert WaitSpec.from_dict(newer.serialize()[1]["wait"]) == GOLDEN_SPEC


def test_defaults_are_not_stored() -> None:
    _, kwargs = ShipmentStatusTrigger(WaitSpec.create(shipments=[PARCEL])).serialize()
    assert kwargs == {"wait": {"version": 1, "carriers": ["usps"], "shipments": [[0, "1"]]}}


def test_of_a_mapping_only_the_identity_is_kept() -> None:
    _, kwargs = ShipmentStatusTrigger(WaitSpec.create(orders={"A-1": [PARCEL]})).serialize()
    assert kwargs == {"wait": {"version": 1, "carriers": ["usps"], "orders": {"A-1": [[0, "1"]]}}}


def test_five_thousand_numbers_of_one_carrier_take_little_more_than_their_digits() -> None:
    parcels = [{"carrier_code": "usps", "tracking_number": f"94001{number:017}"} for number in range(5000)]
    _, kwargs = ShipmentStatusTrigger(WaitSpec.create(shipments=parcels)).serialize()
    assert len(json.dumps(kwargs)) < 5000 * (22 + 4) + 200
