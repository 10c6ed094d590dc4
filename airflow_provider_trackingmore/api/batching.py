"""Many shipments in few calls, and an account of every one of them. Decides what is asked next; sends nothing itself.

Each function is a generator: it yields a ``Request`` and is sent its result, or thrown its ``TrackingMoreError``; its
return value is the outcome. Whoever drives it, blocking or async, does so in five lines (``client.run``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import (
    HINTS,
    SPLITTABLE_CODES,
    ActivationRequiredError,
    ApiError,
    QuotaExceededError,
    TrackingExistsError,
    TrackingMoreError,
    TrackingNotFoundError,
)
from airflow_provider_trackingmore.api.limits import BATCH_SIZE
from airflow_provider_trackingmore.api.lookups import find_trackings
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import BatchReport, BatchResponse, Rejection
from airflow_provider_trackingmore.api.shipments import CheckedShipments

log = logging.getLogger(__name__)

T = TypeVar("T")
ReportT = TypeVar("ReportT", bound=BatchReport)
Body: TypeAlias = Mapping[str, Any]


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
                + BatchReport(
                    rejected=rejections(
                        [b for b in bodies if ShipmentKey.from_body(b) not in settled], error.code, unknown
                    )
                )
                + BatchReport(
                    rejected=rejections(chain(*(rest for rest, _ in calls[position + 1 :])), error.code, unsent)
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
    key = ShipmentKey.from_body(body)
    changes = {name: value for name, value in body.items() if name not in ("carrier_code", "tracking_number")}
    try:
        yield endpoints.update_tracking(*key, changes)
    except ApiError as error:
        if not _concerns_shipments(error):
            raise
        tally.add(BatchReport(rejected=rejections([body], error.code, error.message)))
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
        there = yield from find_trackings(keys)
        refused = [body for body in bodies if ShipmentKey.from_body(body) not in there]
        tally.add(
            BatchReport(
                unchanged=tuple(key for key in keys if key in there),
                rejected=rejections(refused, error.code, error.message),
            )
        )
    elif _concerns_shipments(error):
        tally.add(BatchReport(rejected=rejections(bodies, error.code, error.message)))
    else:
        raise error


def _look_up(
    job: Job, bodies: Sequence[Body], answer: BatchResponse, tally: _Tally[Any], resent: bool
) -> RequestFlow[None]:
    """Find out what became of the shipments that the answer does not confirm."""
    registered = yield from find_trackings(answer.unconfirmed)
    there = tuple(key for key in answer.unconfirmed if key in registered)
    gone = tuple(key for key in answer.unconfirmed if key not in registered)
    if job.removes:
        tally.add(BatchReport(done=gone))
        if there and not resent:
            yield from _send(
                job, [body for body in bodies if ShipmentKey.from_body(body) in registered], tally, resent=True
            )
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


def _keys(bodies: Iterable[Body]) -> tuple[ShipmentKey, ...]:
    return tuple(map(ShipmentKey.from_body, bodies))


def _already_so(keys: tuple[ShipmentKey, ...], resent: bool) -> BatchReport:
    """What was there before the first attempt was changed by one of the two."""
    return BatchReport(done=keys) if resent else BatchReport(unchanged=keys)


def _missed(keys: Iterable[ShipmentKey], message: str) -> BatchReport:
    return BatchReport(rejected=tuple(Rejection(*key, None, message) for key in keys))


def _concerns_shipments(error: ApiError) -> bool:
    """Whether a refusal is about the shipments of the call, so that the others can go on."""
    return error.code in SPLITTABLE_CODES or isinstance(error, (ActivationRequiredError, QuotaExceededError))


def rejections(bodies: Iterable[Body], code: int | None, message: str) -> tuple[Rejection, ...]:
    """Reject shipments, all for the same reason.

    :param bodies: the request bodies of the shipments.
    :param code: the API's code; None when the API did not refuse them.
    :param message: the reason, and what to do.
    :return: one rejection per shipment.
    """
    return tuple(Rejection(*ShipmentKey.from_body(body), code, message) for body in bodies)
