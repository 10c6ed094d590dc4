"""One function per endpoint of API v2: it turns arguments into a ``Request``.

The numbers in the docstrings are sections of the project's API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NotRequired, TypedDict, get_args

from airflow_provider_trackingmore.api import parsers
from airflow_provider_trackingmore.api.envelope import Repeat, Request, path
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import CountFilters, ListFilters, filter_query
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import Body, ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.api.reports import BatchResponse
from airflow_provider_trackingmore.api.resources import Account, AirCargo, Carrier, Page, RemoteArea, TransitTimes
from airflow_provider_trackingmore.api.shipments import REALTIME_NAMES
from airflow_provider_trackingmore.api.validation import check_language, check_mapping

TWO_HOUR_CODES = frozenset({403, 409, 429, 4012, 4020, 4031})
"""No source says how the API responds within the two hours, so the rule is explained for all likely codes."""


class Place(TypedDict):
    """A place that may be remote. ``company`` limits the answer to one of DHL, UPS, FedEx and TNT."""

    country: str
    postcode: str | int
    company: NotRequired[str | None]


class Lane(TypedDict):
    """A carrier's route between two countries, as ISO 3166 alpha-2 codes."""

    carrier_code: str
    original: str
    destination: str


CarrierLanguage = Literal["en", "cn", "tw", "es", "ru", "it"]


def create_tracking(body: Body) -> Request[Tracking]:
    """``POST /trackings/post`` (1.1). An existing number is success, with ``created`` False."""
    key = ShipmentKey.from_body(body)
    return Request(
        method="POST",
        path=path("trackings", "post"),
        body=dict(body),
        parse=lambda data: parsers.parse_created(key, data),
        expected_codes={4016: lambda: parsers.parse_existing(key)},
        subject=str(key),
    )


def get_tracking(carrier_code: str, tracking_number: str, *, lang: str | None = None) -> Request[Tracking]:
    """``GET /trackings/{carrier_code}/{tracking_number}[/{lang}]`` (1.2)."""
    key = ShipmentKey(carrier_code, tracking_number)
    return Request(
        method="GET",
        path=path("trackings", carrier_code, tracking_number, check_language(lang) if lang else None),
        parse=lambda data: parsers.parse_tracking(key, data),
        subject=str(key),
    )


def update_tracking(carrier_code: str, tracking_number: str, changes: Body) -> Request[Tracking]:
    """``PUT /trackings/{carrier_code}/{tracking_number}`` with the result of ``changes_body`` (1.3)."""
    key = ShipmentKey(carrier_code, tracking_number)
    return Request(
        method="PUT",
        path=path("trackings", carrier_code, tracking_number),
        body=dict(changes),
        parse=lambda data: parsers.parse_updated(key, data),
        subject=str(key),
    )


def delete_tracking(carrier_code: str, tracking_number: str) -> Request[bool]:
    """``DELETE /trackings/{carrier_code}/{tracking_number}`` (1.4). False if it was not registered (4017)."""
    return Request(
        method="DELETE",
        path=path("trackings", carrier_code, tracking_number),
        parse=lambda data: True,
        expected_codes={4017: lambda: False, 4031: lambda: False},
        subject=f"{carrier_code} {tracking_number}",
    )


def create_batch(bodies: Sequence[Body]) -> Request[BatchResponse]:
    """``POST /trackings/batch`` (1.5), up to 40 shipments."""
    keys = _keys(bodies)
    return _batch("batch", bodies, lambda data: parsers.parse_batch_created(keys, data))


def update_batch(bodies: Sequence[Body]) -> Request[BatchResponse]:
    """``POST /trackings/updatemore`` (1.7), up to 40 shipments."""
    keys = _keys(bodies)
    return _batch("updatemore", bodies, lambda data: parsers.parse_batch_updated(keys, data))


def delete_batch(bodies: Sequence[Body]) -> Request[BatchResponse]:
    """``POST /trackings/delete`` (1.8), up to 40 shipments."""
    keys = _keys(bodies)
    return _batch("delete", bodies, lambda data: parsers.parse_batch_deleted(keys, data))


def stop_updates(bodies: Sequence[Body]) -> Request[BatchResponse]:
    """``POST /trackings/notupdate`` (1.13), up to 40 shipments."""
    keys = _keys(bodies)
    return _batch("notupdate", bodies, lambda data: parsers.parse_batch_stopped(keys, data))


def list_page(filters: ListFilters | None = None, *, page: int = 1, limit: int = PAGE_SIZE) -> Request[Page]:
    """``GET /trackings/get`` (1.6). If the result is empty (4031), it is a page without items."""
    if type(limit) is not int or not 1 <= limit <= PAGE_SIZE:
        raise InvalidArgumentError(f"limit must be a whole number from 1 to {PAGE_SIZE}, not {format_value(limit)}")
    if page < 1:
        raise InvalidArgumentError(f"page must be 1 or more, not {page}")
    return Request(
        method="GET",
        path=path("trackings", "get"),
        query={"page": str(page), "limit": str(limit), **filter_query(dict(filters or {}))},
        parse=Page.from_payload,
        expected_codes={4031: lambda: Page((), 0), 4017: lambda: Page((), 0)},
        max_rows=limit,
    )


