"""The API's resources besides trackings: account, carriers, pages, remote areas, transit times and air cargo."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.json_values import (
    parse_float,
    parse_int,
    parse_object,
    parse_objects,
    parse_text,
)
from airflow_provider_trackingmore.api.limits import END_OF_YEAR_9999
from airflow_provider_trackingmore.api.models import Tracking


@dataclass(frozen=True, slots=True)
class Page:
    """One page of ``GET /trackings/get``.

    :param items: its trackings.
    :param total: how many trackings match the filters; None if the response does not say.
    """

    items: tuple[Tracking, ...] = ()
    total: int | None = None

    @classmethod
    def from_payload(cls, data: object) -> Page:
        """Parse a page; an empty one is ``[]``, ``{}`` or null.

        :param data: the response's ``data``.
        :return: the page.
        :raises MalformedResponseError: if it is not a page.
        """
        if not data:
            return cls((), 0)
        if not isinstance(data, dict) or not isinstance(data.get("items") or [], list):
            raise MalformedResponseError("expected a page of trackings, TrackingMore sent something else")
        return cls(tuple(map(Tracking.from_payload, data.get("items") or ())), parse_int(data.get("total")))


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the API key. E-mail address and phone number are not part of the repr.

    :param quota_left: shipments that may still be registered; None if the response does not say.
    :param balance: the account's balance, in the vendor's unit.
    :param registered_at: when the account was created.
    :param email: the login address. Personal data.
    :param phone: personal data.
    :param raw: the vendor's record.
    """

    quota_left: int | None
    balance: float | None
    registered_at: datetime | None
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, data: object) -> Account:
        """Parse ``GET /trackings/getuserinfo`` in both known variants (reference 1.11).

        :param data: the response's ``data``.
        :return: the account.
        :raises MalformedResponseError: if it is not an object.
        """
        record = _expect_object(data, "the account")
        quota = parse_int(record.get("track_number"))
        if quota is None:
            quota = parse_int(parse_object(record.get("plan")).get("remaining_order"))
        seconds = parse_int(record.get("regtime"))
        in_range = seconds is not None and 0 < seconds < END_OF_YEAR_9999
        return cls(
            quota_left=quota,
            balance=parse_float(record.get("money")),
            registered_at=datetime.fromtimestamp(seconds, UTC) if seconds is not None and in_range else None,
            email=parse_text(record.get("email")),
            phone=parse_text(record.get("phone")),
            raw=record,
        )

    @property
    def masked_email(self) -> str:
        """The login address, shortened so that its owner can recognize it: ``e…@abc.com``."""
        name, at, domain = (self.email or "").rpartition("@")
        return f"{name[:1]}…@{domain}" if at else "an account without an e-mail address"


@dataclass(frozen=True, slots=True)
class Carrier:
    """A carrier that TrackingMore supports.

    :param code: the value for ``carrier_code``.
    :param name: its name.
    :param type: ``express`` or ``globalpost``; None in detection results.
    :param phone: its public phone number.
    :param homepage: its website, with a scheme.
    :param raw: the vendor's record.
    """

    code: str
    name: str
    type: str | None = None
    phone: str | None = None
    homepage: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def list_from_payload(cls, data: object) -> list[Carrier]:
        """Parse a list of carriers, in the API's order; entries without a code are omitted.

        :param data: the response's ``data``.
        :return: the carriers.
        :raises MalformedResponseError: if it is neither a list nor empty.
        """
        return [
            cls(
                code=code,
                name=parse_text(row.get("name")) or code,
                type=parse_text(row.get("type")),
                phone=parse_text(row.get("phone")),
                homepage=_with_scheme(parse_text(row.get("homepage"))),
                raw=row,
            )
            for row in _expect_list(data, "carriers")
            if (code := parse_text(row.get("code")))
        ]


class RemoteList(enum.StrEnum):
    """The list of a response in which a place is."""

    REMOTE = "remote"
    """The carrier treats the place as remote."""
    OTHER = "other"
    """Not documented; probably places that no carrier treats as remote, and unknown places."""


