"""The newest state of each shipment of a wait. A late response or event never reverts it."""

from __future__ import annotations

from collections import Counter

from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.waiting.observation import Observation


class History:
    """The newest state of each shipment of one wait, by normalized key.

    :param reopens: whether a delivered shipment may go back into transit.
    """

    __slots__ = ("_newest", "_reopens", "_since")

    def __init__(self, *, reopens: bool = False) -> None:
        self._reopens = reopens
        self._newest: dict[ShipmentKey, Observation] = {}
        self._since: dict[ShipmentKey, float] = {}

    def update(self, key: ShipmentKey, observed: Observation, now: float) -> Observation:
        """Record the result of a check, unless it is older than the known state.

        :param key: the shipment, normalized.
        :param observed: its state at the check.
        :param now: Unix seconds.
        :return: the newest state, which may be the known one.
        """
        known = self._newest.get(key)
        if known is not None and not supersedes(observed, known, reopens=self._reopens):
            return known
        if known is None or known.status != observed.status:
            self._since[key] = now
        self._newest[key] = observed
        return observed

    def get(self, key: ShipmentKey) -> Observation | None:
        """Return the newest state of a shipment.

        :param key: the shipment, normalized.
        :return: None before the first check.
        """
        return self._newest.get(key)

    def count_statuses(self) -> dict[str, int]:
        """Count the shipments by status, ``"not_registered"`` included."""
        return dict(Counter(observed.status or "not_registered" for observed in self._newest.values()))

    def since(self, key: ShipmentKey) -> float:
        """Return when this wait first saw the status that the shipment has now.

        :param key: the shipment, normalized; it has been checked.
        :return: Unix seconds.
        """
        return self._since[key]


_STAGES = {
    ShipmentStatus.PENDING.value: 0,
    ShipmentStatus.NOT_FOUND.value: 0,
    ShipmentStatus.EXPIRED.value: 2,
    ShipmentStatus.DELIVERED.value: 3,
}
"""Every other status, also an unknown one, is stage 1: shipments move freely between those."""


def supersedes(new: Observation, old: Observation, *, reopens: bool) -> bool:
    """Tell whether a check shows a newer state, rather than a late response or a late event.

    "Not found" after transit and transit after delivery are late. There are two exceptions: an expired shipment may
    still be delivered, and, with ``reopens``, a delivered shipment is on its way again if it has an event *newer* than
    the delivery.

    :param new: the result of a check.
    :param old: the known state.
    :param reopens: whether a delivered shipment may go back into transit.
    :return: whether the new state replaces the old one.
    """
    if old.status is None:
        return True
    before = _STAGES.get(old.status, 1)
    if new.status is None:
        return before < _STAGES["delivered"]
    after = _STAGES.get(new.status, 1)
    if after >= before:
        return True
    has_newer_event = (new.last_update or "") > (old.last_update or "")
    return reopens and old.status == ShipmentStatus.DELIVERED and after == 1 and has_newer_event
