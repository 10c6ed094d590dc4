"""Mistakes that waiting once made (issue numbers A1 to B12), put back one at a time: the oracle must notice each.

``make simulate SEED=.. ARGS="--mutate A1"`` shows one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from airflow_provider_trackingmore.api.errors import AuthenticationError, Retry, TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting import changes, failure_handling, failures, registry, session
from airflow_provider_trackingmore.waiting.failure_handling import FailureHandler
from airflow_provider_trackingmore.waiting.failures import Scope
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.registry import Registry, Subscription, WatchedShipment
from airflow_provider_trackingmore.waiting.retries import FailedGroup, RetryQueue

Patches = Callable[[], "list[Any]"]


@dataclass(frozen=True)
class Mutation:
    """One mistake.

    :param text: what it is.
    :param seed: of a run that shows it.
    :param size: of that run.
    :param themes: what that run must have.
    :param rules: those of the oracle's rules that it may break.
    :param patches: what puts it in.
    """

    text: str
    seed: int
    size: str
    themes: frozenset[str]
    rules: frozenset[str]
    patches: Patches

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the mistake in for a while."""
        patches = self.patches()
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in reversed(patches):
                patch.stop()


def _untold() -> list[Any]:
    add = Registry.add

    def mutated(self: Registry, subscription: Subscription, key: ShipmentKey) -> WatchedShipment:
        shipment = add(self, subscription, key)
        shipment.subscribers[subscription] = shipment.revision
        return shipment

    return [mock.patch.object(Registry, "add", mutated)]


def _spellings() -> list[Any]:
    return [mock.patch.object(ShipmentKey, "normalized", property(lambda self: self))]


def _unconfirmed() -> list[Any]:
    def mutated(self: RetryQueue, shipment: WatchedShipment) -> None:
        shipment.checked_at = shipment.fully_checked_at = asyncio.get_running_loop().time()
        shipment.full_check_due = shipment.checked_at + shipment.reconcile_seconds
        shipment.wanted_at, shipment.wants_full_check, shipment.hold = math.inf, False, None
        shipment.observed = NOT_REGISTERED
        shipment.revision += 1
        for subscription in Registry().publish(shipment, full=True):
            subscription.notify()

    return [mock.patch.object(RetryQueue, "add_unconfirmed", mutated)]


def _no_last_check() -> list[Any]:
    return [mock.patch.object(Poller, "check_at_deadline", return_value=None)]


def _odd_answers() -> list[Any]:
    scope_of = failures.scope_of

    def mutated(error: TrackingMoreError, *, names_one: bool) -> Scope:
        definite = isinstance(error, AuthenticationError) or error.retry is Retry.NEVER
        scope = scope_of(error, names_one=names_one)
        return Scope.ACCOUNT if scope is Scope.CALL and definite else scope

    return [
        mock.patch.object(failure_handling, "scope_of", mutated),
        mock.patch.object(FailureHandler, "_account_refused", FailureHandler.fail_all),
    ]


def _old_key() -> list[Any]:
    return [mock.patch.object(session, "AuthenticationError", type("Never", (Exception,), {}))]


def _others_reconcile() -> list[Any]:
    add = Registry.add

    def mutated(self: Registry, subscription: Subscription, key: ShipmentKey) -> WatchedShipment:
        known = self.shipments.get(key.normalized)
        before = (math.inf, math.inf) if known is None else (known.reconcile_seconds, known.full_check_due)
        shipment = add(self, subscription, key)
        if known is not None:
            shipment.reconcile_seconds, shipment.full_check_due = before
        return shipment

    return [mock.patch.object(registry.Registry, "add", mutated)]


def _everybody_backs_off() -> list[Any]:
    group_failed = FailureHandler.group_failed

    def mutated(self: FailureHandler, group: FailedGroup, error: TrackingMoreError, *, by_path: bool = False) -> None:
        if failures.scope_of(error, names_one=by_path) is Scope.CALL:
            self._state.retries.add(group, self._clock() + self._back_off(error))
        else:
            group_failed(self, group, error, by_path=by_path)

    return [mock.patch.object(FailureHandler, "group_failed", mutated)]


def _newcomers() -> list[Any]:
    add = Poller._add

    def mutated(self: Poller, subscription: Subscription, key: ShipmentKey, first_check_in: float | None) -> None:
        add(self, subscription, key, first_check_in)
        for shipment in self._state.registry.shipments.values():
            if shipment.observed is not None:
                shipment.wanted_at = min(shipment.wanted_at, self._clock() + 2.0)

    return [mock.patch.object(Poller, "_add", mutated)]


def _future_times() -> list[Any]:
    return [mock.patch.object(changes, "_second_newest", lambda moments, now: max(moments, default=None))]


LATE = frozenset({"late", "deadline"})
MUTATIONS: dict[str, Mutation] = {
    "A1": Mutation("a subscriber is not told what is already known", 7, "small", frozenset(), LATE, _untold),
    "A2": Mutation("two spellings are two shipments", 0, "small", frozenset(), LATE, _spellings),
    "A3": Mutation(
        "what a list leaves out counts as not registered", 28, "small", frozenset(), frozenset({"wrong"}), _unconfirmed
    ),
    "A4": Mutation("no last check at the deadline", 93, "small", frozenset(), frozenset({"deadline"}), _no_last_check),
    "A5": Mutation("an odd answer ends every wait", 21, "small", frozenset(), frozenset({"wrong"}), _odd_answers),
    "A6": Mutation("a rotated key ends the waits", 65, "small", frozenset(), frozenset({"rotation"}), _old_key),
    "A7": Mutation(
        "a shipment is checked as its first wait asks", 0, "busy", frozenset({"null updates"}), LATE, _others_reconcile
    ),
    "B8": Mutation("one failing number stops the account", 506, "small", frozenset(), LATE, _everybody_backs_off),
    "B9": Mutation(
        "each newcomer makes the poller check everybody",
        4,
        "large",
        frozenset({"newcomers", "long list"}),
        frozenset({"calls"}),
        _newcomers,
    ),
    "B12": Mutation(
        "a future time moves the cursor of changes",
        0,
        "busy",
        frozenset({"odd updates", "elsewhere"}),
        LATE,
        _future_times,
    ),
}
