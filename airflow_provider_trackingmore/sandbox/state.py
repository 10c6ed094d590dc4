"""The state of the sandbox: clock, accounts, switches, faults, ledger and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .accounts import Account
from .answers import Answers
from .clock import Clock
from .faults import FaultPlan
from .journeys import Journey, plan_journey
from .ledger import Ledger
from .limits import CACHED_JOURNEYS, DEFAULT_QUOTA
from .places import country_code
from .shipments import Key
from .switches import SwitchPositions
from .webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a sandbox; a reset restores them.

    :param api_keys: one API key for each account.
    :param time_scale: clock seconds per real second.
    :param start: start of the clock in Unix seconds; None means now.
    :param seed: seed of all journeys.
    :param quota: quota of each account in trackings.
    :param limits: whether the rate limits are enabled.
    :param switches: switch positions other than the defaults.
    :param keep_answers: whether to remember what was answered.
    :param cached_journeys: of how many shipments of an account the journey is kept as it was last serialized.
    :param parcels: how many parcels the first account has at the start; a reset removes them.
    :param over_days: over how many days before the start they were registered.
    :param events: how many events a delivered one of them has at least.
    """

    api_keys: Sequence[str] = field(repr=False)
    time_scale: float = 1.0
    start: float | None = None
    seed: int = 0
    quota: float = DEFAULT_QUOTA
    limits: bool = True
    switches: Mapping[str, str] = field(default_factory=dict)
    keep_answers: bool = False
    cached_journeys: int = CACHED_JOURNEYS
    parcels: int = 0
    over_days: float = 90
    events: int = 10


class SandboxState:
    """The clock, the accounts, the switches, the faults, the ledger and the answers of one sandbox.

    :param settings: its settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock(settings.start, settings.time_scale)
        self.switches = SwitchPositions(settings.switches)
        self.faults = FaultPlan()
        self.ledger = Ledger()
        self.answers = Answers()
        self.webhooks = Webhooks(self.clock, self.switches)
        self.reset(settings.start, settings.time_scale, settings.seed)

    def reset(self, start: float | None, time_scale: float, seed: int) -> None:
        """Reset: no shipments, no faults, an empty ledger, the switches as at the start.

        :param start: start of the clock in Unix seconds; None means now.
        :param time_scale: clock seconds per real second.
        :param seed: seed of all journeys.
        """
        self.clock.restart(start, time_scale)
        self.switches.reset()
        self.faults.clear()
        self.ledger.reset()
        self.answers.reset(self.settings.keep_answers)
        self.seed = seed
        self.limits = self.settings.limits
        self.revoked_keys: set[str | None] = set()
        self.accounts = [Account(at, key, self.settings.quota) for at, key in enumerate(self.settings.api_keys)]
        for account in self.accounts:
            account.store.texts.capacity = self.settings.cached_journeys
        self.webhooks.reset(self.accounts)

    def rotate_key(self, account: Account, key: str) -> None:
        """Give an account a new API key. The old one is answered with 4002 from now on.

        :param account: the account.
        :param key: its new key.
        :raises ValueError: an account has this key already.
        """
        if self.find_account(key) is not None:
            raise ValueError("an account has this key already")
        self.revoked_keys.add(account.key)
        self.revoked_keys.discard(key)
        account.key = key

    def find_account(self, key: str | None) -> Account | None:
        """Find the account of an API key.

        :param key: the API key of the request.
        :return: the account; None if the key is unknown.
        """
        return next((account for account in self.accounts if account.key == key), None)

    def plan_journey(
        self, account: Account, key: Key, registered_at: float, destination: str | None = None, events: int = 0
    ) -> Journey:
        """Plan the journey of a parcel.

        :param account: the account.
        :param key: carrier code and number; the carrier must be known.
        :param registered_at: Unix seconds.
        :param destination: the destination that the caller gave.
        :param events: how many events it has at least if it is delivered.
        :return: the journey.
        """
        target = country_code(destination) if destination else None
        hours = self.switches["refresh_hours"]
        return plan_journey(self.seed, account.index, *key, registered_at, target, hours, events)
