"""The forms of a webhook: where the signature is, and what is signed (reference 5)."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from .switches import SwitchPositions


class WebhookForm:
    """The form of webhooks that the switches select.

    :param switches: the switches.
    """

    def __init__(self, switches: SwitchPositions) -> None:
        self._is_v3 = switches["webhook_form"] == "v3"
        self._is_text = switches["webhook_time"] == "text"
        self._around = ("push=", "\r\n") if switches["webhook_wrapping"] == "text" else ("", "")

    def content(self, meta: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Build the content without its signature.

        :param meta: the ``meta`` of v2.
        :param data: the item of v2.
        :return: the content.
        """
        if not self._is_v3:
            return {"meta": meta, "data": data}
        renamed = {"courier_code" if name == "carrier_code" else name: value for name, value in data.items()}
        return {"data": renamed}

    def sign(self, content: dict[str, Any], email: str, now: float) -> dict[str, Any]:
        """Sign the time. The rest of the content is not signed.

        :param content: the content; an earlier signature is replaced.
        :param email: the key.
        :param now: Unix seconds.
        :return: the signed content.
        """
        time = int(now)
        signature = hmac.new(email.encode(), str(time).encode(), hashlib.sha256).hexdigest()
        shown = str(time) if self._is_text else time
        if self._is_v3:
            return content | {"timestamp": shown, "signature": signature}
        return content | {"verifyInfo": {"timeStr": shown, "signature": signature}}

    def encode(self, content: dict[str, Any]) -> str:
        """Encode the content.

        :param content: the content.
        :return: JSON, perhaps with text around it.
        """
        before, after = self._around
        return before + json.dumps(content, separators=(",", ":")) + after
