"""``TrackingMoreHook``: the whole API with the account of an Airflow connection, one method per task."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Self, TypeVar, Unpack, cast

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_trackingmore.api import batching, endpoints, listing, lookups, realtime
from airflow_provider_trackingmore.api.changes import UPDATE_FIELDS, Changes, changes_body, check_changes
from airflow_provider_trackingmore.api.chunks import request_in_chunks
from airflow_provider_trackingmore.api.endpoints import Lane, Place
from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingNotFoundError
from airflow_provider_trackingmore.api.filters import CountFilters, ListFilters
from airflow_provider_trackingmore.api.limits import BATCH_SIZE, PAGE_SIZE, WAYBILLS
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.api.reports import BatchReport, RealtimeReport, RegistrationReport
from airflow_provider_trackingmore.api.resources import Account, AirCargo, Carrier, RemoteArea, TransitTimes
from airflow_provider_trackingmore.api.shipments import (
    CREATE_FIELDS,
    REALTIME_FIELDS,
    CheckedShipments,
    Shipment,
    as_shipment_list,
    check_shipments,
    shipment_body,
    shipment_key,
)
from airflow_provider_trackingmore.api.validation import (
    check_carrier_code,
    check_language,
    check_tracking_number,
    check_waybills,
)
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.runner import run, run_listing
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.hooks.connection import form_behaviour, form_widgets, settings_from
from airflow_provider_trackingmore.hooks.hints import AIRFLOW_HINTS
from airflow_provider_trackingmore.metrics import METRICS

T = TypeVar("T")
ReportT = TypeVar("ReportT", bound=BatchReport)

PROGRESS_SECONDS = 30.0
"""How often a long batch logs its progress."""


class TrackingMoreHook(BaseHook):
    """Use TrackingMore with the account of an Airflow connection.

    Every method raises a :class:`~airflow_provider_trackingmore.api.errors.TrackingMoreError` if the account or the
    connection to it fails, after retrying what is safe to retry.

    :param trackingmore_conn_id: the Airflow connection.
    :param max_wait_seconds: how long one request may wait in total, for the rate limit and before retries; None for no
        limit.
    :param wait_until: the time of ``time.monotonic()`` until which requests may wait, however many there are; None for
        no limit.
    """

    conn_name_attr = "trackingmore_conn_id"
    default_conn_name = "trackingmore_default"
    conn_type = "trackingmore"
    hook_name = "TrackingMore"
    # Airflow 2.11 looks for these two in the class itself, not in its bases.
    get_connection_form_widgets = staticmethod(form_widgets)
    get_ui_field_behaviour = staticmethod(form_behaviour)

    def __init__(
        self,
        trackingmore_conn_id: str = default_conn_name,
        *,
        max_wait_seconds: float | None = None,
        wait_until: float | None = None,
    ) -> None:
        super().__init__()
        self.wait_until = wait_until
        self.max_wait_seconds = max_wait_seconds
        self.trackingmore_conn_id = trackingmore_conn_id
        self._client: TrackingMoreClient | None = None

    # The connection --------------------------------------------------------------------------------------------------

    def get_conn(self) -> TrackingMoreClient:
        """Return the client for the connection. It is created by the first call; no request is sent.

        :raises InvalidSettingsError: if a field of the connection is invalid.
        """
        if self._client is None:
            connection = self.get_connection(self.trackingmore_conn_id)
            self._client = _new_client(settings_from(connection, connection.extra_dejson))
        return self._client

    async def aget_conn(self) -> TrackingMoreClient:
        """Return the client like :meth:`get_conn`, without blocking the event loop; for triggers."""
        if self._client is None:
            connection = await get_async_connection(self.trackingmore_conn_id, hook=type(self))
            self._client = _new_client(settings_from(connection, await get_async_extra_dejson(connection)))
        return self._client

    def close(self) -> None:
        """Close all open connections; the next request opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """Test the connection, with ``GET /trackings/getuserinfo``.

        :return: whether it works, and the account and its remaining quota, or what is wrong.
        """
        try:
            account = self.get_account()
        except Exception as error:
            return False, str(error)
        left = "unknown" if account.quota_left is None else str(account.quota_left)
        return True, f"TrackingMore answered for {account.masked_email}; quota left: {left}"

    # Trackings -------------------------------------------------------------------------------------------------------

    def create_tracking(self, shipment: Shipment) -> Tracking:
        """Register one shipment, with ``POST /trackings/post``. A new one costs one unit of quota.

        :param shipment: ``tracking_number``, ``carrier_code`` and any other create field of the API. Numbers are sent
            as text, ``tracking_ship_date`` as YYYYMMDD, and ``order_create_time`` in UTC if it has an offset.
        :return: the tracking. If it was registered before, ``created`` is False; that is success.
        :raises InvalidArgumentError: before any request, if the shipment is invalid.
        """
        tracking = self._send(endpoints.create_tracking(shipment_body(shipment, CREATE_FIELDS, warn=True)))
        if tracking.created is False and not tracking.raw:
            try:
                return replace(self.get_tracking(*tracking.key), created=False)
            except TrackingNotFoundError:
                return tracking
        return tracking

    def create_trackings(self, shipments: Iterable[Shipment]) -> RegistrationReport:
        """Register any number of shipments, 40 per request, with ``POST /trackings/batch``.

        Each new one costs one unit of quota. Invalid shipments are rejected before any request; the others are sent.
        It is safe to repeat.

        :param shipments: as for :meth:`create_tracking`; duplicates are sent once.
        :return: the account of every shipment.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        return self._batch(batching.REGISTER, shipments, CREATE_FIELDS, RegistrationReport(), warn=True)

    def get_tracking(self, carrier_code: str, tracking_number: str, lang: str | None = None) -> Tracking:
        """Get one tracking, with ``GET /trackings/{carrier_code}/{tracking_number}[/{lang}]``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :param lang: two-letter language, for carriers with texts in several languages; None for the carrier's own.
        :return: the tracking.
        :raises TrackingNotFoundError: if it is not registered.
        """
        key = self._key(carrier_code, tracking_number)
        return self._send(endpoints.get_tracking(*key, lang=lang))

    def list_trackings(self, *, page_size: int = PAGE_SIZE, **filters: Unpack[ListFilters]) -> Iterator[Tracking]:
        """List trackings, with ``GET /trackings/get``. Pages are requested as they are consumed.

        Each tracking is returned once, and none that existed all the time is missed, even if others are added or
        removed in the meantime.

        :param page_size: rows per request, 1 to 2000.
        :param filters: ``status``, ``created_at_min``/``_max``, ``update_time_min``/``_max``,
            ``order_created_time_min``/``_max`` (aware datetime, ISO 8601 text with a time zone, or Unix seconds),
            ``numbers`` and ``orders`` (up to 40 each), ``archived`` (True, False, None for both), ``lang``. None, blank
            text and the text "None" mean "not filtered".
        :return: an iterator.
        :raises InvalidArgumentError: before any request, if a filter is invalid.
        """
        endpoints.list_page(filters, limit=page_size)  # raises here if a filter is invalid, not at the first row
        return run_listing(listing.list_trackings(filters, page_size=page_size), self._send)

    def find_trackings(self, shipments: Iterable[Shipment], lang: str | None = None) -> dict[ShipmentKey, Tracking]:
        """Look up shipments, 40 per request, with ``GET /trackings/get?numbers=…``.

        If a request fails, it is halved until the shipment that causes it is found; the others are looked up
        nevertheless. A single shipment with ``lang`` is read with
        ``GET /trackings/{carrier_code}/{tracking_number}/{lang}``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :param lang: two-letter language, for carriers with texts in several languages; None for the carrier's own.
        :return: the shipments that are registered, by (carrier_code, tracking_number).
        :raises InvalidArgumentError: before any request, naming the invalid shipment.
        :raises LookupInterruptedError: if some could not be looked up; its ``found`` has the others.
        """
        lang = check_language(lang) if lang else None
        return self._run(lookups.find_trackings(_keys(shipments), lang))

    def look_up(self, shipments: Iterable[Shipment]) -> dict[ShipmentKey, Tracking | None]:
        """Look up shipments like :meth:`find_trackings`, and confirm each missing one.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: an entry for each shipment; None for those that are not registered.
        :raises InvalidArgumentError: before any request, naming the invalid shipment.
        :raises LookupInterruptedError: if some could not be looked up; its ``found`` has the others.
        """
        return self._run(lookups.look_up(_keys(shipments)))

    def update_tracking(self, carrier_code: str, tracking_number: str, **changes: Unpack[Changes]) -> Tracking:
        """Change a shipment in the account, with ``PUT /trackings/{carrier_code}/{tracking_number}``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :param changes: ``title``, ``logistics_channel``, ``customer_name``, ``customer_email``, ``customer_phone``,
            ``order_id``, ``destination_code`` (text); ``archived`` (bool); ``status`` (``delivered``, ``exception``, or
            ``restore`` for the carrier's own).
        :return: the tracking.
        :raises InvalidArgumentError: before any request, if a change is invalid.
        """
        key = self._key(carrier_code, tracking_number)
        return self._send(endpoints.update_tracking(*key, changes_body(changes)))

    def update_trackings(self, shipments: Iterable[Mapping[str, object]]) -> BatchReport:
        """Change many shipments, 40 per request, with ``POST /trackings/updatemore``.

        That endpoint does not accept ``customer_phone``: shipments with it are changed one by one with
        ``PUT /trackings/{carrier_code}/{tracking_number}``.

        :param shipments: ``tracking_number``, ``carrier_code`` and changes as for :meth:`update_tracking`.
        :return: the account of every shipment. ``unchanged`` ones are registered, but TrackingMore did not count them
            as changed: usually they were in the desired state already.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        return self._batch(batching.UPDATE, shipments, UPDATE_FIELDS, BatchReport(), warn=True, changes=True)

    def delete_tracking(self, carrier_code: str, tracking_number: str) -> bool:
        """Delete one shipment, with ``DELETE /trackings/{carrier_code}/{tracking_number}``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :return: False if it was not registered.
        """
        return self._send(endpoints.delete_tracking(*self._key(carrier_code, tracking_number)))

    def delete_trackings(self, shipments: Iterable[Shipment]) -> BatchReport:
        """Delete many shipments, 40 per request, with ``POST /trackings/delete``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: the account of every shipment; ``unchanged`` ones were not registered.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        return self._batch(batching.DELETE, shipments, (), BatchReport())

    def realtime_tracking(self, shipment: Shipment) -> Tracking:
        """Have TrackingMore query the carrier of one shipment now, with ``POST /trackings/realtime``.

        TrackingMore does so only once in 2 hours for the same shipment, and must activate the endpoint for an account.

        :param shipment: ``tracking_number``, ``carrier_code`` and any realtime field of the API, by its own name or by
            that of the create field: ``order_id`` is ``order`` there, ``tracking_destination_country`` is
            ``specialNumberDestination``.
        :return: the tracking from the carrier.
        :raises InvalidArgumentError: before any request, if the shipment is invalid.
        """
        return self._send(endpoints.realtime_tracking(shipment_body(shipment, REALTIME_FIELDS, warn=True)))

    def realtime_trackings(self, shipments: Iterable[Shipment]) -> RealtimeReport:
        """Have TrackingMore query the carriers of many shipments now, one request each: see :meth:`realtime_tracking`.

        :param shipments: as for :meth:`realtime_tracking`; invalid ones are rejected before any request.
        :return: the account of every shipment, and a tracking for each that is ``done``.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        checked = check_shipments(shipments, REALTIME_FIELDS, warn=True)
        return self._log_report(self._run(realtime.query_carriers(checked, self._progress())))

    def change_carrier(self, *, carrier_code: str, tracking_number: str, new_carrier_code: str) -> None:
        """Change the carrier of a registered shipment, with ``POST /trackings/update``. It is safe to repeat.

        :param carrier_code: the carrier that the shipment is registered with.
        :param tracking_number: the carrier's number.
        :param new_carrier_code: the correct carrier.
        :raises TrackingNotFoundError: if the shipment is registered with neither.
        """
        key = self._key(carrier_code, tracking_number)
        new = ShipmentKey(check_carrier_code(new_carrier_code, "new_carrier_code"), key.tracking_number)
        try:
            self._send(endpoints.change_carrier(**key._asdict(), new_carrier_code=new.carrier_code))
        except TrackingNotFoundError:
            # It may have been changed already, by a request whose response was lost or by an earlier run.
            if new not in self._run(lookups.find_trackings([new])):
                raise

    def stop_updates(self, shipments: Iterable[Shipment]) -> BatchReport:
        """Have TrackingMore stop updating shipments, 40 per request, with ``POST /trackings/notupdate``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: the account of every shipment. ``unchanged`` ones are registered, but TrackingMore did not count them
            as stopped: usually they were stopped already.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        return self._batch(batching.STOP, shipments, (), BatchReport())

    def count_by_status(self, **filters: Unpack[CountFilters]) -> dict[ShipmentStatus, int]:
        """Count the shipments of the account by status, with ``GET /trackings/getstatusnumber``.

        :param filters: ``created_at_min``/``_max``, ``order_created_time_min``/``_max``.
        :return: a number for each status.
        """
        return self._send(endpoints.count_by_status(filters))

    # Account, carriers, lanes, air cargo -----------------------------------------------------------------------------

    def get_account(self) -> Account:
        """Get the account, with ``GET /trackings/getuserinfo``.

        :return: remaining quota, balance, and (personal data) e-mail address and phone number.
        """
        account = self._send(endpoints.get_account())
        if account.quota_left is not None:
            METRICS.gauge("quota_left", account.quota_left)
        return account

    def check_remote_areas(self, places: Sequence[Place]) -> list[RemoteArea]:
        """Find out which places carriers treat as remote, 40 per request, with ``POST /trackings/remote``.

        5 requests cost one unit of quota.

        :param places: mappings with ``country`` (name or ISO alpha-2), ``postcode`` (or city), optionally ``company``.
        :return: an entry for each carrier that treats a place as remote (``listed_as`` is ``"remote"``), and whatever
            TrackingMore lists as ``"other"``. It knows the lists of DHL, UPS, FedEx and TNT only.
        :raises LookupInterruptedError: if a request fails; its ``found`` is the result of those before, which cost
            quota.
        """
        return self._run(
            request_in_chunks(endpoints.check_remote_areas, _entries("places", places), BATCH_SIZE, [], operator.add)
        )

    def get_transit_times(self, lanes: Sequence[Lane]) -> list[TransitTimes]:
        """Get statistics of transit times, 40 lanes per request, with ``POST /trackings/costtime``.

        :param lanes: mappings with ``carrier_code``, ``original`` and ``destination`` (ISO alpha-2).
        :return: one entry per lane that TrackingMore knows, with shares of the delivered shipments, 0 to 1.
        :raises LookupInterruptedError: if a request fails; its ``found`` is the result of those before.
        """
        return self._run(
            request_in_chunks(endpoints.get_transit_times, _entries("lanes", lanes), BATCH_SIZE, [], operator.add)
        )

    def track_air_cargo(self, waybills: Sequence[str], lang: str | None = None) -> dict[str, AirCargo]:
        """Track air waybills, 20 per request, with ``POST /trackings/aircargo``. **Each costs 20 units of quota.**

        :param waybills: such as ``172-28891936``; duplicates are sent once.
        :param lang: two-letter language.
        :return: waybill -> record.
        :raises LookupInterruptedError: if a request fails; its ``found`` is the result of those before, which cost
            quota.
        """
        endpoint = partial(endpoints.track_air_cargo, lang=lang)
        return self._run(request_in_chunks(endpoint, check_waybills(waybills), WAYBILLS, {}, operator.or_))

    def list_carriers(self, lang: str = "en") -> list[Carrier]:
        """List all carriers that TrackingMore supports, with ``GET /carriers``.

        :param lang: the language of their names: en, cn, tw, es, ru or it.
        :return: the carriers.
        """
        return self._send(endpoints.list_carriers(lang))

    def detect_carrier(self, tracking_number: str) -> list[Carrier]:
        """Detect the carrier of a number, with ``POST /carriers/detect``. 5 requests cost one unit of quota.

        :param tracking_number: the number.
        :return: candidates, best first; empty if there are none.
        """
        return self._send(endpoints.detect_carrier(check_tracking_number(tracking_number)))

    # Sending ---------------------------------------------------------------------------------------------------------

    def _send(self, request: Request[T]) -> T:
        remaining = math.inf if self.wait_until is None else max(self.wait_until - time.monotonic(), 0.0)
        seconds = min(remaining, math.inf if self.max_wait_seconds is None else self.max_wait_seconds)
        return self.get_conn().send(request, max_wait_seconds=None if math.isinf(seconds) else seconds)

    def _run(self, flow: RequestFlow[T]) -> T:
        return run(flow, self._send)

    def _batch(
        self,
        job: batching.Job,
        shipments: object,
        fields: tuple[str, ...],
        report: ReportT,
        *,
        warn: bool = False,
        changes: bool = False,
    ) -> ReportT:
        checked: CheckedShipments = check_shipments(shipments, fields, warn=warn)
        if changes:
            checked = check_changes(checked)
        return self._log_report(self._run(batching.send_batches(job, checked, report, self._progress())))

    def _log_report(self, report: ReportT) -> ReportT:
        self.log.info("TrackingMore: %s", report.totals)
        for rejection in report.rejected:
            self.log.warning("Rejected: %s", rejection)
        return report

    def _progress(self) -> batching.Progress:
        last = time.monotonic()

        def log_progress(_: BatchReport, known: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= PROGRESS_SECONDS:
                last = time.monotonic()
                self.log.info("TrackingMore: %d of %d shipments", known, total)

        return log_progress

    @staticmethod
    def _key(carrier_code: object, tracking_number: object) -> ShipmentKey:
        return shipment_key({"carrier_code": carrier_code, "tracking_number": tracking_number})


def _new_client(settings: ClientSettings) -> TrackingMoreClient:
    return TrackingMoreClient(settings, observer=METRICS, hint_texts=AIRFLOW_HINTS)


def _keys(shipments: object) -> list[ShipmentKey]:
    return [shipment_key(shipment) for shipment in as_shipment_list(shipments)]


def _entries(argument: str, entries: Sequence[T] | Mapping[str, object]) -> Sequence[T]:
    if isinstance(entries, Mapping):
        return [cast(T, entries)]
    if isinstance(entries, str | bytes) or not isinstance(entries, Iterable):
        raise InvalidArgumentError(f"{argument} must be a list of mappings, not {type(entries).__name__}")
    return list(entries)
