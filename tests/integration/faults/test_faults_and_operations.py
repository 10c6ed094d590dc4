"""Every fault in the middle of every method of the hook: how it ends, what was asked, done, paid and reported."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.records import Account
from airflow_provider_trackingmore.api.reports import BatchReport
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.integration.faults.conftest import Run
from tests.integration.faults.operations import NINETY, OPERATIONS, Operation
from tests.integration.faults.troubles import LASTING, TROUBLES, Expected, Trouble, expected

SHORTEST_WAIT, COOL_DOWN = 1.0, 120.0
LONGEST_BACKOFF, GRACE = 3.0, 1.5
IMPATIENCE = 0.5

every_operation = pytest.mark.parametrize("name", OPERATIONS)
every_passing_trouble = pytest.mark.parametrize("what", [w for w, t in TROUBLES.items() if t.kind not in LASTING])
every_trouble_that_stays = pytest.mark.parametrize("what", [w for w, t in TROUBLES.items() if t.times == 1 and t.ends])
everything_sent_again = pytest.mark.parametrize(
    "what", [w for w, t in TROUBLES.items() if t.times == 1 and t.again != "never"]
)


@dataclass
class Ended:
    """How a method ended: with a result or with an error."""

    result: Any = None
    error: TrackingMoreError | None = None

    @property
    def report(self) -> BatchReport | None:
        told = self.error.report if self.error else self.result
        return told if isinstance(told, BatchReport) else None


def carry_out(
    run: Run, operation: Operation, trouble: Trouble | None, *, passes: bool = True, patience: float | None = None
) -> Ended:
    if operation.seeded:
        run.seed()
    slow = trouble is not None and trouble.kind == "slow"
    with run.hook(timeout_seconds=(0.3 if passes else 0.2) if slow else 5, max_wait_seconds=patience) as hook:
        if trouble is not None and trouble.kind == "dns":
            run.names_are_unknown(trouble.times if passes else None)
        elif trouble is not None:
            count = trouble.times if passes or trouble.kind in LASTING else None
            run.sandbox.fault(trouble.kind, nth=operation.hit, count=count, **trouble.settings)
        try:
            return Ended(result=operation.use(hook))
        except TrackingMoreError as error:
            run.said += [repr(error), *traceback.format_exception(error)]  # the latter is what Airflow logs
            run.said += [str(error.report.as_dict())] if error.report else []
            return Ended(error=error)
        finally:
            run.names_are_known()


def told(result: Any) -> Any:
    """The gist of a result: what does not depend on when it was asked for."""
    if isinstance(result, Tracking):
        return result.key, result.title
    if isinstance(result, Account):
        return result.registered_at
    if isinstance(result, dict):
        return sorted(map(str, result))
    if isinstance(result, tuple):
        return result[0]
    return len(result) if isinstance(result, Sized) else result


def check_requests_and_effects(run: Run, operation: Operation, trouble: Trouble, then: Expected) -> None:
    ledger, calls = run.sandbox.ledger(), run.sandbox.calls()
    assert run.waits.requests == then.requests(operation)
    assert ledger["requests"] == then.requests(operation) - (then.spoilt if trouble.kind == "dns" else 0)
    times = then.times(operation, trouble)
    effects: Counter[str] = Counter()
    for call in calls:
        effects.update(call["effect"])
    done = [min(each, 1) if operation.settles else each for each in times]
    wanted = sum(count * each for count, each in zip(operation.done, done, strict=False))
    assert effects == Counter({operation.effect: wanted} if wanted else {})
    paid = sum(cost for cost, each in zip(operation.costs, times, strict=False) if each)
    assert ledger["quota_charged"] == pytest.approx(paid)
    assert ledger["created_twice"] == []


def check_report(operation: Operation, then: Expected, report: BatchReport | None) -> None:
    """Each shipment is in exactly one list: what is certain as done, what is not as rejected, with the reason."""
    assert report is not None
    before, hit, after = (
        flat(operation.report[: then.hit - 1]),
        operation.report[then.hit - 1],
        flat(operation.report[then.hit :]),
    )
    rejected = tuple(ShipmentKey(one.carrier_code, one.tracking_number) for one in report.rejected)
    assert len(report) == len(flat(operation.report))
    if then.succeeds and then.meets_itself:
        assert (report.done, report.unchanged, rejected) == (before + after, hit, ())
    elif then.succeeds:
        assert (report.done, report.unchanged, rejected) == (before + hit + after, (), ())
    else:
        assert (report.done, report.unchanged, rejected) == (before, (), hit + after)
        reasons = {ShipmentKey(one.carrier_code, one.tracking_number): one.message for one in report.rejected}
        assert all(reasons[key] for key in hit)
        assert all("because an earlier call failed: run it again" in reasons[key] for key in after)


def flat(chunks: Iterable[tuple[ShipmentKey, ...]]) -> tuple[ShipmentKey, ...]:
    return tuple(chain(*chunks))


def check_end(name: str, trouble: Trouble, then: Expected, ended: Ended, undisturbed: dict[str, Any]) -> None:
    operation = OPERATIONS[name]
    if name == "test_connection":
        assert ended.result[0] is then.succeeds
        assert ended.result[1]
    elif then.succeeds:
        assert ended.error is None
        wanted = operation.again if then.meets_itself and operation.again is not None else undisturbed[name]
        assert told(ended.result) == wanted
    else:
        assert type(ended.error) is trouble.ends
        assert ended.error.message
    if operation.report:
        check_report(operation, then, ended.report)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """What each method returns when nothing goes wrong; filled by the first test that wants it."""
    return {}


@pytest.fixture
def usual(run: Run, undisturbed: dict[str, Any], name: str) -> dict[str, Any]:
    if name not in undisturbed:
        ended = carry_out(run, OPERATIONS[name], None)
        assert ended.error is None
        undisturbed[name] = told(ended.result)
        run.sandbox.reset()
        run.waits.each.clear()
        run.waits.requests = 0
    return undisturbed


def test_every_method_of_the_hook_is_in_the_table() -> None:
    own = {name for name, value in vars(TrackingMoreHook).items() if callable(value) and not name.startswith("_")}
    others = {"get_conn", "aget_conn", "close", "get_ui_field_behaviour", "get_connection_form_widgets"}
    assert own - others == set(OPERATIONS)


@every_operation
def test_without_a_fault_each_method_asks_does_and_pays_what_the_table_says(run: Run, name: str) -> None:
    operation = OPERATIONS[name]
    ended = carry_out(run, operation, None)
    nothing = Trouble("nothing", None, "never")
    then = expected(operation, nothing, passes=True)
    check_end(name, nothing, then, ended, {name: told(ended.result)})
    check_requests_and_effects(run, operation, nothing, then)
    assert sum(run.waits.each) < SHORTEST_WAIT


@every_operation
@every_passing_trouble
def test_a_fault_that_passes_changes_nothing_that_may_be_asked_again(
    run: Run, usual: dict[str, Any], name: str, what: str
) -> None:
    operation, trouble = OPERATIONS[name], TROUBLES[what]
    ended = carry_out(run, operation, trouble)
    then = expected(operation, trouble, passes=True)
    check_end(name, trouble, then, ended, usual)
    check_requests_and_effects(run, operation, trouble, then)
    repetitions, waited = then.sent - 1, sum(run.waits.each)
    least, most = (COOL_DOWN, COOL_DOWN + 1) if trouble.kind == "429" else (SHORTEST_WAIT, LONGEST_BACKOFF + GRACE)
    assert repetitions * least <= waited <= repetitions * most + GRACE


@every_operation
@every_trouble_that_stays
def test_a_fault_that_stays_ends_it_with_an_account_of_everything(
    run: Run, usual: dict[str, Any], name: str, what: str
) -> None:
    operation, trouble = OPERATIONS[name], TROUBLES[what]
    if trouble.kind == "quota" and operation.spends and operation.report:
        return  # no error: the report tells it, see below
    ended = carry_out(run, operation, trouble, passes=False)
    then = expected(operation, trouble, passes=False)
    check_end(name, trouble, then, ended, usual)
    check_requests_and_effects(run, operation, trouble, then)


@every_operation
@everything_sent_again
def test_nothing_waits_longer_than_it_was_told_to(run: Run, usual: dict[str, Any], name: str, what: str) -> None:
    operation, trouble = OPERATIONS[name], TROUBLES[what]
    ended = carry_out(run, operation, trouble, passes=False, patience=IMPATIENCE)
    then = expected(operation, trouble, passes=False, attempts=1)
    check_end(name, trouble, then, ended, usual)
    check_requests_and_effects(run, operation, trouble, then)
    assert max(run.waits.each) <= IMPATIENCE


@pytest.mark.parametrize("left", [0, 10])
def test_quota_that_runs_out_in_the_middle_leaves_each_shipment_accounted_for(run: Run, left: int) -> None:
    operation = OPERATIONS["create_trackings"]
    ended = carry_out(run, operation, Trouble("quota", None, "never", settings={"left": left}))
    assert ended.error is None
    all_of_them = flat(NINETY)
    refused = [key.tracking_number for key in all_of_them[40 + left :]]
    registered = {ShipmentKey(one["carrier_code"], one["tracking_number"]) for one in run.sandbox.trackings()}
    assert ended.report is not None
    assert {*ended.report.done, *ended.report.unchanged} == registered == set(all_of_them[: 40 + left])
    assert [one.tracking_number for one in ended.report.rejected] == refused
    assert {one.code for one in ended.report.rejected} == {4021}
    assert run.sandbox.ledger()["quota_charged"] == 40 + left
    assert run.sandbox.ledger()["created_twice"] == []
    refused_as_a_whole = 1 if left else 2  # each is followed by a look at what is there
    assert run.sandbox.ledger()["requests"] == 3 + refused_as_a_whole


def test_quota_that_runs_out_while_carriers_are_asked_ends_the_asking(run: Run) -> None:
    ended = carry_out(run, OPERATIONS["realtime_trackings"], TROUBLES["no quota left"])
    assert ended.error is None
    assert ended.report is not None
    assert (len(ended.report.done), [one.code for one in ended.report.rejected]) == (1, [4021, 4021])
    assert run.sandbox.ledger()["requests"] == 2
