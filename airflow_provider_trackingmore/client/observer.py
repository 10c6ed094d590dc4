"""The interface for metrics of clients and waits; the names of all metrics."""

from __future__ import annotations

from typing import Literal, TypeAlias

Counter: TypeAlias = Literal["requests", "retries", "rate_limited", "changes.reported"]
Timing: TypeAlias = Literal["slot_wait", "exchange", "waits.late"]
Gauge: TypeAlias = Literal["waits.open", "waits.failed_polls", "changes.failed_rounds", "quota_left"]


class Observer:
    """Receives metrics and ignores them; subclasses send them somewhere.

    It is called from any thread, including those of event loops, so its methods must return quickly and not raise.
    """

    def count(self, name: Counter, number: int = 1) -> None:
        """Increment a counter.

        :param name: the counter.
        :param number: by how much.
        """

    def timing(self, name: Timing, seconds: float) -> None:
        """Record a duration.

        :param name: the timer.
        :param seconds: the duration.
        """

    def gauge(self, name: Gauge, value: float) -> None:
        """Record a current value.

        :param name: the gauge.
        :param value: the value.
        """
