"""Journeys: what happens to a parcel and when. The same arguments give the same journey.

A journey is a list of steps in the order in which the carrier records them. The service queries the carrier
only at refreshes, so a step becomes visible at the first refresh after it (:meth:`Journey.visible_at`).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from dataclasses import dataclass

from .carriers import CARRIERS, POST_OF, Carrier
from .journey_steps import DAY, HOUR, Step, StepBuilder, shared_checkpoint
from .places import CODES, COUNTRIES
from .seeded_random import SeededRandom

DEFAULT_DAYS = 3
STATUSES = ("pending", "notfound", "transit", "pickup", "delivered", "undelivered", "exception", "expired")
FINAL = frozenset({"delivered", "expired"})

JOURNEYS = {
    "DELIVERED": "not found, in transit, out for delivery, delivered within the days",
    "INSTANT": "delivered at the first refresh",
    "UNDELIVERED": "a failed delivery attempt, then delivered within the days",
    "UNDELIVEREDSTUCK": "a failed delivery attempt, and nothing more",
    "EXCEPTION": "in transit, then lost or damaged within the days",
    "RETURNED": "in transit, then returning within the days, and back at the sender a day later",
    "EXPIRED": "in transit, then expired within the days (default: 30 for express, 60 for post)",
    "STUCK": "in transit, and nothing more",
    "NOTFOUND": "queried, never found",
    "PENDING": "never queried",
    "REOPEN": "delivered within the days, in transit again a day later, delivered again another day later",
    "PROOF": "delivered within the days; a day later a second delivered checkpoint, the proof of delivery, is added",
    "LATEEVENT": "delivered within the days; a day later an old transit checkpoint is added, the status stays",
}
_MAGIC = re.compile(r"SBX-([A-Z]+)(?:-(\d{1,3})D)?-.+", re.IGNORECASE)
_REJECT = re.compile(r"SBX-REJECT-(\d{3,4})-.+", re.IGNORECASE)
_JOURNEY_SHARES = (
    (0.850, "DELIVERED"),
    (0.855, "PROOF"),
    (0.895, "UNDELIVERED"),
    (0.905, "LATEEVENT"),
    (0.910, "REOPEN"),
    (0.935, "EXCEPTION"),
    (0.945, "RETURNED"),
    (0.965, "EXPIRED"),
    (0.970, "UNDELIVEREDSTUCK"),
    (0.980, "STUCK"),
    (0.990, "NOTFOUND"),
    (1.000, "PENDING"),
)


@dataclass(frozen=True, slots=True)
class Journey:
    """The journey of one parcel.

    :param steps: in the order of ``at``.
    :param first_refresh: Unix seconds of the first refresh.
    :param interval: seconds between refreshes.
    :param original: ISO-2 code of the origin.
    :param destination: ISO-2 code of the destination.
    :param destination_carrier: code of the carrier in the destination country; None if there is none.
    """

    steps: tuple[Step, ...]
    first_refresh: float
    interval: float
    original: str
    destination: str
    destination_carrier: str | None

    def visible_at(self, instant: float) -> float:
        """Find the refresh at which a step becomes visible.

        :param instant: Unix seconds.
        :return: Unix seconds of the first refresh at or after it.
        """
        if instant <= self.first_refresh:
            return self.first_refresh
        found = self.first_refresh + math.ceil((instant - self.first_refresh) / self.interval) * self.interval
        return found if found >= instant else found + self.interval

    def last_refresh_before(self, now: float) -> float | None:
        """Find the latest refresh.

        :param now: Unix seconds.
        :return: Unix seconds; None before the first refresh.
        """
        if now < self.first_refresh:
            return None
        return self.first_refresh + (now - self.first_refresh) // self.interval * self.interval

    def steps_until(self, now: float) -> int:
        """Count the steps that have happened.

        :param now: Unix seconds.
        :return: number of steps.
        """
        return bisect_left(self.steps, True, key=lambda step: step.at > now)

    def status_changes(self) -> list[tuple[float, str]]:
        """List the changes that are visible to users of the service.

        :return: time and status of each refresh that shows a new step.
        """
        statuses: dict[float, str] = {}
        for step in self.steps:
            statuses[self.visible_at(step.at)] = step.status
        return list(statuses.items())


def rejection_code(number: str) -> int | None:
    """Parse a tracking number that requests an error.

    :param number: ``SBX-REJECT-<code>-…``, or any other.
    :return: the error code; None for any other number.
    """
    match = _REJECT.fullmatch(number)
    return int(match[1]) if match else None


def parse_magic_number(number: str) -> tuple[str, int | None] | None:
    """Parse a magic tracking number.

    :param number: ``SBX-<JOURNEY>[-<days>D]-…``, or any other.
    :return: name of the journey, and its days or None; None for any other number.
    """
    match = _MAGIC.fullmatch(number)
    if not match or match[1].upper() not in JOURNEYS:
        return None
    return match[1].upper(), max(1, int(match[2])) if match[2] else None


def refresh_interval(carrier: Carrier, hours: str) -> float:
    """Return how often the service queries the carrier (reference 4).

    :param carrier: the carrier.
    :param hours: a position of the switch ``refresh_hours``.
    :return: seconds.
    """
    if hours != "by-type":
        return float(hours) * HOUR
    return 3 * HOUR if carrier.kind == "express" else 6 * HOUR


def plan_journey(
    seed: int,
    account: int,
    carrier_code: str,
    number: str,
    registered_at: float,
    destination: str | None = None,
    refresh_hours: str = "by-type",
    events: int = 0,
) -> Journey:
    """Plan the journey of a parcel.

    :param seed: the seed of the sandbox.
    :param account: index of the account.
    :param carrier_code: a code of :data:`.carriers.CARRIERS`.
    :param number: the tracking number, magic or not.
    :param registered_at: Unix seconds.
    :param destination: ISO-2 code, if the caller gave one.
    :param refresh_hours: a position of the switch ``refresh_hours``.
    :param events: how many events a delivered parcel has at least.
    :return: the journey.
    """
    carrier = CARRIERS[carrier_code]
    rng = SeededRandom(seed, account, carrier_code, number)
    interval = refresh_interval(carrier, refresh_hours)
    first_refresh = registered_at + (5 + 55 * rng.random()) * 60
    default_target = _random_destination(carrier, rng)
    target = destination if destination is not None and destination in COUNTRIES else default_target
    international = target != carrier.country
    magic = parse_magic_number(number)
    if magic:
        name, days = magic
        length = (days or _default_days(name, carrier)) * DAY - interval
        started = registered_at
    else:
        name = _random_journey(rng.random())
        length = (1.5 + 10.5 * rng.random()) * DAY - interval
        if name == "EXPIRED":
            length = _default_days(name, carrier) * DAY - interval
        head_start = rng.random()
        started = registered_at - (head_start - 0.85) / 0.15 * length if head_start > 0.85 else registered_at
    builder = StepBuilder(carrier, target, started, length, interval, rng, events)
    steps = builder.build(name, registered_at)
    partner = POST_OF[target].code if international and carrier.kind == "globalpost" and target in POST_OF else None
    if partner is None:
        steps = [_seen_by_origin_carrier(step) for step in steps]
    return Journey(tuple(steps), first_refresh, interval, carrier.country, target, partner)


def _seen_by_origin_carrier(step: Step) -> Step:
    checkpoint = step.checkpoint
    if checkpoint is None or not checkpoint.abroad:
        return step
    return step._replace(checkpoint=shared_checkpoint(checkpoint.text, checkpoint.place, checkpoint.status, False))


def _default_days(name: str, carrier: Carrier) -> int:
    if name != "EXPIRED":
        return DEFAULT_DAYS
    return 30 if carrier.kind == "express" else 60


def _random_destination(carrier: Carrier, rng: SeededRandom) -> str:
    abroad = rng.random() < (0.5 if carrier.kind == "globalpost" else 0.2)
    drawn = rng.choice(CODES)
    return drawn if abroad else carrier.country


def _random_journey(drawn: float) -> str:
    return next(name for edge, name in _JOURNEY_SHARES if drawn < edge)
