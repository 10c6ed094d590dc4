"""Pass hints on to the pollers of the triggerers: through Redis, or through a file on this host."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.hint_file import HintFile
from airflow_provider_trackingmore.client.hint_stream import HintWriter, ShipmentHint
from airflow_provider_trackingmore.client.settings import PACING_CHOICES

log = logging.getLogger(__name__)


class HintChannels:
    """The channels from one process of the API server to the pollers of each account. Its methods block."""

    def __init__(self) -> None:
        self._writers: dict[tuple[str, str], HintWriter | None] = {}

    def send(self, pacing: str, account: str, hints: Iterable[ShipmentHint]) -> bool:
        """Send the hints of one account to its pollers.

        :param pacing: where the rate limit of the account is kept.
        :param account: its fingerprint.
        :param hints: the hints.
        :return: whether pollers check the shipments. Otherwise, waits must be woken in another way.
        """
        if pacing in PACING_CHOICES:
            if pacing == "file":
                HintFile(account).add(hint.key for hint in hints)  # it wakes watchers
            return False
        if (pacing, account) not in self._writers:
            self._writers[pacing, account] = _open_writer(pacing, account)
        writer = self._writers[pacing, account]
        return writer is not None and writer.write(hints)


def _open_writer(url: str, account: str) -> HintWriter | None:
    """Open the stream of an account; None if this process cannot use Redis."""
    try:
        return HintWriter(url, account)
    except InvalidSettingsError as error:
        log.warning("Webhooks of account %s wake tasks only, no triggerer: %s", account, error)
        return None
