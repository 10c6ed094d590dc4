"""The trigger as Airflow stores it. What it does is tested against the sandbox."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.triggers import shipments
from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting.knowledge import Knowledge
from airflow_provider_trackingmore.waiting.outcomes import Outcome

GOLDEN_PATH = "airflow_provider_trackingmore.triggers.shipments.ShipmentStatusTrigger"
GOLDEN_KWARGS: dict[str, Any] = {
    "shipments": [["usps", "9400100000000000000001"], ["china-post", "RX000000001CN"]],
    "statuses": ["delivered", "pickup"],
    "fail_on": ["exception", "expired"],
    "wait_for": 2,
    "poke_interval": 1800.0,
    "deadline": 1772438400.5,
    "trackingmore_conn_id": "shop",
    "orders": None,
    "settle_seconds": 3600.0,
    "stuck_after": 864000.0,
    "reconcile_seconds": 900.0,
    "look_at": 1772400000.0,
    "ends": ["failed", "released"],
    "push_result": False,
}


def test_the_serialised_form_is_a_promise_to_every_running_triggerer() -> None:
    """Changing it strands deferred tasks: new arguments need a default, old ones stay."""
    assert ShipmentStatusTrigger(**GOLDEN_KWARGS).serialize() == (GOLDEN_PATH, GOLDEN_KWARGS)


def test_the_order_of_statuses_does_not_matter_but_that_of_shipments_does() -> None:
    shuffled = GOLDEN_KWARGS | {"statuses": ("pickup", "delivered"), "fail_on": {"expired", "exception"}}
    assert ShipmentStatusTrigger(**shuffled).serialize() == (GOLDEN_PATH, GOLDEN_KWARGS)


def test_it_survives_the_way_that_airflow_stores_it() -> None:
    from airflow.models.trigger import Trigger

    path, kwargs = ShipmentStatusTrigger(**GOLDEN_KWARGS).serialize()
    stored = Trigger(classpath=path, kwargs=kwargs)
    assert stored.kwargs == GOLDEN_KWARGS
    assert ShipmentStatusTrigger(**stored.kwargs).serialize() == (GOLDEN_PATH, GOLDEN_KWARGS)


def test_it_consists_of_plain_json() -> None:
    _, kwargs = ShipmentStatusTrigger(**GOLDEN_KWARGS).serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs


def test_arguments_of_a_newer_version_are_accepted() -> None:
    newer = ShipmentStatusTrigger(**GOLDEN_KWARGS, of_a_newer_version={"a": 1}, another=None)
    assert newer.serialize() == (GOLDEN_PATH, GOLDEN_KWARGS)


def test_arguments_that_an_older_version_did_not_have_take_their_defaults() -> None:
    _, kwargs = ShipmentStatusTrigger(shipments=GOLDEN_KWARGS["shipments"]).serialize()
    assert kwargs == {
        "shipments": GOLDEN_KWARGS["shipments"],
        "statuses": ["delivered"],
        "fail_on": ["exception", "expired"],
        "wait_for": "all",
        "poke_interval": 60.0,
        "deadline": None,
        "trackingmore_conn_id": "trackingmore_default",
        "orders": None,
        "settle_seconds": 0.0,
        "stuck_after": None,
        "reconcile_seconds": 1800.0,
        "look_at": None,
        "ends": [],
        "push_result": True,
    }


def test_of_a_mapping_only_the_identity_is_kept() -> None:
    parcel = {"carrier_code": "usps", "tracking_number": "1", "customer_email": "ada@example.com"}
    _, kwargs = ShipmentStatusTrigger(shipments=[parcel], orders={"A-1": [parcel]}).serialize()
    assert kwargs["shipments"] == [["usps", "1"]]
    assert kwargs["orders"] == {"A-1": [["usps", "1"]]}


async def test_the_event_loop_sees_to_others_while_news_of_a_long_list_are_read() -> None:
    keys = [ShipmentKey("usps", str(number)) for number in range(10 * shipments.AT_ONCE)]
    news = {key: Outcome(*key, "transit") for key in keys}
    known = Knowledge()
    sizes: set[int] = set()

    async def watch() -> None:
        while len(known) < len(news):
            sizes.add(len(known))
            await asyncio.sleep(0)

    await asyncio.gather(watch(), shipments._take(news, known))
    assert all(known.of(key) == news[key] for key in keys)
    assert len(sizes) >= 10


@pytest.mark.parametrize("argument", sorted(GOLDEN_KWARGS))
def test_no_argument_can_carry_a_key(argument: str) -> None:
    assert not any(word in argument for word in ("key", "password", "secret", "token"))
