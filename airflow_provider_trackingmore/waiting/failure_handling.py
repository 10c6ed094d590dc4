"""Handle failed calls: retry the affected shipments, pause the account, or end its waits with an error."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.waiting.failures import Scope, back_off, scope_of
from airflow_provider_trackingmore.waiting.retries import FailedGroup
from airflow_provider_trackingmore.waiting.state import PollerState

log = logging.getLogger(__name__)

LOGGED_SHIPMENTS = 3
"""How many shipments of a failed call a log line names."""


class FailureHandler:
    """Handles the failed calls of one poller.

    :param state: the state of the poller.
    :param account: the fingerprint of its key, for the log.
    :param clock: event loop time in seconds.
    :param observer: receives metrics.
    """

    def __init__(self, state: PollerState, account: str, clock: Callable[[], float], observer: Observer) -> None:
        self._state = state
        self._account = account
        self._clock = clock
        self._observer = observer

    def call_succeeded(self) -> None:
        """Record that a call has succeeded."""
        if self._state.health.failures:
            self._observer.gauge("waits.failed_polls", 0)
        self._state.health.record_success()

    def group_failed(self, group: FailedGroup, error: TrackingMoreError, *, by_path: bool = False) -> None:
        """Handle the failure of a call that names shipments. Only these are affected, unless several calls fail alike.

        :param group: the shipments.
        :param error: how the call failed.
        :param by_path: whether the call was for a single shipment, named by its path.
        """
        now = self._clock()
        retries = self._state.retries
        match scope_of(error, names_one=by_path):
            case Scope.RATE_LIMIT:
                if any(isinstance(shipment.hold, FailedGroup) for shipment in group.shipments):
                    retries.add(group, now)
                self._state.health.cool_down(error, now)
            case Scope.ACCOUNT:
                retries.add(group, now)
                self._account_refused(error)
            case Scope.SHIPMENT if len(group.shipments) == 1:
                retries.add_unconfirmed(group.shipments[0])
            case Scope.SHIPMENT:
                for half in group.split(now):
                    retries.add(half, now)
            case _:
                self._retry_group(group, error, now)

    def _retry_group(self, group: FailedGroup, error: TrackingMoreError, now: float) -> None:
        retries = self._state.retries
        for shipment in group.shipments:
            retries.discard_unconfirmed(shipment)
        failures = group.failures if len(group.shipments) == 1 else 1
        pause = back_off(failures, self._state.rng, at_least=error.retry_after)
        if self._state.health.is_service_down(error):
            retries.add(group, now + self._back_off(error))
            return
        level = logging.WARNING if group.failures.bit_count() == 1 else logging.DEBUG  # the 1st, 2nd, 4th, 8th ...
        keys = format_list([shipment.key for shipment in group.shipments], limit=LOGGED_SHIPMENTS)
        count = len(group.shipments)
        log.log(level, "Check of %d shipments failed, retrying in %.0f s: %s (%s)", count, pause, error, keys)
        for half in group.split(now + pause):
            retries.add(half, now + pause)

    def list_failed(self, error: TrackingMoreError) -> bool:
        """Handle the failure of a call that names no shipments: the account backs off.

        :param error: how the call failed.
        :return: whether the vendor refuses this kind of call, so that another kind must be used.
        """
        scope = scope_of(error, names_one=False)
        if scope is Scope.RATE_LIMIT:
            self._state.health.cool_down(error, self._clock())
            return False
        if scope is Scope.ACCOUNT:
            self._account_refused(error)
            return False
        self._back_off(error)
        return scope is Scope.SHIPMENT or self._state.health.failures > 1

    def fail_all(self, error: TrackingMoreError) -> None:
        """End all subscriptions of the account with an error.

        :param error: why they end.
        """
        registry = self._state.registry
        for subscription in (*registry.subscriptions, *registry.list_subscriptions):
            subscription.fail(error)

    def _account_refused(self, error: TrackingMoreError) -> None:
        now = self._clock()
        if self._state.health.is_final_refusal(error, now):
            self.fail_all(error)
            return
        pause = self._state.health.paused_until - now
        log.warning("TrackingMore refused account %s, retrying once in %.0f s: %s", self._account, pause, error)

    def _back_off(self, error: TrackingMoreError) -> float:
        health = self._state.health
        pause = health.back_off(error, self._clock())
        if health.failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ... in a row
            log.warning(
                "Poll failed %d times in a row, retrying in %.0f s (%d waits of account %s continue): %s",
                health.failures,
                pause,
                len(self._state.registry.subscriptions),
                self._account,
                error,
            )
        self._observer.gauge("waits.failed_polls", health.failures)
        return pause
