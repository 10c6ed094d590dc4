"""Everything the sandbox holds, and how it begins anew. Knows no HTTP and no endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .accounts import Account
from .clock import Clock
from .faults import FaultBoard
from .journeys import Journey, plan
from .ledger import Ledger
from .places import country_code
from .store import Key
from .switches import Switchboard

DEFAULT_QUOTA = 100_000


@dataclass(frozen=True, slots=True)
class Settings:
    """How a sandbox starts, and to what a reset leads back.

    :param api_keys: one key for each account.
    :param time_scale: clock seconds in a real second.
    :param start: where the clock begins in unix seconds; None means the real time.
    :param seed: decides all journeys.
    :param quota: new trackings left in each account.
    :param limits: whether the rate limits are on.
    :param switches: positions other than the defaults.
    """

    api_keys: Sequence[str] = field(repr=False)
    time_scale: float = 1.0
    start: float | None = None
    seed: int = 0
    quota: float = DEFAULT_QUOTA
    limits: bool = True
    switches: Mapping[str, str] = field(default_factory=dict)


class World:
    """The clock, the accounts, the switches, the faults and the ledger of one sandbox.

    :param settings: how it starts.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock(settings.start, settings.time_scale)
        self.switches = Switchboard(settings.switches)
        self.faults = FaultBoard()
        self.ledger = Ledger()
        self.begin(settings.start, settings.time_scale, settings.seed)

    def begin(self, start: float | None, time_scale: float, seed: int) -> None:
        """Begin anew: no shipments, no faults, an empty ledger, the switches as at the start.

        :param start: where the clock begins in unix seconds; None means the real time.
        :param time_scale: clock seconds in a real second.
        :param seed: decides all journeys.
        """
        self.clock.restart(start, time_scale)
        self.switches.reset()
        self.faults.clear()
        self.ledger.reset()
        self.seed = seed
        self.limits = self.settings.limits
        self.accounts = [Account(at, key, self.settings.quota) for at, key in enumerate(self.settings.api_keys)]

    def account_with(self, key: str | None) -> Account | None:
        """Find the account of a key.

        :param key: what the header said.
        :return: the account; None when nobody has this key.
        """
        return next((account for account in self.accounts if account.key == key), None)

    def journey(self, account: Account, key: Key, registered_at: float, destination: str | None = None) -> Journey:
        """Plan what happens to a parcel.

        :param account: whose parcel.
        :param key: carrier code, which is known, and number.
        :param registered_at: unix seconds.
        :param destination: what the caller said about the destination.
        :return: the journey.
        """
        target = country_code(destination) if destination else None
        return plan(self.seed, account.index, *key, registered_at, target, self.switches["refresh_hours"])
