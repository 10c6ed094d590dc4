"""The rounds of a watcher, when something else wants its lists to be read."""

from __future__ import annotations

import asyncio
import random

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.rounds import Reporting
from airflow_provider_trackingmore.triggers.change_feed import ChangeFeed, WatchOptions
from airflow_provider_trackingmore.triggers.change_store import ChangeStore
from airflow_provider_trackingmore.waiting.pollers import Pollers
from tests.unit.events.random_watch import Storage
from tests.unit.waiting.conftest import Account, VirtualTimeLoop

PARCELS = [ShipmentKey("usps", f"N{number}") for number in range(3)]
BEGAN = 1_767_225_600.0
"""Unix time at which the loop's time is 0."""


def test_a_webhook_during_the_first_start_makes_no_existing_shipment_new() -> None:
    account = Account()
    account.elsewhere = 0
    account.parcels = dict.fromkeys(PARCELS, "transit")
    options = WatchOptions("shop", {}, 20.0, 10.0, 100, Reporting("shop"))

    async def connect() -> Account:
        return account

    async def go() -> list[object]:
        def clock() -> float:
            return BEGAN + asyncio.get_running_loop().time()

        pollers = Pollers(clock=clock, rng=random.Random(0))
        store = ChangeStore(Storage(random.Random(0), is_cheap=True), "shop")
        feed = ChangeFeed(options, store, connect, pollers, clock=clock, rng=random.Random(0))
        reading = asyncio.ensure_future(feed.next_payloads())
        await asyncio.sleep(0.5)
        for poller in pollers.all:
            poller.check_now(PARCELS[:1], per_minute=120)
        await asyncio.sleep(60.0)
        account.change(PARCELS[1], "delivered")
        try:
            (payload,) = await reading
        finally:
            feed.close()
        changes = payload["changes"]
        assert isinstance(changes, list)
        return [(change["tracking_number"], change["previous_status"], change["status"]) for change in changes]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(go()) == [("N1", "transit", "delivered")]
