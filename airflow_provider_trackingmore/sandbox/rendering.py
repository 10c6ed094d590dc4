"""Serializes shipments as the vendor does (reference 1.1, 1.3, 1.9, 1.19), in the forms that the switches select."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from .carriers import CARRIERS
from .clock import format_time
from .journey_steps import DAY, Checkpoint, Step
from .journeys import Journey
from .places import COUNTRIES
from .store import Shipment
from .switches import SwitchPositions

_MILESTONES = (
    "ItemReceived",
    "ItemDispatched",
    "DepartfromAirport",
    "ArrivalfromAbroad",
    "CustomsClearance",
    "DestinationArrived",
)
_NO_MILESTONES = dict.fromkeys(_MILESTONES)
_NO_DESTINATION = {**_NO_MILESTONES, "weblink": None, "phone": None, "carrier_code": None, "trackinfo": None}
_MULTILINGUAL = frozenset(
    {"4px", "yanwen", "yunexpress", "china-post", "china-ems", "cainiao", "sf-express", "sfb2c", "dhl"}
)
"""Carriers that provide checkpoints in Chinese as well."""


class Renderer:
    """Serializes shipments as of one point in time.

    :param switches: the switches.
    :param now: unix seconds.
    """

    def __init__(self, switches: SwitchPositions, now: float) -> None:
        self.now = now
        self.offset = switches["tz"]
        self.shift = 28_800 if self.offset == "+08:00" else 0
        self.seconds = switches["courier_time"] == "seconds"
        self.unset = {"null": None, "text-null": "null", "empty": ""}[switches["unset_text"]]
        self.unset_title = "" if self.unset is None else self.unset
        self.email_form = switches["email_form"]
        self.null_destination_info = switches["destination_info"] == "nulls"
        self.handover_twice = switches["leg_overlap"] == "handover"
        self.with_track_update = switches["track_update"] == "present"
        self.substatus = switches["substatus"]
        self.long_substatus = switches["substatus_spelling"] == "exception0010"
        self.delivered_form = switches["updated_at_delivered"]
        self.every_refresh = switches["updated_at_moves"] == "refresh"

    def item(self, shipment: Shipment, lang: str | None = None) -> dict[str, Any]:
        """Build an item of ``GET``.

        :param shipment: the shipment.
        :param lang: the language of the checkpoints; None means the one given at registration.
        :return: the item.
        """
        details = shipment.details
        journey = shipment.journey
        item: dict[str, Any] = {
            "id": shipment.id,
            "tracking_number": shipment.number,
            "carrier_code": shipment.carrier_code,
            "status": shipment.status,
        }
        if self.with_track_update:
            item["track_update"] = shipment.track_update
        updated_at = self.updated_at(shipment)
        item["created_at"] = self.format_instant(shipment.created_at)
        item["updated_at"] = None if updated_at is None else self.format_instant(updated_at)
        item["order_create_time"] = self._order_time(shipment)
        item["customer_email"] = self._email(details.get("customer_email"))
        item["title"] = details.get("title", self.unset_title)
        for name in ("order_id", "comment", "customer_name"):
            item[name] = details.get(name, self.unset)
        if "customer_phone" in details:
            item["customer_phone"] = details["customer_phone"]
        item["archived"] = shipment.archived
        language = _language(shipment.carrier_code, lang or details.get("lang"))
        item.update(
            self._tracking_details(
                journey, shipment.seen_steps, shipment.carrier_code, shipment.created_at, language, full=True
            )
        )
        if shipment.forced:
            item["substatus"] = None
        return item

    def realtime_item(
        self, shipment_id: str, number: str, carrier_code: str, journey: Journey, seen: int, lang: str | None
    ) -> dict[str, Any]:
        """Build an item of ``POST /trackings/realtime`` in its older form.

        :param shipment_id: the id.
        :param number: the tracking number.
        :param carrier_code: the carrier.
        :param journey: its journey.
        :param seen: how many of its steps are visible.
        :param lang: the language of the checkpoints.
        :return: the item.
        """
        status = journey.steps[seen - 1].status if seen else "pending"
        head = {"id": shipment_id, "tracking_number": number, "carrier_code": carrier_code, "status": status}
        return head | self._tracking_details(
            journey, seen, carrier_code, self.now, _language(carrier_code, lang), full=False
        )

    def created(self, shipment: Shipment) -> dict[str, Any]:
        """Build the answer to a registration.

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
        """Build the answer to an update.

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
        :return: unix seconds; None if the item has null.
        """
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

        :param unix: unix seconds.
        :return: ISO 8601 with the offset of the switch ``tz``.
        """
        return format_time(unix, self.offset)

    def _order_time(self, shipment: Shipment) -> str | None:
        if shipment.order_time is not None:
            return datetime.fromtimestamp(shipment.order_time, UTC).strftime("%Y-%m-%d %H:%M")
        return shipment.details.get("order_create_time", self.unset)

    def _email(self, email: str | None) -> list[str] | str | None:
        if self.email_form == "array":
            return [] if email is None else [email]
        if email is not None:
            return email
        if self.email_form == "null":
            return None
        return "" if self.unset is None else self.unset

    def _substatus(self, status: str, substatus: str) -> str | None:
        shown = self.substatus == "filled" or (self.substatus == "rarely" and status in ("exception", "undelivered"))
        if not shown:
            return None
        return self._substatus_code(substatus)

    def _substatus_code(self, substatus: str) -> str:
        if self.long_substatus and substatus.startswith("exception01"):
            return f"exception0{substatus.removeprefix('exception')}"
        return substatus

    def _tracking_details(
        self, journey: Journey, seen: int, carrier_code: str, since: float, lang: str | None, full: bool
    ) -> dict[str, Any]:
        steps = journey.steps[:seen]
        known = sorted((step for step in steps if step.checkpoint), key=_local_time, reverse=True)
        newest = _local_time(known[0]) if known else None
        international = journey.destination != journey.original
        result: dict[str, Any] = {
            "original_country": COUNTRIES[journey.original].name if international else "",
            "destination_country": COUNTRIES[journey.destination].name,
        }
        local_now = int(self.now) + COUNTRIES[journey.destination].offset * 3600
        over = bool(steps) and steps[-1].status == "delivered"
        until = newest if over and newest is not None else local_now
        result["itemTimeLength"] = max(0, int((until - _local_time(known[-1])) // DAY)) if known else None
        if full:
            rest = self.now - since if newest is None else local_now - newest
            result["stayTimeLength"] = max(0, int(rest // DAY))
            result["service_code"] = None
            result["status_info"] = None
            result["substatus"] = self._substatus(steps[-1].status, steps[-1].substatus) if steps else None
        partner = journey.destination_carrier
        rows = [self._checkpoint(step, lang, full) for step in known]
        abroad = [row for row, step in zip(rows, known, strict=True) if step.checkpoint and step.checkpoint.abroad]
        origin_leg = (
            [row for row, step in zip(rows, known, strict=True) if step.checkpoint and not step.checkpoint.abroad]
            if abroad
            else rows
        )
        result["origin_info"] = self._leg(origin_leg, carrier_code, full)
        if partner and abroad:
            if self.handover_twice and origin_leg:
                abroad = [*abroad, _as_reported_by_partner(origin_leg[0])]
            result["destination_info"] = self._leg(abroad, partner, full)
        elif self.null_destination_info:
            result["destination_info"] = dict(_NO_DESTINATION)
        parts = (rows[0]["StatusDescription"], rows[0]["Details"], rows[0]["Date"]) if rows else ()
        result["lastEvent"] = ",".join(part for part in parts if part)
        result["lastUpdateTime"] = rows[0]["Date"] if rows else None
        return result

    def _checkpoint(self, step: Step, lang: str | None, full: bool) -> dict[str, Any]:
        row = cast("Checkpoint", step.checkpoint)
        written: dict[str, Any] = {
            "Date": datetime.fromtimestamp(row.local_time, UTC).isoformat(" ")[: 19 if self.seconds else 16],
            "StatusDescription": row.text.cn if lang == "cn" else row.text.en,
            "Details": row.place,
        }
        if full:
            written["checkpoint_status"] = row.status
            if self.substatus == "filled":
                written["substatus"] = self._substatus_code(step.substatus)
                written["substatus_num"] = int(step.substatus[-3:])
            if row.text.milestone:
                written["ItemNode"] = row.text.milestone
        return written

    def _leg(self, rows: Sequence[dict[str, Any]], carrier_code: str, full: bool) -> dict[str, Any]:
        carrier = CARRIERS[carrier_code]
        info: dict[str, Any] = {}
        if full:
            info["ReferenceNumber"] = None
            info.update(_NO_MILESTONES)
            for row in rows:
                if "ItemNode" in row:
                    info[row["ItemNode"]] = row["Date"]
        info["weblink"] = carrier.homepage
        info["phone"] = carrier.phone
        info["carrier_code"] = carrier_code
        info["trackinfo"] = rows or None
        return info


def _as_reported_by_partner(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in ("substatus", "substatus_num", "ItemNode")}
    return kept | {"StatusDescription": row["StatusDescription"] + " "}


def _language(carrier_code: str, lang: str | None) -> str | None:
    return lang if carrier_code in _MULTILINGUAL else None


def _local_time(step: Step) -> int:
    return cast("Checkpoint", step.checkpoint).local_time
