"""The operators for trackings: what they return, the calls they make, and the effects on the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingNotFoundError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.exceptions import ShipmentsMissingError, ShipmentsRejectedError
from airflow_provider_trackingmore.operators.trackings import (
    ChangeCarrierOperator,
    CountByStatusOperator,
    CreateTrackingsOperator,
    DeleteTrackingsOperator,
    GetTrackingsOperator,
    RealtimeTrackOperator,
    StopUpdatesOperator,
    UpdateTrackingsOperator,
)
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.parcels import PERSONAL, parcel
from tests.integration.operators.conftest import Execute, Seed, TaskInstance

CallCounts = Callable[[], dict[str, int]]
FIELDS = ["carrier_code", "tracking_number", "status", "substatus", "delivered_at", "last_update", "order_id"]
LIST, UPDATE, STOP = "GET /trackings/get", "POST /trackings/updatemore", "POST /trackings/notupdate"


@pytest.fixture
def state(sandbox: SandboxProcess) -> Callable[[str], dict[str, Any]]:
    """Return the sandbox's state of a parcel."""

    def known(name: str) -> dict[str, Any]:
        [found] = sandbox.trackings(tracking_number=parcel(name)["tracking_number"])
        return found

    return known


# Get -----------------------------------------------------------------------------------------------------------------


def test_found_and_missing_shipments_are_in_the_order_given(
    execute: Execute, seed: Seed, call_counts: CallCounts
) -> None:
    transit, delivered = seed("transit", "delivered")
    wanted = [delivered, parcel("missing"), transit, delivered, parcel("missing#2")]
    result = execute(GetTrackingsOperator, shipments=wanted, on_missing="report")
    assert [list(entry) for entry in result["found"]] == [FIELDS, FIELDS]
    assert [entry["status"] for entry in result["found"]] == ["delivered", "transit"]
    assert [entry["delivered_at"] is None for entry in result["found"]] == [False, True]
    assert result["missing"] == [parcel("missing"), parcel("missing#2")]
    assert call_counts() == {LIST: 1}


def test_shipments_are_read_forty_per_call(sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts) -> None:
    seeded = sandbox.seed(count=81, seed=5)
    assert len(execute(GetTrackingsOperator, shipments=seeded)["found"]) == 81
    assert call_counts() == {LIST: 3}


def test_a_missing_shipment_fails_after_the_result_was_pushed(execute: Execute, seed: Seed, ti: TaskInstance) -> None:
    [delivered] = seed("delivered")
    with pytest.raises(ShipmentsMissingError, match=r"usps SBX-NEVER-1\. Run CreateTrackingsOperator first"):
        execute(GetTrackingsOperator, shipments=[delivered, parcel("missing")])
    pushed = ti.pushed["return_value"]
    assert [entry["tracking_number"] for entry in pushed["found"]] == [delivered["tracking_number"]]
    assert pushed["missing"] == [parcel("missing")]


def test_every_invalid_shipment_is_named_before_any_call(execute: Execute, call_counts: CallCounts) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        execute(GetTrackingsOperator, shipments=[{"carrier_code": "usps"}, parcel("transit"), 7])
    assert "shipment 1: tracking_number is missing" in str(caught.value)
    assert "shipment 3: a shipment is a mapping with tracking_number and carrier_code, not int 7" in str(caught.value)
    assert call_counts() == {}


# Personal data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", [GetTrackingsOperator, RealtimeTrackOperator])
@pytest.mark.parametrize("include_raw", [False, "False", "false", None, "None"])
def test_personal_data_is_not_returned_by_default(
    execute: Execute, seed: Seed, personal_data: list[str], operator: type, include_raw: Any
) -> None:
    parcels = [parcel | PERSONAL for parcel in seed("delivered", "transit")]
    shown = str(execute(operator, shipments=parcels, include_raw=include_raw))
    personal_data.remove("A-1001")  # an order is not personal data
    assert [parcel["tracking_number"] in shown for parcel in parcels] == [True, True]
    assert not [secret for secret in personal_data if secret in shown]


@pytest.mark.parametrize("include_raw", [True, "True", "true"])
def test_the_raw_record_is_returned_on_request(execute: Execute, seed: Seed, include_raw: Any) -> None:
    result = execute(GetTrackingsOperator, shipments=seed("delivered"), include_raw=include_raw)
    assert list(result["found"][0]) == [*FIELDS, "raw"]
    assert result["found"][0]["raw"]["customer_name"] == PERSONAL["customer_name"]


