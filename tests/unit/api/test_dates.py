"""Dates and times reach the vendor in the documented forms, and an offset is never dropped."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.dates import format_order_time, format_ship_date, to_unix_seconds

EASTERN = timezone(timedelta(hours=-5))
CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("value", "day", "time"),
    [
        (date(2026, 11, 25), "20261125", "2026/11/25 00:00"),
        (datetime.fromisoformat("2026-11-25T16:51:09"), "20261125", "2026/11/25 16:51"),
        (datetime(2026, 11, 25, 22, 30, tzinfo=EASTERN), "20261125", "2026/11/26 03:30"),
        (datetime(2026, 11, 25, 2, 30, tzinfo=CHINA), "20261125", "2026/11/24 18:30"),
        (pendulum.datetime(2026, 11, 25, 2, 30, tz="Asia/Shanghai"), "20261125", "2026/11/24 18:30"),
        ("2026-11-25", "20261125", "2026/11/25 00:00"),
        ("20261125", "20261125", "2026/11/25 00:00"),
        (20261125, "20261125", "2026/11/25 00:00"),
        (20261125.0, "20261125", "2026/11/25 00:00"),
        (" 2026-11-25 16:51 ", "20261125", "2026/11/25 16:51"),
        ("2026-11-25T16:51:09.123456", "20261125", "2026/11/25 16:51"),
        ("2026-11-25T22:30:00-05:00", "20261125", "2026/11/26 03:30"),
        ("2026-11-25T02:30:00+08:00", "20261125", "2026/11/24 18:30"),
        ("2026-11-25T02:30:00Z", "20261125", "2026/11/25 02:30"),
        ("2026-11-25 00:00:00+00:00", "20261125", "2026/11/25 00:00"),
        ("20261125T023000", "20261125", "2026/11/25 02:30"),
        ("20261125T023000+0800", "20261125", "2026/11/24 18:30"),
        ("2017/8/27 16:51", "20170827", "2017/08/27 16:51"),
        ("2017/8/27 9:05", "20170827", "2017/08/27 09:05"),
        ("2017/8/27", "20170827", "2017/08/27 00:00"),
        ("2018-5-20 12:00", "20180520", "2018/05/20 12:00"),
        ("1521314361", "20180317", "2018/03/17 19:19"),
        (1521314361, "20180317", "2018/03/17 19:19"),
        ("1521314361.75", "20180317", "2018/03/17 19:19"),
        (date(1, 1, 1), "00010101", "0001/01/01 00:00"),
    ],
    ids=str,
)
def test_a_date_is_formatted_as_the_vendor_documents_it(value: object, day: str, time: str) -> None:
    assert format_ship_date(value) == day
    assert format_order_time(value) == time


@pytest.mark.parametrize(
    "value",
    [
        None, "", "soon", "25.11.2026", "2026-13-01", "20261301", 20261301, "2026-02-30", 5, "5", -1, True, 0.5,
        "2026-11-25 25:00", "1521314361000", 1521314361000000, "17120312153012", 10**5000, float("nan"), float("inf"),
        "²0261125", "9" * 5000, [], {}, b"20261125", (2026, 11, 25),
    ],
    ids=lambda value: "a number of 5001 digits" if value == 10**5000 else ascii(value)[:30],
)  # fmt: skip
def test_anything_else_is_not_a_date(value: object) -> None:
    assert format_ship_date(value) is None
    assert format_order_time(value) is None


def test_a_time_outside_of_the_calendar_in_utc_is_refused() -> None:
    assert format_order_time(datetime(9999, 12, 31, 23, tzinfo=EASTERN)) is None
    assert format_ship_date(datetime(9999, 12, 31, 23, tzinfo=EASTERN)) == "99991231"


@given(st.datetimes(min_value=datetime(1975, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_every_form_of_the_same_time_is_sent_alike(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    seconds = int(moment.timestamp())
    if moment.utcoffset() == timedelta(minutes=round(moment.utcoffset() / timedelta(minutes=1))):  # type: ignore[operator]
        assert format_order_time(moment.isoformat()) == format_order_time(moment)
        assert format_ship_date(moment.isoformat()) == format_ship_date(moment) == moment.strftime("%Y%m%d")
    assert format_order_time(seconds) == format_order_time(str(seconds)) == format_order_time(moment)
    assert to_unix_seconds(moment) == to_unix_seconds(moment.isoformat()) == to_unix_seconds(str(seconds)) == seconds


ANYTHING: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.datetimes()
ANYTHING |= st.from_regex(r"[0-9/:T+ -]{1,30}") | st.dates()


@given(ANYTHING)
@example("0\x1f")  # white space to str.strip(), but not to float()
def test_any_value_becomes_a_documented_date_or_none(value: object) -> None:
    day, time, seconds = format_ship_date(value), format_order_time(value), to_unix_seconds(value)
    assert day is None or datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    assert time is None or datetime.strptime(time, "%Y/%m/%d %H:%M").replace(tzinfo=UTC)
    assert seconds is None or 0 <= seconds < 253402300800
