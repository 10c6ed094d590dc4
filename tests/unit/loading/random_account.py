"""An account whose shipments change at random, on a virtual clock, and that answers requests like the vendor.

It shares no code with ``loading``. It remembers what nobody outside the vendor knows: which changes were silent,
that is, without a new ``updated_at``.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.errors import ServerError

DAY = 86_400
RECORDING_SECONDS = 50 * 60
"""How long the vendor may take until a change shows."""
FINAL = ("delivered", "expired")


@dataclass
class Parcel:
    """A registered shipment.

    :param changes: when a change showed, on the true clock, and whether ``updated_at`` dates it.
    :param statuses: the statuses it has had, the first one too.
    """

    carrier: str
    number: str
    created_at: float
    status: str = "pending"
    updated_at: float | None = None
    order_id: str | None = None
    archived: bool = False
    events: list[dict[str, str]] = field(default_factory=list)
    changes: list[tuple[float, bool]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=lambda: ["pending"])
    hidden: bool = False
    was_hidden: bool = False
    poison: bool = False


class RandomAccount:
    """The vendor's side.

    :param rng: decides what happens.
    :param start: the true time, Unix seconds.
    """

    def __init__(self, rng: random.Random, start: float) -> None:
        self.rng = rng
        self.now = start
        self.skew = rng.choice([0, 0, 0, -7200, 7200])
        self.keeps_updated_at = rng.random()
        self.parcels: dict[tuple[str, str], Parcel] = {}
        self.calls = 0
        self.fail_at: int | None = None
        self.busy_calls = 0
        self.seconds_per_busy_call = 1.0
        self._serial = 0

    # What happens ----------------------------------------------------------------------------------------------------

    def live(self, days: float) -> None:
        """Let time pass, and something happen in it."""
        end = self.now + days * DAY
        while (self.now + (step := self.rng.expovariate(1) * DAY / 8)) < end:
            self.now += step
            self._happen()
        self.now = end

    def rush(self) -> None:
        """Let something happen to shipments of any age within half an hour."""
        for _ in range(self.rng.randrange(1, 6)):
            self.now += 360
            self._happen(share_of_new=0.0)

    def _happen(self, share_of_new: float = 0.8) -> None:
        rng, parcels = self.rng, list(self.parcels.values())
        if not parcels or rng.random() < 0.3:
            self._register()
            return
        parcel = rng.choice(parcels[-20:] if rng.random() < share_of_new else parcels)
        action = rng.choices(
            ["advance", "late", "reword", "reopen", "order", "delete", "archive", "hide", "poison", "drop"],
            [12, 3, 3, 2, 1, 1, 1, 1, 0.3, 1],
        )[0]
        getattr(self, f"_{action}")(parcel)

    def _register(self) -> None:
        self._serial += 1
        carrier = self.rng.choice(["ups", "usps", "dhl"])
        parcel = Parcel(carrier, f"N{self._serial:05d}", self.now + self.skew)
        if self.rng.random() < 0.1:
            parcel.order_id = f"order {self._serial}"
        self.parcels[carrier, parcel.number] = parcel

    def _advance(self, parcel: Parcel) -> None:
        following = {"pending": "transit", "transit": "pickup", "pickup": "delivered"}
        if parcel.status in following:
            parcel.status = "expired" if self.rng.random() < 0.05 else following[parcel.status]
            parcel.statuses.append(parcel.status)
            self._add_event(parcel, self.now)
            self._touch(parcel)

    def _late(self, parcel: Parcel) -> None:
        self._add_event(parcel, self.now - self.rng.random() * 9 * DAY)
        self._touch(parcel)

    def _reword(self, parcel: Parcel) -> None:
        if parcel.events:
            self.rng.choice(parcel.events)["StatusDescription"] = f"reworded {self.rng.random()}"
            self._touch(parcel)

    def _reopen(self, parcel: Parcel) -> None:
        if parcel.status in FINAL:
            parcel.status = "transit"
            parcel.statuses.append(parcel.status)
            self._add_event(parcel, self.now)
            self._touch(parcel)

    def _order(self, parcel: Parcel) -> None:
        parcel.order_id = f"order {self.rng.random()}"
        self._touch(parcel)

    def _archive(self, parcel: Parcel) -> None:
        parcel.archived = not parcel.archived
        self._touch(parcel)

    def _delete(self, parcel: Parcel) -> None:
        del self.parcels[parcel.carrier, parcel.number]

    def _hide(self, parcel: Parcel) -> None:
        parcel.hidden = not parcel.hidden
        parcel.was_hidden = True

    def _poison(self, parcel: Parcel) -> None:
        parcel.poison = not parcel.poison

    def _drop(self, parcel: Parcel) -> None:
        if len(parcel.events) > 1:
            parcel.events.pop(self.rng.randrange(len(parcel.events)))
            self._touch(parcel)

    def _add_event(self, parcel: Parcel, at: float) -> None:
        local = datetime.fromtimestamp(at, UTC) + timedelta(hours=self.rng.choice([-8, 0, 9]))
        parcel.events.append(
            {
                "Date": local.strftime("%Y-%m-%d %H:%M"),
                "StatusDescription": f"event {self.rng.randrange(10**9)}",
                "Details": self.rng.choice(["", "Leipzig", "Osaka"]),
                "checkpoint_status": parcel.status,
            }
        )

    def _touch(self, parcel: Parcel) -> None:
        dated = self.rng.random() < self.keeps_updated_at
        if dated:
            recorded_late = self.rng.choice([0, 0, self.rng.random() * RECORDING_SECONDS])
            parcel.updated_at = max(parcel.updated_at or 0, self.now + self.skew - recorded_late)
        elif self.rng.random() < 0.5:
            parcel.updated_at = None
        parcel.changes.append((self.now, dated))

    # What it answers -------------------------------------------------------------------------------------------------

    def send(self, request: Request[Any], /) -> Any:
        """Answer a request."""
        self.calls += 1
        self.now += self.seconds_per_busy_call if self.busy_calls else 1.0
        while self.busy_calls and self.rng.random() < 0.8:
            self._happen()
        self.busy_calls = max(self.busy_calls - 1, 0)
        if self.fail_at is not None and self.calls >= self.fail_at:
            raise ServerError("the server is down", code=500)
        if request.path == "/trackings/get":
            return parse_response(request, 200, {}, json.dumps(self._list(request.query)).encode())
        _, _, carrier, number = request.path.split("/")
        parcel = self.parcels.get((unquote(carrier), unquote(number)))
        if parcel is not None and parcel.poison:
            raise ServerError("a poisoned number", code=500)
        meta = {"code": 200} if parcel else {"code": 4031, "type": "No Content", "message": "nothing"}
        body = {"meta": meta, "data": self.item(parcel) if parcel else []}
        return parse_response(request, 200, {}, json.dumps(body).encode())

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        found = sorted(self.parcels.values(), key=lambda parcel: -parcel.created_at)
        for name, attribute in (("created_at", "created_at"), ("update_time", "updated_at")):
            low = float(query.get(f"{name}_min", "-inf"))
            high = float(query.get(f"{name}_max", "inf"))
            if f"{name}_min" in query or f"{name}_max" in query:
                found = [p for p in found if (at := getattr(p, attribute)) is not None and low <= int(at) <= high]
        if "numbers" in query:
            numbers = query["numbers"].split(",")
            found = [parcel for parcel in found if parcel.number in numbers]
            if any(parcel.poison for parcel in found):
                raise ServerError("a poisoned number", code=500)
        if "status" in query:
            found = [parcel for parcel in found if parcel.status == query["status"]]
        found = [parcel for parcel in found if not parcel.hidden]
        assert query.get("page", "1") == "1"
        items = [self.item(parcel) for parcel in found]
        return {"meta": {"code": 200}, "data": {"page": 1, "total": str(len(items)), "items": items}}

    def item(self, parcel: Parcel) -> dict[str, Any]:
        """The vendor's record of a parcel."""
        newest = max((event["Date"] for event in parcel.events), default=None)
        return {
            "id": f"id-{parcel.number}",
            "carrier_code": parcel.carrier,
            "tracking_number": parcel.number,
            "status": parcel.status,
            "created_at": datetime.fromtimestamp(int(parcel.created_at), UTC).isoformat(),
            "updated_at": parcel.updated_at and datetime.fromtimestamp(int(parcel.updated_at), UTC).isoformat(),
            "order_id": parcel.order_id,
            "archived": parcel.archived,
            "lastUpdateTime": newest,
            "origin_info": {"trackinfo": sorted(parcel.events, key=lambda event: event["Date"], reverse=True)},
        }
