"""Subscriptions to the lists of an account: to everything that is registered, rather than to known shipments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_trackingmore.api.filters import filter_query
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.window import LoadWindow
from airflow_provider_trackingmore.waiting.notification import Notifiable
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.responses import ObservedRow


@dataclass(frozen=True, slots=True)
class ListUpdate:
    """The content of the lists.

    :param listed: the rows of the list of everything in the window; empty if it was not read.
    :param changed: the rows of the list of changes, which is read later.
    :param is_full: whether the list of everything was read.
    :param by_number: normalized key -> state of hinted shipments, which were read before the lists.
    """

    listed: Sequence[ObservedRow]
    changed: Sequence[ObservedRow]
    is_full: bool
    by_number: Mapping[ShipmentKey, Observation] = field(default_factory=dict)


class ListSubscription(Notifiable):
    """A subscription to the lists of an account. Use it in a ``with`` block, or close it.

    :param filters: the filters of the lists, without times of change.
    :param window: where the lists begin. The subscriber moves it after each update.
    :param poke_interval: maximum seconds between two checks.
    :param reconcile_seconds: maximum seconds between two checks that do not rely on the list of changes.
    :param due_at: the time of the first check, in event loop time.
    :param unsubscribe: called when it is closed.
    """

    __slots__ = (
        "_pending",
        "_unsubscribe",
        "due_at",
        "failures",
        "filters",
        "find_known",
        "full_check_due",
        "hint_due",
        "hinted",
        "hinted_at",
        "poke_interval",
        "query",
        "reconcile_seconds",
        "window",
    )

    def __init__(
        self,
        filters: Mapping[str, object],
        window: LoadWindow,
        *,
        poke_interval: float,
        reconcile_seconds: float,
        due_at: float,
        unsubscribe: Callable[[ListSubscription], None],
    ) -> None:
        super().__init__()
        self.filters = filters
        self.query = filter_query(filters)
        self.window = window
        self.poke_interval = poke_interval
        self.reconcile_seconds = reconcile_seconds
        self.due_at = due_at
        self.full_check_due = -math.inf  # the first update is a full one, even if it comes early
        self.failures = 0
        self.hint_due = math.inf
        """When the lists must be read because of a hint; infinity if they need not be."""
        self.hinted_at = -math.inf
        """When they were last read because of a hint."""
        self.hinted: dict[ShipmentKey, ShipmentKey] = {}
        """The hinted shipments: normalized key -> spelling to request it with."""
        self.find_known: Callable[[ShipmentKey], ShipmentKey | None] | None = None
        """Set by the subscriber: returns the vendor's spelling of a shipment that it knows, by normalized key, else
        None."""
        self._unsubscribe = unsubscribe
        self._pending: ListUpdate | None = None

    @property
    def next_at(self) -> float:
        """When the lists must be read next, in event loop time."""
        return min(self.due_at, self.hint_due)

    def close(self) -> None:
        """Unsubscribe. This may be called repeatedly."""
        self._unsubscribe(self)

    async def next_update(self) -> ListUpdate:
        """Wait for the next update.

        :return: the content of the lists.
        :raises TrackingMoreError: if TrackingMore refuses the account, for instance because of a wrong key.
        """
        while self._pending is None and self._error is None:
            await self._wait(None)
        if self._pending is not None:
            pending, self._pending = self._pending, None
            return pending
        assert self._error is not None  # noqa: S101
        raise self._error

    def add_update(self, update: ListUpdate) -> None:
        """Deliver an update. It replaces a pending one, which began at the same window.

        :param update: the content of the lists.
        """
        pending = self._pending
        if pending is not None:
            keeps_list = pending.is_full and not update.is_full
            listed = pending.listed if keeps_list else update.listed
            by_number = {**pending.by_number, **update.by_number}
            update = ListUpdate(listed, update.changed, keeps_list or update.is_full, by_number)
        self._pending = update
        self.notify()
