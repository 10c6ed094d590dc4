"""Many shipments in few calls, and an account of every one of them. Decides what is asked next; sends nothing itself.

Each function is a generator: it yields a ``Request`` and is sent its result, or thrown its ``TrackingMoreError``; its
return value is the outcome. Whoever drives it, blocking or async, does so in five lines (``client.run``).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote_plus

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import (
    HINTS,
    ActivationRequiredError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedResponseError,
    QuotaExceededError,
    Retry,
    ServerError,
    TrackingExistsError,
    TrackingMoreError,
    TrackingNotFoundError,
)
from airflow_provider_trackingmore.api.limits import BATCH_SIZE, FILTER_NUMBERS, MAX_FILTER_CHARACTERS
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import BatchReport, BatchResponse, RealtimeReport, Rejection
from airflow_provider_trackingmore.api.shipments import CheckedShipments

log = logging.getLogger(__name__)

T = TypeVar("T")
ReportT = TypeVar("ReportT", bound=BatchReport)
Body: TypeAlias = Mapping[str, Any]
RequestFlow: TypeAlias = Generator[Request[Any], Any, T]
"""Yields requests, is sent their results, returns the outcome."""

SPLITTABLE_CODES = frozenset({4012, 4013, 4014, 4015, 4016, 4017, 4020, 4031, 4032, 4033})
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


Progress: TypeAlias = Callable[[BatchReport, int, int], None]
"""Called each time that some shipments are settled: the report on them, how many are settled, how many in all."""


@dataclass(frozen=True)
class Job:
    """One kind of batch.

    :param endpoint: builds the call for at most 40 bodies.
    :param already_done_error: the refusal that means "already so".
    :param registers: whether it registers shipments.
    :param removes: whether it deletes them.
    :param spends_quota: whether a part of a call may have been carried out when the quota is used up.
    :param single_fields: fields that the call for many does not take: shipments with one of them are sent with ``PUT``.
    """

    endpoint: Callable[[Sequence[Body]], Request[BatchResponse]]
    already_done_error: type[ApiError] | None = None
    registers: bool = False
    removes: bool = False
    spends_quota: bool = False
    single_fields: frozenset[str] = frozenset()


REGISTER = Job(endpoints.create_batch, already_done_error=TrackingExistsError, registers=True, spends_quota=True)
UPDATE = Job(endpoints.update_batch, single_fields=frozenset({"customer_phone"}))
"""The page of ``POST /trackings/updatemore`` does not list ``customer_phone``, that of PUT does (1.3, 1.7)."""
DELETE = Job(endpoints.delete_batch, already_done_error=TrackingNotFoundError, removes=True)
STOP = Job(endpoints.stop_updates)


class _Tally(Generic[ReportT]):
    """The report so far."""

    def __init__(self, report: ReportT, total: int, progress: Progress | None) -> None:
        self.report = report
        self._total = total
        self._progress = progress

    def add(self, part: BatchReport) -> None:
        if len(part):
            self.report += part
            if self._progress is not None:
                self._progress(part, len(self.report), self._total)


def send_batches(
    job: Job, checked: CheckedShipments, report: ReportT, progress: Progress | None = None
) -> RequestFlow[ReportT]:
    """Send any number of shipments, 40 a call.

    :param job: what is done with them.
    :param checked: the shipments; what could not be sent at all is in the report from the start.
    :param report: an empty report of the class that is wanted.
    :param progress: called each time that some more shipments are settled.
    :return: the report.
    :raises TrackingMoreError: when the account or the connection fails; its ``report`` says what had been done, and
        lists everything else under ``rejected``.
    """
    report = replace(report, rejected=checked.rejected, duplicates=checked.duplicates)
    tally = _Tally(report, len(checked.bodies) + len(checked.rejected), progress)
    together = [body for body in checked.bodies.values() if job.single_fields.isdisjoint(body)]
    single = [body for body in checked.bodies.values() if not job.single_fields.isdisjoint(body)]
    chunks = [together[at : at + BATCH_SIZE] for at in range(0, len(together), BATCH_SIZE)]
    calls = [(chunk, _send(job, chunk, tally)) for chunk in chunks]
    calls += [([body], _send_single(body, tally)) for body in single]
    for position, (bodies, call) in enumerate(calls):
        try:
            yield from call
        except TrackingMoreError as error:
            settled = {*tally.report.done, *tally.report.unchanged, *(one.key for one in tally.report.rejected)}
            unknown = f"not known whether it was carried out ({error.message}): run it again, that is safe"
            unsent = "not sent, because an earlier call failed: run it again"
            error.report = (
                tally.report
                + BatchReport(rejected=_rejections([b for b in bodies if _key(b) not in settled], error.code, unknown))
                + BatchReport(
                    rejected=_rejections(chain(*(rest for rest, _ in calls[position + 1 :])), error.code, unsent)
                )
            )
            raise
    return tally.report


def _send(job: Job, bodies: Sequence[Body], tally: _Tally[Any], *, resent: bool = False) -> RequestFlow[None]:
    try:
        answer: BatchResponse = yield job.endpoint(bodies)
    except ApiError as error:
        yield from _refused(job, bodies, error, tally, resent)
        return
    for sent, registered in answer.corrected:
        log.warning(
            "%s: TrackingMore chose another carrier and registered %s. Wait for that one, or send auto_correct=1 to "
            "keep yours",
            sent,
            registered,
        )
    tally.add(BatchReport(answer.done, (), answer.rejected) + _already_so(answer.unchanged, resent))
    if answer.unconfirmed:
        yield from _look_up(job, bodies, answer, tally, resent)


def _send_single(body: Body, tally: _Tally[Any]) -> RequestFlow[None]:
    key = _key(body)
    changes = {name: value for name, value in body.items() if name not in ("carrier_code", "tracking_number")}
    try:
        yield endpoints.update_tracking(*key, changes)
    except ApiError as error:
        if not _concerns_shipments(error):
            raise
        tally.add(BatchReport(rejected=_rejections([body], error.code, error.message)))
    else:
        tally.add(BatchReport(done=(key,)))


def _refused(job: Job, bodies: Sequence[Body], error: ApiError, tally: _Tally[Any], resent: bool) -> RequestFlow[None]:
    """A whole call was refused: find out for whom, so that one bad shipment costs none of the others."""
    keys = _keys(bodies)
    if job.already_done_error is not None and isinstance(error, job.already_done_error) and len(bodies) == 1:
        tally.add(_already_so(keys, resent))
    elif error.code in SPLITTABLE_CODES and len(bodies) > 1:
        middle = len(bodies) // 2
        yield from _send(job, bodies[:middle], tally, resent=resent)
        yield from _send(job, bodies[middle:], tally, resent=resent)
    elif isinstance(error, QuotaExceededError) and job.spends_quota:
        # The quota may have run out in the middle of the call: what is registered now is not rejected.
        there = yield from find(keys)
        refused = [body for body in bodies if _key(body) not in there]
        tally.add(
            BatchReport(
                unchanged=tuple(key for key in keys if key in there),
                rejected=_rejections(refused, error.code, error.message),
            )
        )
    elif _concerns_shipments(error):
        tally.add(BatchReport(rejected=_rejections(bodies, error.code, error.message)))
    else:
        raise error


def _look_up(
    job: Job, bodies: Sequence[Body], answer: BatchResponse, tally: _Tally[Any], resent: bool
) -> RequestFlow[None]:
    """Find out what became of the shipments that the answer does not confirm."""
    registered = yield from find(answer.unconfirmed)
    there = tuple(key for key in answer.unconfirmed if key in registered)
    gone = tuple(key for key in answer.unconfirmed if key not in registered)
    if job.removes:
        tally.add(BatchReport(done=gone))
        if there and not resent:
            yield from _send(job, [body for body in bodies if _key(body) in registered], tally, resent=True)
        else:
            tally.add(_missed(there, "still registered after it was deleted twice: run it again"))
    elif job.registers:
        missed = _missed(gone, "TrackingMore's answer does not mention it and it is not registered: run it again")
        tally.add(BatchReport(unchanged=there) + missed)
    else:
        missed = _missed(gone, f"not registered with TrackingMore: {HINTS[TrackingNotFoundError]}")
        tally.add(_counted(there, answer) + missed)


def _counted(there: tuple[ShipmentKey, ...], answer: BatchResponse) -> BatchReport:
    """Tell which registered shipments were changed, as far as the answer says."""
    if answer.count is None or answer.count >= len(there):
        return BatchReport(done=there)
    listed = tuple(key for key in there if key in answer.listed)
    if len(listed) != answer.count:
        if answer.count:
            log.warning(
                "TrackingMore changed %d of %d shipments and does not say which: all are reported as unchanged",
                answer.count,
                len(there),
            )
        return BatchReport(unchanged=there)
    return BatchReport(done=listed, unchanged=tuple(key for key in there if key not in listed))


def ask_carriers(checked: CheckedShipments, progress: Progress | None = None) -> RequestFlow[RealtimeReport]:
    """Have the carriers asked now, one shipment a call; a refused one costs none of the others.

    :param checked: the shipments.
    :param progress: called after each call.
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
            part = BatchReport(rejected=_rejections([body], error.code, error.message))
            if not isinstance(error, ApiError) or isinstance(error, AuthenticationError) or error.retry != Retry.NEVER:
                unsent = "not asked for, because an earlier call failed: run it again"
                rest = BatchReport(rejected=_rejections(waiting[number + 1 :], error.code, unsent))
                error.report = report + part + rest
                raise
        else:
            part = BatchReport(done=(_key(body),))
        report += part
        if progress is not None:
            progress(part, len(report), total)
    return report


