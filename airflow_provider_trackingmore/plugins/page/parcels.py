"""Read parcels for the page: 40 per call, at most one call a minute per account, cached for a minute."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.errors import RateLimitLockedError, TrackingMoreError
from airflow_provider_trackingmore.api.lookups import filter_chunks
from airflow_provider_trackingmore.api.models import Checkpoint, ShipmentKey, Tracking
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.rate_limit.clock import RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.rate_limit.stores import open_store
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.hooks.hints import AIRFLOW_HINTS
from airflow_provider_trackingmore.links import tracking_url
from airflow_provider_trackingmore.metrics import METRICS
from airflow_provider_trackingmore.plugins.page.people import PeopleRemover

log = logging.getLogger(__name__)

PARCELS = 40
"""The number of parcels per call."""
INTERVAL_SECONDS = 60.0
"""The minimum time between two calls of the page for one account, by all processes that share its rate limit."""
KEPT_SECONDS = 3_600.0
"""How long cached parcels are shown while they cannot be read again."""
KEPT_READINGS = 300
MAX_WAIT_SECONDS = 5.0
"""How long a call may wait for the rate limit: other calls have priority."""
TIMEOUT_SECONDS = 10.0
LOCK_SECONDS = 1.0
MAX_THREADS = 4
MAX_CHECKPOINTS = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """What the page knows about some parcels.

    :param source: ``"api"``, ``"cache"``, or ``"not_due"`` if the account's next call is not due yet.
    :param parcels: normalized shipment -> the parcel as JSON. Those that are missing have not been read, or are not
        registered.
    :param read_at: Unix seconds; None if they have never been read.
    :param next_read_at: Unix seconds of the next possible call.
    :param error: why they could not be read, and what to do about it; None if they could.
    """

    source: str
    parcels: dict[ShipmentKey, dict[str, object]] = field(default_factory=dict)
    read_at: float | None = None
    next_read_at: float | None = None
    error: dict[str, str] | None = None


class ParcelReader:
    """Reads parcels for one process of the API server, in its own threads: all of Airflow shares the default ones.

    :param read_settings: returns the settings of a connection; None if it cannot be used. It may block.
    :param with_texts: whether the carriers' event texts are shown.
    :param clock: Unix seconds.
    """

    def __init__(
        self,
        read_settings: Callable[[str], ClientSettings | None],
        *,
        with_texts: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._read_settings = read_settings
        self._with_texts = with_texts
        self._clock = clock
        self._kept: OrderedDict[tuple[str, tuple[ShipmentKey, ...]], Reading] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(MAX_THREADS, "trackingmore-page")

    async def read(self, conn_id: str, keys: Sequence[ShipmentKey]) -> Reading:
        """Read parcels with ``GET /trackings/get``, or from the cache if they were read less than a minute ago.

        :param conn_id: the connection.
        :param keys: the parcels, at most 40.
        :return: the parcels, as far as they are known.
        """
        run = asyncio.get_running_loop().run_in_executor
        settings = await run(self._threads, self._read_settings, conn_id)
        if settings is None:
            message = f"The connection {conn_id} is missing, or it cannot be used."
            return Reading("cache", error={"message": message, "hint": f"Run: airflow connections test {conn_id}"})
        # A request for the same parcels waits for the call that is under way.
        async with self._locks.setdefault(settings.fingerprint, asyncio.Lock()):
            return await run(self._threads, self._read, settings, tuple(keys))

    def _read(self, settings: ClientSettings, keys: tuple[ShipmentKey, ...]) -> Reading:
        name = settings.fingerprint, keys
        now = self._clock()
        kept = self._kept.get(name, Reading("cache"))
        age = None if kept.read_at is None else now - kept.read_at
        if age is not None and 0 <= age < INTERVAL_SECONDS:
            return replace(kept, source="cache", next_read_at=now - age + INTERVAL_SECONDS)
        if age is not None and not 0 <= age < KEPT_SECONDS:
            kept = Reading("cache")
        busy = self._acquire(settings)
        if busy is not None:
            return replace(kept, source="not_due", next_read_at=now + busy)
        reading = self._call(settings, keys, kept)
        self._kept[name] = reading
        self._kept.move_to_end(name)
        while len(self._kept) > KEPT_READINGS:
            self._kept.popitem(last=False)
        return reading

    def _acquire(self, settings: ClientSettings) -> float | None:
        """Acquire the page's slot for the account, which is kept beside the account's rate limit.

        :return: None if it was acquired, else the seconds until it is free.
        """
        store = open_store(settings.pacing, f"{settings.fingerprint}-page", interval=INTERVAL_SECONDS)
        limiter = RateLimiter(store, interval=INTERVAL_SECONDS, clock=self._clock)
        try:
            slot = limiter.try_acquire(warm=True, timeout=LOCK_SECONDS)
        except RateLimitLockedError:
            return LOCK_SECONDS
        return slot.seconds if isinstance(slot, SlotBusy) else None

    def _call(self, settings: ClientSettings, keys: Sequence[ShipmentKey], kept: Reading) -> Reading:
        once = replace(settings, max_attempts=1, timeout_seconds=min(settings.timeout_seconds, TIMEOUT_SECONDS))
        listable = dict.fromkeys(key.tracking_number for key in keys if "," not in key.tracking_number)
        numbers = filter_chunks(list(listable))[:1]
        try:
            if not numbers:
                return Reading("api", read_at=self._clock())
            with TrackingMoreClient(once, observer=METRICS, hint_texts=AIRFLOW_HINTS, component="API server") as client:
                page = client.send(endpoints.list_page({"numbers": numbers[0]}), max_wait_seconds=MAX_WAIT_SECONDS)
        except TrackingMoreError as error:
            log.info("The page cannot read parcels of account %s: %s", settings.fingerprint, error)
            detail = {"message": error.message, "hint": error.hint_text}
            return replace(kept, source="api", error=detail, next_read_at=self._clock() + INTERVAL_SECONDS)
        now = self._clock()
        wanted = {key.normalized for key in keys}
        parcels = {
            tracking.key.normalized: parcel_to_json(
                tracking, with_link=settings.is_vendor_host, with_texts=self._with_texts
            )
            for tracking in page.items
            if tracking.key.normalized in wanted
        }
        return Reading("api", parcels, now, now + INTERVAL_SECONDS)


def parcel_to_json(tracking: Tracking, *, with_link: bool, with_texts: bool) -> dict[str, object]:
    """Return a parcel as the page shows it: status, times and checkpoints.

    :param tracking: the parcel.
    :param with_link: whether to link to TrackingMore's public page of the parcel.
    :param with_texts: whether to include the carriers' event texts, from which people are removed as far as possible.
    :return: ``status``, ``substatus``, ``delivered_at``, ``last_update``, ``tracking_url`` and ``checkpoints``.
    """
    people = PeopleRemover(tracking)

    def checkpoint_to_json(checkpoint: Checkpoint) -> dict[str, object]:
        return {
            "time": checkpoint.time,
            "place": people.clean(checkpoint.place),
            "text": people.clean(checkpoint.description) if with_texts else "",
            "status": checkpoint.status_text or None,
        }

    return {
        "status": tracking.status_text or tracking.status.value,
        "substatus": tracking.substatus,
        "delivered_at": tracking.delivered_at,
        "last_update": tracking.last_update,
        "tracking_url": tracking_url(tracking.key) if with_link else None,
        "checkpoints": [checkpoint_to_json(checkpoint) for checkpoint in tracking.checkpoints[:MAX_CHECKPOINTS]],
    }


NOT_READ: dict[str, object] = {
    "status": None,
    "substatus": None,
    "delivered_at": None,
    "last_update": None,
    "tracking_url": None,
    "checkpoints": [],
}
"""A parcel that has not been read, or is not registered."""
