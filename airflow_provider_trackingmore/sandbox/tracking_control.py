"""The part of the control client that is about shipments: register, read and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from .webhook_control import WebhookControl

UpdatedAt = Literal["now", "keep", "null"]
"""What a change does to ``updated_at``: the time of the change, nothing, or null until the next change."""


class TrackingControl(WebhookControl):
    """Registers, reads and changes the shipments of a running sandbox."""

    def seed(
        self,
        count: int = 0,
        *,
        shipments: Sequence[Mapping[str, Any]] = (),
        account: int = 0,
        seed: int = 0,
        ages_days: tuple[float, float] = (0, 20),
        carriers: Sequence[str] = (),
        journey: str | None = None,
        events: int = 0,
        details: Mapping[str, str] | None = None,
    ) -> list[dict[str, str]]:
        """Register shipments without calls and without using quota.

        :param count: how many shipments to generate.
        :param shipments: instead of ``count``: the fields of each shipment, and optionally ``age_hours``.
        :param account: index of the account.
        :param seed: seed of the generated numbers and ages.
        :param ages_days: range of their ages in days.
        :param carriers: their carriers, in rotation.
        :param journey: such as ``DELIVERED-3D``; None means a mix.
        :param events: how many events a delivered parcel has at least, up to 200; by default 6, or 8 if it goes abroad.
        :param details: detail fields of each generated shipment, such as ``order_id``; ``{number}`` in them becomes its
            tracking number.
        :return: ``carrier_code`` and ``tracking_number`` of each shipment that was new.
        """
        body = {
            "account": account,
            "count": count,
            "seed": seed,
            "ages_days": ages_days,
            "carriers": list(carriers),
            "journey": journey,
            "events": events,
            "details": dict(details or {}),
            "shipments": [dict(shipment) for shipment in shipments],
        }
        return cast("list[dict[str, str]]", self.request("POST", "/seed", body)["shipments"])

    def trackings(
        self, account: int = 0, *, status: str | None = None, tracking_number: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the registered shipments, oldest first.

        :param account: index of the account.
        :param status: only those with this status.
        :param tracking_number: only those with this number.
        :return: their state; ``changes`` lists when each status becomes visible.
        """
        response = self.request(
            "GET", "/trackings", account=account, status=status, tracking_number=tracking_number, limit=200_000
        )
        return cast("list[dict[str, Any]]", response["trackings"])

    def change_trackings(self, changes: Sequence[Mapping[str, Any]], *, account: int = 0) -> list[dict[str, Any]]:
        """Change shipments as carriers, or the owner of the account elsewhere, would; all of them or none.

        :param changes: at most one for each shipment: ``carrier_code``, ``tracking_number``, ``action`` (``reword``,
            ``drop``, ``add``, ``reopen``, ``touch``, ``delete``), and the arguments of the methods below.
        :param account: index of the account.
        :return: for each change ``carrier_code``, ``tracking_number``, ``action``, and the event ``before`` and
            ``after`` it (``local_time``, ``description``, ``place``, ``status``), or None.
        :raises SandboxError: a shipment is not registered, has two changes, or does not have the event.
        """
        body = {"account": account, "changes": [dict(change) for change in changes]}
        return cast("list[dict[str, Any]]", self.request("POST", "/trackings/changes", body)["changes"])

    def reword_event(
        self,
        carrier_code: str,
        tracking_number: str,
        description: str,
        *,
        event: int = 0,
        updated_at: UpdatedAt = "now",
        account: int = 0,
    ) -> dict[str, Any]:
        """Change the description of an event.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param description: the new description.
        :param event: which event; 0 is the newest of both legs.
        :param updated_at: ``now``, ``keep`` or ``null``.
        :param account: index of the account.
        :return: the event ``before`` and ``after``.
        """
        given = {"description": description, "event": event, "updated_at": updated_at}
        return self._change("reword", carrier_code, tracking_number, account, given)

    def drop_event(
        self,
        carrier_code: str,
        tracking_number: str,
        *,
        event: int = 0,
        updated_at: UpdatedAt = "now",
        account: int = 0,
    ) -> dict[str, Any]:
        """Remove an event. The status of the parcel stays.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param event: which event; 0 is the newest of both legs.
        :param updated_at: ``now``, ``keep`` or ``null``.
        :param account: index of the account.
        :return: the event ``before``.
        """
        given = {"event": event, "updated_at": updated_at}
        return self._change("drop", carrier_code, tracking_number, account, given)

    def add_event(
        self,
        carrier_code: str,
        tracking_number: str,
        description: str,
        *,
        age_hours: float = 0,
        place: str | None = None,
        leg: Literal["origin", "destination"] | None = None,
        event_status: str = "transit",
        status: str | None = None,
        updated_at: UpdatedAt = "now",
        account: int = 0,
    ) -> dict[str, Any]:
        """Add an event that is visible at once.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param description: what happened.
        :param age_hours: how long ago it happened, in hours of the clock.
        :param place: where; None means the place of the latest event.
        :param leg: the leg that shows it; None means the last one.
        :param event_status: the ``checkpoint_status`` of the event.
        :param status: the status of the parcel from now on; None leaves it.
        :param updated_at: ``now``, ``keep`` or ``null``.
        :param account: index of the account.
        :return: the event ``after``.
        """
        given = {
            "description": description,
            "age_hours": age_hours,
            "place": place,
            "leg": leg,
            "event_status": event_status,
            "status": status,
            "updated_at": updated_at,
        }
        return self._change("add", carrier_code, tracking_number, account, given)

    def reopen(
        self,
        carrier_code: str,
        tracking_number: str,
        *,
        delivered_after_hours: float | None = None,
        updated_at: UpdatedAt = "now",
        account: int = 0,
    ) -> dict[str, Any]:
        """Put a parcel back into transit, with an event that says so.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param delivered_after_hours: when it is delivered again, visible at the refresh after that; None means never.
        :param updated_at: ``now``, ``keep`` or ``null``.
        :param account: index of the account.
        :return: the event ``after``.
        """
        given = {"delivered_after_hours": delivered_after_hours, "updated_at": updated_at}
        return self._change("reopen", carrier_code, tracking_number, account, given)

    def touch(
        self, carrier_code: str, tracking_number: str, *, updated_at: UpdatedAt = "now", account: int = 0
    ) -> dict[str, Any]:
        """Change nothing but ``updated_at``.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param updated_at: ``now`` or ``null``, which lasts until the next change.
        :param account: index of the account.
        :return: the change.
        """
        return self._change("touch", carrier_code, tracking_number, account, {"updated_at": updated_at})

    def delete(self, carrier_code: str, tracking_number: str, *, account: int = 0) -> dict[str, Any]:
        """Delete a shipment without a call to ``/v2``.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param account: index of the account.
        :return: the change.
        """
        return self._change("delete", carrier_code, tracking_number, account, {})

    def _change(
        self, action: str, carrier_code: str, tracking_number: str, account: int, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        key: dict[str, Any] = {"carrier_code": carrier_code, "tracking_number": tracking_number, "action": action}
        return self.change_trackings([{**key, **given}], account=account)[0]
