"""Reports on batches of shipments: the same form for create, update, delete and stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking


@dataclass(frozen=True, slots=True)
class Rejection:
    """A shipment that was not accepted.

    :param carrier_code: as passed; empty if there was none.
    :param tracking_number: as passed; empty if there was none.
    :param code: the API's code; None if the shipment failed validation, before any request.
    :param message: the reason, and what to do.
    """

    carrier_code: str
    tracking_number: str
    code: int | None
    message: str

    @property
    def key(self) -> ShipmentKey:
        """Carrier and number, as passed."""
        return ShipmentKey(self.carrier_code, self.tracking_number)

    def __str__(self) -> str:
        shipment = f"{self.carrier_code} {self.tracking_number}".strip() or "a shipment"
        return f"{shipment}: {self.message}" + (f" ({self.code})" if self.code is not None else "")


@dataclass(frozen=True)
class BatchReport:
    """What became of each shipment: each distinct one is in exactly one of the three lists.

    :param done: processed.
    :param unchanged: already in the desired state.
    :param rejected: not accepted, with the reason.
    :param duplicates: how many further mentions of the same shipments there were; they were not sent.
    """

    done: tuple[ShipmentKey, ...] = ()
    unchanged: tuple[ShipmentKey, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    duplicates: int = 0

    DONE: ClassVar[str] = "done"
    UNCHANGED: ClassVar[str] = "unchanged"

    def __add__(self, other: BatchReport) -> Self:
        return replace(
            self,
            done=self.done + other.done,
            unchanged=self.unchanged + other.unchanged,
            rejected=self.rejected + other.rejected,
            duplicates=self.duplicates + other.duplicates,
        )

    def __len__(self) -> int:
        return len(self.done) + len(self.unchanged) + len(self.rejected)

    @property
    def keys(self) -> tuple[ShipmentKey, ...]:
        """All shipments of the report."""
        return (*self.accepted, *(rejection.key for rejection in self.rejected))

    @property
    def accepted(self) -> tuple[ShipmentKey, ...]:
        """All shipments that were not rejected."""
        return self.done + self.unchanged

    @property
    def totals(self) -> str:
        """One line for the log."""
        line = f"{len(self.done)} {self.DONE}, {len(self.unchanged)} {self.UNCHANGED}, {len(self.rejected)} rejected"
        return line + (f" ({self.duplicates} duplicates ignored)" if self.duplicates else "")

    def as_dict(self) -> dict[str, list[dict[str, str | int | None]]]:
        """Return the report as plain data for XCom, small and without personal data.

        :return: ``{"done": [...], "unchanged": [...], "rejected": [...]}``; entries have ``carrier_code`` and
            ``tracking_number``, rejected ones also ``code`` and ``message``.
        """
        return {
            self.DONE: [dict(key._asdict()) for key in self.done],
            self.UNCHANGED: [dict(key._asdict()) for key in self.unchanged],
            "rejected": [
                {
                    "carrier_code": rejection.carrier_code,
                    "tracking_number": rejection.tracking_number,
                    "code": rejection.code,
                    "message": rejection.message,
                }
                for rejection in self.rejected
            ],
        }


@dataclass(frozen=True)
class RegistrationReport(BatchReport):
    """A :class:`BatchReport` for registrations: *done* is called created, *unchanged* is called existing."""

    DONE: ClassVar[str] = "created"
    UNCHANGED: ClassVar[str] = "existing"

    @property
    def created(self) -> tuple[ShipmentKey, ...]:
        """Shipments that this job registered."""
        return self.done

    @property
    def existing(self) -> tuple[ShipmentKey, ...]:
        """Shipments that were registered before (4016)."""
        return self.unchanged


@dataclass(frozen=True)
class RealtimeReport(BatchReport):
    """A :class:`BatchReport` with the carriers' responses.

    :param trackings: a tracking for each shipment that is done.
    """

    trackings: Mapping[ShipmentKey, Tracking] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class BatchResponse:
    """What the response to one request says about its shipments.

    :param done: processed.
    :param unchanged: already in the desired state.
    :param rejected: refused.
    :param unconfirmed: sent, but the response does not prove that they were processed: they must be looked up.
    :param listed: those of the unconfirmed that the response lists without refusing them.
    :param count: how many of the unconfirmed were processed, according to the response; None if it does not say.
    :param corrected: (as sent, as registered) for shipments whose carrier TrackingMore corrected.
    """

    done: tuple[ShipmentKey, ...] = ()
    unchanged: tuple[ShipmentKey, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    unconfirmed: tuple[ShipmentKey, ...] = ()
    listed: tuple[ShipmentKey, ...] = ()
    count: int | None = None
    corrected: tuple[tuple[ShipmentKey, ShipmentKey], ...] = ()


def match_keys(sent: Iterable[ShipmentKey], mentioned: Iterable[ShipmentKey]) -> dict[ShipmentKey, ShipmentKey]:
    """Match the shipments in a response with those of its request.

    TrackingMore may change the case of a number, and may correct the carrier unless ``auto_correct`` forbids it.

    :param sent: the shipments of the request.
    :param mentioned: the shipments in the response.
    :return: mentioned -> sent, for those with a unique match.
    """
    unmatched = dict.fromkeys(sent)
    matches: dict[ShipmentKey, ShipmentKey] = {}
    mentioned = list(dict.fromkeys(mentioned))
    for identity in (_exact, _normalized, _number_only):
        for key in mentioned:
            if key in matches:
                continue
            candidates = [other for other in unmatched if identity(other) == identity(key)]
            if len(candidates) == 1:
                matches[key] = candidates[0]
                del unmatched[candidates[0]]
    return matches


def _exact(key: ShipmentKey) -> tuple[str, ...]:
    return key


def _normalized(key: ShipmentKey) -> tuple[str, ...]:
    return key.normalized


def _number_only(key: ShipmentKey) -> tuple[str, ...]:
    return (key.normalized.tracking_number,)
