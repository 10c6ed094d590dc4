"""Arguments of a wait, checked before any call: shipments, orders, statuses, counts, durations -> ``Wait``. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from airflow_provider_trackingmore.api.errors import InvalidShipmentError
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.api.shipments import as_list, shipment_key, shown
from airflow_provider_trackingmore.waiting.gate import Goal, Wait, WaitFor
from airflow_provider_trackingmore.waiting.outcomes import RETURNED, listed

STATUSES = tuple(status.value for status in ShipmentStatus if status != ShipmentStatus.UNKNOWN)

_NUMBER = re.compile(r"[0-9]{1,9}")
"""How a template gives a count."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for every shipment of a wait, as the user gave it.

    :param statuses: statuses that count as arrived.
    :param wait_for: ``all``, ``any``, or how many (of each order).
    :param fail_on: statuses, or ``returned``, that count as failed; one that also counts as arrived has arrived.
    :param settle_seconds: for how long a shipment must have been seen arrived before it counts.
    :param stuck_after: seconds without a new event after which a shipment is stuck; None: never.
    """

    statuses: object = ("delivered",)
    wait_for: object = "all"
    fail_on: object = field(default=())
    settle_seconds: object = 0.0
    stuck_after: object = None


def wait(shipments: object, terms: Terms) -> Wait:
    """Check what a user wants to wait for.

    :param shipments: one shipment or an iterable of them.
    :param terms: what holds for each of them.
    :return: the wait.
    :raises InvalidShipmentError: naming every shipment or argument that is wrong, and how.
    """
    return Wait({None: _goal(_keys(shipments), terms)})


def wait_for_orders(orders: object, terms: Terms) -> Wait:
    """Check the orders that a user wants to wait for.

    :param orders: name of the order -> its shipment or shipments.
    :param terms: what holds for each order.
    :return: the wait.
    :raises InvalidShipmentError: naming the order and what is wrong with it.
    """
    if orders is None:
        orders = {}
    if not isinstance(orders, Mapping):
        raise InvalidShipmentError(f"orders must map the name of each order to its shipments, not {_named(orders)}")
    goals: dict[str | None, Goal] = {}
    wrong: list[str] = []
    for name, shipments in orders.items():
        if not isinstance(name, str) or not name:
            wrong.append(f"an order's name must be text, not {_named(name)}")
            continue
        try:
            keys = _keys(shipments)
            if not keys:
                raise InvalidShipmentError("it has no shipments to wait for: leave it out")
            goals[name] = _goal(keys, terms)
        except InvalidShipmentError as error:
            wrong.append(f"order {shown(name)}: {error.message}")
    if wrong:
        raise InvalidShipmentError(listed(wrong))
    return Wait(goals)


def _keys(shipments: object) -> tuple[ShipmentKey, ...]:
    keys: dict[ShipmentKey, None] = {}
    wrong: list[str] = []
    for position, shipment in enumerate(as_list(shipments), start=1):
        try:
            keys.setdefault(shipment_key(shipment))
        except InvalidShipmentError as error:
            wrong.append(f"shipment {position}: {error.message}")
    if wrong:
        raise InvalidShipmentError(listed(wrong))
    return tuple(keys)


def _goal(keys: tuple[ShipmentKey, ...], terms: Terms) -> Goal:
    arrived = _statuses("statuses", terms.statuses, STATUSES)
    if not arrived:
        raise InvalidShipmentError("statuses is empty: name at least one status to wait for")
    return Goal(
        keys,
        arrived,
        _wait_for(terms.wait_for, len(keys)),
        _statuses("fail_on", terms.fail_on, (*STATUSES, RETURNED)) - arrived,
        _seconds("settle_seconds", terms.settle_seconds) or 0.0,
        _seconds("stuck_after", terms.stuck_after),
    )


def _statuses(argument: str, values: object, allowed: tuple[str, ...]) -> frozenset[str]:
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, Iterable):
        raise InvalidShipmentError(f"{argument} must be a list of statuses, not {type(values).__name__}")
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


def _seconds(argument: str, value: object) -> float | None:
    """Read a duration; a template gives it as text, and None as the word."""
    if value is None or value in ("", "None"):
        return None
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidShipmentError(f"{argument} must be a number of seconds from 0, not {_named(value)}")
    return seconds


def _named(value: object) -> str:
    return shown(value) or type(value).__name__
