"""When a wait is late, how waits are sorted, and the format of times."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.plugins.page.times import to_iso
from airflow_provider_trackingmore.plugins.page.waits import Snapshot, SortBy, WaitQuery, find_waits
from airflow_provider_trackingmore.plugins.task_waits import DeferredWait, TaskDetails, TaskKey
from airflow_provider_trackingmore.waiting.progress import WaitProgress

NOW = 1_796_000_000.0


def wait(trigger_id: int = 1, **values: float | None) -> DeferredWait:
    task = TaskDetails(TaskKey("dag", "run", f"task-{trigger_id}"))
    return DeferredWait(trigger_id, NOW - 1_000, (), True, task, poke_interval=60.0, **values)  # type: ignore[arg-type]


def find(*waits: DeferredWait, progress: dict[int, WaitProgress] | None = None, **query: object) -> dict[str, object]:
    snapshot = Snapshot(NOW, list(waits), progress or {}, {})
    return find_waits(snapshot, WaitQuery(**query), {"dag"}, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("deadline", "next_check", "reason"),
    [
        (None, None, None),
        (NOW + 1, NOW + 5, None),
        (NOW - 1, NOW + 5, "deadline"),
        (None, NOW - 209, None),
        (None, NOW - 211, "check"),
        (NOW - 1, NOW - 999, "deadline"),
    ],
)
def test_a_wait_is_late_after_its_deadline_or_if_two_checks_are_missing_in_the_newest_report(
    deadline: float | None, next_check: float | None, reason: str | None
) -> None:
    found = find(wait(deadline=deadline), progress={1: WaitProgress(next_check, {"transit": 1})})
    (row,) = found["waits"]  # type: ignore[misc]
    assert (row["late_reason"], row["is_late"], found["late"]) == (reason, reason is not None, int(reason is not None))


def test_what_has_been_reported_is_shown() -> None:
    (row,) = find(wait(), progress={1: WaitProgress(NOW + 60, {"transit": 2, "delivered": 1})})["waits"]  # type: ignore[misc]
    assert (row["next_check"], row["statuses"]) == (to_iso(NOW + 60), {"transit": 2, "delivered": 1})


def test_sorting_by_the_next_check_puts_unknown_ones_last() -> None:
    progress = {2: WaitProgress(NOW + 5, {}), 3: WaitProgress(NOW + 1, {})}
    for descending, expected in ((False, [3, 2, 1]), (True, [2, 3, 1])):
        found = find(wait(1), wait(2), wait(3), progress=progress, sort=SortBy.NEXT_CHECK, descending=descending)
        assert [row["trigger_id"] for row in found["waits"]] == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(NOW, "2026-11-30T00:53:20Z"), (NOW + 0.9, "2026-11-30T00:53:20Z"), (None, None), (1e300, None), (-1.0, None)],
)
def test_times(seconds: float | None, text: str | None) -> None:
    assert to_iso(seconds) == text
