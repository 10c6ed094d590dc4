"""``read_webhook``: verify a webhook of TrackingMore, and read which shipment it names.

TrackingMore signs only the time of a webhook, with a key that is not secret: the e-mail address of the account. So a
webhook proves nothing about the shipment. It is a hint to request the shipment from the API.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_trackingmore.api.errors import Hint, InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.api.json_values import parse_object, parse_text
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.validation import check_carrier_code, check_tracking_number

TOLERANCE_SECONDS = 300.0
"""By default, a webhook whose time differs from the clock by more than this is stale."""
_UNIX_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)


class WebhookError(TrackingMoreError):
    """A webhook cannot be read: it does not have the form of TrackingMore's API v2 or v3."""


class WebhookSignatureError(WebhookError):
    """The signature of a webhook is invalid, or there is no key to verify it."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook with a valid signature. Request the shipment from the API before you act on it.

    :param key: the shipment that it names. The signature does not cover it.
    :param sent_at: Unix seconds at which TrackingMore signed it.
    :param stale: whether that is too long ago, or in the future. The webhook may be a retry or a replay.
    """

    key: ShipmentKey
    sent_at: float
    stale: bool


def read_webhook(
    body: bytes | str, *, account_email: str | None, now: float, tolerance_seconds: float = TOLERANCE_SECONDS
) -> Webhook:
    """Verify a webhook, and read which shipment it names.

    :param body: the body of the request. Limit its size before you call this.
    :param account_email: the e-mail address of your TrackingMore login, which is the key of the signature.
    :param now: Unix seconds.
    :param tolerance_seconds: how much the time of the webhook may differ from ``now``, in seconds, before it is stale.
    :return: the shipment, when the webhook was sent, and whether it is stale.
    :raises WebhookSignatureError: if the signature is invalid, or ``account_email`` is empty.
    :raises WebhookError: if the body does not have a known form.
    """
    content = _decode(body)
    time_text, signature = _signed_time(content)
    _verify(time_text, signature, account_email)
    sent_at = float(time_text)
    return Webhook(_shipment(content), sent_at, stale=not abs(now - sent_at) <= tolerance_seconds)


def _decode(body: bytes | str) -> Mapping[str, object]:
    """Decode the JSON object. The vendor's own code tolerates text around it (reference 5)."""
    try:
        text = body if isinstance(body, str) else body.decode()
        content = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except (ValueError, RecursionError):
        raise _unknown_form("it contains no JSON object") from None
    return parse_object(content)


def _signed_time(content: Mapping[str, object]) -> tuple[str, str]:
    """Return the time exactly as it was signed, and the signature, from ``verifyInfo`` (v2) or beside ``data`` (v3)."""
    if "verifyInfo" in content:
        verify_info = parse_object(content["verifyInfo"])
        time, signature = verify_info.get("timeStr"), verify_info.get("signature")
    else:
        time, signature = content.get("timestamp"), content.get("signature")
    time_text = str(time) if isinstance(time, int) and not isinstance(time, bool) else time
    if not isinstance(time_text, str) or not _UNIX_SECONDS.fullmatch(time_text):
        raise _unknown_form("it has no time in Unix seconds")
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise _unknown_form("it has no signature of 64 hexadecimal digits")
    return time_text, signature


def _verify(time_text: str, signature: str, account_email: str | None) -> None:
    key = (account_email or "").strip()
    if not key:
        raise WebhookSignatureError(
            "The webhook cannot be verified without the e-mail address of the account", hint=Hint.SET_WEBHOOK_EMAIL
        )
    expected = hmac.new(key.encode(errors="surrogatepass"), time_text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise WebhookSignatureError("The signature of the webhook is wrong", hint=Hint.SET_WEBHOOK_EMAIL)


def _shipment(content: Mapping[str, object]) -> ShipmentKey:
    """Return the shipment. In v3, ``carrier_code`` is ``courier_code``, though not everywhere in its documentation."""
    data = parse_object(content.get("data"))
    carrier_code = parse_text(data.get("carrier_code")) or parse_text(data.get("courier_code"))
    try:
        return ShipmentKey(
            check_carrier_code(carrier_code), check_tracking_number(parse_text(data.get("tracking_number")))
        )
    except InvalidArgumentError as error:
        raise _unknown_form(error.message) from None


def _unknown_form(reason: str) -> WebhookError:
    return WebhookError(f"This is not a webhook of TrackingMore's API v2 ({reason})", hint=Hint.SET_WEBHOOK_VERSION)
