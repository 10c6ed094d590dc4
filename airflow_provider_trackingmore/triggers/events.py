"""The event between trigger and sensor, both sides of it: made here, and validated here before it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.waiting.gate import Verdict
from airflow_provider_trackingmore.waiting.outcomes import Outcome

EVENT_VERSION = 1


def new_event(result: str, reason: str, verdict: Verdict | None = None) -> dict[str, Any]:
    """Make an event; what is in it is described at ``ShipmentStatusTrigger``.

    :param result: ``released``, ``failed``, ``timed_out`` or ``error``.
    :param reason: in words; empty where there is nothing to say.
    :param verdict: what has become of the wait; None for an error.
    :return: plain JSON without personal data.
    """
    outcomes = verdict.entries() if verdict is not None else []
    return {"version": EVENT_VERSION, "result": result, "reason": reason, "outcomes": outcomes}


def read_event(event: Any) -> tuple[str, str, dict[str | None, list[Outcome]]]:
    """Read an event.

    :param event: what a trigger yielded, of this version or another.
    :return: its result, its reason, and the outcomes by order (None: there are no orders).
    :raises TrackingMoreError: it is not understood; it is never taken for success.
    """
    if (
        isinstance(event, Mapping)
        and event.get("version") == EVENT_VERSION
        and event.get("result") in ("released", "failed", "timed_out", "error")
        and isinstance(event.get("outcomes"), list)
        and all(
            isinstance(entry, Mapping) and Outcome.is_in(entry) and isinstance(entry.get("order", ""), str)
            for entry in event["outcomes"]
        )
    ):
        entries: dict[str | None, list[Outcome]] = {}
        for entry in event["outcomes"]:
            entries.setdefault(entry.get("order"), []).append(Outcome.from_dict(entry))
        return event["result"], str(event.get("reason") or ""), entries
    raise TrackingMoreError(
        "the trigger's event is not understood: the triggerer may run another version of airflow-provider-trackingmore"
    )
