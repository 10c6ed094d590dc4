"""What became of many shipments sent at once: one shape for create, update, delete and stop. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking


@dataclass(frozen=True, slots=True)
class Rejection:
    """A shipment that was not accepted.

    :param carrier_code: as given; empty when there was none.
    :param tracking_number: as given; empty when there was none.
    :param code: the vendor's code; None when it was found here, before any call.
    :param message: the reason, and what to do.
    """

    carrier_code: str
    tracking_number: str
    code: int | None
    message: str

    @property
    def key(self) -> ShipmentKey:
        """Carrier and number, as given."""
        return ShipmentKey(self.carrier_code, self.tracking_number)

    def __str__(self) -> str:
        who = f"{self.carrier_code} {self.tracking_number}".strip() or "a shipment"
        return f"{who}: {self.message}" + (f" ({self.code})" if self.code is not None else "")


@dataclass(frozen=True)
class BatchReport:
    """The account of every shipment put in: each distinct one stands in exactly one of the three lists.

    :param done: carried out.
    :param unchanged: already as it should be, left as it was.
    :param rejected: not accepted, with the reason.
    :param duplicates: how many further mentions of the same shipments were put in (and not sent).
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
    def totals(self) -> str:
        """One line for the log."""
        line = f"{len(self.done)} {self.DONE}, {len(self.unchanged)} {self.UNCHANGED}, {len(self.rejected)} rejected"
        return line + (f" ({self.duplicates} mentioned more than once)" if self.duplicates else "")

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        """The report as plain data, small and without personal data, for XCom.

        :return: ``{"done": [...], "unchanged": [...], "rejected": [...]}``; entries hold ``carrier_code`` and
            ``tracking_number``, rejected ones also ``code`` and ``message``.
        """
        return {
            self.DONE: [key._asdict() for key in self.done],
            self.UNCHANGED: [key._asdict() for key in self.unchanged],
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
    """A :class:`BatchReport` in the words of registering: *done* is created, *unchanged* is existing."""

    DONE: ClassVar[str] = "created"
    UNCHANGED: ClassVar[str] = "existing"

    @property
    def created(self) -> tuple[ShipmentKey, ...]:
        """Registered by this call."""
        return self.done

    @property
    def existing(self) -> tuple[ShipmentKey, ...]:
        """Had been registered before (4016)."""
        return self.unchanged


@dataclass(frozen=True)
class RealtimeReport(BatchReport):
    """A :class:`BatchReport` with what the carriers said.

    :param trackings: one for each shipment that is done.
    """

    trackings: Mapping[ShipmentKey, Tracking] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class BatchResponse:
    """What one answer says of the shipments of its call.

    :param done: carried out.
    :param unchanged: already so.
    :param rejected: refused.
    :param unconfirmed: sent, but the answer does not prove what became of them: look them up.
    :param listed: those of the unconfirmed that the answer lists without refusing them.
    :param count: how many of the unconfirmed were carried out, according to the answer; None when it does not say.
    :param corrected: (as sent, as registered) where the vendor chose another carrier.
    """

    done: tuple[ShipmentKey, ...] = ()
    unchanged: tuple[ShipmentKey, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    unconfirmed: tuple[ShipmentKey, ...] = ()
    listed: tuple[ShipmentKey, ...] = ()
    count: int | None = None
    corrected: tuple[tuple[ShipmentKey, ShipmentKey], ...] = ()


def match(sent: Iterable[ShipmentKey], mentioned: Iterable[ShipmentKey]) -> dict[ShipmentKey, ShipmentKey]:
    """Tell which sent shipment each mentioned one is.

    The vendor may write a number in another case, and may correct the carrier unless ``auto_correct`` forbids it.

    :param sent: the shipments of the call.
    :param mentioned: the shipments in the answer.
    :return: mentioned -> sent, for those that can be told apart.
    """
    open_keys = dict.fromkeys(sent)
    found: dict[ShipmentKey, ShipmentKey] = {}
    mentioned = list(dict.fromkeys(mentioned))
    for alike in (_exactly, _but_for_case, _by_number):
        for key in mentioned:
            if key in found:
                continue
            choice = [other for other in open_keys if alike(other) == alike(key)]
            if len(choice) == 1:
                found[key] = choice[0]
                del open_keys[choice[0]]
    return found


def _exactly(key: ShipmentKey) -> tuple[str, ...]:
    return key


def _but_for_case(key: ShipmentKey) -> tuple[str, ...]:
    return key.carrier_code.casefold(), key.tracking_number.casefold()


def _by_number(key: ShipmentKey) -> tuple[str, ...]:
    return (key.tracking_number.casefold(),)
