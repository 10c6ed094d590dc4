"""Builds the steps of a journey by its name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .carriers import Carrier
from .places import COUNTRIES
from .seeded_random import SeededRandom

DAY = 86_400.0
HOUR = 3_600.0


class CheckpointText(NamedTuple):
    """The text of a checkpoint.

    :param en: in English.
    :param cn: in Chinese, for ``lang=cn``.
    :param milestone: the milestone it marks; empty if none.
    """

    en: str
    cn: str
    milestone: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What is recorded at a checkpoint, without the time. Shipments share equal checkpoints, to save memory.

    :param text: what happened.
    :param place: the place; may be empty.
    :param status: its ``checkpoint_status``.
    :param abroad: whether the carrier in the destination country reported it.
    """

    text: CheckpointText
    place: str
    status: str
    abroad: bool


shared_checkpoint = lru_cache(maxsize=65_536)(Checkpoint)
"""Returns the same object for the same arguments."""


class Step(NamedTuple):
    """One event in a journey.

    :param at: Unix seconds.
    :param status: status of the parcel from then on.
    :param substatus: its substatus.
    :param checkpoint: the checkpoint; None for a change of status without a checkpoint.
    :param local_shift: seconds from ``at`` to the time that the checkpoint shows.
    """

    at: float
    status: str
    substatus: str
    checkpoint: Checkpoint | None
    local_shift: int = 0

    @property
    def local_time(self) -> int:
        """The local time that the checkpoint shows, in seconds, as if it were UTC."""
        return int(self.at) + self.local_shift


_ACCEPTED = CheckpointText("Picked up", "已揽收", "ItemReceived")
_DISPATCHED = CheckpointText("Departed from sorting centre", "已离开分拣中心", "ItemDispatched")
_AIRPORT = CheckpointText("Handed over to airline", "已交航空公司", "DepartfromAirport")
_ABROAD = CheckpointText("Arrived in destination country", "到达目的国", "ArrivalfromAbroad")
_CUSTOMS = CheckpointText("Customs clearance completed", "清关完成", "CustomsClearance")
_ARRIVED = CheckpointText("Arrived at delivery facility", "到达派送站", "DestinationArrived")
_HUB = CheckpointText("Processed at hub", "到达中转站")
_OUT = CheckpointText("Out for delivery", "派送中")
DELIVERED = CheckpointText("Delivered", "已签收")
_FAILED = CheckpointText("Delivery attempt failed, nobody at home", "投递失败")
_LOST = CheckpointText("Parcel damaged or lost in handling", "包裹丢失或损坏")
_PROOF = CheckpointText("Proof of delivery received", "已收到签收证明")
_RETURNING = CheckpointText("On its way back to the sender", "退回中")
_RETURNED = CheckpointText("Returned to sender", "已退回寄件人")
REOPENED = CheckpointText("Delivery scan withdrawn, parcel under way again", "重新运输")
_LATE = CheckpointText("Passed through sorting centre", "经过分拣中心")

_DOMESTIC_LEGS = (
    (0.16, _ACCEPTED, "transit001", False),
    (0.28, _DISPATCHED, "transit006", False),
    (0.45, _HUB, "transit002", False),
    (0.62, _ARRIVED, "transit003", False),
)
_INTERNATIONAL_LEGS = (
    (0.16, _ACCEPTED, "transit001", False),
    (0.22, _DISPATCHED, "transit006", False),
    (0.32, _AIRPORT, "transit007", False),
    (0.50, _ABROAD, "transit004", True),
    (0.56, _CUSTOMS, "transit005", True),
    (0.64, _ARRIVED, "transit003", True),
)

_HUB_SHARES = ((0.335, 0.445), (0.275, 0.315))
"""When further scans at hubs happen, in domestic and in international transit."""


