"""Writes the steps of one parcel, by the name of its journey: pure. Knows no refresh, no store, no API."""

from __future__ import annotations

from typing import NamedTuple

from .carriers import Carrier
from .chance import Chance
from .places import COUNTRIES

DAY = 86_400.0
HOUR = 3_600.0


class Text(NamedTuple):
    """What a checkpoint says.

    :param en: in English.
    :param cn: in Chinese, for ``lang=cn``.
    :param node: its milestone; empty when it is none.
    """

    en: str
    cn: str
    node: str = ""


class Row(NamedTuple):
    """One checkpoint.

    :param date: seconds of the local wall clock (as if that were UTC).
    :param text: what happened.
    :param place: where; may be empty.
    :param status: its ``checkpoint_status``.
    :param abroad: reported by the carrier of the destination.
    """

    date: int
    text: Text
    place: str
    status: str
    abroad: bool


class Step(NamedTuple):
    """One thing that the courier learns.

    :param at: when, in unix seconds.
    :param status: status of the parcel from then on.
    :param substatus: its substatus.
    :param row: the checkpoint; None for a change of status without one.
    """

    at: float
    status: str
    substatus: str
    row: Row | None


_ACCEPTED = Text("Picked up", "已揽收", "ItemReceived")
_DISPATCHED = Text("Departed from sorting centre", "已离开分拣中心", "ItemDispatched")
_AIRPORT = Text("Handed over to airline", "已交航空公司", "DepartfromAirport")
_ABROAD = Text("Arrived in destination country", "到达目的国", "ArrivalfromAbroad")
_CUSTOMS = Text("Customs clearance completed", "清关完成", "CustomsClearance")
_ARRIVED = Text("Arrived at delivery facility", "到达派送站", "DestinationArrived")
_HUB = Text("Processed at hub", "到达中转站")
_OUT = Text("Out for delivery", "派送中")
_DELIVERED = Text("Delivered", "已签收")
_FAILED = Text("Delivery attempt failed, nobody at home", "投递失败")
_LOST = Text("Parcel damaged or lost in handling", "包裹丢失或损坏")
_PROOF = Text("Proof of delivery received", "已收到签收证明")
_RETURNING = Text("On its way back to the sender", "退回中")
_RETURNED = Text("Returned to sender", "已退回寄件人")
_REOPENED = Text("Delivery scan withdrawn, parcel under way again", "重新运输")
_LATE = Text("Passed through sorting centre", "经过分拣中心")

_HOME_LEGS = (
    (0.16, _ACCEPTED, "transit001", False),
    (0.28, _DISPATCHED, "transit006", False),
    (0.45, _HUB, "transit002", False),
    (0.62, _ARRIVED, "transit003", False),
)
_FOREIGN_LEGS = (
    (0.16, _ACCEPTED, "transit001", False),
    (0.22, _DISPATCHED, "transit006", False),
    (0.32, _AIRPORT, "transit007", False),
    (0.50, _ABROAD, "transit004", True),
    (0.56, _CUSTOMS, "transit005", True),
    (0.64, _ARRIVED, "transit003", True),
)


class Script:
    """The steps of one parcel.

    :param carrier: who carries it.
    :param target: ISO-2 code of the destination.
    :param started: unix seconds at which its way began.
    :param length: seconds from there to the deciding step.
    :param interval: seconds between refreshes.
    :param chance: decides places and jitter.
    """

    def __init__(
        self, carrier: Carrier, target: str, started: float, length: float, interval: float, chance: Chance
    ) -> None:
        self.started = started
        self.length = length
        self.interval = interval
        self.chance = chance
        self.home = COUNTRIES[carrier.country]
        self.abroad = COUNTRIES[target]
        self.foreign = target != carrier.country
        self.destination_city = chance.pick(self.abroad.cities)
        self.steps: list[Step] = []

    def write(self, name: str, registered_at: float) -> list[Step]:
        """Write them.

        :param name: one of the journeys.
        :param registered_at: unix seconds.
        :return: the steps, in the order in which the courier learns of them.
        """
        if name == "PENDING":
            return []
        if name == "NOTFOUND":
            return [Step(registered_at, "notfound", "notfound002", None)]
        if name == "INSTANT":
            self.started, self.length = registered_at - 4 * DAY, 3 * DAY
        elif self.started >= registered_at:
            self.steps.append(Step(registered_at, "notfound", "notfound002", None))
        self._legs(2 if name == "UNDELIVERED" else 1)
        getattr(self, f"_{name.lower()}")(self.started + self.length)
        return self.steps

    def _legs(self, refreshes_after: int) -> None:
        """The way to the delivery facility, over in time for the refreshes that the last steps need."""
        span = min(14 * DAY, self.length, (self.length - refreshes_after * self.interval) / 0.7)
        for share, text, substatus, abroad in _FOREIGN_LEGS if self.foreign else _HOME_LEGS:
            share += 0.05 * self.chance.draw()
            city = self.chance.pick((self.abroad if abroad else self.home).cities)
            self._tell(self.started + share * span, "transit", substatus, text, city, abroad)

    def _tell(self, at: float, status: str, substatus: str, text: Text, place: str, abroad: bool | None = None) -> None:
        there = self.foreign if abroad is None else abroad
        offset = (self.abroad if there else self.home).offset
        row = Row(int(at) + offset * 3600, text, place, status, there)
        self.steps.append(Step(at, status, substatus, row))

    def _out(self, at: float) -> None:
        """A whole refresh interval before what follows, so that it is seen on its own."""
        self._tell(at - self.interval, "pickup", "pickup001", _OUT, self.destination_city)

    def _delivered(self, end: float) -> None:
        self._out(end)
        self._tell(end, "delivered", "delivered001", _DELIVERED, self.destination_city)

    _instant = _delivered

    def _undelivered(self, end: float) -> None:
        self._tell(end - 2 * self.interval, "undelivered", "undelivered002", _FAILED, self.destination_city)
        self._delivered(end)

    def _undeliveredstuck(self, end: float) -> None:
        self._out(end)
        self._tell(end, "undelivered", "undelivered002", _FAILED, self.destination_city)

    def _exception(self, end: float) -> None:
        self._tell(end, "exception", "exception007", _LOST, self.destination_city)

    def _returned(self, end: float) -> None:
        self._tell(end, "exception", "exception011", _RETURNING, self.destination_city)
        self._tell(end + DAY, "exception", "exception010", _RETURNED, self.home.cities[0], False)

    def _expired(self, end: float) -> None:
        self.steps.append(Step(end, "expired", "expired001", None))

    def _stuck(self, end: float) -> None:
        """The legs are all there is."""

    def _reopen(self, end: float) -> None:
        self._delivered(end)
        self._tell(end + DAY, "transit", "transit001", _REOPENED, self.destination_city)
        self._tell(end + 2 * DAY, "delivered", "delivered003", _DELIVERED, self.destination_city)

    def _proof(self, end: float) -> None:
        self._delivered(end)
        self._tell(end + DAY, "delivered", "delivered003", _PROOF, self.destination_city)

    def _lateevent(self, end: float) -> None:
        self._delivered(end)
        offset = (self.abroad if self.foreign else self.home).offset
        old = int(self.started + 0.55 * self.length) + offset * 3600
        row = Row(old, _LATE, self.destination_city, "transit", self.foreign)
        self.steps.append(Step(end + DAY, "delivered", "delivered001", row))
