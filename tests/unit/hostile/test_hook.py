"""With any arguments, a method of the hook sends valid requests, or says in one line why it does not."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError
from airflow_provider_trackingmore.api.reports import BatchReport
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.unit.hostile.arbitrary_input import (
    ANY_VALUE,
    CODES,
    FIELDS,
    LIST_OR_VALUE,
    LISTS,
    NUMBERS,
    RESPONSES,
    ROWS,
    CheckingClient,
    assert_readable_message,
    hypothesis_settings,
)

CODE = st.sampled_from(CODES) | ANY_VALUE
NUMBER = st.sampled_from(NUMBERS) | ANY_VALUE

CALLS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "create_tracking": lambda hook, any_of: hook.create_tracking(any_of(ROWS)),
    "create_trackings": lambda hook, any_of: hook.create_trackings(any_of(LIST_OR_VALUE)),
    "get_tracking": lambda hook, any_of: hook.get_tracking(any_of(CODE), any_of(NUMBER), any_of(ANY_VALUE)),
    "list_trackings": lambda hook, any_of: list(
        hook.list_trackings(**{"page_size": 100, **without(any_of(FIELDS), "self")})
    ),
    "find_trackings": lambda hook, any_of: hook.find_trackings(any_of(LIST_OR_VALUE)),
    "look_up": lambda hook, any_of: hook.look_up(any_of(LIST_OR_VALUE)),
    "update_tracking": lambda hook, any_of: hook.update_tracking(
        any_of(CODE), any_of(NUMBER), **without(any_of(FIELDS), "self", "carrier_code", "tracking_number")
    ),
    "update_trackings": lambda hook, any_of: hook.update_trackings(any_of(LIST_OR_VALUE)),
    "delete_tracking": lambda hook, any_of: hook.delete_tracking(any_of(CODE), any_of(NUMBER)),
    "delete_trackings": lambda hook, any_of: hook.delete_trackings(any_of(LIST_OR_VALUE)),
    "realtime_tracking": lambda hook, any_of: hook.realtime_tracking(any_of(ROWS)),
    "realtime_trackings": lambda hook, any_of: hook.realtime_trackings(any_of(LIST_OR_VALUE)),
    "change_carrier": lambda hook, any_of: hook.change_carrier(
        carrier_code=any_of(CODE), tracking_number=any_of(NUMBER), new_carrier_code=any_of(CODE)
    ),
    "stop_updates": lambda hook, any_of: hook.stop_updates(any_of(LIST_OR_VALUE)),
    "count_by_status": lambda hook, any_of: hook.count_by_status(**without(any_of(FIELDS), "self")),
    "get_account": lambda hook, any_of: hook.get_account(),
    "test_connection": lambda hook, any_of: hook.test_connection(),
    "check_remote_areas": lambda hook, any_of: hook.check_remote_areas(any_of(LIST_OR_VALUE)),
    "get_transit_times": lambda hook, any_of: hook.get_transit_times(any_of(LIST_OR_VALUE)),
    "track_air_cargo": lambda hook, any_of: hook.track_air_cargo(any_of(LIST_OR_VALUE), any_of(ANY_VALUE)),
    "list_carriers": lambda hook, any_of: hook.list_carriers(any_of(ANY_VALUE)),
    "detect_carrier": lambda hook, any_of: hook.detect_carrier(any_of(NUMBER)),
}
BATCHES = ("create_trackings", "update_trackings", "delete_trackings", "stop_updates", "realtime_trackings")


def without(mapping: dict[str, Any], *names: str) -> dict[str, Any]:
    """Omit names that would be a second value for an argument, which Python itself refuses."""
    return {name: value for name, value in mapping.items() if name not in names}


@pytest.fixture
def hook_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[CheckingClient], TrackingMoreHook]:
    def hook(client: CheckingClient) -> TrackingMoreHook:
        monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: client)
        return TrackingMoreHook()

    return hook


def test_every_method_of_the_hook_is_tested() -> None:
    own = {name for name, value in vars(TrackingMoreHook).items() if callable(value) and not name.startswith("_")}
    others = {"get_conn", "aget_conn", "close", "get_ui_field_behaviour", "get_connection_form_widgets"}
    others |= {"check_quota"}  # numbers that operators have parsed
    others |= {"shipment_source", "stream_shipments"}  # see tests/unit/loading
    assert own - others == set(CALLS)


@pytest.mark.parametrize("method", CALLS)
@hypothesis_settings(100)
@given(source=st.data(), responses=RESPONSES)
def test_any_argument_is_sent_correctly_or_refused_in_one_line(
    method: str,
    hook_with: Callable[[CheckingClient], TrackingMoreHook],
    source: st.DataObject,
    responses: list[Any],
) -> None:
    try:
        CALLS[method](hook_with(CheckingClient(responses)), source.draw)
    except TrackingMoreError as error:
        assert_readable_message(error.message)


@pytest.mark.parametrize("method", BATCHES)
@hypothesis_settings(60)
@given(shipments=LISTS, responses=RESPONSES)
def test_each_entry_of_a_batch_is_accounted_for_whatever_it_is(
    method: str,
    hook_with: Callable[[CheckingClient], TrackingMoreHook],
    shipments: list[Any],
    responses: list[Any],
) -> None:
    report: BatchReport
    try:
        report = getattr(hook_with(CheckingClient(responses)), method)(shipments)
    except BatchInterruptedError as error:
        report = error.report
    assert len(report) + report.duplicates == len(shipments)
    for rejection in report.rejected:
        assert_readable_message(str(rejection))


@pytest.mark.parametrize("method", ["create_trackings", "find_trackings", "check_remote_areas", "track_air_cargo"])
@hypothesis_settings(30)
@given(values=st.lists(ANY_VALUE.filter(lambda value: not isinstance(value, dict | str)), min_size=1, max_size=5))
def test_values_that_cannot_be_valid_send_nothing(
    method: str, hook_with: Callable[[CheckingClient], TrackingMoreHook], values: list[Any]
) -> None:
    client = CheckingClient()
    try:
        result = getattr(hook_with(client), method)(values)
        assert isinstance(result, Sized)
    except TrackingMoreError as error:
        assert_readable_message(error.message)
    assert client.sent == 0
