"""The orders file and the shop's database made from it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from demo import shop
from demo.report import outcome_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_orders_of_the_demo_hold_what_the_demo_promises() -> None:
    parcels = shop.read_parcels(ROOT / "example_dags" / "orders.csv")
    assert len({parcel["order_id"] for parcel in parcels}) == 36
    assert len({(parcel["carrier_code"], parcel["tracking_number"]) for parcel in parcels}) == len(parcels) == 72
    numbers = " ".join(parcel["tracking_number"] for parcel in parcels)
    assert "SBX-EXCEPTION-" in numbers
    assert "SBX-EXPIRED-" in numbers
    assert [parcel["order_id"] for parcel in parcels if parcel["carrier_code"] == "dhll"] == ["2026-1018"]


def test_a_file_of_ones_own_may_have_more_columns_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    text = "note,tracking_number,order_id,carrier_code\nx, 123456 ,A,dhl\n,,,\ny,234567,A,ups\n"
    file.write_text(text, encoding="utf-8-sig")
    assert shop.read_parcels(file) == [
        {"order_id": "A", "carrier_code": "dhl", "tracking_number": "123456"},
        {"order_id": "A", "carrier_code": "ups", "tracking_number": "234567"},
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("order_id,number\nA,1\n", "no column carrier_code, tracking_number"),
        ("order_id,carrier_code,tracking_number\nA,dhl,1\nB,,2\n", "line 3: carrier_code is empty"),
        ("order_id,carrier_code,tracking_number\nA,dhl\n", "line 2: tracking_number is empty"),
        ("order_id,carrier_code,tracking_number\n", "no parcels in it"),
        ("", "no column order_id"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_what_is_wrong_with_it(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(text)
    with pytest.raises(shop.OrdersFileError, match=says):
        shop.read_parcels(file)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(shop.OrdersFileError, match="No such file"):
        shop.read_parcels(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(shop.OrdersFileError, match="not a CSV file in UTF-8"):
        shop.read_parcels(tmp_path / "binary.csv")


def test_each_kind_of_end_has_words_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    shop.make_database(file, [{"order_id": one, "carrier_code": "dhl", "tracking_number": one} for one in "abc"])
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE orders SET status = 'closed', delivered_at = '2026-03-04' WHERE order_id = 'a'")
        database.execute("UPDATE orders SET status = 'on hold', reason = 'dhl b expired' WHERE order_id = 'b'")
    assert [outcome_of(order) for order in shop.orders(file)] == [
        "delivered",
        "dhl b expired",
        "still on its way: stays open",
    ]
