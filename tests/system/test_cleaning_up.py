"""Old shipments through Airflow itself: what is archived, stopped and deleted, and that it is done once."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system

DAYS = {
    "SBX-DELIVERED-2D-YOUNG": 50,
    "SBX-DELIVERED-2D-OLD": 70,
    "SBX-NOTFOUND-YOUNG": 80,
    "SBX-NOTFOUND-OLD": 100,
    "SBX-STUCK-OLD": 200,  # on its way: never cleaned up
    "SBX-DELIVERED-2D-ANCIENT": 400,
}
CHANGES = ("POST /trackings/updatemore", "POST /trackings/notupdate", "POST /trackings/delete")


@pytest.fixture
def old_shipments(still_sandbox: SandboxProcess) -> SandboxProcess:
    still_sandbox.seed(
        shipments=[
            {"carrier_code": "dhl", "tracking_number": number, "age_hours": 24 * days} for number, days in DAYS.items()
        ]
    )
    return still_sandbox


def archived(sandbox: SandboxProcess) -> dict[str, bool]:
    return {row["tracking_number"]: row["archived"] for row in sandbox.trackings()}


def numbers(report: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {entry["tracking_number"] for entry in report["done"]}


def test_what_is_old_is_archived_stopped_and_deleted_once(
    old_shipments: SandboxProcess, run_example: RunExample
) -> None:
    first = run_example("cleaning_up")

    assert numbers(first.returned["archive"]) == {"SBX-DELIVERED-2D-OLD", "SBX-DELIVERED-2D-ANCIENT"}
    assert numbers(first.returned["stop"]) == numbers(first.returned["archive_stopped"]) == {"SBX-NOTFOUND-OLD"}
    assert numbers(first.returned["delete"]) == {"SBX-DELIVERED-2D-ANCIENT"}
    assert archived(old_shipments) == {
        "SBX-DELIVERED-2D-YOUNG": False,
        "SBX-DELIVERED-2D-OLD": True,
        "SBX-NOTFOUND-YOUNG": False,
        "SBX-NOTFOUND-OLD": True,
        "SBX-STUCK-OLD": False,
    }
    left = old_shipments.trackings()
    old_shipments.clear_ledger()

    run_example("cleaning_up")

    assert old_shipments.trackings() == left
    assert not {*CHANGES} & {*old_shipments.ledger()["by_endpoint"]}, "only the three lists were read"
