"""What happens to a parcel and when: pure, the same arguments give the same journey. Knows no store, no clock, no API.

A journey is a list of steps in the order in which the courier learns of them. The service looks at the courier at
refresh instants only, so a step shows at the first refresh after it (:func:`visible_at`).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from dataclasses import dataclass

from .carriers import CARRIERS, POST_OF, Carrier
from .chance import Chance
from .places import CODES, COUNTRIES
from .script import DAY, HOUR, Script, Step

DEFAULT_DAYS = 3
STATUSES = ("pending", "notfound", "transit", "pickup", "delivered", "undelivered", "exception", "expired")
FINAL = frozenset({"delivered", "expired"})

JOURNEYS = {
    "DELIVERED": "not found, in transit, out for delivery, delivered within the days",
    "INSTANT": "delivered when first looked up",
    "UNDELIVERED": "a failed attempt, then delivered within the days",
    "UNDELIVEREDSTUCK": "a failed attempt, and nothing more",
    "EXCEPTION": "in transit, then lost or damaged within the days",
    "RETURNED": "in transit, then on its way back within the days, a day later back at the sender",
    "EXPIRED": "in transit, then expired within the days; without days after 30 (express) or 60 (post)",
    "STUCK": "in transit, and nothing more",
    "NOTFOUND": "looked up, never found",
    "PENDING": "never looked up",
    "REOPEN": "delivered within the days, a day later in transit again, another day later delivered",
    "PROOF": "delivered within the days; a day later a second delivered checkpoint, the proof of delivery, turns up",
    "LATEEVENT": "delivered within the days; a day later an old transit checkpoint turns up, the status stays",
}
_MAGIC = re.compile(r"SBX-([A-Z]+)(?:-(\d{1,3})D)?-.+", re.IGNORECASE)
_REJECT = re.compile(r"SBX-REJECT-(\d{3,4})-.+", re.IGNORECASE)
_MIX = (
    (0.855, "DELIVERED"),
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
    """A parcel's life.

    :param steps: in the order of ``at``.
    :param first_look: unix seconds of the first refresh.
    :param interval: seconds between refreshes.
    :param original: ISO-2 code of the origin.
    :param destination: ISO-2 code of the destination.
    :param destination_carrier: code of the carrier that reports abroad; None when there is none.
    """

    steps: tuple[Step, ...]
    first_look: float
    interval: float
    original: str
    destination: str
    destination_carrier: str | None

    def visible_at(self, instant: float) -> float:
        """Find the refresh that shows what the courier learnt.

        :param instant: unix seconds.
        :return: unix seconds of the first refresh at or after it.
        """
        if instant <= self.first_look:
            return self.first_look
        found = self.first_look + math.ceil((instant - self.first_look) / self.interval) * self.interval
        return found if found >= instant else found + self.interval

    def last_look(self, now: float) -> float | None:
        """Find the newest refresh.

        :param now: unix seconds.
        :return: unix seconds; None before the first.
        """
        if now < self.first_look:
            return None
        return self.first_look + (now - self.first_look) // self.interval * self.interval

    def known(self, now: float) -> int:
        """Count what the courier knows.

        :param now: unix seconds.
        :return: how many steps have happened.
        """
        return bisect_left(self.steps, True, key=lambda step: step.at > now)

    def changes(self) -> list[tuple[float, str]]:
        """List what a watcher of the service sees.

        :return: refresh instant and status, for each refresh that shows something new.
        """
        seen: dict[float, str] = {}
        for step in self.steps:
            seen[self.visible_at(step.at)] = step.status
        return list(seen.items())


def rejection(number: str) -> int | None:
    """Read a number that asks to be refused.

    :param number: ``SBX-REJECT-<code>-…``, or any other.
    :return: the code; None for any other number.
    """
    match = _REJECT.fullmatch(number)
    return int(match[1]) if match else None


def magic(number: str) -> tuple[str, int | None] | None:
    """Read a magic number.

    :param number: ``SBX-<JOURNEY>[-<days>D]-…``, or any other.
    :return: the journey's name, and its days if it has some; None for any other number.
    """
    match = _MAGIC.fullmatch(number)
    if not match or match[1].upper() not in JOURNEYS:
        return None
    return match[1].upper(), max(1, int(match[2])) if match[2] else None


def refresh_interval(carrier: Carrier, hours: str) -> float:
    """Tell how often the service looks (reference 4).

    :param carrier: whose parcel.
    :param hours: a position of the switch ``refresh_hours``.
    :return: seconds.
    """
    if hours != "by-type":
        return float(hours) * HOUR
    return 3 * HOUR if carrier.kind == "express" else 6 * HOUR


def plan(
    seed: int,
    account: int,
    carrier_code: str,
    number: str,
    registered_at: float,
    destination: str | None = None,
    refresh_hours: str = "by-type",
) -> Journey:
    """Write a parcel's life in advance.

    :param seed: the sandbox's seed.
    :param account: index of the account.
    :param carrier_code: a code of :data:`.carriers.CARRIERS`.
    :param number: the tracking number, magic or not.
    :param registered_at: unix seconds.
    :param destination: ISO-2 code when the caller gave one.
    :param refresh_hours: a position of the switch ``refresh_hours``.
    :return: the journey.
    """
    carrier = CARRIERS[carrier_code]
    chance = Chance(seed, account, carrier_code, number)
    interval = refresh_interval(carrier, refresh_hours)
    first_look = registered_at + (5 + 55 * chance.draw()) * 60
    usual = _usual_destination(carrier, chance)
    target = destination if destination is not None and destination in COUNTRIES else usual
    foreign = target != carrier.country
    asked = magic(number)
    if asked:
        name, days = asked
        length = (days or _default_days(name, carrier)) * DAY - interval
        started = registered_at
    else:
        name = _draw_from_mix(chance.draw())
        length = (1.5 + 10.5 * chance.draw()) * DAY - interval
        if name == "EXPIRED":
            length = _default_days(name, carrier) * DAY - interval
        head_start = chance.draw()
        started = registered_at - (head_start - 0.85) / 0.15 * length if head_start > 0.85 else registered_at
    script = Script(carrier, target, started, length, interval, chance)
    steps = script.write(name, registered_at)
    partner = POST_OF[target].code if foreign and carrier.kind == "globalpost" and target in POST_OF else None
    if partner is None:
        steps = [_at_home(step) for step in steps]
    return Journey(tuple(steps), first_look, interval, carrier.country, target, partner)


def _at_home(step: Step) -> Step:
    return step._replace(row=step.row._replace(abroad=False)) if step.row and step.row.abroad else step


def _default_days(name: str, carrier: Carrier) -> int:
    if name != "EXPIRED":
        return DEFAULT_DAYS
    return 30 if carrier.kind == "express" else 60


def _usual_destination(carrier: Carrier, chance: Chance) -> str:
    abroad = chance.draw() < (0.5 if carrier.kind == "globalpost" else 0.2)
    drawn = chance.pick(CODES)
    return drawn if abroad else carrier.country


def _draw_from_mix(drawn: float) -> str:
    return next(name for edge, name in _MIX if drawn < edge)
