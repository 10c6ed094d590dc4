"""Puts shipments into an account without asking for quota or limits. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .accounts import Account
from .carriers import CARRIERS
from .chance import Chance
from .journeys import Journey
from .registering import details_of
from .script import DAY, HOUR
from .store import Key, Shipment
from .visit import order_time
from .world import World

OLDEST_DAYS = 36_500
"""A hundred years: dates before the year 1 cannot be written."""

_Row = tuple[Key, float, Journey, dict[str, str]]


def seed_many(
    world: World,
    account: Account,
    count: int,
    seed: int,
    ages_days: tuple[float, float],
    carriers: Sequence[str],
    journey: str | None,
) -> list[Shipment]:
    """Register many made-up shipments.

    :param world: everything there is.
    :param account: whose they are.
    :param count: how many.
    :param seed: decides numbers, carriers and ages.
    :param ages_days: between which ages in days they are spread.
    :param carriers: their carriers, in turn; empty means a usual mix.
    :param journey: a journey such as ``DELIVERED-3D``; None means the mix of journeys.
    :return: those that were not there yet.
    :raises ValueError: a carrier that does not exist.
    """
    if unknown := [code for code in carriers if code not in CARRIERS]:
        raise ValueError(f"there is no carrier {unknown[0]!r}")
    codes = list(carriers) or ["dhl", "ups", "usps", "royal-mail", "china-ems", "dpd", "gls", "poczta-polska"]
    now = world.clock.now()
    young, old = min(ages_days), max(ages_days)

    def rows() -> Iterator[_Row]:
        for at in range(count):
            number = f"SBX-{journey}-{seed}X{at:06d}" if journey else f"SB{seed}X{at:07d}"
            age = young + (old - young) * Chance("age", seed, at).draw()
            yield _row(world, account, (codes[at % len(codes)], number), now - age * DAY, {})

    return _enter(world, account, rows())


def seed_list(world: World, account: Account, shipments: Sequence[Mapping[str, Any]]) -> list[Shipment]:
    """Register given shipments.

    :param world: everything there is.
    :param account: whose they are.
    :param shipments: fields as in ``POST /trackings/post``, and ``age_hours``.
    :return: those that were not there yet.
    :raises ValueError: a carrier that does not exist, a shipment without a number, or an age that cannot be.
    """
    now = world.clock.now()
    for shipment in shipments:
        code, age = shipment.get("carrier_code"), shipment.get("age_hours", 0)
        if not isinstance(code, str) or code not in CARRIERS or not shipment.get("tracking_number"):
            raise ValueError("every shipment needs a tracking_number and the carrier_code of a known carrier")
        if not isinstance(age, int | float) or not 0 <= age <= OLDEST_DAYS * 24:
            raise ValueError(f"age_hours is a number from 0 to {OLDEST_DAYS * 24}")

    def rows() -> Iterator[_Row]:
        for shipment in shipments:
            key = shipment["carrier_code"], str(shipment["tracking_number"])
            age = shipment.get("age_hours", 0) * HOUR
            yield _row(world, account, key, now - age, details_of(dict(shipment)))

    return _enter(world, account, rows())


def _row(world: World, account: Account, key: Key, created_at: float, details: dict[str, str]) -> _Row:
    journey = world.journey(account, key, created_at, details.get("destination_code"))
    return key, created_at, journey, details


def _enter(world: World, account: Account, rows: Iterator[_Row]) -> list[Shipment]:
    added = account.store.add_all(rows)
    for shipment in added:
        shipment.order_time = order_time(shipment.details.get("order_create_time"))
        account.ever_registered.add(shipment.key)
    account.store.settle(world.clock.now())
    return added
