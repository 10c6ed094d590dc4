"""The shop's database: made from a CSV file, read back for the report. Knows SQLite, no Airflow and no TrackingMore."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("order_id", "carrier_code", "tracking_number")
_TABLES = """
CREATE TABLE orders (order_id VARCHAR(40) PRIMARY KEY, status VARCHAR(10), reason TEXT, delivered_at VARCHAR(30));
CREATE TABLE parcels (order_id VARCHAR(40), carrier_code VARCHAR(60), tracking_number VARCHAR(60));
"""


class OrdersFileError(Exception):
    """The CSV file cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the report shows it.

    :param order_id: its name in the shop.
    :param parcels: how many it has.
    :param status: ``open``, ``closed`` or ``on hold``.
    :param reason: why it is on hold; None when it is not.
    :param delivered_at: when its last parcel arrived, as the carrier wrote it; None when not all have.
    """

    order_id: str
    parcels: int
    status: str
    reason: str | None
    delivered_at: str | None


def read_parcels(file: Path) -> list[dict[str, str]]:
    """Read the orders file, one parcel a row.

    :param file: a CSV file with at least the columns :data:`COLUMNS`.
    :return: one mapping with these columns for each row; rows without an order are left out.
    :raises OrdersFileError: there is no such file, a column or a value is missing, or it holds no parcel.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise OrdersFileError(f"{file}: no column {', '.join(missing)}; it needs {','.join(COLUMNS)}")
            rows = [{column: (row[column] or "").strip() for column in COLUMNS} for row in reader]
    except OSError as error:
        raise OrdersFileError(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise OrdersFileError(f"{file} is not a CSV file in UTF-8: {error}") from error
    parcels = []
    for line, row in enumerate(rows, start=2):
        if not any(row.values()):
            continue
        if empty := [column for column, value in row.items() if not value]:
            raise OrdersFileError(f"{file}, line {line}: {', '.join(empty)} is empty")
        parcels.append(row)
    if not parcels:
        raise OrdersFileError(f"{file}: no parcels in it")
    return parcels


def make_database(file: Path, parcels: list[dict[str, str]]) -> None:
    """Make the shop's database, all orders open.

    :param file: where; must not exist.
    :param parcels: as :func:`read_parcels` returns them.
    """
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(_TABLES)
        ids = dict.fromkeys(parcel["order_id"] for parcel in parcels)
        database.executemany("INSERT INTO orders (order_id, status) VALUES (?, 'open')", [(one,) for one in ids])
        database.executemany("INSERT INTO parcels VALUES (:order_id, :carrier_code, :tracking_number)", parcels)


def orders(file: Path) -> list[Order]:
    """Read all orders.

    :param file: the database.
    :return: in the order of their ids.
    """
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        counts = Counter(order_id for (order_id,) in database.execute("SELECT order_id FROM parcels"))
        rows = database.execute("SELECT order_id, status, reason, delivered_at FROM orders ORDER BY order_id")
        return [Order(row[0], counts[row[0]], *row[1:]) for row in rows]
