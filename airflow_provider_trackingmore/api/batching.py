"""Many shipments in few calls, and an account of every one of them. Decides what is asked next; sends nothing itself.

Each function is a generator: it yields a ``Request`` and is sent its result, or thrown its ``TrackingMoreError``; its
return value is the outcome. Whoever drives it, blocking or async, does so in five lines (``client.run``).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote_plus

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import (
    ActivationRequiredError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    QuotaExceededError,
    Retry,
    ServerError,
    TrackingExistsError,
    TrackingMoreError,
    TrackingNotFoundError,
)
from airflow_provider_trackingmore.api.limits import BATCH_SIZE, FILTER_NUMBERS, MAX_FILTER_CHARACTERS
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import BatchAnswer, BatchReport, RealtimeReport, Rejection
from airflow_provider_trackingmore.api.shipments import CheckedShipments

log = logging.getLogger(__name__)

T = TypeVar("T")
ReportT = TypeVar("ReportT", bound=BatchReport)
Body: TypeAlias = Mapping[str, Any]
Conversation: TypeAlias = Generator[Request[Any], Any, T]
"""Yields requests, is sent their results, returns the outcome."""

_ONE_OF_THEM = frozenset({4012, 4013, 4014, 4015, 4016, 4017, 4020, 4031, 4032, 4033})
"""Codes that one shipment can bring upon a whole call: halve it until the one is alone."""

FAILURES_OF_SERVICE = 3
"""So many calls of a look-up that fail alike, one after the other, are the service and not the numbers in them."""
FEW_NUMBERS = 10
FAILURES_OF_FEW = 10
"""Calls with fewer numbers may fail in a row because their numbers stand side by side: so many are needed of those."""
NAMED = 5
"""So many shipments are named in a message."""

_TWO_HOUR_RULE = "TrackingMore asks a carrier for the same shipment only once in 2 hours: take get_tracking until then"
_TWO_HOUR_CODES = frozenset({None, 403, 409, 429, 4012, 4020, 4031})
"""No source says how the rule answers: the explanation is added where it may. None: success without a record (202)."""


@dataclass(frozen=True)
class Job:
    """One kind of batch.

    :param endpoint: builds the call for at most 40 bodies.
    :param satisfied_by: the refusal that means "already so".
    :param there_means: what it means when an unmentioned shipment is registered afterwards: True done, False refused.
    :param spends_quota: whether a part of a call may have been carried out when the quota is used up.
    """

    endpoint: Callable[[Sequence[Body]], Request[BatchAnswer]]
    satisfied_by: type[ApiError] | None = None
    there_means: bool = True
    spends_quota: bool = False


REGISTER = Job(endpoints.create_batch, satisfied_by=TrackingExistsError, spends_quota=True)
UPDATE = Job(endpoints.update_batch)
DELETE = Job(endpoints.delete_batch, satisfied_by=TrackingNotFoundError, there_means=False)
STOP = Job(endpoints.stop_updates)


def send_batches(
    job: Job, checked: CheckedShipments, report: ReportT, progress: Callable[[int, int], None] | None = None
) -> Conversation[ReportT]:
    """Send any number of shipments, 40 a call.

    :param job: what is done with them.
    :param checked: the shipments; what could not be sent at all is in the report from the start.
    :param report: an empty report of the class that is wanted.
    :param progress: told (shipments accounted for, shipments in all) after each call.
    :return: the report.
    :raises TrackingMoreError: when the account or the connection fails; its ``report`` says what had been done, and
        lists everything else under ``rejected``.
    """
    report = replace(report, rejected=checked.rejected, duplicates=checked.duplicates)
    waiting = iter(checked.bodies.values())
    total = len(checked.bodies) + len(checked.rejected)
    while chunk := list(islice(waiting, BATCH_SIZE)):
        try:
            report += yield from _send(job, chunk)
        except TrackingMoreError as error:
            unknown = f"not known whether it was carried out ({error.message}): run it again, that is safe"
            unsent = "not sent, because an earlier call failed: run it again"
            error.report = (
                report
                + BatchReport(rejected=_rejections(chunk, error.code, unknown))
                + BatchReport(rejected=_rejections(waiting, error.code, unsent))
            )
            raise
        if progress is not None:
            progress(len(report), total)
    return report


def _send(job: Job, bodies: Sequence[Body]) -> Conversation[BatchReport]:
    try:
        answer: BatchAnswer = yield job.endpoint(bodies)
    except ApiError as error:
        return (yield from _refused(job, bodies, error))
    for sent, registered in answer.corrected:
        log.warning(
            "%s: TrackingMore chose another carrier and registered %s. Wait for that one, or send auto_correct=1 to "
            "keep yours",
            sent,
            registered,
        )
    report = BatchReport(answer.done, answer.unchanged, answer.rejected)
    if answer.unmentioned:
        report += yield from _resolve(job, answer.unmentioned)
    return report


def _refused(job: Job, bodies: Sequence[Body], error: ApiError) -> Conversation[BatchReport]:
    """A whole call was refused: find out for whom, so that one bad shipment costs none of the others."""
    keys = _keys(bodies)
    if job.satisfied_by is not None and isinstance(error, job.satisfied_by) and len(bodies) == 1:
        return BatchReport(unchanged=keys)
    if error.code in _ONE_OF_THEM and len(bodies) > 1:
        middle = len(bodies) // 2
        first = yield from _send(job, bodies[:middle])
        return first + (yield from _send(job, bodies[middle:]))
    if isinstance(error, QuotaExceededError) and job.spends_quota:
        # The quota may have run out in the middle of the call: what is registered now is not rejected.
        there = yield from find(keys)
        refused = [body for body in bodies if _key(body) not in there]
        return BatchReport(
            unchanged=tuple(key for key in keys if key in there),
            rejected=_rejections(refused, error.code, error.message),
        )
    if error.code in _ONE_OF_THEM or isinstance(error, (ActivationRequiredError, QuotaExceededError)):
        return BatchReport(rejected=_rejections(bodies, error.code, error.message))
    raise error


def _resolve(job: Job, keys: Sequence[ShipmentKey]) -> Conversation[BatchReport]:
    """Look at what an answer did not mention, and go by that."""
    there = yield from find(keys)
    reached = tuple(key for key in keys if (key in there) == job.there_means)
    missed = tuple(key for key in keys if (key in there) != job.there_means)
    state = "not registered" if job.there_means else "still registered"
    message = f"TrackingMore's answer does not mention it and it is {state}: run it again"
    rejected = tuple(Rejection(*key, None, message) for key in missed)
    if job.there_means:
        return BatchReport(unchanged=reached, rejected=rejected)
    return BatchReport(done=reached, rejected=rejected)


def ask_carriers(
    checked: CheckedShipments, progress: Callable[[int, int], None] | None = None
) -> Conversation[RealtimeReport]:
    """Have the carriers asked now, one shipment a call; a refused one costs none of the others.

    :param checked: the shipments.
    :param progress: told (shipments accounted for, shipments in all) after each call.
    :return: the report; the two-hour rule is explained wherever it may be the reason.
    :raises TrackingMoreError: as :func:`send_batches`.
    """
    trackings: dict[ShipmentKey, Tracking] = {}
    report = RealtimeReport(rejected=checked.rejected, duplicates=checked.duplicates, trackings=trackings)
    waiting = list(checked.bodies.values())
    total = len(waiting) + len(checked.rejected)
    for number, body in enumerate(waiting):
        try:
            trackings[_key(body)] = yield endpoints.realtime_tracking(body)
        except TrackingMoreError as error:
            explain_realtime(error)
            if isinstance(error, QuotaExceededError):
                # Without quota the others would be refused as well, a call each.
                return report + BatchReport(rejected=_rejections(waiting[number:], error.code, error.message))
            report += BatchReport(rejected=_rejections([body], error.code, error.message))
            if not isinstance(error, ApiError) or isinstance(error, AuthenticationError) or error.retry != Retry.NEVER:
                unsent = "not asked for, because an earlier call failed: run it again"
                error.report = report + BatchReport(rejected=_rejections(waiting[number + 1 :], error.code, unsent))
                raise
        else:
            report += BatchReport(done=(_key(body),))
        if progress is not None:
            progress(len(report), total)
    return report


def explain_realtime(error: TrackingMoreError) -> None:
    """Add the two-hour rule to an error of a realtime call, where it may be the reason.

    :param error: what the call raised; changed in place.
    """
    if isinstance(error, ApiError) and error.from_api and error.code in _TWO_HOUR_CODES:
        error.args = (f"{error.message}; {_TWO_HOUR_RULE}",)


def find(keys: Iterable[ShipmentKey]) -> Conversation[dict[ShipmentKey, Tracking]]:
    """Look up shipments, at most 40 numbers a call.

    Two carriers may share a number, so a tracking counts only for the shipment with its carrier. A number that the
    ``numbers`` filter cannot take (a comma in it) is asked for alone.

    A call that fails on the server's side, or whose answer is malformed, may do so because of one of its numbers: all
    others are asked for first, and then its halves. When the first three calls fail alike, or three large ones in a row
    later on, it is the service, and nothing more is asked for.

    :param keys: the shipments.
    :return: those that are registered.
    :raises TrackingMoreError: when the account or the connection fails, or some shipments could not be looked up; its
        ``found`` is what was found all the same.
    """
    wanted = list(dict.fromkeys(keys))
    lookup = _Lookup()
    listable = [key for key in wanted if "," not in key.tracking_number]
    numbers = list(dict.fromkeys(key.tracking_number for key in listable))
    try:
        yield from lookup.by_numbers(filter_chunks(numbers))
        yield from lookup.one_by_one([key for key in wanted if "," in key.tracking_number])
        failed = [key for key in wanted if key.tracking_number in lookup.failed_numbers]
        if lookup.failure is not None and failed:
            error = lookup.failure
            more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
            error.args = (f"{error.message}; not looked up: {', '.join(map(str, failed[:NAMED]))}{more}",)
            raise error
    except TrackingMoreError as error:
        error.found = lookup.found(wanted)
        raise
    return lookup.found(wanted)


class _Lookup:
    """What a look-up has found so far, and which of its calls failed."""

    def __init__(self) -> None:
        self.failure: TrackingMoreError | None = None
        self.failed_numbers: set[str] = set()
        self._trackings: dict[tuple[str, str], Tracking] = {}
        self._succeeded = False
        self._alike: list[TrackingMoreError] = []

    def by_numbers(self, divided: Iterable[Sequence[str]]) -> Conversation[None]:
        queue = deque(divided)
        while queue:
            numbers = queue.popleft()
            try:
                page = yield endpoints.list_page({"numbers": numbers})
            except TrackingMoreError as error:
                if not (isinstance(error, ApiError) and error.code in _ONE_OF_THEM):
                    self._count(error, len(numbers))
                    if len(numbers) == 1:
                        self.failed_numbers.update(numbers)
                if len(numbers) > 1:
                    middle = len(numbers) // 2
                    queue.extend((numbers[:middle], numbers[middle:]))
            else:
                self._add(page.items)

    def one_by_one(self, keys: Iterable[ShipmentKey]) -> Conversation[None]:
        for key in keys:
            try:
                self._add([(yield endpoints.get_tracking(*key))], key)
            except (TrackingNotFoundError, InvalidRequestError) as error:
                if not error.from_api:
                    raise
            except TrackingMoreError as error:
                self._count(error, 1)
                self.failed_numbers.add(key.tracking_number)

    def found(self, wanted: Iterable[ShipmentKey]) -> dict[ShipmentKey, Tracking]:
        return {key: self._trackings[_folded(key)] for key in wanted if _folded(key) in self._trackings}

    def _add(self, trackings: Iterable[Tracking], key: ShipmentKey | None = None) -> None:
        self._succeeded = True
        self._alike.clear()
        self._trackings.update((_folded(key or tracking.key), tracking) for tracking in trackings)

    def _count(self, error: TrackingMoreError, numbers: int) -> None:
        """Count a failed call.

        :param error: how it failed.
        :param numbers: how many it named.
        :raises TrackingMoreError: the error, if it is no matter of the numbers in the call.
        """
        if not isinstance(error, (ServerError, MalformedAnswerError)):
            raise error
        self.failure = error
        if self._alike and (type(self._alike[-1]), self._alike[-1].code) != (type(error), error.code):
            self._alike.clear()
        self._alike.append(error)
        few = self._succeeded and numbers < FEW_NUMBERS
        if len(self._alike) >= (FAILURES_OF_FEW if few else FAILURES_OF_SERVICE):
            raise error


def look(keys: Iterable[ShipmentKey]) -> Conversation[dict[ShipmentKey, Tracking | None]]:
    """Look up shipments like :func:`find`, and make sure before one is called missing.

    A wait fails when its shipment is not registered, so a list that leaves one out is not enough: the first missing one
    is asked for alone. If it is missing there too, the list is believed for the others. (:func:`find` asks for numbers
    with a comma alone: those need no second look, and say nothing about the list.)

    :param keys: the shipments.
    :return: one entry per shipment; None for those that are not registered.
    :raises TrackingMoreError: when the account or the connection fails.
    """
    wanted = list(dict.fromkeys(keys))
    found: dict[ShipmentKey, Tracking | None] = dict((yield from find(wanted)))
    for key in wanted:
        if key not in found and "," not in key.tracking_number:
            try:
                found[key] = yield endpoints.get_tracking(*key)
            except (TrackingNotFoundError, InvalidRequestError):
                break
    return {key: found.get(key) for key in wanted}


def chunks(entries: Sequence[T]) -> list[Sequence[T]]:
    """Divide entries among calls, 40 each.

    :param entries: any number of them.
    :return: one entry per call, in order.
    """
    return [entries[at : at + BATCH_SIZE] for at in range(0, len(entries), BATCH_SIZE)]


def filter_chunks(numbers: Sequence[str]) -> list[Sequence[str]]:
    """Divide numbers among calls: at most 40 each, and encoded no longer than a URL may be.

    :param numbers: numbers without commas.
    :return: one entry per call, in order.
    """
    divided: list[list[str]] = []
    length = 0
    for number in numbers:
        encoded = len(quote_plus(number)) + 1
        length += encoded
        if not divided or len(divided[-1]) == FILTER_NUMBERS or length > MAX_FILTER_CHARACTERS:
            divided.append([])
            length = encoded
        divided[-1].append(number)
    return list(divided)


def _folded(key: ShipmentKey) -> tuple[str, str]:
    return key.carrier_code.casefold(), key.tracking_number.casefold()


def _key(body: Body) -> ShipmentKey:
    return ShipmentKey(body["carrier_code"], body["tracking_number"])


def _keys(bodies: Iterable[Body]) -> tuple[ShipmentKey, ...]:
    return tuple(map(_key, bodies))


def _rejections(bodies: Iterable[Body], code: int | None, message: str) -> tuple[Rejection, ...]:
    return tuple(Rejection(*_key(body), code, message) for body in bodies)
