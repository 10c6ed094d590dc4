"""``WebhookSettings``: the webhook settings in the extra of a connection, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.events.webhooks import TOLERANCE_SECONDS

MIN_SECRET_LENGTH = 16
MAX_SECRET_LENGTH = 250
"""The webhook route matches no longer secret."""
MAX_TOLERANCE_SECONDS = 86_400
HINTS_PER_MINUTE = 120
MAX_HINTS_PER_MINUTE = 10_000


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The settings of a connection that accepts webhooks.

    :param secret: the last part of the URL.
    :param email: the key of the signature; None to ask TrackingMore for the account's e-mail address.
    :param tolerance_seconds: how much the time of a webhook may differ from the clock before the webhook is stale.
    :param hints_per_minute: how many shipments may be checked in a minute because of webhooks.
    """

    secret: str = field(repr=False)
    email: str | None = field(default=None, repr=False)
    tolerance_seconds: float = TOLERANCE_SECONDS
    hints_per_minute: int = HINTS_PER_MINUTE

    @classmethod
    def from_extra(cls, extra: Mapping[str, object]) -> Self | None:
        """Read the extra of a connection.

        :param extra: the extra; numbers may also be text, as older connection forms store them.
        :return: the settings; None if the connection accepts no webhooks.
        :raises InvalidSettingsError: naming the setting that is invalid, and what it may be.
        """
        secret = extra.get("webhook_secret")
        if secret in (None, ""):
            return None
        is_text = isinstance(secret, str) and "/" not in secret
        if not is_text or not MIN_SECRET_LENGTH <= len(str(secret)) <= MAX_SECRET_LENGTH:
            raise InvalidSettingsError(
                f"webhook_secret must be text of {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters, without '/'"
            )
        tolerance = _number(extra, "webhook_tolerance_seconds", TOLERANCE_SECONDS, MAX_TOLERANCE_SECONDS)
        hints = _number(extra, "webhook_hints_per_minute", HINTS_PER_MINUTE, MAX_HINTS_PER_MINUTE)
        if not hints.is_integer():
            raise InvalidSettingsError("webhook_hints_per_minute must be a whole number")
        return cls(str(secret), str(extra.get("webhook_email") or "").strip() or None, tolerance, int(hints))


def _number(extra: Mapping[str, object], name: str, default: float, maximum: float) -> float:
    value = extra.get(name)
    if value in (None, ""):
        return float(default)
    try:
        number = float(str(value))
    except ValueError:
        number = 0.0
    if isinstance(value, bool) or not 1 <= number <= maximum:
        raise InvalidSettingsError(f"{name} must be a number from 1 to {maximum:g}, not {format_value(value)}")
    return number
