"""Read the changes that have triggered a DAG run."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.events.changes import event_payload, shipment_changes


def change(serial: int, **other: Any) -> Any:
    return {
        "id": f"id-{serial}",
        "carrier_code": "usps",
        "tracking_number": f"N{serial}",
        "order_id": None,
        "status": "delivered",
        "previous_status": "transit",
        "substatus": None,
        "delivered_at": "2026-03-02T08:00:00",
        "last_update": "2026-03-02T08:00:00",
        "observed_at": "2026-03-02T08:30:00+00:00",
        "sequence": serial,
    } | other


def event(*changes: Any) -> dict[str, Any]:
    return {"extra": {"from_trigger": True, "payload": event_payload(list(changes))}}


class AirflowEvent:
    """An event as Airflow's own class shows it."""

    def __init__(self, *changes: Any) -> None:
        self.extra = event(*changes)["extra"]


class AirflowMapping:
    """Asset -> events, as Airflow's own class shows it."""

    def __init__(self, *events: Any) -> None:
        self._events = list(events)

    def values(self) -> list[list[Any]]:
        return [self._events]


@given(st.permutations(range(8)), st.integers(1, 8), st.lists(st.integers(0, 7), max_size=5))
def test_changes_are_sorted_and_come_once(order: list[int], size: int, again: list[int]) -> None:
    changes = [change(serial) for serial in [*order, *again]]
    events = [AirflowEvent(*changes[begin : begin + size]) for begin in range(0, len(changes), size)]
    assert shipment_changes(AirflowMapping(*events)) == [change(serial) for serial in range(8)]


def test_a_change_that_is_reported_again_keeps_its_first_sequence() -> None:
    events = [event(change(9, id="id-1")), event(change(2)), event(change(1))]
    assert [change["sequence"] for change in shipment_changes({"asset": events})] == [1, 2]


def test_events_of_others_are_ignored() -> None:
    strangers = [
        {"extra": {"source": "someone"}},
        {"extra": {"payload": {"changes": [change(1)]}}},
        {"extra": {"payload": "text"}},
        {"extra": None},
        {},
        None,
        event(change(3, status=None), change(4, sequence="4"), "text", {}),
    ]
    assert shipment_changes(strangers) == []
    assert shipment_changes([*strangers, event(change(5))]) == [change(5)]


def test_a_run_without_events_has_no_changes() -> None:
    assert shipment_changes({}) == []
    assert shipment_changes(None) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(anything)
def test_no_content_of_an_event_raises(value: Any) -> None:
    payload = {"source": "trackingmore.shipment_changes", "changes": value}
    for strange in (value, [value], {"asset": [value]}, [{"extra": value}], [{"extra": {"payload": payload}}]):
        for found in shipment_changes(strange):
            assert found["id"]


@given(st.dictionaries(st.sampled_from(sorted(change(1))), anything))
def test_a_damaged_change_is_left_out(damage: dict[str, Any]) -> None:
    (sound,) = shipment_changes([event(change(1))])
    for found in shipment_changes([event(change(1) | damage)]):
        assert {name: type(value) for name, value in found.items() if value is not None}.items() <= {
            name: type(value or "") for name, value in sound.items()
        }.items()
