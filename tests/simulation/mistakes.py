"""Mistakes that ``waiting`` once had, as patches of the code under test. :mod:`.mutations` has a run for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

from airflow_provider_trackingmore.api.errors import ApiError, AuthenticationError, TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.rate_limit.clock import RateLimiter
from airflow_provider_trackingmore.events import rounds
from airflow_provider_trackingmore.waiting import (
    change_cursor,
    failure_handling,
    failures,
    hint_checks,
    known_lists,
    number_checks,
    poller,
    schedule,
    session,
)
from airflow_provider_trackingmore.waiting.calls import PollerCalls
from airflow_provider_trackingmore.waiting.change_cursor import ChangeCursor
from airflow_provider_trackingmore.waiting.change_list import ChangeList
from airflow_provider_trackingmore.waiting.failure_handling import FailureHandler
from airflow_provider_trackingmore.waiting.failures import Scope
from airflow_provider_trackingmore.waiting.health import AccountHealth
from airflow_provider_trackingmore.waiting.hint_checks import HintChecks
from airflow_provider_trackingmore.waiting.list_checks import ListChecks
from airflow_provider_trackingmore.waiting.list_publisher import ListPublisher
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription, ListUpdate
from airflow_provider_trackingmore.waiting.number_checks import NumberChecks
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.outcome import Verdict
from airflow_provider_trackingmore.waiting.planner import Plan
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.recorder import Recorder
from airflow_provider_trackingmore.waiting.registry import Registry, Subscription, WatchedShipment
from airflow_provider_trackingmore.waiting.responses import ObservedPage, ObservedRow
from airflow_provider_trackingmore.waiting.retries import FailedGroup

Patches = list[Any]


def known_states_are_not_published() -> Patches:
    """A new wait counts as having received what is already known."""

    def mutated(_: Registry, subscription: Subscription, shipment: WatchedShipment) -> None:
        shipment.subscribers[subscription] = shipment.revision

    return [mock.patch.object(Registry, "publish_to", mutated)]


def spellings_differ() -> Patches:
    """Upper and lower case are two different shipments."""
    return [mock.patch.object(ShipmentKey, "normalized", property(lambda self: self))]


def left_out_is_missing() -> Patches:
    """A shipment that a response leaves out counts as not registered."""

    async def mutated(self: NumberChecks, group: FailedGroup) -> None:
        await check_group(self, group)
        while (shipment := self._state.retries.next_unconfirmed()) is not None:
            self._state.retries.discard_unconfirmed(shipment)
            self._recorder.record_unknown(shipment, set(shipment.subscribers))

    check_group = NumberChecks.check_group
    return [mock.patch.object(NumberChecks, "check_group", mutated)]


def one_missing_makes_all_missing() -> Patches:
    """When one shipment that a response left out is confirmed as missing, the others count as missing as well."""
    record_unknown = Recorder.record_unknown

    def mutated(self: Recorder, shipment: WatchedShipment, asked_by: Collection[Subscription]) -> None:
        record_unknown(self, shipment, asked_by)
        while (other := self._state.retries.next_unconfirmed()) is not None:
            self._state.retries.discard_unconfirmed(other)
            record_unknown(self, other, set(other.subscribers))

    return [mock.patch.object(Recorder, "record_unknown", mutated)]


def newcomers_get_an_older_miss() -> Patches:
    """A wait that joins while a shipment is being confirmed also receives that it is missing."""
    record_unknown = Recorder.record_unknown

    def mutated(self: Recorder, shipment: WatchedShipment, _: Collection[Subscription]) -> None:
        record_unknown(self, shipment, set(shipment.subscribers))

    return [mock.patch.object(Recorder, "record_unknown", mutated)]


def no_last_check() -> Patches:
    """A wait ends at its deadline without a last check."""
    return [mock.patch.object(Poller, "check_at_deadline", return_value=None)]


def no_check_after_the_deadline() -> Patches:
    """A wait whose deadline has passed before it begins ends without a call."""
    wait = session._Session.wait

    async def mutated(self: session._Session, subscription: Subscription, poller: Poller) -> Verdict:
        deadline = self.condition.spec.deadline
        if deadline is not None and deadline <= self._clock():
            return self.condition.verdict().at_deadline()
        return await wait(self, subscription, poller)

    return [mock.patch.object(session._Session, "wait", mutated)]


def last_check_has_no_end() -> Patches:
    """A last check that fails is retried without limit."""
    return [mock.patch.object(session, "LAST_CHECK_SECONDS", 1e9)]


def ends_the_account(is_odd: Callable[[TrackingMoreError], bool]) -> Callable[[], Patches]:
    """One odd response ends every wait of the account.

    :param is_odd: tells from the error whether the response is one of these.
    """
    scope_of = failures.scope_of
    account_refused = FailureHandler._account_refused

    def mutated_scope(error: TrackingMoreError, *, names_one: bool) -> Scope:
        return Scope.ACCOUNT if is_odd(error) else scope_of(error, names_one=names_one)

    def mutated_refusal(self: FailureHandler, error: TrackingMoreError) -> None:
        if is_odd(error):
            self.fail_all(error)
        else:
            account_refused(self, error)

    return lambda: [
        mock.patch.object(failure_handling, "scope_of", mutated_scope),
        mock.patch.object(FailureHandler, "_account_refused", mutated_refusal),
    ]


def is_from_a_proxy(error: TrackingMoreError) -> bool:
    """HTML 401, 403 or 404."""
    return isinstance(error, ApiError) and not error.from_api and error.http_status in (401, 403, 404)


def is_unknown_code(error: TrackingMoreError) -> bool:
    """A code of the vendor's own that the reference does not name."""
    return isinstance(error, ApiError) and error.code == 4999


