"""The tables of a load in a database: their names, the table of the state, and checks of existing tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.loading.schema import (
    ACCOUNT_LENGTH,
    EVENTS,
    STATUS_CHANGES,
    TRACKINGS,
    Column,
    ColumnType,
    Table,
)

STATE = Table(
    "trackingmore_load_state",
    (
        Column("stream", ColumnType.KEY, "The argument `stream`.", ACCOUNT_LENGTH, is_required=True),
        Column("account", ColumnType.KEY, "The argument `account`.", ACCOUNT_LENGTH, is_required=True),
        Column("sequence", ColumnType.INTEGER, "The number of completed loads.", is_required=True),
        Column("schema_version", ColumnType.INTEGER, "The version of the tables that the last load knew."),
        Column("loaded_at", ColumnType.UTC, "Start of the last completed load."),
        Column("mark_at", ColumnType.UTC, "Every shipment registered earlier is settled, or is followed by number."),
        Column("cursor_at", ColumnType.UTC, "Changes of settled shipments have been read up to then."),
        Column("open_shipments", ColumnType.INTEGER, "How many shipments are not settled."),
        Column("state", ColumnType.TEXT, "What the next load must know, as JSON; null before the first load."),
        Column("views", ColumnType.TEXT, "Hash of the views that were last created."),
    ),
    ("stream",),
)
"""One row per stream: where the next load begins. It commits together with the rows."""

DATA_TABLES = (TRACKINGS, EVENTS, STATUS_CHANGES)

ARGUMENTS = {
    TRACKINGS.name: "trackings_table",
    EVENTS.name: "events_table",
    STATUS_CHANGES.name: "changes_table",
    STATE.name: "state_table",
}
"""The name of each table in this package -> the argument that names it in the database."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """What a database says of an existing table.

    :param columns: name -> the types of :class:`ColumnType` that it can hold.
    :param required: columns that are not null and have no default.
    :param keys: the columns of each primary key and unique constraint.
    """

    columns: Mapping[str, frozenset[ColumnType]]
    required: frozenset[str]
    keys: frozenset[frozenset[str]]


def missing_columns(table: Table, name: str, shape: TableShape) -> list[Column]:
    """Compare an existing table with what a load needs.

    :param table: what the load needs.
    :param name: how the database names the table.
    :param shape: what the database has.
    :return: the columns that can be added to it: those of a later version of this package.
    :raises InvalidArgumentError: if the table has another shape.
    """
    argument = ARGUMENTS[table.name]
    missing = [column for column in table.columns if column.name not in shape.columns]
    problems = [
        f"column {column.name} is missing" for column in missing if column.is_required or column.name in table.key
    ]
    for column in table.columns:
        if column.name in shape.columns and column.type not in shape.columns[column.name]:
            problems.append(f"column {column.name} cannot hold the type {column.type.value}")
    if not problems and frozenset(table.key) not in shape.keys:
        problems.append(f"its primary key is not ({', '.join(table.key)})")
    unknown = sorted(shape.required - set(table.names))
    if unknown:
        problems.append(f"column {', '.join(unknown)} is not null and has no default")
    if problems:
        raise InvalidArgumentError(
            f"{argument}: the existing table {name} has another shape: {'; '.join(problems)}. Choose another name with "
            f"{argument}, or rename the existing table, so that the load can create its own"
        )
    return missing


def check_table_name(argument: str, value: str) -> str:
    """Check a name for a table or schema.

    :param argument: the argument, for the error.
    :param value: the name, without schema and quotes.
    :return: the name.
    :raises InvalidArgumentError: if it cannot be a name.
    """
    if not value.strip() or len(value) > 63 or not value.isprintable() or any(char in value for char in ".\"'`[]"):
        raise InvalidArgumentError(
            f"{argument} must be a name of 1 to 63 characters, without dots and quotes (the argument schema says where "
            "the tables are)"
        )
    return value
