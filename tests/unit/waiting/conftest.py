"""An event loop on virtual time, and an account that serves shipments from a dict."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar
from urllib.parse import unquote

import pytest

from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
from airflow_provider_trackingmore.waiting.registry import Subscription

T = TypeVar("T")
A_YEAR = 365 * 86_400.0


class _VirtualTimeSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Advances the clock instead of waiting."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        if self.now > A_YEAR:
            raise AssertionError("a task is still waiting after a year")
        if not ready and timeout is None:
            raise AssertionError("every task is blocked, and no timer is set")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Hours of waiting take no time. There are no threads."""

    def __init__(self) -> None:
        self._virtual_selector = _VirtualTimeSelector()
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        return self._virtual_selector.now


class Account:
    """The part of a client that the poller needs, and the account behind it.

    ``parcels`` has the status of each shipment, ``unlisted`` the numbers that lists leave out, ``refuses`` a number
    that makes calls fail, and ``elsewhere`` the number of rows that nobody waits for. A call takes ``latency`` seconds.
    It raises the next of ``failures``, or what ``fault`` returns for its numbers.

    :param account: the fingerprint of its key.
    """

    def __init__(self, account: str = "0123456789abcdef") -> None:
        self.account = self.route = account
        self.parcels: dict[ShipmentKey, str] = {}
        self.failures: list[Exception] = []
        self.refuses = ""
        self.unlisted: set[str] = set()
        self.calls: list[tuple[float, list[str]]] = []
        self.changed_at: dict[ShipmentKey, float | None] = {}
        self.elsewhere = 10**9
        self.was_called = asyncio.Event()
        self.latency = 0.01
        self.fault: Callable[[list[str]], Exception | None] = lambda numbers: None
        self.closed = 0

    async def send_async(
        self, request: Request[T], *, max_wait_seconds: float | None = None, max_attempts: int | None = None
    ) -> T:
        numbers = request.query["numbers"].split(",") if "numbers" in request.query else [request.path]
        if "limit" in request.query and "numbers" not in request.query:
            numbers = [f"{'changes' if 'update_time_min' in request.query else 'list'} {request.query['page']}"]
        self.calls.append((asyncio.get_running_loop().time(), numbers))
        self.was_called.set()
        known_by_path = self.by_path(request.path) if "limit" not in request.query else None
        await asyncio.sleep(self.latency)
        if self.failures:
            raise self.failures.pop(0)
        if fault := self.fault(numbers):
            raise fault
        rows = [self.row(key) for key in self.parcels]
        normalized = {number.casefold() for number in numbers}
        items = [row for row in rows if row["tracking_number"].casefold() in normalized and not self.is_unlisted(row)]
        answer: dict[str, Any]
        if "limit" in request.query and "numbers" not in request.query:
            answer = self.page(request.query, rows)
        elif self.refuses in numbers:
            answer = {"meta": {"code": 4014, "message": "The value of `numbers` is invalid"}, "data": []}
        elif "numbers" in request.query:
            answer = {"meta": {"code": 200}, "data": {"items": items, "total": len(items)}}
        elif known_by_path is not None:
            answer = {"meta": {"code": 200}, "data": self.row(known_by_path)}
        else:
            answer = {"meta": {"code": 4031, "message": "Tracking does not exist"}, "data": []}
        return parse_response(request, 200, {}, json.dumps(answer).encode())

    def by_path(self, path: str) -> ShipmentKey | None:
        """The shipment that a path names, if it is registered."""
        carrier, number = (unquote(part).casefold() for part in path.split("/")[2:4])
        return next((key for key in self.parcels if key.normalized == (carrier, number)), None)

    def is_unlisted(self, row: Mapping[str, Any]) -> bool:
        """Whether lists leave out a shipment, although a GET by its path finds it."""
        return row["tracking_number"] in self.unlisted

    def row(self, key: ShipmentKey) -> dict[str, Any]:
        """A row as the vendor sends it. The vendor's clock is the loop's, beginning in 2026."""
        row = {"carrier_code": key.carrier_code, "tracking_number": key.tracking_number, "status": self.parcels[key]}
        changed = self.changed_at.get(key)
        return row | {"created_at": vendor_time(0.0), "updated_at": None if changed is None else vendor_time(changed)}

    def page(self, query: Mapping[str, str], rows: list[dict[str, Any]]) -> dict[str, Any]:
        """A page of the list of everything, or of the list of changes."""
        first = (int(query["page"]) - 1) * int(query["limit"])
        end = first + int(query["limit"])
        if "update_time_min" in query:
            since = datetime.fromtimestamp(int(query["update_time_min"]), UTC).isoformat()
            until = datetime.fromtimestamp(int(query.get("update_time_max", 2**32)), UTC).isoformat()
            rows = [row for row in rows if row["updated_at"] is not None and since <= row["updated_at"] <= until]
            return {"meta": {"code": 200}, "data": {"items": rows[first:end], "total": str(len(rows))}}
        other = {
            "carrier_code": "dhl",
            "status": "transit",
            "created_at": vendor_time(0.0),
            "updated_at": vendor_time(0.0),
        }
        items = [other | {"tracking_number": f"X{n}"} for n in range(first, min(end, self.elsewhere))]
        items += rows[max(first - self.elsewhere, 0) : max(end - self.elsewhere, 0)]
        total = len(rows) + self.elsewhere
        return {"meta": {"code": 200}, "data": {"items": items, "total": str(total)}}

    def change(self, key: ShipmentKey, status: str, *, dated: bool = True) -> None:
        """Change the status of a shipment now; if not ``dated``, its ``updated_at`` is null."""
        self.parcels[key] = status
        self.changed_at[key] = asyncio.get_running_loop().time() if dated else None

    def close(self) -> None:
        self.closed += 1

    @property
    def requested(self) -> list[list[str]]:
        """The numbers of each call, sorted."""
        return [sorted(numbers) for _, numbers in self.calls]

    def times(self, number: str) -> list[float]:
        """When a number was requested."""
        return [at for at, numbers in self.calls if number in numbers]


