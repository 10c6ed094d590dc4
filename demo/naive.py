"""Tracking as it is usually written: each parcel is registered and then polled individually until it is final.

It runs next to the DAG against a separate account, with the same parcels and the same poll interval, so that the report
can compare the numbers of calls. It deliberately uses nothing from the package.
"""

from __future__ import annotations

import threading
import time
from urllib.parse import quote

import requests

FINAL = frozenset({"delivered", "exception", "expired"})


def trackable(parcel: dict[str, str]) -> dict[str, str]:
    """Select the fields that tracking needs.

    :param parcel: a row of the orders file.
    :return: ``carrier_code`` and ``tracking_number``.
    """
    return {name: parcel[name] for name in ("carrier_code", "tracking_number")}


class NaivePoller(threading.Thread):
    """Registers each parcel, then polls each parcel that is not final yet, in rounds.

    :param base_url: of the API, with its version.
    :param api_key: of the account.
    :param parcels: mappings with ``carrier_code`` and ``tracking_number``.
    :param poll_interval: seconds between two polls of the same parcel.
    :param timeout: seconds after which it stops.
    """

    def __init__(
        self, base_url: str, api_key: str, parcels: list[dict[str, str]], poll_interval: float, timeout: float
    ) -> None:
        super().__init__(name="naive poller", daemon=True)
        self.base_url = base_url
        self.parcels = [trackable(parcel) for parcel in parcels]
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.error: str | None = None
        self._stopped = threading.Event()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Trackingmore-Api-Key"] = api_key

    def run(self) -> None:
        """Poll until every parcel is final, the timeout has passed, or :meth:`stop` is called."""
        try:
            self._poll()
        except (requests.RequestException, ValueError, KeyError) as error:
            self.error = type(error).__name__

    def stop(self) -> None:
        """Stop polling."""
        self._stopped.set()
        self.join(10)

    def _poll(self) -> None:
        waiting = [parcel for parcel in self.parcels if self._call("POST", "/trackings/post", parcel)[0] in (200, 201)]
        deadline = time.monotonic() + self.timeout
        while waiting and time.monotonic() < deadline:
            next_round = time.monotonic() + self.poll_interval
            waiting = [parcel for parcel in waiting if not self._is_final(parcel)]
            if self._stopped.wait(max(0.0, next_round - time.monotonic())):
                return

    def _is_final(self, parcel: dict[str, str]) -> bool:
        path = "/".join(quote(parcel[name], safe="") for name in ("carrier_code", "tracking_number"))
        code, data = self._call("GET", f"/trackings/{path}")
        return code == 200 and data["status"] in FINAL

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
        if self._stopped.is_set():
            return 0, {}
        response = self._session.request(method, self.base_url + path, json=body, timeout=30).json()
        return response["meta"]["code"], response["data"]
