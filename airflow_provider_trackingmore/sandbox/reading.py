"""Endpoints that read shipments: one, a list, the counts, and realtime (reference 1.2, 1.6, 1.9, 1.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .envelope import Answer, Refusal
from .journeys import STATUSES
from .limits import FILTER_MAX, PAGE_DEFAULT, PAGE_MAX, REALTIME_PAUSE_SECONDS
from .registering import price_of, register
from .store import Shipment, shipment_id
from .visit import Visit, carrier_code, text_of


def get_one(visit: Visit) -> Answer:
    """``GET /trackings/{carrier_code}/{tracking_number}[/{lang}]``."""
    number = visit.number_of(visit.params)
    key = carrier_code(visit.params["carrier_code"]), number
    shipment = visit.account.store.by_key.get(key)
    if shipment is None:
        raise Refusal(int(visit.switches["unknown_number"]))
    return Answer(visit.renderer.item(shipment, visit.params.get("lang")), items=1)


def list_page(visit: Visit) -> Answer:
    """``GET /trackings/get``."""
    return _page(visit, visit.query)


def list_page_by_post(visit: Visit) -> Answer:
    """``POST /trackings/get``, when the switch ``list_by_post`` allows it (reference 1.0)."""
    if not visit.switches.yes("list_by_post"):
        raise Refusal(405)
    given = {name: text_of(value) for name, value in visit.json_object().items()}
    return _page(visit, {name: value for name, value in given.items() if value is not None})


def count_by_status(visit: Visit) -> Answer:
    """``GET /trackings/getstatusnumber``."""
    counts = dict.fromkeys(STATUSES, 0)
    for shipment in _between(visit, visit.query):
        counts[shipment.status] += 1
    return Answer(counts)


def realtime(visit: Visit) -> Answer:
    """``POST /trackings/realtime``."""
    row = visit.json_object()
    key = visit.key_of(row)
    if not visit.switches.yes("realtime_activated"):
        raise Refusal(4018)
    account = visit.account
    shipment = account.store.by_key.get(key)
    registers = visit.switches.yes("realtime_registers") and shipment is None
    if account.fifths_left <= 0 or (registers and price_of(visit, key) > account.fifths_left):
        raise Refusal(int(visit.switches["quota_code"]))
    if visit.now - account.realtime_at.get(key, float("-inf")) < REALTIME_PAUSE_SECONDS:
        raise Refusal(int(visit.switches["realtime_repeat"]))
    account.realtime_at[key] = visit.now
    if registers:
        own_names = {"order_id": row.get("order"), "tracking_destination_country": row.get("specialNumberDestination")}
        shipment = register(visit, key, row | own_names)
    lang = text_of(row.get("lang"))
    renderer = visit.renderer
    if shipment is not None:
        account.store.look_now(shipment, visit.now)
        visit.note("refreshed")
        if visit.switches["realtime_item"] == "full":
            return Answer({"items": [renderer.item(shipment, lang)]}, items=1)
        journey, seen = shipment.journey, shipment.seen
    else:
        begins = account.heard_of.setdefault(key, visit.now)
        journey = visit.world.journey(account, key, begins, text_of(row.get("destination_code")))
        seen = journey.known(visit.now)
    item = renderer.realtime_item(shipment_id(account.index, key), key[1], key[0], journey, seen, lang)
    return Answer({"items": [item]}, items=1)


def _page(visit: Visit, asked: Mapping[str, str]) -> Answer:
    page = _whole(asked, "page") or 1
    limit = _whole(asked, "limit") or PAGE_DEFAULT
    if limit > PAGE_MAX:
        if visit.switches["page_over_max"] == "4012":
            raise Refusal(4012)
        limit = PAGE_MAX
    found = _matching(visit, asked)
    first = (page - 1) * limit
    shown = found[first : first + limit]
    if not shown and visit.switches["empty_list"] == "4031":
        raise Refusal(4031)
    renderer = visit.renderer
    lang = asked.get("lang")
    total = len(found)
    data: dict[str, Any] = {
        "page": page,
        "limit": limit,
        "total": str(total) if visit.switches.yes("total_as_string") else total,
        "count": len(shown),
        "items": [renderer.item(shipment, lang) for shipment in shown],
    }
    if visit.switches["list_count"] == "absent":
        del data["count"]
    return Answer(data, items=len(shown))


def _matching(visit: Visit, asked: Mapping[str, str]) -> list[Shipment]:
    """Newest registration first, which the reference infers from the captured list."""
    status = asked.get("status") or None
    if status is not None and status not in STATUSES:
        raise Refusal(4033)
    numbers, orders = _several(asked, "numbers"), _several(asked, "orders")
    store = visit.account.store
    found: Iterable[Shipment]
    if numbers is None and orders is None:
        found = _between(visit, asked)
    else:
        found = store.with_numbers(numbers) if numbers is not None else store.with_orders(orders or [])
        if numbers is not None and orders is not None:
            found = [shipment for shipment in found if shipment.details.get("order_id") in orders]
        within = _inside(asked, "created_at", lambda shipment: shipment.created_at)
        ordered = sorted(found, key=lambda shipment: (shipment.created_at, shipment.serial), reverse=True)
        found = filter(within, ordered) if within else ordered
        ordered_within = _inside(asked, "order_created_time", lambda shipment: shipment.order_time)
        found = filter(ordered_within, found) if ordered_within else found
    updated_within = _inside(asked, "update_time", visit.renderer.updated)
    if updated_within:
        found = filter(updated_within, found)
    if status is not None:
        found = (shipment for shipment in found if shipment.status == status)
    if asked.get("archived") in ("true", "false"):
        archived = asked["archived"] == "true"
        found = (shipment for shipment in found if shipment.archived is archived)
    return list(found)


def _between(visit: Visit, asked: Mapping[str, str]) -> Iterable[Shipment]:
    low, high = _instant(asked, "created_at_min"), _instant(asked, "created_at_max")
    found: Iterable[Shipment] = visit.account.store.created_between(low, high)
    within = _inside(asked, "order_created_time", lambda shipment: shipment.order_time)
    return filter(within, found) if within else found


def _inside(
    asked: Mapping[str, str], name: str, read: Callable[[Shipment], float | None]
) -> Callable[[Shipment], bool] | None:
    low, high = _instant(asked, f"{name}_min"), _instant(asked, f"{name}_max")
    if low is None and high is None:
        return None
    floor = float("-inf") if low is None else low
    ceiling = float("inf") if high is None else high + 1

    def within(shipment: Shipment) -> bool:
        value = read(shipment)
        return value is not None and floor <= value < ceiling

    return within


def _instant(asked: Mapping[str, str], name: str) -> float | None:
    text = asked.get(name, "")
    if not text:
        return None
    try:
        return float(int(text))
    except (ValueError, OverflowError):
        raise Refusal(4012) from None


def _whole(asked: Mapping[str, str], name: str) -> int | None:
    text = asked.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise Refusal(4012)
    return int(text)


def _several(asked: Mapping[str, str], name: str) -> list[str] | None:
    text = asked.get(name, "")
    if not text:
        return None
    values = [value.strip() for value in text.split(",") if value.strip()]
    if len(values) > FILTER_MAX:
        raise Refusal(4020)
    return values
