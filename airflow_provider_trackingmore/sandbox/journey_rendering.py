"""Serializes the visible part of a journey, and keeps it until more of the journey is visible."""

from __future__ import annotations

from itertools import compress
from typing import NamedTuple

from .event_rendering import NO_DESTINATION, Event, EventForm, substatus_code, visible_events
from .journeys import Journey
from .shipments import Shipment
from .switches import SwitchPositions


class JourneyText(NamedTuple):
    """The visible part of a journey.

    :param oldest: local time of the first event in seconds, as if it were UTC; None without events.
    :param newest: local time of the last event; None without events.
    :param delivered: whether the parcel is delivered.
    :param text: the fields after the counts of days, as JSON.
    """

    oldest: int | None
    newest: int | None
    delivered: bool
    text: str


class JourneyTextCache:
    """Journeys as they were last serialized, of a limited number of shipments.

    When it is full, the shipments in it stay: a client that reads page after page would find nothing otherwise.

    :param capacity: how many shipments it holds.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._texts: dict[Shipment, tuple[Journey, tuple[object, ...], JourneyText]] = {}

    def find(self, shipment: Shipment, form: tuple[object, ...]) -> JourneyText | None:
        """Find the text of a shipment's journey.

        :param shipment: the shipment.
        :param form: everything but the journey that the text depends on.
        :return: the text; None if it is not there or has changed.
        """
        known = self._texts.get(shipment)
        if known is None or known[0] is not shipment.journey or known[1] != form:
            return None
        return known[2]

    def store(self, shipment: Shipment, form: tuple[object, ...], text: JourneyText) -> None:
        """Keep the text of a shipment's journey, if there is room.

        :param shipment: the shipment.
        :param form: everything but the journey that the text depends on.
        :param text: the text.
        """
        if len(self._texts) < self.capacity or shipment in self._texts:
            self._texts[shipment] = shipment.journey, form, text

    def discard(self, shipment: Shipment) -> None:
        """Remove a shipment that was deleted.

        :param shipment: the shipment.
        """
        self._texts.pop(shipment, None)


class JourneyRenderer:
    """Serializes journeys in the forms that the switches select.

    :param switches: the switches.
    :param cache: keeps the texts of items of ``GET``.
    """

    def __init__(self, switches: SwitchPositions, cache: JourneyTextCache) -> None:
        self.cache = cache
        self.seconds = switches["courier_time"] == "seconds"
        self.null_destination_info = switches["destination_info"] == "nulls"
        self.handover_twice = switches["leg_overlap"] == "handover"
        self.substatus = switches["substatus"]
        self.long_substatus = switches["substatus_spelling"] == "exception0010"
        self._form = (
            self.seconds,
            self.null_destination_info,
            self.handover_twice,
            self.substatus,
            self.long_substatus,
        )

    def shipment(self, shipment: Shipment, chinese: bool) -> JourneyText:
        """Serialize the visible part of a shipment's journey as in ``GET``.

        :param shipment: the shipment.
        :param chinese: whether descriptions are in Chinese.
        :return: the text.
        """
        form = (self._form, shipment.seen_steps, chinese, shipment.forced is None)
        text = self.cache.find(shipment, form)
        if text is None:
            with_substatus = shipment.forced is None
            text = self.journey(
                shipment.journey, shipment.seen_steps, shipment.carrier_code, chinese, with_substatus=with_substatus
            )
            self.cache.store(shipment, form, text)
        return text

    def journey(
        self,
        journey: Journey,
        seen: int,
        carrier_code: str,
        chinese: bool,
        *,
        full: bool = True,
        with_substatus: bool = True,
    ) -> JourneyText:
        """Serialize the visible part of a journey.

        :param journey: the journey.
        :param seen: how many of its steps are visible.
        :param carrier_code: the carrier.
        :param chinese: whether descriptions are in Chinese.
        :param full: whether it has all fields of an item of ``GET``.
        :param with_substatus: whether the substatus of the journey is that of the parcel.
        :return: the text.
        """
        steps = journey.steps[:seen]
        form = EventForm(chinese, full, self.seconds, self.substatus == "filled", self.long_substatus)
        events = visible_events(steps)
        dates = form.dates(events)
        text = ""
        if full:
            known = with_substatus and steps
            substatus = self._substatus(steps[-1].status, steps[-1].substatus) if known else "null"
            text = f',"service_code":null,"status_info":null,"substatus":{substatus}'
        text += self._legs(form, events, dates, carrier_code, journey.destination_carrier)
        last_event, last_time = '""', "null"
        if events:
            last_event, last_time = form.last_event(events[0], dates[0]), f'"{dates[0]}"'
        text += f',"lastEvent":{last_event},"lastUpdateTime":{last_time}}}'
        delivered = bool(steps) and steps[-1].status == "delivered"
        if not events:
            return JourneyText(None, None, delivered, text)
        return JourneyText(events[-1][0], events[0][0], delivered, text)

    def _substatus(self, status: str, substatus: str) -> str:
        shown = self.substatus == "filled" or (self.substatus == "rarely" and status in ("exception", "undelivered"))
        return f'"{substatus_code(substatus, self.long_substatus)}"' if shown else "null"

    def _legs(
        self, form: EventForm, events: list[Event], dates: list[str], carrier_code: str, partner: str | None
    ) -> str:
        """Serialize both legs."""
        abroad = [checkpoint.abroad for _, checkpoint, _ in events] if partner else []
        if partner is None or True not in abroad:
            nulls = f',"destination_info":{NO_DESTINATION}' if self.null_destination_info else ""
            return f',"origin_info":{form.leg(events, dates, carrier_code)}{nulls}'
        at_home = [not is_abroad for is_abroad in abroad]
        origin = list(compress(events, at_home))
        handed_over = origin[0] if self.handover_twice and origin else None
        origin_leg = form.leg(origin, list(compress(dates, at_home)), carrier_code)
        destination = form.leg(list(compress(events, abroad)), list(compress(dates, abroad)), partner, handed_over)
        return f',"origin_info":{origin_leg},"destination_info":{destination}'
