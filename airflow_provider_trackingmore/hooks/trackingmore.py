"""``TrackingMoreHook``: the whole API with the account of an Airflow connection, one method per task."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, Unpack

from airflow_provider_trackingmore.api import batching, endpoints, listing, lookups, realtime
from airflow_provider_trackingmore.api.chunks import request_in_chunks
from airflow_provider_trackingmore.api.endpoints import Lane, Place
from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingNotFoundError
from airflow_provider_trackingmore.api.filters import CountFilters, ListFilters
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.api.limits import BATCH_SIZE, PAGE_SIZE, WAYBILLS
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.api.reports import BatchReport, RealtimeReport, RegistrationReport
from airflow_provider_trackingmore.api.resources import Account, AirCargo, Carrier, RemoteArea, TransitTimes
from airflow_provider_trackingmore.api.shipments import (
    CREATE_FIELDS,
    REALTIME_FIELDS,
    CheckedShipments,
    Shipment,
    check_key,
    check_shipments,
    shipment_body,
    shipment_keys,
)
from airflow_provider_trackingmore.api.updates import UPDATE_FIELDS, Changes, changes_body, check_changes
from airflow_provider_trackingmore.api.validation import (
    as_entries,
    check_carrier_code,
    check_language,
    check_tracking_number,
    check_waybills,
)
from airflow_provider_trackingmore.client.runner import run_listing
from airflow_provider_trackingmore.exceptions import QuotaFloorError
from airflow_provider_trackingmore.hooks.base import TrackingMoreBaseHook
from airflow_provider_trackingmore.hooks.batch_log import ReportT, log_report, progress_logger
from airflow_provider_trackingmore.hooks.connection import form_behaviour, form_widgets
from airflow_provider_trackingmore.loading.load import MAX_OPEN, SETTLE, LoadOptions
from airflow_provider_trackingmore.loading.rows import RowOptions
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.stream import ShipmentStream
from airflow_provider_trackingmore.metrics import METRICS


class TrackingMoreHook(TrackingMoreBaseHook):
    """Use TrackingMore with the account of an Airflow connection.

    Every method raises a :class:`~airflow_provider_trackingmore.api.errors.TrackingMoreError` if the account or the
    connection to it fails, after retrying what is safe to retry.

    :param trackingmore_conn_id: the Airflow connection.
    :param max_wait_seconds: how long one request may wait in total, for the rate limit and before retries; None for no
        limit.
    :param wait_until: the time of ``time.monotonic()`` until which requests may wait, however many there are; None for
        no limit.
    """

    # Airflow 2.11 looks for these two in the class itself, not in its bases.
    get_connection_form_widgets = staticmethod(form_widgets)
    get_ui_field_behaviour = staticmethod(form_behaviour)

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
        :raises QuotaExceededError: if the quota of the account is used up.
        """
        tracking = self._send(endpoints.create_tracking(shipment_body(shipment, CREATE_FIELDS, warn=True)))
        if tracking.created is False and not tracking.raw:
            try:
                return replace(self.get_tracking(*tracking.key), created=False)
            except TrackingNotFoundError:
                return tracking
        return tracking

    def create_trackings(
        self, shipments: Iterable[Shipment], *, quota_floor: float | None = None
    ) -> RegistrationReport:
        """Register any number of shipments, 40 per request, with ``POST /trackings/batch``.

        Each new one costs one unit of quota. Invalid shipments are rejected before any request; the others are sent.
        It is safe to repeat.

        :param shipments: as for :meth:`create_tracking`; duplicates are sent once.
        :param quota_floor: units of quota that must remain if all shipments are new; None for no floor.
        :return: a report on every shipment.
        :raises InvalidArgumentError: before any request, if ``shipments`` is not a list.
        :raises QuotaFloorError: before any shipment is sent.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        checked = check_shipments(shipments, CREATE_FIELDS, warn=True)
        if checked.bodies and quota_floor is not None:
            self.check_quota(len(checked.bodies), quota_floor)
        return self._batch(batching.REGISTER, checked, RegistrationReport())

    def get_tracking(self, carrier_code: str, tracking_number: str, lang: str | None = None) -> Tracking:
        """Get one tracking, with ``GET /trackings/{carrier_code}/{tracking_number}[/{lang}]``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :param lang: two-letter language, for carriers with texts in several languages; None for the carrier's own.
        :return: the tracking.
        :raises InvalidArgumentError: before any request, if an argument is invalid.
        :raises TrackingNotFoundError: if it is not registered.
        """
        key = check_key(carrier_code, tracking_number)
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

        If a request fails, it is halved until the shipment that causes it is found; the others are still looked up. A
        single shipment with ``lang`` is read with ``GET /trackings/{carrier_code}/{tracking_number}/{lang}``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :param lang: two-letter language, for carriers with texts in several languages; None for the carrier's own.
        :return: the shipments that are registered, by (carrier_code, tracking_number).
        :raises InvalidArgumentError: before any request, naming the invalid shipment.
        :raises LookupInterruptedError: if some could not be looked up; its ``found`` has the others.
        """
        lang = check_language(lang) if lang else None
        return self.run(lookups.find_trackings(shipment_keys(shipments), lang))

    def look_up(self, shipments: Iterable[Shipment]) -> dict[ShipmentKey, Tracking | None]:
        """Look up shipments like :meth:`find_trackings`, and confirm each missing one.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: an entry for each shipment; None for those that are not registered.
        :raises InvalidArgumentError: before any request, naming the invalid shipment.
        :raises LookupInterruptedError: if some could not be looked up; its ``found`` has the others.
        """
        return self.run(lookups.look_up(shipment_keys(shipments)))

    def update_tracking(self, carrier_code: str, tracking_number: str, **changes: Unpack[Changes]) -> Tracking:
        """Change a shipment in the account, with ``PUT /trackings/{carrier_code}/{tracking_number}``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :param changes: ``title``, ``logistics_channel``, ``customer_name``, ``customer_email``, ``customer_phone``,
            ``order_id``, ``destination_code`` (text); ``archived`` (bool); ``status`` (``delivered``, ``exception``, or
            ``restore`` for the carrier's own).
        :return: the tracking.
        :raises InvalidArgumentError: before any request, if the shipment or a change is invalid.
        :raises TrackingNotFoundError: if the shipment is not registered.
        """
        key = check_key(carrier_code, tracking_number)
        return self._send(endpoints.update_tracking(*key, changes_body(changes)))

    def update_trackings(self, shipments: Iterable[Mapping[str, object]]) -> BatchReport:
        """Change many shipments, 40 per request, with ``POST /trackings/updatemore``.

        That endpoint does not accept ``customer_phone``: shipments with it are changed one by one with
        ``PUT /trackings/{carrier_code}/{tracking_number}``.

        :param shipments: ``tracking_number``, ``carrier_code`` and changes as for :meth:`update_tracking`.
        :return: a report on every shipment. ``unchanged`` ones are registered, but TrackingMore did not count them as
            changed: usually they were in the desired state already.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        checked = check_changes(check_shipments(shipments, UPDATE_FIELDS, warn=True))
        return self._batch(batching.UPDATE, checked, BatchReport())

    def delete_tracking(self, carrier_code: str, tracking_number: str) -> bool:
        """Delete one shipment, with ``DELETE /trackings/{carrier_code}/{tracking_number}``.

        :param carrier_code: the carrier.
        :param tracking_number: the carrier's number.
        :return: False if it was not registered.
        :raises InvalidArgumentError: before any request, if an argument is invalid.
        """
        return self._send(endpoints.delete_tracking(*check_key(carrier_code, tracking_number)))

    def delete_trackings(self, shipments: Iterable[Shipment]) -> BatchReport:
        """Delete many shipments, 40 per request, with ``POST /trackings/delete``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: a report on every shipment; ``unchanged`` ones were not registered.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        return self._batch(batching.DELETE, check_shipments(shipments), BatchReport())

    def realtime_tracking(self, shipment: Shipment) -> Tracking:
        """Have TrackingMore query the carrier of one shipment now, with ``POST /trackings/realtime``.

        TrackingMore does so only once in 2 hours for the same shipment, and must activate the endpoint for an account.

        :param shipment: ``tracking_number``, ``carrier_code`` and any realtime field of the API, by its own name or by
            that of the create field: ``order_id`` is ``order`` there, ``tracking_destination_country`` is
            ``specialNumberDestination``.
        :return: the tracking from the carrier.
        :raises InvalidArgumentError: before any request, if the shipment is invalid.
        :raises ActivationRequiredError: if TrackingMore has not activated the endpoint for the account.
        """
        return self._send(endpoints.realtime_tracking(shipment_body(shipment, REALTIME_FIELDS, warn=True)))

    def realtime_trackings(self, shipments: Iterable[Shipment]) -> RealtimeReport:
        """Have TrackingMore query the carriers of many shipments now, one request each: see :meth:`realtime_tracking`.

        :param shipments: as for :meth:`realtime_tracking`; invalid ones are rejected before any request.
        :return: a report on every shipment, and a tracking for each that is ``done``.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        checked = check_shipments(shipments, REALTIME_FIELDS, warn=True)
        return log_report(self.log, self.run(realtime.query_carriers(checked, progress_logger(self.log))))

    def change_carrier(self, *, carrier_code: str, tracking_number: str, new_carrier_code: str) -> None:
        """Change the carrier of a registered shipment, with ``POST /trackings/update``. It is safe to repeat.

        :param carrier_code: the carrier that the shipment is registered with.
        :param tracking_number: the carrier's number.
        :param new_carrier_code: the correct carrier.
        :raises InvalidArgumentError: before any request, if an argument is invalid.
        :raises TrackingNotFoundError: if the shipment is registered with neither.
        """
        key = check_key(carrier_code, tracking_number)
        new = ShipmentKey(check_carrier_code(new_carrier_code, "new_carrier_code"), key.tracking_number)
        try:
            self._send(endpoints.change_carrier(**key._asdict(), new_carrier_code=new.carrier_code))
        except TrackingNotFoundError:
            # It may have been changed already, by a request whose response was lost or by an earlier run.
            if new not in self.run(lookups.find_trackings([new])):
                raise

    def stop_updates(self, shipments: Iterable[Shipment]) -> BatchReport:
        """Have TrackingMore stop updating shipments, 40 per request, with ``POST /trackings/notupdate``.

        :param shipments: ``tracking_number`` and ``carrier_code`` of each.
        :return: a report on every shipment. ``unchanged`` ones are registered, but TrackingMore did not count them as
            stopped: usually they were stopped already.
        :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far.
        """
        return self._batch(batching.STOP, check_shipments(shipments), BatchReport())

    def count_by_status(self, **filters: Unpack[CountFilters]) -> dict[ShipmentStatus, int]:
        """Count the shipments of the account by status, with ``GET /trackings/getstatusnumber``.

        :param filters: ``created_at_min``/``_max``, ``order_created_time_min``/``_max``, with values as in
            :meth:`list_trackings`.
        :return: the number of shipments with each status, zeros included.
        :raises InvalidArgumentError: before any request, if a filter is invalid.
        """
        return self._send(endpoints.count_by_status(filters))

    # Loading ---------------------------------------------------------------------------------------------------------

    def shipment_source(self) -> ShipmentSource:
        """Return what a load reads from, with the account of this hook. No request is sent."""
        client = self.get_conn()
        return ShipmentSource(self._send, lambda: client.statistics.requests)

    def stream_shipments(
        self,
        state: Mapping[str, object] | None = None,
        *,
        account: str | None = None,
        filters: ListFilters | None = None,
        settle: timedelta = SETTLE,
        max_open: timedelta = MAX_OPEN,
        full_refresh: bool = False,
        mark_missing: bool = True,
        event_texts: Literal["keep", "drop"] = "keep",
        include_personal_data: bool = False,
        include_raw: bool = False,
    ) -> ShipmentStream:
        """Stream the shipments and events that are new or have changed since a state, for dlt, pandas or your own code.

        These are the rows of ``TrackingMoreToSqlOperator``, read by the same requests: ``GET /trackings/get`` by
        registration and by change, then by number, and ``GET /trackings/{carrier_code}/{tracking_number}`` for
        shipments that may be missing.

        All events of a shipment that has changed are repeated, with a new ``first_seen_at``: insert those whose
        ``event_key`` you do not have, and leave the others as they are.

        :param state: the ``state`` of the previous stream; None for everything. Store it together with the rows.
        :param account: the value of the column ``account``; None for the id of the connection.
        :param filters: as for :meth:`list_trackings`, without ``update_time_min`` and ``update_time_max``.
        :param settle: how long a delivered or expired shipment must be unchanged before later loads omit it.
        :param max_open: how long after its registration a shipment may be read with the list; older ones are read by
            number.
        :param full_refresh: whether to read everything again.
        :param mark_missing: whether to report shipments that are no longer registered.
        :param event_texts: ``"drop"`` leaves out the carriers' texts, which sometimes contain the receiver's name.
        :param include_personal_data: whether to read names, e-mail addresses and phone numbers.
        :param include_raw: whether to add the vendor's record as JSON, which may contain personal data.
        :return: an iterator of :class:`~airflow_provider_trackingmore.loading.stream.RowBatch`; its ``state`` is
            available after the last one.
        :raises InvalidArgumentError: before any request, naming the argument.
        :raises LoadStateError: before any request, if the state cannot be used.
        """
        if event_texts not in ("keep", "drop"):
            raise InvalidArgumentError(f"event_texts must be 'keep' or 'drop', not {format_value(event_texts)}")
        rows = RowOptions(
            self.trackingmore_conn_id if account is None else account,
            event_texts == "keep",
            include_personal_data,
            include_raw,
        )
        options = LoadOptions(rows, filters or {}, settle, max_open, full_refresh, mark_missing)
        options.check()
        return ShipmentStream(self.shipment_source(), state, options, datetime.now(UTC))

    # Account, carriers, lanes, air cargo -----------------------------------------------------------------------------

    def get_account(self) -> Account:
        """Get the account, with ``GET /trackings/getuserinfo``.

        :return: the account: remaining quota, balance, and (personal data) e-mail address and phone number.
        :raises AuthenticationError: if TrackingMore refuses the API key.
        """
        account = self._send(endpoints.get_account())
        if account.quota_left is not None:
            METRICS.gauge("quota_left", account.quota_left)
        return account

    def check_quota(self, cost: float, floor: float) -> None:
        """Fail if less than ``floor`` units of quota would remain, with ``GET /trackings/getuserinfo``.

        :param cost: units of quota that are about to be spent.
        :param floor: units that must remain.
        :raises QuotaFloorError: saying how much is left.
        """
        left = self.get_account().quota_left
        if left is None:
            raise QuotaFloorError(
                "quota_floor is set, but TrackingMore does not say how much quota is left. No quota was spent"
            )
        # Fifths of a unit do not add up exactly in binary.
        if round(left - cost, 6) < floor:
            raise QuotaFloorError(
                f"{left} units of quota are left and this task costs {cost:g}, so that less than "
                f"quota_floor={floor:g} would remain. No quota was spent. Top up the account or lower quota_floor"
            )

    def check_remote_areas(self, places: Sequence[Place]) -> list[RemoteArea]:
        """Find out which places carriers treat as remote, 40 per request, with ``POST /trackings/remote``.

        5 requests cost one unit of quota.

        :param places: mappings with ``country`` (name or ISO alpha-2), ``postcode`` (or city), optionally ``company``.
        :return: an entry for each carrier that treats a place as remote, with ``listed_as`` ``RemoteList.REMOTE``, and
            whatever else TrackingMore lists, with ``OTHER``. It knows the lists of DHL, UPS, FedEx and TNT only.
        :raises InvalidArgumentError: before any request, if a place is invalid.
        :raises LookupInterruptedError: if a request fails; its ``found`` is the result of those before, which cost
            quota.
        """
        return self.run(
            request_in_chunks(endpoints.check_remote_areas, as_entries("places", places), BATCH_SIZE, [], operator.add)
        )

    def get_transit_times(self, lanes: Sequence[Lane]) -> list[TransitTimes]:
        """Get statistics of transit times, 40 lanes per request, with ``POST /trackings/costtime``.

        :param lanes: mappings with ``carrier_code``, ``original`` and ``destination`` (ISO alpha-2).
        :return: one entry per lane that TrackingMore knows, with shares of the delivered shipments, 0 to 1.
        :raises InvalidArgumentError: before any request, if a lane is invalid.
        :raises LookupInterruptedError: if a request fails; its ``found`` is the result of those before.
        """
        return self.run(
            request_in_chunks(endpoints.get_transit_times, as_entries("lanes", lanes), BATCH_SIZE, [], operator.add)
        )

    def track_air_cargo(self, waybills: Sequence[str], lang: str | None = None) -> dict[str, AirCargo]:
        """Track air waybills, 20 per request, with ``POST /trackings/aircargo``. **Each costs 20 units of quota.**

        :param waybills: such as ``172-28891936``; duplicates are sent once.
        :param lang: two-letter language of the texts; None for the airline's own.
        :return: waybill -> record, without the waybills that TrackingMore does not know.
        :raises InvalidArgumentError: before any request, if a waybill or the language is invalid.
        :raises LookupInterruptedError: if a request fails; its ``found`` is the result of those before, which cost
            quota.
        """
        endpoint = partial(endpoints.track_air_cargo, lang=lang)
        return self.run(request_in_chunks(endpoint, check_waybills(waybills), WAYBILLS, {}, operator.or_))

    def list_carriers(self, lang: str = "en") -> list[Carrier]:
        """List all carriers that TrackingMore supports, with ``GET /carriers``.

        :param lang: the language of their names: en, cn, tw, es, ru or it.
        :return: the carriers.
        :raises InvalidArgumentError: before any request, if the language is none of these.
        """
        return self._send(endpoints.list_carriers(lang))

    def detect_carrier(self, tracking_number: str) -> list[Carrier]:
        """Detect the carrier of a number, with ``POST /carriers/detect``. 5 requests cost one unit of quota.

        :param tracking_number: the number.
        :return: candidates, best first; empty if there are none.
        :raises InvalidArgumentError: before any request, if the number is invalid.
        """
        return self._send(endpoints.detect_carrier(check_tracking_number(tracking_number)))

    def _batch(self, job: batching.Job, checked: CheckedShipments, report: ReportT) -> ReportT:
        return log_report(self.log, self.run(batching.send_batches(job, checked, report, progress_logger(self.log))))