@pytest.mark.parametrize("include_raw", ["perhaps", 1, [True]])
def test_include_raw_must_be_a_boolean(execute: Execute, seed: Seed, call_counts: CallCounts, include_raw: Any) -> None:
    parcels = seed("delivered")
    for operator in (GetTrackingsOperator, RealtimeTrackOperator):
        with pytest.raises(InvalidArgumentError, match="include_raw must be True or False, not "):
            execute(operator, shipments=parcels, include_raw=include_raw)
        assert call_counts() == {}


# Update --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "becomes"),
    [
        ("transit", "delivered", "delivered"),
        ("transit", "exception", "exception"),
        ("delivered", "exception", "exception"),
    ],
)
def test_a_status_is_set_and_restored(
    execute: Execute, seed: Seed, state: Callable[[str], Any], name: str, status: str, becomes: str
) -> None:
    parcels = seed(name)
    report = execute(UpdateTrackingsOperator, shipments=parcels, changes={"status": status})
    assert report == {"done": parcels, "unchanged": [], "rejected": []}
    assert state(name)["status"] == becomes
    execute(UpdateTrackingsOperator, shipments=parcels, changes={"status": "restore"})
    assert state(name)["status"] == name


@pytest.mark.parametrize("archived", [(True, False), ("True", "False"), ("true", "false")], ids=str)
def test_shipments_are_archived_and_unarchived(
    execute: Execute, seed: Seed, state: Callable[[str], Any], archived: tuple[Any, Any]
) -> None:
    parcels = seed("transit")
    for value, becomes in zip(archived, (True, False), strict=True):
        execute(UpdateTrackingsOperator, shipments=parcels, changes={"archived": value})
        assert state("transit")["archived"] is becomes


def test_status_and_archived_are_sent_as_numbers(sandbox: SandboxProcess, execute: Execute, seed: Seed) -> None:
    """The sandbox refuses any status but the numbers 4, 7 and 8 with 4033."""
    parcels = seed("transit", "delivered")
    for status in ("delivered", "exception", "restore"):
        execute(UpdateTrackingsOperator, shipments=parcels, changes={"status": status})
        assert [call["code"] for call in sandbox.calls()] == [200]


def test_with_changes_other_fields_of_a_shipment_are_not_sent(
    sandbox: SandboxProcess, execute: Execute, seed: Seed, state: Callable[[str], Any]
) -> None:
    rows = [
        parcel | {"status": "shipped", "title": "three mugs", "order_id": "B-7", "price": 9}
        for parcel in seed("transit")
    ]
    execute(UpdateTrackingsOperator, shipments=rows, changes={"archived": True})
    [call] = sandbox.calls()
    assert call["body"]["fields"] == ["archived", "carrier_code", "tracking_number"]
    assert (state("transit")["status"], state("transit")["order_id"]) == ("transit", PERSONAL["order_id"])


def test_without_changes_each_shipment_has_its_own(execute: Execute, seed: Seed, state: Callable[[str], Any]) -> None:
    first, second = seed("transit", "delivered")
    report = execute(
        UpdateTrackingsOperator,
        shipments=[first | {"status": "delivered"}, second | {"order_id": "B-8"}, first | {"status": "lost"}],
        on_rejected="report",
    )
    assert report["done"] == [first, second]
    assert state("transit")["status"] == "delivered"
    assert state("delivered")["order_id"] == "B-8"


def test_an_invalid_change_does_not_affect_other_shipments(execute: Execute, seed: Seed) -> None:
    first, second = seed("transit", "delivered")
    rows = [first | {"status": "lost"}, second | {"archived": True}]
    report = execute(UpdateTrackingsOperator, shipments=rows, on_rejected="report")
    assert report["done"] == [second]
    [refused] = report["rejected"]
    assert refused["message"] == "status can only be set to delivered, exception, restore, not 'lost'"
    with pytest.raises(ShipmentsRejectedError, match="1 of 2 shipments were rejected: usps SBX-STUCK-1: status can"):
        execute(UpdateTrackingsOperator, shipments=rows)


def test_changes_apply_to_keys_and_trackings_that_the_package_returns(
    execute: Execute, seed: Seed, state: Callable[[str], Any]
) -> None:
    [one] = seed("transit")
    key = ShipmentKey(one["carrier_code"], one["tracking_number"])
    assert execute(UpdateTrackingsOperator, shipments=[key], changes={"order_id": "B-9"})["done"] == [one]
    assert state("transit")["order_id"] == "B-9"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "lost"}, "changes: status can only be set to delivered, exception, restore, not 'lost'"),
        ({"archived": "perhaps"}, "changes: archived must be True or False, not 'perhaps'"),
        ({"tracking_number": "X"}, "changes cannot contain tracking_number; the fields are title, "),
        ({"size": "L", "colour": "red"}, "changes cannot contain colour, size; the fields are "),
        ({}, "changes: nothing to change"),
        ({"title": None}, "changes: nothing to change"),
        ("{'archived': True}", "changes must be a mapping .* not str .*render_template_as_native_obj=True"),
        (["archived"], "changes must be a mapping of names to values, not list"),
    ],
    ids=str,
)
def test_invalid_changes_are_refused_before_any_call(
    execute: Execute, seed: Seed, call_counts: CallCounts, changes: Any, message: str
) -> None:
    parcels = seed("transit")
    with pytest.raises(InvalidArgumentError, match=message):
        execute(UpdateTrackingsOperator, shipments=parcels, changes=changes)
    assert call_counts() == {}


