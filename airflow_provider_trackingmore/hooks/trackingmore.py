"""``TrackingMoreHook``: an Airflow connection becomes a client; one method a job.

Knows what users want done and in what words; what a call is and how it is sent stand in ``api`` and ``client``.
"""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar, Unpack

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_trackingmore.api import batching, endpoints
from airflow_provider_trackingmore.api.changes import UPDATE_FIELDS, changes_body, check_changes
from airflow_provider_trackingmore.api.chunks import request_in_chunks
from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import TrackingMoreError, TrackingNotFoundError
from airflow_provider_trackingmore.api.filters import CountFilters, ListFilters
from airflow_provider_trackingmore.api.limits import BATCH_SIZE, PAGE_SIZE, WAYBILLS
from airflow_provider_trackingmore.api.listing import list_trackings
from airflow_provider_trackingmore.api.lookups import find_trackings, look_up
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.api.realtime import explain_two_hour_rule, request_realtime
from airflow_provider_trackingmore.api.reports import BatchReport, RealtimeReport, RegistrationReport
from airflow_provider_trackingmore.api.resources import Account, AirCargo, Carrier, RemoteArea, TransitTimes
from airflow_provider_trackingmore.api.shipments import (
    CREATE_FIELDS,
    REALTIME_FIELDS,
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
from airflow_provider_trackingmore.hooks.connection import form_behaviour, form_widgets, settings_from
from airflow_provider_trackingmore.metrics import METRICS

T = TypeVar("T")
ReportT = TypeVar("ReportT", bound=BatchReport)

PROGRESS_SECONDS = 30.0
"""A long batch says in the log how far it is, this often."""


class TrackingMoreHook(BaseHook):
    """Talk to TrackingMore with the account of an Airflow connection.

    Every method raises :class:`~airflow_provider_trackingmore.api.errors.TrackingMoreError` when the account or the
    connection to it fails, after trying again what is safe to repeat.

    :param trackingmore_conn_id: the Airflow connection.
    :param max_wait_seconds: longest time that one call waits for its turn and before repetitions; None: no bound.
    :param wait_until: moment of ``time.monotonic()`` up to which calls wait, however many they are; None: no bound.
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
        self.max_wait_seconds = max_wait_seconds
        self.wait_until = wait_until
        self.trackingmore_conn_id = trackingmore_conn_id
        self._client: TrackingMoreClient | None = None

    # The connection --------------------------------------------------------------------------------------------------

    def get_conn(self) -> TrackingMoreClient:
        """Return the client for the connection; made at the first call, no request is sent.

        :raises InvalidSettingsError: if the connection holds something that cannot work.
        """
        if self._client is None:
            connection = self.get_connection(self.trackingmore_conn_id)
            self._client = TrackingMoreClient(settings_from(connection, connection.extra_dejson), observer=METRICS)
        return self._client

    async def aget_conn(self) -> TrackingMoreClient:
        """Return the client without blocking the event loop; for triggers."""
        if self._client is None:
            connection = await get_async_connection(self.trackingmore_conn_id, hook=type(self))
            settings = settings_from(connection, await get_async_extra_dejson(connection))
            self._client = TrackingMoreClient(settings, observer=METRICS)
        return self._client

    def close(self) -> None:
        """Close the connections that are open; the next call opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the account, with ``GET /trackings/getuserinfo``.

        :return: (whether it worked, which account answered and how much quota is left, or what is wrong).
        """
        try:
            account = self.get_account()
        except Exception as error:
            return False, str(error)
        left = "unknown" if account.quota_left is None else str(account.quota_left)
        return True, f"TrackingMore answered for {account.masked_email}; quota left: {left}"

    # Trackings -------------------------------------------------------------------------------------------------------

    def create_tracking(self, shipment: Shipment) -> Tracking:
        """Register one shipment, with ``POST /trackings/post``. It costs one unit of quota when it is new.

        :param shipment: ``tracking_number``, ``carrier_code`` and any create field of the API. Numbers are sent as
            text, ``tracking_ship_date`` as YYYYMMDD, ``order_create_time`` in UTC if it has an offset.
        :return: the tracking; ``created`` is False when it had been registered before, which is success.
        :raises InvalidArgumentError: before any call, if it cannot be sent.
        """
        tracking = self._send(endpoints.create_tracking(shipment_body(shipment, CREATE_FIELDS, warn=True)))
        if tracking.created is False and not tracking.raw:
            try:
                return replace(self.get_tracking(*tracking.key), created=False)
            except TrackingNotFoundError:
                return tracking
        return tracking

    def create_trackings(self, shipments: Iterable[Shipment]) -> RegistrationReport:
        """Register any number of shipments, 40 a call, with ``POST /trackings/batch``.

        Each new one costs one unit of quota. What cannot be sent is rejected before any call; the rest goes on.
        Running it again is safe.

        :param shipments: as in :meth:`create_tracking`; each is sent once however often it is mentioned.
        :return: the account of every shipment put in.
        :raises TrackingMoreError: when the account or the connection fails; its ``report`` has what was done so far.
        """
        return self._batch(batching.REGISTER, shipments, CREATE_FIELDS, RegistrationReport(), warn=True)

    def get_tracking(self, carrier_code: str, tracking_number: str, lang: str | None = None) -> Tracking:
        """Read one tracking, with ``GET /trackings/{carrier_code}/{tracking_number}[/{lang}]``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :param lang: two letters, for carriers that write in more than one language; None for the carrier's own.
        :return: the tracking.
        :raises TrackingNotFoundError: if it is not registered.
        """
        key = self._key(carrier_code, tracking_number)
        return self._send(endpoints.get_tracking(*key, lang=lang))

    def list_trackings(self, *, page_size: int = PAGE_SIZE, **filters: Unpack[ListFilters]) -> Iterator[Tracking]:
        """List trackings page by page as they are consumed, with ``GET /trackings/get``; memory stays flat.

        Each tracking comes once, and none that was there throughout is missed, even when others come and go meanwhile.

        :param page_size: rows of one call, 1 to 2000.
        :param filters: ``status``, ``created_at_min``/``_max``, ``update_time_min``/``_max``,
            ``order_created_time_min``/``_max`` (aware datetime, ISO 8601 text with a zone, or unix seconds),
            ``numbers`` and ``orders`` (at most 40 each), ``archived`` (True, False, None for both), ``lang``. Each may
            be None, blank or the text "None", which is not to filter by it.
        :return: an iterator.
        :raises InvalidArgumentError: before any call, if a filter is wrong.
        """
        endpoints.list_page(filters, limit=page_size)  # refuses wrong filters here, not at the first row
        return run_listing(list_trackings(filters, page_size=page_size), self._send)

    def find_trackings(self, shipments: Iterable[Shipment], lang: str | None = None) -> dict[tuple[str, str], Tracking]:
        """Look up shipments, 40 a call, with ``GET /trackings/get?numbers=…``.

        A call that fails is halved until the shipment that brings it down is alone; the others are looked up all the
        same. A single shipment in a language is read with ``GET /trackings/{carrier_code}/{tracking_number}/{lang}``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :param lang: two letters, for carriers that write in more than one language; None for the carrier's own.
        :return: (carrier_code, tracking_number) -> tracking, for those that are registered.
        :raises InvalidArgumentError: before any call, naming the shipments that cannot be asked for.
        :raises TrackingMoreError: when some could not be looked up; its ``found`` has the others, in the same form.
        """
        lang = check_language(lang) if lang else None
        keys = [shipment_key(shipment) for shipment in as_shipment_list(shipments)]
        try:
            found = self._run(find_trackings(keys, lang))
        except TrackingMoreError as error:
            error.found = {(*key,): tracking for key, tracking in (error.found or {}).items()}
            raise
        return {(*key,): tracking for key, tracking in found.items()}

    def look_up(self, shipments: Iterable[Shipment]) -> dict[ShipmentKey, Tracking | None]:
        """Look up shipments like :meth:`find_trackings`, and make sure before one is called missing.

        :param shipments: carrier and number of each.
        :return: one entry per shipment; None for those that are not registered.
        :raises InvalidArgumentError: before any call, naming the shipments that cannot be asked for.
        """
        return self._run(look_up([shipment_key(shipment) for shipment in as_shipment_list(shipments)]))

    def update_tracking(self, carrier_code: str, tracking_number: str, **changes: Any) -> Tracking:
        """Change what the account holds on a shipment, with ``PUT /trackings/{carrier_code}/{tracking_number}``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :param changes: ``title``, ``logistics_channel``, ``customer_name``, ``customer_email``, ``customer_phone``,
            ``order_id``, ``destination_code`` (text); ``archived`` (bool); ``status`` (``delivered``, ``exception``, or
            ``restore`` for the real one).
        :return: the tracking.
        :raises InvalidArgumentError: before any call, if a change is not possible.
        """
        key = self._key(carrier_code, tracking_number)
        return self._send(endpoints.update_tracking(*key, changes_body(changes)))

    def update_trackings(self, shipments: Iterable[Mapping[str, Any]]) -> BatchReport:
        """Change many shipments, 40 a call, with ``POST /trackings/updatemore``.

        That call does not take ``customer_phone``: shipments with it are changed with
        ``PUT /trackings/{carrier_code}/{tracking_number}``, one a call.

        :param shipments: ``tracking_number``, ``carrier_code`` and changes as in :meth:`update_tracking`.
        :return: the account of every shipment put in; ``unchanged`` are registered, but TrackingMore does not count
            them as changed: as a rule they were so already.
        :raises TrackingMoreError: when the account or the connection fails; its ``report`` has what was done so far.
        """
        return self._batch(batching.UPDATE, shipments, UPDATE_FIELDS, BatchReport(), warn=True, changes=True)

    def delete_tracking(self, carrier_code: str, tracking_number: str) -> bool:
        """Remove one shipment from the account, with ``DELETE /trackings/{carrier_code}/{tracking_number}``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :return: False if it was not there.
        """
        return self._send(endpoints.delete_tracking(*self._key(carrier_code, tracking_number)))

    def delete_trackings(self, shipments: Iterable[Shipment]) -> BatchReport:
        """Remove many shipments, 40 a call, with ``POST /trackings/delete``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: the account of every shipment put in; ``unchanged`` were not there. What is still there after two
            attempts is ``rejected``.
        :raises TrackingMoreError: when the account or the connection fails; its ``report`` has what was done so far.
        """
        return self._batch(batching.DELETE, shipments, (), BatchReport())

    def realtime_tracking(self, shipment: Shipment) -> Tracking:
        """Have TrackingMore ask the carrier now, with ``POST /trackings/realtime``.

        This is slow, and possible once per 2 hours for a shipment.

        :param shipment: ``tracking_number``, ``carrier_code`` and any realtime field of the API, by its own name or by
            that of the create field: ``order_id`` is ``order`` there, ``tracking_destination_country`` is
            ``specialNumberDestination``.
        :return: the tracking as the carrier has it.
        :raises InvalidArgumentError: before any call, if it cannot be sent.
        """
        try:
            return self._send(endpoints.realtime_tracking(shipment_body(shipment, REALTIME_FIELDS, warn=True)))
        except TrackingMoreError as error:
            explain_two_hour_rule(error)
            raise

    def realtime_trackings(self, shipments: Iterable[Shipment]) -> RealtimeReport:
        """Have TrackingMore ask the carriers of many shipments now, one call each, as :meth:`realtime_tracking`.

        :param shipments: as there; what cannot be sent is rejected before any call.
        :return: the account of every shipment put in, and a tracking for each that is ``done``.
        :raises TrackingMoreError: when the account or the connection fails; its ``report`` has what was done so far.
        """
        checked = check_shipments(shipments, REALTIME_FIELDS, warn=True)
        return self._logged(self._run(request_realtime(checked, self._progress())))

    def change_carrier(self, tracking_number: str, carrier_code: str, new_carrier_code: str) -> None:
        """Correct the carrier of a registered shipment, with ``POST /trackings/update``. Doing it twice is success.

        :param tracking_number: the carrier's number.
        :param carrier_code: the carrier it is registered with.
        :param new_carrier_code: the right one.
        :raises TrackingNotFoundError: if it is registered with neither.
        """
        key = self._key(carrier_code, tracking_number)
        new = check_carrier_code(new_carrier_code, "new_carrier_code")
        try:
            self._send(endpoints.change_carrier(key.tracking_number, key.carrier_code, new))
        except TrackingNotFoundError:
            # It may have been changed already: by an attempt whose answer was lost, or by an earlier run.
            changed = ShipmentKey(new, key.tracking_number)
            if changed not in self._run(find_trackings([changed])):
                raise

    def stop_updates(self, shipments: Iterable[Shipment]) -> BatchReport:
        """Have TrackingMore refresh shipments no more, 40 a call, with ``POST /trackings/notupdate``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: the account of every shipment put in; ``unchanged`` are registered, but TrackingMore does not count
            them as stopped: as a rule they were so already.
        :raises TrackingMoreError: when the account or the connection fails; its ``report`` has what was done so far.
        """
        return self._batch(batching.STOP, shipments, (), BatchReport())

    def count_by_status(self, **filters: Unpack[CountFilters]) -> dict[ShipmentStatus, int]:
        """Count the account's shipments by status, with ``GET /trackings/getstatusnumber``.

        :param filters: ``created_at_min``/``_max``, ``order_created_time_min``/``_max``.
        :return: a number for each status.
        """
        return self._send(endpoints.count_by_status(filters))

    # Account, carriers, lanes, air cargo -----------------------------------------------------------------------------

    def get_account(self) -> Account:
        """Read the account, with ``GET /trackings/getuserinfo``.

        :return: quota left, balance, and (personal data) e-mail address and phone number.
        """
        account = self._send(endpoints.get_account())
        if account.quota_left is not None:
            METRICS.gauge("quota_left", account.quota_left)
        return account

    def check_remote_areas(self, places: Sequence[object]) -> list[RemoteArea]:
        """Tell which places carriers treat as remote, 40 a call, with ``POST /trackings/remote``.

        5 calls cost one unit of quota.

        :param places: mappings with ``country`` (name or ISO alpha-2), ``postcode`` (or city), optionally ``company``.
        :return: an entry for each carrier that treats a place as remote (``listed_as`` is ``"remote"``), and whatever
            TrackingMore lists as ``"other"``. It knows the lists of DHL, UPS, FedEx and TNT only.
        :raises TrackingMoreError: when the account or the connection fails; its ``found`` is what was paid for before.
        """
        return self._run(
            request_in_chunks(endpoints.check_remote_areas, as_shipment_list(places), BATCH_SIZE, [], operator.add)
        )

    def get_transit_times(self, lanes: Sequence[object]) -> list[TransitTimes]:
        """Read statistics of delivery times, 40 lanes a call, with ``POST /trackings/costtime``.

        :param lanes: mappings with ``carrier_code``, ``original`` and ``destination`` (ISO alpha-2).
        :return: one entry per lane that TrackingMore knows; its ranges are shares of the delivered, 0 to 1.
        """
        return self._run(
            request_in_chunks(endpoints.get_transit_times, as_shipment_list(lanes), BATCH_SIZE, [], operator.add)
        )

    def track_air_cargo(self, waybills: Sequence[str], lang: str | None = None) -> dict[str, AirCargo]:
        """Follow air waybills, 20 a call, with ``POST /trackings/aircargo``. **Each costs 20 units of quota.**

        :param waybills: such as ``172-28891936``; each is asked for once however often it is mentioned.
        :param lang: two letters.
        :return: waybill -> record.
        :raises TrackingMoreError: when the account or the connection fails; its ``found`` is what was paid for before.
        """
        endpoint = partial(endpoints.track_air_cargo, lang=lang)
        return self._run(request_in_chunks(endpoint, check_waybills(waybills), WAYBILLS, {}, operator.or_))

    def list_carriers(self, lang: str = "en") -> list[Carrier]:
        """List the carriers that TrackingMore follows, with ``GET /carriers``.

        :param lang: language of the names: en, cn, tw, es, ru or it.
        :return: all of them.
        """
        return self._send(endpoints.list_carriers(lang))

    def detect_carrier(self, tracking_number: str) -> list[Carrier]:
        """Guess the carrier of a number, with ``POST /carriers/detect``. 5 calls cost one unit of quota.

        :param tracking_number: the number.
        :return: candidates, best first; empty if there are none.
        """
        return self._send(endpoints.detect_carrier(check_tracking_number(tracking_number)))

    # How it is sent --------------------------------------------------------------------------------------------------

    def _send(self, request: Request[T]) -> T:
        remaining = math.inf if self.wait_until is None else max(self.wait_until - time.monotonic(), 0.0)
        seconds = min(remaining, math.inf if self.max_wait_seconds is None else self.max_wait_seconds)
        return self.get_conn().send(request, max_wait_seconds=None if math.isinf(seconds) else seconds)

    def _run(self, conversation: RequestFlow[T]) -> T:
        return run(conversation, self._send)

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
        checked = check_shipments(shipments, fields, warn=warn)
        if changes:
            checked = check_changes(checked)
        return self._logged(self._run(batching.send_batches(job, checked, report, self._progress())))

    def _logged(self, report: ReportT) -> ReportT:
        self.log.info("TrackingMore: %s", report.totals)
        for rejection in report.rejected:
            self.log.warning("Rejected: %s", rejection)
        return report

    def _progress(self) -> batching.Progress:
        last = time.monotonic()

        def tell(_: BatchReport, settled: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= PROGRESS_SECONDS:
                last = time.monotonic()
                self.log.info("TrackingMore: %d of %d shipments", settled, total)

        return tell

    @staticmethod
    def _key(carrier_code: object, tracking_number: object) -> ShipmentKey:
        return shipment_key({"carrier_code": carrier_code, "tracking_number": tracking_number})
