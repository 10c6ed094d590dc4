"""A database that refuses a row: the error and the log at DEBUG contain no value of it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_trackingmore.exceptions import LoadDatabaseError
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.conftest import KEYS, Load
from tests.integration.transfers.databases import TestDatabase

PERSON = {
    "customer_name": "Ada Lovelace",
    "customer_email": "ada.lovelace@example.com",
    "customer_phone": "+442079460958",
}
TEXT = "Left with neighbour Byron"
SECRETS = [*PERSON.values(), "Lovelace", "Byron", *KEYS]


@contextmanager
def a_refusal(database: TestDatabase) -> Iterator[None]:
    """The database refuses the event of the test, or the person."""
    kind = database.kind.partition("-")[0]
    if kind == "sqlite":
        database.rows(
            "CREATE TRIGGER refuse BEFORE INSERT ON tracking_events WHEN NEW.description LIKE '%Byron%' "
            "BEGIN SELECT RAISE(ABORT, 'refused Byron'); END"
        )
    elif kind == "duckdb":  # it has neither triggers nor constraints that can be added
        columns = "account VARCHAR, carrier_code VARCHAR, tracking_number VARCHAR, event_key VARCHAR"
        database.rows("DROP VIEW carrier_scorecard")
        database.rows("DROP TABLE tracking_events")
        database.rows(
            f"CREATE TABLE tracking_events ({columns}, event_time_local TIMESTAMP, status VARCHAR, substatus VARCHAR, "
            "place VARCHAR, description VARCHAR CHECK (description NOT LIKE '%Byron%'), first_seen_at TIMESTAMP, "
            "superseded_at TIMESTAMP, PRIMARY KEY (account, carrier_code, tracking_number, event_key))"
        )
    else:
        database.rows("ALTER TABLE tracking_events ADD CONSTRAINT refuse CHECK (description NOT LIKE '%Byron%')")
    yield


def leaked(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_a_refused_row_is_not_quoted(
    sandbox: SandboxProcess,
    database: TestDatabase,
    load: Load,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    load()
    parcel = {"carrier_code": "usps", "tracking_number": "SBX-DELIVERED-1D-1", "age_hours": 72}
    sandbox.seed(shipments=[parcel | PERSON])
    sandbox.reword_event("usps", "SBX-DELIVERED-1D-1", TEXT)
    with a_refusal(database), pytest.raises(LoadDatabaseError) as caught:
        load(include_personal_data=True, include_raw=True)
    error = caught.value
    assert "writing to" in str(error)
    assert "tracking_events" in str(error)
    shown = "".join(traceback.format_exception(error))
    assert not leaked(shown + repr(error) + repr(error.__dict__))
    output = capsys.readouterr()
    assert not leaked(caplog.text + output.out + output.err)
    assert database.table("trackings") == database.table("tracking_events") == []


@pytest.mark.parametrize("database", ["postgres-psycopg3", "postgres-psycopg2"], indirect=True)
def test_the_code_of_postgresql_and_the_constraint_are_named(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    load()
    database.rows("ALTER TABLE trackings ADD CONSTRAINT no_ada CHECK (customer_name <> 'Ada Lovelace')")
    parcel = {"carrier_code": "usps", "tracking_number": "SBX-STUCK-1", "age_hours": 72}
    sandbox.seed(shipments=[parcel | PERSON])
    with pytest.raises(LoadDatabaseError) as caught:
        load(include_personal_data=True)
    assert str(caught.value) == (
        'writing to "trackings" failed (CheckViolation, code 23514, table trackings, constraint no_ada)'
    )
