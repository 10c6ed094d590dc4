"""The part of the control client that is about webhooks."""

from __future__ import annotations

from typing import Any, Literal, cast

from .control_requests import ControlRequests


class WebhookControl(ControlRequests):
    """Makes a running sandbox send webhooks, and reads which ones it has sent."""

    def set_webhook(self, url: str, *, account: int = 0) -> None:
        """Set the URL to which webhooks are sent.

        :param url: the URL; empty for none.
        :param account: index of the account.
        """
        self.request("PATCH", f"/accounts/{account}", {"webhook_url": url})

    def webhooks(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return the attempts to deliver a webhook, the earliest to complete first.

        :param since: only those with a higher ``serial``.
        :return: ``serial``, ``account``, ``carrier_code``, ``tracking_number``, ``attempt`` (from 1), ``clock_unix``,
            ``http`` (the status; None if there was no response) and ``response`` (its first 200 characters).
        """
        return cast("list[dict[str, Any]]", self.request("GET", "/webhooks", since=since)["webhooks"])

    def send_webhook(self, carrier_code: str, tracking_number: str, *, account: int = 0) -> dict[str, Any]:
        """Send the state of a shipment now, although it has not changed. It is not retried.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param account: index of the account.
        :return: the attempt.
        """
        key = {"carrier_code": carrier_code, "tracking_number": tracking_number}
        return self._webhook({"action": "send", "account": account, **key})

    def replay_webhook(self, serial: int, *, account: int = 0) -> dict[str, Any]:
        """Send an earlier webhook again, byte for byte, as somebody may who has captured it.

        :param serial: which attempt.
        :param account: index of the account.
        :return: the new attempt.
        """
        return self._webhook({"action": "replay", "account": account, "serial": serial})

    def forge_webhook(
        self,
        carrier_code: str,
        tracking_number: str,
        *,
        signature: Literal["wrong", "captured", "right"] = "wrong",
        age_seconds: float = 0,
        account: int = 0,
        **data: Any,
    ) -> dict[str, Any]:
        """Send a webhook as an attacker may, about any shipment.

        :param carrier_code: its carrier.
        :param tracking_number: its number.
        :param signature: ``wrong``; ``captured``: time and signature of the latest attempt; ``right``: the attacker
            knows the e-mail address of the account.
        :param age_seconds: how old the time is, in clock seconds.
        :param account: index of the account whose URL is attacked.
        :param data: further fields of ``data``; the status is ``delivered`` by default.
        :return: the attempt.
        """
        key = {"carrier_code": carrier_code, "tracking_number": tracking_number, "data": data}
        return self._webhook(
            {"action": "forge", "account": account, "signature": signature, "age_seconds": age_seconds, **key}
        )

    def _webhook(self, body: dict[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", self.request("POST", "/webhooks", body))
