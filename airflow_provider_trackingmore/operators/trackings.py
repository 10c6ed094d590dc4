"""Operators for trackings: arguments, templates and XCom. What is sent, and how, is the hook's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import CountFilters, filter_query
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.shipments import check_shipments, shipment_key
from airflow_provider_trackingmore.links import leave_link
from airflow_provider_trackingmore.operators.batch import BatchTask, OnRejected, ShipmentsRejectedError
from airflow_provider_trackingmore.operators.changes import with_changes
from airflow_provider_trackingmore.operators.entries import tracking_entry, write_lines
from airflow_provider_trackingmore.operators.rendered import choice, flag, language, number, options, text
from airflow_provider_trackingmore.operators.task import TrackingMoreTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.reports import BatchReport
    from airflow_provider_trackingmore.api.shipments import Shipment
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

__all__ = [
    "ChangeCarrierOperator",
    "CountByStatusOperator",
    "CreateTrackingsOperator",
    "DeleteTrackingsOperator",
    "GetTrackingsOperator",
    "ListTrackingsOperator",
    "RealtimeTrackOperator",
    "ShipmentsMissingError",
    "ShipmentsRejectedError",
    "StopUpdatesOperator",
    "TooManyRowsError",
    "UpdateTrackingsOperator",
]


class ShipmentsMissingError(AirflowFailException):
    """Some shipments are not registered. Trying again does not help, so Airflow does not."""


class TooManyRowsError(AirflowFailException):
    """There are more rows than the user wants in XCom."""


# Tasks that change something -----------------------------------------------------------------------------------------


class CreateTrackingsOperator(BatchTask):
    """Register shipments with TrackingMore (``POST /trackings/batch``, 40 a call).

    **Each new one costs one unit of quota.** Running it again is safe: what is registered already counts as existing.
    It returns ``{"created": [...], "existing": [...], "rejected": [...]}``; entries hold ``carrier_code`` and
    ``tracking_number``, rejected ones also ``code`` (the vendor's; None when it was not even sent) and ``message``.

    :param shipments: mappings with ``tracking_number``, ``carrier_code`` and any create field of the API; one mapping
        is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each shipment and reason; ``"report"``
        succeeds, and the DAG goes by ``rejected``.
    :param quota_floor: units of quota that must be left if all of them are new; otherwise the task fails before it
        registers any.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: after the report was pushed, with ``on_rejected="fail"``.
    :raises TrackingMoreError: when the account or the connection fails; what was done so far is pushed as the report.
    """

    template_fields = (*BatchTask.template_fields, "quota_floor")

    def __init__(self, *, quota_floor: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quota_floor = quota_floor

    def carry_out(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        """Register them."""
        if new := len(check_shipments(shipments).bodies):
            self.check_quota(hook, new, self.quota_floor)
        return hook.create_trackings(shipments)


class UpdateTrackingsOperator(BatchTask):
    """Change what the account holds on shipments (``POST /trackings/updatemore``, 40 a call).

    ``customer_phone`` is taken by ``PUT /trackings/{carrier_code}/{tracking_number}`` alone: a call for each shipment
    with it. It returns ``{"done": [...], "unchanged": [...], "rejected": [...]}``: ``unchanged`` are registered, but
    TrackingMore does not count them as changed.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``, and, without ``changes``, what to change.
    :param changes: what to change in all of them: ``title``, ``logistics_channel``, ``customer_name``,
        ``customer_email``, ``customer_phone``, ``order_id``, ``destination_code`` (text), ``archived`` (bool),
        ``status`` (``"delivered"``, ``"exception"``, or ``"restore"`` for the real one). Nothing else in ``shipments``
        is sent then.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each shipment and reason; ``"report"``
        succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: after the report was pushed, with ``on_rejected="fail"``.
    """

    template_fields = (*BatchTask.template_fields, "changes")

    def __init__(self, *, changes: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.changes = changes

    def carry_out(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        """Change them."""
        if self.changes is not None:
            shipments = with_changes(shipments, self.changes)
        return hook.update_trackings(shipments)


class DeleteTrackingsOperator(BatchTask):
    """Remove shipments from the account (``POST /trackings/delete``, 40 a call). Quota is not given back.

    Running it again is safe: what is not there counts as ``unchanged``. What is still there after two attempts is
    rejected. It returns ``{"done": [...], "unchanged": [...], "rejected": [...]}``.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each shipment and reason; ``"report"``
        succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: after the report was pushed, with ``on_rejected="fail"``.
    :raises TrackingMoreError: when the account or the connection fails; what was done so far is pushed as the report.
    """

    def carry_out(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        """Remove them."""
        return hook.delete_trackings(shipments)


class StopUpdatesOperator(BatchTask):
    """Have TrackingMore refresh shipments no more (``POST /trackings/notupdate``, 40 a call).

    It returns ``{"done": [...], "unchanged": [...], "rejected": [...]}``: ``unchanged`` are registered, but
    TrackingMore does not count them as stopped.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each shipment and reason; ``"report"``
        succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: after the report was pushed, with ``on_rejected="fail"``.
    """

    def carry_out(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        """Stop them."""
        return hook.stop_updates(shipments)


class RealtimeTrackOperator(BatchTask):
    """Have TrackingMore ask the carriers now (``POST /trackings/realtime``, one call a shipment).

    This is slow, and TrackingMore takes the same shipment only once in 2 hours. The task remembers nothing: what is
    refused is reported with that explanation. Calls share the account's pace unless the connection's extra has
    ``realtime_requests_per_second``.

    It returns ``{"done": [...], "unchanged": [], "rejected": [...]}``. Entries of ``done`` hold ``carrier_code``,
    ``tracking_number``, ``status``, ``substatus``, ``delivered_at``, ``last_update`` and ``order_id``, with
    ``include_raw`` also ``raw``.

    :param shipments: mappings with ``tracking_number``, ``carrier_code`` and any realtime field of the API.
    :param include_raw: whether to return the vendor's record too. **It may hold names, addresses and phone numbers.**
    :param on_rejected: ``"report"`` succeeds; ``"fail"`` pushes the report and then fails.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: after the report was pushed, with ``on_rejected="fail"``.
    :raises TrackingMoreError: when the account or the connection fails; what was done so far is pushed as the report.
    """

    template_fields = (*BatchTask.template_fields, "include_raw")

    def __init__(self, *, include_raw: bool = False, on_rejected: OnRejected = "report", **kwargs: Any) -> None:
        super().__init__(on_rejected=on_rejected, **kwargs)
        self.include_raw = include_raw

    def carry_out(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        """Ask for one after the other."""
        self.include_raw = flag("include_raw", self.include_raw)
        return hook.realtime_trackings(shipments)

    def plain(self, report: BatchReport) -> dict[str, Any]:
        """Give those that are done with what the carrier said."""
        trackings = getattr(report, "trackings", {})
        entries = [
            {**tracking_entry(trackings[key], include_raw=self.include_raw), **key._asdict()} for key in report.done
        ]
        return {**report.as_dict(), report.DONE: entries}


class ChangeCarrierOperator(TrackingMoreTask):
    """Correct the carrier of a registered shipment (``POST /trackings/update``). Running it again is safe.

    It returns ``{"carrier_code": the new one, "tracking_number": ...}``: a shipment that other tasks take.

    :param tracking_number: the carrier's number.
    :param carrier_code: the carrier it is registered with.
    :param new_carrier_code: the right one.
    :param trackingmore_conn_id: the Airflow connection.
    :raises TrackingNotFoundError: if it is registered with neither.
    """

    template_fields = ("tracking_number", "carrier_code", "new_carrier_code", "trackingmore_conn_id")

    def __init__(self, *, tracking_number: str, carrier_code: str, new_carrier_code: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tracking_number = tracking_number
        self.carrier_code = carrier_code
        self.new_carrier_code = new_carrier_code

    def execute(self, context: Context) -> dict[str, str]:
        """Correct it.

        :param context: Airflow's.
        :return: the shipment as it is called now.
        """
        with self.hook() as hook:
            hook.change_carrier(self.tracking_number, self.carrier_code, self.new_carrier_code)
        now = shipment_key({"tracking_number": self.tracking_number, "carrier_code": self.new_carrier_code})
        leave_link(self, context, [now])
        self.log.info("The carrier of %s is now %s", now.tracking_number, now.carrier_code)
        return now._asdict()


# Tasks that only read ------------------------------------------------------------------------------------------------


class GetTrackingsOperator(TrackingMoreTask):
    """Read what TrackingMore knows of shipments now (``GET /trackings/get?numbers=…``, 40 a call).

    A single shipment in a language is read with ``GET /trackings/{carrier_code}/{tracking_number}/{lang}``.

    It returns ``{"found": [...], "missing": [...]}``. Entries hold ``carrier_code`` and ``tracking_number``, those in
    ``found`` also ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO 8601, local time of the place,
    without zone), ``order_id``, with ``include_raw`` also ``raw``.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too.
    :param on_missing: ``"fail"`` pushes the result and then fails, naming the shipments that are not registered;
        ``"report"`` succeeds.
    :param include_raw: whether to return the vendor's record too. **It may hold names, addresses and phone numbers.**
    :param lang: language of the checkpoints' texts, two letters, for carriers that write in more than one; None for the
        carrier's own. The texts are in ``raw``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsMissingError: with ``on_missing="fail"``.
    :raises InvalidArgumentError: naming the shipments that cannot be asked for.
    """

    template_fields = ("shipments", "on_missing", "include_raw", "lang", "trackingmore_conn_id")

    def __init__(
        self,
        *,
        shipments: list[Shipment] | Shipment,
        on_missing: Literal["fail", "report"] = "fail",
        include_raw: bool = False,
        lang: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shipments = shipments
        self.on_missing = on_missing
        self.include_raw = include_raw
        self.lang = lang

    def execute(self, context: Context) -> dict[str, list[dict[str, Any]]]:
        """Read them.

        :param context: Airflow's.
        :return: what is registered and what is not, each in the order of ``shipments``.
        """
        on_missing = choice("on_missing", self.on_missing, ("fail", "report"))
        include_raw, lang = flag("include_raw", self.include_raw), language("lang", self.lang)
        checked = check_shipments(self.shipments)
        if checked.rejected:
            raise InvalidArgumentError("; ".join(rejection.message for rejection in checked.rejected[:20]))
        keys = list(checked.bodies)
        if not keys:
            self.log.info("No shipments: nothing to do")
            return {"found": [], "missing": []}
        leave_link(self, context, keys)
        with self.hook() as hook:
            found = hook.find_trackings(keys, lang)
        missing = [key for key in keys if key not in found]
        self.log.info("Found %d, missing %d", len(found), len(missing))
        result = {
            "found": [
                {**tracking_entry(found[key], include_raw=include_raw), **key._asdict()} for key in keys if key in found
            ],
            "missing": [key._asdict() for key in missing],
        }
        if missing and on_missing == "fail":
            self.push(context, result)
            raise ShipmentsMissingError(_not_registered(missing))
        return result


class ListTrackingsOperator(TrackingMoreTask):
    """List the account's shipments (``GET /trackings/get``), each once, even while others come and go.

    It returns a list of entries as in :class:`GetTrackingsOperator`. A long list does not belong into XCom: with
    ``path`` it is written there as NDJSON, an entry a line, a page at a time, and ``{"path": ..., "rows": ...}`` is
    returned.

    :param filters: ``status``, ``created_at_min``/``_max``, ``update_time_min``/``_max``,
        ``order_created_time_min``/``_max`` (ISO 8601 with a zone, or unix seconds), ``numbers`` and ``orders`` (at most
        40 each), ``archived`` (True, False, None for both), ``lang`` (as the argument).
    :param max_rows: longest list to return; more rows are an error that says what to do. Not used with ``path``.
    :param path: a file or an object store's address, as ``ObjectStoragePath`` takes it. Each run writes it anew, and
        replaces what was there before only when the list is complete.
    :param include_raw: whether to write the vendor's record too. **It may hold names, addresses and phone numbers.**
    :param lang: language of the checkpoints' texts, two letters, for carriers that write in more than one; None for the
        carrier's own. The texts are in ``raw``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises TooManyRowsError: without ``path``, if there are more than ``max_rows``.
    :raises InvalidArgumentError: before any call, if a filter is wrong.
    """

    template_fields = ("filters", "max_rows", "path", "include_raw", "lang", "trackingmore_conn_id")

    def __init__(
        self,
        *,
        filters: Mapping[str, Any] | None = None,
        max_rows: int = 1000,
        path: str | None = None,
        include_raw: bool = False,
        lang: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.max_rows = max_rows
        self.path = path
        self.include_raw = include_raw
        self.lang = lang

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """List them, or write them to a file.

        :param context: Airflow's.
        :return: the entries, or where they are and how many.
        """
        filters, path = options("filters", self.filters), text("path", self.path)
        include_raw = flag("include_raw", self.include_raw)
        most = int(number("max_rows", self.max_rows))
        lang, filtered = language("lang", self.lang), language("lang", filters.get("lang"))
        if lang and filtered and lang != filtered:
            raise InvalidArgumentError("lang is one thing as an argument and another in filters: leave one of them out")
        filters["lang"] = lang or filtered
        filter_query(filters)
        with self.hook() as hook:
            entries = (tracking_entry(tracking, include_raw=include_raw) for tracking in hook.list_trackings(**filters))
            if path is None:
                return self._collected(entries, most)
            rows = write_lines(entries, path)
        self.log.info("%d shipments written to %s", rows, path)
        return {"path": path, "rows": rows}

    def _collected(self, entries: Iterator[dict[str, Any]], most: int) -> list[dict[str, Any]]:
        found = list(islice(entries, most + 1))
        if len(found) > most:
            raise TooManyRowsError(
                f"more than max_rows={most} shipments match: give a path to write them to, narrower filters, "
                "or a larger max_rows"
            )
        self.log.info("%d shipments match", len(found))
        return found


class CountByStatusOperator(TrackingMoreTask):
    """Count the account's shipments by status (``GET /trackings/getstatusnumber``).

    It returns status -> number, with every known status.

    :param filters: ``created_at_min``/``_max``, ``order_created_time_min``/``_max`` (ISO 8601 with a zone, or unix
        seconds).
    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields = ("filters", "trackingmore_conn_id")

    def __init__(self, *, filters: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def execute(self, context: Context) -> dict[str, int]:
        """Count them.

        :param context: Airflow's.
        :return: a number for each status.
        """
        filters = options("filters", self.filters)
        filter_query(filters, CountFilters.__optional_keys__)
        with self.hook() as hook:
            counts = hook.count_by_status(**filters)
        totals = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
        self.log.info("Shipments: %s", totals or "none")
        return {status.value: count for status, count in counts.items()}


def _not_registered(missing: Sequence[ShipmentKey]) -> str:
    shown = ", ".join(map(str, missing[:20])) + (f" and {len(missing) - 20} more" if missing[20:] else "")
    return f"not registered with TrackingMore: {shown}. Run CreateTrackingsOperator first"
