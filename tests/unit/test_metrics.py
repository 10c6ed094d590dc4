"""The metrics of clients and waits go to Airflow's own stats, and never break a call or a wait."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any, get_args

import pytest

from airflow_provider_trackingmore import metrics
from airflow_provider_trackingmore.client.observer import Counter, Gauge, Timing
from airflow_provider_trackingmore.metrics import METRICS


class Recorder:
    """Records what is sent to Airflow's stats."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def incr(self, *arguments: Any) -> None:
        self.sent.append(("incr", *arguments))

    def timing(self, *arguments: Any) -> None:
        self.sent.append(("timing", *arguments))

    def gauge(self, *arguments: Any) -> None:
        self.sent.append(("gauge", *arguments))


def send_metrics() -> None:
    METRICS.count("requests")
    METRICS.timing("slot_wait", 1.25)
    METRICS.gauge("quota_left", 7)


def test_names_have_one_prefix_and_durations_their_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(metrics, "stats", recorder)
    send_metrics()
    assert recorder.sent == [
        ("incr", "trackingmore.requests", 1),
        ("timing", "trackingmore.slot_wait", timedelta(seconds=1.25)),
        ("gauge", "trackingmore.quota_left", 7),
    ]


def test_every_name_is_valid_for_statsd() -> None:
    for name in (*get_args(Counter), *get_args(Timing), *get_args(Gauge)):
        assert name.replace(".", "").replace("_", "").isalpha()


def test_missing_stats_are_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "stats", None)
    send_metrics()


def test_broken_stats_break_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "stats", object())
    send_metrics()


def test_the_package_can_be_imported_without_stats() -> None:
    code = (
        "import sys, airflow.providers.common.compat.sdk\n"
        "gone = ('airflow.sdk.observability.stats', 'airflow.observability.stats', 'airflow.stats')\n"
        "sys.modules.update(dict.fromkeys(gone))\n"
        "from airflow_provider_trackingmore.hooks.trackingmore import METRICS\n"
        "from airflow_provider_trackingmore import metrics; assert metrics.stats is None\n"
        "METRICS.count('requests')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