def is_refusal(error: TrackingMoreError) -> bool:
    """A refusal of the account by the vendor itself, which a second attempt has not confirmed."""
    return failures.scope_of(error, names_one=False) is Scope.ACCOUNT


def has_http_status(status: int) -> Callable[[TrackingMoreError], bool]:
    """An answer with one HTTP status."""
    return lambda error: error.http_status == status


def rotated_keys_end_waits() -> Patches:
    """The connection is not read again when its key is refused."""
    return [mock.patch.object(session, "AuthenticationError", type("Never", (AuthenticationError,), {}))]


def changes_put_full_checks_off() -> Patches:
    """A shipment is due one interval after a check of any kind, and only then is it tested for being stale."""

    def mutated(shipment: WatchedShipment, changes_checked_at: float) -> float:
        if shipment.hold is not None:
            return math.inf
        if shipment.observed is None:
            return shipment.wanted_at
        checked_at = shipment.checked_at if shipment.unlisted else max(shipment.checked_at, changes_checked_at)
        return min(shipment.wanted_at, checked_at + shipment.poke_interval)

    def mutated_need(shipment: WatchedShipment, now: float) -> bool:
        wanted = shipment.wants_full_check and shipment.wanted_at <= now
        return shipment.observed is None or shipment.full_check_due <= now or wanted or shipment.is_settling

    return [
        mock.patch.object(schedule, "next_check", mutated),
        mock.patch.object(number_checks, "next_check", mutated),
        mock.patch.object(schedule, "needs_full_check", mutated_need),
    ]


def first_wait_sets_reconcile_seconds() -> Patches:
    """The first wait for a shipment sets the interval of full checks, whatever waits join later."""
    add = Registry.add

    def mutated(
        self: Registry, subscription: Subscription, normalized: ShipmentKey, key: ShipmentKey
    ) -> WatchedShipment:
        known = self.shipments.get(normalized)
        before = (math.inf, math.inf) if known is None else (known.reconcile_seconds, known.full_check_due)
        shipment = add(self, subscription, normalized, key)
        if known is not None:
            shipment.reconcile_seconds, shipment.full_check_due = before
        return shipment

    return [mock.patch.object(Registry, "add", mutated)]


def failures_stop_the_account() -> Patches:
    """A call that fails makes the whole account back off."""
    group_failed = FailureHandler.group_failed

    def mutated(self: FailureHandler, group: FailedGroup, error: TrackingMoreError, *, by_path: bool = False) -> None:
        if failures.scope_of(error, names_one=by_path) is Scope.CALL:
            self._state.retries.add(group, self._clock() + self._back_off(error))
        else:
            group_failed(self, group, error, by_path=by_path)

    return [mock.patch.object(FailureHandler, "group_failed", mutated)]


def failed_groups_stay_whole() -> Patches:
    """A call that fails is retried with the same numbers."""

    def mutated(self: FailedGroup, retry_at: float) -> list[FailedGroup]:
        return [FailedGroup(self.shipments, retry_at, self.failures + 1)]

    return [mock.patch.object(FailedGroup, "split", mutated)]


def service_is_never_down() -> Patches:
    """Each failed call is retried separately, however many fail alike."""
    return [mock.patch.object(AccountHealth, "is_service_down", return_value=False)]


