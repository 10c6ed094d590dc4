"""When a wait is over: what is waited for + what is known -> Waiting | Released | Failed. Pure; the only state machine.

Sensors in every mode and the trigger ask this one place. It knows no clock, no Airflow and no wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from airflow_provider_trackingmore.api.errors import InvalidShipmentError
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.api.shipments import as_list, shipment_key, shown

WaitFor: TypeAlias = "Literal['all', 'any'] | int"

NOT_REGISTERED = "not_registered"
TIMED_OUT = "timed_out"
WAITING = "waiting"

_NUMBER = re.compile(r"[0-9]{1,9}")
"""How a template gives a count."""

WAY_OUT_NOT_REGISTERED = "is not registered with TrackingMore: run CreateTrackingsOperator first"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one shipment; small, and without personal data.

    :param carrier_code: the carrier.
    :param tracking_number: the carrier's number.
    :param status: the vendor's status; None while nothing is known.
    :param substatus: finer code, where the vendor gives one.
    :param delivered_at: ISO 8601 local time of the place, without zone; None while not delivered.
    :param last_update: ISO 8601 local time of the newest event, without zone.
    :param order_id: the order it was registered with.
    :param outcome: what it means for the wait: the status that ended it, or one of ``not_registered``, ``timed_out``,
        ``waiting``.
    """

    carrier_code: str
    tracking_number: str
    status: str | None = None
    substatus: str | None = None
    delivered_at: str | None = None
    last_update: str | None = None
    order_id: str | None = None
    outcome: str = WAITING

    @classmethod
    def of(cls, key: ShipmentKey, tracking: Tracking | None) -> Outcome:
        """Take from a tracking what a wait needs to know.

        :param key: the shipment as the user named it.
        :param tracking: what the vendor knows; None: it is not registered.
        :return: the outcome so far.
        """
        if tracking is None:
            return cls(*key, outcome=NOT_REGISTERED)
        return cls(
            *key,
            status=tracking.status_text or tracking.status.value,
            substatus=tracking.substatus,
            delivered_at=tracking.delivered_at,
            last_update=tracking.last_update,
            order_id=tracking.order_id,
        )

    @classmethod
    def is_in(cls, entry: Mapping[str, Any]) -> bool:
        """Tell whether :meth:`from_dict` can read an entry.

        :param entry: plain data.
        :return: False if something that is needed is missing, or no text.
        """
        texts = all(isinstance(entry.get(name), str) for name in ("carrier_code", "tracking_number", "outcome"))
        return texts and all(isinstance(entry.get(name, ""), str | None) for name in cls.__slots__)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Outcome:
        """Read back what :meth:`as_dict` made; unknown names are left out.

        :param entry: plain data.
        :return: the outcome.
        """
        values: dict[str, Any] = {name: entry[name] for name in cls.__slots__ if name in entry}
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain data, for events and XCom.

        :return: one value per field.
        """
        return asdict(self)

    @property
    def key(self) -> ShipmentKey:
        """Carrier and number."""
        return ShipmentKey(self.carrier_code, self.tracking_number)

    def __str__(self) -> str:
        if self.outcome == NOT_REGISTERED:
            return f"{self.key} {WAY_OUT_NOT_REGISTERED}"
        return f"{self.key}: {self.status or 'nothing known yet'}" + (f" ({self.substatus})" if self.substatus else "")


@dataclass(frozen=True)
class Waiting:
    """Not yet decided."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Released:
    """What was waited for has come true."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Failed:
    """What was waited for cannot come true any more."""

    outcomes: tuple[Outcome, ...]
    reason: str


Decision: TypeAlias = Waiting | Released | Failed


@dataclass(frozen=True)
class Goal:
    """What is waited for.

    :param shipments: each once, in the user's order.
    :param statuses: a shipment that has one of these counts as arrived.
    :param wait_for: how many must arrive: ``all``, ``any``, or a number.
    :param fail_on: a shipment that has one of these will not arrive.
    """

    shipments: tuple[ShipmentKey, ...]
    statuses: frozenset[str] = frozenset({ShipmentStatus.DELIVERED.value})
    wait_for: WaitFor = "all"
    fail_on: frozenset[str] = frozenset({ShipmentStatus.EXCEPTION.value, ShipmentStatus.EXPIRED.value})

    @property
    def needed(self) -> int:
        """How many shipments must arrive; none of none."""
        if self.wait_for == "all":
            return len(self.shipments)
        return min(1 if self.wait_for == "any" else int(self.wait_for), len(self.shipments))

    def decide(self, known: Mapping[ShipmentKey, Outcome]) -> Decision:
        """Decide whether the wait is over.

        :param known: the newest knowledge of each shipment; a missing one is simply not known yet.
        :return: ``Released`` as soon as enough have arrived, ``Failed`` as soon as too few still can, or one of them is
            not registered; ``Waiting`` otherwise. Each lists every shipment in order.
        """
        outcomes = tuple(self._judged(known.get(key) or Outcome(*key)) for key in self.shipments)
        arrived = [one for one in outcomes if one.outcome in self.statuses]
        if len(arrived) >= self.needed:
            return Released(outcomes)
        unregistered = [one for one in outcomes if one.outcome == NOT_REGISTERED]
        if unregistered:
            return Failed(outcomes, _listed(unregistered))
        lost = [one for one in outcomes if one.outcome != WAITING and one.outcome not in self.statuses]
        if len(outcomes) - len(lost) < self.needed:
            return Failed(outcomes, _listed(lost))
        return Waiting(outcomes)

    def still_open(self, known: Mapping[ShipmentKey, Outcome]) -> tuple[ShipmentKey, ...]:
        """The shipments that still have to be asked for.

        :param known: the newest knowledge of each.
        :return: those that have neither arrived nor failed, in order.
        """
        return tuple(key for key in self.shipments if key not in known or self._judged(known[key]).outcome == WAITING)

    def _judged(self, one: Outcome) -> Outcome:
        """The status says it; an ``outcome`` that came with it (in an event, say) is not believed."""
        if one.status is None and one.outcome == NOT_REGISTERED:
            return one
        return replace(one, outcome=one.status if one.status in self.statuses | self.fail_on else WAITING)


def goal(
    shipments: object, *, statuses: object = ("delivered",), wait_for: object = "all", fail_on: object = ()
) -> Goal:
    """Check what a user wants to wait for.

    :param shipments: one shipment or an iterable of them.
    :param statuses: statuses that count as arrived.
    :param wait_for: ``all``, ``any``, or how many.
    :param fail_on: statuses that count as failed; one that also counts as arrived has arrived.
    :return: the goal.
    :raises InvalidShipmentError: naming every shipment or argument that is wrong, and how.
    """
    keys: dict[ShipmentKey, None] = {}
    wrong: list[str] = []
    for position, shipment in enumerate(as_list(shipments), start=1):
        try:
            keys.setdefault(shipment_key(shipment))
        except InvalidShipmentError as error:
            wrong.append(f"shipment {position}: {error.message}")
    if wrong:
        raise InvalidShipmentError("; ".join(wrong[:20]) + (f"; and {len(wrong) - 20} more" if wrong[20:] else ""))
    arrived = _statuses("statuses", statuses)
    if not arrived:
        raise InvalidShipmentError("statuses is empty: name at least one status to wait for")
    return Goal(tuple(keys), arrived, _wait_for(wait_for, len(keys)), _statuses("fail_on", fail_on) - arrived)


def timed_out(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Mark what was still waited for when the time was up.

    :param outcomes: what is known.
    :return: the same, with ``timed_out`` in place of ``waiting``.
    """
    return tuple(replace(one, outcome=TIMED_OUT) if one.outcome == WAITING else one for one in outcomes)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Count the statuses for one log line.

    :param outcomes: what is known.
    :return: such as ``2 delivered, 1 transit``.
    """
    counts: dict[str, int] = {}
    for one in outcomes:
        word = one.outcome if one.status is None else one.status
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) or "no shipments"


def _statuses(argument: str, values: object) -> frozenset[str]:
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, Iterable):
        raise InvalidShipmentError(f"{argument} must be a list of statuses, not {type(values).__name__}")
    allowed = [status.value for status in ShipmentStatus if status != ShipmentStatus.UNKNOWN]
    chosen = list(values)
    wrong = [value for value in chosen if value not in allowed]
    if wrong:
        raise InvalidShipmentError(f"{argument} names {_named(wrong[0])}; the statuses are {', '.join(allowed)}")
    return frozenset(str(value) for value in chosen)


def _wait_for(value: object, total: int) -> WaitFor:
    if value == "all":
        return "all"
    if value == "any":
        return "any"
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidShipmentError(f"wait_for must be 'all', 'any' or a number from 1, not {_named(value)}")
    if total and value > total:
        raise InvalidShipmentError(f"wait_for is {shown(value)}, but there are only {total} shipments to wait for")
    return value


def _named(value: object) -> str:
    return shown(value) or type(value).__name__


def _listed(outcomes: Sequence[Outcome]) -> str:
    shown = "; ".join(map(str, outcomes[:20]))
    return shown + (f"; and {len(outcomes) - 20} more" if outcomes[20:] else "")
