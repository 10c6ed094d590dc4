"""Serializes the events of a shipment and the two legs that hold them (reference 1.19)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from .carriers import CARRIERS
from .journey_steps import Checkpoint, Step
from .json_texts import format_local_time, quote

MILESTONES = (
    "ItemReceived",
    "ItemDispatched",
    "DepartfromAirport",
    "ArrivalfromAbroad",
    "CustomsClearance",
    "DestinationArrived",
)
_NO_MILESTONES = dict.fromkeys(MILESTONES, "null")
_MILESTONES_FORMAT = '"ReferenceNumber":null,' + "".join(f'"{name}":%s,' for name in MILESTONES)
NO_DESTINATION = (
    "{"
    + "".join(f'"{name}":null,' for name in MILESTONES)
    + '"weblink":null,"phone":null,"carrier_code":null,"trackinfo":null}'
)
"""The ``destination_info`` of a parcel that has none, where it is shown nevertheless."""


Event = tuple[int, Checkpoint, str]
"""A visible event: its local time in seconds as if it were UTC, its checkpoint and its substatus."""
_local_time = itemgetter(0)


def visible_events(steps: Sequence[Step]) -> list[Event]:
    """List the events in the order of a response: the newest local time first.

    :param steps: the visible steps of a journey.
    :return: the events.
    """
    events = [
        (int(at) + local_shift, checkpoint, substatus)
        for at, _, substatus, checkpoint, local_shift in steps
        if checkpoint is not None
    ]
    events.sort(key=_local_time, reverse=True)
    return events


@dataclass(frozen=True, slots=True)
class EventForm:
    """The form of the events in one response.

    :param chinese: whether descriptions are in Chinese.
    :param full: whether events have a status and legs have milestones, which the old form of realtime lacks.
    :param seconds: whether times have seconds.
    :param substatus: whether events have a substatus.
    :param long_substatus: whether substatuses of two digits are written with four.
    """

    chinese: bool
    full: bool
    seconds: bool
    substatus: bool
    long_substatus: bool

    def dates(self, events: Sequence[Event]) -> list[str]:
        """Format the times of events.

        :param events: the events.
        :return: the ``Date`` of each.
        """
        seconds = self.seconds
        return [format_local_time(local_time, seconds) for local_time, _, _ in events]

    def last_event(self, event: Event, date: str) -> str:
        """Serialize the newest event.

        :param event: the event.
        :param date: its ``Date``.
        :return: the ``lastEvent``.
        """
        return _last_event(event[1], self.chinese) + date + '"'

    def leg(
        self, events: Sequence[Event], dates: Sequence[str], carrier_code: str, handed_over: Event | None = None
    ) -> str:
        """Serialize a leg.

        :param events: its events, newest first.
        :param dates: the ``Date`` of each.
        :param carrier_code: the carrier that reports them.
        :param handed_over: the event of the other carrier that this one repeats, if any.
        :return: ``origin_info`` or ``destination_info``.
        """
        chinese, full, with_substatus, long_substatus = self.chinese, self.full, self.substatus, self.long_substatus
        rows = [
            '{"Date":"'
            + date
            + _event_fields(checkpoint, chinese, full, substatus if with_substatus else "", long_substatus)
            for (_, checkpoint, substatus), date in zip(events, dates, strict=True)
        ]
        if handed_over is not None:
            rows.append(_repeated_event(handed_over[1], self.dates([handed_over])[0], chinese, full))
        milestones = _milestones(events, dates) if full else ""
        trackinfo = "[" + ",".join(rows) + "]" if rows else "null"
        return "{" + milestones + _carrier_fields(carrier_code) + ',"trackinfo":' + trackinfo + "}"


def substatus_code(substatus: str, long: bool) -> str:
    """Spell a substatus.

    :param substatus: such as ``exception010``.
    :param long: whether those of two digits are written with four.
    :return: the substatus.
    """
    if long and substatus.startswith("exception01"):
        return f"exception0{substatus.removeprefix('exception')}"
    return substatus


def _milestones(events: Sequence[Event], dates: Sequence[str]) -> str:
    """Serialize when each milestone was reached: at the oldest event that marks it."""
    reached = _NO_MILESTONES.copy()
    for (_, checkpoint, _), date in zip(events, dates, strict=True):
        if milestone := checkpoint.text[2]:
            reached[milestone] = f'"{date}"'
    return _MILESTONES_FORMAT % tuple(reached.values())


def _description(checkpoint: Checkpoint, chinese: bool) -> str:
    return checkpoint.text.cn if chinese else checkpoint.text.en


@lru_cache(maxsize=65_536)
def _event_fields(checkpoint: Checkpoint, chinese: bool, full: bool, substatus: str, long_substatus: bool) -> str:
    """Serialize what follows the date in an event."""
    description = quote(_description(checkpoint, chinese))
    fields = f'","StatusDescription":{description},"Details":{quote(checkpoint.place)}'
    if full:
        fields += f',"checkpoint_status":"{checkpoint.status}"'
        if substatus:
            code = substatus_code(substatus, long_substatus)
            fields += f',"substatus":"{code}","substatus_num":{int(substatus[-3:])}'
        if checkpoint.text.milestone:
            fields += f',"ItemNode":"{checkpoint.text.milestone}"'
    return fields + "}"


def _repeated_event(checkpoint: Checkpoint, date: str, chinese: bool, full: bool) -> str:
    """Serialize an event as the second carrier repeats it: with a trailing blank, without substatus and milestone."""
    description = quote(_description(checkpoint, chinese) + " ")
    status = f',"checkpoint_status":"{checkpoint.status}"' if full else ""
    return f'{{"Date":"{date}","StatusDescription":{description},"Details":{quote(checkpoint.place)}{status}}}'


@lru_cache(maxsize=65_536)
def _last_event(checkpoint: Checkpoint, chinese: bool) -> str:
    """Serialize what precedes the date in ``lastEvent``."""
    parts = (_description(checkpoint, chinese), checkpoint.place)
    return quote("".join(f"{part}," for part in parts if part))[:-1]


@lru_cache(maxsize=256)
def _carrier_fields(carrier_code: str) -> str:
    carrier = CARRIERS[carrier_code]
    return f'"weblink":"{carrier.homepage}","phone":"{carrier.phone}","carrier_code":"{carrier_code}"'
