"""What cannot work is an error before the first call, which names the argument and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.exceptions import (
    InvalidArgumentError,
    LoadDatabaseError,
    LoadStateError,
    TrackingMoreError,
)
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.conftest import Load
from tests.integration.transfers.databases import MySQLDatabase, PostgresDatabase, TestDatabase

Refused = Callable[..., TrackingMoreError]


@pytest.fixture
def refused(sandbox: SandboxProcess, load: Load, calls: Callable[[], int]) -> Refused:
    """Load, and return the error, which came before any call."""

    def run(kind: type[TrackingMoreError] = InvalidArgumentError, /, **arguments: Any) -> TrackingMoreError:
        sandbox.clear_ledger()
        with pytest.raises(kind) as caught:
            load(**arguments)
        assert calls() == 0
        return caught.value

    return run


@pytest.mark.parametrize("conn_type", ["snowflake", "gcpbigquery", "redshift", "mssql", "http", "trino"])
def test_a_database_without_a_writer_is_refused_with_the_page_that_shows_another_way(
    conn_type: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps({"conn_type": conn_type, "host": "db.example"}))
    error = str(refused(sql_conn_id="elsewhere"))
    assert f"sql_conn_id: the connection elsewhere is of the type '{conn_type}'" in error
    assert "load-into-snowflake-bigquery" in error
    assert "postgres, sqlite, mysql, duckdb" in error


def test_redshift_by_the_hook_of_postgres_is_refused(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "postgres", "host": "db.example", "extra": {"redshift": True}}
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps(connection))
    assert "'redshift', to which loads cannot write" in str(refused(sql_conn_id="elsewhere"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"trackings_table": "a.b"}, "trackings_table must be a name"),
        ({"events_table": ""}, "events_table must be a name"),
        ({"changes_table": 'x"y'}, "changes_table must be a name"),
        ({"state_table": "x" * 64}, "state_table must be a name"),
        ({"state_table": "trackings"}, "state_table: the name trackings is used twice"),
        ({"schema": "a`b"}, "schema must be a name"),
        ({"create_tables": "perhaps"}, "create_tables must be True or False"),
        ({"create_views": 2}, "create_views must be True or False"),
        ({"filters": {"update_time_min": 0}}, "filters cannot contain update_time_min"),
        ({"promised_table": "no_such_table"}, "promised_table: the table .*no_such_table.* does not exist"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_argument_that_cannot_be_used_is_named(
    arguments: dict[str, Any], named: str, database: TestDatabase, refused: Refused
) -> None:
    assert re.search(named, str(refused(**arguments)))


def test_a_missing_table_is_an_error_if_none_may_be_created(
    database: TestDatabase, refused: Refused, load: Load
) -> None:
    error = str(refused(create_tables=False))
    assert "state_table: the table" in error
    assert "create_tables is False. Create it:\nCREATE TABLE" in error
    load()
    database.rows("DROP VIEW carrier_scorecard")
    database.rows("DROP TABLE tracking_events")
    error = str(refused(create_tables=False, create_views=False))
    assert "events_table: the table" in error
    statement = error[error.index("CREATE TABLE") :]
    database.rows(statement)
    load(create_tables=False)


def test_a_table_of_another_shape_is_refused(database: TestDatabase, refused: Refused) -> None:
    database.rows("CREATE TABLE trackings (id INTEGER, carrier_code INTEGER)")
    error = str(refused())
    assert "trackings_table: the existing table" in error
    assert "column account is missing" in error
    assert "column carrier_code cannot hold the type key" in error
    assert "Choose another name with trackings_table" in error
    assert not database.rows("SELECT * FROM trackings")


def test_a_table_without_its_primary_key_is_refused(database: TestDatabase, refused: Refused, load: Load) -> None:
    load(create_views=False)
    quote = database.quote
    database.rows(f"CREATE TABLE other AS SELECT * FROM {quote}tracking_status_changes{quote}")
    error = str(refused(changes_table="other"))
    assert "changes_table: the existing table" in error
    assert "its primary key is not (account, carrier_code, tracking_number, observed_at)" in error


def test_a_column_that_loads_cannot_fill_is_refused(database: TestDatabase, refused: Refused, load: Load) -> None:
    load(create_views=False)
    if database.kind == "duckdb":
        pytest.skip("DuckDB adds no column that must not be null")
    default = " DEFAULT 'x'" if database.kind == "sqlite" else ""
    database.rows(f"ALTER TABLE trackings ADD COLUMN team VARCHAR(20){default}")
    load(create_views=False)
    if database.kind == "sqlite":
        return  # it cannot take the default away
    verb = "MODIFY team VARCHAR(20) NOT NULL" if database.kind.startswith("mysql") else "ALTER COLUMN team SET NOT NULL"
    database.rows(f"ALTER TABLE trackings {verb}")
    assert "column team is not null and has no default" in str(refused(create_views=False))


def test_columns_of_a_later_version_are_added(
    sandbox: SandboxProcess, database: TestDatabase, load: Load, refused: Refused
) -> None:
    sandbox.seed(3)
    load(create_views=False)
    before = database.table("trackings")
    database.rows("ALTER TABLE trackings DROP COLUMN signed_by")
    database.rows("ALTER TABLE tracking_events DROP COLUMN place")
    error = str(refused(create_tables=False, create_views=False))
    assert "lacks columns of this version, and create_tables is False. Add them:\nALTER TABLE" in error
    load(create_views=False)
    after = database.table("trackings")
    assert after[0].keys() == before[0].keys()
    assert "place" in database.table("tracking_events")[0]


def test_a_damaged_state_is_an_error_that_says_what_to_do(
    sandbox: SandboxProcess, database: TestDatabase, load: Load, refused: Refused
) -> None:
    sandbox.seed(3)
    load()
    for text in ("{}", "no JSON", "[1]", '{"version": 1, "sequence": "x", "mark": 1, "cursor": 1, "open": {}}'):
        database.rows(f"UPDATE trackingmore_load_state SET state = '{text}'")
        assert "is damaged" in str(refused(LoadStateError))
    database.rows("""UPDATE trackingmore_load_state SET state = '{"version": 99}'""")
    assert "later version of this package" in str(refused(LoadStateError))
    database.rows("UPDATE trackingmore_load_state SET state = NULL, schema_version = 99")
    assert "later version of this package" in str(refused(LoadStateError))
    database.rows("UPDATE trackingmore_load_state SET schema_version = NULL")
    assert load()["rows"]["trackings"] == {"new": 0, "changed": 0, "unchanged": 3}


def test_a_stream_of_another_account_is_refused(database: TestDatabase, load: Load, refused: Refused) -> None:
    load(stream="nightly", account="north")
    error = str(refused(stream="nightly", account="south"))
    assert "stream: the state of 'nightly'" in error
    assert "belongs to the account 'north', not to 'south'" in error


def test_a_promised_table_needs_its_columns(database: TestDatabase, refused: Refused) -> None:
    database.rows("CREATE TABLE orders (order_id INTEGER, promised DATE)")
    error = str(refused(promised_table="orders"))
    assert "promised_table: the table" in error
    assert "has no column promised_at" in error


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_read_only_file_is_refused(
    sandbox: SandboxProcess, database: TestDatabase, load: Load, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    read_only = database.connection | {"extra": {"mode": "ro"}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(read_only))
    error = str(refused(LoadDatabaseError))
    assert "SQLITE_READONLY" in error
    assert "the database is read-only" in error


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_folder_that_does_not_exist_is_refused(
    database: TestDatabase, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "sqlite", "host": "/no/such/folder/file.db"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    error = str(refused(LoadDatabaseError))
    assert "sql_conn_id: the connection warehouse cannot be opened" in error
    assert "SQLITE_CANTOPEN" in error


def test_a_schema_that_does_not_exist_is_refused(database: TestDatabase, refused: Refused) -> None:
    error = str(refused(TrackingMoreError, schema="nowhere"))
    assert "schema" in error


def test_a_schema_can_be_chosen(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    if database.kind == "sqlite":
        pytest.skip("SQLite has no schemas")
    schema = f"logistics_{database.kind.replace('-', '_')}"
    database.rows(f"DROP SCHEMA IF EXISTS {schema} {'' if database.kind.startswith('mysql') else 'CASCADE'}")
    database.rows(f"CREATE SCHEMA {schema}")
    sandbox.seed(3, journey="STUCK")
    load(schema=schema)
    assert load(schema=schema)["rows"]["trackings"] == {"new": 0, "changed": 0, "unchanged": 3}
    assert len(database.rows(f"SELECT * FROM {schema}.trackings")) == 3
    assert database.rows(f"SELECT * FROM {schema}.carrier_scorecard")


RIGHTS = ("postgres-psycopg3", "postgres-psycopg2", "mysql-mysql-connector-python", "mysql-mysqlclient")


@pytest.mark.parametrize("database", RIGHTS, indirect=True)
def test_a_user_without_rights_is_refused(
    sandbox: SandboxProcess, database: TestDatabase, load: Load, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.seed(3)
    load()
    user = f"reader_of_{database.connection['schema']}"
    if isinstance(database, PostgresDatabase):
        database.rows(f"CREATE ROLE {user} LOGIN PASSWORD 'only-reads-5e6f'")
        database.rows(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")
    else:
        assert isinstance(database, MySQLDatabase)
        database.rows(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY 'only-reads-5e6f'")
        database.rows(f"GRANT SELECT ON {database.name}.* TO {user}@'127.0.0.1'")
    reader = database.connection | {"login": user, "password": "only-reads-5e6f"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(reader))
    error = str(refused(LoadDatabaseError))
    assert "trackingmore_load_state" in error
    assert "lacks a privilege" in error
    error = str(refused(LoadDatabaseError, trackings_table="new_table"))
    assert "creating the table" in error
    grant = "GRANT SELECT, INSERT, UPDATE ON {} TO " + (
        user if isinstance(database, PostgresDatabase) else f"{user}@'127.0.0.1'"
    )
    for table in ("trackings", "tracking_status_changes", "trackingmore_load_state"):
        database.rows(grant.format(table))
    error = str(refused(LoadDatabaseError))
    assert "events_table: checking the privileges" in error
    database.rows(grant.format("tracking_events"))
    load(create_tables=False)


@pytest.mark.parametrize("database", RIGHTS, indirect=True)
def test_a_server_that_cannot_be_reached_is_an_error(
    database: TestDatabase, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(database.connection | {"password": "wrong-7a8b9c"}))
    error = str(refused(LoadDatabaseError))
    assert "sql_conn_id: the connection warehouse cannot be opened" in error
    assert "airflow connections test warehouse" in error
    assert "wrong-7a8b9c" not in error
