"""Who is told what a client does while it does it. Knows what there is to tell, and no place to send it to."""

from __future__ import annotations

from typing import Literal, TypeAlias

Counter: TypeAlias = Literal["requests", "retries", "rate_limited"]
Timing: TypeAlias = Literal["slot_wait", "exchange", "waits.late"]
Gauge: TypeAlias = Literal["waits.open", "waits.failed_polls", "quota_left"]


class Observer:
    """Is told, and does nothing with it; subclasses do.

    Called from any thread, on event loops too: its methods return at once and raise nothing.
    """

    def count(self, name: Counter) -> None:
        """Hear that something happened once more.

        :param name: what.
        """

    def timing(self, name: Timing, seconds: float) -> None:
        """Hear how long something took.

        :param name: what.
        :param seconds: how long.
        """

    def gauge(self, name: Gauge, value: float) -> None:
        """Hear how much there is of something now.

        :param name: of what.
        :param value: how much.
        """