def failed_lists_do_not_pause() -> Patches:
    """A list that fails is requested again at once."""

    def mutated(self: FailureHandler, error: TrackingMoreError) -> bool:
        if failures.scope_of(error, names_one=False) is Scope.CALL:
            return False
        return list_failed(self, error)

    list_failed = FailureHandler.list_failed
    return [mock.patch.object(FailureHandler, "list_failed", mutated)]


def confirmations_come_first() -> Patches:
    """Nothing is polled while a shipment must be confirmed."""
    return [mock.patch.object(poller, "CALLS_PER_RETRY", 0)]


def newcomers_make_all_due() -> Patches:
    """Each wait that joins makes full checks of all shipments of the account due."""
    schedule_check = Poller._schedule

    def mutated(self: Poller, subscription: Subscription, *arguments: Any) -> None:
        schedule_check(self, subscription, *arguments)
        for shipment in self._state.registry.shipments.values():
            if shipment.observed is not None:
                shipment.full_check_due = min(shipment.full_check_due, self._clock() + 2.0)

    return [mock.patch.object(Poller, "_schedule", mutated)]


def changes_tell_newcomers_nothing() -> Patches:
    """A new wait does not receive what is known if only the list of changes is read for it."""
    return [mock.patch.object(Registry, "publish_known", return_value=[])]


def changes_count_for_the_missing() -> Patches:
    """The list of changes counts as the check of an unregistered shipment that a new wait wants."""
    needs_full_check = schedule.needs_full_check

    def mutated(self: WatchedShipment) -> None:
        if self.observed is not None and not self.unlisted and not self.wants_full_check:
            self.wanted_at = math.inf

    def mutated_need(shipment: WatchedShipment, now: float) -> bool:
        wanted = shipment.wanted_at
        if shipment.observed is not None and not shipment.wants_full_check:
            shipment.wanted_at = math.inf
        try:
            return needs_full_check(shipment, now)
        finally:
            shipment.wanted_at = wanted

    return [
        mock.patch.object(WatchedShipment, "record_unchanged", mutated),
        mock.patch.object(schedule, "needs_full_check", mutated_need),
    ]


def long_changes_are_avoided_for_long() -> Patches:
    """A list of changes that was too long is not requested again for half an hour."""
    return [mock.patch.object(known_lists, "LONG_CHANGES_SECONDS", 1800.0)]


def lists_count_for_what_they_leave_out() -> Patches:
    """For the planner, a list checks shipments that it leaves out, unless they need a full check."""
    plan = known_lists.plan

    def mutated(due: int, stale: int, *, left_out: int, stale_left_out: int, **known: Any) -> Plan:
        return plan(due, stale, left_out=stale_left_out, stale_left_out=stale_left_out, **known)

    return [mock.patch.object(known_lists, "plan", mutated)]


def polls_at_each_interval_take_every_slot() -> Patches:
    """A request that has not waited takes a free slot before those that have."""
    try_acquire = RateLimiter.try_acquire

    def mutated(self: RateLimiter, *, warm: bool, has_waited: bool) -> Any:
        return try_acquire(self, warm=warm)

    return [mock.patch.object(RateLimiter, "try_acquire", mutated)]


def future_times_move_the_cursor() -> Patches:
    """The newest time of a response moves the cursor of changes, even if it is in the future."""
    return [mock.patch.object(change_cursor, "_second_newest", lambda moments, now: max(moments, default=None))]


def first_answer_sets_the_cursor() -> Patches:
    """Only the first response moves the cursor of changes."""
    note = ChangeCursor.note
    noted: dict[ChangeCursor, None] = {}

    def mutated(self: ChangeCursor, updated: Any, created: Any, *, at: float, now: float) -> None:
        if self not in noted:
            noted[self] = None
            note(self, updated, created, at=at, now=now)

    return [mock.patch.object(ChangeCursor, "note", mutated)]


def changes_are_read_by_page_number() -> Patches:
    """A list of changes is read page by page, even if its rows move from one page to another."""
    add = ChangeList.add

    def mutated(self: ChangeList, page: ObservedPage, until: float) -> bool:
        add(self, page, until)
        return True

    return [
        mock.patch.object(ChangeList, "_choose_cuts", return_value=[]),
        mock.patch.object(ChangeList, "add", mutated),
    ]


def hints_are_lost() -> Patches:
    """A shipment that a webhook names is checked no earlier than at its interval."""

    def release(self: HintChecks, now: float) -> int:
        self._pending.clear()
        return 0

    return [mock.patch.object(HintChecks, "release", release)]


def each_hint_is_a_call() -> Patches:
    """Each hint causes a check, however often it names the same shipment."""
    return [
        mock.patch.object(hint_checks, "SECONDS_PER_SHIPMENT", 0.0),
        mock.patch.object(hint_checks, "SECONDS_PER_BATCH", 0.0),
    ]


