"""``POST /trackings/aircargo`` (reference 1.16): seeded flights for air waybills."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from .envelope import ApiError, ApiResult
from .journey_steps import DAY
from .limits import FIFTHS_WAYBILL
from .request_context import RequestContext, to_text
from .seeded_random import SeededRandom

_WAYBILL = re.compile(r"(\d{3})[ -]?(\d{7,8})")
_AIRLINES = {
    "020": ("Lufthansa Cargo", "LH"),
    "057": ("Air France", "AF"),
    "125": ("British Airways", "BA"),
    "157": ("Qatar Airways", "QR"),
    "172": ("Cargolux", "CV"),
    "176": ("Emirates", "EK"),
    "180": ("Korean Air", "KE"),
    "297": ("China Airlines", "CI"),
    "784": ("China Southern", "CZ"),
    "999": ("Air China", "CA"),
}
_AIRPORTS = ("PVG", "CAN", "HKG", "ICN", "DOH", "DXB", "LUX", "FRA", "LHR", "CDG", "ORD", "JFK")
_EVENTS = ((0.0, "BKD"), (0.1, "RCS"), (0.2, "MAN"), (0.3, "DEP"), (0.7, "ARR"), (0.8, "RCF"), (1.0, "DLV"))


def track_air_cargo(context: RequestContext) -> ApiResult:
    """``POST /trackings/aircargo``: 20 units of quota for each waybill of a known airline; others are left out."""
    given = context.json_object().get("track_number")
    waybills = given if isinstance(given, list) else [given]
    if not waybills or given in (None, ""):
        raise ApiError(4012)
    if len(waybills) > context.switches.number("waybill_max"):
        raise ApiError(4020)
    wanted: dict[str, str] = {}
    for waybill in waybills:
        match = _WAYBILL.fullmatch(to_text(waybill) or "")
        if not match:
            raise ApiError(4014)
        wanted[match[0]] = match[1]
    known = {waybill: prefix for waybill, prefix in wanted.items() if prefix in _AIRLINES}
    if not known:
        raise ApiError(4031)
    context.charge(FIFTHS_WAYBILL * len(known))
    return ApiResult(
        {waybill: _flight_data(context, waybill, prefix) for waybill, prefix in known.items()}, items=len(known)
    )


def _flight_data(context: RequestContext, waybill: str, prefix: str) -> dict[str, Any]:
    name, letters = _AIRLINES[prefix]
    rng = SeededRandom(context.state.seed, "waybill", waybill)
    first = int(rng.random() * len(_AIRPORTS))
    origin, destination = _AIRPORTS[first], _AIRPORTS[(first + 1 + int(rng.random() * 10)) % len(_AIRPORTS)]
    flight = f"{letters}{1000 + int(rng.random() * 9000)}"
    started = context.account.first_seen_at.setdefault(("air-waybill", waybill), context.now) - DAY * rng.random()
    length = (2 + 3 * rng.random()) * DAY
    piece, weight = str(1 + int(rng.random() * 40)), f"{20 + rng.random() * 900:.1f}"

    def event_time(share: float, actual: bool = True) -> str:
        at = started + share * length
        return "" if actual and at > context.now else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")

    reached = [(share, event) for share, event in _EVENTS if event_time(share)]
    return {
        "return_data": {
            "weight": weight,
            "piece": piece,
            "origin": origin,
            "destination": destination,
            "status_number": 4 if len(reached) == len(_EVENTS) else 3 if len(reached) > 4 else 2,
            "flight_info": {
                flight: {
                    "depart_station": origin,
                    "arrival_station": destination,
                    "plan_depart_time": event_time(0.3, False),
                    "depart_time": event_time(0.3),
                    "plan_arrival_time": event_time(0.7, False),
                    "arrival_time": event_time(0.7),
                }
            },
            "track_info": [
                {
                    "plan_date": event_time(share, False),
                    "actual_date": event_time(share),
                    "event": event,
                    "station": origin if share < 0.5 else destination,
                    "flight_number": flight if event in ("DEP", "ARR") else "",
                    "status": event,
                    "piece": piece,
                    "weight": weight,
                }
                for share, event in reversed(reached)
            ],
        },
        "airline_info": {
            "name": name,
            "url": f"http://www.{letters.lower()}-cargo.example/",
            "track_url": f"http://www.{letters.lower()}-cargo.example/awb/{waybill}",
            "trackpage_url": f"http://www.{letters.lower()}-cargo.example/awb/",
        },
    }
