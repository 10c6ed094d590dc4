"""A few hundred of the runs of ``make simulate``, and known mistakes, which show that runs can fail."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest

from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import Report, run_seed, themes_of

SMALL = 200
BUSY = 20
IN_ONE_TEST = 20
SMALL_CALLS = frozenset({"small calls"})
HINTED = SMALL_CALLS | {"hints"}
WATCHED = HINTED | {"watchers"}
FOUND = {
    "a process that polled each second took nearly every slot": (73, "busy", {"deadlines", "poison", *SMALL_CALLS}),
    "so that confirmations of another one came late": (173, "busy", {"missing", "unlisted", *SMALL_CALLS}),
    "the list of changes put off the check of a missing shipment": (48, "busy", {"deadlines", "poison", *SMALL_CALLS}),
    "changes that were once too long were not tried again for half an hour": (
        1078,
        "busy",
        {"deadlines", "restarts", "registered together", *SMALL_CALLS},
    ),
    "a list was read again for shipments that it had left out": (
        1475,
        "busy",
        {"elsewhere", "newcomers", *SMALL_CALLS},
    ),
    "polls that came due one by one never tried the list": (
        2045,
        "busy",
        {"restarts", "registered together", *SMALL_CALLS},
    ),
    "a list was read each second for a shipment that it had left out": (8782, None, set()),
    "reconcile_seconds of a watcher was no maximum": (53, None, {"watchers"}),
    "a webhook made the first round of a watcher read nothing": (171, "busy", WATCHED),
    "a webhook made a settled shipment new for a watcher": (339, None, {"hints", "watchers"}),
    "a watcher called a service that was down": (111, "busy", WATCHED),
    "oracle: a shipment may have settled since the state that was kept for the wait": (
        117,
        "busy",
        {"elsewhere", "newcomers", "sharing", *WATCHED} - {"hints"},
    ),
    "oracle: a cool-down delays the check of a hint, and that one the check of the next": (4311, None, {"hints"}),
    "oracle: a second with more registrations than a page has rows is read until it is the same twice": (
        45,
        "busy",
        {"registered together", "watchers", *SMALL_CALLS},
    ),
    "oracle: a list that leaves out a failing number says nothing about it": (52, "small", {"hints", "watchers"}),
    "oracle: a shipment that failed for a wait cannot be missing as well": (
        1173,
        "busy",
        {"hints", "light trouble", "restarts", "vanishing", "watchers"},
    ),
    "oracle: a time before the run begins is cut off downwards, too": (3011, "large", {"deadlines", "missing"}),
    "oracle: what was kept may decide an order before its other shipments are checked": (
        3018,
        "large",
        {"elsewhere", *SMALL_CALLS},
    ),
    "oracle: triggerers that have enough to ask take turns": (2128, "busy", {"deadlines", "poison", *SMALL_CALLS}),
    "oracle: after an outage each shipment may be retried by a call of its own": (
        2025,
        "busy",
        {"missing", "outage", *SMALL_CALLS},
    ),
    "oracle: what was kept for a wait may have decided it otherwise": (
        1033,
        "busy",
        {"deadlines", "restarts", "registered together", *SMALL_CALLS},
    ),
    "oracle: so may an answer to a call that left before the wait joined": (
        8,
        "busy",
        {"newcomers", "registered together", *SMALL_CALLS},
    ),
    "oracle: a list of changes confirms what is known to a newcomer": (987, None, set()),
    "oracle: a shipment that was delivered first has not arrived at the pickup point": (937, None, set()),
    "oracle: a wait that joins after its deadline is checked before others": (
        14,
        "large",
        {"deadlines", "missing", *SMALL_CALLS},
    ),
    "oracle: what is known of a shipment is forgotten when nobody needs checks of it": (40333, None, set()),
    "oracle: the answer that confirms it may tell it something else besides": (16, "busy", SMALL_CALLS),
    "oracle: a time in the future stays in every list of changes": (
        164,
        "busy",
        {"elsewhere", "newcomers", *SMALL_CALLS},
    ),
    "oracle: the halves of a call that failed take turns with polls": (8284, None, set()),
    "oracle: what was kept for a wait may have been a delivery, which stays one": (15082, None, set()),
    "oracle: a pause of milliseconds ends a row of calls, too": (7657, None, set()),
}
"""Runs that once showed a mistake in the code, or in the oracle if the text says so."""


@functools.cache  # several tests share some of the runs
def run_without_mistake(seed: int, size: str | None, themes: frozenset[str] = frozenset()) -> Report:
    return run_seed(seed, size=size, themes=themes)


@pytest.mark.parametrize("first", range(0, SMALL, IN_ONE_TEST))
def test_small_runs_break_no_rule(first: int) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        report = run_without_mistake(seed, "small", themes_of(seed))
        assert not report.violations, f"{report.title}\nmake simulate SEED={seed} ARGS='--size small'"


def test_busy_runs_with_hints_break_no_rule() -> None:
    for seed in range(BUSY):
        report = run_without_mistake(seed, "busy", HINTED)
        assert not report.violations, (
            f"{report.title}\nmake simulate SEED={seed} ARGS='--size busy --themes hints \"small calls\"'"
        )


def test_busy_runs_with_watchers_break_no_rule() -> None:
    for seed in range(BUSY):
        report = run_without_mistake(seed, "busy", WATCHED)
        assert not report.violations, (
            f"{report.title}\nmake simulate SEED={seed} ARGS='--size busy --themes hints watchers \"small calls\"'"
        )


def test_busy_runs_break_no_rule() -> None:
    for seed in range(BUSY):
        report = run_without_mistake(seed, "busy", SMALL_CALLS)
        assert not report.violations, (
            f"{report.title}\nmake simulate SEED={seed} ARGS='--size busy --themes \"small calls\"'"
        )


@pytest.mark.parametrize("mistake", FOUND)
def test_a_mistake_that_a_run_once_showed_is_still_fixed(mistake: str) -> None:
    seed, size, themes = FOUND[mistake]
    report = run_without_mistake(seed, size, frozenset(themes))
    assert not report.violations, report.title


def test_the_same_seed_is_the_same_run() -> None:
    assert run_seed(17, size="small").digest == run_seed(17, size="small").digest


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_oracle_notices_a_known_mistake(name: str) -> None:
    mutation = MUTATIONS[name]
    sound = run_without_mistake(mutation.seed, mutation.size, mutation.themes)
    broken = run_seed(mutation.seed, size=mutation.size, themes=mutation.themes, mutation=name)
    assert not sound.violations
    assert {rule for rule, _ in broken.violations} & mutation.rules, mutation.text


def test_the_oracle_shares_no_code_with_what_it_judges() -> None:
    script = (
        "import sys, tests.simulation.oracle\n"
        "print([name for name in sys.modules if name.startswith('airflow_provider_trackingmore.waiting')])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
