"""The interface between a load and the target that it writes to, such as a database or a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.rows import ShipmentRecord


@dataclass(frozen=True, slots=True)
class KnownShipment:
    """What the target has stored about a shipment.

    :param content_hash: the hash of its content.
    :param status: its status.
    :param first_seen_at: the load that found it.
    :param changed_at: the load that last wrote it.
    :param is_missing: whether ``missing_since`` is set.
    """

    content_hash: str
    status: str
    first_seen_at: datetime
    changed_at: datetime
    is_missing: bool = False


class StatusChange(NamedTuple):
    """A change of status that this load has found; ``previous_status`` is None for a new shipment."""

    key: ShipmentKey
    previous_status: str | None
    status: str
    substatus: str | None


@dataclass(slots=True)
class Counts:
    """How many rows of a table were new, changed and unchanged."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def add(self, other: Counts) -> None:
        """Add the numbers of another batch.

        :param other: the numbers.
        """
        self.new += other.new
        self.changed += other.changed
        self.unchanged += other.unchanged

    def as_dict(self) -> dict[str, int]:
        """Return the numbers as a plain dict."""
        return {"new": self.new, "changed": self.changed, "unchanged": self.unchanged}


@dataclass(slots=True)
class Batch:
    """The shipments of one response, compared with the target. No shipment is in two batches of a load.

    :param new: shipments that the target does not have.
    :param changed: shipments whose content hash differs, or that were missing.
    :param unchanged: the others; only ``last_seen_at`` changes.
    :param status_changes: the changes of status of new and changed shipments.
    :param missing: shipments of the target that are no longer registered: ``missing_since`` must be set.
    """

    new: list[ShipmentRecord] = field(default_factory=list)
    changed: list[ShipmentRecord] = field(default_factory=list)
    unchanged: list[ShipmentRecord] = field(default_factory=list)
    status_changes: list[StatusChange] = field(default_factory=list)
    missing: list[ShipmentKey] = field(default_factory=list)


class LoadTarget(Protocol):
    """Where a load writes. All its writes take effect together, when the caller commits them with the next state."""

    def known(self, shipments: Mapping[ShipmentKey, int | None]) -> Mapping[ShipmentKey, KnownShipment]:
        """Look up shipments in the target.

        :param shipments: up to 2,000 shipments, with the Unix seconds of their registration: files are partitioned by
            the month of registration.
        :return: those that the target has.
        """

    def write(self, batch: Batch) -> Counts:
        """Write a batch: tracking rows, status changes, the events of new and changed shipments, missing shipments.

        :param batch: the batch.
        :return: the counts of the events of new and changed shipments. An event counts as changed if it was superseded,
            has come back or has another substatus.
        """
