"""The arguments of the trigger that reports changes, and their stored form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.triggers import base

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.triggers.shipment_changes import ShipmentChangesTrigger

needs_watchers = pytest.mark.skipif(not hasattr(base, "BaseEventTrigger"), reason="they came with Airflow 3.0")


def test_before_airflow_3_the_error_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(base, "BaseEventTrigger", raising=False)
    with pytest.raises(InvalidArgumentError, match=r"needs Airflow 3\.0 or later"):
        ShipmentChangesTrigger(name="shop")


@needs_watchers
@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"statuses": []}, "statuses"),
        ({"statuses": ["gone"]}, "statuses"),
        ({"filters": {"update_time_min": 5}}, "update_time_min"),
        ({"filters": {"status": "transit"}}, "status"),
        ({"filters": {"colour": "red"}}, "colour"),
        ({"poke_interval": "soon"}, "poke_interval"),
        ({"reconcile_seconds": -1}, "reconcile_seconds"),
        ({"max_changes_per_event": 0}, "max_changes_per_event"),
        ({"max_changes_per_event": True}, "max_changes_per_event"),
        ({"account": ""}, "account"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(wrong: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgumentError, match=argument):
        ShipmentChangesTrigger(**{"name": "shop", **wrong})


@needs_watchers
def test_the_stored_form_creates_the_same_trigger() -> None:
    given: dict[str, Any] = {
        "name": "shop",
        "account": "europe",
        "statuses": ("exception", "delivered"),
        "filters": {"created_at_min": datetime(2026, 1, 1, tzinfo=UTC), "numbers": ("A", "B"), "lang": None},
        "poke_interval": 60,
        "include_existing": True,
        "max_changes_per_event": 5,
    }
    path, stored = ShipmentChangesTrigger(**given).serialize()
    assert path == "airflow_provider_trackingmore.triggers.shipment_changes.ShipmentChangesTrigger"
    assert stored == {
        "name": "shop",
        "account": "europe",
        "statuses": ["delivered", "exception"],
        "filters": {"created_at_min": 1767225600, "numbers": ["A", "B"]},
        "poke_interval": 60.0,
        "include_existing": True,
        "max_changes_per_event": 5,
    }
    assert json.loads(json.dumps(stored)) == stored
    assert ShipmentChangesTrigger(**stored, of_a_newer_version=1).serialize() == (path, stored)


@needs_watchers
def test_defaults_are_not_stored_so_that_the_watcher_stays_the_same_in_later_versions() -> None:
    assert ShipmentChangesTrigger(name="shop").serialize()[1] == {"name": "shop"}