def test_a_phone_number_is_changed(
    execute: Execute, seed: Seed, state: Callable[[str], Any], call_counts: CallCounts, sandbox: SandboxProcess
) -> None:
    first, second = seed("transit", "delivered")
    rows = [first | {"customer_phone": "+4930123456", "title": "Mug"}, second | {"title": "Lamp"}]
    report = execute(UpdateTrackingsOperator, shipments=rows)
    assert report == {"done": [second, first], "unchanged": [], "rejected": []}
    assert call_counts() == {UPDATE: 1, "PUT /trackings/{carrier_code}/{tracking_number}": 1}
    assert raw(execute, first)["customer_phone"] == "+4930123456"
    assert (raw(execute, first)["title"], raw(execute, second)["title"]) == ("Mug", "Lamp")
    execute(UpdateTrackingsOperator, shipments=[first, second], changes={"customer_phone": "+4930654321"})
    assert {raw(execute, shipment)["customer_phone"] for shipment in (first, second)} == {"+4930654321"}


def test_a_phone_number_of_a_shipment_that_is_not_registered_is_rejected(execute: Execute, seed: Seed) -> None:
    [first] = seed("transit")
    report = execute(
        UpdateTrackingsOperator,
        shipments=[first, parcel("missing")],
        changes={"customer_phone": "+4930654321"},
        on_rejected="report",
    )
    assert report["done"] == [first]
    assert [item["code"] for item in report["rejected"]] == [4017]


# Languages -----------------------------------------------------------------------------------------------------------