class Subscriber:
    """A subscription whose keys are in the test's own spelling.

    :param account: the account.
    :param wanted: the shipments.
    :param interval: seconds between two checks.
    :param options: as :meth:`Poller.subscribe` takes them.
    """

    def __init__(self, account: Account, wanted: Iterable[ShipmentKey], interval: float, **options: Any) -> None:
        self._account = account
        self._wanted = {key.normalized: key for key in wanted}
        self._options = {"poke_interval": interval, "reconcile_seconds": 1800.0} | options
        self.subscription: Subscription

    async def __aenter__(self) -> Self:
        poller = pollers_of_running_loop().get(self._account)
        self.subscription = await poller.subscribe(self._wanted, **self._options)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.subscription.close()

    def keep(self, wanted: Iterable[ShipmentKey], *, settling: bool = False) -> None:
        """Drop all other shipments. With ``settling``, each full check of the kept ones is an update."""
        kept = {key.normalized for key in wanted}
        self.subscription.drop([key for key in self.subscription.shipments if key not in kept])
        self.subscription.settling = kept if settling else set()

    async def updates(self, seconds: float | None = None) -> dict[ShipmentKey, Observation] | None:
        """The next updates; None on a timeout."""
        found = await self.subscription.updates(seconds)
        return None if found is None else {self._wanted[key]: observed for key, observed in found.items()}


def vendor_time(seconds: float) -> str:
    """Format a time of the loop's clock as the vendor does."""
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Run a coroutine on virtual time. No task and no poller may be left at its end."""
    errors: list[Any] = []

    def keep_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        errors.append(context)

    async def check_end(coroutine: Coroutine[Any, Any, T]) -> T:
        asyncio.get_running_loop().set_exception_handler(keep_error)
        try:
            return await coroutine
        finally:
            await asyncio.sleep(0)  # cancelled tasks end in the next iteration of the loop
            assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left"
            assert not pollers_of_running_loop()._pollers, "a poller is left"

    def go(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(check_end(coroutine))

    yield go
    assert not errors
