"""The accounts of the page: figures from several reports, and unknown ones."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trackingmore.client.rate_limit.usage import AccountUsage, AccountUser
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.plugins.page.accounts import accounts_to_json, calls_of_last_hour, quota_ends_on
from airflow_provider_trackingmore.status_reports.report import Problem, QuotaReading, StatusReport

NOW = 1_796_000_100.0
QUARTER = 1_796_000_100 // 900 * 900
SETTINGS = ClientSettings(api_key="key-of-a-test")
ACCOUNT = SETTINGS.fingerprint
DAY = 86_400.0


def report(**values: Any) -> StatusReport:
    required = {
        "account": ACCOUNT,
        "conn_ids": ("first", "second"),
        "component": "triggerer",
        "host": "triggerer-0",
        "instance": "triggerer-0:7",
        "written_at": NOW - 10,
        "requests_per_second": 2.0,
    }
    return StatusReport(**(required | values))


def describe(*reports: StatusReport, waits: dict[str, int] | None = None, visible: set[str] | None = None) -> Any:
    settings = dict.fromkeys(waits or {}, SETTINGS)
    return accounts_to_json(reports, waits or {}, settings, visible or set(), NOW)["accounts"]


def test_without_waits_and_reports_there_is_no_account() -> None:
    assert describe() == []


def test_an_account_of_waits_is_shown_before_anything_has_been_reported() -> None:
    (account,) = describe(waits={"first": 3})
    assert account["account"] == ACCOUNT
    assert (account["conn_ids"], account["waits"], account["reporters"]) == (["first"], 3, [])
    unknown = ("requests_per_second", "calls_last_hour", "max_calls_last_hour", "quota_left", "quota_ends_on", "error")
    assert {account[name] for name in unknown} == {None}


def test_a_connection_that_cannot_be_used_is_named() -> None:
    (account,) = accounts_to_json([], {"broken": 2}, {"broken": None}, set(), NOW)["accounts"]  # type: ignore[misc]
    assert (account["account"], account["conn_ids"], account["waits"]) == (None, ["broken"], 2)
    assert "broken" in account["error"]["message"]


def test_usage_of_the_same_place_is_not_added_up_and_that_of_others_is() -> None:
    old = AccountUsage({QUARTER: 5}, (AccountUser("worker", "w-1", NOW - 50),), NOW - 700)
    new = AccountUsage({QUARTER: 7, QUARTER - 900: 10}, (AccountUser("worker", "w-1", NOW - 5),), NOW - 700)
    elsewhere = AccountUsage({QUARTER: 100}, (AccountUser("triggerer", "t-2", NOW - 1),), NOW - 90)
    (account,) = describe(
        report(usage=new, usage_scope="a", releases={QUARTER: 1}),
        report(usage=old, usage_scope="a", releases={QUARTER: 2}, host="triggerer-1"),
        report(usage=elsewhere, usage_scope="b", host="triggerer-2"),
    )
    assert (account["calls_last_hour"], account["max_calls_last_hour"]) == (117, 7_200)
    assert [user["host"] for user in account["users"]] == ["t-2", "w-1"]
    assert account["history"][-1] == {"begin": "2026-11-30T00:45:00Z", "calls": 107, "releases": 3}
    assert len(account["history"]) == 97
    assert account["last_429_at"] is not None


def test_only_connections_that_the_user_may_see_are_named() -> None:
    assert describe(report())[0]["conn_ids"] == []
    assert describe(report(), visible={"second"})[0]["conn_ids"] == ["second"]
    assert describe(report(), waits={"first": 1}, visible={"first"})[0]["conn_ids"] == ["first"]


def test_a_triggerer_that_is_down_is_stale_and_its_waits_do_not_count_beside_those_of_others() -> None:
    running, gone = report(waits=4), report(waits=9, host="gone", written_at=NOW - 4_000)
    (account,) = describe(running, gone)
    assert [(one["host"], one["is_stale"]) for one in account["reporters"]] == [("triggerer-0", False), ("gone", True)]
    assert account["waits"] == 4


def test_a_cool_down_that_is_over_is_not_shown() -> None:
    assert describe(report(cool_down_until=NOW - 1))[0]["cool_down_until"] is None
    assert describe(report(cool_down_until=NOW + 60))[0]["cool_down_until"] is not None


def test_why_calls_fail_is_shown_as_long_as_the_triggerer_runs() -> None:
    failing = {"problem": Problem("AuthenticationError", "check the API key")}
    error = describe(report(waits=1, **failing))[0]["error"]
    assert ("AuthenticationError" in error["message"], error["hint"]) == (True, "check the API key")
    assert describe(report(waits=1, written_at=NOW - 4_000, **failing))[0]["error"] is None


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ({}, 0),
        ({QUARTER: 3, QUARTER - 900: 4, QUARTER - 2 * 900: 5, QUARTER - 3 * 900: 6}, 18),
        ({QUARTER - 5 * 900: 100}, 0),
    ],
)
def test_calls_of_the_last_hour(calls: dict[int, int], expected: int) -> None:
    assert calls_of_last_hour(calls, NOW) == expected


def test_of_the_quarter_in_which_the_hour_began_a_share_is_counted() -> None:
    assert calls_of_last_hour({QUARTER - 4 * 900: 90}, QUARTER + 300) == 60


def quota(*pairs: tuple[float, int]) -> list[QuotaReading]:
    return [QuotaReading(NOW + days * DAY, left) for days, left in pairs]


def test_the_day_on_which_the_quota_ends() -> None:
    assert quota_ends_on(quota((-10, 1_000), (0, 900)), NOW) == "2027-02-28"
    assert quota_ends_on(quota((-1, 100), (0, 0)), NOW) == "2026-11-30"


def test_a_top_up_does_not_count() -> None:
    assert quota_ends_on(quota((-2, 100), (-1, 50), (-0.5, 1_000), (0, 950)), NOW) == "2026-12-19"


@pytest.mark.parametrize(
    "readings",
    [
        quota(),
        quota((0, 5)),
        quota((-0.01, 10), (0, 5)),
        quota((-5, 10), (0, 10)),
        quota((-5, 10**9), (0, 10**9 - 1)),
    ],
    ids=["none", "one", "within minutes", "unused", "centuries"],
)
def test_there_is_no_such_day_if_too_little_is_known(readings: list[QuotaReading]) -> None:
    assert quota_ends_on(readings, NOW) is None
