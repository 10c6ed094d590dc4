"""Compares what was loaded with what the sandbox has answered. Shares no code with the loads.

An event is the same event if time, text, place and status are the same, white space and case aside.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, str]
SETTLE = timedelta(days=3)


class Event(NamedTuple):
    time: str
    text: str
    place: str
    status: str


class StoredEvent(NamedTuple):
    """A row of a table of events; loaders without history have no times."""

    key: Key
    event: Event
    first_seen_at: datetime | None = None
    superseded_at: datetime | None = None


class StoredShipment(NamedTuple):
    """The newest row of a shipment."""

    status: str
    missing_since: datetime | None = None
    updated_at: datetime | None = None
    order_id: str | None = None


StatusChange: TypeAlias = tuple[Key, datetime, "str | None", str]


@dataclass
class Loaded:
    """What a loader has stored.

    :param shipments: the newest row of each shipment.
    :param events: all rows of events.
    :param surplus_shipments: how many rows of shipments should not be there at all.
    :param surplus_events: how many rows of events should not be there, beyond those in ``events``.
    :param status_changes: all rows of status changes; None if the loader writes none.
    """

    shipments: dict[Key, StoredShipment]
    events: list[StoredEvent]
    surplus_shipments: int = 0
    surplus_events: int = 0
    status_changes: list[StatusChange] | None = None


@dataclass(frozen=True)
class CompletedLoad:
    """The requests of a load whose rows count, and when it began on the sandbox's clock."""

    first: int
    last: int
    began: datetime


@dataclass
class Faults:
    """What differs.

    :param within_bound: shipments that are stale, and that the documentation says can be.
    :param came_and_went: shipments and events that no completed load was answered with, and that are no longer there.
    :param examples: some of the faults, for the message.
    """

    shipments_missing: int = 0
    shipments_double: int = 0
    events_missing: int = 0
    events_double: int = 0
    superseded_wrong: int = 0
    stale: int = 0
    status_changes_wrong: int = 0
    within_bound: set[Key] = field(default_factory=set)
    came_and_went: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, name: str, what: object) -> None:
        setattr(self, name, getattr(self, name) + 1)
        if name != "came_and_went" and len(self.examples) < 20:
            self.examples.append(f"{name}: {what}")


@dataclass
class History:
    """What a loader must have stored of a shipment, by the answers to its completed loads."""

    shipment: StoredShipment | None = None
    events: dict[Event, tuple[datetime, datetime | None]] = field(default_factory=dict)
    status_changes: list[tuple[datetime, str | None, str]] = field(default_factory=list)
    last_item: dict[str, Any] | None = None
    last_asked: datetime | None = None

    def add(self, began: datetime, item: dict[str, Any] | None) -> None:
        self._add(began, item)
        self.last_asked = began

    def _add(self, began: datetime, item: dict[str, Any] | None) -> None:
        old = self.shipment
        if item is None:
            if old is not None and old.missing_since is None:
                self.shipment = old._replace(missing_since=began)
            return
        status, updated_at = item["status"], to_utc(item["updated_at"])
        if old is None or old.status != status:
            self.status_changes.append((began, old.status if old else None, status))
        self.shipment = StoredShipment(
            status,
            None,
            updated_at or (old.updated_at if old else None),
            item["order_id"] or (old.order_id if old else None),
        )
        now = events_of(item)
        for event in now:
            first, _ = self.events.get(event, (began, None))
            self.events[event] = first, None
        for event, (first, superseded_at) in self.events.items():
            if event not in now and superseded_at is None:
                self.events[event] = first, began
        self.last_item = item


Answers: TypeAlias = Sequence[Mapping[str, Any]]
"""``SandboxClient.answers()``."""


