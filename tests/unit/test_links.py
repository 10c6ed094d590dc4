"""The links of a task, which are read without a connection."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from airflow.providers.common.compat.sdk import BaseHook, XCom

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.links import LINK_XCOM, SHIPMENT_LINKS, push_links, tracking_url
from airflow_provider_trackingmore.operators.trackings import GetTrackingsOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

ONE = ShipmentKey("usps", "9400111899223344556677")


class TaskInstance:
    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def test_a_single_shipment_links_to_its_public_page() -> None:
    assert tracking_url(ONE) == "https://www.trackingmore.com/track/en/9400111899223344556677?express=usps"


@pytest.mark.parametrize("number", ["A/B", "A B?c=d#e", "20% & more", "../../admin", "Größe-7", '"><script>'])
def test_special_characters_in_a_number_are_quoted(number: str) -> None:
    parts = urlsplit(tracking_url(ShipmentKey("china-post", number)))
    assert (parts.scheme, parts.netloc) == ("https", "www.trackingmore.com")
    assert [unquote(segment) for segment in parts.path.split("/")] == ["", "track", "en", number]
    assert parse_qs(parts.query) == {"express": ["china-post"]}
    assert parts.fragment == ""
    assert parts.geturl().isascii()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> TrackingMoreHook:
    monkeypatch.setenv("AIRFLOW_CONN_REAL", json.dumps({"conn_type": "trackingmore", "password": "key"}))
    return TrackingMoreHook("real")


def task(**arguments: Any) -> GetTrackingsOperator:
    return GetTrackingsOperator(task_id="t", shipments=[], **arguments)


@pytest.mark.parametrize("number", [1, 2, 3, 40])
def test_a_task_pushes_the_pages_of_its_first_shipments(hook: TrackingMoreHook, number: int) -> None:
    ti = TaskInstance()
    shipments = [ShipmentKey("usps", str(index)) for index in range(number)]
    push_links(task(), {"ti": ti}, shipments, hook)  # type: ignore[typeddict-item]
    assert ti.pushed == {LINK_XCOM: [tracking_url(shipment) for shipment in shipments[:3]]}


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8700/v2", "https://nottrackingmore.com/v2", "https://trackingmore.com.example/v2"]
)
def test_shipments_at_another_base_url_have_no_links(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    stored = {"conn_type": "trackingmore", "password": "key", "host": host}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(stored))
    ti = TaskInstance()
    push_links(task(), {"ti": ti}, [ONE], TrackingMoreHook("other"))  # type: ignore[typeddict-item]
    assert ti.pushed == {LINK_XCOM: []}, "without an XCom, Airflow 3 would log three errors"


def test_without_xcom_a_task_instance_or_a_connection_nothing_is_pushed(hook: TrackingMoreHook) -> None:
    ti = TaskInstance()
    push_links(task(do_xcom_push=False), {"ti": ti}, [ONE], hook)  # type: ignore[typeddict-item]
    push_links(task(), {"ti": ti}, [], hook)  # type: ignore[typeddict-item]
    push_links(task(), {"ti": ti}, [ONE], TrackingMoreHook("none_such"))  # type: ignore[typeddict-item]
    assert ti.pushed == {}
    push_links(task(), {}, [ONE], hook)


def test_a_sensor_with_nothing_to_wait_for_has_no_links() -> None:
    ti = TaskInstance()
    waiting = ShipmentDeliveredSensor(task_id="w", shipments=[], trackingmore_conn_id="none_such")
    waiting.execute({"ti": ti})  # type: ignore[typeddict-item]
    assert ti.pushed == {}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ([tracking_url(ONE)], [tracking_url(ONE), "", ""]),
        (
            ["https://a.example", "https://b.example", "https://c.example"],
            ["https://a.example", "https://b.example", "https://c.example"],
        ),
        (None, ["", "", ""]),
        ("https://www.trackingmore.com/", ["", "", ""]),
        (["javascript:alert(1)", None], ["", "", ""]),
    ],
    ids=str,
)
def test_the_links_show_what_their_own_task_instance_pushed(
    monkeypatch: pytest.MonkeyPatch, stored: Any, shown: list[str]
) -> None:
    reads: list[dict[str, Any]] = []

    def refuse(*_: Any) -> None:
        raise AssertionError("a link has read a connection")

    def get_value(**arguments: Any) -> Any:
        reads.append(arguments)
        return stored

    monkeypatch.setattr(XCom, "get_value", get_value)
    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    key: Any = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=3)
    assert [link.get_link(task(), ti_key=key) for link in SHIPMENT_LINKS] == shown
    assert reads == [{"ti_key": key, "key": LINK_XCOM}] * 3
    assert [link.name for link in SHIPMENT_LINKS] == ["Shipment 1", "Shipment 2", "Shipment 3"]
    assert len({type(link) for link in SHIPMENT_LINKS}) == 3, "Airflow stores a link by its class"
