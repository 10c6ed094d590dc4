"""Pass hints on to the pollers of the triggerers: through Redis, or with a file on this host."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_trackingmore.client.hint_file import HintFile
from airflow_provider_trackingmore.client.hint_stream import HintWriter, ShipmentHint
from airflow_provider_trackingmore.client.settings import PACING_CHOICES


class HintChannels:
    """The ways from one process of the API server to the pollers of each account. Its methods block."""

    def __init__(self) -> None:
        self._writers: dict[tuple[str, str], HintWriter] = {}

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
        place = pacing, account
        if place not in self._writers:
            self._writers[place] = HintWriter(*place)
        return self._writers[place].write(hints)