def realtime_tracking(body: Body) -> Request[Tracking]:
    """``POST /trackings/realtime`` (1.9), which has other names for two of the create fields.

    It is not repeated after its response was lost, because of the two-hour rule.
    """
    key = ShipmentKey.from_body(body)
    return Request(
        method="POST",
        path=path("trackings", "realtime"),
        body={REALTIME_NAMES.get(name, name): value for name, value in body.items()},
        parse=lambda data: parsers.parse_realtime(key, data),
        notes=dict.fromkeys(TWO_HOUR_CODES, parsers.TWO_HOUR_RULE),
        repeat=Repeat.UNLESS_SENT,
        subject=str(key),
        realtime=True,
    )


def change_carrier(*, carrier_code: str, tracking_number: str, new_carrier_code: str) -> Request[None]:
    """``POST /trackings/update`` (1.10)."""
    return Request(
        method="POST",
        path=path("trackings", "update"),
        body={
            "tracking_number": tracking_number,
            "carrier_code": carrier_code,
            "update_carrier_code": new_carrier_code,
        },
        parse=lambda data: None,
        subject=f"{carrier_code} {tracking_number}",
    )


def get_account() -> Request[Account]:
    """``GET /trackings/getuserinfo`` (1.11)."""
    return Request(method="GET", path=path("trackings", "getuserinfo"), parse=Account.from_payload)


def count_by_status(filters: CountFilters | None = None) -> Request[dict[ShipmentStatus, int]]:
    """``GET /trackings/getstatusnumber`` (1.12)."""
    return Request(
        method="GET",
        path=path("trackings", "getstatusnumber"),
        query=filter_query(dict(filters or {}), CountFilters.__optional_keys__),
        parse=parsers.parse_status_counts,
        expected_codes={4031: lambda: parsers.parse_status_counts({})},
    )


def check_remote_areas(places: Sequence[object]) -> Request[list[RemoteArea]]:
    """``POST /trackings/remote`` (1.14). 5 requests cost one unit of quota."""
    return Request(
        method="POST",
        path=path("trackings", "remote"),
        body=[check_mapping(place, ("country", "postcode"), ("company",), "place") for place in places],
        parse=RemoteArea.list_from_payload,
        expected_codes={4031: list},
        repeat=Repeat.UNLESS_SENT,
    )


def get_transit_times(lanes: Sequence[object]) -> Request[list[TransitTimes]]:
    """``POST /trackings/costtime`` (1.15)."""
    return Request(
        method="POST",
        path=path("trackings", "costtime"),
        body=[check_mapping(lane, ("carrier_code", "original", "destination"), (), "lane") for lane in lanes],
        parse=TransitTimes.list_from_payload,
        expected_codes={4031: list},
    )


def track_air_cargo(waybills: Sequence[str], *, lang: str | None = None) -> Request[dict[str, AirCargo]]:
    """``POST /trackings/aircargo`` (1.16). Each waybill costs 20 units of quota.

    :raises InvalidArgumentError: if ``lang`` is not two letters.
    """
    return Request(
        method="POST",
        path=path("trackings", "aircargo"),
        body={"track_number": list(waybills), **({"lang": check_language(lang)} if lang else {})},
        parse=AirCargo.dict_from_payload,
        expected_codes={4031: dict},
        repeat=Repeat.UNLESS_SENT,
    )


def list_carriers(lang: str = "en") -> Request[list[Carrier]]:
    """``GET /carriers`` (1.17). ``lang`` is one of en, cn, tw, es, ru, it."""
    if lang not in get_args(CarrierLanguage):
        raise InvalidArgumentError(f"lang must be one of en, cn, tw, es, ru, it, not {format_value(lang)}")
    return Request(
        method="GET",
        path=path("carriers"),
        headers={"Lang": lang},
        parse=Carrier.list_from_payload,
        expected_codes={4031: list},
    )


def detect_carrier(tracking_number: str) -> Request[list[Carrier]]:
    """``POST /carriers/detect`` (1.18), best match first. If there is none (4032), the list is empty.

    5 requests cost one unit of quota.
    """
    return Request(
        method="POST",
        path=path("carriers", "detect"),
        body={"tracking_number": tracking_number},
        parse=Carrier.list_from_payload,
        expected_codes={4032: list, 4031: list},
        repeat=Repeat.UNLESS_SENT,
        subject=tracking_number,
    )


def _keys(bodies: Sequence[Body]) -> tuple[ShipmentKey, ...]:
    return tuple(map(ShipmentKey.from_body, bodies))


def _batch(name: str, bodies: Sequence[Body], parse: Callable[[object], BatchResponse]) -> Request[BatchResponse]:
    return Request(
        method="POST",
        path=path("trackings", name),
        body=[dict(body) for body in bodies],
        parse=parse,
        subject=f"{len(bodies)} shipments",
    )
