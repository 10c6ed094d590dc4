"""A few hundred of the runs that ``make simulate`` makes by the thousand, and what shows that they can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import run_seed

SMALL = 200
BUSY = 20
IN_ONE_TEST = 20
SMALL_CALLS = frozenset({"small calls"})


@pytest.mark.parametrize("first", range(0, SMALL, IN_ONE_TEST))
def test_small_runs_keep_every_promise(first: int) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        report = run_seed(seed, size="small")
        assert not report.violations, f"{report.title}\nmake simulate SEED={seed} ARGS='--size small'"


def test_busy_runs_keep_every_promise() -> None:
    for seed in range(BUSY):
        report = run_seed(seed, size="busy", themes=SMALL_CALLS)
        assert not report.violations, (
            f"{report.title}\nmake simulate SEED={seed} ARGS='--size busy --themes \"small calls\"'"
        )


def test_the_same_seed_is_the_same_run() -> None:
    assert run_seed(17, size="small").digest == run_seed(17, size="small").digest


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_oracle_notices_a_known_mistake(name: str) -> None:
    mutation = MUTATIONS[name]
    sound = run_seed(mutation.seed, size=mutation.size, themes=mutation.themes)
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
