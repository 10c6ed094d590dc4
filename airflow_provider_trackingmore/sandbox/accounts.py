"""Accounts: one for each API key, with its quota, rate limits and shipments."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .limits import FIFTHS_TRACKING, REALTIME_PER_SECOND, RateLimit
from .shipments import Key
from .store import Store


@dataclass(slots=True)
class Account:
    """One customer of the service.

    :param index: its position in the list of keys.
    :param key: the API key; never shown.
    :param quota: how many more trackings can be registered.
    """

    index: int
    key: str = field(repr=False)
    quota: float
    deleted: bool = False
    deleted_code: int = 4002
    webhook_url: str = field(default="", repr=False)
    charged_fifths: int = 0
    fifths_left: int = field(init=False)
    store: Store = field(init=False)
    rate: RateLimit = field(default_factory=RateLimit)
    realtime_rate: RateLimit = field(default_factory=lambda: RateLimit(1.0 / REALTIME_PER_SECOND))
    realtime_requested_at: dict[Key, float] = field(default_factory=dict)
    first_seen_at: dict[Key, float] = field(default_factory=dict)
    ever_registered: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.set_quota(self.quota)
        self.store = Store(self.index)

    def set_quota(self, quota: float) -> None:
        """Set the remaining quota.

        :param quota: how many more trackings can be registered.
        """
        self.fifths_left = math.floor(quota * FIFTHS_TRACKING)

    @property
    def email(self) -> str:
        """The e-mail address with which the customer logs in; it signs the webhooks."""
        return f"account-{self.index}@sandbox.example"

    @property
    def quota_left(self) -> float:
        """Remaining quota in trackings, in steps of a fifth."""
        return self.fifths_left / FIFTHS_TRACKING

    @property
    def quota_charged(self) -> float:
        """Quota charged so far, in trackings."""
        return self.charged_fifths / FIFTHS_TRACKING

    def charge(self, fifths: int) -> bool:
        """Charge the quota if enough of it is left.

        :param fifths: the price in fifths of a tracking.
        :return: whether it was charged.
        """
        if fifths > self.fifths_left:
            return False
        self.fifths_left -= fifths
        self.charged_fifths += fifths
        return True
