"""What people do to a waiting task: the result is right, no calls are left behind, and no order is closed twice.

`make test-scale` runs it; its name keeps it out of `make test`. One Airflow with PostgreSQL serves all cases, which run
side by side, each with a DAG and an account of its own. `-k` chooses cases: `ARGS="-k 'pause or clear'"`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from airflow import __version__

from tests.scale.installation import AS_IT_IS, EXCEPTION, Installation, Wait, installed
from tests.scale.one_wait import MODES, Mode

pytestmark = pytest.mark.skipif(
    tuple(map(int, __version__.split(".")[:2])) < (3, 3), reason="waits end in the triggerer from Airflow 3.3 on"
)

AT_ONCE = 16
"""The number of cases that run side by side."""
SHORT_SECONDS = 90.0
"""A short timeout, but long enough to change the DAG file before."""


def clear_while_it_waits(wait: Wait) -> None:
    """The wait starts again, and ends once."""
    run = wait.begin()
    first = wait.until_waiting(run)

    wait.clear(run)
    second = wait.until_waiting(run, other_than=[first])
    wait.deliver()
    wait.until_run(run, "success")
    over = time.time()

    assert second.try_number == first.try_number + 1
    assert wait.visits() == [f"{wait.number()} delivered"]
    assert wait.changes() == wait.closed("A")
    wait.assert_nothing_asks(over, "the end")


def clear_after_success(wait: Wait) -> None:
    """The wait checks again with the same result, and there is no order left to close."""
    run = wait.begin()
    wait.until_waiting(run)
    wait.deliver()
    wait.until_run(run, "success")

    wait.clear(run, downstream=True)
    wait.until(lambda: len(wait.visits()) == 2, "the order is visited again")
    wait.until_run(run, "success")
    over = time.time()

    assert wait.visits() == [f"{wait.number()} delivered"] * 2
    assert wait.changes() == wait.closed("A")
    wait.assert_nothing_asks(over, "the end")


def clear_after_failure(wait: Wait) -> None:
    """A lost parcel turns up: the wait starts again and succeeds."""
    run = wait.begin()
    wait.until_waiting(run)
    wait.set_status(EXCEPTION, "A")
    wait.until_run(run, "failed")
    wait.assert_nothing_asks(time.time(), "the failure")
    assert {task.state for task in wait.tasks(run, "close")} == {"upstream_failed"}

    failed = wait.tasks(run)
    wait.set_status(AS_IT_IS, "A")
    wait.clear(run, downstream=True)
    wait.until_waiting(run, other_than=failed)
    wait.deliver()
    wait.until_run(run, "success")
    over = time.time()

    assert wait.visits() == [f"{wait.number()} delivered"]
    assert wait.changes() == wait.closed("A")
    wait.assert_nothing_asks(over, "the end")


def mark_success(wait: Wait) -> None:
    """The next task gets no result, so it closes nothing."""
    run = wait.begin()
    wait.until_waiting(run)

    wait.mark(run, "success")
    marked = time.time()
    wait.until_run(run, "success")
    wait.assert_nothing_asks(marked, "marking it a success")
    wait.deliver()
    time.sleep(3 * wait.poke_seconds)

    assert wait.visits() == [None]
    assert wait.changes() == []
    assert {task.state for task in wait.tasks(run)} == {"success"}


def mark_failed(wait: Wait) -> None:
    """The wait stays failed, whatever happens to the parcel, until it is cleared."""
    run = wait.begin()
    wait.until_waiting(run)

    wait.mark(run, "failed")
    marked = time.time()
    wait.until_run(run, "failed")
    wait.assert_nothing_asks(marked, "marking it failed")
    wait.deliver()
    time.sleep(3 * wait.poke_seconds)
    assert {task.state for task in wait.tasks(run)} == {"failed"}
    assert wait.visits() == wait.changes() == []

    wait.clear(run, downstream=True)
    wait.until_run(run, "success")
    assert wait.visits() == [f"{wait.number()} delivered"]
    assert wait.changes() == wait.closed("A")


def pause(wait: Wait) -> None:
    """An order whose parcel arrives during a pause is closed after it."""
    run = wait.begin()
    wait.until_waiting(run)

    wait.pause(True)
    if wait.mode == "reschedule":
        wait.deliver()
        wait.assert_nothing_asks(time.time(), "the pause began")  # no task starts
        assert {task.state for task in wait.tasks(run)} == {"up_for_reschedule"}
    else:
        wait.until_asked()  # the triggerer knows no pauses
        wait.deliver()
        wait.until_task(run, "success" if wait.mode == "trigger" else "scheduled")
        wait.assert_nothing_asks(time.time(), "the trigger fired in the pause")
    assert wait.visits() == []
    wait.pause(False)
    wait.until_run(run, "success")
    over = time.time()

    assert wait.visits() == [f"{wait.number()} delivered"]
    assert wait.changes() == wait.closed("A")
    wait.assert_nothing_asks(over, "the end")


def change_arguments(wait: Wait) -> None:
    """The DAG file names B instead of A: the task waits for B, and no worker fails because of the change."""
    run = wait.begin()
    wait.until_waiting(run)
    wait.change_file(parcels=["B"])
    wait.deliver("A")

    if wait.mode == "trigger":  # the trigger has the old arguments and ends the task by them
        wait.until_run(run, "success")
        assert wait.visits() == [f"{wait.number('A')} delivered"]
        assert wait.changes() == wait.closed("A")
    else:
        wait.until_asked_for("B", 2)
        wait.deliver("B")
        wait.until_run(run, "success")
        assert wait.visits() == [f"{wait.number('B')} delivered"]
        assert wait.changes() == wait.closed("B")
    wait.assert_nothing_asks(time.time(), "the end")


def change_arguments_and_clear(wait: Wait) -> None:
    """Clearing the wait after the change applies the new arguments at once, in every mode."""
    run = wait.begin()
    first = wait.until_waiting(run)
    wait.change_file(parcels=["B"])
    wait.clear(run)
    wait.until_waiting(run, other_than=[first])
    assert wait.asked_for("B")
    wait.deliver("A")
    time.sleep(3 * wait.poke_seconds)
    assert {task.state for task in wait.tasks(run)} <= {wait.waiting_state, "scheduled", "queued", "running"}

    wait.deliver("B")
    wait.until_run(run, "success")
    assert wait.visits() == [f"{wait.number('B')} delivered"]
    assert wait.changes() == wait.closed("B")
    wait.assert_nothing_asks(time.time(), "the end")


def change_terms(wait: Wait) -> None:
    """A wait for any of two parcels becomes a wait for both: one arrival is no longer enough."""
    run = wait.begin()
    wait.until_waiting(run)
    wait.change_file(parcels=["AB"], wait_for="all")
    wait.deliver("A")

    if wait.mode == "trigger":
        wait.until_run(run, "success")
        assert wait.visits() == [f"{wait.number('A')} delivered {wait.number('B')} waiting"]
        assert wait.changes() == wait.closed("A")
    else:
        wait.until_asked_for("B", 3)
        wait.deliver("B")
        wait.until_run(run, "success")
        assert wait.visits() == [f"{wait.number('A')} delivered {wait.number('B')} delivered"]
        assert wait.changes() == wait.closed("A", "B")
    wait.assert_nothing_asks(time.time(), "the end")


def change_timeout(wait: Wait) -> None:
    """A timeout that is extended during the wait counts from the start of the wait, in every mode."""
    began = time.monotonic()
    run = wait.begin()
    wait.until_waiting(run)
    wait.change_file()
    time.sleep(max(0.0, began + 2 * SHORT_SECONDS - time.monotonic()))
    wait.until_asked_for("A", 2)
    wait.deliver()
    wait.until_run(run, "success")
    assert wait.visits() == [f"{wait.number()} delivered"]
    assert wait.changes() == wait.closed("A")
    wait.assert_nothing_asks(time.time(), "the end")


def delete_run(wait: Wait) -> None:
    """Deleting the run also ends its tasks, its trigger and its calls."""
    from demo.components import AirflowError

    run = wait.begin()
    wait.until_waiting(run)

    with pytest.raises(AirflowError, match="cannot be deleted in running state"):
        wait.delete(run)
    wait.mark_run(run, "failed")
    wait.delete(run)
    deleted = time.time()
    wait.until(lambda: wait.run_state(run) is None and not wait.tasks(run), "the run is gone")
    wait.assert_nothing_asks(deleted, "deleting the run")
    wait.deliver()
    time.sleep(3 * wait.poke_seconds)

    assert wait.visits() == wait.changes() == []


def two_runs(wait: Wait) -> None:
    """Runs that wait for the same parcel share their calls. Each ends, and one of them closes the order."""
    runs = [wait.begin() for _ in range(3)]
    for run in runs:
        wait.until_waiting(run)
    if wait.mode != "reschedule":
        before, began = len(wait.calls()), time.monotonic()
        time.sleep(5 * wait.poke_seconds)
        asked, held = len(wait.calls()) - before, time.monotonic() - began
        wait.echo(f"three runs: {asked} calls in {held:.0f} s, with an interval of {wait.poke_seconds:.0f} s")
        assert asked <= held / wait.poke_seconds + 2

    wait.mark_run(runs[2], "failed")
    wait.until_asked()
    wait.deliver()
    for run in runs[:2]:
        wait.until_run(run, "success")
    over = time.time()

    assert wait.run_state(runs[2]) == "failed"
    assert wait.visits() == [f"{wait.number()} delivered"] * 2
    assert wait.changes() == wait.closed("A")
    wait.assert_nothing_asks(over, "the end")


def kill_worker(wait: Wait) -> None:
    """The worker dies as soon as the task waits: the wait continues without a retry."""
    for _ in range(10):
        run = wait.begin()
        if wait.kill_worker_after_the_wait_began(run):
            break
        wait.mark_run(run, "failed")
    else:
        pytest.fail("the worker was always done already")
    wait.echo("killed")
    wait.until_waiting(run)
    wait.deliver()
    took = wait.until_run(run, "success")
    over = time.time()
    wait.echo(f"the run is over {took:.0f} s after the arrival")

    assert {task.try_number for task in wait.tasks(run)} == {1}
    assert wait.visits() == [f"{wait.number()} delivered"]
    assert wait.changes() == wait.closed("A")
    wait.assert_nothing_asks(over, "the end")


CASES: tuple[Callable[[Wait], None], ...] = (
    kill_worker,
    change_arguments,
    change_terms,
    change_timeout,
    change_arguments_and_clear,
    two_runs,
    pause,
    clear_while_it_waits,
    clear_after_success,
    clear_after_failure,
    mark_success,
    mark_failed,
    delete_run,
)
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "change_terms": {"parcels": ["AB"], "wait_for": "any"},
    "change_timeout": {"timeout": SHORT_SECONDS},
    "kill_worker": {"retries": 1},
}
SMALL = 3
"""The number of triggers that the small triggerer runs."""
FULL: Mapping[str, tuple[Mode, Mapping[str, Any]]] = {
    "full_deferrable": ("deferrable", {"parcels": ["A", "B", "C", "D", "E", "F", "G"]}),
    "full_trigger": ("trigger", {"parcels": ["A", "B", "C", "D", "E", "F", "G"]}),
    "late": ("deferrable", {"timeout": 60}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    dags: dict[str, tuple[Mode, Mapping[str, Any]]] = {
        f"{case.__name__}_{mode}": (mode, ARGUMENTS.get(case.__name__, {})) for case in CASES for mode in MODES
    }
    began = time.monotonic()
    with installed(tmp_path_factory.mktemp("interventions"), dags | dict(FULL)) as there:
        print(f"\nAirflow is there after {time.monotonic() - began:.0f} s", flush=True)
        yield there


Results = Mapping[tuple[str, str], "Future[None]"]


@pytest.fixture(scope="module")
def results(place: Installation, request: pytest.FixtureRequest) -> Iterator[Results]:
    """All chosen cases, which run side by side."""
    chosen = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and "results" in item.fixturenames and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (case["case"].__name__, case["mode"]): pool.submit(
                case["case"],
                Wait(place, f"{case['case'].__name__}_{case['mode']}", case["mode"]),
            )
            for case in chosen
        }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_after(case: Callable[[Wait], None], mode: Mode, results: Results) -> None:
    results[case.__name__, mode].result()


@pytest.fixture(scope="module")
def small_triggerer(place: Installation) -> Installation:
    """The same Airflow with a triggerer that runs few triggers at once. The other cases have ended by now."""
    place.airflow.kill("triggerer")
    place.airflow.start("triggerer", environment={"AIRFLOW__TRIGGERER__CAPACITY": str(SMALL)})
    return place


@pytest.mark.parametrize("mode", ["deferrable", "trigger"])
def test_more_triggers_than_the_triggerer_runs(mode: Mode, small_triggerer: Installation) -> None:
    wait = Wait(small_triggerer, f"full_{mode}", mode)
    parcels = "ABCDEFG"
    run = wait.begin()

    def full() -> bool:
        found = wait.tasks(run)
        return len(found) == 7 and all(task.state == "deferred" for task in found) and running(found) == SMALL

    def running(found: Any) -> int:
        return sum(task.triggerer is not None for task in found)

    wait.until(full, "all wait, some of them in the triggerer")
    served = [parcels[task.map_index] for task in wait.tasks(run) if task.triggerer is not None]
    others = [parcel for parcel in parcels if parcel not in served]
    began = time.time()
    wait.deliver(*others)
    time.sleep(5 * wait.poke_seconds)
    numbers = {
        number
        for call in wait.calls()
        if call["real"] > began and call["path"] == "/trackings/get"  # the account's quota is read now and then
        for number in call["query"]["numbers"].split(",")
    }
    assert numbers == {wait.number(parcel) for parcel in served}, "without a trigger nothing is asked"
    assert running(wait.tasks(run)) == SMALL

    wait.deliver(served[0])
    took = wait.until(lambda: sum(task.state == "success" for task in wait.tasks(run)) == 5, "the others follow")
    wait.echo(f"the four that had no trigger are over {took:.0f} s after the first place was free")
    wait.deliver(*served[1:])
    wait.until_run(run, "success")
    over = time.time()

    assert wait.visits() == [" ".join(f"{wait.number(parcel)} delivered" for parcel in parcels)]
    assert wait.changes() == wait.closed(*parcels)
    assert {task.try_number for task in wait.tasks(run)} == {1}
    wait.assert_nothing_asks(over, "the end")


def test_a_wait_that_never_got_a_trigger_checks_once_more_at_its_deadline(small_triggerer: Installation) -> None:
    others = Wait(small_triggerer, "full_deferrable", "deferrable")
    others.set_status(AS_IT_IS, *"ABCDEFG")
    full = others.begin()
    others.until(
        lambda: sum(task.triggerer is not None for task in others.tasks(full)) == SMALL, "the triggerer is full"
    )

    wait = Wait(small_triggerer, "late", "deferrable")
    run = wait.begin()
    wait.until_task(run, "deferred")
    assert wait.tasks(run)[0].triggerer is None
    wait.deliver()
    took = wait.until_run(run, "success")
    wait.echo(f"over {took:.0f} s after the arrival, with a timeout of 60 s")

    assert wait.visits() == [f"{wait.number()} delivered"]
    assert wait.changes() == wait.closed("A")
    others.mark_run(full, "failed")
    others.assert_nothing_asks(time.time(), "the end")
