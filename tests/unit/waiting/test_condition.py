"""The condition: from checks to waiting, released or failed; and the arguments of a wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.waiting.condition import Condition, confirm
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.outcome import OrderVerdict, Outcome, ShipmentOutcome, Verdict, summary
from airflow_provider_trackingmore.waiting.spec import WaitSpec

NOW = 1_800_000_000.0
STATUSES = [status.value for status in ShipmentStatus if status is not ShipmentStatus.UNKNOWN]
MISSING = "missing"
UNKNOWN_STATUS = "beamed_up"
PARCELS = [{"carrier_code": "usps", "tracking_number": f"P{number}"} for number in range(4)]
DEFAULT_FAIL_ON = ("exception", "expired")


def key(number: int) -> ShipmentKey:
    return ShipmentKey("usps", f"P{number}")


def observed(state: str) -> Observation:
    return NOT_REGISTERED if state == MISSING else Observation.from_record({"status": state}, NOW)


def after(spec: WaitSpec, *states: str | None) -> Condition:
    """The condition after checks of the first shipments; None for a shipment that was not checked."""
    condition = Condition(spec)
    for number, state in enumerate(states):
        if state is not None:
            condition.update(key(number).normalized, observed(state), NOW)
    condition.decide()
    return condition


def verdict(spec: WaitSpec, *states: str | None) -> OrderVerdict:
    return after(spec, *states).verdict().orders[None]


def goal(shipments: object, **options: Any) -> WaitSpec:
    return WaitSpec.create(shipments=shipments, **options)


def decide(states: tuple[str | None, ...], **wanted: Any) -> OrderVerdict:
    return verdict(goal(PARCELS[: len(states)], **{"fail_on": DEFAULT_FAIL_ON} | wanted), *states)


def reason(decision: OrderVerdict) -> str:
    return Verdict({None: decision}).reason


@pytest.mark.parametrize(
    ("wait_for", "states", "expected"),
    [
        ("all", ("delivered", "delivered"), "released"),
        ("all", ("delivered", "transit"), "waiting"),
        ("all", ("delivered", None), "waiting"),
        ("all", (None, None), "waiting"),
        ("all", ("delivered", "exception"), "failed"),
        ("all", ("transit", "expired"), "failed"),
        ("all", ("delivered", "undelivered"), "waiting"),
        ("all", ("pending", "notfound", "pickup"), "waiting"),
        ("all", ("delivered", UNKNOWN_STATUS), "waiting"),
        ("all", ("delivered", MISSING), "failed"),
        ("any", ("transit", "delivered"), "released"),
        ("any", ("exception", "delivered"), "released"),
        ("any", ("exception", "transit"), "waiting"),
        ("any", ("exception", None), "waiting"),
        ("any", ("exception", "expired"), "failed"),
        ("any", ("delivered", MISSING), "released"),
        ("any", ("transit", MISSING), "failed"),
        (2, ("delivered", "delivered", "exception"), "released"),
        (2, ("delivered", "transit", "exception"), "waiting"),
        (2, ("delivered", "exception", "exception"), "failed"),
        (2, ("exception", "exception", "transit"), "failed"),
        (2, ("delivered", "delivered", MISSING), "released"),
        ("2", ("delivered", "transit", "delivered"), "released"),
        (1, ("transit",), "waiting"),
    ],
)
def test_the_decision(wait_for: Any, states: tuple[str | None, ...], expected: str) -> None:
    assert decide(states, wait_for=wait_for).result == expected


def test_without_fail_on_only_a_missing_registration_fails() -> None:
    assert decide(("exception", "expired"), fail_on=()).result == "waiting"
    assert decide(("exception", MISSING), fail_on=()).result == "failed"


def test_a_status_that_is_waited_for_has_arrived_even_if_it_would_also_fail() -> None:
    assert decide(("exception",), statuses=("delivered", "exception")).result == "released"
    assert decide(("expired",), statuses=("delivered", "exception")).result == "failed"


def test_one_of_several_statuses_is_enough() -> None:
    decision = decide(("pickup", "delivered"), statuses=("pickup", "delivered"))
    assert decision.result == "released"
    assert [shipment.outcome for shipment in decision.outcomes] == ["pickup", "delivered"]


@pytest.mark.parametrize("wait_for", ["all", "any", 2])
def test_nothing_to_wait_for_is_released(wait_for: object) -> None:
    for nothing in ([], None):
        condition = Condition(goal(nothing, wait_for=wait_for))
        assert condition.is_over()
        assert (condition.verdict().result, condition.verdict().outcomes) == ("released", ())


def test_the_order_is_the_users_and_each_shipment_comes_once() -> None:
    wanted = goal([PARCELS[2], PARCELS[0], PARCELS[2], ShipmentKey("usps", "P0"), PARCELS[1]])
    assert wanted.shipments == (key(2), key(0), key(1))
    assert [shipment.key for shipment in verdict(wanted, "delivered").outcomes] == [key(2), key(0), key(1)]


def test_a_shipment_that_is_given_twice_counts_once() -> None:
    wanted = goal([PARCELS[0], PARCELS[0], PARCELS[1]], wait_for=2)
    assert verdict(wanted, "delivered", "transit").result == "waiting"
    with pytest.raises(InvalidArgumentError, match="wait_for is 3, but there are only 2 shipments"):
        goal([PARCELS[0], PARCELS[0], PARCELS[1]], wait_for=3)


def test_one_shipment_alone_is_a_list_of_one() -> None:
    assert goal(PARCELS[0]).shipments == (key(0),)


def test_the_reason_names_each_lost_shipment_and_only_those() -> None:
    decision = decide(("exception", "delivered", "expired", "transit"), wait_for=3)
    assert decision.result == "failed"
    assert reason(decision) == "usps P0: exception; usps P2: expired"


def test_the_reason_for_a_missing_shipment_says_what_to_do() -> None:
    decision = decide(("exception", MISSING, "transit"))
    assert decision.result == "failed"
    assert reason(decision) == "usps P1 is not registered with TrackingMore: run CreateTrackingsOperator first"


def test_a_long_reason_is_cut_and_says_so() -> None:
    parcels = [{"carrier_code": "usps", "tracking_number": f"P{number}"} for number in range(23)]
    decision = verdict(goal(parcels, fail_on=("expired",)), *["expired"] * 23)
    assert decision.result == "failed"
    assert reason(decision).endswith("; usps P19: expired; and 3 more")


def test_each_outcome_says_what_it_means_for_the_wait() -> None:
    decision = decide(("delivered", "exception", "transit", MISSING), wait_for="any")
    assert [(shipment.status, shipment.outcome) for shipment in decision.outcomes] == [
        ("delivered", "delivered"),
        ("exception", "exception"),
        ("transit", "waiting"),
        (None, "not_registered"),
    ]


def test_a_reported_outcome_that_contradicts_its_status_counts_as_waiting() -> None:
    wanted = goal(PARCELS[0], fail_on=("exception",))
    claims = [
        Outcome(key(0), Observation("transit"), ShipmentOutcome.DELIVERED),
        Outcome(key(0), None, ShipmentOutcome.DELIVERED),
        Outcome(key(0), Observation("transit"), ShipmentOutcome.NOT_REGISTERED),
        Outcome(key(0), Observation("exception"), ShipmentOutcome.RETURNED),
        Outcome(key(0), Observation("transit"), ShipmentOutcome.STUCK),
    ]
    for claim in claims:
        assert confirm(wanted, {None: [claim]}).result == "waiting"


def test_only_open_shipments_are_checked_again() -> None:
    wanted = goal(PARCELS, fail_on=DEFAULT_FAIL_ON, wait_for=3)
    condition = after(wanted, "delivered", "expired", "transit")
    assert tuple(condition.open.values()) == (key(2), key(3))
    assert condition.take_closed() == [key(0).normalized, key(1).normalized]
    assert tuple(after(wanted).open.values()) == tuple(key(number) for number in range(4))


def test_at_the_deadline_only_shipments_that_still_wait_have_timed_out() -> None:
    decision = decide(("delivered", "transit", None, UNKNOWN_STATUS))
    late = Verdict({None: decision}).at_deadline()
    assert late.result == "timed_out"
    assert [shipment.outcome for shipment in late.outcomes] == ["delivered", "timed_out", "timed_out", "timed_out"]


def test_the_summary_counts_statuses() -> None:
    decision = decide(("transit", "delivered", "transit", MISSING), wait_for="any")
    assert summary(decision.outcomes) == "1 delivered, 1 not_registered, 2 transit"
    assert summary(()) == "no shipments"


def test_an_outcome_survives_its_compact_form() -> None:
    seen = Observation("delivered", "delivered001", "2026-03-01T10:00:00", None, "A-1")
    for shipment in (
        Outcome(key(0), seen, ShipmentOutcome.DELIVERED),
        Outcome(key(0)),
        Outcome(key(0), Observation("transit")),
    ):
        assert Outcome.from_row(key(0), shipment.to_row()) == shipment
    assert Outcome(key(0)).to_row() == ["waiting"]


def test_an_outcome_holds_no_personal_data() -> None:
    personal = {
        "customer_name": "Ada Lovelace",
        "customer_email": ["ada@example.com"],
        "customer_phone": "+44 20 7946 0000",
        "lastEvent": "signed by A. LOVELACE",
    }
    record = {"carrier_code": "usps", "tracking_number": "P0", "status": "transit", **personal}
    outcome = Outcome(key(0), Observation.from_record(record, NOW))
    values = [*outcome.to_dict().values(), *outcome.to_row()]
    assert list(outcome.to_dict()) == [
        "carrier_code",
        "tracking_number",
        "status",
        "substatus",
        "delivered_at",
        "last_update",
        "order_id",
        "outcome",
    ]
    assert not any(word in str(values) for word in ("Ada", "ada@", "7946", "LOVELACE"))


# Any decision --------------------------------------------------------------------------------------------------------

states = st.sampled_from([None, MISSING, UNKNOWN_STATUS, "", *STATUSES])
some_statuses = st.sets(st.sampled_from(STATUSES))


@st.composite
def waits(draw: st.DrawFn) -> tuple[WaitSpec, list[str | None]]:
    total = draw(st.integers(1, 6))
    parcels = [key(number) for number in range(total)]
    wait_for = draw(st.one_of(st.sampled_from(["all", "any"]), st.integers(1, total)))
    wanted = goal(
        parcels,
        statuses=draw(some_statuses.filter(bool)),
        wait_for=wait_for,
        fail_on=draw(some_statuses),
    )
    return wanted, draw(st.lists(states, min_size=total, max_size=total))


@given(waits())
def test_every_decision_agrees_with_a_plain_count(wait: tuple[WaitSpec, list[str | None]]) -> None:
    wanted, given_states = wait
    arrived = sum(state in wanted.statuses for state in given_states)
    lost = sum(state in wanted.fail_on - wanted.statuses for state in given_states)
    needed = {"all": len(given_states), "any": 1}.get(str(wanted.wait_for), wanted.wait_for)
    decision = verdict(wanted, *given_states)
    if arrived >= needed:
        assert decision.result == "released"
    elif MISSING in given_states or len(given_states) - lost < needed:
        assert decision.result == "failed"
        assert reason(decision)
    else:
        assert decision.result == "waiting"
        assert after(wanted, *given_states).open
    assert [shipment.key for shipment in decision.outcomes] == list(wanted.shipments)


@given(waits(), st.data())
def test_more_arrivals_never_undo_a_release(wait: tuple[WaitSpec, list[str | None]], data: st.DataObject) -> None:
    wanted, before = wait
    lucky = data.draw(st.sets(st.sampled_from(range(len(before)))))
    arrived = data.draw(st.sampled_from(sorted(wanted.statuses)))
    luckier = [arrived if number in lucky else state for number, state in enumerate(before)]
    ranks = {"failed": 0, "waiting": 1, "released": 2}
    assert ranks[verdict(wanted, *luckier).result] >= ranks[verdict(wanted, *before).result]


@given(waits())
def test_the_compact_form_leads_to_the_same_verdict(wait: tuple[WaitSpec, list[str | None]]) -> None:
    wanted, given_states = wait
    decision = verdict(wanted, *given_states)
    rows = [Outcome.from_row(shipment.key, shipment.to_row()) for shipment in decision.outcomes]
    assert confirm(wanted, {None: rows}).orders[None] == decision


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value", "says"),
    [
        ("shipments", "P0", "shipments must be a list of mappings"),
        ("shipments", 7, "shipments must be a list of mappings .* not int"),
        ("shipments", ["P0"], "shipment 1: a shipment is a mapping .* not str 'P0'"),
        ("shipments", [PARCELS[0], {"tracking_number": "P1"}], "shipment 2: carrier_code is missing.*P1"),
        ("shipments", [{"carrier_code": "usps"}], "shipment 1: tracking_number is missing"),
        ("shipments", [{"carrier_code": "usps", "tracking_number": 940}], "quote it"),
        ("wait_for", 0, "wait_for must be 'all', 'any' or a number from 1, not 0"),
        ("wait_for", "most", "wait_for must be .* not 'most'"),
        ("wait_for", True, "wait_for must be"),
        ("wait_for", 1.5, "wait_for must be .* not 1.5"),
        ("wait_for", None, "wait_for must be .* not NoneType"),
        ("wait_for", "²", "wait_for must be"),
        ("wait_for", 9, "wait_for is 9, but there are only 4 shipments"),
        pytest.param("wait_for", 10**5000, "more than 60 digits", id="huge-wait_for"),
        ("statuses", ["delivred"], "statuses contains 'delivred'; allowed values are pending, "),
        ("statuses", "delivred", "statuses contains 'delivred'"),
        ("statuses", ["unknown"], "statuses contains 'unknown'"),
        ("statuses", [], "statuses is empty: name at least one"),
        ("statuses", 3, "statuses must be a list of statuses, not int"),
        ("fail_on", ["lost"], "fail_on contains 'lost'; allowed values are "),
        ("fail_on", None, "fail_on must be a list of statuses, not NoneType"),
        pytest.param("fail_on", [10**5000], "fail_on contains .more than 60 digits", id="huge-fail_on"),
    ],
)
def test_an_invalid_argument_is_named_with_what_is_allowed(argument: str, value: object, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        goal(**{"shipments": PARCELS, argument: value})


def test_all_wrong_shipments_are_named_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match=r"shipment 2: .*; shipment 3: .*") as caught:
        goal([PARCELS[0], {"tracking_number": "X"}, 5])
    assert "shipment 1" not in caught.value.message


def test_a_single_status_may_be_a_plain_text() -> None:
    assert goal(PARCELS, statuses="pickup", fail_on=ShipmentStatus.EXPIRED).statuses == {"pickup"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
    | st.sampled_from(["all", "any", "delivered", "9" * 5000, "²", object(), ShipmentKey("usps", "P0")])
    | st.builds(lambda: 10**5000),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["carrier_code", "tracking_number", "x"]), inner, max_size=3)
    | st.tuples(inner, inner),
    max_leaves=8,
)  # fmt: skip


@given(anything, anything, anything, anything)
def test_any_arguments_are_accepted_or_refused_with_an_error_of_ours(
    shipments: object, wait_for: object, statuses: object, fail_on: object
) -> None:
    for arguments in (
        {"shipments": shipments, "wait_for": wait_for, "statuses": statuses, "fail_on": fail_on},
        {"shipments": shipments},
        {"shipments": PARCELS, "wait_for": wait_for},
        {"shipments": PARCELS, "statuses": statuses},
        {"shipments": PARCELS, "fail_on": fail_on},
    ):
        try:
            wanted = goal(**arguments)
        except InvalidArgumentError:
            continue
        assert Condition(wanted).is_over() is not bool(wanted.shipments)
