"""Changes without a call to ``/v2``: a carrier rewords, withdraws or adds an event; a shipment is deleted elsewhere."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .control_models import TrackingChange
from .journey_steps import DELIVERED, HOUR, REOPENED, CheckpointText, Step, shared_checkpoint
from .journeys import Journey
from .json_texts import format_local_time
from .places import COUNTRIES
from .shipments import Shipment
from .store import Store


def apply_changes(store: Store, changes: Sequence[TrackingChange], now: float) -> list[dict[str, Any]]:
    """Apply changes, all of them or none.

    :param store: the shipments of the account.
    :param changes: the changes, at most one of each shipment.
    :param now: Unix seconds.
    :return: for each change ``carrier_code``, ``tracking_number``, ``action``, and the event ``before`` and ``after``
        it, or None.
    :raises ValueError: a shipment is not registered, has two changes, or does not have the event.
    """
    store.run_due_refreshes(now)
    seen: set[tuple[str, str]] = set()
    planned: list[tuple[Callable[[], None], dict[str, Any]]] = []
    for change in changes:
        key = change.carrier_code, change.tracking_number
        shipment = store.by_key.get(key)
        if shipment is None:
            raise ValueError(f"{change.carrier_code} {change.tracking_number} is not registered")
        if key in seen:
            raise ValueError(f"{change.carrier_code} {change.tracking_number} has two changes; send them one by one")
        seen.add(key)
        apply, before, after = _plan(store, shipment, change, now)
        result = {"carrier_code": key[0], "tracking_number": key[1], "action": change.action}
        planned.append((apply, result | {"before": _event_to_dict(before), "after": _event_to_dict(after)}))
    for apply, _ in planned:
        apply()
    return [result for _, result in planned]


def _plan(
    store: Store, shipment: Shipment, change: TrackingChange, now: float
) -> tuple[Callable[[], None], Step | None, Step | None]:
    """Decide on a change: what applies it, and its event before and after it."""
    if change.action == "delete":
        return lambda: _delete(store, shipment), None, None
    before: Step | None = None
    after: Step | None = None
    steps, visible, forced = list(shipment.journey.steps), shipment.seen_steps, shipment.forced
    if change.action in ("reword", "drop"):
        position = _event_position(shipment, change.event)
        before = steps[position]
        steps[position] = _reworded(before, change) if change.action == "reword" else before._replace(checkpoint=None)
        after = steps[position] if change.action == "reword" else None
    elif change.action in ("add", "reopen"):
        after = _added(shipment, change, now) if change.action == "add" else _reopening(shipment, change, now)
        steps.insert(visible, after)
        visible += 1
        if change.delivered_after_hours is not None:
            later = now + change.delivered_after_hours * HOUR
            insort(steps, _delivery(shipment.journey, later), lo=visible, key=lambda step: step.at)
        forced = None if after.status != shipment.status else forced
    journey = replace(shipment.journey, steps=tuple(steps))
    return lambda: _change(store, shipment, journey, visible, forced, change.updated_at, now), before, after


def _change(
    store: Store, shipment: Shipment, journey: Journey, visible: int, forced: str | None, updated_at: str, now: float
) -> None:
    shipment.forced = forced
    store.change_journey(shipment, journey, visible, now)
    if updated_at != "keep":
        shipment.mark_changed(now)
        shipment.updated_at_is_null = updated_at == "null"


def _delete(store: Store, shipment: Shipment) -> None:
    store.remove(shipment.key)


def _event_position(shipment: Shipment, event: int) -> int:
    steps = shipment.journey.steps
    positions = [at for at in range(shipment.seen_steps) if steps[at].checkpoint is not None]
    if event >= len(positions):
        raise ValueError(
            f"{shipment.carrier_code} {shipment.number} has {len(positions)} events, the newest is 0: "
            f"there is no event {event}"
        )
    positions.sort(key=lambda at: steps[at].local_time, reverse=True)
    return positions[event]


def _reworded(step: Step, change: TrackingChange) -> Step:
    checkpoint = step.checkpoint
    if checkpoint is None or (change.description is None and change.place is None):
        raise ValueError("to reword an event, give its new description or place")
    text = checkpoint.text
    if change.description is not None:
        text = text._replace(en=change.description, cn=change.description)
    place = checkpoint.place if change.place is None else change.place
    return step._replace(checkpoint=shared_checkpoint(text, place, checkpoint.status, checkpoint.abroad))


def _added(shipment: Shipment, change: TrackingChange, now: float) -> Step:
    if not change.description:
        raise ValueError("an event that is added needs a description")
    latest = shipment.step
    status = change.status or (latest.status if latest else "transit")
    substatus = latest.substatus if latest and latest.status == status else f"{status}001"
    text = CheckpointText(change.description, change.description)
    place = _default_place(shipment) if change.place is None else change.place
    return _step(shipment, now, (status, substatus, change.event_status), text, place, change.leg, change.age_hours)


def _reopening(shipment: Shipment, change: TrackingChange, now: float) -> Step:
    text = REOPENED
    if change.description is not None:
        text = CheckpointText(change.description, change.description)
    place = _default_place(shipment) if change.place is None else change.place
    return _step(shipment, now, ("transit", "transit001", "transit"), text, place, change.leg)


def _delivery(journey: Journey, at: float) -> Step:
    country = COUNTRIES[journey.destination]
    abroad = journey.destination_carrier is not None
    checkpoint = shared_checkpoint(DELIVERED, country.cities[0], "delivered", abroad)
    return Step(at, "delivered", "delivered003", checkpoint, country.offset * 3600)


def _step(
    shipment: Shipment,
    now: float,
    statuses: tuple[str, str, str],
    text: CheckpointText,
    place: str,
    leg: str | None,
    age_hours: float = 0,
) -> Step:
    """Build a step that is visible at once.

    It is dated back to the latest refresh, since a later one would be due for it otherwise, and comes before the steps
    that no refresh has shown yet.
    """
    journey = shipment.journey
    status, substatus, event_status = statuses
    at = journey.last_refresh_before(now) or now
    if unseen := journey.steps[shipment.seen_steps :]:
        at = min(at, unseen[0].at)
    if shipment.step is not None:
        at = max(at, shipment.step.at)
    abroad = leg != "origin" if journey.destination_carrier else False
    offset = COUNTRIES[journey.original if leg == "origin" else journey.destination].offset
    local_time = int(now - age_hours * HOUR) + offset * 3600
    checkpoint = shared_checkpoint(text, place, event_status, abroad)
    return Step(at, status, substatus, checkpoint, local_time - int(at))


def _default_place(shipment: Shipment) -> str:
    events = [step.checkpoint for step in shipment.journey.steps[: shipment.seen_steps] if step.checkpoint]
    return events[-1].place if events else COUNTRIES[shipment.journey.original].cities[0]


def _event_to_dict(step: Step | None) -> dict[str, str] | None:
    if step is None or step.checkpoint is None:
        return None
    checkpoint = step.checkpoint
    return {
        "local_time": format_local_time(step.local_time, seconds=True),
        "description": checkpoint.text.en,
        "place": checkpoint.place,
        "status": checkpoint.status,
    }
