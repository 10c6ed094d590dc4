"""Beginning a task in the triggerer: what Airflow reads from a task for that, computed when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ComputedWhenRead(Generic[T]):
    """An attribute that is computed from a task's arguments when Airflow reads it.

    Airflow reads ``start_from_trigger`` and ``start_trigger_args`` when it serializes a task, and from the class itself
    for mapped tasks.

    :param class_value: what the class itself says.
    :param compute: gets the task.
    """

    def __init__(self, class_value: T, compute: Callable[[Any], T]) -> None:
        self._class_value = class_value
        self._compute = compute

    def __get__(self, task: object | None, owner: type[object]) -> T:
        return self._class_value if task is None else self._compute(task)


def is_plain(value: object) -> bool:
    """Tell whether a value in a DAG file is what it says: no template, and nothing that another task will return.

    :param value: an argument of a task.
    """
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, Mapping):
        return all(map(is_plain, value)) and all(map(is_plain, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float)
