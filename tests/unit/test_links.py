"""Which page a task links to, and that reading the link needs no connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from airflow.providers.common.compat.sdk import BaseHook, XCom

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.links import DASHBOARD, LINK_XCOM, TrackingMoreLink, push_link, tracking_url
from airflow_provider_trackingmore.operators.carriers import ListCarriersOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

ONE = ShipmentKey("usps", "9400111899223344556677")


class TaskInstance:
    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def test_a_single_shipment_links_to_its_public_page() -> None:
    assert tracking_url([ONE]) == "https://www.trackingmore.com/track/en/9400111899223344556677?express=usps"


@pytest.mark.parametrize("number", ["A/B", "A B?c=d#e", "20% & more", "../../admin", "Größe-7", '"><script>'])
def test_special_characters_in_a_number_are_quoted(number: str) -> None:
    parts = urlsplit(tracking_url([ShipmentKey("china-post", number)]))
    assert (parts.scheme, parts.netloc) == ("https", "www.trackingmore.com")
    assert [unquote(segment) for segment in parts.path.split("/")] == ["", "track", "en", number]
    assert parse_qs(parts.query) == {"express": ["china-post"]}
    assert parts.fragment == ""
    assert parts.geturl().isascii()


@pytest.mark.parametrize("number", [0, 2, 40])
def test_any_other_number_of_shipments_has_the_dashboard(number: int) -> None:
    assert tracking_url(ShipmentKey("usps", str(index)) for index in range(number)) == DASHBOARD


def test_a_task_leaves_its_page() -> None:
    ti = TaskInstance()
    push_link(ListCarriersOperator(task_id="t"), {"ti": ti}, [ONE])  # type: ignore[typeddict-item]
    assert ti.pushed == {LINK_XCOM: tracking_url([ONE])}


def test_where_xcom_is_off_or_airflow_is_absent_nothing_is_left() -> None:
    ti = TaskInstance()
    push_link(ListCarriersOperator(task_id="t", do_xcom_push=False), {"ti": ti}, [ONE])  # type: ignore[typeddict-item]
    assert ti.pushed == {}
    push_link(ListCarriersOperator(task_id="t"), {}, [ONE])


def test_a_sensor_leaves_its_page_even_with_nothing_to_wait_for() -> None:
    ti = TaskInstance()
    waiting = ShipmentDeliveredSensor(task_id="w", shipments=[], trackingmore_conn_id="none_such")
    waiting.execute({"ti": ti})  # type: ignore[typeddict-item]
    assert ti.pushed == {LINK_XCOM: DASHBOARD}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (tracking_url([ONE]), tracking_url([ONE])),
        (None, DASHBOARD),
        ("", DASHBOARD),
        ("javascript:alert(1)", DASHBOARD),
        (["https://www.trackingmore.com/"], DASHBOARD),
    ],
    ids=str,
)
def test_the_link_shows_what_its_own_task_instance_left(
    monkeypatch: pytest.MonkeyPatch, stored: Any, shown: str
) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(*_: Any) -> None:
        raise AssertionError("a link has asked for a connection")

    def get_value(**arguments: Any) -> Any:
        asked.append(arguments)
        return stored

    monkeypatch.setattr(XCom, "get_value", get_value)
    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    key: Any = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=3)
    task = ListCarriersOperator(task_id="t", trackingmore_conn_id="none_such")
    assert TrackingMoreLink().get_link(task, ti_key=key) == shown
    assert asked == [{"ti_key": key, "key": LINK_XCOM}]
