"""What a triggerer does besides waiting: when it starts, and that an invalid configuration ends no wait."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_trackingmore.triggers import triggerer_services
from airflow_provider_trackingmore.triggers.triggerer_services import connect_in_triggerer
from airflow_provider_trackingmore.waiting.pollers import Pollers
from tests.unit.waiting.conftest import Account

SWITCH = "AIRFLOW__TRACKINGMORE__STATUS_REPORTS"
REPORTS, HINTS = "trackingmore-status-reports", "trackingmore-hints"


class Client(Account):
    """A client of an account.

    :param pacing: where its rate limit is kept.
    """

    def __init__(self, pacing: str = "file") -> None:
        super().__init__()
        self.settings = SimpleNamespace(pacing=pacing)


@pytest.fixture(autouse=True)
def _airflow_with_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggerer_services, "HAS_API_SERVER_PLUGINS", True)


async def started(monkeypatch: pytest.MonkeyPatch, *clients: Account) -> set[str]:
    """Connect as triggers do, and return which tasks are running then."""
    remaining = list(clients)

    async def connect(conn_id: str) -> Any:
        return remaining.pop(0)

    monkeypatch.setattr(triggerer_services, "connect", connect)
    pollers = Pollers()
    for client in clients:
        assert await connect_in_triggerer("trackingmore_default", pollers) is client
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("trackingmore-")]
    names = [task.get_name() for task in tasks]
    assert sorted(set(names)) == sorted(names), "each once"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return set(names)


async def test_reports_and_hints_begin_with_the_first_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await started(monkeypatch, Client(), Client()) == {REPORTS, HINTS}


async def test_before_airflow_3_1_neither_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggerer_services, "HAS_API_SERVER_PLUGINS", False)
    assert await started(monkeypatch, Client()) == set()


async def test_hints_are_read_wherever_a_connection_of_the_account_keeps_its_rate_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await started(monkeypatch, Client("memory"), Client("file")) == {REPORTS, HINTS}


@pytest.mark.parametrize("setting", ["False", "nonsense"])
async def test_reports_can_be_turned_off_and_are_off_if_the_setting_is_invalid(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(SWITCH, setting)
    assert await started(monkeypatch, Client()) == {HINTS}
