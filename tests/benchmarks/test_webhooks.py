"""The benchmark of webhooks runs to its end, at its smallest size. The measurements are not checked."""

from __future__ import annotations

import sys

import pytest
from airflow import __version__

from benchmarks import webhooks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        tuple(map(int, __version__.split(".")[:2])) < (3, 1), reason="the route exists from Airflow 3.1 on"
    ),
]


def test_webhooks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", "--waits", "2", "--pause", "0"])
    webhooks.main()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[:3] == ["file", "2", "waits"]
