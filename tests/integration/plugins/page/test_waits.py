"""The open waits as JSON, from Airflow's database: access, search, sorting and pages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import deferred_rows
from benchmarks.deferred_rows import Row
from tests.integration.plugins.page.conftest import ROLES

if TYPE_CHECKING:
    from tests.integration.plugins.page.conftest import ApiServer

P1 = {"carrier_code": "usps", "tracking_number": "NUMBER-ONE"}
P2 = {"carrier_code": "dhl", "tracking_number": "number-two"}
FAR = time.time() + 9_999


@pytest.fixture
def rows(airflow_database: None) -> Iterator[None]:
    deferred_rows.clear()
    yield
    deferred_rows.clear()


@pytest.fixture
def waits(rows: None) -> list[int | None]:
    """Four waits in three DAGs, and tasks that are not deferred waits."""
    return deferred_rows.insert(
        [
            Row("orders", wait={"shipments": [P1, P2], "deadline": FAR}),
            Row("orders", "by_order", wait={"orders": {"1007": [P1], "1008": [P2], "1009": [P1, P2]}}),
            Row("mapped", map_index=3, wait={"shipments": [P2]}, columns={"rendered_map_index": "Order 77"}),
            Row("late", wait={"shipments": [P1], "deadline": 1_000.0, "trackingmore_conn_id": "second"}),
            Row("others", operator="FileSensor", stored={"path": "a"}, class_path="airflow.triggers.file.FileTrigger"),
            Row("others", "done", state="success"),
            Row("others", "poking", state="running"),
            Row("others", "bash", state="running", operator="BashOperator"),
        ]
    )


def read(api_server: ApiServer, role: str | None = "viewer", **query: object) -> dict[str, Any]:
    answer = api_server.get("api/waits", role, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def tasks(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(wait["dag_id"], wait["task_id"]) for wait in found["waits"]]


def test_each_wait_is_described(api_server: ApiServer, waits: list[int | None]) -> None:
    found = read(api_server)
    assert (found["total"], found["all"], found["late"]) == (4, 4, 1)
    (wait,) = (wait for wait in found["waits"] if wait["task_id"] == "by_order")
    assert wait == {
        "trigger_id": waits[1],
        "dag_id": "orders",
        "run_id": "manual__2026-11-29T08:00:00+00:00",
        "task_id": "by_order",
        "map_index": -1,
        "label": None,
        "conn_id": "trackingmore_default",
        "orders": ["1007", "1008", "1009"],
        "order_count": 3,
        "shipments": 2,
        "statuses": None,
        "waiting_since": "2026-11-29T08:00:00Z",
        "next_check": None,
        "deadline": None,
        "is_late": False,
        "late_reason": None,
    }
    (mapped,) = (wait for wait in found["waits"] if wait["dag_id"] == "mapped")
    assert (mapped["map_index"], mapped["label"]) == (3, "Order 77")


def test_late_ones_come_first_and_say_why(api_server: ApiServer, waits: list[int | None]) -> None:
    found = read(api_server)
    assert found["waits"][0]["dag_id"] == "late"
    assert (found["waits"][0]["is_late"], found["waits"][0]["late_reason"]) == (True, "deadline")
    assert tasks(read(api_server, late=True)) == [("late", "wait")]


def test_sensors_that_are_not_deferred_are_counted(api_server: ApiServer, waits: list[int | None]) -> None:
    found = read(api_server)
    assert found["poke_waits"] == 1


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("number-ONE", {"wait", "by_order"}),
        ("one", {"wait", "by_order"}),
        ("1008", {"by_order"}),
        ("order 77", {"mapped"}),
        (" Mapped ", {"mapped"}),
        ("usps", set()),
        ("two\nmapped", set()),
        ("nothing", set()),
    ],
)
def test_search(api_server: ApiServer, waits: list[int | None], search: str, expected: set[str]) -> None:
    found = read(api_server, search=search)
    assert {wait["dag_id"] if wait["dag_id"] == "mapped" else wait["task_id"] for wait in found["waits"]} == expected
    assert found["all"] == 4


def test_sorting_puts_waits_without_a_value_last_in_both_directions(
    api_server: ApiServer, waits: list[int | None]
) -> None:
    def deadlines(**query: object) -> list[str]:
        return [wait["dag_id"] for wait in read(api_server, sort="deadline", **query)["waits"]]

    assert deadlines() == ["late", "orders", "orders", "mapped"]
    assert deadlines(descending=True) == ["orders", "late", "orders", "mapped"]
    assert [wait["dag_id"] for wait in read(api_server, sort="dag_id", descending=True)["waits"]] == [
        "orders", "orders", "mapped", "late",
    ]  # fmt: skip
    assert [wait["shipments"] for wait in read(api_server, sort="shipments")["waits"]] == [1, 1, 2, 2]


def test_pages(api_server: ApiServer, waits: list[int | None]) -> None:
    everything = tasks(read(api_server, sort="dag_id"))
    pages = [tasks(read(api_server, sort="dag_id", limit=3, offset=offset)) for offset in (0, 3, 6)]
    assert pages == [everything[:3], everything[3:], []]


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 501}, {"offset": -1}, {"sort": "password"}, {"search": "x" * 201}]
)
def test_an_invalid_query_is_refused_with_the_name_of_what_is_wrong(
    api_server: ApiServer, query: dict[str, object]
) -> None:
    answer = api_server.get("api/waits", params=query)
    assert (answer.status_code, answer.json()["detail"]["message"]) == (422, f"Invalid: {next(iter(query))}")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_the_waits_of_all_dags(api_server: ApiServer, waits: list[int | None], role: str) -> None:
    assert read(api_server, role)["all"] == 4


def test_waits_of_dags_that_the_user_may_not_read_are_left_out(
    api_server: ApiServer, waits: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def filter_dags(_: object, *, dag_ids: set[str], **more: object) -> set[str]:
        return {dag_id for dag_id in dag_ids if dag_id == "mapped"}

    monkeypatch.setattr(SimpleAuthManager, "filter_authorized_dag_ids", filter_dags)
    found = read(api_server)
    assert (found["total"], found["all"], found["late"], found["poke_waits"]) == (1, 1, 0, 0)
    assert tasks(found) == [("mapped", "wait")]
    assert read(api_server, search="1008")["total"] == 0
    assert wait_of(api_server, "orders").status_code == 404
    assert wait_of(api_server, "no_such_dag").json() == wait_of(api_server, "orders").json()


def test_without_access_to_task_instances_a_user_sees_no_wait(
    api_server: ApiServer, waits: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def refuse(_: object, *, access_entity: DagAccessEntity | None = None, **more: object) -> bool:
        return access_entity is not DagAccessEntity.TASK_INSTANCE

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", refuse)
    assert read(api_server)["all"] == 0
    assert wait_of(api_server, "orders").status_code == 404


def test_a_new_wait_is_seen_and_one_that_has_ended_is_not(
    api_server: ApiServer, waits: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_trackingmore.plugins.page import wait_index

    read(api_server)
    monkeypatch.setattr(wait_index, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(wait_index, "OLD_SECONDS", 0.0)
    deferred_rows.insert([Row("new", wait={"shipments": [P1]})])
    assert read(api_server)["all"] == 5
    deferred_rows.clear()
    assert read(api_server)["all"] == 0


def test_a_damaged_trigger_does_not_hide_the_others(api_server: ApiServer, rows: None) -> None:
    deferred_rows.insert(
        [
            Row("damaged", stored={"version": 1, "shipments": "x"}),
            Row("newer", stored={"version": 99}),
            Row("sound", wait={"shipments": [P1]}),
        ]
    )
    assert {wait["dag_id"]: wait["shipments"] for wait in read(api_server)["waits"]} == {
        "damaged": 0, "newer": 0, "sound": 1,
    }  # fmt: skip


def wait_of(api_server: ApiServer, dag_id: str, task_id: str = "wait", **more: object) -> Any:
    query = {"dag_id": dag_id, "run_id": "manual__2026-11-29T08:00:00+00:00", "task_id": task_id, **more}
    return api_server.get("api/wait", params=query)


def test_one_wait(api_server: ApiServer, waits: list[int | None]) -> None:
    found = wait_of(api_server, "orders", "by_order").json()
    assert found["is_wait"] is True
    assert found["wait"]["trigger_id"] == waits[1]
    assert (found["wait"]["statuses_wanted"], found["wait"]["wait_for"]) == (["delivered"], "all")


def test_a_task_that_is_not_mapped_has_the_literal_placeholder_as_its_map_index(
    api_server: ApiServer, waits: list[int | None]
) -> None:
    assert wait_of(api_server, "orders", map_index="{MAP_INDEX}").json()["is_wait"] is True
    assert wait_of(api_server, "mapped", map_index="3").json()["is_wait"] is True
    for other in ("{MAP_INDEX}", "4", "9" * 30):
        assert wait_of(api_server, "mapped", map_index=other).status_code == 404


def test_a_space_in_a_run_stands_for_a_plus_too(api_server: ApiServer, waits: list[int | None]) -> None:
    found = wait_of(api_server, "orders", run_id="manual__2026-11-29T08:00:00 00:00").json()
    assert found["wait"]["run_id"] == "manual__2026-11-29T08:00:00+00:00"


@pytest.mark.parametrize(
    ("task_id", "reason", "state"),
    [
        ("wait", "not_a_sensor", "deferred"),
        ("bash", "not_a_sensor", "running"),
        ("done", "not_deferred", "success"),
        ("poking", "not_deferred", "running"),
    ],
)
def test_a_task_that_is_not_a_deferred_wait(
    api_server: ApiServer, waits: list[int | None], task_id: str, reason: str, state: str
) -> None:
    assert wait_of(api_server, "others", task_id).json() == {"is_wait": False, "reason": reason, "state": state}


def test_an_unknown_task_instance(api_server: ApiServer, waits: list[int | None]) -> None:
    assert wait_of(api_server, "orders", "nothing").status_code == 404
    assert api_server.get("api/wait", params={"dag_id": "orders"}).status_code == 422


def test_an_unexpected_error_is_json_without_its_text(
    api_server: ApiServer, waits: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_trackingmore.plugins.page import routes

    def fail(*_: object) -> None:
        raise RuntimeError("postgresql://user:a-password@host")

    monkeypatch.setattr(routes, "readable_dag_ids", fail)
    answer = api_server.get("api/waits")
    assert (answer.status_code, set(answer.json()["detail"])) == (500, {"message", "hint"})
    assert "a-password" not in answer.text


def test_if_the_database_fails_the_page_says_so(
    api_server: ApiServer, rows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits

    def fail(_: object) -> None:
        raise RuntimeError("a-password")

    monkeypatch.setattr(DeferredWaits, "refresh", fail)
    answer = api_server.get("api/waits")
    assert (answer.status_code, answer.json()["detail"]["message"]) == (503, "The open waits cannot be read.")


def test_while_the_waits_are_read_for_the_first_time_the_page_says_so(
    api_server: ApiServer, waits: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_trackingmore.plugins.page import wait_index

    monkeypatch.setattr(wait_index, "PATIENCE_SECONDS", 0.0)
    answer = api_server.get("api/waits")
    assert (answer.status_code, "first time" in answer.json()["detail"]["message"]) == (503, True)