@dataclass(frozen=True, slots=True)
class RemoteArea:
    """A place that a carrier may treat as remote, for which it usually charges extra.

    :param company: the carrier, in the vendor's short form (``dhl``, ``ups``, ``fedex``, ``tnt``).
    :param country_code: ISO 3166 alpha-2.
    :param country: its English name, or the request's country.
    :param postcode: the postcode, or the city where there are none.
    :param listed_as: the list in the response.
    :param raw: the vendor's record.
    """

    company: str | None
    country_code: str | None
    country: str | None
    postcode: str | None
    listed_as: RemoteList = RemoteList.REMOTE
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def list_from_payload(cls, data: object) -> list[RemoteArea]:
        """Parse ``POST /trackings/remote``: one entry per carrier that treats a place as remote, then the others.

        :param data: the response's ``data``.
        :return: the entries of both lists.
        :raises MalformedResponseError: if it is neither an object nor empty.
        """
        record = _expect_object(data, "remote areas") if data else {}
        return [cls._from_row(name, row) for name in RemoteList for row in parse_objects(record.get(name.value))]

    @classmethod
    def _from_row(cls, listed_as: RemoteList, row: Mapping[str, Any]) -> RemoteArea:
        # No source shows an entry of "other": it may look like the others, or like the request.
        return cls(
            company=parse_text(row.get("far_express_company")) or parse_text(row.get("company")),
            country_code=parse_text(row.get("two_code")),
            country=parse_text(row.get("far_country")) or parse_text(row.get("country")),
            postcode=parse_text(row.get("far_city_postcode")) or parse_text(row.get("postcode")),
            listed_as=listed_as,
            raw=row,
        )


@dataclass(frozen=True, slots=True)
class TransitTimes:
    """Delivery times of a carrier between two countries.

    Shares are fractions of the delivered shipments: 0.125 is 12.5 %. The rest took longer than 60 days.

    :param carrier_code: the carrier.
    :param original: ISO 3166 alpha-2 of the origin.
    :param destination: ISO 3166 alpha-2 of the destination.
    :param total: shipments in the statistics.
    :param delivered: how many of them were delivered.
    :param days_0_7: share delivered within 7 days; None if the response has none.
    :param days_7_15: share delivered within 7 to 15 days.
    :param days_16_30: share delivered within 16 to 30 days.
    :param days_31_60: share delivered within 31 to 60 days.
    :param raw: the vendor's record.
    """

    carrier_code: str | None
    original: str | None
    destination: str | None
    total: int | None
    delivered: int | None
    days_0_7: float | None
    days_7_15: float | None
    days_16_30: float | None
    days_31_60: float | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def list_from_payload(cls, data: object) -> list[TransitTimes]:
        """Parse ``POST /trackings/costtime``. All sources truncate the response: a list, or one in ``items``.

        :param data: the response's ``data``.
        :return: one entry per lane that TrackingMore knows.
        :raises MalformedResponseError: if it is neither a list nor empty.
        """
        items = data["items"] if isinstance(data, dict) and "items" in data else data
        return [cls._from_row(row) for row in _expect_list(items, "transit times")]

    @classmethod
    def _from_row(cls, row: Mapping[str, Any]) -> TransitTimes:
        first, second, third, fourth = _shares([row.get(name) for name in ("range1", "range3", "range4", "range5")])
        return cls(
            carrier_code=parse_text(row.get("carrier_code")),
            original=parse_text(row.get("original")),
            destination=parse_text(row.get("destination")),
            total=parse_int(row.get("total")),
            delivered=parse_int(row.get("delivered")),
            days_0_7=first,
            days_7_15=second,
            days_16_30=third,
            days_31_60=fourth,
            raw=row,
        )


