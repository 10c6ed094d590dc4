"""The truth: what the vendor knows of each parcel, and from which moment on. Fixed before a run begins.

All moments are seconds of the loop; the vendor's own clock, which may be wrong, only shows in its answers.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

LATE_BUT_SEEN = 20.0
"""A change that the vendor dates back by no more than this must be found by change all the same."""


@dataclass(frozen=True, slots=True)
class State:
    """A parcel from one moment on.

    :param since: when the vendor got to know it.
    :param status: the vendor's status; None: not registered.
    :param substatus: finer code.
    :param created_at: when it was registered.
    :param event_at: when its newest event happened.
    :param updated_at: what the vendor dates the change to; None: it leaves ``updated_at`` null.
    :param in_list: whether the list and the changes show it.
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
        """Whether somebody who asks what has changed since a moment before ``since`` must be shown it."""
        return self.in_list and self.updated_at is not None and self.updated_at >= self.since - LATE_BUT_SEEN

    def quiet_days(self, now: float) -> int:
        """Whole days without a new event."""
        return max(0, int((now - self.event_at) // 86_400))


Name = tuple[str, str]
"""Carrier and number as the vendor compares them: upper and lower case are the same."""


def name_of(carrier_code: str, tracking_number: str) -> Name:
    """Fold the spelling of a shipment."""
    return carrier_code.casefold(), tracking_number.casefold()


@dataclass
class Parcel:
    """One parcel of an account and all that is going to happen to it.

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
        """The parcel in normalized spellings."""
        return name_of(self.carrier_code, self.tracking_number)

    def index(self, now: float) -> int:
        """Which state it is in; -1 before the first."""
        return bisect_right(self._since, now) - 1

    def at(self, now: float) -> State:
        """The state at a moment."""
        index = self.index(now)
        return self.states[index] if index >= 0 else NOT_REGISTERED

    def until(self, index: int) -> float:
        """When a state ends."""
        return self._since[index + 1] if index + 1 < len(self._since) else float("inf")


NOT_REGISTERED = State(float("-inf"), None)