class StepBuilder:
    """Builds the steps of one parcel.

    :param carrier: its carrier.
    :param target: ISO-2 code of the destination.
    :param started: start of the journey in Unix seconds.
    :param length: seconds from the start to the final step.
    :param interval: seconds between refreshes.
    :param rng: chooses places and jitter.
    :param events: how many events a delivered parcel has at least; scans at hubs are added to the usual 6 (domestic)
        or 8 (international).
    """

    def __init__(
        self,
        carrier: Carrier,
        target: str,
        started: float,
        length: float,
        interval: float,
        rng: SeededRandom,
        events: int = 0,
    ) -> None:
        self.started = started
        self.length = length
        self.interval = interval
        self.rng = rng
        self.home = COUNTRIES[carrier.country]
        self.abroad = COUNTRIES[target]
        self.international = target != carrier.country
        self.more_hubs = max(0, events - (8 if self.international else 6))
        self.destination_city = rng.choice(self.abroad.cities)
        self.steps: list[Step] = []

    def build(self, name: str, registered_at: float) -> list[Step]:
        """Build the steps.

        :param name: name of the journey.
        :param registered_at: Unix seconds.
        :return: the steps in chronological order.
        """
        if name == "PENDING":
            return []
        if name == "NOTFOUND":
            return [Step(registered_at, "notfound", "notfound002", None)]
        if name == "INSTANT":
            self.started, self.length = registered_at - 4 * DAY, 3 * DAY
        elif self.started >= registered_at:
            self.steps.append(Step(registered_at, "notfound", "notfound002", None))
        self._add_transit(2 if name == "UNDELIVERED" else 1)
        getattr(self, f"_{name.lower()}")(self.started + self.length)
        return self.steps

    def _add_transit(self, refreshes_after: int) -> None:
        """Add the steps up to the delivery facility, early enough for the last steps to have refreshes of their own."""
        span = min(14 * DAY, self.length, (self.length - refreshes_after * self.interval) / 0.7)
        for share, text, substatus, abroad in _INTERNATIONAL_LEGS if self.international else _DOMESTIC_LEGS:
            share += 0.05 * self.rng.random()
            city = self.rng.choice((self.abroad if abroad else self.home).cities)
            self._add(self.started + share * span, "transit", substatus, text, city, abroad)
            if text is _DISPATCHED:
                self._add_hubs(span)

    def _add_hubs(self, span: float) -> None:
        """Add scans at hubs between the sorting centre and whatever follows it."""
        first, last = _HUB_SHARES[self.international]
        for at in range(self.more_hubs):
            share = first + (last - first) * at / self.more_hubs
            city = self.rng.choice(self.home.cities)
            self._add(self.started + share * span, "transit", "transit002", _HUB, city, False)

    def _add(
        self, at: float, status: str, substatus: str, text: CheckpointText, place: str, abroad: bool | None = None
    ) -> None:
        in_destination = self.international if abroad is None else abroad
        offset = (self.abroad if in_destination else self.home).offset
        checkpoint = shared_checkpoint(text, place, status, in_destination)
        self.steps.append(Step(at, status, substatus, checkpoint, offset * 3600))

    def _add_out_for_delivery(self, at: float) -> None:
        """Add "out for delivery" one refresh interval before the next step, so that it is visible by itself."""
        self._add(at - self.interval, "pickup", "pickup001", _OUT, self.destination_city)

    def _delivered(self, end: float) -> None:
        self._add_out_for_delivery(end)
        self._add(end, "delivered", "delivered001", DELIVERED, self.destination_city)

    _instant = _delivered

    def _undelivered(self, end: float) -> None:
        self._add(end - 2 * self.interval, "undelivered", "undelivered002", _FAILED, self.destination_city)
        self._delivered(end)

    def _undeliveredstuck(self, end: float) -> None:
        self._add_out_for_delivery(end)
        self._add(end, "undelivered", "undelivered002", _FAILED, self.destination_city)

    def _exception(self, end: float) -> None:
        self._add(end, "exception", "exception007", _LOST, self.destination_city)

    def _returned(self, end: float) -> None:
        self._add(end, "exception", "exception011", _RETURNING, self.destination_city)
        self._add(end + DAY, "exception", "exception010", _RETURNED, self.home.cities[0], False)

    def _expired(self, end: float) -> None:
        self.steps.append(Step(end, "expired", "expired001", None))

    def _stuck(self, end: float) -> None:
        """Nothing follows the transit steps."""

    def _reopen(self, end: float) -> None:
        self._delivered(end)
        self._add(end + DAY, "transit", "transit001", REOPENED, self.destination_city)
        self._add(end + 2 * DAY, "delivered", "delivered003", DELIVERED, self.destination_city)

    def _proof(self, end: float) -> None:
        self._delivered(end)
        self._add(end + DAY, "delivered", "delivered003", _PROOF, self.destination_city)

    def _lateevent(self, end: float) -> None:
        self._delivered(end)
        offset = (self.abroad if self.international else self.home).offset
        old = int(self.started + 0.55 * self.length) + offset * 3600
        checkpoint = shared_checkpoint(_LATE, self.destination_city, "transit", self.international)
        self.steps.append(Step(end + DAY, "delivered", "delivered001", checkpoint, old - int(end + DAY)))
