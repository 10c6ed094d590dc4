"""Create and check the tables and views of a load, and keep its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.loading.schema import SCHEMA_VERSION, Table
from airflow_provider_trackingmore.loading.state import LoadState, LoadStateError
from airflow_provider_trackingmore.loading.views import view_queries
from airflow_provider_trackingmore.transfers.sql.database import Database
from airflow_provider_trackingmore.transfers.sql.errors import LoadDatabaseError
from airflow_provider_trackingmore.transfers.sql.tables import ARGUMENTS, DATA_TABLES, STATE, missing_columns


@dataclass(frozen=True, slots=True)
class LoadTables:
    """The tables of a load in a database.

    :param database: the database.
    :param names: the name of each table in this package -> its name in the database.
    :param account: the value of the column ``account``.
    :param stream: the name of the state.
    """

    database: Database
    names: Mapping[str, str]
    account: str
    stream: str

    # Without a transaction -------------------------------------------------------------------------------------------

    def inspect(self) -> tuple[LoadState, list[str]]:
        """Read the state and check existing tables, without writing or locking.

        :return: the state, and the names of missing tables.
        :raises InvalidArgumentError: if a table has another shape, or the stream belongs to another account.
        :raises LoadStateError: if the state cannot be used.
        """
        missing = []
        for table in (STATE, *DATA_TABLES):
            name = self.names[table.name]
            shape = self.database.describe(name)
            if shape is None:
                missing.append(name)
            else:
                missing_columns(table, self.database.qualify(name), shape)
        if self.names[STATE.name] in missing or not self._state_row("stream"):
            return LoadState(), missing
        self._check_account()
        return self._stored_state(), missing

    # Before the transaction ------------------------------------------------------------------------------------------

    def prepare_tables(self, *, create: bool) -> None:
        """Check the tables; create those that are missing, and add missing columns.

        :param create: whether it may create and change tables.
        :raises InvalidArgumentError: if a table is missing and must not be created, or has another shape.
        :raises LoadDatabaseError: if the database refuses.
        """
        for table in (STATE, *DATA_TABLES):
            self._prepare_table(table, create)

    def _prepare_table(self, table: Table, create: bool) -> None:
        database, name, argument = self.database, self.names[table.name], ARGUMENTS[table.name]
        qualified = database.qualify(name)
        shape = database.describe(name)
        if shape is None:
            statement = database.create_table(name, table)
            if not create:
                raise InvalidArgumentError(
                    f"{argument}: the table {qualified} does not exist, and create_tables is False. "
                    f"Create it:\n{statement}"
                )
            try:
                database.execute(f"creating the table {qualified}", statement)
            except LoadDatabaseError:
                if database.describe(name) is None:  # unless another load was faster
                    raise
            shape = database.describe(name)
            if shape is None:
                raise LoadDatabaseError(f"{argument}: the table {qualified} was created, but cannot be found")
        missing = missing_columns(table, qualified, shape)
        statements = [database.add_column(name, column) for column in missing]
        if statements and not create:
            raise InvalidArgumentError(
                f"{argument}: the table {qualified} lacks columns of this version, and create_tables is False. Add "
                "them:\n" + "\n".join(statements)
            )
        for column, statement in zip(missing, statements, strict=True):
            try:
                database.execute(f"adding the column {column.name} to {qualified}", statement)
            except LoadDatabaseError:
                added = database.describe(name)
                if added is None or column.name not in added.columns:
                    raise

    def prepare_state(self) -> None:
        """Insert the row of the state unless it exists, so that the transaction can lock it."""
        if not self._state_row("stream"):
            try:
                self.database.insert(self.names[STATE.name], STATE.columns[:3], [(self.stream, self.account, 0)])
            except LoadDatabaseError:
                if not self._state_row("stream"):  # unless another load was faster
                    raise
        self._check_account()

    def _check_account(self) -> None:
        table = self.database.qualify(self.names[STATE.name])
        ((account,),) = self._state_row("account")
        if account != self.account:
            raise InvalidArgumentError(
                f"stream: the state of {self.stream!r} in {table} belongs to the account {account!r}, not to "
                f"{self.account!r}. Choose another name with stream"
            )

    def prepare_views(self, promised_table: str | None) -> None:
        """Create the views, unless they exist as this version creates them.

        :param promised_table: the qualified name of the user's table of promised dates; None for none.
        :raises LoadDatabaseError: if the database refuses.
        """
        database = self.database
        tables = {table.name: database.qualify(self.names[table.name]) for table in DATA_TABLES}
        queries = view_queries(database.dialect, tables, promised_table)
        digest = blake2b(json.dumps(queries).encode(), digest_size=16).hexdigest()
        if self._state_row("views") == [(digest,)] and all(map(database.describe, queries)):
            return
        for name, query in queries.items():
            try:
                self._create_view(name, query)
            except LoadDatabaseError:
                if not database.describe(name):
                    raise
                self._create_view(name, query)  # another load was creating it
        self._set_state({"views": digest})

    def _create_view(self, name: str, query: str) -> None:
        action = f"creating the view {self.database.qualify(name)} (create_views=False leaves the views out)"
        for statement in self.database.create_view(name, query):
            self.database.execute(action, statement)

    # Inside the transaction ------------------------------------------------------------------------------------------

    def begin(self) -> LoadState:
        """Begin the transaction, lock and read the state, and check the privileges. Wait for another load.

        :return: the state left by the previous load.
        :raises LoadStateError: if it cannot be used.
        :raises LoadDatabaseError: if a privilege is missing.
        """
        database = self.database
        database.begin(database.qualify(self.names[STATE.name]), self.account)
        for table in (STATE, *DATA_TABLES):
            name = database.qualify(self.names[table.name])
            columns, last = database.columns(table.names), database.quote(table.names[-1])
            action = f"{ARGUMENTS[table.name]}: checking the privileges on {name}"
            database.execute(action, f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name} WHERE 1 = 0")
            database.execute(action, f"UPDATE {name} SET {last} = {last} WHERE 1 = 0")
        return self._stored_state()

    def _stored_state(self) -> LoadState:
        ((version, text),) = self._state_row("schema_version", "state")
        if version is not None and version > SCHEMA_VERSION:
            raise LoadStateError(
                f"The tables were written by a later version of this package (its schema is {version}, this version "
                f"knows up to {SCHEMA_VERSION}): install that version again"
            )
        return _read_state(text)

    def commit(self, state: LoadState, now: datetime) -> None:
        """Write the state, and commit it with the rows.

        :param state: the state for the next load.
        :param now: the start of this load.
        """
        self._set_state(
            {
                "sequence": state.sequence,
                "schema_version": SCHEMA_VERSION,
                "loaded_at": now,
                "mark_at": _to_time(state.mark),
                "cursor_at": _to_time(state.cursor),
                "open_shipments": len(state.open),
                "state": json.dumps(state.to_dict(), separators=(",", ":")),
            }
        )
        self.database.commit()

    def _state_row(self, *names: str) -> list[tuple[Any, ...]]:
        database = self.database
        table = database.qualify(self.names[STATE.name])
        return database.execute(
            f"reading the state in {table}",
            f"SELECT {database.columns(names)} FROM {table} WHERE stream = {database.placeholder}",
            [self.stream],
        )

    def _set_state(self, values: Mapping[str, object]) -> None:
        database = self.database
        table = database.qualify(self.names[STATE.name])
        changes = ", ".join(f"{database.quote(name)} = {database.placeholder}" for name in values)
        database.execute(
            f"writing the state in {table}",
            f"UPDATE {table} SET {changes} WHERE stream = {database.placeholder}",
            [*map(database.convert, values.values()), self.stream],
        )


def _read_state(text: object) -> LoadState:
    if text is None:
        return LoadState()
    try:
        stored = json.loads(str(text))
        if not isinstance(stored, dict):
            raise TypeError("an object is expected")
    except (ValueError, TypeError):
        stored = {}  # damaged, as from_dict will say
    return LoadState.from_dict(stored)


def _to_time(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
