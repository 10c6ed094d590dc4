"""Create, update, delete or stop any number of shipments with few requests, and report on each of them.

The functions are request flows: generators that yield a ``Request`` and receive its result, or its
``TrackingMoreError``. :mod:`airflow_provider_trackingmore.client.runner` runs them, blocking or on an event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import (
    SPLITTABLE_CODES,
    ActivationRequiredError,
    ApiError,
    Hint,
    QuotaExceededError,
    TrackingExistsError,
    TrackingMoreError,
    TrackingNotFoundError,
)
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError, cause_of
from airflow_provider_trackingmore.api.limits import BATCH_SIZE
from airflow_provider_trackingmore.api.lookups import find_trackings
from airflow_provider_trackingmore.api.models import Body, ShipmentKey
from airflow_provider_trackingmore.api.reports import BatchReport, BatchResponse, Rejection
from airflow_provider_trackingmore.api.shipments import CheckedShipments

log = logging.getLogger(__name__)

ReportT = TypeVar("ReportT", bound=BatchReport)

NOT_SENT = "not sent because an earlier request failed: run it again"

Progress: TypeAlias = Callable[[BatchReport, int, int], None]
"""Called whenever the result of some shipments is known: their report, the number of known results, and the total."""


@dataclass(frozen=True)
class Job:
    """A kind of batch job.

    :param endpoint: builds the request for up to 40 bodies.
    :param already_done_error: the refusal that means that the shipment is already in the desired state.
    :param registers: whether the job registers shipments.
    :param removes: whether the job deletes shipments.
    :param spends_quota: whether the quota may run out in the middle of a request.
    :param single_fields: fields that the batch endpoint lacks: shipments with one of them are sent with ``PUT``.
    """

    endpoint: Callable[[Sequence[Body]], Request[BatchResponse]]
    already_done_error: type[ApiError] | None = None
    registers: bool = False
    removes: bool = False
    spends_quota: bool = False
    single_fields: frozenset[str] = frozenset()


REGISTER = Job(endpoints.create_batch, already_done_error=TrackingExistsError, registers=True, spends_quota=True)
UPDATE = Job(endpoints.update_batch, single_fields=frozenset({"customer_phone"}))
"""``customer_phone`` is documented for PUT, but not for ``POST /trackings/updatemore`` (1.3, 1.7)."""
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
    """Send any number of shipments, 40 per request.

    :param job: what to do with them.
    :param checked: the shipments; those that failed validation are in the report from the start.
    :param report: an empty report of the desired class.
    :param progress: called whenever the result of more shipments is known.
    :return: the report.
    :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far, and
        all other shipments as ``rejected``.
    """
    report = replace(report, rejected=checked.rejected, duplicates=checked.duplicates)
    tally = _Tally(report, len(checked.bodies) + len(checked.rejected), progress)
    batched = [body for body in checked.bodies.values() if job.single_fields.isdisjoint(body)]
    single = [body for body in checked.bodies.values() if not job.single_fields.isdisjoint(body)]
    chunks = [batched[start : start + BATCH_SIZE] for start in range(0, len(batched), BATCH_SIZE)]
    steps = [(chunk, _send(job, chunk, tally)) for chunk in chunks]
    steps += [([body], _send_single(body, tally)) for body in single]
    for position, (bodies, step) in enumerate(steps):
        try:
            yield from step
        except TrackingMoreError as error:
            unsent = chain.from_iterable(later for later, _ in steps[position + 1 :])
            raise BatchInterruptedError(cause_of(error), _interrupted(tally.report, error, bodies, unsent)) from error
    return tally.report


def _interrupted(
    report: BatchReport, error: TrackingMoreError, bodies: Iterable[Body], unsent: Iterable[Body]
) -> BatchReport:
    """Complete a report with the shipments of the request that failed, and those that were not sent."""
    known = {*report.done, *report.unchanged, *(rejection.key for rejection in report.rejected)}
    unknown = [body for body in bodies if ShipmentKey.from_body(body) not in known]
    return (
        report
        + BatchReport(
            rejected=rejections(unknown, error.code, f"may or may not have been processed ({error}): run it again")
        )
        + BatchReport(rejected=rejections(unsent, error.code, NOT_SENT))
    )


def _send(job: Job, bodies: Sequence[Body], tally: _Tally[Any], *, resent: bool = False) -> RequestFlow[None]:
    try:
        response: BatchResponse = yield job.endpoint(bodies)
    except ApiError as error:
        yield from _handle_refusal(job, bodies, error, tally, resent)
        return
    for sent, registered in response.corrected:
        log.warning(
            "%s: TrackingMore chose another carrier and registered %s. Wait for that one, or send auto_correct=1 to "
            "keep yours",
            sent,
            registered,
        )
    tally.add(BatchReport(response.done, (), response.rejected) + _unchanged(response.unchanged, resent))
    if response.unconfirmed:
        yield from _confirm(job, bodies, response, tally, resent)


def _send_single(body: Body, tally: _Tally[Any]) -> RequestFlow[None]:
    key = ShipmentKey.from_body(body)
    changes = {name: value for name, value in body.items() if name not in ("carrier_code", "tracking_number")}
    try:
        yield endpoints.update_tracking(*key, changes)
    except ApiError as error:
        if not _concerns_shipments(error):
            raise
        tally.add(BatchReport(rejected=rejections([body], error.code, str(error))))
    else:
        tally.add(BatchReport(done=(key,)))


def _handle_refusal(
    job: Job, bodies: Sequence[Body], error: ApiError, tally: _Tally[Any], resent: bool
) -> RequestFlow[None]:
    """The whole request was refused: find the shipments at fault, so that the others are processed."""
    keys = tuple(map(ShipmentKey.from_body, bodies))
    if job.already_done_error is not None and isinstance(error, job.already_done_error) and len(bodies) == 1:
        tally.add(_unchanged(keys, resent))
    elif error.code in SPLITTABLE_CODES and len(bodies) > 1:
        middle = len(bodies) // 2
        yield from _send(job, bodies[:middle], tally, resent=resent)
        yield from _send(job, bodies[middle:], tally, resent=resent)
    elif isinstance(error, QuotaExceededError) and job.spends_quota:
        # The quota may have run out in the middle of the request: shipments that are registered now are not rejected.
        registered = yield from find_trackings(keys)
        refused = [body for body in bodies if ShipmentKey.from_body(body) not in registered]
        tally.add(
            BatchReport(
                unchanged=tuple(key for key in keys if key in registered),
                rejected=rejections(refused, error.code, str(error)),
            )
        )
    elif _concerns_shipments(error):
        tally.add(BatchReport(rejected=rejections(bodies, error.code, str(error))))
    else:
        raise error


def _confirm(
    job: Job, bodies: Sequence[Body], response: BatchResponse, tally: _Tally[Any], resent: bool
) -> RequestFlow[None]:
    """Look up the shipments that the response does not confirm."""
    found = yield from find_trackings(response.unconfirmed)
    registered = tuple(key for key in response.unconfirmed if key in found)
    missing = tuple(key for key in response.unconfirmed if key not in found)
    if job.removes:
        tally.add(BatchReport(done=missing))
        if registered and not resent:
            remaining = [body for body in bodies if ShipmentKey.from_body(body) in found]
            yield from _send(job, remaining, tally, resent=True)
        else:
            tally.add(_rejected(registered, "still registered after two attempts to delete it: run it again"))
    elif job.registers:
        message = "TrackingMore's response does not mention it, and it is not registered: run it again"
        tally.add(BatchReport(unchanged=registered) + _rejected(missing, message))
    else:
        message = f"not registered with TrackingMore: {Hint.REGISTER_FIRST}"
        tally.add(_count_changed(registered, response) + _rejected(missing, message))


def _count_changed(registered: tuple[ShipmentKey, ...], response: BatchResponse) -> BatchReport:
    """Divide registered shipments into changed and unchanged ones, as far as the response tells them apart."""
    if response.count is None or response.count >= len(registered):
        return BatchReport(done=registered)
    listed = tuple(key for key in registered if key in response.listed)
    if len(listed) != response.count:
        if response.count:
            log.warning(
                "TrackingMore changed %d of %d shipments but does not say which: all are reported as unchanged",
                response.count,
                len(registered),
            )
        return BatchReport(unchanged=registered)
    return BatchReport(done=listed, unchanged=tuple(key for key in registered if key not in listed))


def _unchanged(keys: tuple[ShipmentKey, ...], resent: bool) -> BatchReport:
    """Shipments that are already in the desired state; after a second attempt, the first one may have changed them."""
    return BatchReport(done=keys) if resent else BatchReport(unchanged=keys)


def _rejected(keys: Iterable[ShipmentKey], message: str) -> BatchReport:
    return BatchReport(rejected=tuple(Rejection(*key, None, message) for key in keys))


def _concerns_shipments(error: ApiError) -> bool:
    """Whether a refusal is about the shipments of the request, so that the job can continue."""
    return error.code in SPLITTABLE_CODES or isinstance(error, (ActivationRequiredError, QuotaExceededError))


def rejections(bodies: Iterable[Body], code: int | None, message: str) -> tuple[Rejection, ...]:
    """Reject shipments, all for the same reason.

    :param bodies: the request bodies of the shipments.
    :param code: the API's code; None if the API did not refuse them.
    :param message: the reason, and what to do.
    :return: one rejection per shipment.
    """
    return tuple(Rejection(*ShipmentKey.from_body(body), code, message) for body in bodies)
