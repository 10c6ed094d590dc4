"""Whatever a template or an XCom makes of an operator's arguments, it ends in plain data or in one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import InvalidShipmentError, TrackingMoreError
from airflow_provider_trackingmore.get_provider_info import get_provider_info
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.operators import account, air_cargo, carriers, trackings
from airflow_provider_trackingmore.operators.task import TrackingMoreTask
from tests.unit.hostile.things import (
    ANSWERS,
    CODES,
    LISTS,
    MORE,
    NUMBERS,
    ROWS,
    TEXTS,
    THINGS,
    Wire,
    assert_says_it_well,
    moderate,
)

Arguments = Mapping[str, st.SearchStrategy[Any]]

SHIPMENTS = LISTS | ROWS
FLAG = st.booleans() | st.sampled_from(["True", "false", "None"]) | THINGS
FLOOR = st.none() | st.sampled_from([5, "5", 0.2]) | THINGS
REACTION = st.sampled_from(["fail", "report"]) | THINGS
FILTERS = st.none() | MORE | THINGS
BATCH: Arguments = {"shipments": SHIPMENTS, "on_rejected": REACTION}

OPERATORS: dict[type[TrackingMoreTask], Arguments] = {
    trackings.CreateTrackingsOperator: {**BATCH, "quota_floor": FLOOR},
    trackings.GetTrackingsOperator: {"shipments": SHIPMENTS, "on_missing": REACTION, "include_raw": FLAG},
    trackings.ListTrackingsOperator: {
        "filters": FILTERS,
        "max_rows": st.integers(0, 9) | THINGS,
        "path": st.none() | THINGS.filter(lambda thing: not isinstance(thing, str)),
        "include_raw": FLAG,
    },
    trackings.UpdateTrackingsOperator: {**BATCH, "changes": st.none() | MORE | THINGS},
    trackings.DeleteTrackingsOperator: BATCH,
    trackings.StopUpdatesOperator: BATCH,
    trackings.RealtimeTrackOperator: {**BATCH, "include_raw": FLAG},
    trackings.ChangeCarrierOperator: {
        "tracking_number": st.sampled_from(NUMBERS) | THINGS,
        "carrier_code": st.sampled_from(CODES) | THINGS,
        "new_carrier_code": st.sampled_from(CODES) | THINGS,
    },
    trackings.CountByStatusOperator: {"filters": FILTERS},
    carriers.ListCarriersOperator: {"lang": st.just("es") | THINGS, "include_raw": FLAG},
    carriers.DetectCarrierOperator: {
        "tracking_numbers": st.lists(TEXTS, max_size=4) | THINGS,
        "pick": st.sampled_from([None, "first", "only"]) | THINGS,
        "on_undetected": REACTION,
        "quota_floor": FLOOR,
    },
    carriers.TransitTimesOperator: {"lanes": SHIPMENTS, "include_raw": FLAG},
    carriers.RemoteAreasOperator: {"places": SHIPMENTS, "quota_floor": FLOOR, "include_raw": FLAG},
    air_cargo.TrackAirCargoOperator: {
        "waybills": st.lists(TEXTS, max_size=4) | THINGS,
        "lang": TEXTS | THINGS,
        "quota_floor": FLOOR,
        "include_raw": FLAG,
    },
    account.GetAccountOperator: {"include_raw": FLAG},
}


class TaskInstance:
    """Takes what XCom takes: plain data."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = as_plain(value)


def as_plain(value: Any) -> Any:
    back = json.loads(json.dumps(value, allow_nan=False))
    assert back == value
    return back


@pytest.fixture
def meets(monkeypatch: pytest.MonkeyPatch) -> Callable[[Wire], None]:
    return lambda wire: monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: wire)


def test_every_operator_is_given_anything() -> None:
    named = {name for entry in get_provider_info()["operators"] for name in entry["python-modules"]}
    assert {operator.__module__ for operator in OPERATORS} == named
    defined = {
        cls
        for module in (trackings, carriers, air_cargo, account)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, TrackingMoreTask) and cls.__module__ == module.__name__
    }
    assert defined == set(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
@moderate(80)
@given(source=st.data(), answers=ANSWERS)
def test_anything_ends_in_plain_data_or_in_one_clear_error(
    operator: type[TrackingMoreTask], meets: Callable[[Wire], None], source: st.DataObject, answers: list[Any]
) -> None:
    wire, ti = Wire(answers), TaskInstance()
    meets(wire)
    arguments = {name: source.draw(anything) for name, anything in OPERATORS[operator].items()}
    task = operator(task_id="t", **arguments)
    assert wire.sent == 0
    try:
        as_plain(task.execute({"ti": ti}))  # type: ignore[attr-defined]
    except (TrackingMoreError, AirflowFailException) as error:
        assert_says_it_well(str(error))
    assert ti.pushed.get("trackingmore_link", "https://").startswith("https://")


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_a_number_too_long_to_be_written_is_refused_like_any_other(
    operator: type[TrackingMoreTask], meets: Callable[[Wire], None]
) -> None:
    wire = Wire()
    meets(wire)
    task = operator(task_id="t", **dict.fromkeys(OPERATORS[operator], 10**5_000))
    with pytest.raises(TrackingMoreError) as caught:
        task.execute({"ti": TaskInstance()})  # type: ignore[attr-defined]
    assert_says_it_well(caught.value.message)
    assert wire.sent == 0


@pytest.mark.parametrize("name", ["self", "page_size", "filters", "limit"])
@pytest.mark.parametrize("operator", [trackings.ListTrackingsOperator, trackings.CountByStatusOperator])
def test_a_filter_named_like_an_argument_of_python_is_no_filter(
    operator: type[TrackingMoreTask], meets: Callable[[Wire], None], name: str
) -> None:
    wire = Wire()
    meets(wire)
    with pytest.raises(InvalidShipmentError, match=f"no filter '{name}'"):
        operator(task_id="t", filters={name: 1}).execute({"ti": TaskInstance()})  # type: ignore[attr-defined]
    assert wire.sent == 0
