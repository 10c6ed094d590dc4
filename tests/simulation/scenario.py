"""Draw a scenario from its seed: parcels, waits, triggerers and faults, as plain data.

Each run has only a few of the possible themes, so that a failure can be understood, and no mistake is hidden by other
faults.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.loop import BEGINNING, EPOCH
from tests.simulation.network import KINDS, Fault
from tests.simulation.parcels import Name, Parcel, State, name_of
from tests.simulation.vendor import NUMBERS_IN_ONE_CALL, ROWS_IN_ONE_CALL, Habits
from tests.simulation.watcher_plans import WatcherPlan, draw_watchers, rows_for_watchers

DAY = 86_400.0
THEMES = (
    *("unlisted", "missing", "null updates", "odd updates", "reopening", "vanishing", "restarts", "spelling"),
    *("deadlines", "light trouble", "outage", "poison", "limits", "rotation", "refusal", "skew", "newcomers"),
    *("settling", "stuck", "sharing", "orders", "elsewhere", "small calls"),
)

SMALL_CALLS = "small calls"
MOST_CALLS_A_SECOND = 0.5
LONG_LIST = "long list"
"""A theme on request: the list takes so many calls that it is better to request each shipment by number."""
TOGETHER = "registered together"
"""A theme on request: the parcels of an account were registered at the same moment and have not changed when the run
begins, so that the first responses have no ``updated_at``. Most waits begin together as well."""


HINTS = "hints"
"""A theme on request: webhooks name shipments that have changed or not, repeatedly, and unknown ones."""
WATCHERS = "watchers"
"""A theme on request: watchers read the lists of each account, with the same pollers as the waits."""


@dataclass(frozen=True)
class Pace:
    """How fast a run is: its intervals, and its length."""

    pokes: tuple[float, ...]
    reconciles: tuple[float, ...]
    horizon: tuple[float, float]


PACES = {
    "fast": Pace((1, 2, 5, 8, 10, 20, 30), (5, 20, 60, 1800), (120, 420)),
    "medium": Pace((10, 20, 30, 45, 60, 120, 300), (20, 60, 300, 1800), (900, 3600)),
    "slow": Pace((60, 120, 300, 600, 1234, 1800), (300, 900, 1800), (5400, 18000)),
}


@dataclass
class WaitPlan:
    """One task's wait.

    :param name: its name in traces.
    :param account: the account of its parcels.
    :param options: the arguments of ``WaitSpec.create``; moments are seconds of the loop.
    :param joins_at: when it starts.
    :param triggerer: the number of its triggerer.
    :param cancelled_at: when it is cancelled, if it has not ended before.
    """

    name: str
    account: str
    options: dict[str, Any]
    joins_at: float
    triggerer: int
    cancelled_at: float


@dataclass
class AccountPlan:
    """One account.

    :param name: its name in traces.
    :param habits: how the vendor behaves.
    :param parcels: its parcels, with everything that happens to them.
    :param keys: each key, and when it is revoked.
    :param connection: each key of the Airflow connection, and since when.
    :param faults: the faults of its network.
    :param latency: shortest and longest round trip.
    """

    name: str
    habits: Habits
    parcels: list[Parcel]
    keys: dict[str, float]
    connection: list[tuple[float, str]]
    faults: list[Fault]
    latency: tuple[float, float]

    def key_at(self, now: float) -> str:
        """Return the key in the connection."""
        return [key for since, key in self.connection if since <= now][-1]


@dataclass(frozen=True)
class Hint:
    """Webhooks that arrive together, and reach every triggerer of the account.

    :param at: when they arrive.
    :param account: the account.
    :param names: the shipments that they name, in any spelling; perhaps none with subscribers.
    """

    at: float
    account: str
    names: tuple[Name, ...]


@dataclass
class Scenario:
    """One run.

    :param numbers_in_one_call: how many numbers a call takes; few of them make a small account behave like a large one.
    :param rows_in_one_call: how many rows a page has.
    :param outages: for each triggerer, when it is down, and the triggerer that takes its waits (None: they stay).
    :param hints: the webhooks, in order.
    :param watchers: the watchers.
    """

    seed: int
    size: str
    pace: str
    themes: frozenset[str]
    ends_at: float
    accounts: list[AccountPlan]
    waits: list[WaitPlan]
    numbers_in_one_call: int
    rows_in_one_call: int
    outages: list[list[tuple[float, float, int | None]]] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    watchers: list[WatcherPlan] = field(default_factory=list)

    def __str__(self) -> str:
        calls = f" ({self.numbers_in_one_call} numbers, {self.rows_in_one_call} rows)" * (SMALL_CALLS in self.themes)
        return (
            f"seed {self.seed}: {self.size}, {self.pace}, {', '.join(sorted(self.themes)) or 'no themes'}{calls}; "
            f"{len(self.accounts)} accounts, {len(self.outages)} triggerers, {len(self.waits)} waits, "
            + f"{len(self.watchers)} watchers, " * bool(self.watchers)
            + f"{self.ends_at - BEGINNING:.0f} s"
        )


def draw(seed: int, *, size: str | None = None, themes: frozenset[str] = frozenset()) -> Scenario:
    """Draw a scenario.

    :param seed: the same seed is the same run.
    :param size: ``small``, ``busy`` or ``large``; None to draw it, mostly small.
    :param themes: themes in addition to those that it draws.
    """
    rng = random.Random(f"scenario {seed}")
    size = size or rng.choices(("small", "busy", "large"), (88, 11, 1))[0]
    pace = rng.choices(tuple(PACES), (35, 45, 20))[0]
    themes |= frozenset(rng.sample(THEMES, rng.choice((0, 1, 1, 2, 2, 3, 4, 5))))
    ends_at = BEGINNING + rng.uniform(*PACES[pace].horizon)
    if size == "large":
        ends_at = min(ends_at, BEGINNING + 3600)
    triggerers = rng.choices((1, 2, 3), (60, 25, 15))[0]
    accounts = [
        _account(rng, f"account {number}", size, themes, ends_at)
        for number in range(rng.choices((1, 2, 3), (80, 15, 5))[0])
    ]
    waits: list[WaitPlan] = []
    for account in accounts:
        waits += _waits(rng, account, size, PACES[pace], themes, ends_at, triggerers)
    waits.sort(key=lambda wait: wait.joins_at)
    for number, wait in enumerate(waits):
        wait.name = f"wait {number}"
    outages = [_outages(rng, number, triggerers, themes, ends_at) for number in range(triggerers)]
    numbers, rows = _sizes_of_calls(rng, waits) if SMALL_CALLS in themes else (NUMBERS_IN_ONE_CALL, ROWS_IN_ONE_CALL)
    watching = random.Random(f"watchers {seed}")
    if WATCHERS in themes and SMALL_CALLS in themes:
        rows = rows_for_watchers(watching, rows, max(len(account.parcels) for account in accounts))
    for account in accounts:
        account.habits = replace(account.habits, numbers_in_one_call=numbers, rows_in_one_call=rows)
    hints = _hints(random.Random(f"hints {seed}"), accounts, ends_at) if HINTS in themes else []
    watchers: list[WatcherPlan] = []
    intervals = PACES[pace].pokes, PACES[pace].reconciles
    for account in accounts if WATCHERS in themes else ():
        size_of_account = account.habits, len(account.parcels)
        watchers += draw_watchers(watching, account.name, *size_of_account, intervals, ends_at, triggerers)
    return Scenario(seed, size, pace, themes, ends_at, accounts, waits, numbers, rows, outages, hints, watchers)


def _sizes_of_calls(rng: random.Random, waits: list[WaitPlan]) -> tuple[int, int]:
    """Draw the sizes of calls, but not so small that polls alone need every slot."""
    shortest: dict[tuple[str, Name], float] = {}
    for wait in waits:
        for own in (wait.options.get("orders") or {None: wait.options["shipments"]}).values():
            for shipment in own:
                place = wait.account, name_of(*shipment)
                shortest[place] = min(shortest.get(place, math.inf), wait.options["poke_interval"])
    numbers_a_second = sum(1 / interval for interval in shortest.values())
    fitting = [numbers for numbers in (2, 5, 10, 20) if numbers_a_second / numbers < MOST_CALLS_A_SECOND]
    numbers = rng.choice(fitting or [NUMBERS_IN_ONE_CALL])
    return numbers, numbers * rng.choice((3, 6, 12))  # all rows of a call by number fit into one page


# Accounts and parcels ------------------------------------------------------------------------------------------------


def _account(rng: random.Random, name: str, size: str, themes: frozenset[str], ends_at: float) -> AccountPlan:
    habits = Habits(
        skew=rng.uniform(-7200, 7200) if "skew" in themes else rng.choice((0.0, 0.0, rng.uniform(-3, 3))),
        zone_hours=rng.choice((0, 8)),
        empty_is_error=rng.random() < 0.5,
        missing_code=rng.choice((4031, 4031, 4017, 200)),
        total_as=rng.choice(("text", "text", "number")),
        limit_status=rng.choice((200, 429)),
        retry_after=rng.choice((None, None, None, 5, 200)),
    )
    count = {"small": rng.randint(1, 40), "busy": rng.randint(30, 150), "large": rng.randint(200, 600)}[size]
    parcels = [_parcel(rng, f"{name[-1]}N{number:05d}", themes, ends_at) for number in range(count)]
    if "sharing" in themes:  # two carriers may have the same number
        parcels += [
            Parcel("dhl", parcel.tracking_number, _journey(rng, themes, ends_at))
            for parcel in parcels
            if rng.random() < 0.2
        ]
    if TOGETHER in themes:
        parcels = _registered_together(parcels, BEGINNING - rng.uniform(600, 12 * DAY))
    parcels += _elsewhere(rng, size, themes, ends_at)
    keys, connection = _keys(rng, name, themes, ends_at)
    latency = rng.choice(((0.02, 0.05), (0.05, 0.2), (0.1, 0.4)))
    return AccountPlan(name, habits, parcels, keys, connection, _faults(rng, parcels, themes, ends_at), latency)


def _registered_together(parcels: list[Parcel], created: float) -> list[Parcel]:
    """Register the parcels at one moment, and leave out what happened to them before the run."""

    def registered(parcel: Parcel) -> Parcel:
        first = [
            State(created, "pending", None, created, created, None, state.in_list, state.in_numbers)
            for state in parcel.states[:1]
        ]
        later = [replace(state, created_at=created) for state in parcel.states if state.since > BEGINNING]
        return replace(parcel, states=[*first, *later])

    return [registered(parcel) for parcel in parcels]


def _elsewhere(rng: random.Random, size: str, themes: frozenset[str], ends_at: float) -> list[Parcel]:
    """Draw parcels that nobody waits for. They fill the list, and come and change while its pages are read."""
    if LONG_LIST in themes:
        return [
            Parcel("ups", f"X{number:06d}", [State(created, "transit", None, created, created, created)])
            for number in range(9000)
            for created in (BEGINNING - rng.uniform(0, 12 * DAY),)
        ]
    if "elsewhere" not in themes:
        return []
    count = rng.choice((30, 200, 600)) if size != "large" else rng.choice((200, 1700, 2600))
    found = []
    for number in range(count):
        created = BEGINNING - rng.uniform(0, 20 * DAY)
        if rng.random() < 0.05:
            created = rng.uniform(BEGINNING, ends_at)
        states = [State(created, "transit", None, created, created - 60, created)]
        if rng.random() < 0.1:
            moved = rng.uniform(BEGINNING, ends_at)
            if moved > created:
                status = rng.choice(("pickup", "delivered", None))
                states.append(State(moved, status, None, created, moved, moved))
        found.append(Parcel("ups", f"X{number:06d}", states))
    return found


def _parcel(rng: random.Random, number: str, themes: frozenset[str], ends_at: float) -> Parcel:
    never = "missing" in themes and rng.random() < 0.08
    states = [] if never else _journey(rng, themes, ends_at)
    return Parcel(rng.choice(("usps", "china-post")), number, states, rng.random() < 0.8)


NEXT = {
    "pending": ("notfound", "transit", "transit"),
    "notfound": ("transit",),
    "transit": ("pickup", "pickup", "delivered", "delivered", "undelivered", "exception"),
    "pickup": ("delivered", "delivered", "delivered", "undelivered"),
    "undelivered": ("pickup", "delivered"),
    "exception": ("transit", "delivered"),
    "expired": ("delivered",),
    "delivered": (),
}


def _journey(rng: random.Random, themes: frozenset[str], ends_at: float) -> list[State]:
    created = BEGINNING - rng.uniform(600, 12 * DAY)
    if rng.random() < 0.1:
        created = rng.uniform(BEGINNING, (BEGINNING + ends_at) / 2)
    status: str | None = rng.choices(
        ("pending", "notfound", "transit", "pickup", "delivered", "exception", "expired"), (10, 5, 50, 15, 8, 3, 2)
    )[0]
    if created > BEGINNING:
        status = "pending"
    since = created if created > BEGINNING else rng.uniform(created, BEGINNING)
    event_at = since - rng.uniform(1, 600)
    if "stuck" in themes and rng.random() < 0.4:  # a day without an event ends during the run
        since = event_at = rng.uniform(BEGINNING, ends_at) - rng.randint(1, 4) * DAY
        created = since - 60
    hidden = "unlisted" in themes and rng.random() < 0.2
    in_numbers = not hidden or rng.random() < 0.4
    states: list[State] = []

    def add(moment: float, new: str | None) -> None:
        nonlocal event_at, status
        status = new
        event_at = max(event_at + 2, moment - rng.uniform(0, 120))
        substatus = rng.choice((None, "exception004", "exception011")) if new == "exception" else None
        updated = _updated_at(rng, moment, new, themes)
        states.append(State(moment, new, substatus, created, event_at, updated, not hidden, in_numbers))

    first_event = event_at
    add(since, status)
    states[0] = State(
        since, status, states[0].substatus, created, first_event, states[0].updated_at, not hidden, in_numbers
    )
    event_at = first_event
    moments = sorted(rng.uniform(BEGINNING, ends_at) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4))))
    for moment in moments:
        if moment <= since:
            continue
        if status is None:
            created = moment
            add(moment, rng.choice(("pending", "transit")))
        elif "vanishing" in themes and status != "delivered" and rng.random() < 0.15:
            add(moment, None)
        elif status == "delivered":
            if "reopening" in themes and rng.random() < 0.6:
                add(moment, rng.choice(("transit", "pickup")))
        elif NEXT[status]:
            add(moment, rng.choice(NEXT[status]))
    return states


def _updated_at(rng: random.Random, moment: float, status: str | None, themes: frozenset[str]) -> float | None:
    if rng.random() < (0.6 if "null updates" in themes else 0.05) and status in ("delivered", "exception", "pickup"):
        return None
    if "odd updates" in themes:
        kind = rng.choices(("right", "late", "future"), (70, 20, 10))[0]
        if kind == "late":
            return moment - rng.uniform(30, 3600)
        if kind == "future":  # further ahead than a clock may be wrong, since no client can tell the two apart
            return moment + rng.uniform(3 * 3600, 30 * DAY)
    return moment - rng.choice((0.0, 0.0, rng.uniform(0, 15)))


# Keys and faults ------------------------------------------------------------------------------------------------------


def _keys(
    rng: random.Random, name: str, themes: frozenset[str], ends_at: float
) -> tuple[dict[str, float], list[tuple[float, str]]]:
    never = float("inf")
    first, second = f"{name} key 1", f"{name} key 2"
    if "rotation" not in themes:
        return {first: never}, [(BEGINNING, first)]
    changed = rng.uniform(BEGINNING, ends_at)
    how = rng.choice(("in time", "in time", "in time", "late", "never"))
    if how == "in time":
        return {first: changed + rng.uniform(1, 600), second: never}, [(BEGINNING, first), (changed, second)]
    if how == "late":
        return {first: changed - rng.uniform(1, 120), second: never}, [(BEGINNING, first), (changed, second)]
    return {first: changed}, [(BEGINNING, first)]


def _faults(rng: random.Random, parcels: list[Parcel], themes: frozenset[str], ends_at: float) -> list[Fault]:
    faults: list[Fault] = []

    def when() -> float:
        return rng.uniform(BEGINNING - 5, ends_at)

    if "poison" in themes:
        for _ in range(rng.choice((1, 1, 2, 3))):
            begins = when() - rng.choice((0.0, 1e6))
            number = rng.choice(parcels).tracking_number
            ends = rng.choice((ends_at + 1e6, begins + rng.uniform(30, 2000)))
            faults.append(Fault("poison", begins, ends, number=number))
    if "light trouble" in themes:
        for kind in rng.sample(KINDS, rng.choice((1, 2, 4))):
            share = rng.choice((0.01, 0.05, 0.1)) if kind not in ("limit", "stray refusal") else 0.01
            begins = when()
            times = 3 if kind in ("limit", "stray refusal") else 10**9
            faults.append(Fault(kind, begins, begins + rng.uniform(60, 3000), share, times))
    if "outage" in themes:
        kind = rng.choice(
            ("server 500", "server 503", "lost before", "html 502", "html 403", "redirect", "unknown code")
        )
        begins = when()
        faults.append(Fault(kind, begins, begins + rng.uniform(5, 600)))
    if "limits" in themes:
        faults += [Fault("limit", when(), ends_at, times=1) for _ in range(rng.choice((1, 2)))]
    if "refusal" in themes:
        kinds = (
            "stray refusal",
            "html 401",
            "html 403",
            "html 404",
            "html 407",
            "html 408",
            "redirect",
            "unknown code",
        )
        faults += [Fault(rng.choice(kinds), when(), ends_at, times=1) for _ in range(rng.choice((1, 3)))]
    return faults


# Waits ---------------------------------------------------------------------------------------------------------------


def _waits(
    rng: random.Random,
    account: AccountPlan,
    size: str,
    pace: Pace,
    themes: frozenset[str],
    ends_at: float,
    triggerers: int,
) -> list[WaitPlan]:
    count = {"small": rng.randint(1, 12), "busy": rng.randint(15, 70), "large": rng.randint(60, 300)}[size]
    own = [parcel for parcel in account.parcels if parcel.carrier_code != "ups"]
    pokes = rng.sample(pace.pokes, rng.choice((1, 2, 3, len(pace.pokes))))
    reconciles = rng.sample(pace.reconciles, rng.choice((1, 2, len(pace.reconciles))))
    deadlines = [rng.uniform(BEGINNING + 20, ends_at - 45) for _ in range(2)]
    together = rng.uniform(BEGINNING, BEGINNING + (ends_at - BEGINNING) / 3)
    at_once = 0.95 if TOGETHER in themes else 0.4
    waits = []
    for _ in range(count):
        few = rng.choice((1, 1, 1, 2, 3, 6)) if size != "large" or rng.random() < 0.98 else rng.randint(100, 400)
        popular = own[:4] if "sharing" in themes and rng.random() < 0.5 else own
        chosen = rng.sample(popular, min(few, len(popular)))
        shipments = [_spelled(rng, parcel, themes) for parcel in chosen]
        joins_at = together + rng.uniform(0, 3) if rng.random() < at_once else rng.uniform(BEGINNING, ends_at - 60)
        if "newcomers" in themes and rng.random() < 0.5:
            joins_at = together + 4.0 * len(waits) % max(ends_at - 60 - together, 1)
        poke = rng.choice(pokes) if rng.random() < 0.9 else rng.uniform(pace.pokes[0], pace.pokes[-1])
        options: dict[str, Any] = {"poke_interval": poke, "reconcile_seconds": rng.choice(reconciles)}
        options |= _target(rng, shipments, themes)
        if rng.random() < (0.9 if "deadlines" in themes else 0.3):
            options["deadline"] = _deadline(rng, joins_at, deadlines, ends_at)
        first = rng.random()
        if first < 0.6:
            options["first_check_at"] = joins_at - rng.uniform(0, 100)
        elif first < 0.8:
            options["first_check_at"] = joins_at + rng.uniform(0, 2 * poke)
        cancelled_at = ends_at if rng.random() < 0.93 else rng.uniform(joins_at, ends_at)
        waits.append(WaitPlan("", account.name, options, joins_at, rng.randrange(triggerers), cancelled_at))
    return waits


def _spelled(rng: random.Random, parcel: Parcel, themes: frozenset[str]) -> tuple[str, str]:
    carrier, number = parcel.carrier_code, parcel.tracking_number
    if "spelling" in themes:
        carrier = rng.choice((carrier, carrier.upper(), carrier.capitalize()))
        number = rng.choice((number, number.lower()))
    return carrier, number


def _target(rng: random.Random, shipments: list[tuple[str, str]], themes: frozenset[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "spelling" in themes and rng.random() < 0.3:
        shipments = [*shipments, (shipments[0][0].swapcase(), shipments[0][1])]
    distinct = len({(carrier.casefold(), number.casefold()) for carrier, number in shipments})
    if "orders" in themes and rng.random() < 0.6:
        cuts = rng.randint(1, 3)
        orders = {f"order {at}": shipments[at::cuts] for at in range(cuts)}
        options["orders"] = {name: own for name, own in orders.items() if own}
        options["wait_for"] = rng.choice(("all", "any"))
    else:
        options["shipments"] = shipments
        options["wait_for"] = rng.choice(("all", "all", "any", rng.randint(1, distinct)))
    options["statuses"] = rng.choice(
        (["delivered"],) * 4 + (["pickup", "delivered"], ["transit", "pickup", "delivered"], ["pickup"])
    )
    options["fail_on"] = rng.choice((["exception", "expired"],) * 3 + ([], ["returned"], ["expired", "undelivered"]))
    if "settling" in themes and rng.random() < 0.6:
        options["settle_seconds"] = rng.choice((1.0, 30.0, 120.0, 600.0, 3600.0))
    if "stuck" in themes and rng.random() < 0.7:
        options["stuck_after"] = rng.randint(1, 4) * DAY
    return options


def _deadline(rng: random.Random, joins_at: float, shared: list[float], ends_at: float) -> float:
    kind = rng.random()
    if kind < 0.15:
        return joins_at - rng.uniform(0, 600)
    if kind < 0.5:
        return rng.choice(shared)
    return rng.uniform(joins_at, ends_at - 45)


def _outages(
    rng: random.Random, number: int, triggerers: int, themes: frozenset[str], ends_at: float
) -> list[tuple[float, float, int | None]]:
    if "restarts" not in themes:
        return []
    outages = []
    begins = rng.uniform(BEGINNING + 1, ends_at)
    while begins < ends_at and len(outages) < 3:
        ends = begins + rng.choice((rng.uniform(1, 20), rng.uniform(60, 600)))
        other = (number + 1) % triggerers if triggerers > 1 and rng.random() < 0.5 else None
        outages.append((begins, ends, other))
        begins = ends + rng.uniform(10, (ends_at - BEGINNING) / 2)
    return outages


# Hints ---------------------------------------------------------------------------------------------------------------


def _hints(rng: random.Random, accounts: list[AccountPlan], ends_at: float) -> list[Hint]:
    hints: list[Hint] = []
    for account in accounts:
        own = [parcel for parcel in account.parcels if parcel.carrier_code != "ups"]
        share, repeats = rng.choice((0.0, 0.5, 1.0)), rng.choice((0, 0, 1, 5))
        for parcel in own:
            for state in parcel.states:
                if state.since > BEGINNING and rng.random() < share:
                    told_at = state.since + rng.choice((0.0, rng.uniform(0, 3), rng.uniform(0, 600)))
                    times = [told_at, *(told_at + rng.uniform(0, 60) for _ in range(rng.randint(0, repeats)))]
                    hints += [Hint(at, account.name, (_any_case(rng, parcel),)) for at in times]
        for _ in range(rng.choice((0, 0, 5, 50))):  # hints without a change, many at once, and unknown numbers
            chosen = rng.sample(own, min(rng.choice((1, 1, 3, 60)), len(own)))
            unknown = [("usps", f"Z{number}") for number in range(rng.choice((0, 1, 20)))]
            names = (*(_any_case(rng, parcel) for parcel in chosen), *unknown)
            hints.append(Hint(rng.uniform(BEGINNING, ends_at), account.name, names))
        if rng.random() < 0.2:  # a flood
            begins, name = rng.uniform(BEGINNING, ends_at), _any_case(rng, rng.choice(own))
            hints += [Hint(begins + 0.1 * number, account.name, (name,)) for number in range(600)]
    return sorted((hint for hint in hints if hint.at < ends_at), key=lambda hint: hint.at)


def _any_case(rng: random.Random, parcel: Parcel) -> Name:
    carrier, number = parcel.carrier_code, parcel.tracking_number
    return rng.choice((carrier, carrier.upper())), rng.choice((number, number.lower()))


def unix(moment: float | None) -> float | None:
    """Convert a moment of the loop to Unix seconds."""
    return None if moment is None else EPOCH + moment
