"""Serializes shipments as the vendor does (reference 1.1, 1.3, 1.9, 1.19), in the forms that the switches select."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from .journey_rendering import JourneyRenderer, JourneyText, JourneyTextCache
from .journey_steps import DAY
from .journeys import Journey
from .json_texts import encode_value, format_offset_time, quote
from .places import COUNTRIES
from .shipments import Shipment
from .switches import SwitchPositions

_MULTILINGUAL = frozenset(
    {"4px", "yanwen", "yunexpress", "china-post", "china-ems", "cainiao", "sf-express", "sfb2c", "dhl"}
)
"""Carriers that provide checkpoints in Chinese as well."""


class ItemText(NamedTuple):
    """An item as JSON, in three parts.

    :param before: what precedes the counts of days.
    :param days: the counts of days, which change while nothing happens to the parcel.
    :param after: what follows them.
    """

    before: str
    days: str
    after: str

    @property
    def text(self) -> str:
        """The whole item."""
        return self.before + self.days + self.after


class Renderer:
    """Serializes shipments as of one point in time.

    :param switches: the switches.
    :param now: Unix seconds.
    :param cache: keeps what does not depend on the time.
    """

    def __init__(self, switches: SwitchPositions, now: float, cache: JourneyTextCache) -> None:
        self.now = now
        self.journeys = JourneyRenderer(switches, cache)
        self.offset = switches["tz"]
        self.shift = 28_800 if self.offset == "+08:00" else 0
        self.unset = {"null": None, "text-null": "null", "empty": ""}[switches["unset_text"]]
        self.unset_title = "" if self.unset is None else self.unset
        self.email_form = switches["email_form"]
        self.with_track_update = switches["track_update"] == "present"
        self._no_details = self._details({}, None)
        self.delivered_form = switches["updated_at_delivered"]
        self.every_refresh = switches["updated_at_moves"] == "refresh"

    def item(self, shipment: Shipment, lang: str | None = None) -> ItemText:
        """Serialize an item of ``GET``.

        :param shipment: the shipment.
        :param lang: the language of the checkpoints; None means the one given at registration.
        :return: the item.
        """
        details = shipment.details
        journey = shipment.journey
        updated_at = self.updated_at(shipment)
        track_update = ""
        if self.with_track_update:
            track_update = ',"track_update":true' if shipment.track_update else ',"track_update":false'
        head = (
            f"{_head(shipment.id, shipment.number, shipment.carrier_code, shipment.status)}{track_update}"
            f',"created_at":"{self.format_instant(shipment.created_at)}"'
            f',"updated_at":{self._nullable_instant(updated_at)}'
            f"{self._details(details, shipment.order_time) if details else self._no_details}"
            f',"archived":{"true" if shipment.archived else "false"},'
        )
        shown = self.journeys.shipment(shipment, _in_chinese(shipment.carrier_code, lang or details.get("lang")))
        days = self._counts_of_days(journey, shown, shipment.created_at, full=True)
        return ItemText(head + _countries(journey.original, journey.destination), days, shown.text)

    def realtime_item(
        self, shipment_id: str, number: str, carrier_code: str, journey: Journey, seen: int, lang: str | None
    ) -> ItemText:
        """Serialize an item of ``POST /trackings/realtime`` in its older form.

        :param shipment_id: the id.
        :param number: the tracking number.
        :param carrier_code: the carrier.
        :param journey: its journey.
        :param seen: how many of its steps are visible.
        :param lang: the language of the checkpoints.
        :return: the item.
        """
        status = journey.steps[seen - 1].status if seen else "pending"
        head = _head(shipment_id, number, carrier_code, status) + ","
        shown = self.journeys.journey(journey, seen, carrier_code, _in_chinese(carrier_code, lang), full=False)
        days = self._counts_of_days(journey, shown, self.now, full=False)
        return ItemText(head + _countries(journey.original, journey.destination), days, shown.text)

    def created(self, shipment: Shipment) -> dict[str, Any]:
        """Build the response to a registration.

        :param shipment: the shipment.
        :return: the object of reference 1.1.
        """
        details = shipment.details
        email = details.get("customer_email")
        return {
            "id": shipment.id,
            "tracking_number": shipment.number,
            "carrier_code": shipment.carrier_code,
            "order_create_time": int(shipment.order_time or 0),
            "status": shipment.status,
            "created_at": self.format_instant(shipment.created_at),
            "customer_email": self.unset if email is None else [email] if self.email_form == "array" else email,
            "customer_name": details.get("customer_name", self.unset),
            "customer_phone": details.get("customer_phone", self.unset),
            "order_id": details.get("order_id", self.unset),
            "comment": details.get("comment", self.unset),
            "title": details.get("title", self.unset),
            "logistics_channel": details.get("logistics_channel", self.unset),
            "destination": details.get("destination_code", ""),
        }

    def updated_object(self, shipment: Shipment) -> dict[str, Any]:
        """Build the response to an update.

        :param shipment: the shipment.
        :return: the object of reference 1.3.
        """
        updated_at = self.updated_at(shipment)
        return self.created(shipment) | {
            "updated_at": None if updated_at is None else self.format_instant(updated_at),
            "destination_code": shipment.details.get("destination_code", self.unset),
            "archived": shipment.archived,
        }

    def updated_at(self, shipment: Shipment) -> float | None:
        """Return the ``updated_at`` of a shipment; the filters use it as well.

        :param shipment: the shipment.
        :return: Unix seconds; None if the item has null.
        """
        if shipment.updated_at_is_null:
            return None
        if shipment.status == "delivered":
            if self.delivered_form == "null":
                return None
            if self.delivered_form == "null-at-first-refresh" and shipment.delivered_at_first_refresh:
                return None
        if self.every_refresh:
            refresh = shipment.last_refresh(self.now)
            if refresh is not None:
                return max(refresh, shipment.changed_at or refresh)
        return shipment.changed_at

    def format_instant(self, unix: float) -> str:
        """Format a time of the account, such as ``created_at``.

        :param unix: Unix seconds.
        :return: ISO 8601 with the offset of the switch ``tz``.
        """
        return format_offset_time(unix, self.shift, self.offset)

    def _nullable_instant(self, unix: float | None) -> str:
        return "null" if unix is None else f'"{self.format_instant(unix)}"'

    def _details(self, details: dict[str, str], order_time: float | None) -> str:
        fields: dict[str, Any] = {
            "order_create_time": details.get("order_create_time", self.unset),
            "customer_email": self._email(details.get("customer_email")),
            "title": details.get("title", self.unset_title),
        }
        if order_time is not None:
            fields["order_create_time"] = datetime.fromtimestamp(order_time, UTC).strftime("%Y-%m-%d %H:%M")
        fields |= {name: details.get(name, self.unset) for name in ("order_id", "comment", "customer_name")}
        if "customer_phone" in details:
            fields["customer_phone"] = details["customer_phone"]
        return "," + encode_value(fields)[1:-1]

    def _email(self, email: str | None) -> list[str] | str | None:
        if self.email_form == "array":
            return [] if email is None else [email]
        if email is not None:
            return email
        if self.email_form == "null":
            return None
        return "" if self.unset is None else self.unset

    def _counts_of_days(self, journey: Journey, shown: JourneyText, since: float, full: bool) -> str:
        """Serialize the days since the first event and since the last one."""
        local_now = int(self.now) + COUNTRIES[journey.destination].offset * 3600
        if shown.oldest is None or shown.newest is None:
            length, idle = "null", self.now - since
        else:
            until = shown.newest if shown.delivered else local_now
            length = str(max(0, int((until - shown.oldest) // DAY)))
            idle = local_now - shown.newest
        stay = f',"stayTimeLength":{max(0, int(idle // DAY))}' if full else ""
        return f'"itemTimeLength":{length}{stay}'


def _head(shipment_id: str, number: str, carrier_code: str, status: str) -> str:
    return (
        f'{{"id":"{shipment_id}","tracking_number":{quote(number)},"carrier_code":"{carrier_code}","status":"{status}"'
    )


@lru_cache(maxsize=4_096)
def _countries(original: str, destination: str) -> str:
    international = destination != original
    names = (COUNTRIES[original].name if international else "", COUNTRIES[destination].name)
    return f'"original_country":{quote(names[0])},"destination_country":{quote(names[1])},'


def _in_chinese(carrier_code: str, lang: str | None) -> bool:
    return lang == "cn" and carrier_code in _MULTILINGUAL
