"""``WaitSpec``: all options of a wait, validated once. The sensor, the trigger and its stored form all use it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain
from typing import Any, Literal, Self, TypeAlias

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.formatting import format_list, format_value
from airflow_provider_trackingmore.api.limits import END_OF_YEAR_9999
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.api.shipments import as_shipment_list, shipment_key
from airflow_provider_trackingmore.api.validation import check_carrier_code, check_tracking_number
from airflow_provider_trackingmore.waiting.outcome import ShipmentOutcome, WaitResult

WaitFor: TypeAlias = "Literal['all', 'any'] | int"

STATUSES = tuple(status.value for status in ShipmentStatus if status != ShipmentStatus.UNKNOWN)
FAIL_ON_VALUES = (*STATUSES, ShipmentOutcome.RETURNED.value)
END_RESULTS = (WaitResult.RELEASED, WaitResult.FAILED, WaitResult.TIMED_OUT)
STORED_VERSION = 1
RECONCILE_SECONDS = 1800.0
SHORTEST_INTERVAL = 0.05

_COUNT = re.compile(r"[0-9]{1,9}")
"""A count as a template renders it."""


@dataclass(frozen=True, kw_only=True)
class WaitSpec:
    """What to wait for, and how. Use :meth:`create` to build one from a user's arguments.

    :param orders: name of each order -> its shipments: normalized key -> as the user spells it. A wait without orders
        has a single one, named None.
    :param statuses: statuses that count as arrived.
    :param wait_for: how many shipments (of each order) must arrive: ``all``, ``any``, or a number.
    :param fail_on: statuses, or ``returned``, that count as failed, unless they also count as arrived.
    :param settle_seconds: how long a shipment must have been seen as arrived before it counts.
    :param stuck_after: seconds without a new event after which a shipment is stuck; None for never.
    :param poke_interval: maximum seconds between two checks of a shipment.
    :param reconcile_seconds: maximum seconds between two checks that do not rely on the vendor's list of changes.
    :param deadline: Unix seconds at which the wait times out; None for no deadline.
    :param first_check_at: Unix seconds of the first check, 0 for immediately; None for one ``poke_interval`` from now.
    :param end_in_triggerer: results with which the triggerer ends the task, so that no worker is needed.
    :param push_result: whether the triggerer pushes the result of such a task to XCom.
    :param trackingmore_conn_id: the Airflow connection.
    """

    orders: Mapping[str | None, Mapping[ShipmentKey, ShipmentKey]]
    statuses: frozenset[str] = frozenset({ShipmentStatus.DELIVERED.value})
    wait_for: WaitFor = "all"
    fail_on: frozenset[str] = frozenset({ShipmentStatus.EXCEPTION.value, ShipmentStatus.EXPIRED.value})
    settle_seconds: float = 0.0
    stuck_after: float | None = None
    poke_interval: float = 60.0
    reconcile_seconds: float = RECONCILE_SECONDS
    deadline: float | None = None
    first_check_at: float | None = None
    end_in_triggerer: tuple[WaitResult, ...] = ()
    push_result: bool = True
    trackingmore_conn_id: str = "trackingmore_default"

    @classmethod
    def create(
        cls,
        *,
        shipments: object = None,
        orders: object = None,
        statuses: object = ("delivered",),
        wait_for: object = "all",
        fail_on: object = ("exception", "expired"),
        settle_seconds: object = 0.0,
        stuck_after: object = None,
        poke_interval: object = 60.0,
        reconcile_seconds: object = RECONCILE_SECONDS,
        deadline: object = None,
        first_check_at: object = None,
        end_in_triggerer: Sequence[WaitResult] = (),
        push_result: bool = True,
        trackingmore_conn_id: str = "trackingmore_default",
    ) -> Self:
        """Validate a user's arguments.

        :param shipments: one shipment or an iterable of them; None if ``orders`` are given.
        :param orders: name of each order -> its shipment or shipments.
        :param statuses: statuses that count as arrived.
        :param wait_for: ``all``, ``any``, or how many (of each order); also as text, as templates render it.
        :param fail_on: statuses, or ``returned``, that count as failed.
        :param settle_seconds: seconds from 0, also as text.
        :param stuck_after: seconds, also as text; None or an empty text for never.
        :param poke_interval: seconds; less than 0.05 counts as 0.05.
        :param reconcile_seconds: seconds; less than 0.05 counts as 0.05.
        :param deadline: Unix seconds, or None.
        :param first_check_at: Unix seconds, or None.
        :param end_in_triggerer: results with which the triggerer ends the task.
        :param push_result: whether the triggerer pushes the result of such a task to XCom.
        :param trackingmore_conn_id: the Airflow connection.
        :return: the specification.
        :raises InvalidArgumentError: naming all invalid shipments or orders, or the first other invalid argument.
        """
        arrived = check_statuses("statuses", statuses, STATUSES)
        if not arrived:
            raise InvalidArgumentError("statuses is empty: name at least one status to wait for")
        checked = _orders(shipments, orders)
        number = _wait_for(wait_for)
        if isinstance(number, int):
            _check_enough(number, checked)
        return cls(
            orders=checked,
            statuses=arrived,
            wait_for=number,
            fail_on=check_statuses("fail_on", fail_on, FAIL_ON_VALUES) - arrived,
            settle_seconds=_seconds("settle_seconds", settle_seconds) or 0.0,
            stuck_after=_seconds("stuck_after", stuck_after),
            poke_interval=max(check_seconds("poke_interval", poke_interval), SHORTEST_INTERVAL),
            reconcile_seconds=max(check_seconds("reconcile_seconds", reconcile_seconds), SHORTEST_INTERVAL),
            deadline=_seconds("deadline", deadline),
            first_check_at=_seconds("first_check_at", first_check_at),
            end_in_triggerer=tuple(end_in_triggerer),
            push_result=push_result,
            trackingmore_conn_id=trackingmore_conn_id,
        )

    @cached_property
    def shipments(self) -> tuple[ShipmentKey, ...]:
        """All shipments, as the user ordered and spelled them. Two spellings of one shipment count once."""
        found: dict[ShipmentKey, ShipmentKey] = {}
        for shipments in self.orders.values():
            for normalized, key in shipments.items():
                found.setdefault(normalized, key)
        return tuple(found.values())

    @property
    def size(self) -> int:
        """The number of shipments to wait for. A shipment that is in two orders counts twice."""
        return sum(map(len, self.orders.values()))

    @property
    def reopens(self) -> bool:
        """Whether a delivered shipment may go back into transit: only waits with ``settle_seconds`` check it again."""
        return self.settle_seconds > 0

    def needed(self, order: str | None) -> int:
        """Return how many shipments of an order must arrive.

        :param order: its name; None where there are no orders.
        """
        total = len(self.orders[order])
        if self.wait_for == "all":
            return total
        return min(1 if self.wait_for == "any" else int(self.wait_for), total)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what to wait for: specifications with the same fingerprint decide alike."""
        names = ("statuses", "wait_for", "fail_on", "settle_seconds", "stuck_after")
        goal = [_plain(getattr(self, name)) for name in names]
        orders = [(name, list(shipments.values())) for name, shipments in self.orders.items()]
        return hashlib.sha256(json.dumps([goal, orders]).encode()).hexdigest()[:16]

    # The stored form -------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, object]:
        """Return the compact form that Airflow stores: plain JSON, without the options that have their default.

        Each carrier is stored once. The shipments are a list of ``[index of the carrier, number, number, ...]``, in the
        user's order.

        :return: ``version``, ``carriers``, and ``shipments`` or ``orders``, and the other options.
        """
        stored: dict[str, Any] = {"version": STORED_VERSION}
        carriers: dict[str, int] = {}
        runs = {name: _runs(shipments.values(), carriers) for name, shipments in self.orders.items()}
        stored["carriers"] = list(carriers)
        if None in runs:
            stored["shipments"] = runs[None]
        else:
            stored["orders"] = runs
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "orders" and value != field.default:
                stored[field.name] = _plain(value)
        return stored

    @staticmethod
    def stored_size(stored: object) -> int:
        """Estimate the number of shipments in a stored form, without validating it.

        :param stored: the stored form, which may be damaged.
        :return: an estimate; 0 if they cannot be counted.
        """
        try:
            orders: Any = stored
            runs = chain.from_iterable(orders["orders"].values()) if "orders" in orders else orders["shipments"]
            return sum(map(len, runs))
        except (TypeError, KeyError, AttributeError):
            return 0

    @classmethod
    def from_dict(cls, stored: object) -> Self:
        """Read what :meth:`to_dict` of this or an older version returned. Unknown options are ignored.

        :param stored: the stored form.
        :return: the specification.
        :raises InvalidArgumentError: if it is damaged, or was written by a newer version.
        """
        if not isinstance(stored, Mapping):
            raise InvalidArgumentError("the stored wait is not a mapping")
        version = stored.get("version")
        if type(version) is not int or version > STORED_VERSION:
            raise InvalidArgumentError(
                f"the wait was stored in form {format_value(version)}, which this version of "
                "airflow-provider-trackingmore cannot read: install the same version everywhere"
            )
        try:
            return cls._from_dict(stored)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            detail = f": {error.message}" if isinstance(error, InvalidArgumentError) else ""
            raise InvalidArgumentError(f"the stored wait is damaged{detail}") from None

    @classmethod
    def _from_dict(cls, stored: Mapping[str, Any]) -> Self:
        carriers = stored["carriers"]
        if "orders" in stored:
            orders = {name: _keys_from_runs(runs, carriers) for name, runs in stored["orders"].items()}
        else:
            orders = {None: _keys_from_runs(stored["shipments"], carriers)}
        known = {field.name for field in fields(cls)} - {"orders"}
        options: dict[str, Any] = {name: value for name, value in stored.items() if name in known}
        checked = cls.create(**{**options, "end_in_triggerer": ()})
        results = tuple(WaitResult(result) for result in options.get("end_in_triggerer", ()))
        if type(options.get("push_result", True)) is not bool or type(checked.trackingmore_conn_id) is not str:
            raise InvalidArgumentError("push_result or trackingmore_conn_id has the wrong type")
        values = {field.name: getattr(checked, field.name) for field in fields(cls)}
        return cls(**{**values, "orders": orders, "end_in_triggerer": results})


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, WaitResult) else value


