"""The rounds of one watcher: wait for lists, commit the previous round, compare, store the changes and report them.

The changes of a round and the state after them are stored before the changes are reported. The round is committed once
Airflow has had time to store the events, which is at the next round. A watcher that restarts before that reports the
changes again. So no change is lost, and one that is reported twice has the same ``id``.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.events.changes import ShipmentChange, event_payload
from airflow_provider_trackingmore.events.rounds import Reporting, Round, compare
from airflow_provider_trackingmore.events.watch_state import WatchState, WatchStateError
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.loading.window import LoadWindow, plan_window
from airflow_provider_trackingmore.triggers.change_store import ChangeStore, StateMovedError
from airflow_provider_trackingmore.waiting.cooperative import run_off_loop
from airflow_provider_trackingmore.waiting.failures import back_off
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription, ListUpdate
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.pollers import Pollers
from airflow_provider_trackingmore.waiting.registry import Subscription
from airflow_provider_trackingmore.waiting.sender import Sender

log = logging.getLogger(__name__)

STORE_SECONDS = 30.0
"""How long Airflow has to store the events of a round before the round is committed ..."""
STORE_SECONDS_PER_EVENT = 1.0
"""... and how much longer for each of them."""

STANDBY_INTERVALS = 1.5
"""A watcher that also runs elsewhere stands by until nothing was stored for this many intervals."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watcher watches, and how.

    :param name: its name.
    :param filters: the filters of the lists.
    :param poke_interval: maximum seconds between two rounds.
    :param reconcile_seconds: maximum seconds between two rounds that do not rely on the list of changes.
    :param max_changes_per_event: the maximum number of changes in an event.
    :param reporting: which changes to report.
    :param conn_id: the Airflow connection, for the status report; empty if there is none.
    """

    name: str
    filters: Mapping[str, object]
    poke_interval: float
    reconcile_seconds: float
    max_changes_per_event: int
    reporting: Reporting
    conn_id: str = ""


_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()


def watcher_lock(key: str) -> asyncio.Lock:
    """Return the lock of a watcher in the running event loop.

    If two DAG files define the same watcher, Airflow runs two triggers. In one triggerer, only one of them works.

    :param key: identifies the watcher.
    """
    return _locks.setdefault(asyncio.get_running_loop(), {}).setdefault(key, asyncio.Lock())


class _StoreError(Exception):
    """The state could not be read or written. The round is retried."""


class ChangeFeed:
    """The changes of one watcher. It logs errors and retries, and never ends by itself.

    :param options: what to watch.
    :param store: keeps the state.
    :param connect: reads the connection and returns a client for it.
    :param pollers: the pollers to share calls with.
    :param observer: receives metrics.
    :param clock: Unix seconds.
    :param rng: for the jitter of back-offs; None for a new generator.
    :param lock: held while it works, so that only one of several watchers with the same lock does.
    """

    def __init__(
        self,
        options: WatchOptions,
        store: ChangeStore,
        connect: Callable[[], Awaitable[Sender]],
        pollers: Pollers,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        lock: asyncio.Lock | None = None,
    ) -> None:
        self._options = options
        self._store = store
        self._connect = connect
        self._pollers = pollers
        self._observer = observer or Observer()
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  # spreads retries, protects nothing
        self._lock = lock
        self._has_lock = False
        self._is_loaded = False
        self._state: WatchState | None = None
        self._uncommitted: Sequence[ShipmentChange] = ()
        self._must_commit = False
        self._must_flush = False
        self._stored_by = 0.0
        self._poller: Poller | None = None
        self._lists: ListSubscription | None = None
        self._unlisted: Subscription | None = None
        self._update: ListUpdate | None = None
        self._by_number: dict[ShipmentKey, Observation] = {}
        self._stands_by = False
        self._has_failed = False
        self._failures = 0
        self._problem = ""

    async def next_payloads(self) -> list[dict[str, object]]:
        """Wait until there are changes. Calling it again confirms that Airflow has received the previous payloads.

        A round of several events is followed by an event without changes: Airflow may start a run for the first events
        of a burst, and leave the others to the run that the next event starts.

        :return: the payloads of the events of one round.
        """
        if self._must_flush:
            await self._sleep_until_stored()
            self._must_flush = False
            return self._report([event_payload([])])
        while True:
            try:
                changes = await self._next_round()
            except Exception as error:
                await self._recover(error)
                continue
            self._succeeded()
            if changes:
                size = self._options.max_changes_per_event
                payloads = [
                    event_payload(list(changes[begin : begin + size])) for begin in range(0, len(changes), size)
                ]
                self._must_flush = len(payloads) > 1
                self._observer.count("changes.reported", len(changes))
                log.info("Watcher %s: %d changes in %d events", self._options.name, len(changes), len(payloads))
                return self._report(payloads)

    def _report(self, payloads: list[dict[str, object]]) -> list[dict[str, object]]:
        seconds = STORE_SECONDS + STORE_SECONDS_PER_EVENT * len(payloads)
        self._stored_by = asyncio.get_running_loop().time() + seconds
        return payloads

    async def _sleep_until_stored(self) -> None:
        await asyncio.sleep(max(self._stored_by - asyncio.get_running_loop().time(), 0.0))

    def close(self) -> None:
        """Unsubscribe, and let another watcher with the same lock take over."""
        self._unsubscribe()
        if self._lock is not None and self._has_lock:
            self._lock.release()
            self._has_lock = False

    def _unsubscribe(self) -> None:
        for subscription in (self._unlisted, self._lists):
            if subscription is not None:
                subscription.close()
        self._poller = self._lists = self._unlisted = self._update = None
        self._by_number = {}

    async def _next_round(self) -> Sequence[ShipmentChange]:
        """Make a round: store the changes and the state after them, and return the changes to report."""
        if self._lock is not None and not self._has_lock:
            if self._lock.locked():
                log.warning(
                    "Watcher %s runs twice, so this one waits: define an asset and its watcher in a single DAG file",
                    self._options.name,
                )
            await self._lock.acquire()
            self._has_lock = True
        if not self._is_loaded:
            await self._load()
        if self._uncommitted:
            changes, self._uncommitted = self._uncommitted, []
            return changes
        if self._lists is None:
            await self._subscribe()
        assert self._lists is not None  # noqa: S101
        if self._update is None:
            self._update = await self._lists.next_update()
        await self._sleep_until_stored()
        await self._commit()
        if self._unlisted is not None:
            self._by_number.update(await self._unlisted.updates(0.0) or {})
        update, window = self._update, self._lists.window
        self._by_number.update(update.by_number)
        now = datetime.fromtimestamp(self._clock(), UTC)
        result = await run_off_loop(
            len(update.listed) + len(update.changed),
            lambda: compare(self._state, update, self._by_number, window, self._options.reporting, now),
        )
        if result.unlisted is not None:
            await self._check_by_number(result.unlisted)
        if result.changes or self._differs(result.state):
            await self._save(result)
        # Nothing may fail between here and the yield of the events.
        self._update, self._by_number = None, {}
        self._lists.window = self._window(self._state)
        return result.changes

    def _differs(self, state: WatchState) -> bool:
        """Tell whether a state differs from the stored one in more than the number of the round."""
        known = self._state
        return known is None or state != replace(known, round=state.round)

    # The state -------------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        try:
            if self._stands_by and await self._store.has_moved():
                raise StateMovedError
            state, changes = await self._store.load()
        except (StateMovedError, WatchStateError):
            raise
        except Exception as error:
            raise _StoreError("read") from error
        if state is not None and state.scope != self._options.reporting.scope:
            log.warning("The filters of watcher %s have changed, so it starts over", self._options.name)
            state = None
        self._state, self._uncommitted, self._is_loaded, self._stands_by = state, changes, True, False
        self._must_commit = bool(changes)

    async def _save(self, result: Round) -> None:
        try:
            await self._store.save(result.state, result.changes)
        except StateMovedError:
            raise
        except Exception as error:
            raise _StoreError("written") from error
        self._state, self._must_commit = result.state, bool(result.changes)

    async def _commit(self) -> None:
        """Commit the previous round, whose events Airflow has stored by now."""
        if not self._must_commit:
            return
        try:
            await self._store.commit()
        except StateMovedError:
            raise
        except Exception as error:
            raise _StoreError("written") from error
        self._must_commit = False

    # The poller ------------------------------------------------------------------------------------------------------

    async def _subscribe(self) -> None:
        sender = await self._connect()
        if self._has_failed:  # check first whether calls succeed again, before joining the others
            try:
                await sender.send_async(endpoints.list_page(limit=1), max_attempts=1)
            except BaseException:
                sender.close()
                raise
            self._has_failed = False
        self._poller = self._pollers.get(sender)
        if self._options.conn_id:
            self._pollers.activity(sender.account).conn_ids.add(self._options.conn_id)
        self._lists = self._poller.subscribe_to_lists(
            self._options.filters,
            self._window(self._state),
            poke_interval=self._options.poke_interval,
            reconcile_seconds=self._options.reconcile_seconds,
        )
        self._lists.find_known = self._find_known

    def _find_known(self, key: ShipmentKey) -> ShipmentKey | None:
        seen = None if self._state is None else self._state.shipments.get(key)
        return None if seen is None else seen.key

    def _window(self, state: WatchState | None) -> LoadWindow:
        return plan_window(LoadState() if state is None else state.load_state, full_refresh=False)

    async def _check_by_number(self, keys: Sequence[ShipmentKey]) -> None:
        """Check by number the shipments that the list of everything has left out."""
        old = self._unlisted
        shipments = {key.normalized: key for key in keys}
        if set(old.shipments if old is not None else ()) == set(shipments):
            return
        self._unlisted = None
        if shipments and self._poller is not None:
            self._unlisted = await self._poller.subscribe(
                shipments,
                poke_interval=self._options.reconcile_seconds,
                reconcile_seconds=self._options.reconcile_seconds,
                first_check_in=0.0,
                is_wait=False,
            )
        if old is not None:
            old.close()

    # Problems --------------------------------------------------------------------------------------------------------

    async def _recover(self, error: Exception) -> None:
        """Log the error, unless it is the same as before, and wait before the next attempt."""
        self._failures += 1
        pause = back_off(self._failures, self._rng, at_least=getattr(error, "retry_after", None))
        self._observer.gauge("changes.failed_rounds", self._failures)
        if isinstance(error, _StoreError) and isinstance(error.__cause__, ValueError):
            # Airflow cannot tell for which of the assets.
            self._log_problem(
                "it watches several assets, so its state cannot be stored: give each asset its own watcher", pause
            )
        elif isinstance(error, _StoreError):
            self._log_problem(f"its state cannot be {error}: {type(error.__cause__).__name__}", pause, error.__cause__)
        elif isinstance(error, StateMovedError):
            pause = STANDBY_INTERVALS * max(self._options.poke_interval, STORE_SECONDS)
            log.info(
                "Watcher %s also runs elsewhere: this one stands by, for at least %.0f s", self._options.name, pause
            )
            self._is_loaded, self._stands_by = False, True
            self._unsubscribe()
        elif isinstance(error, TrackingMoreError):
            self._log_problem(str(error), pause)
            self._has_failed = True
            self._unsubscribe()
        else:
            self._log_problem(f"{type(error).__name__} in a round", pause, error)
            self._unsubscribe()
        await asyncio.sleep(pause)

    def _log_problem(self, problem: str, pause: float, cause: BaseException | None = None) -> None:
        level = logging.DEBUG if problem == self._problem else logging.ERROR
        self._problem = problem
        log.log(
            level,
            "Watcher %s: %s. Retrying in %.0f s, then less often",
            self._options.name,
            problem,
            pause,
            exc_info=cause,
        )

    def _succeeded(self) -> None:
        if self._failures:
            log.info("Watcher %s has recovered after %d failures", self._options.name, self._failures)
            self._observer.gauge("changes.failed_rounds", 0)
        self._failures, self._problem = 0, ""
