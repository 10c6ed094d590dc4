"""What one wait has learnt of its shipments, and what may take the place of what. Pure; knows no goal."""

from __future__ import annotations

from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.waiting.outcomes import Outcome


class Knowledge:
    """The newest that one wait knows of each of its shipments.

    A shipment only moves forward: see :func:`follows`.

    :param reopens: whether a delivered shipment may be on its way again.
    """

    def __init__(self, *, reopens: bool = False) -> None:
        self._reopens = reopens
        self._known: dict[ShipmentKey, Outcome] = {}
        self._since: dict[ShipmentKey, float] = {}

    def learn(self, new: Outcome, now: float) -> None:
        """Take in what a look has found.

        :param new: the shipment as it is now, or seems to be.
        :param now: unix seconds.
        """
        old = self._known.get(new.key)
        if old is not None and not follows(old, new, reopens=self._reopens):
            return
        if old is None or old.status != new.status:
            self._since[new.key] = now
        self._known[new.key] = new

    def of(self, key: ShipmentKey) -> Outcome:
        """What is known of a shipment.

        :param key: the shipment.
        :return: an outcome without a status while nothing is.
        """
        return self._known.get(key) or Outcome(*key)

    def since(self, key: ShipmentKey, now: float) -> float:
        """When this wait first saw the status that the shipment has.

        :param key: the shipment.
        :param now: unix seconds.
        :return: unix seconds.
        """
        return self._since.get(key, now)

    def __len__(self) -> int:
        return len(self._known)


_STAGE = {
    ShipmentStatus.PENDING.value: 0,
    ShipmentStatus.NOT_FOUND.value: 0,
    ShipmentStatus.EXPIRED.value: 2,
    ShipmentStatus.DELIVERED.value: 3,
}
"""Every other status, unknown ones too, is a stage on the way: 1. Parcels go from any of these to any other."""


def follows(old: Outcome, new: Outcome, *, reopens: bool) -> bool:
    """Tell whether a look is news, or something late that changes nothing.

    Not found after transit, and transit after delivered, are late answers or events. What may reopen: an expired
    shipment that is delivered after all; a delivered one, where asked for, that is on its way again *by a newer event*
    than the delivery.

    :param old: what is known.
    :param new: what a look has found.
    :param reopens: whether a delivered shipment may be on its way again.
    :return: whether the new takes the place of the old.
    """
    if old.status is None:
        return True
    before = _STAGE.get(old.status, 1)
    if new.status is None:
        return before < _STAGE["delivered"]
    after = _STAGE.get(new.status, 1)
    if after >= before:
        return True
    newer = (new.last_update or "") > (old.last_update or "")
    return reopens and old.status == "delivered" and after == 1 and newer
