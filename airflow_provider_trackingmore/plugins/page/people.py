"""Remove people from carriers' texts, which sometimes name who signed for a parcel."""

from __future__ import annotations

import re

from airflow_provider_trackingmore.api.models import Tracking

REMOVED = "…"
SHORTEST_NAME = 3
"""Characters. Shorter parts of a name are not removed where they stand alone."""

_SIGNED = re.compile(
    r"(?P<before>\bsigned\s+(?:for\s+)?by\b|\bsignature\b\s*:|\bsignatory\b|\bsigned\s*:|\breceived\s+by\s*:|签收人|本人签收)"
    r"\W*\w.*",
    re.IGNORECASE | re.DOTALL,
)
_EMAIL = re.compile(r"[^\s@<>()]+@[^\s@<>()]+\.[^\s@<>()]+")
_PHONE = re.compile(r"(?:\+|\b00)[0-9][0-9 ()/.-]{6,}[0-9]")


class PeopleRemover:
    """Removes people from the texts of one shipment: the known ones, and what looks like a signature or a contact.

    :param tracking: the shipment, whose customer and signatory are the known ones.
    """

    def __init__(self, tracking: Tracking) -> None:
        known = [tracking.customer_name, tracking.signed_by, tracking.customer_phone, *tracking.customer_emails]
        names = [name.strip() for name in known if name and len(name.strip()) >= SHORTEST_NAME]
        parts = [
            part
            for name in (tracking.customer_name, tracking.signed_by)
            for part in re.split(r"[\s,.]+", name or "")
            if len(part) >= SHORTEST_NAME
        ]
        longest_first = sorted({*names, *parts}, key=len, reverse=True)
        self._known = (
            re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
            if longest_first
            else None
        )

    def clean(self, text: str) -> str:
        """Return a text without people.

        :param text: a carrier's text.
        :return: the text, with ``…`` in place of people.
        """
        cleaned = _SIGNED.sub(rf"\g<before> {REMOVED}", text)
        cleaned = _PHONE.sub(REMOVED, _EMAIL.sub(REMOVED, cleaned))
        return self._known.sub(REMOVED, cleaned) if self._known is not None else cleaned