def raw(execute: Execute, shipment: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = execute(GetTrackingsOperator, shipments=shipment, include_raw=True, **arguments)["found"][0]
    return found["raw"]


CHINESE = {"carrier_code": "china-post", "tracking_number": "SBX-STUCK-L1"}
ALSO_CHINESE = {"carrier_code": "china-post", "tracking_number": "SBX-STUCK-L2"}
ONE = "GET /trackings/{carrier_code}/{tracking_number}"


def texts(record: dict[str, Any]) -> str:
    return " ".join(row["StatusDescription"] for row in record["origin_info"]["trackinfo"])


@pytest.mark.parametrize("lang", ["cn", "CN", " cn "])
def test_a_single_tracking_with_a_language_is_read_by_its_own_endpoint(
    sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts, lang: str
) -> None:
    sandbox.seed(shipments=[CHINESE | {"age_hours": 240}])
    assert texts(raw(execute, CHINESE)).isascii()
    assert not texts(raw(execute, CHINESE, lang=lang)).isascii()
    assert [call["path"] for call in sandbox.calls()] == ["/trackings/china-post/SBX-STUCK-L1/cn"]
    assert texts(raw(execute, CHINESE, lang="en")).isascii()


def test_several_trackings_are_read_in_a_language_in_one_call(
    sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts
) -> None:
    both = [CHINESE, ALSO_CHINESE]
    sandbox.seed(shipments=[parcel | {"age_hours": 240} for parcel in both])
    found = execute(GetTrackingsOperator, shipments=both, lang="cn", include_raw=True)["found"]
    assert not any(texts(entry["raw"]).isascii() for entry in found)
    assert call_counts() == {LIST: 1}


def test_a_missing_shipment_with_a_language_is_missing(execute: Execute) -> None:
    result = execute(GetTrackingsOperator, shipments=parcel("missing"), lang="en", on_missing="report")
    assert result == {"found": [], "missing": [parcel("missing")]}


@pytest.mark.parametrize("lang", [None, "None", "", " "])
def test_without_a_language_no_language_is_sent(
    sandbox: SandboxProcess, execute: Execute, seed: Seed, lang: Any
) -> None:
    execute(GetTrackingsOperator, shipments=seed("transit"), lang=lang)
    [call] = sandbox.calls()
    assert (call["path"], "lang" in call["query"]) == ("/trackings/get", False)


@pytest.mark.parametrize("lang", ["eng", "e", "..", "é1", 5, ["en"]])
def test_an_invalid_language_is_refused_before_any_call(
    execute: Execute, seed: Seed, call_counts: CallCounts, lang: Any
) -> None:
    parcels = seed("transit")
    with pytest.raises(InvalidArgumentError, match=r"lang must be (two letters|text)"):
        execute(GetTrackingsOperator, shipments=parcels, lang=lang)
    assert call_counts() == {}


# Stop, change the carrier --------------------------------------------------------------------------------------------


def test_a_stopped_shipment_stays_as_it_is(
    sandbox: SandboxProcess, execute: Execute, seed: Seed, state: Callable[[str], Any], call_counts: CallCounts
) -> None:
    parcels = seed("soon", "soon#2")
    report = execute(StopUpdatesOperator, shipments=parcels[:1])
    assert report == {"done": parcels[:1], "unchanged": [], "rejected": []}
    assert call_counts() == {STOP: 1}
    sandbox.advance(days=6)
    assert (state("soon")["status"] == "delivered", state("soon#2")["status"]) == (False, "delivered")


def test_stopping_an_unknown_shipment_is_rejected_with_the_vendors_code(execute: Execute, seed: Seed) -> None:
    parcels = seed("transit")
    report = execute(StopUpdatesOperator, shipments=[parcel("missing"), *parcels], on_rejected="report")
    assert report["done"] == parcels
    assert [(item["tracking_number"], item["code"]) for item in report["rejected"]] == [("SBX-NEVER-1", 4017)]


def test_changing_the_carrier_again_is_success(sandbox: SandboxProcess, execute: Execute, seed: Seed) -> None:
    [one] = seed("transit")
    now = {"carrier_code": "dhl", "tracking_number": one["tracking_number"]}
    for _ in range(2):
        assert execute(ChangeCarrierOperator, **one, new_carrier_code=" dhl ") == now
    assert [found["carrier_code"] for found in sandbox.trackings()] == ["dhl"]
    assert execute(GetTrackingsOperator, shipments=now)["missing"] == []


def test_changing_the_carrier_of_an_unknown_shipment_fails(execute: Execute) -> None:
    with pytest.raises(TrackingNotFoundError, match="usps SBX-NEVER-1"):
        execute(ChangeCarrierOperator, **parcel("missing"), new_carrier_code="dhl")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tracking_number": 94}, "tracking_number must be text, not int 94: quote it"),
        ({"carrier_code": ""}, "carrier_code is missing"),
        ({"new_carrier_code": "the post"}, "new_carrier_code 'the post' is not a code"),
    ],
    ids=str,
)
def test_an_invalid_argument_of_change_carrier_is_named(
    execute: Execute, call_counts: CallCounts, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        execute(ChangeCarrierOperator, **parcel("transit") | {"new_carrier_code": "dhl"} | wrong)
    assert call_counts() == {}


# Count ---------------------------------------------------------------------------------------------------------------


def test_counting_gives_a_number_for_every_status(
    execute: Execute, seed: Seed, call_counts: CallCounts, logged: Callable[[], list[str]]
) -> None:
    seed("transit", "transit#2", "delivered", "pending")
    counts = execute(CountByStatusOperator)
    assert counts == {
        "pending": 1,
        "notfound": 0,
        "transit": 2,
        "pickup": 0,
        "delivered": 1,
        "undelivered": 0,
        "exception": 0,
        "expired": 0,
    }
    assert call_counts() == {"GET /trackings/getstatusnumber": 1}
    assert logged()[-1] == "INFO Shipments: 1 pending, 2 transit, 1 delivered"


def test_counting_accepts_times_in_the_format_of_templates(execute: Execute, seed: Seed) -> None:
    seed("transit", "pending")  # registered two days ago, and now
    assert execute(CountByStatusOperator, filters={"created_at_min": "2026-03-01 12:00:00+00:00"})["transit"] == 0
    assert execute(CountByStatusOperator, filters={"created_at_max": "2026-03-01T12:00:00+00:00"})["transit"] == 1


def test_counting_an_empty_account_logs_none(execute: Execute, logged: Callable[[], list[str]]) -> None:
    assert set(execute(CountByStatusOperator).values()) == {0}
    assert logged()[-1] == "INFO Shipments: none"


# Create, delete ------------------------------------------------------------------------------------------------------


def test_a_shipment_is_created_read_and_deleted(sandbox: SandboxProcess, execute: Execute) -> None:
    one = parcel("soon")
    assert execute(CreateTrackingsOperator, shipments=one | PERSONAL) == {
        "created": [one],
        "existing": [],
        "rejected": [],
    }
    assert execute(GetTrackingsOperator, shipments=one)["found"][0]["order_id"] == PERSONAL["order_id"]
    assert execute(DeleteTrackingsOperator, shipments=one)["done"] == [one]
    assert execute(GetTrackingsOperator, shipments=one, on_missing="report")["missing"] == [one]
    assert sandbox.trackings() == []