class Checker:
    """Knows what was answered, and what the account contains at the end.

    :param answers: everything that was answered.
    :param registered: the shipments that are registered at the end.
    """

    def __init__(self, answers: Answers, registered: Iterable[Key]) -> None:
        self._registered = set(registered)
        self._answers = {(shipment["carrier_code"], shipment["tracking_number"]): shipment for shipment in answers}
        self._truth = {key: newest_item(self._answers[key]) for key in self._registered}

    def check(self, loaded: Loaded, loads: Sequence[CompletedLoad]) -> Faults:
        """Compare.

        :param loaded: what was loaded.
        :param loads: the loads whose rows count, in order; the last one was run when nothing changed any more.
        """
        faults = Faults()
        histories = {
            key: history for key, answer in self._answers.items() if (history := _history(answer, loads)) is not None
        }
        stored: dict[Key, list[StoredEvent]] = {}
        for row in loaded.events:
            stored.setdefault(row.key, []).append(row)
        faults.shipments_double = loaded.surplus_shipments
        faults.events_double = loaded.surplus_events
        for key in self._answers.keys() | loaded.shipments.keys() | stored.keys():
            history = histories.get(key, History())
            self._check_shipment(faults, key, history, loaded)
            self._check_events(faults, key, history, loaded, stored.get(key, []))
        if loaded.status_changes is not None:
            _check_status_changes(faults, histories, loaded.status_changes)
        return faults

    def _check_shipment(self, faults: Faults, key: Key, history: History, loaded: Loaded) -> None:
        found, truth = loaded.shipments.get(key), self._truth.get(key)
        if found is None:
            if truth is not None or history.shipment is not None:
                faults.add("shipments_missing", key)
            else:
                faults.add("came_and_went", key)
            return
        if key not in self._answers:
            faults.add("shipments_double", f"{key} was never answered")
        has_status = truth is None or found.status == truth["status"]
        if has_status and (truth is None) == (found.missing_since is not None):
            pass
        elif self._is_within_bound(key, history):
            faults.within_bound.add(key)
        else:
            faults.add("stale", f"{key} {found} {truth and truth['status']}")
        if loaded.status_changes is not None and found != history.shipment:
            faults.add("stale", f"{key} {found} instead of {history.shipment}")

    def _check_events(
        self, faults: Faults, key: Key, history: History, loaded: Loaded, rows: Sequence[StoredEvent]
    ) -> None:
        truth = self._truth.get(key)
        counts = Counter(row.event for row in rows)
        faults.events_double += sum(counts.values()) - len(counts)
        answered = _all_events(self._answers.get(key))
        for event in counts.keys() - answered:
            faults.add("events_double", f"{key} {event} was never answered")
        shown = events_of(truth) if truth else set()
        is_excused = self._is_within_bound(key, history)
        current = {row.event for row in rows if row.superseded_at is None}
        if not is_excused:
            for event in shown - counts.keys():
                faults.add("events_missing", f"{key} {event}")
        elif shown != current:
            faults.within_bound.add(key)
        for event in answered - shown - counts.keys() - history.events.keys():
            faults.add("came_and_went", f"{key} {event}")
        withdrawn = history.events.keys() - shown if truth and not is_excused else set()
        for event in withdrawn:
            if event in current or event not in counts:
                faults.add("superseded_wrong", f"{key} {event}")
        if loaded.status_changes is None:
            return
        for event, times in history.events.items():
            found = [(row.first_seen_at, row.superseded_at) for row in rows if row.event == event]
            if not found:
                faults.add("events_missing", f"{key} {event} was answered to the load of {times[0]}")
            elif found[0] != times and not (event in withdrawn and event in current):
                faults.add("superseded_wrong", f"{key} {event} {found[0]} instead of {times}")
        for event in counts.keys() & answered - history.events.keys():
            faults.add("events_double", f"{key} {event} was never answered to a completed load")

    def _is_within_bound(self, key: Key, history: History) -> bool:
        """Whether a shipment was settled when a load last read it, and TrackingMore has not dated a change since."""
        item, truth = history.last_item, self._truth.get(key)
        if item is None or history.last_asked is None or item["status"] not in ("delivered", "expired"):
            return False
        changed = [times[0] for times in history.events.values()] + [began for began, *_ in history.status_changes]
        is_settled = history.last_asked - _latest_activity(item) >= SETTLE
        dated = to_utc(truth["updated_at"]) if truth else None
        return bool(changed) and is_settled and (dated is None or dated <= history.last_asked)


def _check_status_changes(faults: Faults, histories: Mapping[Key, History], rows: Sequence[StatusChange]) -> None:
    expected = Counter((key, *change) for key, history in histories.items() for change in history.status_changes)
    found = Counter(rows)
    for row, count in ((expected - found) + (found - expected)).items():
        faults.status_changes_wrong += count
        faults.examples.append(f"status change {row}: {found[row]} times instead of {expected[row]}")
    last: dict[Key, str] = {}
    for key, _, previous, status in sorted(rows, key=lambda row: row[1]):
        if previous is not None and last.get(key) != previous:
            faults.add("status_changes_wrong", f"{key}: {previous} does not follow {last.get(key)}")
        last[key] = status


def _history(shipment: Mapping[str, Any], loads: Sequence[CompletedLoad]) -> History | None:
    """Replay the answers to the loads about a shipment; None if there were none."""
    last_serials = [load.last for load in loads]
    in_order = sorted((serial, answer["item"]) for answer in shipment["answers"] for serial in answer["serials"])
    by_load: dict[int, dict[str, Any] | None] = {}
    for serial, item in in_order:
        number = bisect_left(last_serials, serial)
        if number < len(loads) and loads[number].first <= serial:
            by_load[number] = item
    if not any(item is not None for item in by_load.values()):
        return None
    history = History()
    for number, item in by_load.items():
        history.add(loads[number].began, item)
    return history


def newest_item(shipment: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the newest answer about a shipment."""
    item: dict[str, Any] = max(shipment["answers"], key=lambda answer: answer["serials"][-1])["item"]
    return item


def events_of(item: Mapping[str, Any]) -> set[Event]:
    """The events of both legs."""
    return {
        make_event(event["Date"], event["StatusDescription"], event["Details"], event["checkpoint_status"])
        for event in _raw_events(item)
    }


def _raw_events(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for leg in ("origin_info", "destination_info"):
        yield from (item.get(leg) or {}).get("trackinfo") or []


def _all_events(shipment: Mapping[str, Any] | None) -> set[Event]:
    answers = shipment["answers"] if shipment else []
    return {event for answer in answers if answer["item"] is not None for event in events_of(answer["item"])}


def _latest_activity(item: Mapping[str, Any]) -> datetime:
    times = [to_utc(item["created_at"]), to_utc(item["updated_at"])]
    times += [datetime.fromisoformat(event["Date"]).replace(tzinfo=UTC) for event in _raw_events(item)]
    return max(time for time in times if time is not None)


def make_event(time: Any, text: str | None, place: str | None, status: str | None) -> Event:
    """Describe an event, so that two descriptions of the same event are equal."""
    local = time if isinstance(time, datetime) else datetime.fromisoformat(str(time))
    return Event(local.strftime("%Y-%m-%d %H:%M:%S"), _squeeze(text), _squeeze(place), status or "")


def _squeeze(text: str | None) -> str:
    return " ".join((text or "").casefold().split())


def to_utc(time: Any) -> datetime | None:
    """A time as tables and answers have it, in UTC; a text without offset is in UTC."""
    if not time:
        return None
    found = time if isinstance(time, datetime) else datetime.fromisoformat(str(time))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
