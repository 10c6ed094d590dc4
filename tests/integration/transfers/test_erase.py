"""The statements of the documentation erase a person from each database, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.conftest import Load
from tests.integration.transfers.databases import TestDatabase

PAGE = Path(__file__).parents[3] / "docs" / "data-model.md"
PERSON = {"customer_name": "Ada Lovelace", "customer_email": "ada@example.com", "customer_phone": "+442079460958"}
OTHER = {"customer_name": "Grace Hopper"}
TEXT = "Signed by Ada Lovelace"


def documented_statements() -> tuple[list[str], list[str]]:
    """The statements that erase an order, and those that erase everybody."""
    section = PAGE.read_text(encoding="utf-8").partition("## Erase a person")[2]
    order, everybody = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    return split(order), split(everybody)


def split(block: str) -> list[str]:
    return [statement.strip() for statement in block.split(";") if statement.strip()]


def stored(database: TestDatabase, *, order: str) -> str:
    """Everything that is stored of an order."""
    rows = [row for row in database.table("trackings") if row["order_id"] == order]
    numbers = {row["tracking_number"] for row in rows}
    events: list[dict[str, Any]] = [
        row
        for row in database.table("tracking_events", "account, carrier_code, tracking_number, event_key")
        if row["tracking_number"] in numbers
    ]
    assert rows
    assert events
    return repr((rows, events))


def test_an_order_or_everybody_can_be_erased(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    of_order, of_everybody = documented_statements()
    for number, order, person in ((1, "2026-1007", PERSON), (2, "2026-1008", OTHER)):
        parcel = {"carrier_code": "usps", "tracking_number": f"SBX-STUCK-{number}"}
        sandbox.seed(shipments=[parcel | person | {"order_id": order, "age_hours": 48}])
        sandbox.add_event(**parcel, description=TEXT)
    load(include_personal_data=True, include_raw=True)
    sandbox.advance(hours=1)
    sandbox.add_event(carrier_code="usps", tracking_number="SBX-STUCK-1", description="On its way")
    load(event_texts="keep")
    before = stored(database, order="2026-1008")
    kept = stored(database, order="2026-1007")
    assert all(text in kept for text in PERSON.values()), "leaving personal data out of later loads removes nothing"

    for statement in of_order:
        database.rows(statement)

    after = stored(database, order="2026-1007")
    assert [text for text in (*PERSON.values(), "Lovelace", "On its way") if text in after] == []
    assert stored(database, order="2026-1008") == before
    for statement in of_everybody:
        database.rows(statement)
    assert "Grace" not in (after := stored(database, order="2026-1008"))
    assert TEXT not in after
    assert load()["rows"]["trackings"]["new"] == 0
