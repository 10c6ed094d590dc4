"""The code under test: the package's own waiting."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast
from unittest import mock

from airflow_provider_trackingmore.api import endpoints, listing
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.rounds import Reporting
from airflow_provider_trackingmore.triggers import change_feed
from airflow_provider_trackingmore.triggers.change_feed import ChangeFeed, WatchOptions
from airflow_provider_trackingmore.triggers.change_store import AssetStorage, ChangeStore
from airflow_provider_trackingmore.waiting import cooperative, planner
from airflow_provider_trackingmore.waiting.outcome import Verdict
from airflow_provider_trackingmore.waiting.pollers import Pollers
from airflow_provider_trackingmore.waiting.session import run_wait
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.simulation.parcels import Name
from tests.simulation.scenario_run import Change, Storage
from tests.simulation.sender import Sender
from tests.simulation.watcher_plans import WatcherPlan

HINTS_PER_MINUTE = 120


class RealEngine:
    """``WaitSpec``, ``Pollers`` and ``run_wait`` as triggers use them."""

    @contextmanager
    def sizes_of_calls(self, numbers: int, rows: int) -> Iterator[None]:
        """Set how many numbers a call takes, and how many rows a page has."""
        sizes = {"FILTER_NUMBERS": numbers, "PAGE_SIZE": rows}
        modules = [module for name, module in sys.modules.items() if name.startswith("airflow_provider_trackingmore.")]
        with ExitStack() as stack:
            for module, (name, size) in itertools.product(modules, sizes.items()):
                if hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, size))
            stack.enter_context(mock.patch.object(planner, "LIGHT_ROWS", rows // 4))
            stack.enter_context(mock.patch.dict(endpoints.list_page.__kwdefaults__ or {}, {"limit": rows}))
            stack.enter_context(mock.patch.dict(listing.list_trackings.__kwdefaults__ or {}, {"page_size": rows}))
            stack.enter_context(mock.patch.object(cooperative, "ITEMS_ON_THE_LOOP", 10**9))  # there are no threads
            for name in ("STORE_SECONDS", "STORE_SECONDS_PER_EVENT"):  # this Airflow stores events at once
                stack.enter_context(mock.patch.object(change_feed, name, 0.0))
            yield

    def make_pollers(self, *, clock: Callable[[], float], rng: random.Random) -> Pollers:
        """Create the pollers of one triggerer process."""
        return Pollers(clock=clock, rng=rng)

    def make_spec(self, options: dict[str, Any]) -> WaitSpec:
        """Validate the options of a wait."""
        options = dict(options)
        if "orders" in options:
            options["orders"] = {name: _shipments(own) for name, own in options["orders"].items()}
        else:
            options["shipments"] = _shipments(options["shipments"])
        return WaitSpec.create(**options)

    def read_spec(self, stored: Any) -> WaitSpec:
        """Read the stored form of a wait."""
        return WaitSpec.from_dict(stored)

    def check_now(self, pollers: Pollers, account: str, names: Iterable[Name]) -> None:
        """Pass the shipments that webhooks have named to the pollers of an account, one for each of its keys."""
        for poller in pollers.all:
            if isinstance(poller.sender, Sender) and poller.sender.account_name == account:
                poller.check_now([ShipmentKey(*name) for name in names], per_minute=HINTS_PER_MINUTE)

    def run_wait(
        self, spec: WaitSpec, connect: Callable[[], Awaitable[Sender]], *, pollers: Pollers, clock: Callable[[], float]
    ) -> Awaitable[Verdict]:
        """Run a wait."""
        return run_wait(spec, connect, pollers=pollers, clock=clock)

    async def run_watcher(
        self,
        plan: WatcherPlan,
        connect: Callable[[], Awaitable[Sender]],
        *,
        pollers: Pollers,
        clock: Callable[[], float],
        rng: random.Random,
        storage: Storage,
        report: Callable[[Change], None],
    ) -> None:
        """Run a watcher, as ``ShipmentChangesTrigger`` does."""
        reporting = Reporting(plan.account)
        options = WatchOptions(plan.name, {}, plan.poke_interval, plan.reconcile_seconds, 1000, reporting)
        store = ChangeStore(AssetStorage(storage), plan.name)
        feed = ChangeFeed(options, store, connect, pollers, clock=clock, rng=rng)
        try:
            while True:
                for payload in await feed.next_payloads():
                    for change in cast("list[Change]", payload["changes"]):
                        report(change)
        finally:
            feed.close()


def _shipments(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"carrier_code": carrier, "tracking_number": number} for carrier, number in pairs]
