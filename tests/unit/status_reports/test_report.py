"""Status reports: their stored form, its maximum length, and damaged ones."""

from __future__ import annotations

import base64
import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.client.rate_limit.usage import QUARTER_SECONDS, AccountUsage, AccountUser
from airflow_provider_trackingmore.status_reports.report import (
    MAX_LENGTH,
    STALE_SECONDS,
    Problem,
    QuotaReading,
    StatusReport,
    StatusReportError,
    merge_counts,
)
from airflow_provider_trackingmore.waiting.progress import WaitProgress

NOW = 1_796_000_000.0
QUARTER = int(NOW // QUARTER_SECONDS) * QUARTER_SECONDS


def report(**values: Any) -> StatusReport:
    required = {
        "account": "0123456789abcdef",
        "conn_ids": ("trackingmore_default",),
        "component": "triggerer",
        "host": "airflow-triggerer-0",
        "instance": "airflow-triggerer-0:7",
        "written_at": NOW,
        "requests_per_second": 1.0,
    }
    return StatusReport(**(required | values))


FULL = report(
    waits=3,
    watchers=1,
    usage=AccountUsage({QUARTER: 12}, (AccountUser("worker", "airflow-worker-1", NOW - 5),), NOW - 700),
    usage_scope="redis",
    cool_down_until=NOW + 90,
    releases={QUARTER - QUARTER_SECONDS: 2, QUARTER: 1},
    quota=(QuotaReading(NOW - 3600, 900), QuotaReading(NOW, 880)),
    problem=Problem("ServerError", "check the network"),
    progress={
        7: WaitProgress(NOW + 60, {"transit": 2, "delivered": 1}),
        9: WaitProgress(None, {}),
        8: WaitProgress(NOW - 5, {"transit": 1}),
    },
)


def test_a_report_is_read_as_it_was_written() -> None:
    assert StatusReport.from_text(FULL.to_text()) == FULL


def test_ten_thousand_waits_that_are_checked_together_fit() -> None:
    together = {
        10_000 + n: WaitProgress(NOW + n % 3 * 600, {"transit": n % 40, "delivered": n % 7}) for n in range(10_000)
    }
    written = report(waits=10_000, progress=together)
    text = written.to_text()
    assert len(text) < MAX_LENGTH
    assert StatusReport.from_text(text) == written


def test_waits_that_do_not_fit_are_counted_and_the_earliest_checks_are_kept() -> None:
    rng = random.Random(3)
    progress = {
        rng.randrange(10**9): WaitProgress(
            NOW + rng.randrange(100_000), {status: rng.randrange(10_000) for status in ("transit", "pickup", "pending")}
        )
        for _ in range(20_000)
    }
    text = report(waits=20_000, progress=progress).to_text()
    found = StatusReport.from_text(text)
    assert len(text) <= MAX_LENGTH
    assert len(found.progress) > 1_000
    assert found.left_out == len(progress) - len(found.progress)
    earliest = sorted(progress, key=lambda trigger_id: progress[trigger_id].next_check_at or 0.0)
    assert found.progress == {trigger_id: progress[trigger_id] for trigger_id in earliest[: len(found.progress)]}


def test_a_report_without_waits_is_never_stale() -> None:
    later = NOW + STALE_SECONDS + 1
    assert report(waits=1).is_stale(later)
    assert report(watchers=1).is_stale(later)
    assert not report(waits=1).is_stale(NOW + STALE_SECONDS)
    assert not report().is_stale(later)


def test_counts_are_added_and_those_of_yesterday_dropped() -> None:
    yesterday = QUARTER - 97 * QUARTER_SECONDS
    assert merge_counts({QUARTER: 1, yesterday: 5}, {QUARTER: 2, QUARTER - 900: 4}, now=NOW) == {
        QUARTER - 900: 4,
        QUARTER: 3,
    }


def changed(**values: Any) -> str:
    content = json.loads(zlib.decompress(base64.b64decode(FULL.to_text().partition(".")[2])))
    return "1." + base64.b64encode(zlib.compress(json.dumps(content | values).encode())).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2." + FULL.to_text()[2:],
        FULL.to_text()[:-20],
        "1.####",
        "1." + base64.b64encode(zlib.compress(b"[]")).decode(),
        "1." + base64.b64encode(zlib.compress(b" " * 10_000_000)).decode(),
        "1." + base64.b64encode(zlib.compress(b"[" * 100_000)).decode(),
        changed(written_at="NaN"),
        changed(waits=None),
        changed(account="<script>"),
        changed(progress={"ids": [1, 1], "times": [0], "kinds": [0], "counts": [{}]}),
        changed(quota=[[1]]),
        changed(problem=["ServerError"]),
    ],
)
def test_a_report_that_is_damaged_or_of_another_version_is_refused(text: str) -> None:
    with pytest.raises(StatusReportError):
        StatusReport.from_text(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "account",
    "conn_ids",
    "component",
    "written_at",
    "requests_per_second",
    "waits",
    "watchers",
    "usage",
    "releases",
    "quota",
    "problem",
    "progress",
    "left_out",
    "cool_down_until",
]


@given(name=st.sampled_from(FIELDS), value=JSON)
def test_no_content_raises_anything_else(name: str, value: object) -> None:
    try:
        found = StatusReport.from_text(changed(**{name: value}))
    except StatusReportError:
        return
    assert isinstance(found, StatusReport)
