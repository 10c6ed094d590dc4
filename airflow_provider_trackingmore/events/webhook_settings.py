"""The extras of a connection that are about webhooks, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.events.webhooks import TOLERANCE_SECONDS

MIN_SECRET_LENGTH = 16
MAX_TOLERANCE_SECONDS = 86_400
HINTS_PER_MINUTE = 120
MAX_HINTS_PER_MINUTE = 10_000


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The settings of a connection that accepts webhooks.

    :param secret: the last part of the URL.
    :param email: the key of the signature; None to ask TrackingMore for the account's e-mail address.
    :param tolerance_seconds: from which age on webhooks are stale.
    :param hints_per_minute: how many shipments may be checked in a minute because of webhooks.
    """

    secret: str = field(repr=False)
    email: str | None = field(default=None, repr=False)
    tolerance_seconds: float = TOLERANCE_SECONDS
    hints_per_minute: int = HINTS_PER_MINUTE

    @classmethod
    def from_extra(cls, extra: Mapping[str, object]) -> Self | None:
        """Read the extra of a connection.

        :param extra: its extra; every value may also come as text, as older forms store it.
        :return: the settings; None if it accepts no webhooks.
        :raises InvalidSettingsError: naming the extra, and what it may be.
        """
        secret = extra.get("webhook_secret")
        if secret in (None, ""):
            return None
        if not isinstance(secret, str) or len(secret) < MIN_SECRET_LENGTH or "/" in secret:
            raise InvalidSettingsError(
                f"webhook_secret must be text of {MIN_SECRET_LENGTH} characters or more, without '/'"
            )
        tolerance = _number(extra, "webhook_tolerance_seconds", TOLERANCE_SECONDS, MAX_TOLERANCE_SECONDS)
        hints = _number(extra, "webhook_hints_per_minute", HINTS_PER_MINUTE, MAX_HINTS_PER_MINUTE)
        if not hints.is_integer():
            raise InvalidSettingsError("webhook_hints_per_minute must be a whole number")
        return cls(secret, str(extra.get("webhook_email") or "").strip() or None, tolerance, int(hints))


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
