"""Every fault during every method of the hook: outcome, requests, effects, cost and report."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError, cause_of
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import BatchReport
from airflow_provider_trackingmore.api.resources import Account
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.integration.faults.conftest import Run
from tests.integration.faults.fault_cases import FAULT_CASES, PERSISTENT, Expected, FaultCase, expected
from tests.integration.faults.operations import NINETY, OPERATIONS, Operation

SHORTEST_WAIT, COOL_DOWN = 1.0, 120.0
LONGEST_BACKOFF, GRACE = 3.0, 1.5
MAX_WAIT_SECONDS = 0.5

every_operation = pytest.mark.parametrize("name", OPERATIONS)
every_passing_fault = pytest.mark.parametrize(
    "what", [name for name, fault in FAULT_CASES.items() if fault.kind not in PERSISTENT]
)
every_persistent_fault = pytest.mark.parametrize(
    "what", [name for name, fault in FAULT_CASES.items() if fault.times == 1 and fault.ends]
)
every_retried_fault = pytest.mark.parametrize(
    "what", [name for name, fault in FAULT_CASES.items() if fault.times == 1 and fault.again != "never"]
)


@dataclass
class Outcome:
    """How a method ended: with a result or with an error."""

    result: Any = None
    error: TrackingMoreError | None = None

    @property
    def report(self) -> BatchReport | None:
        report = self.error.report if isinstance(self.error, BatchInterruptedError) else self.result
        return report if isinstance(report, BatchReport) else None


def run_operation(
    run: Run,
    operation: Operation,
    fault: FaultCase | None,
    *,
    passes: bool = True,
    max_wait_seconds: float | None = None,
) -> Outcome:
    if operation.seeded:
        run.seed()
    slow = fault is not None and fault.kind == "slow"
    with run.hook(timeout_seconds=(0.3 if passes else 0.2) if slow else 5, max_wait_seconds=max_wait_seconds) as hook:
        if fault is not None and fault.kind == "dns":
            run.break_dns(fault.times if passes else None)
        elif fault is not None:
            count = fault.times if passes or fault.kind in PERSISTENT else None
            run.sandbox.fault(fault.kind, nth=operation.hit, count=count, **fault.settings)
        try:
            return Outcome(result=operation.use(hook))
        except TrackingMoreError as error:
            run.output += [repr(error), *traceback.format_exception(error)]  # the latter is what Airflow logs
            run.output += [str(error.report.as_dict())] if isinstance(error, BatchInterruptedError) else []
            return Outcome(error=error)
        finally:
            run.restore_dns()


def comparable(result: Any) -> Any:
    """Return the part of a result that does not depend on the time of the request."""
    if isinstance(result, Tracking):
        return result.key, result.title
    if isinstance(result, Account):
        return result.registered_at
    if isinstance(result, dict):
        return sorted(map(str, result))
    if isinstance(result, tuple):
        return result[0]
    return len(result) if isinstance(result, Sized) else result


def check_requests_and_effects(run: Run, operation: Operation, fault: FaultCase, expectation: Expected) -> None:
    ledger, calls = run.sandbox.ledger(), run.sandbox.calls()
    assert run.waits.requests == expectation.requests(operation)
    assert ledger["requests"] == expectation.requests(operation) - (expectation.faulted if fault.kind == "dns" else 0)
    times = expectation.times(operation, fault)
    effects: Counter[str] = Counter()
    for call in calls:
        effects.update(call["effect"])
    done = [min(each, 1) if operation.idempotent else each for each in times]
    wanted = sum(count * each for count, each in zip(operation.done, done, strict=False))
    assert effects == Counter({operation.effect: wanted} if wanted else {})
    paid = sum(cost for cost, each in zip(operation.costs, times, strict=False) if each)
    assert ledger["quota_charged"] == pytest.approx(paid)
    assert ledger["created_twice"] == []


def check_report(operation: Operation, expectation: Expected, report: BatchReport | None) -> None:
    """Check that each shipment is in one list: as done if that is certain, otherwise as rejected with a reason."""
    assert report is not None
    before, hit, after = (
        flat(operation.report[: expectation.hit - 1]),
        operation.report[expectation.hit - 1],
        flat(operation.report[expectation.hit :]),
    )
    rejected = tuple(ShipmentKey(item.carrier_code, item.tracking_number) for item in report.rejected)
    assert len(report) == len(flat(operation.report))
    if expectation.succeeds and expectation.finds_own_work:
        assert (report.done, report.unchanged, rejected) == (before + after, hit, ())
    elif expectation.succeeds:
        assert (report.done, report.unchanged, rejected) == (before + hit + after, (), ())
    else:
        assert (report.done, report.unchanged, rejected) == (before, (), hit + after)
        reasons = {ShipmentKey(item.carrier_code, item.tracking_number): item.message for item in report.rejected}
        assert all(reasons[key] for key in hit)
        assert all("because an earlier request failed: run it again" in reasons[key] for key in after)


def flat(chunks: Iterable[tuple[ShipmentKey, ...]]) -> tuple[ShipmentKey, ...]:
    return tuple(chain(*chunks))


def check_outcome(
    name: str, fault: FaultCase, expectation: Expected, outcome: Outcome, baseline: dict[str, Any]
) -> None:
    operation = OPERATIONS[name]
    if name == "test_connection":
        assert outcome.result[0] is expectation.succeeds
        assert outcome.result[1]
    elif expectation.succeeds:
        assert outcome.error is None
        wanted = operation.again if expectation.finds_own_work and operation.again is not None else baseline[name]
        assert comparable(outcome.result) == wanted
    else:
        assert outcome.error is not None
        assert type(cause_of(outcome.error)) is fault.ends
        assert outcome.error.message
    if operation.report:
        check_report(operation, expectation, outcome.report)


@pytest.fixture(scope="module")
def baseline() -> dict[str, Any]:
    """The result of each method without a fault; filled by the first test that needs it."""
    return {}


@pytest.fixture
def usual_results(run: Run, baseline: dict[str, Any], name: str) -> dict[str, Any]:
    if name not in baseline:
        outcome = run_operation(run, OPERATIONS[name], None)
        assert outcome.error is None
        baseline[name] = comparable(outcome.result)
        run.sandbox.reset()
        run.waits.each.clear()
        run.waits.requests = 0
    return baseline


def test_every_method_of_the_hook_is_in_the_table() -> None:
    own = {name for name, value in vars(TrackingMoreHook).items() if callable(value) and not name.startswith("_")}
    loads = {"shipment_source", "stream_shipments"}  # tests/unit/loading lets loads fail at random
    connection = {"get_ui_field_behaviour", "get_connection_form_widgets"}
    assert own - loads - connection == set(OPERATIONS)


@every_operation
def test_without_a_fault_each_method_behaves_as_in_the_table(run: Run, name: str) -> None:
    operation = OPERATIONS[name]
    outcome = run_operation(run, operation, None)
    nothing = FaultCase("nothing", None, "never")
    expectation = expected(operation, nothing, passes=True)
    check_outcome(name, nothing, expectation, outcome, {name: comparable(outcome.result)})
    check_requests_and_effects(run, operation, nothing, expectation)
    assert sum(run.waits.each) < SHORTEST_WAIT


@every_operation
@every_passing_fault
def test_a_temporary_fault_does_not_affect_repeatable_calls(
    run: Run, usual_results: dict[str, Any], name: str, what: str
) -> None:
    operation, fault = OPERATIONS[name], FAULT_CASES[what]
    outcome = run_operation(run, operation, fault)
    expectation = expected(operation, fault, passes=True)
    check_outcome(name, fault, expectation, outcome, usual_results)
    check_requests_and_effects(run, operation, fault, expectation)
    repetitions, waited = expectation.sent - 1, sum(run.waits.each)
    shortest, longest = (COOL_DOWN, COOL_DOWN + 1) if fault.kind == "429" else (SHORTEST_WAIT, LONGEST_BACKOFF + GRACE)
    assert repetitions * shortest <= waited <= repetitions * longest + GRACE


@every_operation
@every_persistent_fault
def test_a_permanent_fault_ends_the_method_with_a_complete_report(
    run: Run, usual_results: dict[str, Any], name: str, what: str
) -> None:
    operation, fault = OPERATIONS[name], FAULT_CASES[what]
    if fault.kind == "quota" and operation.spends and operation.report:
        return  # no error, but a report: see below
    outcome = run_operation(run, operation, fault, passes=False)
    expectation = expected(operation, fault, passes=False)
    check_outcome(name, fault, expectation, outcome, usual_results)
    check_requests_and_effects(run, operation, fault, expectation)


@every_operation
@every_retried_fault
def test_no_request_waits_longer_than_allowed(run: Run, usual_results: dict[str, Any], name: str, what: str) -> None:
    operation, fault = OPERATIONS[name], FAULT_CASES[what]
    outcome = run_operation(run, operation, fault, passes=False, max_wait_seconds=MAX_WAIT_SECONDS)
    expectation = expected(operation, fault, passes=False, attempts=1)
    check_outcome(name, fault, expectation, outcome, usual_results)
    check_requests_and_effects(run, operation, fault, expectation)
    assert max(run.waits.each) <= MAX_WAIT_SECONDS


@pytest.mark.parametrize("left", [0, 10])
def test_quota_that_runs_out_in_the_middle_leaves_each_shipment_accounted_for(run: Run, left: int) -> None:
    operation = OPERATIONS["create_trackings"]
    outcome = run_operation(run, operation, FaultCase("quota", None, "never", settings={"left": left}))
    assert outcome.error is None
    keys = flat(NINETY)
    refused = [key.tracking_number for key in keys[40 + left :]]
    registered = {ShipmentKey(row["carrier_code"], row["tracking_number"]) for row in run.sandbox.trackings()}
    assert outcome.report is not None
    assert {*outcome.report.done, *outcome.report.unchanged} == registered == set(keys[: 40 + left])
    assert [item.tracking_number for item in outcome.report.rejected] == refused
    assert {item.code for item in outcome.report.rejected} == {4021}
    assert run.sandbox.ledger()["quota_charged"] == 40 + left
    assert run.sandbox.ledger()["created_twice"] == []
    refused_as_a_whole = 1 if left else 2  # each is followed by a lookup of its shipments
    assert run.sandbox.ledger()["requests"] == 3 + refused_as_a_whole


def test_no_more_carriers_are_queried_once_the_quota_has_run_out(run: Run) -> None:
    outcome = run_operation(run, OPERATIONS["realtime_trackings"], FAULT_CASES["no quota left"])
    assert outcome.error is None
    assert outcome.report is not None
    assert (len(outcome.report.done), [item.code for item in outcome.report.rejected]) == (1, [4021, 4021])
    assert run.sandbox.ledger()["requests"] == 2
