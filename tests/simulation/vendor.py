"""The vendor's side, written from the API reference alone: real bytes for each path and query.

It shares no code with the package or its sandbox. Where the reference is unclear, each account follows one reading.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

from tests.simulation.loop import EPOCH
from tests.simulation.parcels import Parcel, State

SLOT_SECONDS = 1.0
"""Reference 4: one request a second."""
COOL_DOWN_SECONDS = 120.0
"""Reference 4: after a 429."""
ROWS_IN_ONE_CALL = 2000
"""Reference 4: the largest page."""
NUMBERS_IN_ONE_CALL = 40
"""Reference 4: the longest ``numbers`` filter."""
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Habits:
    """Which reading of the reference an account follows.

    :param skew: seconds by which the vendor's clock is ahead.
    :param zone_hours: offset in its times.
    :param empty_is_error: whether an empty list is a 4031 rather than success with ``[]``.
    :param missing_code: the code of a GET by path for an unknown parcel.
    :param total_as: whether ``total`` is a ``text`` or a ``number``.
    :param limit_status: HTTP status of a 429.
    :param retry_after: seconds in the ``Retry-After`` of a 429; None if it has none.
    :param numbers_in_one_call: the longest ``numbers`` filter.
    :param rows_in_one_call: the largest page.
    """

    skew: float = 0.0
    zone_hours: int = 0
    empty_is_error: bool = False
    missing_code: int = 4031
    total_as: str = "text"
    limit_status: int = 200
    retry_after: int | None = None
    numbers_in_one_call: int = NUMBERS_IN_ONE_CALL
    rows_in_one_call: int = ROWS_IN_ONE_CALL

    def full_calls(self, shipments: int, rows: int) -> int:
        """Return the fewest calls that check this many shipments: by number, or by a list of this many rows."""
        return min(self.number_calls(shipments), self.pages(rows))

    def number_calls(self, shipments: int) -> int:
        """Return how many calls check this many shipments by number."""
        return math.ceil(shipments / self.numbers_in_one_call)

    def pages(self, rows: int) -> int:
        """Return how many calls read a list of this many rows."""
        return max(1, math.ceil(rows / self.rows_in_one_call))


@dataclass(frozen=True)
class Reply:
    """A response of the vendor.

    :param status: HTTP status.
    :param headers: HTTP headers.
    :param body: the bytes.
    :param kind: ``numbers``, ``list``, ``change`` or ``get``; ``refused`` if it contains no parcels.
    :param shown: the parcels in it.
    :param code: ``meta.code``.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    kind: str
    shown: tuple[tuple[Parcel, State], ...] = ()
    code: int = 200


