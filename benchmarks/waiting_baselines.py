"""Waiting as it is written today, with plain requests and without the package.

Both keep the pace as users do: a second of sleep after each call, 120 s after a 429.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import requests

from benchmarks.waiting_plan import NUMBERS_IN_A_CALL, POKE_SECONDS, Parcel

COOL_DOWN_SECONDS = 120.0


@dataclass
class BaselineResult:
    """What a baseline did. Times are readings of the monotonic clock.

    :param released: when the wait for each parcel ended; parcels that are missing were still waited for at the end.
    :param first_pass_calls: calls until everything had been checked once.
    :param failed: why the whole task failed; empty if it did not.
    """

    released: dict[Parcel, float] = field(default_factory=dict)
    first_pass_calls: int = 0
    failed: str = ""


@dataclass
class Api:
    """The vendor, called as users call it.

    :param url: the base URL.
    :param key: the API key.
    :param scale: clock seconds in a real second.
    :param until: reading of the monotonic clock at which whoever calls is ended.
    """

    url: str
    key: str
    scale: float
    until: float

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Trackingmore-Api-Key"] = self.key
        self.calls = 0

    def statuses(self, path: str) -> dict[str, str]:
        """GET, and sleep as the rate limit requires."""
        while time.monotonic() < self.until:
            self.calls += 1
            answer = self.session.get(self.url + path, timeout=60).json()
            if answer["meta"]["code"] == 429:
                time.sleep(COOL_DOWN_SECONDS / self.scale)
                continue
            time.sleep(1 / self.scale)
            data = answer["data"] or {}
            return {row["tracking_number"]: row["status"] for row in (data.get("items", [data]) if data else [])}
        return {}


def one_by_one(api: Api, parcels: Sequence[Parcel], slots: int = 1) -> BaselineResult:
    """A mapped ``@task.sensor(mode="reschedule")``: one sensor for each parcel, one GET for each check.

    A sensor that has checked is due again a poke interval later; the due ones take turns. What Airflow needs to start a
    task, seconds each, is left out.

    :param api: the vendor.
    :param parcels: those waited for.
    :param slots: how many may run at a time: 1 is a pool made to keep the limit.
    :return: what it did.
    """
    result = BaselineResult()
    due = [(time.monotonic(), at) for at in range(len(parcels))]
    lock = threading.Lock()
    checked: set[int] = set()

    def work(own_api: Api) -> None:
        while time.monotonic() < api.until:
            with lock:
                if len(result.released) == len(parcels):
                    return
                when, at = heapq.heappop(due) if due else (time.monotonic() + 0.01, -1)
            if (wait := when - time.monotonic()) > 0:
                time.sleep(min(wait, max(api.until - time.monotonic(), 0.0)))
            if at < 0:
                continue
            carrier, number = parcels[at]
            status = own_api.statuses(f"/trackings/{carrier}/{number}").get(number)
            with lock:
                checked.add(at)
                if len(checked) == len(parcels):
                    result.first_pass_calls = result.first_pass_calls or sum(worker.calls for worker in workers)
                if status == "delivered":
                    result.released[parcels[at]] = time.monotonic()
                else:
                    heapq.heappush(due, (time.monotonic() + POKE_SECONDS / own_api.scale, at))

    workers = [api, *(Api(api.url, api.key, api.scale, api.until) for _ in range(slots - 1))]
    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return result


def one_batched(api: Api, parcels: Sequence[Parcel], on_bad: str = "raise") -> BaselineResult:
    """One sensor for all parcels: 40 numbers a call, everything is released when everything is delivered.

    :param api: the vendor.
    :param parcels: those waited for.
    :param on_bad: what an exception does: ``raise`` fails the task, ``wait`` keeps waiting.
    :return: what it did.
    """
    result = BaselineResult()
    while (began := time.monotonic()) < api.until:
        found: dict[str, str] = {}
        for at in range(0, len(parcels), NUMBERS_IN_A_CALL):
            numbers = ",".join(number for _, number in parcels[at : at + NUMBERS_IN_A_CALL])
            found |= api.statuses(f"/trackings/get?numbers={numbers}")
        result.first_pass_calls = result.first_pass_calls or api.calls
        if on_bad == "raise" and (bad := [number for number, status in found.items() if status == "exception"]):
            result.failed = f"{bad[0]}: exception"
            break
        if all(found.get(number) == "delivered" for _, number in parcels):
            now = time.monotonic()
            result.released = dict.fromkeys(parcels, now)
            break
        time.sleep(max(0.0, began + POKE_SECONDS / api.scale - time.monotonic()))
    return result