def explain_realtime(error: TrackingMoreError) -> None:
    """Add the two-hour rule to an error of a realtime call, where it may be the reason.

    :param error: what the call raised; changed in place.
    """
    if isinstance(error, ApiError) and error.from_api and error.code in _TWO_HOUR_CODES:
        error.args = (f"{error.message}; {_TWO_HOUR_RULE}",)


def find(keys: Iterable[ShipmentKey], lang: str | None = None) -> RequestFlow[dict[ShipmentKey, Tracking]]:
    """Look up shipments, at most 40 numbers a call.

    Two carriers may share a number, so a tracking counts only for the shipment with its carrier. A number that the
    ``numbers`` filter cannot take (a comma in it) is asked for alone, and so is a single shipment in a language.

    A call that fails on the server's side, or whose answer is malformed, may do so because of one of its numbers: all
    others are asked for first, and then its halves. When the first three calls fail alike, or three large ones in a row
    later on, it is the service, and nothing more is asked for.

    :param keys: the shipments.
    :param lang: language of the carriers' texts, two letters; None for the carrier's own.
    :return: those that are registered.
    :raises TrackingMoreError: when the account or the connection fails, or some shipments could not be looked up; its
        ``found`` is what was found all the same.
    """
    wanted = list(dict.fromkeys(keys))
    lookup = _Lookup(lang)
    is_alone = lang is not None and len(wanted) == 1
    single = [key for key in wanted if is_alone or "," in key.tracking_number]
    listable = [key for key in wanted if not (is_alone or "," in key.tracking_number)]
    numbers = list(dict.fromkeys(key.tracking_number for key in listable))
    try:
        yield from lookup.by_numbers(filter_chunks(numbers))
        yield from lookup.one_by_one(single)
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

    def __init__(self, lang: str | None) -> None:
        self._lang = lang
        self.failure: TrackingMoreError | None = None
        self.failed_numbers: set[str] = set()
        self._trackings: dict[tuple[str, str], Tracking] = {}
        self._succeeded = False
        self._alike: list[TrackingMoreError] = []

    def by_numbers(self, divided: Iterable[Sequence[str]]) -> RequestFlow[None]:
        queue = deque(divided)
        while queue:
            numbers = queue.popleft()
            try:
                page = yield endpoints.list_page({"numbers": numbers, **({"lang": self._lang} if self._lang else {})})
            except TrackingMoreError as error:
                if not (isinstance(error, ApiError) and error.code in SPLITTABLE_CODES):
                    self._count(error, len(numbers))
                    if len(numbers) == 1:
                        self.failed_numbers.update(numbers)
                if len(numbers) > 1:
                    middle = len(numbers) // 2
                    queue.extend((numbers[:middle], numbers[middle:]))
            else:
                self._add(page.items)

    def one_by_one(self, keys: Iterable[ShipmentKey]) -> RequestFlow[None]:
        for key in keys:
            try:
                self._add([(yield endpoints.get_tracking(*key, lang=self._lang))], key)
            except (TrackingNotFoundError, InvalidRequestError) as error:
                if not error.from_api:
                    raise
            except TrackingMoreError as error:
                self._count(error, 1)
                self.failed_numbers.add(key.tracking_number)

    def found(self, wanted: Iterable[ShipmentKey]) -> dict[ShipmentKey, Tracking]:
        return {key: self._trackings[key.normalized] for key in wanted if key.normalized in self._trackings}

    def _add(self, trackings: Iterable[Tracking], key: ShipmentKey | None = None) -> None:
        self._succeeded = True
        self._alike.clear()
        self._trackings.update(((key or tracking.key).normalized, tracking) for tracking in trackings)

    def _count(self, error: TrackingMoreError, numbers: int) -> None:
        """Count a failed call.

        :param error: how it failed.
        :param numbers: how many it named.
        :raises TrackingMoreError: the error, if it is no matter of the numbers in the call.
        """
        if not isinstance(error, (ServerError, MalformedResponseError)):
            raise error
        self.failure = error
        if self._alike and (type(self._alike[-1]), self._alike[-1].code) != (type(error), error.code):
            self._alike.clear()
        self._alike.append(error)
        few = self._succeeded and numbers < FEW_NUMBERS
        if len(self._alike) >= (FAILURES_OF_FEW if few else FAILURES_OF_SERVICE):
            raise error


