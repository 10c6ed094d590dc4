"""Hints: which waits are woken, when, and how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.hint_stream import ShipmentHint
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.plugins import deferred_waits, hint_channels, hints
from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.plugins.hints import Hints
from airflow_provider_trackingmore.plugins.task_waits import DeferredWait
from airflow_provider_trackingmore.waiting.spec import WaitSpec

CONN = "trackingmore_default"
P1, P2, P3 = (ShipmentKey("usps", f"P{number}") for number in (1, 2, 3))
LONG_AGO = 1_000.0


class Clock:
    """Unix seconds and seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.now = 100_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


class Airflow:
    """A stand-in for Airflow's database: the deferred tasks that a refresh finds, and those that were woken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
        self.deferred: dict[int, tuple[float, ShipmentKey]] = {}
        self.woken: list[int] = []
        self.refreshes = 0
        airflow = self

        def refresh(index: DeferredWaits) -> None:
            airflow.refreshes += 1
            index.read_at = clock.now
            for trigger_id in [known for known in range(50) if known not in airflow.deferred]:
                index.forget(trigger_id)
            for trigger_id, (deferred_at, key) in airflow.deferred.items():
                index.forget(trigger_id)
                index.add(trigger_id, deferred_at, {"wait": stored(key)})

        def wake(index: DeferredWaits, waits: Iterable[DeferredWait]) -> int:
            found = [wait.trigger_id for wait in waits if airflow.deferred.pop(wait.trigger_id, None)]
            for trigger_id in found:
                index.forget(trigger_id)
            airflow.woken += found
            return len(found)

        monkeypatch.setattr(DeferredWaits, "refresh", refresh)
        monkeypatch.setattr(DeferredWaits, "wake", wake)
        for module in (hints, deferred_waits):
            monkeypatch.setattr(module, "time", clock)


def stored(key: ShipmentKey, **options: object) -> dict[str, object]:
    return WaitSpec.create(shipments=[key._asdict()], **options).to_dict()  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Airflow:
    return Airflow(monkeypatch, clock)


Give = Callable[..., None]


@pytest.fixture
def pending(airflow: Airflow) -> Hints:
    """Hints that are processed only by :func:`process`."""
    return Hints(DeferredWaits())


@pytest.fixture
async def give(pending: Hints, monkeypatch: pytest.MonkeyPatch) -> Give:
    async def nothing(_: Hints) -> None:
        pass

    monkeypatch.setattr(Hints, "_run", nothing)

    def give(key: ShipmentKey = P1, *, conn_id: str = CONN, stale: bool = False, hints_per_minute: int = 60) -> None:
        pending.add(conn_id, key, stale=stale, hints_per_minute=hints_per_minute)

    return give


class Channels:
    """Stands in for Redis and the file."""

    def __init__(self, pending: Hints) -> None:
        self.is_enough = True
        self.sent: list[tuple[str, str, list[str]]] = []
        pending._channels = self  # type: ignore[assignment]

    def send(self, pacing: str, account: str, hints: list[ShipmentHint]) -> bool:
        self.sent.append((pacing, account, [hint.key.tracking_number for hint in hints]))
        return self.is_enough


def process(pending: Hints) -> int:
    """Process what is pending, and return how many hints are left."""
    pending._remove(pending._process(dict(pending._pending)))
    return len(pending._pending)


async def test_a_hint_wakes_the_waits_for_its_shipment_in_any_spelling(
    airflow: Airflow, pending: Hints, give: Give
) -> None:
    airflow.deferred = {1: (LONG_AGO, P1), 2: (LONG_AGO, P2), 3: (LONG_AGO, ShipmentKey("USPS", "p1"))}
    give(P1)
    assert process(pending) == 0
    assert airflow.woken == [1, 3]


async def test_no_task_is_woken_where_the_pollers_check_by_themselves(
    airflow: Airflow, pending: Hints, give: Give
) -> None:
    channels, redis = Channels(pending), ClientSettings(api_key="key", pacing="redis://redis.example")
    other = ClientSettings(api_key="another", pacing="redis://redis.example")
    airflow.deferred = {1: (LONG_AGO, P1)}
    for key, settings in ((P2, redis), (P1, redis), (P3, other)):
        pending.add(CONN, key, stale=key == P2, hints_per_minute=60, client_settings=settings)
    assert process(pending) == 0
    assert channels.sent == [
        ("redis://redis.example", redis.fingerprint, ["p1", "p2"]),
        ("redis://redis.example", other.fingerprint, ["p3"]),
    ]
    assert (airflow.woken, airflow.refreshes) == ([], 0)


async def test_tasks_are_woken_where_no_poller_listens_and_each_hint_is_sent_once(
    airflow: Airflow, pending: Hints, clock: Clock, give: Give
) -> None:
    channels, settings = Channels(pending), ClientSettings(api_key="key")
    channels.is_enough = False
    airflow.deferred = {1: (clock.now - 10, P1)}
    pending.add(CONN, P1, stale=False, hints_per_minute=60, client_settings=settings)
    assert process(pending) == 1
    clock.now += 30
    assert process(pending) == 0
    assert airflow.woken == [1]
    assert channels.sent == [("file", settings.fingerprint, ["p1"])]


async def test_tasks_are_woken_where_the_api_server_cannot_use_redis(
    airflow: Airflow, pending: Hints, monkeypatch: pytest.MonkeyPatch, give: Give, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(url: str, account: str) -> None:
        raise InvalidSettingsError("the redis package is not installed")

    monkeypatch.setattr(hint_channels, "HintWriter", refuse)
    airflow.deferred = {1: (LONG_AGO, P1), 2: (LONG_AGO, P2)}
    settings = ClientSettings(api_key="key", pacing="redis://redis.example")
    for key in (P1, P2):
        pending.add(CONN, key, stale=False, hints_per_minute=60, client_settings=settings)
        assert process(pending) == 0
    assert airflow.woken == [1, 2]
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


async def test_repeated_hints_are_one(airflow: Airflow, pending: Hints, give: Give) -> None:
    airflow.deferred = {1: (LONG_AGO, P1)}
    for _ in range(1_000):
        give(P1)
    assert process(pending) == 0
    assert (airflow.woken, airflow.refreshes) == ([1], 1)


async def test_a_hint_of_another_connection_wakes_nothing(airflow: Airflow, pending: Hints, give: Give) -> None:
    airflow.deferred = {1: (LONG_AGO, P1)}
    give(P1, conn_id="another")
    assert process(pending) == 0
    assert airflow.woken == []


async def test_a_wait_is_left_alone_for_half_a_minute_after_it_was_deferred(
    airflow: Airflow, pending: Hints, give: Give, clock: Clock
) -> None:
    airflow.deferred = {1: (clock.now - 10, P1)}
    give(P1)
    assert process(pending) == 1
    clock.now += 19
    assert process(pending) == 1
    assert airflow.woken == []
    clock.now += 2
    process(pending)
    assert airflow.woken == [1]


async def test_a_wait_that_was_deferred_after_the_hint_has_been_checked_already(
    airflow: Airflow, pending: Hints, give: Give, clock: Clock
) -> None:
    give(P1)
    airflow.deferred = {1: (clock.now + 1, P1)}
    clock.now += 60
    assert process(pending) == 0
    assert airflow.woken == []


async def test_a_flood_about_one_shipment_wakes_its_wait_at_most_once_in_half_a_minute(
    airflow: Airflow, pending: Hints, give: Give, clock: Clock
) -> None:
    """The task checks within a second and is deferred again, with another trigger."""
    airflow.deferred = {1: (LONG_AGO, P1)}
    for second in range(300):
        clock.now += 1
        give(P1)
        process(pending)
        if not airflow.deferred:
            airflow.deferred = {second + 2: (clock.now + 0.5, P1)}
    assert len(airflow.woken) <= 10


async def test_a_wait_that_the_index_does_not_know_yet_is_woken_after_its_next_refresh(
    airflow: Airflow, pending: Hints, give: Give, clock: Clock
) -> None:
    give(P2)
    assert process(pending) == 0
    airflow.deferred = {1: (clock.now - 40, P1)}
    clock.now += 1
    give(P1)
    assert process(pending) == 1
    clock.now += hints.INDEX_SECONDS
    assert process(pending) == 0
    assert (airflow.woken, airflow.refreshes) == ([1], 2)


async def test_unknown_numbers_cost_one_refresh_and_are_forgotten(
    airflow: Airflow, pending: Hints, give: Give, clock: Clock
) -> None:
    airflow.deferred = {1: (LONG_AGO, P1)}
    for number in range(20_000):
        give(ShipmentKey("usps", f"UNKNOWN{number}"))
    assert len(pending._pending) == hints.MAX_PENDING
    assert process(pending) == 0
    give(P1, hints_per_minute=1)
    clock.now += hints.INDEX_SECONDS
    process(pending)
    assert airflow.woken == [1], "unknown numbers do not count against the limit"


async def test_a_connection_has_a_limit_of_hints_per_minute_and_fresh_ones_come_first(
    airflow: Airflow, pending: Hints, give: Give, clock: Clock
) -> None:
    airflow.deferred = {1: (LONG_AGO, P1), 2: (LONG_AGO, P2), 3: (LONG_AGO, P3)}
    give(P1, stale=True, hints_per_minute=2)
    clock.now += 0.01
    give(P2, hints_per_minute=2)
    clock.now += 0.01
    give(P3, hints_per_minute=2)
    assert process(pending) == 1
    assert airflow.woken == [2, 3]
    clock.now += 59
    process(pending)
    assert airflow.woken == [2, 3]
    clock.now += 2
    process(pending)
    assert airflow.woken == [2, 3, 1]


async def test_a_hint_that_comes_while_the_same_is_processed_is_kept(
    airflow: Airflow, pending: Hints, give: Give, clock: Clock
) -> None:
    give(P1)
    taken = dict(pending._pending)
    give(P1)
    pending._remove(pending._process(taken))
    assert len(pending._pending) == 1


async def test_processing_which_runs_in_a_thread_leaves_the_pending_hints_to_the_event_loop(
    airflow: Airflow, pending: Hints, give: Give
) -> None:
    give(P1)
    before = dict(pending._pending)
    done = pending._process(dict(before))
    assert pending._pending == before
    pending._remove(done)
    assert pending._pending == {}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"wait": None},
        {"wait": {"version": 99}},
        {"wait": {"version": 1, "shipments": "damaged"}},
        {"wait": stored(P1, settle_seconds=60.0)},
    ],
    ids=["none", "null", "newer", "damaged", "measures how long it has arrived"],
)
def test_a_trigger_that_cannot_be_woken_is_skipped(arguments: dict[str, object]) -> None:
    index = DeferredWaits()
    index.add(1, LONG_AGO, arguments)
    assert index.find((CONN, P1)) == []
    index.forget(1)
