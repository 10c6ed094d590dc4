"""An event loop whose time passes only while nothing else is to be done, and an account that answers out of a dict."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from airflow_provider_trackingmore.api.envelope import Request, read_answer
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.waiting import hub

T = TypeVar("T")
KEY = "unit-test-key-0123456789"


class _Patience(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Instead of waiting, moves the clock."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        if not ready and timeout is None:
            raise AssertionError("everything waits for ever")
        return ready


class TimelessLoop(asyncio.SelectorEventLoop):
    """Hours of waiting take no time; there are no threads."""

    def __init__(self) -> None:
        self._patience = _Patience()
        super().__init__(self._patience)

    def time(self) -> float:
        return self._patience.now


class Account:
    """What the hub needs of a client, and the account behind it.

    :param key: the API key.
    """

    def __init__(self, key: str = KEY) -> None:
        self.settings = ClientSettings(api_key=key, base_url="http://127.0.0.1:9/v2")
        self.parcels: dict[ShipmentKey, str] = {}
        self.failures: list[Exception] = []
        self.refuses = ""
        self.calls: list[tuple[float, list[str]]] = []
        self.asked_something = asyncio.Event()
        self.takes = 0.01
        self.closed = 0

    async def asend(self, request: Request[T]) -> T:
        numbers = request.query["numbers"].split(",") if "numbers" in request.query else [request.path]
        self.calls.append((asyncio.get_running_loop().time(), numbers))
        self.asked_something.set()
        await asyncio.sleep(self.takes)
        if self.failures:
            raise self.failures.pop(0)
        items = [
            {"carrier_code": key.carrier_code, "tracking_number": key.tracking_number, "status": status}
            for key, status in self.parcels.items()
            if key.tracking_number in numbers
        ]
        answer: dict[str, Any]
        if self.refuses in numbers:
            answer = {"meta": {"code": 4014, "message": "The value of `numbers` is invalid"}, "data": []}
        elif "numbers" in request.query:
            answer = {"meta": {"code": 200}, "data": {"items": items, "total": len(items)}}
        else:
            answer = {"meta": {"code": 4017, "message": "Tracking does not exist"}, "data": []}
        return read_answer(request, 200, {}, json.dumps(answer).encode())

    def close(self) -> None:
        self.closed += 1

    @property
    def asked(self) -> list[list[str]]:
        """Which numbers each call asked for, sorted."""
        return [sorted(numbers) for _, numbers in self.calls]

    def times(self, number: str) -> list[float]:
        """When a number was asked for."""
        return [at for at, numbers in self.calls if number in numbers]


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Run a coroutine on a loop without waiting; nothing may be left over at its end."""
    left_over: list[Any] = []

    def complaint(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        left_over.append(context)

    async def alone(coroutine: Coroutine[Any, Any, T]) -> T:
        asyncio.get_running_loop().set_exception_handler(complaint)
        try:
            return await coroutine
        finally:
            await asyncio.sleep(0)  # cancelled tasks end in the next turn of the loop
            assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left over"
            assert not hub._hubs.get(asyncio.get_running_loop()), "a hub is left over"

    def go(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=TimelessLoop) as runner:
            return runner.run(alone(coroutine))

    yield go
    assert not left_over