def hints_end_pauses() -> Patches:
    """A hint ends a back-off or a cool-down."""

    def mutated(self: Poller, keys: Iterable[ShipmentKey], *, per_minute: int) -> int:
        self._state.health.paused_until = -math.inf
        return check_now(self, keys, per_minute=per_minute)

    check_now = Poller.check_now
    return [mock.patch.object(Poller, "check_now", mutated)]


def one_watcher_gets_the_rows() -> Patches:
    """Of the watchers that share their calls, only the first one gets the rows."""
    add_update = ListSubscription.add_update
    last: list[ListUpdate] = []

    def mutated(self: ListSubscription, update: ListUpdate) -> None:
        if not any(known is update for known in last):
            last[:] = [update]
            add_update(self, update)

    return [mock.patch.object(ListSubscription, "add_update", mutated)]


def failed_rounds_count() -> Patches:
    """A round that fails counts: the lists are read again at the next interval."""
    publish_due = ListPublisher.publish_due

    async def mutated(self: ListPublisher, now: float) -> None:
        before = {subscription: subscription.failures for subscription in self._state.registry.list_subscriptions}
        await publish_due(self, now)
        for subscription, failed in before.items():
            if subscription.failures > failed:
                subscription.due_at = now + subscription.poke_interval

    return [mock.patch.object(ListPublisher, "publish_due", mutated)]


def full_lists_wait_for_an_interval() -> Patches:
    """The list of everything is read at the first interval after ``reconcile_seconds``, not before."""
    publish_due = ListPublisher.publish_due

    async def mutated(self: ListPublisher, now: float) -> None:
        await publish_due(self, now)
        for subscription in self._state.registry.list_subscriptions:
            if subscription.due_at == subscription.full_check_due:
                subscription.due_at = max(subscription.due_at, now + subscription.poke_interval)

    return [mock.patch.object(ListPublisher, "publish_due", mutated)]


def each_round_reads_everything() -> Patches:
    """A watcher reads the list of everything in each round."""
    publish_due = ListPublisher.publish_due

    async def mutated(self: ListPublisher, now: float) -> None:
        await publish_due(self, now)
        for subscription in self._state.registry.list_subscriptions:
            subscription.full_check_due = -math.inf

    return [mock.patch.object(ListPublisher, "publish_due", mutated)]


def waits_move_the_window() -> Patches:
    """The list of changes begins where waits need it, even if a watcher needs an earlier beginning."""

    async def mutated(self: ListPublisher, filters: Mapping[str, object], since: int) -> list[ObservedRow]:
        cursor = self._state.lists.cursor.since
        return await list_changes(self, filters, since if cursor is None else max(since, cursor))

    list_changes = ListPublisher._list_changes
    return [mock.patch.object(ListPublisher, "_list_changes", mutated)]


def hinted_states_are_kept() -> Patches:
    """What was checked because of a hint counts in every later round as well."""
    check_hinted = ListPublisher._check_hinted
    kept: dict[ListPublisher, dict[ShipmentKey, Observation]] = {}

    async def mutated(self: ListPublisher, due: Iterable[ListSubscription]) -> dict[ShipmentKey, Observation]:
        known = kept.setdefault(self, {})
        known |= await check_hinted(self, due)
        return dict(known)

    return [mock.patch.object(ListPublisher, "_check_hinted", mutated)]


def hints_settle_shipments() -> Patches:
    """A shipment that was checked because of a hint is dropped as settled, although its ``updated_at`` is unknown."""
    add_by_number = rounds._Comparison.add_by_number

    def mutated(self: rounds._Comparison, key: ShipmentKey, observed: Observation, *, may_settle: bool) -> None:
        add_by_number(self, key, observed, may_settle=True)

    return [mock.patch.object(rounds._Comparison, "add_by_number", mutated)]


def first_round_may_read_nothing() -> Patches:
    """A hint in the first two seconds of a watcher causes a round that reads no list at all."""
    init = ListSubscription.__init__

    def mutated(self: ListSubscription, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **options)
        self.full_check_due = self.due_at

    return [mock.patch.object(ListSubscription, "__init__", mutated)]


def watchers_rows_reach_no_wait() -> Patches:
    """The rows of a watcher's lists do not reach waits."""
    init = ListPublisher.__init__

    def mutated(self: ListPublisher, calls: PollerCalls, checks: ListChecks) -> None:
        init(self, replace(calls, recorder=mock.AsyncMock(Recorder)), checks)

    return [mock.patch.object(ListPublisher, "__init__", mutated)]
