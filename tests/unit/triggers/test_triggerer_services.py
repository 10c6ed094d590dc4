"""What a triggerer does besides waiting: when it is done, and that a mistake in the configuration ends no wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow import __version__

from airflow_provider_trackingmore.triggers import hint_listener, reporting, triggerer_services
from airflow_provider_trackingmore.triggers.triggerer_services import connect_in_triggerer
from airflow_provider_trackingmore.waiting.pollers import Pollers
from tests.unit.waiting.conftest import Account

HAS_API_SERVER = tuple(map(int, __version__.split(".")[:2])) >= (3, 1)
SWITCH = "AIRFLOW__TRACKINGMORE__STATUS_REPORTS"
REPORTS, HINTS = "trackingmore-status-reports", "trackingmore-hints"


class Client(Account):
    """An account as a connection names it."""

    class settings:
        pacing = "file"


async def started(monkeypatch: pytest.MonkeyPatch, client: Account) -> set[str]:
    """Connect as two triggers do, and return which tasks are running then."""

    async def connect(conn_id: str) -> Any:
        return client

    monkeypatch.setattr(triggerer_services, "connect", connect)
    pollers = Pollers()
    for _ in range(2):
        assert await connect_in_triggerer("trackingmore_default", pollers) is client
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("trackingmore-")]
    names = [task.get_name() for task in tasks]
    assert sorted(set(names)) == sorted(names), "each once"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return set(names)


async def test_reports_and_hints_begin_with_the_first_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {REPORTS, HINTS} if HAS_API_SERVER else set()
    assert await started(monkeypatch, Client()) == expected, "before Airflow 3.1 nobody would read or send them"


@pytest.mark.parametrize("setting", ["False", "nonsense"])
async def test_reports_can_be_turned_off_also_by_mistake(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(SWITCH, setting)
    assert await started(monkeypatch, Client()) == ({HINTS} if HAS_API_SERVER else set())


@pytest.mark.parametrize("module", [reporting, hint_listener])
def test_older_airflows_have_neither(module: Any) -> None:
    first = getattr(module, "FIRST_AIRFLOW_WITH_PAGE", None) or module.FIRST_AIRFLOW_WITH_WEBHOOKS
    assert first == (3, 1)