def look(keys: Iterable[ShipmentKey]) -> RequestFlow[dict[ShipmentKey, Tracking | None]]:
    """Look up shipments like :func:`find`, and make sure before one is called missing.

    Lists sometimes leave out a shipment that ``GET`` by its number knows, so each one that is missing is asked for
    alone. (:func:`find` asks for numbers with a comma alone already.)

    :param keys: the shipments.
    :return: one entry per shipment; None for those that are not registered.
    :raises TrackingMoreError: when the account or the connection fails.
    """
    wanted = list(dict.fromkeys(keys))
    found: dict[ShipmentKey, Tracking | None] = dict((yield from find(wanted)))
    for key in wanted:
        if key not in found and "," not in key.tracking_number:
            found[key] = yield from _get_one(key)
    return {key: found.get(key) for key in wanted}


def _get_one(key: ShipmentKey) -> RequestFlow[Tracking | None]:
    """Ask for one shipment by its number; None when TrackingMore does not know it."""
    try:
        tracking: Tracking = yield endpoints.get_tracking(*key)
    except (TrackingNotFoundError, InvalidRequestError) as error:
        if not error.from_api:
            raise
        return None
    return tracking


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


def _key(body: Body) -> ShipmentKey:
    return ShipmentKey(body["carrier_code"], body["tracking_number"])


def _keys(bodies: Iterable[Body]) -> tuple[ShipmentKey, ...]:
    return tuple(map(_key, bodies))


def _already_so(keys: tuple[ShipmentKey, ...], resent: bool) -> BatchReport:
    """What was there before the first attempt was changed by one of the two."""
    return BatchReport(done=keys) if resent else BatchReport(unchanged=keys)


def _missed(keys: Iterable[ShipmentKey], message: str) -> BatchReport:
    return BatchReport(rejected=tuple(Rejection(*key, None, message) for key in keys))


def _concerns_shipments(error: ApiError) -> bool:
    """Whether a refusal is about the shipments of the call, so that the others can go on."""
    return error.code in SPLITTABLE_CODES or isinstance(error, (ActivationRequiredError, QuotaExceededError))


def _rejections(bodies: Iterable[Body], code: int | None, message: str) -> tuple[Rejection, ...]:
    return tuple(Rejection(*_key(body), code, message) for body in bodies)
