"""With any arguments from templates and XComs, an operator returns plain data or raises one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.get_provider_info import get_provider_info
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.links import LINK_XCOM, TRACKING_PAGE
from airflow_provider_trackingmore.operators import account, air_cargo, carriers, trackings
from airflow_provider_trackingmore.operators.base import TrackingMoreBaseOperator
from tests.unit.hostile.arbitrary_input import (
    ANY_VALUE,
    CODES,
    FIELDS,
    LISTS,
    NUMBERS,
    RESPONSES,
    ROWS,
    TEXTS,
    CheckingClient,
    assert_readable_message,
    hypothesis_settings,
)

Arguments = Mapping[str, st.SearchStrategy[Any]]

SHIPMENTS = LISTS | ROWS
FLAG = st.booleans() | st.sampled_from(["True", "false", "None"]) | ANY_VALUE
FLOOR = st.none() | st.sampled_from([5, "5", 0.2]) | ANY_VALUE
REACTION = st.sampled_from(["fail", "report"]) | ANY_VALUE
FILTERS = st.none() | FIELDS | ANY_VALUE
BATCH: Arguments = {"shipments": SHIPMENTS, "on_rejected": REACTION}

OPERATORS: dict[type[TrackingMoreBaseOperator], Arguments] = {
    trackings.CreateTrackingsOperator: {**BATCH, "quota_floor": FLOOR},
    trackings.GetTrackingsOperator: {"shipments": SHIPMENTS, "on_missing": REACTION, "include_raw": FLAG},
    trackings.ListTrackingsOperator: {
        "filters": FILTERS,
        "max_rows": st.integers(0, 9) | ANY_VALUE,
        "path": st.none() | ANY_VALUE.filter(lambda value: not isinstance(value, str)),
        "include_raw": FLAG,
    },
    trackings.UpdateTrackingsOperator: {**BATCH, "changes": st.none() | FIELDS | ANY_VALUE},
    trackings.DeleteTrackingsOperator: BATCH,
    trackings.StopUpdatesOperator: BATCH,
    trackings.RealtimeTrackOperator: {**BATCH, "include_raw": FLAG},
    trackings.ChangeCarrierOperator: {
        "tracking_number": st.sampled_from(NUMBERS) | ANY_VALUE,
        "carrier_code": st.sampled_from(CODES) | ANY_VALUE,
        "new_carrier_code": st.sampled_from(CODES) | ANY_VALUE,
    },
    trackings.CountByStatusOperator: {"filters": FILTERS},
    carriers.ListCarriersOperator: {"lang": st.just("es") | ANY_VALUE, "include_raw": FLAG},
    carriers.DetectCarrierOperator: {
        "tracking_numbers": st.lists(TEXTS, max_size=4) | ANY_VALUE,
        "pick": st.sampled_from([None, "first", "only"]) | ANY_VALUE,
        "on_undetected": REACTION,
        "quota_floor": FLOOR,
    },
    carriers.TransitTimesOperator: {"lanes": SHIPMENTS, "include_raw": FLAG},
    carriers.RemoteAreasOperator: {"places": SHIPMENTS, "quota_floor": FLOOR, "include_raw": FLAG},
    air_cargo.TrackAirCargoOperator: {
        "waybills": st.lists(TEXTS, max_size=4) | ANY_VALUE,
        "lang": TEXTS | ANY_VALUE,
        "quota_floor": FLOOR,
        "include_raw": FLAG,
    },
    account.GetAccountOperator: {"include_raw": FLAG},
}


class TaskInstance:
    """A task instance that accepts what XCom accepts: plain data."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = as_plain(value)


def as_plain(value: Any) -> Any:
    back = json.loads(json.dumps(value, allow_nan=False))
    assert back == value
    return back


@pytest.fixture
def use_client(monkeypatch: pytest.MonkeyPatch) -> Callable[[CheckingClient], None]:
    return lambda client: monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: client)


def test_every_operator_is_tested() -> None:
    named = {name for entry in get_provider_info()["operators"] for name in entry["python-modules"]}
    assert {operator.__module__ for operator in OPERATORS} == named
    defined = {
        cls
        for module in (trackings, carriers, air_cargo, account)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, TrackingMoreBaseOperator) and cls.__module__ == module.__name__
    }
    assert defined == set(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
@hypothesis_settings(80)
@given(source=st.data(), responses=RESPONSES)
def test_an_operator_returns_plain_data_or_raises_one_clear_error(
    operator: type[TrackingMoreBaseOperator],
    use_client: Callable[[CheckingClient], None],
    source: st.DataObject,
    responses: list[Any],
) -> None:
    client, ti = CheckingClient(responses), TaskInstance()
    use_client(client)
    arguments = {name: source.draw(anything) for name, anything in OPERATORS[operator].items()}
    task = operator(task_id="t", **arguments)
    assert client.sent == 0
    try:
        as_plain(task.execute({"ti": ti}))  # type: ignore[attr-defined]
    except (TrackingMoreError, AirflowFailException) as error:
        assert_readable_message(str(error))
    assert all(url.startswith(TRACKING_PAGE.partition("{")[0]) for url in ti.pushed.get(LINK_XCOM, []))


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_a_number_with_too_many_digits_is_refused(
    operator: type[TrackingMoreBaseOperator], use_client: Callable[[CheckingClient], None]
) -> None:
    client = CheckingClient()
    use_client(client)
    task = operator(task_id="t", **dict.fromkeys(OPERATORS[operator], 10**5_000))
    with pytest.raises(TrackingMoreError) as caught:
        task.execute({"ti": TaskInstance()})  # type: ignore[attr-defined]
    assert_readable_message(caught.value.message)
    assert client.sent == 0


@pytest.mark.parametrize("name", ["self", "page_size", "filters", "limit"])
@pytest.mark.parametrize("operator", [trackings.ListTrackingsOperator, trackings.CountByStatusOperator])
def test_a_filter_named_like_an_argument_is_refused(
    operator: type[TrackingMoreBaseOperator], use_client: Callable[[CheckingClient], None], name: str
) -> None:
    client = CheckingClient()
    use_client(client)
    with pytest.raises(InvalidArgumentError, match=f"unknown filter '{name}'"):
        operator(task_id="t", filters={name: 1}).execute({"ti": TaskInstance()})  # type: ignore[attr-defined]
    assert client.sent == 0
