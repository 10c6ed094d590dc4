"""A few hundred of the runs that ``make simulate`` makes by the thousand."""

from __future__ import annotations

import pytest

from tests.simulation.run import run_seed

SMALL = 160
IN_ONE_TEST = 20


@pytest.mark.parametrize("first", range(0, SMALL, IN_ONE_TEST))
def test_small_runs_keep_every_promise(first: int) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        report = run_seed(seed, size="small")
        assert not report.violations, f"{report.title}\nmake simulate SEED={seed} ARGS='--size small'"


def test_the_same_seed_is_the_same_run() -> None:
    assert run_seed(17, size="small").digest == run_seed(17, size="small").digest
