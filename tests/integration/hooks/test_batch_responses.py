"""Hook and operators report changes and deletions correctly, whatever the form of the response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.exceptions import ShipmentsRejectedError
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.operators.base import ShipmentsBaseOperator
from airflow_provider_trackingmore.operators.trackings import (
    DeleteTrackingsOperator,
    StopUpdatesOperator,
    UpdateTrackingsOperator,
)
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sandbox.switches import SWITCHES

Shipments = Callable[..., list[dict[str, Any]]]
Report = dict[str, list[dict[str, Any]]]
Run = Callable[[str, list[dict[str, Any]]], Report]

LISTS, COUNTS = SWITCHES["item_reports"].values, SWITCHES["report_counts"].values
EVERY_FORM: list[dict[str, str]] = [
    *({"item_reports": lists, "report_counts": counts} for lists in LISTS for counts in COUNTS),
    *({"item_reports": lists, "unchanged_count": "left-out"} for lists in LISTS),
    *({"item_meta": meta} for meta in ("all", "none")),
    {"updatemore_form": "empty"},
]
every_form = pytest.mark.parametrize("form", EVERY_FORM, ids=lambda form: " ".join(form.values()))

JOBS: dict[str, tuple[Callable[[TrackingMoreHook, Any], Any], type[ShipmentsBaseOperator]]] = {
    "update": (lambda hook, shipments: hook.update_trackings(shipments), UpdateTrackingsOperator),
    "stop": (lambda hook, shipments: hook.stop_updates(shipments), StopUpdatesOperator),
    "delete": (lambda hook, shipments: hook.delete_trackings(shipments), DeleteTrackingsOperator),
}
PATHS = {"update": "/trackings/updatemore", "stop": "/trackings/notupdate", "delete": "/trackings/delete"}


@pytest.fixture(params=["hook", "operator"])
def run(request: pytest.FixtureRequest, hook: TrackingMoreHook) -> Run:
    """Do a job with the hook, or with the operator."""

    def run_job(job: str, shipments: list[dict[str, Any]]) -> Report:
        use, operator = JOBS[job]
        shipments = [shipment | ({"title": "New"} if job == "update" else {}) for shipment in shipments]
        if request.param == "hook":
            return use(hook, shipments).as_dict()
        return operator(task_id="t", shipments=shipments, on_rejected="report").execute({})

    return run_job


def numbers(entries: list[dict[str, Any]]) -> set[str]:
    return {entry["tracking_number"] for entry in entries}


def updates_are_stopped(sandbox: SandboxProcess) -> bool:
    return not any(row["track_update"] for row in sandbox.trackings())


@every_form
@pytest.mark.parametrize("job", ["update", "stop"])
def test_only_registered_shipments_are_changed_or_stopped(
    run: Run, sandbox: SandboxProcess, shipments: Shipments, form: dict[str, str], job: str
) -> None:
    sandbox.switch(**form)
    registered, missing = shipments(43), shipments(4, "dhl", first=100)
    sandbox.seed(shipments=registered)
    report = run(job, [*missing[:2], *registered, *missing[2:]])
    assert (numbers(report["done"]), report["unchanged"]) == (numbers(registered), [])
    assert numbers(report["rejected"]) == numbers(missing)
    named = form.get("item_reports", "full") == "full" and not (job == "update" and "updatemore_form" in form)
    assert {item["code"] for item in report["rejected"]} == ({4017} if named else {None})
    assert all("register it first" in item["message"] or named for item in report["rejected"])
    assert updates_are_stopped(sandbox) or job == "update"
    # A second run never reports unregistered shipments as done.
    again = run(job, [*missing, *registered])
    assert numbers(again["rejected"]) == numbers(missing)
    assert numbers(again["done"]) | numbers(again["unchanged"]) == numbers(registered)


@every_form
def test_deleted_shipments_are_done_or_unchanged(
    run: Run, sandbox: SandboxProcess, shipments: Shipments, form: dict[str, str]
) -> None:
    sandbox.switch(**form)
    registered, missing = shipments(43), shipments(4, "dhl", first=100)
    sandbox.seed(shipments=registered)
    report = run("delete", [*missing[:2], *registered, *missing[2:]])
    assert numbers(registered) <= numbers(report["done"])
    assert numbers(report["done"]) | numbers(report["unchanged"]) == numbers(registered) | numbers(missing)
    assert numbers(report["unchanged"]) == (numbers(missing) if form.get("item_reports", "full") == "full" else set())
    assert report["rejected"] == []
    assert sandbox.trackings() == []


@every_form
def test_shipments_that_a_deletion_leaves_are_deleted_again(
    run: Run, sandbox: SandboxProcess, shipments: Shipments, form: dict[str, str]
) -> None:
    sandbox.switch(**form)
    registered = shipments(5)
    sandbox.seed(shipments=registered)
    sandbox.fault("half_done", path="/trackings/delete")
    report = run("delete", registered)
    assert numbers(report["done"]) == numbers(registered)
    assert report["unchanged"] == report["rejected"] == []
    assert sandbox.trackings() == []
    assert [call["body"]["items"] for call in sandbox.calls("POST", "/trackings/delete")] == [5, 3]


@every_form
def test_shipments_that_survive_two_deletions_are_rejected(
    run: Run, sandbox: SandboxProcess, shipments: Shipments, form: dict[str, str]
) -> None:
    sandbox.switch(**form)
    registered = shipments(5)
    sandbox.seed(shipments=registered)
    sandbox.fault("half_done", path="/trackings/delete", count=None)
    report = run("delete", registered)
    left = numbers(sandbox.trackings())
    assert numbers(report["rejected"]) == left == numbers(registered[3:])
    assert numbers(report["done"]) == numbers(registered[:3])
    assert "still registered after two attempts to delete it: run it again" in report["rejected"][0]["message"]


@every_form
@pytest.mark.parametrize("job", ["update", "stop"])
def test_a_shipment_that_was_not_changed_is_not_reported_as_done_if_the_response_has_counts(
    run: Run, sandbox: SandboxProcess, shipments: Shipments, form: dict[str, str], job: str
) -> None:
    sandbox.switch(**form)
    registered = shipments(4)
    sandbox.seed(shipments=registered)
    sandbox.fault("half_done", path=PATHS[job])
    report = run(job, registered)
    assert report["rejected"] == []
    has_no_counts = form.get("report_counts") == "absent" or (job == "update" and "updatemore_form" in form)
    if not has_no_counts:
        listed = form.get("item_reports", "full") in ("full", "done")
        assert numbers(report["done"]) == (numbers(registered[:2]) if listed else set())
        assert numbers(report["unchanged"]) == numbers(registered) - numbers(report["done"])


def test_a_shipment_that_is_not_registered_fails_the_task(sandbox: SandboxProcess, shipments: Shipments) -> None:
    sandbox.switch(item_reports="bare")
    sandbox.seed(shipments=shipments(3))
    for operator in (StopUpdatesOperator, UpdateTrackingsOperator):
        rows = [shipment | {"title": "New"} for shipment in shipments(4)]
        with pytest.raises(
            ShipmentsRejectedError, match=r"1 of 4 shipments were rejected: usps SBX-PENDING-00003: not"
        ):
            operator(task_id="t", shipments=rows).execute({})
