"""Seeding: registers shipments without using quota or counting against limits."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .accounts import Account
from .carriers import CARRIERS
from .journey_steps import DAY, HOUR
from .journeys import Journey
from .limits import MAX_AGE_DAYS
from .registering import detail_fields
from .request_context import parse_order_time
from .seeded_random import SeededRandom
from .shipments import Key, Shipment
from .state import SandboxState

_Row = tuple[Key, float, Journey, dict[str, str]]


def seed_at_start(state: SandboxState) -> None:
    """Register the parcels of the settings, and start the clock again.

    :param state: the state of a sandbox that has just been created.
    """
    settings = state.settings
    if not settings.parcels:
        return
    # Millions of objects without cycles: collecting them takes as long as creating them.
    gc.disable()
    age = (0, settings.over_days)
    seed_generated(state, state.accounts[0], settings.parcels, settings.seed, age, (), None, settings.events)
    gc.freeze()
    gc.enable()
    state.clock.restart(settings.start, settings.time_scale)


def seed_generated(
    state: SandboxState,
    account: Account,
    count: int,
    seed: int,
    ages_days: tuple[float, float],
    carriers: Sequence[str],
    journey: str | None,
    events: int = 0,
    details: Mapping[str, Any] | None = None,
) -> list[Shipment]:
    """Register generated shipments.

    :param state: the state of the sandbox.
    :param account: the account.
    :param count: how many.
    :param seed: seed of the numbers and ages.
    :param ages_days: range of their ages in days.
    :param carriers: their carriers, in rotation; empty means a typical mix.
    :param journey: a journey such as ``DELIVERED-3D``; None means a mix of journeys.
    :param events: how many events a delivered parcel has at least.
    :param details: detail fields of every shipment; ``{number}`` in a text becomes its tracking number.
    :return: the shipments that were new.
    :raises ValueError: a carrier is unknown.
    """
    if unknown := [code for code in carriers if code not in CARRIERS]:
        raise ValueError(f"unknown carrier {unknown[0]!r}")
    codes = list(carriers) or ["dhl", "ups", "usps", "royal-mail", "china-ems", "dpd", "gls", "poczta-polska"]
    now = state.clock.now()
    young, old = min(ages_days), max(ages_days)
    fields = detail_fields(dict(details or {}))

    def rows() -> Iterator[_Row]:
        for at in range(count):
            number = f"SBX-{journey}-{seed}X{at:06d}" if journey else f"SB{seed}X{at:07d}"
            age = young + (old - young) * SeededRandom("age", seed, at).random()
            filled = {name: text.replace("{number}", number) for name, text in fields.items()} if fields else fields
            yield _row(state, account, (codes[at % len(codes)], number), now - age * DAY, filled, events)

    return _add_all(state, account, rows())


def seed_shipments(state: SandboxState, account: Account, shipments: Sequence[Mapping[str, Any]]) -> list[Shipment]:
    """Register given shipments.

    :param state: the state of the sandbox.
    :param account: the account.
    :param shipments: fields as in ``POST /trackings/post``, and ``age_hours``.
    :return: the shipments that were new.
    :raises ValueError: a carrier is unknown, a number is missing, or an age is out of range.
    """
    now = state.clock.now()
    for shipment in shipments:
        code, age = shipment.get("carrier_code"), shipment.get("age_hours", 0)
        if not isinstance(code, str) or code not in CARRIERS or not shipment.get("tracking_number"):
            raise ValueError("every shipment needs a tracking_number and the carrier_code of a known carrier")
        if not isinstance(age, int | float) or not 0 <= age <= MAX_AGE_DAYS * 24:
            raise ValueError(f"age_hours must be a number from 0 to {MAX_AGE_DAYS * 24}")

    def rows() -> Iterator[_Row]:
        for shipment in shipments:
            key = shipment["carrier_code"], str(shipment["tracking_number"])
            age = shipment.get("age_hours", 0) * HOUR
            yield _row(state, account, key, now - age, detail_fields(dict(shipment)))

    return _add_all(state, account, rows())


def _row(
    state: SandboxState, account: Account, key: Key, created_at: float, details: dict[str, str], events: int = 0
) -> _Row:
    journey = state.plan_journey(account, key, created_at, details.get("destination_code"), events)
    return key, created_at, journey, details


def _add_all(state: SandboxState, account: Account, rows: Iterator[_Row]) -> list[Shipment]:
    added = account.store.add_all(rows)
    for shipment in added:
        shipment.order_time = parse_order_time(shipment.details.get("order_create_time"))
        account.ever_registered.add(shipment.key)
    account.store.run_due_refreshes(state.clock.now())
    return added
