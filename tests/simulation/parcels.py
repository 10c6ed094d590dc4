"""The true states of the parcels: what the vendor knows about each, and from when on. Fixed before a run begins.

All moments are seconds of the loop. The vendor's clock, which may be wrong, appears only in its responses.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

LATE_BUT_SEEN = 20.0
"""A change that the vendor dates back by no more than this must still be found in the list of changes."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of a parcel from one moment on.

    :param since: when the vendor learns of it.
    :param status: the vendor's status; None if it is not registered.
    :param substatus: the more detailed code.
    :param created_at: when it was registered.
    :param event_at: when its newest event happened.
    :param updated_at: the vendor's date of the change; None if ``updated_at`` is null.
    :param in_list: whether the list of everything and the list of changes contain it.
    :param in_numbers: whether the ``numbers`` filter finds it.
    """

    since: float
    status: str | None
    substatus: str | None = None
    created_at: float = 0.0
    event_at: float = 0.0
    updated_at: float | None = None
    in_list: bool = True
    in_numbers: bool = True

    @property
    def found_by_change(self) -> bool:
        """Whether a list of changes that begins before ``since`` must contain it."""
        return self.in_list and self.updated_at is not None and self.updated_at >= self.since - LATE_BUT_SEEN

    def quiet_days(self, now: float) -> int:
        """Return the whole days without a new event."""
        return max(0, int((now - self.event_at) // 86_400))


Name = tuple[str, str]
"""Carrier and number as the vendor compares them: upper and lower case are the same."""


def name_of(carrier_code: str, tracking_number: str) -> Name:
    """Normalize the spelling of a shipment."""
    return carrier_code.casefold(), tracking_number.casefold()


@dataclass
class Parcel:
    """One parcel of an account, and everything that happens to it.

    :param carrier_code: as the vendor spells it.
    :param tracking_number: as the vendor spells it.
    :param states: in order of time; before the first one it is not registered.
    :param shows_quiet_days: whether the vendor gives ``stayTimeLength``.
    """

    carrier_code: str
    tracking_number: str
    states: list[State]
    shows_quiet_days: bool = True
    rows: dict[tuple[int, int], str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.states.sort(key=lambda state: state.since)
        self._since = [state.since for state in self.states]

    @property
    def name(self) -> Name:
        """The normalized name of the parcel."""
        return name_of(self.carrier_code, self.tracking_number)

    def index(self, now: float) -> int:
        """Return the index of its state at a moment; -1 before the first."""
        return bisect_right(self._since, now) - 1

    def at(self, now: float) -> State:
        """Return its state at a moment."""
        index = self.index(now)
        return self.states[index] if index >= 0 else NOT_REGISTERED

    def until(self, index: int) -> float:
        """Return when a state ends."""
        return self._since[index + 1] if index + 1 < len(self._since) else float("inf")


NOT_REGISTERED = State(float("-inf"), None)
