"""Each recorded response is parsed into the expected value, field by field."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.errors import (
    AuthenticationError,
    RateLimitError,
    TrackingExistsError,
    TrackingMoreError,
    TrackingNotFoundError,
)
from airflow_provider_trackingmore.api.models import Checkpoint, ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.api.reports import BatchResponse, Rejection
from airflow_provider_trackingmore.api.resources import Account, AirCargoEvent, Carrier, Flight, RemoteArea

Record = Callable[[str], Any]
Read = Callable[..., Any]

CHINA = timezone(timedelta(hours=8))
LAMP = {"tracking_number": "JJD000390007882536", "carrier_code": "dhl-germany"}


def test_a_created_tracking(record: Record, read: Read) -> None:
    tracking = read(endpoints.create_tracking(LAMP), record("post_trackings_post")["response"])
    assert tracking == Tracking(
        carrier_code="dhl-germany",
        tracking_number="JJD000390007882536",
        status=ShipmentStatus.PENDING,
        status_text="pending",
        id="61b8a83fc481a0ace6512fa0bd9c6331",
        created_at=datetime(2021, 7, 4, 17, 31, 6, tzinfo=CHINA),
        created=True,
    )
    assert tracking.raw["order_create_time"] == 0
    assert tracking.raw["destination"] == ""


def test_a_created_tracking_in_the_form_of_2017(record: Record, read: Read) -> None:
    """Unset fields were the word "null" then."""
    answer = {"meta": {"code": 201}, "data": record("post_trackings_post")["data_2017"]}
    request = endpoints.create_tracking({"tracking_number": "2B7C55A0911", "carrier_code": "bartolini"})
    tracking = read(request, answer)
    assert tracking.key == ShipmentKey("bartolini", "2B7C55A0911")
    assert tracking.created is True
    assert tracking.status is ShipmentStatus.PENDING
    assert (tracking.order_id, tracking.customer_name, tracking.customer_emails, tracking.title) == (
        None,
        None,
        (),
        None,
    )


@pytest.mark.parametrize("form", [0, 1], ids=["4016", "201 without a record"])
def test_a_number_that_already_exists_is_success_and_says_so(form: int, record: Record, read: Read) -> None:
    answer = record("post_trackings_post")["responses_already_exists"][form]
    tracking = read(endpoints.create_tracking(LAMP), answer)
    assert tracking == Tracking("dhl-germany", "JJD000390007882536", created=False)


def test_a_number_that_already_exists_may_be_returned_with_its_record(record: Record, read: Read) -> None:
    """The third form: success, with the object; a status after pending shows that it is not new."""
    item = record("get_trackings_get")["response"]["data"]["items"][1]
    request = endpoints.create_tracking({"tracking_number": "7714000912352", "carrier_code": "gls"})
    tracking = read(request, {"meta": {"code": 201}, "data": item})
    assert tracking.created is False
    assert tracking.status is ShipmentStatus.DELIVERED


def test_a_tracking_with_all_its_fields(record: Record, read: Read) -> None:
    request = endpoints.get_tracking("yunexpress", "YT2003410000551872")
    tracking = read(request, record("get_trackings_carrier_number")["response"])
    registered = datetime(2020, 2, 28, 9, 47, 13, tzinfo=UTC)
    assert tracking == Tracking(
        carrier_code="yunexpress",
        tracking_number="YT2003410000551872",
        status=ShipmentStatus.DELIVERED,
        status_text="delivered",
        id="901ac7c47793b3ad123501eda7d9745c",
        order_id="SO-10482",
        created_at=registered,
        updated_at=registered,
        archived=False,
    )
    assert tracking.updating is None
    assert tracking.title == "oak side table"
    assert tracking.comment is None
    assert tracking.customer_name == "Maren Tveit"
    assert tracking.customer_emails == ("orders@nordlys.example",)
    assert tracking.original_country is None
    assert tracking.destination_country == "Norway"
    assert (tracking.transit_days, tracking.stay_days) == (12, 2)
    assert tracking.checkpoints == (
        Checkpoint(
            time="2020-02-26T18:29:11",
            description="Parcel handed to recipient",
            place="Stavanger, NO",
            status=ShipmentStatus.DELIVERED,
            status_text="delivered",
            substatus=None,
        ),
        Checkpoint(
            time="2020-02-26T11:04:11",
            description="LOADED ON DELIVERY VEHICLE",
            place="Stavanger, NO",
            status=ShipmentStatus.PICKUP,
            status_text="pickup",
            substatus=None,
        ),
    )
    assert tracking.delivered_at == tracking.last_update == "2020-02-26T18:29:11"
    assert tracking.last_event == "Parcel handed to recipient,Stavanger, NO,2020-02-26 18:29:11"
    assert tracking.raw["origin_info"]["CustomsClearance"] == "2020-02-18 20:47:11"


def test_an_expired_item_of_2017(record: Record, read: Read) -> None:
    """Times without seconds, events without a status, a second leg of nothing but null."""
    request = endpoints.get_tracking("poczta-polska", "RB600417723PL")
    tracking = read(request, {"meta": {"code": 200}, "data": record("item_expired_real_2017")["item"]})
    assert tracking.status is ShipmentStatus.EXPIRED
    assert tracking.created_at == datetime(2019, 8, 13, 21, 47, tzinfo=CHINA)
    assert tracking.updated_at == datetime(2019, 9, 3, 16, 1, 45, tzinfo=CHINA)
    assert (tracking.archived, tracking.updating, tracking.order_id) == (None, None, None)
    assert tracking.customer_emails == ()
    assert tracking.original_country == "Poland"
    assert [(point.time, point.description) for point in tracking.checkpoints] == [
        ("2019-07-09T16:08:00", "Handed to the airline"),
        ("2019-07-07T20:59:00", "Left the sorting office"),
        ("2019-07-07T14:00:00", "Posted over the counter"),
        ("2019-07-04T03:43:00", "Label printed"),
    ]
    assert {point.status for point in tracking.checkpoints} == {ShipmentStatus.UNKNOWN}
    assert tracking.last_update == "2019-07-09T16:08:00"
    assert tracking.delivered_at is None


def test_an_updated_tracking(record: Record, read: Read) -> None:
    request = endpoints.update_tracking("dpd-poland", "00340434161094015902", {"title": "walnut shelf"})
    tracking = read(request, record("put_trackings_carrier_number")["response"])
    assert tracking == Tracking(
        carrier_code="dpd-poland",
        tracking_number="00340434161094015902",
        id="29596e0a66db27678d5b80c14ee8cd9a",
        order_id="ORD-77120",
        created_at=datetime(2020, 3, 1, 17, 51, 41, tzinfo=CHINA),
        updated_at=datetime(2020, 3, 1, 17, 49, 38, tzinfo=CHINA),
        archived=True,
    )
    assert tracking.title == "walnut shelf"
    assert tracking.customer_name == "Tomasz"
    assert tracking.customer_emails == ("orders@nordlys.example",)
    assert tracking.customer_phone == "+48220000003"


def test_a_deleted_tracking(record: Record, read: Read) -> None:
    request = endpoints.delete_tracking("ups", "1Z5R89390357567127")
    assert read(request, record("delete_trackings_carrier_number")["response"]) is True
    assert read(request, record("errors")["4017"]) is False


def test_a_batch_of_which_one_had_been_registered_before(record: Record, read: Read) -> None:
    sent = ["7714000912352", "7714000912345", "77140009123522", "771400091230"]
    request = endpoints.create_batch([{"tracking_number": number, "carrier_code": "gls"} for number in sent])
    answer = read(request, record("post_trackings_batch")["response"])
    assert answer == BatchResponse(
        done=tuple(ShipmentKey("gls", number) for number in sent[:3]),
        unchanged=(ShipmentKey("gls", "771400091230"),),
    )


def test_a_page_of_the_list(record: Record, read: Read) -> None:
    page = read(endpoints.list_page(), record("get_trackings_get")["response"])
    assert page.total == 2
    on_the_way, arrived = page.items
    assert on_the_way == Tracking(
        carrier_code="gls",
        tracking_number="7714000912345",
        status=ShipmentStatus.PICKUP,
        status_text="pickup",
        id="e995c2b31bab45583ad901cfd13f7504",
        created_at=datetime(2021, 7, 3, 18, 13, 6, tzinfo=CHINA),
        updated_at=datetime(2021, 7, 3, 19, 32, 15, tzinfo=CHINA),
        updating=True,
        archived=False,
    )
    assert (on_the_way.transit_days, on_the_way.stay_days) == (88, 19)
    assert on_the_way.delivered_at is None
    assert [point.place for point in on_the_way.checkpoints] == ["Bergen", "Odense", "Bergen"]
    assert arrived.key == ShipmentKey("gls", "7714000912352")
    assert (arrived.status, arrived.updating) == (ShipmentStatus.DELIVERED, False)
    assert arrived.updated_at is None
    assert arrived.delivered_at == "2021-06-19T21:56:25"
    assert [point.status for point in arrived.checkpoints] == [
        ShipmentStatus.DELIVERED,
        ShipmentStatus.PICKUP,
        ShipmentStatus.TRANSIT,
    ]


def test_many_updated(record: Record, read: Read) -> None:
    recorded = record("post_trackings_updatemore")
    answer = read(endpoints.update_batch(recorded["request"]["body"]), recorded["response"])
    assert answer == BatchResponse(
        done=(ShipmentKey("dhl-germany", "JJD000390007882536"), ShipmentKey("deutsche-post", "CX473829110DE"))
    )


def test_many_deleted(record: Record, read: Read) -> None:
    recorded = record("post_trackings_delete")
    answer = read(endpoints.delete_batch(recorded["request"]["body"]), recorded["response"])
    assert answer == BatchResponse(
        done=(ShipmentKey("ups", "1Z5R89390357567127"), ShipmentKey("postnl-3s", "WISH40227781"))
    )


def test_many_deleted_of_which_one_was_not_there(record: Record, read: Read) -> None:
    recorded = record("post_trackings_delete")
    answer = read(endpoints.delete_batch(recorded["request"]["body"]), recorded["response_partial_failure"])
    assert answer == BatchResponse(
        done=(ShipmentKey("ups", "1Z5R89390357567127"),), unchanged=(ShipmentKey("postnl-3s", "WISH40227781"),)
    )


def test_many_stopped(record: Record, read: Read) -> None:
    recorded = record("post_trackings_notupdate")
    answer = read(endpoints.stop_updates(recorded["request"]["body"]), recorded["response"])
    assert answer == BatchResponse(
        done=(ShipmentKey("finland-posti", "RX114402297FI"), ShipmentKey("deutsche-post", "CX473829123DE"))
    )


def test_a_realtime_response_is_a_list_of_one(record: Record, read: Read) -> None:
    recorded = record("post_trackings_realtime")
    tracking = read(endpoints.realtime_tracking(recorded["request"]["body"]), recorded["response"])
    assert tracking == Tracking(
        carrier_code="sweden-posten",
        tracking_number="RR907115226SE",
        status=ShipmentStatus.TRANSIT,
        status_text="transit",
        id="474fadaf993f770c627d683232d87c99",
    )
    assert (tracking.original_country, tracking.destination_country) == ("Sweden", "Chile")
    assert tracking.transit_days is None
    assert [(point.time, point.place) for point in tracking.checkpoints] == [
        ("2017-09-05T00:09:00", "CTP SANTIAGO"),
        ("2017-09-04T20:19:00", ""),
        ("2017-09-04T20:12:00", "PROVIDENCIA"),
        ("2017-08-22T03:17:00", "CL"),
    ]
    assert tracking.last_update == "2017-09-05T00:09:00"


def test_a_changed_carrier_returns_nothing(record: Record, read: Read) -> None:
    request = endpoints.change_carrier(
        carrier_code="deutsche-post", tracking_number="EB204918834DE", new_carrier_code="postnord"
    )
    assert read(request, record("post_trackings_update")["response"]) is None


def test_the_account(record: Record, read: Read) -> None:
    account = read(endpoints.get_account(), record("get_trackings_getuserinfo")["response"])
    assert account == Account(
        quota_left=4820,
        balance=125.0,
        registered_at=datetime(2018, 1, 2, 9, 0, 5, tzinfo=UTC),
        email="orders@nordlys.example",
        phone="+4722000002",
    )
    assert account.masked_email == "o…@nordlys.example"
    assert "orders" not in repr(account)
    assert "4722" not in repr(account)


def test_the_quota_may_be_inside_the_plan(read: Read) -> None:
    account = read(endpoints.get_account(), {"meta": {"code": 200}, "data": {"plan": {"remaining_order": "73"}}})
    assert account.quota_left == 73
    assert (account.balance, account.registered_at, account.email) == (None, None, None)
    assert account.masked_email == "an account without an e-mail address"


def test_the_counters(record: Record, read: Read) -> None:
    counts = read(endpoints.count_by_status(), record("get_trackings_getstatusnumber")["response"])
    assert counts == {
        ShipmentStatus.PENDING: 4,
        ShipmentStatus.NOT_FOUND: 7,
        ShipmentStatus.TRANSIT: 121,
        ShipmentStatus.PICKUP: 9,
        ShipmentStatus.DELIVERED: 1630,
        ShipmentStatus.UNDELIVERED: 3,
        ShipmentStatus.EXCEPTION: 5,
        ShipmentStatus.EXPIRED: 11,
    }


def test_counters_of_unknown_statuses_are_added_up(read: Read) -> None:
    data = {"delivered": "12", "inforeceived": 3, "returned": 2, "note": "not a number"}
    counts = read(endpoints.count_by_status(), {"meta": {"code": 200}, "data": data})
    assert counts[ShipmentStatus.DELIVERED] == 12
    assert counts[ShipmentStatus.UNKNOWN] == 5
    assert counts[ShipmentStatus.PENDING] == 0


def test_remote_areas(record: Record, read: Read) -> None:
    recorded = record("post_trackings_remote")
    areas = read(endpoints.check_remote_areas(recorded["request"]["body"]), recorded["response"])
    assert areas == [
        RemoteArea(company="tnt", country_code="IS", country="Iceland", postcode="524"),
        RemoteArea(company="fedex", country_code="IS", country="Iceland", postcode="524"),
    ]


def test_places_under_other_are_not_lost(read: Read) -> None:
    remote = {"far_express_company": "ups", "two_code": "JP", "far_country": "Japan", "far_city_postcode": "7621094"}
    other = [
        {"country": "NZ", "postcode": "Papaaroha"},
        {**remote, "far_express_company": "", "two_code": "NZ", "far_country": "New Zealand"},
        "NZ",
    ]
    data = {"submitted": 3, "other": other, "remote": [remote]}
    areas = read(endpoints.check_remote_areas([]), {"meta": {"code": 200}, "data": data})
    assert areas == [
        RemoteArea("ups", "JP", "Japan", "7621094", "remote"),
        RemoteArea(None, None, "NZ", "Papaaroha", "other"),
        RemoteArea(None, "NZ", "New Zealand", "7621094", "other"),
    ]
    assert areas[1].raw == other[0]


def test_transit_times_are_shares_of_the_delivered(record: Record, read: Read) -> None:
    recorded = record("post_trackings_costtime")
    one, other = read(endpoints.get_transit_times(recorded["request"]["body"]), recorded["response"])
    assert (one.carrier_code, one.original, one.destination) == ("ups", "DE", "CA")
    assert (one.total, one.delivered) == (418, 402)
    assert (one.days_0_7, one.days_7_15, one.days_16_30, one.days_31_60) == (0.62, 0.31, 0.05, 0.02)
    assert other.destination == "BR"
    assert (other.total, other.delivered) == (37, 29)
    assert (other.days_0_7, other.days_7_15, other.days_16_30, other.days_31_60) == (0, 0.125, 0.75, 0.1)


@pytest.mark.parametrize(
    ("sent", "shares"),
    [
        ([0.62, 0.31, 0.05, 0.02], [0.62, 0.31, 0.05, 0.02]),
        (["0.62", ".31", "0.05", "0"], [0.62, 0.31, 0.05, 0]),
        (["12.5%", "0.5 %", " 87%", "0%"], [0.125, 0.005, 0.87, 0]),
        (["0.5%", "0.2", None, 0], [0.005, 0.002, None, 0]),
        ([12.5, 0.5, 87, 0], [0.125, 0.005, 0.87, 0]),
        (["12.5", "0.5", "87", "0"], [0.125, 0.005, 0.87, 0]),
        ([1, 0, 0, 0], [1, 0, 0, 0]),
        (["100%", "0", None, ""], [1, 0, None, None]),
        ([311, 90, 1, 0], [None, 0.9, 0.01, 0]),
        (["many", "-5%", "%", True], [None] * 4),
        ([float("nan"), "inf%", [], {}], [None] * 4),
    ],
)
@pytest.mark.parametrize("form", ["list", "items"])
def test_a_share_is_a_fraction_or_a_percentage_with_or_without_its_sign(
    read: Read, sent: list[object], shares: list[float | None], form: str
) -> None:
    lane = {"carrier_code": "ups", "original": "DE", "destination": "BR"}
    rows = [{**lane, **dict(zip(("range1", "range3", "range4", "range5"), sent, strict=True))}]
    data = rows if form == "list" else {"items": rows}
    (times,) = read(endpoints.get_transit_times([lane]), {"meta": {"code": 200}, "data": data})
    assert [times.days_0_7, times.days_7_15, times.days_16_30, times.days_31_60] == pytest.approx(shares)
    assert times.raw.keys() == rows[0].keys()


@pytest.mark.parametrize("empty", [[], {}, None, {"items": []}, {"items": None}, {"items": {}}])
def test_no_transit_times_are_not_an_error(read: Read, empty: object) -> None:
    lane = {"carrier_code": "ups", "original": "DE", "destination": "BR"}
    assert read(endpoints.get_transit_times([lane]), {"meta": {"code": 200}, "data": empty}) == []


def test_an_air_waybill(record: Record, read: Read) -> None:
    request = endpoints.track_air_cargo(["020-44718203"])
    cargo = read(request, record("post_trackings_aircargo")["response"])
    assert list(cargo) == ["020-44718203"]
    waybill = cargo["020-44718203"]
    assert waybill.waybill == "020-44718203"
    assert (waybill.origin, waybill.destination) == ("FRA", "NRT")
    assert (waybill.pieces, waybill.weight, waybill.status_number) == ("14", "312.5", 4)
    assert waybill.airline == "Lufthansa Cargo"
    assert waybill.track_url == "https://cargo.example/awb?n=020-44718203"
    assert waybill.events == (
        AirCargoEvent(
            event="Departed",
            station="FRA",
            plan_date="2021-05-03 21:10",
            actual_date="2021-05-03 21:42",
            flight_number="LH8160",
            pieces="14",
            weight="312.5",
        ),
    )
    assert waybill.flights == (
        Flight(
            flight_number="LH8160",
            depart_station="FRA",
            arrival_station="NRT",
            plan_depart_time="2021-05-03 21:10",
            depart_time="2021-05-03 21:42",
            plan_arrival_time="2021-05-04 15:55",
            arrival_time="2021-05-04 16:08",
        ),
    )


def test_empty_texts_of_an_air_waybill_are_unset(record: Record, read: Read) -> None:
    def emptied(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: emptied(inner) for name, inner in value.items()}
        return [emptied(inner) for inner in value] if isinstance(value, list) else ""

    data = emptied(record("post_trackings_aircargo")["response"]["data"])
    waybill = read(endpoints.track_air_cargo(["020-44718203"]), {"meta": {"code": 200}, "data": data})["020-44718203"]
    assert (waybill.origin, waybill.pieces, waybill.status_number, waybill.airline, waybill.track_url) == (None,) * 5
    assert waybill.events == (AirCargoEvent(*(None,) * 7),)
    assert waybill.flights == (Flight("LH8160", *(None,) * 6),)


def test_carriers_with_an_envelope_of_nothing_but_a_code(record: Record, read: Read) -> None:
    answer = record("get_carriers")["response"]
    assert answer["meta"] == {"code": 200}
    carriers = read(endpoints.list_carriers(), answer)
    assert [carrier.code for carrier in carriers] == ["aramex", "australia-post", "czech-post"]
    assert carriers[0] == Carrier(
        code="aramex", name="Aramex", type="express", phone="971 600 544000", homepage="https://aramex.example/"
    )
    assert carriers[1].type == "globalpost"
    assert carriers[0].raw["picture"] == "//cdn.example/icons/aramex.png"


def test_carriers_with_full_urls_and_an_unknown_field(record: Record, read: Read) -> None:
    carriers = read(endpoints.list_carriers(), {"meta": {"code": 200}, "data": record("get_carriers")["entries_2019"]})
    assert [(carrier.name, carrier.homepage) for carrier in carriers] == [
        ("Aramex", "http://aramex.example/"),
        ("GLS", "http://gls.example/"),
        ("Japan Post", "http://japanpost.example/en.html"),
    ]
    assert carriers[2].raw["name_cn"] == "日本 郵便"


def test_carriers_of_which_only_code_name_and_type_are_set(record: Record, read: Read) -> None:
    entries = record("carriers_subset")["carriers"]
    carriers = read(endpoints.list_carriers(), {"meta": {"code": 200}, "data": [*entries, {"name": "nameless"}]})
    assert [(carrier.code, carrier.name, carrier.type) for carrier in carriers] == [
        (entry["code"], entry["name"], entry["type"]) for entry in entries
    ]
    assert {(carrier.phone, carrier.homepage) for carrier in carriers} == {(None, None)}
    assert "Česká Pošta" in [carrier.name for carrier in carriers]


def test_a_detected_carrier(record: Record, read: Read) -> None:
    carriers = read(endpoints.detect_carrier("RL554120987AU"), record("post_carriers_detect")["response"])
    assert carriers == [Carrier(code="australia-post", name="Australia Post")]


def test_a_pushed_tracking_reads_like_a_fetched_one(record: Record, read: Read) -> None:
    """A push has the same envelope with a signature beside it, and no milestones."""
    push = record("webhook")["body"]
    tracking = read(endpoints.get_tracking("poczta-polska", "RB600418817PL"), push)
    assert tracking.key == ShipmentKey("poczta-polska", "RB600418817PL")
    assert tracking.status is ShipmentStatus.TRANSIT
    assert tracking.updated_at == datetime(2019, 7, 11, 18, 12, 39, tzinfo=CHINA)
    assert tracking.transit_days == 4
    assert tracking.stay_days is None
    assert [point.time for point in tracking.checkpoints] == [
        "2019-07-10T21:02:00",
        "2019-07-10T19:33:00",
        "2019-07-10T13:53:00",
        "2019-07-08T02:23:00",
    ]
    assert tracking.last_event == "Left the sorting office,PL,2019-07-10 21:02"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("4001", AuthenticationError),
        ("4016", TrackingExistsError),
        ("4017", TrackingNotFoundError),
        ("4031", TrackingNotFoundError),
        ("429", RateLimitError),
    ],
)
def test_a_recorded_error_response(code: str, error: type[TrackingMoreError], record: Record, read: Read) -> None:
    answer = record("errors")[code]
    with pytest.raises(error) as caught:
        read(endpoints.get_tracking("ups", "1Z5R89390357567127"), answer)
    assert type(caught.value) is error
    assert caught.value.code == int(code)
    assert caught.value.http_status == 200
    assert "ups 1Z5R89390357567127" in caught.value.message
    assert answer["meta"]["message"].rstrip(".") in caught.value.message


def test_parsing_does_not_change_the_vendors_record(record: Record, read: Read) -> None:
    item = record("get_trackings_carrier_number")["response"]["data"]
    before = copy.deepcopy(item)
    tracking = Tracking.from_payload(item)
    assert tracking.checkpoints
    assert tracking.raw == before


def test_a_refused_shipment_of_a_batch_keeps_the_vendors_reason(read: Read) -> None:
    body = {"tracking_number": "X 1", "carrier_code": "no-such-carrier"}
    refusal = {**body, "code": "4015", "message": "The value of `carrier_code` is invalid."}
    data = {"submitted": 1, "added": 0, "trackings": [], "errors": [refusal]}
    answer = read(endpoints.create_batch([body]), {"meta": {"code": 201}, "data": data})
    assert answer == BatchResponse(
        rejected=(Rejection("no-such-carrier", "X 1", 4015, "The value of `carrier_code` is invalid."),)
    )