@dataclass
class Vendor:
    """One account at the vendor.

    :param habits: the readings that it follows.
    :param parcels: everything that is registered, now or later.
    :param keys: each key of the account, and when it is revoked.
    """

    habits: Habits
    parcels: list[Parcel]
    keys: Mapping[str, float]
    last_arrival: dict[str, float] = field(default_factory=dict)
    cool_down_until: dict[str, float] = field(default_factory=dict)
    _rows: dict[float, int] = field(default_factory=dict)
    _changed_rows: dict[float, int] = field(default_factory=dict)
    _crowded: dict[float, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_name = {parcel.name: parcel for parcel in self.parcels}
        self.by_number: dict[str, list[Parcel]] = {}
        for parcel in self.parcels:
            self.by_number.setdefault(parcel.name[1], []).append(parcel)

    def answer(self, key: str, path: str, query: Mapping[str, str], now: float) -> Reply:
        """Respond to a request at the moment it arrives."""
        too_soon = now - self.last_arrival.get(key, float("-inf")) < SLOT_SECONDS - 1e-6
        self.last_arrival[key] = now
        if now >= self.keys.get(key, float("-inf")):
            return self.refusal(4002, "The API key is deleted")
        if too_soon:
            self.start_cool_down(key, now)
        if now < self.cool_down_until.get(key, float("-inf")):
            return self.too_many()
        segments = [unquote(segment) for segment in path.strip("/").split("/")]
        if segments == ["trackings", "get"]:
            return self._list(query, now)
        if len(segments) == 3 and segments[0] == "trackings":
            return self._one(segments[1], segments[2], now)
        return self.refusal(404, "No such page")

    def start_cool_down(self, key: str, now: float) -> None:
        """Respond with 429 for two minutes."""
        self.cool_down_until[key] = now + COOL_DOWN_SECONDS

    def too_many(self) -> Reply:
        """Return a 429."""
        after = self.habits.retry_after
        headers = JSON if after is None else {**JSON, "Retry-After": str(after)}
        body = _envelope(429, "[]", "Too many requests. Pause and wait two minutes.")
        return Reply(self.habits.limit_status, headers, body, "refused", code=429)

    def refusal(self, code: int, message: str) -> Reply:
        """Return a response that is not a success."""
        return Reply(200, JSON, _envelope(code, "[]", message), "refused", code=code)

    def rows(self, now: float) -> int:
        """Return about how many parcels the list has."""
        minute = now // 60
        if minute not in self._rows:
            self._rows[minute] = self._count_rows(now)
        return self._rows[minute]

    def changed_rows(self, now: float) -> int:
        """Return about how many parcels every list of changes has: those with an ``updated_at`` in the future."""
        minute = now // 60
        if minute not in self._changed_rows:
            states = [parcel.at(now) for parcel in self.parcels]
            self._changed_rows[minute] = sum(
                1 for state in states if state.status is not None and state.in_list and (state.updated_at or 0.0) > now
            )
        return self._changed_rows[minute]

    def pages_of_crowded_seconds(self, now: float) -> int:
        """Return about how many calls read the seconds in which more parcels were registered than a page has rows.

        A second is requested together with the one before and the one after it, since bounds may be exclusive.
        """
        minute = now // 60
        if minute not in self._crowded:
            registered = Counter(self._created_second(parcel.at(now)) for parcel in self._listed(now))
            seconds = {second + near for second in registered for near in (-1, 0, 1)}
            rows = [sum(registered[second + near] for near in (-1, 0, 1)) for second in seconds]
            self._crowded[minute] = sum(
                self.habits.pages(size + 1) for size in rows if size > self.habits.rows_in_one_call
            )
        return self._crowded[minute]

    def _count_rows(self, now: float) -> int:
        return sum(1 for _ in self._listed(now))

    def _created_second(self, state: State) -> int:
        return int(EPOCH + state.created_at + self.habits.skew)

    def _listed(self, now: float) -> Iterator[Parcel]:
        for parcel in self.parcels:
            state = parcel.at(now)
            if state.status is not None and state.in_list:
                yield parcel

    def _one(self, carrier: str, number: str, now: float) -> Reply:
        parcel = self.by_name.get((carrier.casefold(), number.casefold()))
        state = parcel.at(now) if parcel is not None else None
        if parcel is None or state is None or state.status is None:
            code = self.habits.missing_code
            if code == 200:
                return Reply(200, JSON, _envelope(200, "[]"), "get", code=200)
            return Reply(200, JSON, _envelope(code, "[]", "No tracking"), "get", code=code)
        return Reply(200, JSON, _envelope(200, self._row(parcel, now)), "get", ((parcel, state),))

    def _list(self, query: Mapping[str, str], now: float) -> Reply:
        page, limit = int(query.get("page", "1")), int(query.get("limit", "100"))
        assert limit <= self.habits.rows_in_one_call, "a page is larger than the vendor allows"
        kind = "numbers" if "numbers" in query else "change" if "update_time_min" in query else "list"
        found: list[tuple[Parcel, State]] = []
        for parcel in self._named(query["numbers"]) if kind == "numbers" else self.parcels:
            state = parcel.at(now)
            shown = state.in_numbers if kind == "numbers" else state.in_list
            if state.status is not None and shown and self._matches(query, state):
                found.append((parcel, state))
        found.sort(key=lambda pair: (-pair[1].created_at, pair[0].tracking_number, pair[0].carrier_code))
        total = len(found)
        found = found[(page - 1) * limit : page * limit]
        if not found:
            if self.habits.empty_is_error:
                return Reply(200, JSON, _envelope(4031, "[]", "No content"), kind, code=4031)
            return Reply(200, JSON, _envelope(200, "[]"), kind)
        counted = {"text": f'"{total}"', "number": str(total)}[self.habits.total_as]
        items = ",".join(self._row(parcel, now) for parcel, _ in found)
        data = f'{{"page":{page},"limit":{limit},"total":{counted},"count":{len(found)},"items":[{items}]}}'
        return Reply(200, JSON, _envelope(200, data), kind, tuple(found))

    def _named(self, numbers: str) -> Iterable[Parcel]:
        wanted = list(dict.fromkeys(number.casefold() for number in numbers.split(",")))
        assert len(wanted) <= self.habits.numbers_in_one_call, "a call names more numbers than the vendor allows"
        return [parcel for number in wanted for parcel in self.by_number.get(number, ())]

    def _matches(self, query: Mapping[str, str], state: State) -> bool:
        created = self._created_second(state)
        if not int(query.get("created_at_min", 0)) <= created <= int(query.get("created_at_max", 2**40)):
            return False
        if "update_time_min" not in query and "update_time_max" not in query:
            return True
        if state.updated_at is None:
            return False
        updated = int(EPOCH + state.updated_at + self.habits.skew)
        return int(query.get("update_time_min", 0)) <= updated <= int(query.get("update_time_max", 2**40))

    def _row(self, parcel: Parcel, now: float) -> str:
        index, state = parcel.index(now), parcel.at(now)
        quiet = state.quiet_days(now)
        row = parcel.rows.get((index, quiet))
        if row is None:
            row = parcel.rows[index, quiet] = json.dumps(self._item(parcel, state, quiet))
        return row

    def _item(self, parcel: Parcel, state: State, quiet: int) -> dict[str, object]:
        event = {
            "Date": local(state.event_at),
            "StatusDescription": "Event",
            "Details": "",
            "checkpoint_status": state.status,
        }
        item: dict[str, object] = {
            "id": f"{abs(hash_of(parcel)):032x}",
            "tracking_number": parcel.tracking_number,
            "carrier_code": parcel.carrier_code,
            "status": state.status,
            "substatus": state.substatus,
            "created_at": self._dated(state.created_at),
            "updated_at": None if state.updated_at is None else self._dated(state.updated_at),
            "order_id": None,
            "origin_info": {"trackinfo": [event]},
            "lastEvent": "Event",
            "lastUpdateTime": local(state.event_at),
        }
        if parcel.shows_quiet_days:
            item["stayTimeLength"] = quiet
        return item

    def _dated(self, moment: float) -> str:
        zone = timezone(timedelta(hours=self.habits.zone_hours))
        return datetime.fromtimestamp(int(EPOCH + moment + self.habits.skew), zone).isoformat()


def local(moment: float) -> str:
    """Format a carrier's local time, as if every place were in Greenwich."""
    return datetime.fromtimestamp(int(EPOCH + moment), UTC).strftime("%Y-%m-%d %H:%M:%S")


def hash_of(parcel: Parcel) -> int:
    """Return a number for a parcel that is the same in every process."""
    return int.from_bytes(f"{parcel.carrier_code}/{parcel.tracking_number}".encode()[:16], "big")


def _envelope(code: int, data: str, message: str = "Success") -> bytes:
    meta = json.dumps({"code": code, "type": "Success" if code == 200 else "Error", "message": message})
    return f'{{"meta":{meta},"data":{data}}}'.encode()
