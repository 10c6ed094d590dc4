"""The orders file of the demo, as spreadsheets and people write it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from demo import shop
from demo.report import next_steps, outcome_of, summary

ROOT = Path(__file__).resolve().parents[2]
HEADER = "order_id,carrier_code,tracking_number\n"


def write(folder: Path, content: str, encoding: str = "utf-8") -> Path:
    file = folder / "orders.csv"
    file.write_bytes(content.encode(encoding))
    return file


def test_the_orders_of_the_demo_are_as_described() -> None:
    parcels, skipped = shop.read_parcels(ROOT / "example_dags" / "orders.csv")
    assert skipped == []
    assert len({parcel["order_id"] for parcel in parcels}) == 36
    assert len({(parcel["carrier_code"], parcel["tracking_number"]) for parcel in parcels}) == len(parcels) == 72
    numbers = " ".join(parcel["tracking_number"] for parcel in parcels)
    assert "SBX-EXCEPTION-" in numbers
    assert "SBX-EXPIRED-" in numbers
    assert [parcel["order_id"] for parcel in parcels if parcel["carrier_code"] == "dhll"] == ["2026-1018"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_usual_csv_file_is_read(tmp_path: Path, delimiter: str, encoding: str, newline: str) -> None:
    lines = ["note,tracking_number,order_id,carrier_code", "x, 123456 ,Zoë,dhl", ",,,", "y,234567,Zoë,ups", ""]
    file = write(tmp_path, newline.join(lines).replace(",", delimiter), encoding)
    assert shop.read_parcels(file)[0] == [
        {"order_id": "Zoë", "carrier_code": "dhl", "tracking_number": "123456"},
        {"order_id": "Zoë", "carrier_code": "ups", "tracking_number": "234567"},
    ]


def test_all_bad_rows_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    rows = 'A,dhl,123456\n\n"B\nB",,234567\nC,ups\n,dhl,9.4E+21\nD,dhl,1,extra\n'
    with pytest.raises(shop.OrdersFileError) as caught:
        shop.read_parcels(write(tmp_path, HEADER + rows))
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("orders.csv: 4 bad rows")
    assert [line.strip().partition(":")[0] for line in lines] == ["line 4", "line 6", "line 7", "line 8"]
    assert lines[0].endswith("carrier_code is empty")
    assert lines[1].endswith("tracking_number is empty")
    assert "9.4E+21" in lines[2]
    assert "more cells" in lines[3]


def test_of_very_many_bad_rows_the_first_are_listed(tmp_path: Path) -> None:
    with pytest.raises(shop.OrdersFileError) as caught:
        shop.read_parcels(write(tmp_path, HEADER + "A,dhl,\n" * 500))
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("500 bad rows")
    assert len(lines) == shop.MAX_PROBLEMS + 2
    assert lines[-1].strip() == "and 480 more"


def test_a_repeated_row_is_skipped_and_reported(tmp_path: Path) -> None:
    parcels, skipped = shop.read_parcels(write(tmp_path, HEADER + "A,dhl,123456\nB,dhl,123456\nA,dhl,123456\n"))
    assert [parcel["order_id"] for parcel in parcels] == ["A", "B"], "two orders may share a parcel"
    assert skipped == ["line 4 repeats line 2: A dhl 123456"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("order_id,number\nA,1\n", "no column carrier_code and no column tracking_number; it has order_id, number"),
        ("carrier_code,tracking_number\ndhl,1\n", "no column order_id; it has carrier_code, tracking_number"),
        (HEADER, "no parcels in it"),
        ("", "it is empty"),
    ],
)
def test_a_file_without_the_columns_or_without_parcels_is_explained(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(shop.OrdersFileError, match=message):
        shop.read_parcels(write(tmp_path, content))


def test_a_missing_or_binary_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(shop.OrdersFileError, match="No such file"):
        shop.read_parcels(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\x89PNG\x81")
    with pytest.raises(shop.OrdersFileError, match="UTF-8"):
        shop.read_parcels(tmp_path / "binary.csv")


def test_each_outcome_has_its_own_words(tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    shop.make_database(file, [{"order_id": name, "carrier_code": "dhl", "tracking_number": name} for name in "abc"])
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE orders SET status = 'closed', delivered_at = '2026-03-04' WHERE order_id = 'a'")
        database.execute("UPDATE orders SET status = 'on hold', reason = 'dhl b: unknown carrier' WHERE order_id = 'b'")
    orders = shop.orders(file)
    assert [outcome_of(order) for order in orders] == [
        "delivered",
        "dhl b: unknown carrier",
        "not delivered yet, stays open",
    ]
    assert summary(orders, (43, 595)) == "1 delivered, 1 on hold, 1 still open, 43 calls instead of 595"
    assert summary(orders[:2], None) == "1 delivered, 1 on hold"


def test_the_next_steps_fit_the_run() -> None:
    commands = {
        (own, sandbox): [command for command, _ in next_steps(own, sandbox)]
        for own in (True, False)
        for sandbox in (True, False)
    }
    assert all("make standalone" in steps and "example_dags/order_closing.py" in steps for steps in commands.values())
    assert "make demo ORDERS=my-orders.csv" in commands[False, True]
    assert any(step.startswith("TRACKINGMORE_API_KEY=") for step in commands[True, True])
    assert not any("ORDERS" in step for step in commands[True, False])
