"""One wait for many shipments, or for many orders, in the triggerer: how long it blocks the event loop, what it costs.

Its processor time is compared with that of decoding the same pages with ``json.loads``, and with that of sending the
same calls again with plain ``requests`` and decoding the responses, all in the same process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import requests

from benchmarks.event_loop import MeasuringSelector, Stalls
from benchmarks.triggerer import first_event, in_own_process, start_and_cancel_a_trigger
from benchmarks.waiting_plan import POKE_SECONDS, Parcel

DECODED_TIMES = 3


@dataclass(frozen=True)
class LargeWaitResult:
    """What one wait took.

    :param began: reading of the monotonic clock when the trigger was started.
    :param ended: the same when it yielded its event.
    :param result: what the event said.
    :param stalls: the longest stalls of the event loop.
    :param used: processor seconds of the process, from the stored trigger to the event.
    :param decoding: processor seconds of decoding all pages that the wait has read.
    :param megabytes: of those pages.
    :param targets: what it has requested.
    """

    began: float
    ended: float
    result: str
    stalls: Stalls
    used: float
    decoding: float
    megabytes: float
    targets: list[str]


def run_one_trigger(
    orders: Mapping[str | None, Sequence[Parcel]],
    connection: dict[str, Any],
    scale: float,
    reconcile_seconds: float,
    give_up_after: float,
) -> LargeWaitResult:
    """Run a single trigger in an event loop of a new process.

    :param orders: the parcels of each order; a single order None for a wait without orders.
    :param connection: the Airflow connection.
    :param scale: clock seconds in a real second; the trigger's own times are shortened by it.
    :param reconcile_seconds: clock seconds between two checks of a shipment that do not rely on the list of changes.
    :param give_up_after: clock seconds after which it is ended.
    :return: what it took.
    """
    return in_own_process(connection, _triggerer, orders, scale, reconcile_seconds, give_up_after)


async def _triggerer(
    selector: MeasuringSelector,
    orders: Mapping[str | None, Sequence[Parcel]],
    scale: float,
    reconcile_seconds: float,
    give_up_after: float,
) -> LargeWaitResult:
    from airflow_provider_trackingmore.api.envelope import parse_response
    from airflow_provider_trackingmore.api.models import ShipmentKey
    from airflow_provider_trackingmore.client import client
    from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
    from airflow_provider_trackingmore.waiting.spec import WaitSpec

    keys = {name: [ShipmentKey(*parcel) for parcel in parcels] for name, parcels in orders.items()}
    spec = WaitSpec(
        orders={name: {key.normalized: key for key in own} for name, own in keys.items()},
        poke_interval=POKE_SECONDS / scale,
        reconcile_seconds=reconcile_seconds / scale,
        first_check_at=0.0,
    )
    stored = json.loads(json.dumps(spec.to_dict()))
    del keys, spec
    bodies: list[bytes] = []
    targets: list[str] = []

    def parse_and_keep(request: Any, status: int, headers: Mapping[str, str], body: bytes, **options: Any) -> Any:
        bodies.append(body)
        targets.append(request.target)
        return parse_response(request, status, headers, body, **options)

    await start_and_cancel_a_trigger()
    with mock.patch.object(client, "parse_response", parse_and_keep):
        gc.collect()
        await asyncio.sleep(0.01)
        selector.take_stalls()
        began, used = time.monotonic(), time.process_time()
        async with asyncio.timeout(give_up_after / scale):
            event = await first_event(ShipmentStatusTrigger(stored))
        ended, used = time.monotonic(), time.process_time() - used
        await asyncio.sleep(0)
        stalls = selector.take_stalls()
    decoding = sum(statistics.median(_seconds_to_decode(body) for _ in range(DECODED_TIMES)) for body in bodies)
    megabytes = sum(map(len, bodies)) / 1e6
    return LargeWaitResult(began, ended, event.payload["result"], stalls, used, decoding, megabytes, targets)


def repeat_with_plain_requests(connection: dict[str, Any], targets: Sequence[str], scale: float) -> float:
    """Send calls again with a plain ``requests`` session that sleeps between them, in a new process.

    :param connection: the Airflow connection.
    :param targets: what to request.
    :param scale: clock seconds in a real second.
    :return: processor seconds, decoding included.
    """
    return in_own_process(connection, _repeat, connection, targets, 1.1 / scale)


async def _repeat(_: MeasuringSelector, connection: dict[str, Any], targets: Sequence[str], pause: float) -> float:
    headers = {"Trackingmore-Api-Key": connection["password"]}
    with requests.Session() as session:
        began = time.process_time()
        for target in targets:
            time.sleep(pause)  # noqa: ASYNC251 - nothing else runs here
            url = connection["host"] + target
            json.loads(session.get(url, headers=headers, timeout=60).content)
        return time.process_time() - began


def _seconds_to_decode(body: bytes) -> float:
    began = time.thread_time()
    json.loads(body)
    return time.thread_time() - began
