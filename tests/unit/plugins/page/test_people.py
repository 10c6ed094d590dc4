"""People are removed from the texts of carriers."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.api.models import Tracking
from airflow_provider_trackingmore.plugins.page.people import PeopleRemover

RECORD = {
    "carrier_code": "usps",
    "tracking_number": "P1",
    "customer_name": "Hildegard von Aldringham",
    "customer_email": ["h.a@mail.example"],
    "customer_phone": "0155 5017284",
    "singed_by": "J. Müller-Lüdenscheidt",
}


def clean(text: str, **record: object) -> str:
    return PeopleRemover(Tracking.from_payload(RECORD | record)).clean(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Delivered to ALDRINGHAM", "Delivered to …"),
        ("Left with Hildegard, at the door", "Left with …, at the door"),
        ("Hildegard von Aldringham was not at home", "… was not at home"),
        ("Delivered. Signed by: JOHN DOE", "Delivered. Signed by …"),
        ("signed for by J DOE at 09:10", "signed for by …"),
        ("Signature: ABC", "Signature: …"),
        ("Received by: The Neighbour", "Received by: …"),
        ("已签收,签收人: 张三", "已签收,签收人 …"),
        ("Write to somebody@else.example please", "Write to … please"),
        ("Call +49 (155) 501-72840", "Call …"),
        ("Call 0155 5017284 now", "Call … now"),
        ("Accepted from J. Müller-Lüdenscheidt", "Accepted from …"),
    ],
)
def test_a_person_is_removed(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Departed from facility, BERLIN, DE",
        "Received by the carrier",
        "Delivered, left at the front door",
        "Arrived at hub 1044",
        "Consignment RB123456789CN handed over",
        "2026-11-29 09:10 in transit",
        "",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


def test_a_record_without_people() -> None:
    nobody = {"customer_name": None, "customer_email": None, "customer_phone": "", "singed_by": ""}
    assert clean("Delivered to the front desk", **nobody) == "Delivered to the front desk"


def test_special_characters_in_names_are_no_pattern() -> None:
    assert clean("Anything at all", customer_name=".* (", singed_by="[a-z]+") == "Anything at all"
