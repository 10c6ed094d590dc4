"""The clock and the rate limit, on a fake clock."""

from __future__ import annotations

import asyncio
import time

import pytest

from airflow_provider_trackingmore.sandbox.clock import Clock, ClockError, format_time, parse_time
from airflow_provider_trackingmore.sandbox.limits import RateLimit
from airflow_provider_trackingmore.sandbox.server import BusyTrackingSelector


class RealTime:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def clock_at(start: float, scale: float = 1.0) -> tuple[Clock, RealTime]:
    real = RealTime()
    return Clock(start, scale, real), real


def test_the_clock_runs_time_scale_times_faster():
    clock, real = clock_at(1_000, 60)
    real.now += 2
    assert clock.now() == 1_120


def test_a_new_time_scale_applies_from_now_on():
    clock, real = clock_at(1_000, 10)
    real.now += 1
    clock.set_time_scale(100)
    real.now += 1
    assert clock.now() == 1_110


def test_the_clock_jumps_forward_and_runs_on():
    clock, real = clock_at(1_000)
    clock.advance(500)
    real.now += 1
    assert clock.now() == 1_501
    clock.set(9_000)
    assert clock.now() == 9_000


def test_a_frozen_clock_does_not_run_but_can_be_moved():
    clock, real = clock_at(1_000)
    clock.freeze(True)
    real.now += 100
    assert clock.now() == 1_000
    clock.advance(5)
    clock.freeze(False)
    real.now += 1
    assert clock.now() == 1_006


@pytest.mark.parametrize(
    "move", [lambda clock: clock.advance(-1), lambda clock: clock.set(999), lambda clock: clock.set_time_scale(0)]
)
def test_the_clock_cannot_go_back_and_no_time_scale_stops_it(move):
    clock, _ = clock_at(1_000)
    with pytest.raises(ClockError):
        move(clock)
    assert clock.now() == 1_000


def test_a_reading_before_a_jump_counts_as_the_time_of_the_jump():
    clock, real = clock_at(1_000)
    real.now += 10
    clock.advance(100)
    assert clock.at(real.now - 5) == 1_110


def test_times_are_parsed_and_formatted():
    assert parse_time("2026-03-02T08:00:00+08:00") == parse_time("2026-03-02T00:00:00")
    assert format_time(parse_time("2026-03-02T08:00:00.9+08:00")) == "2026-03-02T00:00:00+00:00"
    with pytest.raises(ClockError):
        parse_time("yesterday")


def admitted(limit: RateLimit, *instants: float, **settings: object) -> list[bool]:
    return [limit.admit(at, at, **settings) for at in instants]


def test_one_request_a_second_is_always_admitted():
    assert all(admitted(RateLimit(), *(1e9 + at for at in range(1_000))))


def test_a_request_that_is_too_early_starts_a_cool_down_of_two_minutes():
    assert admitted(RateLimit(), 0, 0.99, 2, 120.98, 120.99 + 1) == [True, False, False, False, True]


def test_a_request_above_the_rate_restarts_the_cool_down():
    assert admitted(RateLimit(), 0, 0.5, 100, 100.5, 121, 220.4, 221) == [True, *[False] * 5, True]


@pytest.mark.parametrize(("refresh", "free_again"), [("any", False), ("rate", True), ("never", True)])
def test_a_setting_decides_which_requests_restart_the_cool_down(refresh, free_again):
    assert admitted(RateLimit(), 0, 0.5, 60, 121, refresh=refresh) == [True, False, False, free_again]


def test_tolerance_lets_single_requests_come_early_but_keeps_the_average():
    limit = RateLimit()
    assert admitted(limit, 0, 0.6, 2.0, 2.6, tolerance=0.5) == [True, True, True, True]
    assert admitted(RateLimit(), 0, 0.6, 1.2, tolerance=0.5) == [True, True, False]


def test_a_busy_server_does_not_make_two_requests_look_close():
    limit = RateLimit()
    assert limit.admit(10.0, 10.9)
    assert limit.admit(11.0, 11.0)


def test_a_busy_server_does_not_admit_more_requests():
    limit = RateLimit()
    assert [limit.admit(10.0, 12.5) for _ in range(4)] == [True, True, True, False]


def test_the_selector_records_since_when_the_loop_has_been_busy():
    selector = BusyTrackingSelector()

    async def work() -> tuple[float, float]:
        await asyncio.sleep(0.01)
        begun = time.monotonic()
        for _ in range(100):
            await asyncio.sleep(0)
        return begun, selector.busy_since

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        begun, busy_since = runner.run(work())
    assert busy_since <= begun
