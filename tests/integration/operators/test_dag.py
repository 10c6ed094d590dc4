"""Every operator in one DAG run by ``dag.test()``, and the links of each task instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow import __version__ as airflow_version

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.distribution import ROOT, write_distribution
from tests.integration.airflow.conftest import KEYS, Run, connections
from tests.integration.operators.dags.every_operator import FIRST, MODES, NUMBER, PLACE, SECOND, THIRD, WAYBILL

FOLDER = Path(__file__).parent
DAG_FILE = FOLDER / "dags" / "every_operator.py"
HAS_RETRY_POLICIES = tuple(map(int, airflow_version.split(".")[:2])) >= (3, 3)


class Ran(NamedTuple):
    """The run, the calls it made, and the links that were read after it."""

    run: Run
    calls: Counter[str]
    links: dict[str, list[str | None]]


@pytest.fixture(scope="module")
def ran(
    _running: SandboxProcess,
    run_dag_file: Callable[..., Run],
    tmp_path_factory: pytest.TempPathFactory,
) -> Ran:
    _running.reset()
    _running.freeze()
    run = run_dag_file(DAG_FILE, "every_operator", connections(_running))
    calls = Counter(call["endpoint"] for call in _running.calls(account=0))
    return Ran(run, calls, links(tmp_path_factory.mktemp("links")))


def links(folder: Path) -> dict[str, list[str | None]]:
    """Read the links in a process that has no connection."""
    write_distribution(folder)  # the web server of Airflow 2 shows only links that an installed provider lists
    variables = {
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))),
        "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER / "dags"),
    }
    report = folder / "links.json"
    command = [sys.executable, str(FOLDER / "read_links.py"), str(DAG_FILE), "every_operator", str(report)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | variables, timeout=900
    )
    assert report.exists(), done.stdout
    found: dict[str, list[str | None]] = json.loads(report.read_text())
    return found


def public_page(shipment: dict[str, str]) -> str:
    return f"https://www.trackingmore.com/track/en/{shipment['tracking_number']}?express={shipment['carrier_code']}"


def test_every_task_succeeds_except_for_those_without_access(ran: Ran) -> None:
    assert {name: task["state"] for name, task in ran.run.tasks.items() if task["state"] != "success"} == {
        "real_site": "failed",
        "wrong_key": "failed",
    }
    assert len(ran.run.tasks) > 40


def test_mapped_tasks_and_xcom_references_return_the_expected_results(ran: Ran) -> None:
    def returned(task: str, index: int | None = None) -> Any:
        return ran.run.returned(task if index is None else f"{task}[{index}]")

    nothing: dict[str, list[Any]] = {"unchanged": [], "rejected": []}
    everyone = [FIRST, SECOND, THIRD]
    assert [returned("create", index)["created"] for index in (0, 1)] == [[FIRST], [SECOND, THIRD]]
    assert [len(returned("get", index)["found"]) for index in (0, 1)] == [1, 2]
    assert [shipment["tracking_number"] for shipment in returned("get_together")["found"]] == [
        shipment["tracking_number"] for shipment in everyone
    ]
    assert [returned("update", index) for index in (0, 1)] == [{"done": everyone} | nothing] * 2
    assert [returned("list", index)["rows"] for index in (0, 1, 2)] == [3, 0, 3], "archived, not archived, pending"
    assert {shipment["order_id"] for shipment in returned("list", 0)["trackings"]} == {"every_operator"}
    assert [returned("count", index)["pending"] for index in (0, 1)] == [3, 0]
    assert [len(returned("realtime", index)["done"]) for index in (0, 1)] == [1, 2]
    assert [returned("stop", index) for index in (0, 1)] == [
        {"done": [FIRST]} | nothing,
        {"done": [SECOND, THIRD]} | nothing,
    ]
    assert [returned("change", index) for index in (0, 1)] == [
        shipment | {"carrier_code": "dhl"} for shipment in (FIRST, SECOND)
    ]
    assert ["raw" in returned("carriers", index)[0] for index in (0, 1)] == [False, True]
    assert [returned("detect", index)["detected"][0]["carrier_code"] for index in (0, 1)] == ["usps", "usps"]
    assert returned("create_detected")["created"] == [{"carrier_code": "usps", "tracking_number": NUMBER}]
    assert returned("lanes", 0) == returned("lanes", 1)
    assert [returned("remote", index)[0]["postcode"] for index in (0, 1)] == [PLACE["postcode"]] * 2
    assert [list(returned("air", index)) for index in (0, 1)] == [[WAYBILL]] * 2
    assert ["raw" in returned("account", index) for index in (0, 1)] == [False, True]
    assert returned("without_xcom") is None
    assert returned("delete", 0)["done"] == [THIRD]
    assert returned("delete", 1)["done"] == []
    assert returned("delete", 2)["done"] == [FIRST | {"carrier_code": "dhl"}]
    assert returned("delete", 2)["unchanged"] == [FIRST], "it has another carrier now"


def test_no_task_makes_more_calls_than_necessary(ran: Ran) -> None:
    assert {endpoint: times for endpoint, times in ran.calls.items() if endpoint != "GET /trackings/get"} == {
        "POST /trackings/batch": 3,
        "POST /trackings/updatemore": 2,
        "GET /trackings/getstatusnumber": 2,
        "POST /trackings/realtime": 3,
        "POST /trackings/notupdate": 2,
        "POST /trackings/update": 2,
        "GET /carriers": 2,
        "POST /carriers/detect": 2,
        "POST /trackings/costtime": 2,
        "POST /trackings/remote": 2,
        "POST /trackings/aircargo": 2,
        "POST /trackings/delete": 2,
        "GET /trackings/getuserinfo": 6,  # two tasks, and the floors of four
    }


def test_shipments_at_trackingmore_have_links_to_their_public_pages(ran: Ran) -> None:
    assert ran.links["real_site"] == [public_page(FIRST), public_page(SECOND), None]


def test_shipments_of_the_sandbox_have_no_links(ran: Ran) -> None:
    assert {task for task, urls in ran.links.items() if any(urls)} == {"real_site"}
    for mode in MODES:
        assert ran.run.returned(f"wait_{mode}[0]")[0]["outcome"] == "timed_out"


@pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="Airflow has retry policies since 3.3")
def test_the_retry_policy_ends_a_task_whose_key_is_wrong_at_its_first_try(ran: Ran) -> None:
    assert ran.run.tasks["wrong_key"]["tries"] == 1
    assert "AuthenticationError: a retry would fail in the same way" in ran.run.log


def test_no_log_xcom_or_link_contains_a_key(ran: Ran) -> None:
    shown = ran.run.log + str(ran.run.tasks) + str(ran.links)
    for secret in (*KEYS, "wrong-key-4d5e6f"):
        assert secret not in shown
