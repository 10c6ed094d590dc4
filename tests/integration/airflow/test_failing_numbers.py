"""The sensor in poke mode while some numbers always fail, over a real socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_trackingmore.client.rate_limit import clock as rate_limit_clock
from airflow_provider_trackingmore.exceptions import ShipmentsFailedError
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor
from tests.integration.client.fault_server import Exchange, FaultServer, Replay, answer, envelope


class Vendor:
    """All shipments are in transit, apart from the missing ones.

    :param failing: numbers that make calls fail with 500.
    :param failing_by_path: numbers that lists leave out, and whose call by path fails.
    :param missing: numbers that are not registered.
    """

    def __init__(self, server: FaultServer, failing: set[str], failing_by_path: set[str], missing: set[str]) -> None:
        self._failing = failing
        self._failing_by_path = failing_by_path
        self._missing = missing
        self.calls = 0
        server.does(self.respond)

    def respond(self, exchange: Exchange) -> bool | None:
        replay = Replay(exchange)
        if replay.request is None:
            return False
        self.calls += 1
        target = urlsplit(replay.request.split(b" ")[1].decode())
        query = parse_qs(target.query)
        numbers = set(query["numbers"][0].split(",")) if "numbers" in query else {target.path.rpartition("/")[2]}
        if self._failing & numbers or ("numbers" not in query and self._failing_by_path & numbers):
            return answer(envelope(500), status=500)(replay)
        known = sorted(numbers - self._missing - self._failing_by_path)
        rows = [{"tracking_number": number, "carrier_code": "ups", "status": "transit"} for number in known]
        if "numbers" in query:
            return answer(envelope(data={"items": rows, "total": len(rows)}))(replay)
        return answer(envelope(data=rows[0]) if rows else envelope(4031))(replay)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    server = FaultServer()
    extra = {"requests_per_second": 1000, "pacing": "memory", "max_attempts": 1}
    connection = {"conn_type": "trackingmore", "password": "key", "host": server.url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(rate_limit_clock, "WARM_GRACE_SECONDS", 0.01)
    monkeypatch.setattr(rate_limit_clock, "COLD_GRACE_SECONDS", 0.01)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("failing", "failing_by_path"),
    [({"N1"}, set()), (set(), {"N1"}), ({"N4"}, {"N1", "N2"})],
    ids=["in lists", "by its path", "both"],
)
def test_a_number_that_fails_does_not_prevent_the_confirmation_of_a_missing_one(
    server: FaultServer, failing: set[str], failing_by_path: set[str]
) -> None:
    Vendor(server, failing, failing_by_path, missing={"N3"})
    shipments = [{"carrier_code": "ups", "tracking_number": f"N{at}"} for at in range(5)]
    waiting = ShipmentDeliveredSensor(task_id="wait", shipments=shipments, poke_interval=0.05, timeout=5)
    with pytest.raises(ShipmentsFailedError, match="ups N3 is not registered"):
        waiting.execute({})  # type: ignore[arg-type]


def test_a_service_that_is_down_is_not_called_for_each_shipment(server: FaultServer) -> None:
    everything = {f"N{at}" for at in range(30)}
    vendor = Vendor(server, failing=set(), failing_by_path=everything, missing=set())
    shipments = [{"carrier_code": "ups", "tracking_number": number} for number in sorted(everything)]
    waiting = ShipmentDeliveredSensor(
        task_id="wait", shipments=shipments, poke_interval=60, timeout=60, mode="reschedule"
    )
    waiting._begin({}, time.time())  # type: ignore[arg-type]
    assert not waiting.poke({}).is_done  # type: ignore[arg-type]
    assert vendor.calls == 1 + 3, "one list, and three calls that fail alike"
