"""Each benchmark runs to its end, at its smallest size. The measurements are not checked."""

from __future__ import annotations

import math
import sys

import pytest

from benchmarks import importing, pacing, reading, registering, waiting, waiting_report
from benchmarks.waiting_plan import POKE_SECONDS, RECONCILE_SECONDS

pytestmark = pytest.mark.slow

SCALE = 60.0
SPREAD = 120.0


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], main: object, arguments: str) -> list[str]:
    """Run a benchmark as the command line does, and return the lines that it prints."""
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments.split()])
    assert callable(main)
    main()
    return capsys.readouterr().out.splitlines()


def test_importing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (first, *_) = run(monkeypatch, capsys, importing.main, "")
    assert first.startswith("ours")
    assert first.endswith("heavy: none")


def test_reading(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(monkeypatch, capsys, reading.main, "--turns 1")
    assert [line.split()[0] for line in lines] == ["2000", "json.loads", "read", "ratio"]


def test_registering(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--shipments 80 --time-scale 20 --naive-shipments 2 --naive-time-scale 20"
    *_, ours, one_by_one = run(monkeypatch, capsys, registering.main, arguments)
    assert ours.split()[:4] == ["ours", "80", "2", "0"]
    assert one_by_one.split()[:6] == ["one", "by", "one", "2", "2", "0"]


def test_pacing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--time-scale", "10", "--seconds", "20", "--processes", "2", "--setting", "100 ms"]
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
    pacing.main()
    _, _, ours, departure, _, _, _, simulated, simulated_departure = capsys.readouterr().out.splitlines()
    for line, side in ((ours, "ours"), (departure, "departure")):
        assert line.split()[:3] == ["100", "ms", side]
    assert simulated.split()[4] == "0", "429s"
    assert simulated_departure.split()[4] != "0", "429s"


def test_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    ours = waiting.measure_triggers(5, SCALE, spread=SPREAD)
    others = waiting.measure_baselines([5], SCALE, SPREAD)
    assert all(math.isfinite(delay) for row in (ours, *others) for delay in row.delays)
    assert ours.refused == 0
    assert len(others) == 3
    waiting_report.print_calls_and_delays([ours, *others])
    waiting_report.print_triggerer([ours])
    assert capsys.readouterr().out.count("\n") == (1 + 2 + 4) + (1 + 2 + 3)


def test_waiting_in_one_large_wait(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        waiting.measure_large_wait(20, False, RECONCILE_SECONDS, SCALE, SPREAD),
        waiting.measure_large_wait(20, True, POKE_SECONDS, SCALE, SPREAD),
    ]
    for row in rows:
        assert (row.measured.result, row.refused) == ("released", 0)
        assert min(row.measured.used, row.plain) > row.measured.decoding > 0
        assert row.measured.stalls.own_work > 0
    waiting_report.print_large_waits(rows)
    assert capsys.readouterr().out.count("\n") == 1 + 2 + 2


def test_waiting_with_bad_parcels(capsys: pytest.CaptureFixture[str]) -> None:
    found = waiting.measure_bad_parcels(5, SCALE, SPREAD)
    released = {how: sum(map(math.isfinite, delays)) for how, (_, delays) in found.items()}
    assert list(released.values()) == [5, 5, 0, 0]
    waiting_report.print_bad_parcels(found)
    assert capsys.readouterr().out.count("\n") == 1 + 2 + 4
