"""Begin a task in the triggerer: the attributes that Airflow reads for this, and the trigger that they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from airflow.triggers.base import StartTriggerArgs

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.triggers.shipments import GRACE_SECONDS, ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting.spec import WaitSpec

T = TypeVar("T")


class StartsInTriggerer(Protocol):
    """A task that may begin in the triggerer."""

    def _start_trigger_args(self) -> StartTriggerArgs | None:
        """Describe the trigger that begins the task; None if a worker begins it."""


class ComputedWhenRead(Generic[T]):
    """An attribute that is computed from a task's arguments when Airflow reads it.

    Airflow reads ``start_from_trigger`` and ``start_trigger_args`` when it serializes a task, and from the class itself
    for mapped tasks.

    :param class_value: the value of the class itself.
    :param compute: computes the value of a task.
    """

    def __init__(self, class_value: T, compute: Callable[[StartsInTriggerer], T]) -> None:
        self._class_value = class_value
        self._compute = compute

    def __get__(self, task: StartsInTriggerer | None, owner: type[object]) -> T:
        return self._class_value if task is None else self._compute(task)


def start_args(spec: WaitSpec, timeout: float) -> StartTriggerArgs:
    """Describe the trigger that begins a task.

    :param spec: what to wait for.
    :param timeout: the task's timeout, in seconds.
    """
    path, arguments = ShipmentStatusTrigger(spec).serialize()
    return StartTriggerArgs(
        trigger_cls=path,
        trigger_kwargs=arguments,
        next_method="execute_complete",
        next_kwargs={"wait": spec.fingerprint},
        timeout=timedelta(seconds=timeout + GRACE_SECONDS),
    )


def check_plain(arguments: Mapping[str, object]) -> None:
    """Check that the triggerer can use the arguments of a task as they are in the DAG file.

    :param arguments: name -> value.
    :raises InvalidArgumentError: naming those that are templates or results of other tasks.
    """
    not_plain = [name for name, value in arguments.items() if not _is_plain(value)]
    if not_plain:
        raise InvalidArgumentError(
            f"start_from_trigger takes plain values only, and {', '.join(not_plain)} is a template or comes from "
            "another task, which the triggerer does not resolve: leave start_from_trigger out (end_from_trigger "
            "works with them)"
        )


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, Mapping):
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float)
