"""What a poller reports about its waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
from tests.unit.waiting.conftest import Account, Subscriber

KEY = ShipmentKey("usps", "N1")


def test_a_shipment_that_is_being_confirmed_is_checked_now(
    account: Account, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    account.latency = 10.0

    async def go() -> None:
        async with Subscriber(account, [KEY], 60, first_check_in=0.0) as subscriber:
            subscriber.subscription.trigger_id, subscriber.subscription.count_statuses = 7, dict
            await asyncio.sleep(15)  # the call by number took from 2 to 12, the confirmation takes until 22
            (poller,) = pollers_of_running_loop().all
            progress = await poller.read_progress()
            assert progress[7].next_check_at == pytest.approx(time.time(), abs=60)

    run(go())
