"""A long load says how far it is, but not more often than every 30 s."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from airflow_provider_trackingmore.loading.load import LoadSummary
from airflow_provider_trackingmore.loading.target import Counts
from airflow_provider_trackingmore.loading.window import LoadWindow
from airflow_provider_trackingmore.transfers.progress import ProgressLog

log = logging.getLogger(__name__)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def summary(read: int, total: int | None) -> LoadSummary:
    window = LoadWindow(None, None)
    now = datetime(2026, 3, 2, tzinfo=UTC)
    return LoadSummary(now, window, Counts(read - 5, 5), read=read, total=total, calls=read // 2000)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_the_log_says_what_is_done_and_what_remains(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = ProgressLog(log, clock)
    clock.now += 40
    progress(summary(20_000, 100_000))
    assert lines(caplog) == [
        "Loading: 20000 shipments read in 10 calls, 19995 new and 5 changed, 500 shipments/s, "
        "80000 remaining (about 160 s)"
    ]


def test_it_does_so_every_30_seconds(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = ProgressLog(log, clock)
    for second in range(1, 91):
        clock.now = 100 + second
        progress(summary(second * 2000, 1_000_000))
    assert [line.split()[1] for line in lines(caplog)] == ["60000", "120000", "180000"]


@pytest.mark.parametrize(("total", "says"), [(None, "remaining: unknown"), (100, "0 remaining (about 0 s)")])
def test_an_unknown_or_exceeded_total_is_no_error(
    clock: Clock, caplog: pytest.LogCaptureFixture, total: int | None, says: str
) -> None:
    caplog.set_level(logging.INFO)
    progress = ProgressLog(log, clock)
    clock.now += 30
    progress(summary(4000, total))
    assert lines(caplog)[0].endswith(says)


def test_a_load_that_has_read_nothing_yet_can_be_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = ProgressLog(log, clock)
    clock.now += 30
    progress(summary(0, 10))
    assert len(lines(caplog)) == 1
