"""The index of the deferred waits, which webhooks and the page use from several threads."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.plugins import deferred_waits
from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.waiting.spec import WaitSpec

SHIPMENT = ShipmentKey("usps", "P1")
WAIT = {"wait": WaitSpec.create(shipments=[SHIPMENT._asdict()]).to_dict()}


def test_waits_are_found_while_another_thread_wakes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    index = DeferredWaits()
    for trigger_id in range(2_000):
        index.add(trigger_id, 0.0, WAIT)
    waits = index.all()
    monkeypatch.setattr(deferred_waits, "_wake", lambda *_: time.sleep(1e-5) is None)  # as a query takes time
    monkeypatch.setattr("airflow.utils.session.create_session", contextlib.nullcontext)
    waking = threading.Thread(target=lambda: index.wake(waits))
    waking.start()
    errors: list[Any] = []
    while waking.is_alive():
        try:
            index.find(("trackingmore_default", SHIPMENT.normalized))
        except Exception as error:
            errors.append(error)
    waking.join()
    assert errors == []
    assert index.all() == []
