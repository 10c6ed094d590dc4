"""Whatever a method of the hook is given, it sends what could be meant, or says in one line why it does not."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.reports import BatchReport
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.unit.hostile.things import (
    ANSWERS,
    CODES,
    LIST_OR_THING,
    LISTS,
    MORE,
    NUMBERS,
    ROWS,
    THINGS,
    Wire,
    assert_says_it_well,
    moderate,
)

CODE = st.sampled_from(CODES) | THINGS
NUMBER = st.sampled_from(NUMBERS) | THINGS

CALLS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "create_tracking": lambda hook, any_of: hook.create_tracking(any_of(ROWS)),
    "create_trackings": lambda hook, any_of: hook.create_trackings(any_of(LIST_OR_THING)),
    "get_tracking": lambda hook, any_of: hook.get_tracking(any_of(CODE), any_of(NUMBER), any_of(THINGS)),
    "list_trackings": lambda hook, any_of: list(
        hook.list_trackings(**{"page_size": 100, **without(any_of(MORE), "self")})
    ),
    "find_trackings": lambda hook, any_of: hook.find_trackings(any_of(LIST_OR_THING)),
    "look_up": lambda hook, any_of: hook.look_up(any_of(LIST_OR_THING)),
    "update_tracking": lambda hook, any_of: hook.update_tracking(
        any_of(CODE), any_of(NUMBER), **without(any_of(MORE), "self", "carrier_code", "tracking_number")
    ),
    "update_trackings": lambda hook, any_of: hook.update_trackings(any_of(LIST_OR_THING)),
    "delete_tracking": lambda hook, any_of: hook.delete_tracking(any_of(CODE), any_of(NUMBER)),
    "delete_trackings": lambda hook, any_of: hook.delete_trackings(any_of(LIST_OR_THING)),
    "realtime_tracking": lambda hook, any_of: hook.realtime_tracking(any_of(ROWS)),
    "realtime_trackings": lambda hook, any_of: hook.realtime_trackings(any_of(LIST_OR_THING)),
    "change_carrier": lambda hook, any_of: hook.change_carrier(any_of(NUMBER), any_of(CODE), any_of(CODE)),
    "stop_updates": lambda hook, any_of: hook.stop_updates(any_of(LIST_OR_THING)),
    "count_by_status": lambda hook, any_of: hook.count_by_status(**without(any_of(MORE), "self")),
    "get_account": lambda hook, any_of: hook.get_account(),
    "test_connection": lambda hook, any_of: hook.test_connection(),
    "check_remote_areas": lambda hook, any_of: hook.check_remote_areas(any_of(LIST_OR_THING)),
    "get_transit_times": lambda hook, any_of: hook.get_transit_times(any_of(LIST_OR_THING)),
    "track_air_cargo": lambda hook, any_of: hook.track_air_cargo(any_of(LIST_OR_THING), any_of(THINGS)),
    "list_carriers": lambda hook, any_of: hook.list_carriers(any_of(THINGS)),
    "detect_carrier": lambda hook, any_of: hook.detect_carrier(any_of(NUMBER)),
}
BATCHES = ("create_trackings", "update_trackings", "delete_trackings", "stop_updates", "realtime_trackings")


def without(mapping: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave out what Python itself would refuse as a second value for an argument."""
    return {name: value for name, value in mapping.items() if name not in names}


@pytest.fixture
def on_the_wire(monkeypatch: pytest.MonkeyPatch) -> Callable[[Wire], TrackingMoreHook]:
    def hook(wire: Wire) -> TrackingMoreHook:
        monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: wire)
        return TrackingMoreHook()

    return hook


def test_every_method_of_the_hook_is_given_anything() -> None:
    own = {name for name, value in vars(TrackingMoreHook).items() if callable(value) and not name.startswith("_")}
    others = {"get_conn", "aget_conn", "close", "get_ui_field_behaviour", "get_connection_form_widgets"}
    assert own - others == set(CALLS)


@pytest.mark.parametrize("method", CALLS)
@moderate(100)
@given(source=st.data(), answers=ANSWERS)
def test_anything_is_sent_as_it_should_be_or_refused_in_one_line(
    method: str, on_the_wire: Callable[[Wire], TrackingMoreHook], source: st.DataObject, answers: list[Any]
) -> None:
    try:
        CALLS[method](on_the_wire(Wire(answers)), source.draw)
    except TrackingMoreError as error:
        assert_says_it_well(error.message)


@pytest.mark.parametrize("method", BATCHES)
@moderate(60)
@given(shipments=LISTS, answers=ANSWERS)
def test_each_entry_of_a_batch_is_accounted_for_whatever_it_is(
    method: str, on_the_wire: Callable[[Wire], TrackingMoreHook], shipments: list[Any], answers: list[Any]
) -> None:
    report: BatchReport | None
    try:
        report = getattr(on_the_wire(Wire(answers)), method)(shipments)
    except TrackingMoreError as error:
        report = error.report
    assert report is not None
    assert len(report) + report.duplicates == len(shipments)
    for rejection in report.rejected:
        assert_says_it_well(str(rejection))


@pytest.mark.parametrize("method", ["create_trackings", "find_trackings", "check_remote_areas", "track_air_cargo"])
@moderate(30)
@given(things=st.lists(THINGS.filter(lambda thing: not isinstance(thing, dict | str)), min_size=1, max_size=5))
def test_where_nothing_can_be_meant_nothing_is_sent(
    method: str, on_the_wire: Callable[[Wire], TrackingMoreHook], things: list[Any]
) -> None:
    wire = Wire()
    try:
        result = getattr(on_the_wire(wire), method)(things)
        assert isinstance(result, Sized)
    except TrackingMoreError as error:
        assert_says_it_well(error.message)
    assert wire.sent == 0