def _shares(values: Sequence[object]) -> Iterator[float | None]:
    """Parse the shares of a lane: ``0.125``, or percentages if one of them has the sign (``"12.5%"``) or exceeds 1."""
    numbers = [parse_float(value.strip().removesuffix("%") if isinstance(value, str) else value) for value in values]
    has_sign = any(isinstance(value, str) and value.strip().endswith("%") for value in values)
    whole = 100 if has_sign or any(number > 1 for number in numbers if number is not None) else 1
    for number in numbers:
        yield number / whole if number is not None and 0 <= number <= whole else None


@dataclass(frozen=True, slots=True)
class AirCargoEvent:
    """An event of an air waybill. Times are in the airline's format."""

    event: str | None
    station: str | None
    plan_date: str | None
    actual_date: str | None
    flight_number: str | None
    pieces: str | None
    weight: str | None


@dataclass(frozen=True, slots=True)
class Flight:
    """A flight of an air waybill. Times are in the airline's format."""

    flight_number: str
    depart_station: str | None
    arrival_station: str | None
    plan_depart_time: str | None
    depart_time: str | None
    plan_arrival_time: str | None
    arrival_time: str | None


@dataclass(frozen=True, slots=True)
class AirCargo:
    """An air waybill.

    :param waybill: its number, as requested.
    :param origin: the airport of departure.
    :param destination: the airport of arrival.
    :param pieces: the number of pieces, as sent.
    :param weight: the weight, as sent.
    :param status_number: the vendor's status number (its values are not published).
    :param airline: the airline's name.
    :param track_url: the airline's page for this waybill.
    :param events: the events, in the API's order.
    :param flights: the flights, in the API's order.
    :param raw: the vendor's record.
    """

    waybill: str
    origin: str | None
    destination: str | None
    pieces: str | None
    weight: str | None
    status_number: int | None
    airline: str | None
    track_url: str | None
    events: tuple[AirCargoEvent, ...] = ()
    flights: tuple[Flight, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def dict_from_payload(cls, data: object) -> dict[str, AirCargo]:
        """Parse ``POST /trackings/aircargo``, which is keyed by waybill.

        :param data: the response's ``data``.
        :return: waybill -> record.
        :raises MalformedResponseError: if it is neither an object nor empty.
        """
        record = _expect_object(data, "air waybills") if data else {}
        return {waybill: cls._from_row(waybill, row) for waybill, row in record.items() if isinstance(row, dict)}

    @classmethod
    def _from_row(cls, waybill: str, row: Mapping[str, Any]) -> AirCargo:
        cargo, airline = parse_object(row.get("return_data")), parse_object(row.get("airline_info"))
        events = tuple(
            AirCargoEvent(
                event=parse_text(item.get("event")),
                station=parse_text(item.get("station")),
                plan_date=parse_text(item.get("plan_date")),
                actual_date=parse_text(item.get("actual_date")),
                flight_number=parse_text(item.get("flight_number")),
                pieces=parse_text(item.get("piece")),
                weight=parse_text(item.get("weight")),
            )
            for item in parse_objects(cargo.get("track_info"))
        )
        flights = tuple(
            Flight(number, *(parse_text(parse_object(item).get(name)) for name in Flight.__slots__[1:]))
            for number, item in parse_object(cargo.get("flight_info")).items()
        )
        return cls(
            waybill=waybill,
            origin=parse_text(cargo.get("origin")),
            destination=parse_text(cargo.get("destination")),
            pieces=parse_text(cargo.get("piece")),
            weight=parse_text(cargo.get("weight")),
            status_number=parse_int(cargo.get("status_number")),
            airline=parse_text(airline.get("name")),
            track_url=_with_scheme(parse_text(airline.get("track_url"))),
            events=events,
            flights=flights,
            raw=row,
        )


def _expect_object(data: object, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise MalformedResponseError(f"expected {what}, TrackingMore sent {type(data).__name__}")
    return data


def _expect_list(data: object, what: str) -> list[dict[str, Any]]:
    if data and not isinstance(data, list):
        raise MalformedResponseError(f"expected {what}, TrackingMore sent {type(data).__name__}")
    return parse_objects(data)


def _with_scheme(url: str | None) -> str | None:
    return f"https:{url}" if url and url.startswith("//") else url
