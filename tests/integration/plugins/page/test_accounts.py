"""The accounts as JSON: reports from Airflow's Variables, and which connections are named."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.status_reports.report import StatusReport, report_name
from airflow_provider_trackingmore.waiting.progress import WaitProgress
from benchmarks import deferred_rows
from benchmarks.deferred_rows import Row

if TYPE_CHECKING:
    from tests.integration.plugins.page.conftest import ApiServer

KEY = "a-key-that-nobody-may-see"
ACCOUNT = ClientSettings(api_key=KEY).fingerprint
SHIPMENT = {"carrier_code": "usps", "tracking_number": "P1"}


@pytest.fixture
def trigger_id(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A wait with a report about it, in a Variable."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "trackingmore", "password": KEY}))
    deferred_rows.clear()
    (trigger_id,) = deferred_rows.insert(
        [Row("orders", wait={"shipments": [SHIPMENT], "trackingmore_conn_id": "shop"})]
    )
    assert trigger_id is not None
    now = time.time()
    report = StatusReport(
        account=ACCOUNT,
        conn_ids=("shop", "of_another_team"),
        component="triggerer",
        host="triggerer-0",
        instance="triggerer-0:7",
        written_at=now,
        requests_per_second=1.0,
        waits=2,
        progress={trigger_id: WaitProgress(now + 60, {"transit": 1})},
    )
    name = report_name(ACCOUNT, 0)
    with create_session() as session:
        session.add(Variable(key=name, val=report.to_text()))
    yield trigger_id
    with create_session() as session:
        session.query(Variable).filter(Variable.key == name).delete()
    deferred_rows.clear()


def accounts(api_server: ApiServer, role: str) -> list[dict[str, Any]]:
    answer = api_server.get("api/accounts", role)
    assert answer.status_code == 200, answer.text
    assert KEY not in answer.text
    return answer.json()["accounts"]


def test_what_a_triggerer_has_reported_is_shown(api_server: ApiServer, trigger_id: int) -> None:
    (account,) = accounts(api_server, "viewer")
    assert (account["account"], account["waits"], account["max_calls_last_hour"]) == (ACCOUNT, 2, 3_600)
    assert [reporter["host"] for reporter in account["reporters"]] == ["triggerer-0"]
    (wait,) = api_server.get("api/waits").json()["waits"]
    assert (wait["statuses"], wait["next_check"] is not None) == ({"transit": 1}, True)


def test_without_access_to_connections_a_user_sees_only_those_of_readable_dags(
    api_server: ApiServer, trigger_id: int
) -> None:
    assert accounts(api_server, "viewer")[0]["conn_ids"] == ["shop"]


def test_without_readable_dags_a_user_sees_figures_but_no_names(
    api_server: ApiServer, trigger_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    monkeypatch.setattr(SimpleAuthManager, "filter_authorized_dag_ids", lambda *_, **__: set())
    (account,) = accounts(api_server, "viewer")
    assert (account["conn_ids"], account["account"]) == ([], ACCOUNT)


def test_anonymous_users_get_nothing(api_server: ApiServer, trigger_id: int) -> None:
    assert api_server.get("api/accounts", None).status_code == 401


def test_a_damaged_report_is_left_out(api_server: ApiServer, trigger_id: int) -> None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Variable(key=report_name(ACCOUNT, 1), val="1.damaged"))
    try:
        assert len(accounts(api_server, "viewer")) == 1
    finally:
        with create_session() as session:
            session.query(Variable).filter(Variable.key == report_name(ACCOUNT, 1)).delete()
