"""The shop's database: created from a CSV file, and read for the display and the report."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_trackingmore.cli.csv_file import FileError, Row, read_sheet

COLUMNS = ("order_id", "carrier_code", "tracking_number")
MAX_PROBLEMS = 20
"""How many bad rows an error lists."""
_TABLES = """
CREATE TABLE orders (order_id VARCHAR(40) PRIMARY KEY, status VARCHAR(10), reason TEXT, delivered_at VARCHAR(30));
CREATE TABLE parcels (order_id VARCHAR(40), carrier_code VARCHAR(60), tracking_number VARCHAR(60));
"""

Parcel = dict[str, str]


class OrdersFileError(Exception):
    """The orders file cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order in the report.

    :param order_id: its name in the shop.
    :param parcels: how many it has.
    :param status: ``open``, ``closed`` or ``on hold``.
    :param reason: why it is on hold; None if it is not.
    :param delivered_at: when its last parcel was delivered, as the carrier wrote it; None if not all are delivered.
    """

    order_id: str
    parcels: int
    status: str
    reason: str | None
    delivered_at: str | None


def read_parcels(file: Path) -> tuple[list[Parcel], list[str]]:
    """Read the orders file, one parcel per row.

    :param file: a CSV file with at least the columns :data:`COLUMNS`.
    :return: the parcels, each once, with these columns; and what was skipped, such as duplicates.
    :raises OrdersFileError: the file cannot be read, lacks a column, or has bad rows; the message lists them.
    """
    try:
        rows = read_sheet(file.read_bytes(), required=COLUMNS).rows
    except OSError as error:
        raise OrdersFileError(f"{file}: {error.strerror}") from error
    except FileError as error:
        raise OrdersFileError(f"{file}: {error}") from error
    if problems := list(_problems(rows)):
        more = len(problems) - MAX_PROBLEMS
        lines = problems[:MAX_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise OrdersFileError(
            "\n  ".join([f"{file}: {len(problems)} bad row{'s' if len(problems) > 1 else ''}", *lines])
        )
    parcels: list[Parcel] = []
    skipped: list[str] = []
    lines_of: dict[tuple[str, ...], int] = {}
    for row in rows:
        parcel = {column: row.shipment[column] for column in COLUMNS}
        key = tuple(parcel.values())
        if first := lines_of.get(key):
            skipped.append(f"line {row.line} repeats line {first}: {' '.join(key)}")
        else:
            lines_of[key] = row.line
            parcels.append(parcel)
    if not parcels:
        raise OrdersFileError(f"{file}: there are no parcels in it, only the column names")
    return parcels, skipped


def _problems(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        missing = [column for column in COLUMNS if column not in row.shipment]
        if row.problem:
            yield f"line {row.line}: {row.problem}"
        elif missing:
            yield f"line {row.line}: {', '.join(missing)} is empty"


def make_database(file: Path, parcels: list[Parcel]) -> None:
    """Create the shop's database, with all orders open.

    :param file: the database; must not exist.
    :param parcels: as :func:`read_parcels` returns them.
    """
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(_TABLES)
        order_ids = dict.fromkeys(parcel["order_id"] for parcel in parcels)
        database.executemany(
            "INSERT INTO orders (order_id, status) VALUES (?, 'open')", [(order_id,) for order_id in order_ids]
        )
        database.executemany("INSERT INTO parcels VALUES (:order_id, :carrier_code, :tracking_number)", parcels)


def orders(file: Path) -> list[Order]:
    """Read all orders.

    :param file: the database.
    :return: the orders by order id.
    """
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        counts = Counter(order_id for (order_id,) in database.execute("SELECT order_id FROM parcels"))
        rows = database.execute("SELECT order_id, status, reason, delivered_at FROM orders ORDER BY order_id")
        return [Order(row[0], counts[row[0]], *row[1:]) for row in rows]
