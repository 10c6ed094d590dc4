"""The event that a trigger sends to its sensor, and its validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.waiting.condition import confirm
from airflow_provider_trackingmore.waiting.outcome import Outcome, Verdict, WaitResult
from airflow_provider_trackingmore.waiting.spec import END_RESULTS, WaitSpec

EVENT_VERSION = 1
_CHECK_AGAIN = "check_again"


def check_again_event(deadline: float | None) -> dict[str, object]:
    """Return the event that makes a deferred task check again, in place of an event of its trigger.

    :param deadline: Unix seconds of the wait's deadline, for tasks that began in the triggerer; None if unknown.
    :return: the event as plain JSON: ``version``, ``result`` and ``deadline``.
    """
    return {"version": EVENT_VERSION, "result": _CHECK_AGAIN, "deadline": deadline}


def is_check_again(event: object) -> bool:
    """Tell whether an event only makes the task check again.

    :param event: the event that resumed a task.
    """
    return isinstance(event, Mapping) and event.get("version") == EVENT_VERSION and event.get("result") == _CHECK_AGAIN


@dataclass(frozen=True)
class WaitEvent:
    """The event that a trigger sends when its wait ends.

    :param result: ``released``, ``failed``, ``timed_out`` or ``error``.
    :param reason: why; may be empty.
    :param wait: the fingerprint of the wait.
    :param rows: a list for each order, with a row for each shipment, in the order of the wait.
    """

    result: WaitResult
    reason: str = ""
    wait: str = ""
    rows: Sequence[Sequence[Sequence[object]]] = ()

    @classmethod
    def from_verdict(cls, spec: WaitSpec, verdict: Verdict) -> WaitEvent:
        """Create the event for a verdict.

        :param spec: the options of the wait.
        :param verdict: its verdict.
        """
        rows = [[outcome.to_row() for outcome in order.outcomes] for order in verdict.orders.values()]
        return cls(verdict.result, verdict.reason, spec.fingerprint, rows)

    def to_dict(self) -> dict[str, object]:
        """Return the event as plain JSON, without personal data.

        :return: ``version``, ``result``, ``reason``, ``wait`` and ``outcomes``.
        """
        return {
            "version": EVENT_VERSION,
            "result": self.result.value,
            "reason": self.reason,
            "wait": self.wait,
            "outcomes": [list(rows) for rows in self.rows],
        }

    @classmethod
    def from_dict(cls, event: object) -> WaitEvent:
        """Parse an event.

        :param event: the payload that a trigger of this or another version sent.
        :return: the event.
        :raises TrackingMoreError: if this version cannot read it, so that it never counts as success.
        """
        if (
            isinstance(event, Mapping)
            and event.get("version") == EVENT_VERSION
            and event.get("result") in (*END_RESULTS, WaitResult.ERROR)
            and isinstance(event.get("wait"), str)
            and isinstance(event.get("outcomes"), list)
            and all(_is_list_of_lists(order) for order in event["outcomes"])
        ):
            return cls(
                WaitResult(event["result"]),
                str(event.get("reason") or ""),
                event["wait"],
                event["outcomes"],
            )
        raise TrackingMoreError(
            "Cannot read the trigger event. The triggerer may run another version of "
            "airflow-provider-trackingmore: install the same version everywhere and clear the task."
        )

    def verdict(self, spec: WaitSpec) -> Verdict:
        """Convert the event back to a verdict. An outcome that contradicts its status counts as waiting.

        :param spec: the options of the wait.
        :return: the verdict.
        :raises TrackingMoreError: if the event belongs to another wait, is damaged, or contradicts its outcomes.
        """
        if self.wait != spec.fingerprint:
            raise TrackingMoreError(
                "The trigger event does not match this task's shipments. Clear the task to run it again."
            )
        try:
            orders = {
                name: [Outcome.from_row(key, row) for key, row in zip(shipments.values(), rows, strict=True)]
                for (name, shipments), rows in zip(spec.orders.items(), self.rows, strict=True)
            }
        except ValueError:
            raise TrackingMoreError("The trigger event is damaged. Clear the task to run it again.") from None
        verdict = confirm(spec, orders)
        if self.result is WaitResult.TIMED_OUT:
            return verdict.at_deadline()
        if verdict.result is not self.result:
            raise TrackingMoreError(
                f"The trigger event says {self.result}, but its outcomes say {verdict.result}. "
                "Clear the task to run it again."
            )
        return verdict


def _is_list_of_lists(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) for row in value)
