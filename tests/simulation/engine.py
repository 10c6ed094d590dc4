"""The code under test: the package's own waiting."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_trackingmore.waiting.outcome import Verdict
from airflow_provider_trackingmore.waiting.pollers import Pollers
from airflow_provider_trackingmore.waiting.session import run_wait
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.simulation.sender import Sender


class RealEngine:
    """``WaitSpec``, ``Pollers`` and ``run_wait`` as triggers use them."""

    def make_pollers(self, *, clock: Callable[[], float], rng: random.Random) -> Pollers:
        """What one triggerer process has."""
        return Pollers(clock=clock, rng=rng)

    def make_spec(self, options: dict[str, Any]) -> WaitSpec:
        """Check the options of a wait."""
        options = dict(options)
        if "orders" in options:
            options["orders"] = {name: _shipments(own) for name, own in options["orders"].items()}
        else:
            options["shipments"] = _shipments(options["shipments"])
        return WaitSpec.create(**options)

    def read_spec(self, stored: Any) -> WaitSpec:
        """Read what was stored."""
        return WaitSpec.from_dict(stored)

    def run_wait(
        self, spec: WaitSpec, connect: Callable[[], Awaitable[Sender]], *, pollers: Pollers, clock: Callable[[], float]
    ) -> Awaitable[Verdict]:
        """Wait."""
        return run_wait(spec, connect, pollers=pollers, clock=clock)


def _shipments(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"carrier_code": carrier, "tracking_number": number} for carrier, number in pairs]
