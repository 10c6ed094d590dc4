"""Operators that register, read, update and delete trackings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import CountFilters, ListFilters, filter_query
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.api.shipments import check_key, check_shipments
from airflow_provider_trackingmore.api.updates import apply_changes
from airflow_provider_trackingmore.exceptions import ShipmentsMissingError, ShipmentsRejectedError, TooManyRowsError
from airflow_provider_trackingmore.links import SHIPMENT_LINKS, push_links
from airflow_provider_trackingmore.operators.base import OnRejected, ShipmentsBaseOperator, TrackingMoreBaseOperator
from airflow_provider_trackingmore.operators.template_values import (
    as_mapping,
    as_shipments,
    parse_bool,
    parse_choice,
    parse_language,
    parse_number,
    parse_quota_floor,
    parse_text,
)
from airflow_provider_trackingmore.serialization import tracking_to_dict, write_ndjson

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.reports import BatchReport, RealtimeReport
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


# Operators that change something ------------------------------------------------------------------------------------


class CreateTrackingsOperator(ShipmentsBaseOperator):
    """Register shipments with TrackingMore (``POST /trackings/batch``, 40 a call).

    **Each new shipment costs one unit of quota.** It is safe to run again: a shipment that is already registered is
    reported as ``existing`` and costs nothing. It returns ``{"created": [...], "existing": [...], "rejected": [...]}``.
    Each entry holds ``carrier_code`` and ``tracking_number``; rejected entries also ``code`` (TrackingMore's, or None
    if the shipment was not sent) and ``message``.

    :param shipments: mappings with ``tracking_number``, ``carrier_code`` and any create field of the API; a single
        mapping is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each rejected shipment with the reason;
        ``"report"`` succeeds, so that the DAG can act on ``rejected``.
    :param quota_floor: units of quota that must remain if all shipments are new; otherwise the task fails before it
        registers any.
    :param trackingmore_conn_id: the Airflow connection.
    :raises QuotaFloorError: if less than ``quota_floor`` would remain.
    :raises ShipmentsRejectedError: with ``on_rejected="fail"``, after the report was pushed.
    :raises BatchInterruptedError: if the account or the connection fails; the report so far is pushed first.
    """

    template_fields = (*ShipmentsBaseOperator.template_fields, "quota_floor")

    def __init__(self, *, quota_floor: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quota_floor = quota_floor

    def _send_shipments(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        return hook.create_trackings(shipments, quota_floor=parse_quota_floor(self.quota_floor))


class UpdateTrackingsOperator(ShipmentsBaseOperator):
    """Update the account's data on shipments (``POST /trackings/updatemore``, 40 a call).

    TrackingMore accepts ``customer_phone`` only in ``PUT /trackings/{carrier_code}/{tracking_number}``, so each
    shipment with it takes a call of its own. It returns ``{"done": [...], "unchanged": [...], "rejected": [...]}``.
    Shipments in ``unchanged`` are registered, but TrackingMore did not count them as changed.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; without ``changes`` also the fields to
        update.
    :param changes: fields to update in all shipments: ``title``, ``logistics_channel``, ``customer_name``,
        ``customer_email``, ``customer_phone``, ``order_id``, ``destination_code`` (text), ``archived`` (bool),
        ``status`` (``"delivered"``, ``"exception"``, or ``"restore"`` for the carrier's status). Other fields in
        ``shipments`` are then not sent.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each rejected shipment with the reason;
        ``"report"`` succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: with ``on_rejected="fail"``, after the report was pushed.
    :raises BatchInterruptedError: if the account or the connection fails; the report so far is pushed first.
    """

    template_fields = (*ShipmentsBaseOperator.template_fields, "changes")

    def __init__(self, *, changes: Mapping[str, object] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.changes = changes

    def _send_shipments(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        if self.changes is not None:
            shipments = apply_changes(shipments, as_mapping("changes", self.changes))
        return hook.update_trackings(shipments)


class DeleteTrackingsOperator(ShipmentsBaseOperator):
    """Delete shipments from the account (``POST /trackings/delete``, 40 a call). Their quota is not refunded.

    It is safe to run again: a shipment that is not registered is reported as ``unchanged``. A shipment that still
    exists after two attempts is rejected. It returns ``{"done": [...], "unchanged": [...], "rejected": [...]}``.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; a single mapping is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each rejected shipment with the reason;
        ``"report"`` succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: with ``on_rejected="fail"``, after the report was pushed.
    :raises BatchInterruptedError: if the account or the connection fails; the report so far is pushed first.
    """

    def _send_shipments(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        return hook.delete_trackings(shipments)


class StopUpdatesOperator(ShipmentsBaseOperator):
    """Make TrackingMore stop updating shipments (``POST /trackings/notupdate``, 40 a call).

    It returns ``{"done": [...], "unchanged": [...], "rejected": [...]}``. Shipments in ``unchanged`` are registered,
    but TrackingMore did not count them as stopped.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; a single mapping is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails, naming each rejected shipment with the reason;
        ``"report"`` succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: with ``on_rejected="fail"``, after the report was pushed.
    :raises BatchInterruptedError: if the account or the connection fails; the report so far is pushed first.
    """

    def _send_shipments(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        return hook.stop_updates(shipments)


class RealtimeTrackOperator(ShipmentsBaseOperator):
    """Make TrackingMore query the carriers now (``POST /trackings/realtime``, one call for each shipment).

    This is slow, and TrackingMore accepts the same shipment only once in two hours: earlier requests are rejected with
    that explanation. The calls count towards the account's rate limit unless the connection sets
    ``realtime_requests_per_second``.

    It returns ``{"done": [...], "unchanged": [], "rejected": [...]}``. Each entry of ``done`` holds
    ``carrier_code``, ``tracking_number``, ``status``, ``substatus``, ``delivered_at``, ``last_update`` and
    ``order_id``, and with ``include_raw`` also ``raw``.

    :param shipments: mappings with ``tracking_number``, ``carrier_code`` and any realtime field of the API.
    :param include_raw: whether to add the vendor's record. **It may hold names, addresses and phone numbers.**
    :param on_rejected: ``"report"`` succeeds; ``"fail"`` pushes the report and then fails, naming each rejected
        shipment with the reason.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: with ``on_rejected="fail"``, after the report was pushed.
    :raises BatchInterruptedError: if the account or the connection fails; the report so far is pushed first.
    """

    template_fields = (*ShipmentsBaseOperator.template_fields, "include_raw")

    def __init__(self, *, include_raw: bool = False, on_rejected: OnRejected = "report", **kwargs: Any) -> None:
        super().__init__(on_rejected=on_rejected, **kwargs)
        self.include_raw = include_raw

    def _send_shipments(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        parse_bool("include_raw", self.include_raw)  # refuses an invalid value before any call
        return hook.realtime_trackings(shipments)

    def _report_to_dict(self, report: BatchReport) -> dict[str, Any]:
        include_raw = parse_bool("include_raw", self.include_raw)
        trackings = cast("RealtimeReport", report).trackings
        rows = [{**tracking_to_dict(trackings[key], include_raw=include_raw), **key._asdict()} for key in report.done]
        return {**report.as_dict(), report.DONE: rows}


class ChangeCarrierOperator(TrackingMoreBaseOperator):
    """Change the carrier of a registered shipment (``POST /trackings/update``). It is safe to run again.

    It returns ``{"carrier_code": ..., "tracking_number": ...}`` with the new carrier, a shipment that other operators
    take.

    :param tracking_number: the carrier's number.
    :param carrier_code: the carrier that the shipment is registered with.
    :param new_carrier_code: the correct carrier.
    :param trackingmore_conn_id: the Airflow connection.
    :raises TrackingNotFoundError: if the shipment is registered with neither carrier.
    :raises InvalidArgumentError: before any call, if an argument cannot be used.
    """

    template_fields = ("tracking_number", "carrier_code", "new_carrier_code", "trackingmore_conn_id")
    operator_extra_links = SHIPMENT_LINKS

    def __init__(self, *, tracking_number: str, carrier_code: str, new_carrier_code: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tracking_number = tracking_number
        self.carrier_code = carrier_code
        self.new_carrier_code = new_carrier_code

    def execute(self, context: Context) -> dict[str, str]:
        """Change the carrier.

        :param context: Airflow task context.
        :return: the shipment with its new carrier.
        """
        with self.hook as hook:
            hook.change_carrier(
                carrier_code=self.carrier_code,
                tracking_number=self.tracking_number,
                new_carrier_code=self.new_carrier_code,
            )
            key = check_key(self.new_carrier_code, self.tracking_number)
            push_links(self, context, [key], hook)
        self.log.info("The carrier of %s is now %s", key.tracking_number, key.carrier_code)
        return key._asdict()


# Operators that only read --------------------------------------------------------------------------------------------


class GetTrackingsOperator(TrackingMoreBaseOperator):
    """Read the current state of shipments (``GET /trackings/get?numbers=…``, 40 a call).

    A single shipment with ``lang`` is read with ``GET /trackings/{carrier_code}/{tracking_number}/{lang}``.

    It returns ``{"found": [...], "missing": [...]}``. Each entry holds ``carrier_code`` and ``tracking_number``, those
    in ``found`` also ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO 8601, local time at the
    place, without time zone), ``order_id``, and with ``include_raw`` also ``raw``.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; a single mapping is accepted too.
    :param on_missing: ``"fail"`` pushes the result and then fails, naming the shipments that are not registered;
        ``"report"`` succeeds.
    :param include_raw: whether to add the vendor's record. **It may hold names, addresses and phone numbers.**
    :param lang: language of the checkpoint texts, two letters, for carriers that offer more than one; None for the
        carrier's own language. The texts are in ``raw``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsMissingError: with ``on_missing="fail"``, after the result was pushed.
    :raises LookupInterruptedError: if some shipments could not be looked up.
    :raises InvalidArgumentError: before any call, naming the shipments that are not valid.
    """

    template_fields = ("shipments", "on_missing", "include_raw", "lang", "trackingmore_conn_id")
    operator_extra_links = SHIPMENT_LINKS

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
        """Read the shipments.

        :param context: Airflow task context.
        :return: the shipments that are registered and those that are not, each in the order of ``shipments``.
        """
        from airflow_provider_trackingmore.api.lookups import find_trackings

        on_missing = parse_choice("on_missing", self.on_missing, ("fail", "report"))
        include_raw, lang = parse_bool("include_raw", self.include_raw), parse_language("lang", self.lang)
        checked = check_shipments(as_shipments(self.shipments))
        if checked.rejected:
            raise InvalidArgumentError(
                format_list([rejection.message for rejection in checked.rejected], separator="; ")
            )
        keys = list(checked.bodies)
        if not keys:
            self.log.info("No shipments: nothing to do")
            return {"found": [], "missing": []}
        with self.hook as hook:
            push_links(self, context, keys, hook)
            found = hook.run(find_trackings(keys, lang))
        missing = [key for key in keys if key not in found]
        self.log.info("Found %d, missing %d", len(found), len(missing))
        result = {
            "found": [
                {**tracking_to_dict(found[key], include_raw=include_raw), **key._asdict()}
                for key in keys
                if key in found
            ],
            "missing": [key._asdict() for key in missing],
        }
        if missing and on_missing == "fail":
            self._push_result(context, result)
            raise ShipmentsMissingError(
                f"Not registered with TrackingMore: {format_list(missing)}. Run CreateTrackingsOperator first"
            )
        return result


class ListTrackingsOperator(TrackingMoreBaseOperator):
    """List the account's shipments (``GET /trackings/get``), each of them once even if the account changes meanwhile.

    It returns ``{"rows": <number>, "path": None, "trackings": [...]}``, with entries as in
    :class:`GetTrackingsOperator`. A long list is too large for XCom. With ``path`` the operator writes it to that file
    as NDJSON, page by page, and returns ``{"rows": <number>, "path": <path>, "trackings": None}``. A result without
    ``path`` can be passed on as the ``shipments`` of another operator or of a sensor.

    :param filters: ``status``, ``created_at_min``/``_max``, ``update_time_min``/``_max``,
        ``order_created_time_min``/``_max`` (ISO 8601 with a zone, or Unix seconds), ``numbers`` and ``orders`` (at most
        40 each), ``archived`` (True, False, None for both), ``lang`` (like the argument).
    :param max_rows: the largest number of shipments to return; more are an error. Not used with ``path``.
    :param path: a local file or an object store's address, as ``ObjectStoragePath`` takes it. Each run replaces the
        file once the list is complete.
    :param include_raw: whether to write the vendor's record too. **It may hold names, addresses and phone numbers.**
    :param lang: language of the checkpoint texts, two letters, for carriers that offer more than one; None for the
        carrier's own language. The texts are in ``raw``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises TooManyRowsError: without ``path``, if more than ``max_rows`` shipments match.
    :raises InvalidArgumentError: before any call, if a filter is not valid.
    """

    template_fields = ("filters", "max_rows", "path", "include_raw", "lang", "trackingmore_conn_id")

    def __init__(
        self,
        *,
        filters: Mapping[str, object] | None = None,
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

    def execute(self, context: Context) -> dict[str, Any]:
        """List the shipments, or write the list to a file.

        :param context: Airflow task context.
        :return: ``rows``, ``path`` and ``trackings``.
        """
        filters, path = as_mapping("filters", self.filters), parse_text("path", self.path)
        include_raw = parse_bool("include_raw", self.include_raw)
        max_rows = int(parse_number("max_rows", self.max_rows))
        lang, filter_lang = parse_language("lang", self.lang), parse_language("lang", filters.get("lang"))
        if lang and filter_lang and lang != filter_lang:
            raise InvalidArgumentError("lang and filters['lang'] differ: set only one of them")
        filters["lang"] = lang or filter_lang
        filter_query(filters)
        with self.hook as hook:
            rows = (
                tracking_to_dict(tracking, include_raw=include_raw)
                for tracking in hook.list_trackings(**cast("ListFilters", filters))
            )
            if path is not None:
                count = write_ndjson(rows, path)
                self.log.info("Wrote %d shipments to %s", count, path)
                return {"rows": count, "path": path, "trackings": None}
            trackings = list(islice(rows, max_rows + 1))
        if len(trackings) > max_rows:
            raise TooManyRowsError(
                f"More than max_rows={max_rows} shipments match. Set a path to write them to a file, use narrower "
                "filters, or raise max_rows"
            )
        self.log.info("Found %d shipments", len(trackings))
        return {"rows": len(trackings), "path": None, "trackings": trackings}


class CountByStatusOperator(TrackingMoreBaseOperator):
    """Count the account's shipments by status (``GET /trackings/getstatusnumber``).

    It returns a dict, status -> number of shipments, with every known status.

    :param filters: ``created_at_min``/``_max``, ``order_created_time_min``/``_max`` (ISO 8601 with a zone, or Unix
        seconds).
    :param trackingmore_conn_id: the Airflow connection.
    :raises InvalidArgumentError: before any call, if a filter is not valid.
    """

    template_fields = ("filters", "trackingmore_conn_id")

    def __init__(self, *, filters: Mapping[str, object] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def execute(self, context: Context) -> dict[str, int]:
        """Count the shipments.

        :param context: Airflow task context.
        :return: status -> number of shipments.
        """
        filters = as_mapping("filters", self.filters)
        filter_query(filters, CountFilters.__optional_keys__)
        with self.hook as hook:
            counts = hook.count_by_status(**cast("CountFilters", filters))
        totals = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
        self.log.info("Shipments: %s", totals or "none")
        return {status.value: count for status, count in counts.items()}