def _runs(keys: Iterable[ShipmentKey], carriers: dict[str, int]) -> list[list[Any]]:
    runs: list[list[Any]] = []
    for carrier, number in keys:
        index = carriers.setdefault(carrier, len(carriers))
        if not runs or runs[-1][0] != index:
            runs.append([index])
        runs[-1].append(number)
    return runs


def _keys_from_runs(runs: Iterable[Sequence[Any]], carriers: Sequence[Any]) -> dict[ShipmentKey, ShipmentKey]:
    keys: list[ShipmentKey] = []
    for index, *numbers in runs:
        carrier = check_carrier_code(carriers[index])
        keys += [ShipmentKey(carrier, check_tracking_number(number)) for number in numbers]
    return {key.normalized: key for key in keys}


# A user's arguments --------------------------------------------------------------------------------------------------


def _orders(shipments: object, orders: object) -> dict[str | None, dict[ShipmentKey, ShipmentKey]]:
    if shipments is not None and orders is not None:
        raise InvalidArgumentError("give shipments or orders, not both")
    if orders is None:
        return {None: _keys(shipments)}
    if not isinstance(orders, Mapping):
        raise InvalidArgumentError(
            f"orders must map the name of each order to its shipments, not {format_value(orders)}"
        )
    checked: dict[str | None, dict[ShipmentKey, ShipmentKey]] = {}
    wrong: list[str] = []
    for name, own in orders.items():
        if not isinstance(name, str) or not name:
            wrong.append(f"an order's name must be text, not {format_value(name)}")
            continue
        try:
            checked[name] = _keys(own)
        except InvalidArgumentError as error:
            wrong.append(f"order {format_value(name)}: {error.message}")
        else:
            if not checked[name]:
                wrong.append(f"order {format_value(name)} has no shipments to wait for: leave it out")
    if wrong:
        raise InvalidArgumentError(format_list(wrong, separator="; "))
    return checked


