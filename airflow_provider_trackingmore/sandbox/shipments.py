"""Registered shipments: what the service knows of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .journey_steps import Step
from .journeys import FINAL, Journey

Key = tuple[str, str]
"""Carrier code and tracking number."""

DETAIL_FIELDS = (
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "comment",
    "order_create_time",
    "destination_code",
    "lang",
    "tracking_ship_date",
    "tracking_postal_code",
    "tracking_account_number",
    "tracking_destination_country",
)


@dataclass(slots=True, eq=False)
class Shipment:
    """One registered tracking.

    :param carrier_code: its carrier.
    :param number: its tracking number.
    :param id: 32 hex digits, stable for account, carrier and number.
    :param created_at: time of registration in Unix seconds.
    :param serial: number of the registration within the account.
    :param journey: its journey.
    :param details: the detail fields that have a value.
    """

    carrier_code: str
    number: str
    id: str
    created_at: float
    serial: int
    journey: Journey
    details: dict[str, str]
    order_time: float | None = None
    status: str = "pending"
    seen_steps: int = 0
    first_refreshed_at: float | None = None
    changed_at: float | None = None
    forced: str | None = None
    stopped_at: float | None = None
    archived: bool = False
    due: float | None = None
    updated_at_is_null: bool = False

    @property
    def key(self) -> Key:
        """Carrier code and number."""
        return self.carrier_code, self.number

    @property
    def step(self) -> Step | None:
        """The latest visible step."""
        return self.journey.steps[self.seen_steps - 1] if self.seen_steps else None

    def show_steps(self, steps: int) -> None:
        """Make steps visible.

        :param steps: how many steps of the journey are visible.
        """
        self.seen_steps = steps
        self.force_status(self.forced)

    def force_status(self, status: str | None) -> None:
        """Override the status.

        :param status: the status; None shows that of the journey.
        """
        self.forced = status
        self.status = status or (self.journey.steps[self.seen_steps - 1].status if self.seen_steps else "pending")

    def mark_changed(self, at: float) -> None:
        """Change ``updated_at``.

        :param at: Unix seconds.
        """
        self.changed_at = at
        self.updated_at_is_null = False

    @property
    def track_update(self) -> bool:
        """Whether the service keeps querying the carrier."""
        return self.stopped_at is None and self.status not in FINAL

    @property
    def delivered_at_first_refresh(self) -> bool:
        """Whether the first refresh found it delivered, and nothing has changed since."""
        return self.status == "delivered" and self.changed_at == self.first_refreshed_at and not self.forced

    def last_refresh(self, now: float) -> float | None:
        """Return the time of the latest refresh.

        :param now: Unix seconds.
        :return: Unix seconds; None before the first refresh.
        """
        until = now if self.stopped_at is None else self.stopped_at
        if not self.track_update and self.stopped_at is None:
            return self.changed_at
        return self.journey.last_refresh_before(until) if self.journey.steps else None


def shipment_id(account: int, key: Key) -> str:
    """Compute the id of a shipment.

    :param account: index of the account.
    :param key: carrier code and number.
    :return: 32 hex digits.
    """
    text = f"{account}\x1f{key[0]}\x1f{key[1]}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()
