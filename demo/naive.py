"""Tracking as it is usually written: each parcel registered on its own, each looked at on its own until it is final.

It runs beside the DAG against an account of its own, with the same parcels and the same pause between looks, so that
the report can compare two numbers that were both counted. It imports nothing of the package: that is the point of it.
"""

from __future__ import annotations

import threading
import time

import requests

FINAL = frozenset({"delivered", "exception", "expired"})


def trackable(parcel: dict[str, str]) -> dict[str, str]:
    """Leave out what tracking does not need.

    :param parcel: a row of the orders file.
    :return: ``carrier_code`` and ``tracking_number``.
    """
    return {name: parcel[name] for name in ("carrier_code", "tracking_number")}


class NaivePoller(threading.Thread):
    """Register each parcel, then look at each that is not final, pause, and look again.

    :param base_url: of the API, with its version.
    :param api_key: of the account.
    :param parcels: mappings with ``carrier_code`` and ``tracking_number``.
    :param look_every: seconds between two looks at the same parcel.
    :param give_up_after: seconds after which it stops.
    """

    def __init__(
        self, base_url: str, api_key: str, parcels: list[dict[str, str]], look_every: float, give_up_after: float
    ) -> None:
        super().__init__(name="naive poller", daemon=True)
        self.base_url = base_url
        self.parcels = [trackable(parcel) for parcel in parcels]
        self.look_every = look_every
        self.give_up_after = give_up_after
        self.error: str | None = None
        self._stop_asked = threading.Event()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Trackingmore-Api-Key"] = api_key

    def run(self) -> None:
        """Poll until every parcel is final, the time is up, or :meth:`stop` is called."""
        try:
            self._poll()
        except (requests.RequestException, ValueError, KeyError) as error:
            self.error = type(error).__name__

    def stop(self) -> None:
        """End it."""
        self._stop_asked.set()
        self.join(10)

    def _poll(self) -> None:
        waiting = [parcel for parcel in self.parcels if self._call("POST", "/trackings/post", parcel)[0] in (200, 201)]
        until = time.monotonic() + self.give_up_after
        while waiting and time.monotonic() < until:
            next_look = time.monotonic() + self.look_every
            waiting = [parcel for parcel in waiting if not self._is_final(parcel)]
            if self._stop_asked.wait(max(0.0, next_look - time.monotonic())):
                return

    def _is_final(self, parcel: dict[str, str]) -> bool:
        code, data = self._call("GET", f"/trackings/{parcel['carrier_code']}/{parcel['tracking_number']}")
        return code == 200 and data["status"] in FINAL

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
        if self._stop_asked.is_set():
            return 0, {}
        answer = self._session.request(method, self.base_url + path, json=body, timeout=30).json()
        return answer["meta"]["code"], answer["data"]