def _keys(shipments: object) -> dict[ShipmentKey, ShipmentKey]:
    keys: dict[ShipmentKey, ShipmentKey] = {}
    wrong: list[str] = []
    for position, shipment in enumerate(as_shipment_list(shipments), start=1):
        try:
            key = shipment_key(shipment)
        except InvalidArgumentError as error:
            wrong.append(f"shipment {position}: {error.message}")
        else:
            keys.setdefault(key.normalized, key)
    if wrong:
        raise InvalidArgumentError(format_list(wrong, separator="; "))
    return keys


def check_statuses(argument: str, values: object, allowed: tuple[str, ...]) -> frozenset[str]:
    """Check a user's list of statuses.

    :param argument: the name of the argument, for the error.
    :param values: the statuses; a single one may be text.
    :param allowed: the statuses that are allowed.
    :return: the statuses.
    :raises InvalidArgumentError: if it is not a list of allowed statuses.
    """
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{argument} must be a list of statuses, not {type(values).__name__}")
    chosen = list(values)
    wrong = [value for value in chosen if value not in allowed]
    if wrong:
        raise InvalidArgumentError(
            f"{argument} contains {format_value(wrong[0])}; allowed values are {', '.join(allowed)}"
        )
    return frozenset(str(value) for value in chosen)


def _wait_for(value: object) -> WaitFor:
    if value == "all":
        return "all"
    if value == "any":
        return "any"
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidArgumentError(f"wait_for must be 'all', 'any' or a number from 1, not {format_value(value)}")
    return value


def _check_enough(number: int, orders: Mapping[str | None, Mapping[ShipmentKey, ShipmentKey]]) -> None:
    small = [
        ("" if name is None else f"order {format_value(name)}: ")
        + f"wait_for is {format_value(number)}, but there are only {len(keys)} shipments to wait for"
        for name, keys in orders.items()
        if keys and number > len(keys)
    ]
    if small:
        raise InvalidArgumentError(format_list(small, separator="; "))


def _seconds(argument: str, value: object) -> float | None:
    """Parse a duration or a time. Templates render numbers as text, and None as the text ``None``."""
    if value is None or value in ("", "None"):
        return None
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < END_OF_YEAR_9999:
        raise InvalidArgumentError(f"{argument} must be a number of seconds from 0, not {format_value(value)}")
    return seconds


def check_seconds(argument: str, value: object) -> float:
    """Check a user's duration.

    :param argument: the name of the argument, for the error.
    :param value: seconds, also as text.
    :return: seconds.
    :raises InvalidArgumentError: if it is not a number from 0.
    """
    seconds = _seconds(argument, value)
    if seconds is None:
        raise InvalidArgumentError(f"{argument} must be a number of seconds from 0, not {format_value(value)}")
    return seconds
