"""Endpoints that read shipments: one, a list, the counts, realtime (reference 1.2, 1.6, 1.9, 1.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .envelope import ApiError, ApiResult, JsonText
from .journeys import STATUSES
from .json_texts import encode_value
from .limits import FILTER_MAX, PAGE_DEFAULT, PAGE_MAX, REALTIME_PAUSE_SECONDS
from .registering import register, registration_price
from .rendering import ItemText
from .request_context import RequestContext, to_text, validate_carrier_code
from .shipments import Shipment, shipment_id


def get_one(context: RequestContext) -> ApiResult:
    """``GET /trackings/{carrier_code}/{tracking_number}[/{lang}]``."""
    number = context.tracking_number(context.params)
    key = validate_carrier_code(context.params["carrier_code"]), number
    shipment = context.account.store.by_key.get(key)
    if shipment is None:
        context.note_answer(key, None)
        raise ApiError(int(context.switches["unknown_number"]))
    item = context.renderer.item(shipment, context.params.get("lang"))
    context.note_answer(key, item)
    return ApiResult(JsonText(item.text), items=1)


def list_page(context: RequestContext) -> ApiResult:
    """``GET /trackings/get``."""
    return _list_result(context, context.query)


def list_page_by_post(context: RequestContext) -> ApiResult:
    """``POST /trackings/get``, when the switch ``list_by_post`` allows it (reference 1.0)."""
    if not context.switches.is_true("list_by_post"):
        raise ApiError(405)
    given = {name: to_text(value) for name, value in context.json_object().items()}
    return _list_result(context, {name: value for name, value in given.items() if value is not None})


def count_by_status(context: RequestContext) -> ApiResult:
    """``GET /trackings/getstatusnumber``."""
    counts = dict.fromkeys(STATUSES, 0)
    for shipment in _created_between(context, context.query):
        counts[shipment.status] += 1
    return ApiResult(counts)


def realtime(context: RequestContext) -> ApiResult:
    """``POST /trackings/realtime``."""
    row = context.json_object()
    key = context.shipment_key(row)
    if not context.switches.is_true("realtime_activated"):
        raise ApiError(4018)
    account = context.account
    shipment = account.store.by_key.get(key)
    registers = context.switches.is_true("realtime_registers") and shipment is None
    if account.fifths_left <= 0 or (registers and registration_price(context, key) > account.fifths_left):
        raise ApiError(int(context.switches["quota_code"]))
    if context.now - account.realtime_requested_at.get(key, float("-inf")) < REALTIME_PAUSE_SECONDS:
        raise ApiError(int(context.switches["realtime_repeat"]))
    account.realtime_requested_at[key] = context.now
    if registers:
        own_names = {"order_id": row.get("order"), "tracking_destination_country": row.get("specialNumberDestination")}
        shipment = register(context, key, row | own_names)
    lang = to_text(row.get("lang"))
    renderer = context.renderer
    if shipment is not None:
        account.store.refresh_now(shipment, context.now)
        context.count_effect("refreshed")
        if context.switches["realtime_item"] == "full":
            return ApiResult(_items_alone(renderer.item(shipment, lang)), items=1)
        journey, seen = shipment.journey, shipment.seen_steps
    else:
        begins = account.first_seen_at.setdefault(key, context.now)
        journey = context.state.plan_journey(account, key, begins, to_text(row.get("destination_code")))
        seen = journey.steps_until(context.now)
    item = renderer.realtime_item(shipment_id(account.index, key), key[1], key[0], journey, seen, lang)
    return ApiResult(_items_alone(item), items=1)


def _items_alone(item: ItemText) -> JsonText:
    return JsonText(f'{{"items":[{item.text}]}}')


def _list_result(context: RequestContext, filters: Mapping[str, str]) -> ApiResult:
    page = _positive_integer(filters, "page") or 1
    limit = _positive_integer(filters, "limit") or PAGE_DEFAULT
    if limit > PAGE_MAX:
        if context.switches["page_over_max"] == "4012":
            raise ApiError(4012)
        limit = PAGE_MAX
    found = _filter_shipments(context, filters)
    first = (page - 1) * limit
    shown = found[first : first + limit]
    if len(shown) == len(found):
        _note_missing_numbers(context, filters)
    if not shown and context.switches["empty_list"] == "4031":
        raise ApiError(4031)
    renderer = context.renderer
    lang = filters.get("lang")
    total = len(found)
    head: dict[str, Any] = {
        "page": page,
        "limit": limit,
        "total": str(total) if context.switches.is_true("total_as_string") else total,
    }
    if context.switches["list_count"] == "present":
        head["count"] = len(shown)
    items = [renderer.item(shipment, lang) for shipment in shown]
    if context.state.answers.keep:
        for shipment, item in zip(shown, items, strict=True):
            context.note_answer(shipment.key, item)
    texts = ",".join([before + days + after for before, days, after in items])
    return ApiResult(JsonText(f'{encode_value(head)[:-1]},"items":[{texts}]}}'), items=len(shown))


def _note_missing_numbers(context: RequestContext, filters: Mapping[str, str]) -> None:
    """Note which shipments a whole list by numbers alone says do not exist."""
    if not context.state.answers.keep or set(filters) - {"numbers", "page", "limit", "lang"}:
        return
    account = context.account
    for number in _comma_separated(filters, "numbers") or ():
        for key in context.state.answers.keys_of_number(account.index, number):
            if key not in account.store.by_key:
                context.note_answer(key, None)


def _filter_shipments(context: RequestContext, filters: Mapping[str, str]) -> list[Shipment]:
    """Filter the shipments; the newest registration comes first, as in the captured list."""
    status = filters.get("status") or None
    if status is not None and status not in STATUSES:
        raise ApiError(4033)
    numbers, orders = _comma_separated(filters, "numbers"), _comma_separated(filters, "orders")
    store = context.account.store
    found: Iterable[Shipment]
    if numbers is None and orders is None:
        found = _created_between(context, filters)
    else:
        found = store.find_by_number(numbers) if numbers is not None else store.find_by_order(orders or [])
        if numbers is not None and orders is not None:
            found = [shipment for shipment in found if shipment.details.get("order_id") in orders]
        within = _time_filter(filters, "created_at", lambda shipment: shipment.created_at)
        ordered = sorted(found, key=lambda shipment: (shipment.created_at, shipment.serial), reverse=True)
        found = filter(within, ordered) if within else ordered
        ordered_within = _time_filter(filters, "order_created_time", lambda shipment: shipment.order_time)
        found = filter(ordered_within, found) if ordered_within else found
    renderer = context.renderer
    updated_within = _time_filter(filters, "update_time", renderer.updated_at)
    if updated_within:
        floor = _unix_time(filters, "update_time_min")
        if floor is not None and not renderer.every_refresh:
            # This excludes most of a large account, much faster than the exact filter.
            found = [row for row in found if row.changed_at is not None and row.changed_at >= floor]
        found = filter(updated_within, found)
    if status is not None:
        found = (shipment for shipment in found if shipment.status == status)
    if filters.get("archived") in ("true", "false"):
        archived = filters["archived"] == "true"
        found = (shipment for shipment in found if shipment.archived is archived)
    return list(found)


def _created_between(context: RequestContext, filters: Mapping[str, str]) -> Iterable[Shipment]:
    low, high = _unix_time(filters, "created_at_min"), _unix_time(filters, "created_at_max")
    found: Iterable[Shipment] = context.account.store.created_between(low, high)
    within = _time_filter(filters, "order_created_time", lambda shipment: shipment.order_time)
    return filter(within, found) if within else found


def _time_filter(
    filters: Mapping[str, str], name: str, read: Callable[[Shipment], float | None]
) -> Callable[[Shipment], bool] | None:
    low, high = _unix_time(filters, f"{name}_min"), _unix_time(filters, f"{name}_max")
    if low is None and high is None:
        return None
    floor = float("-inf") if low is None else low
    ceiling = float("inf") if high is None else high + 1

    def within(shipment: Shipment) -> bool:
        value = read(shipment)
        return value is not None and floor <= value < ceiling

    return within


def _unix_time(filters: Mapping[str, str], name: str) -> float | None:
    text = filters.get(name, "")
    if not text:
        return None
    try:
        return float(int(text))
    except (ValueError, OverflowError):
        raise ApiError(4012) from None


def _positive_integer(filters: Mapping[str, str], name: str) -> int | None:
    text = filters.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise ApiError(4012)
    return int(text)


def _comma_separated(filters: Mapping[str, str], name: str) -> list[str] | None:
    text = filters.get(name, "")
    if not text:
        return None
    values = [value.strip() for value in text.split(",") if value.strip()]
    if len(values) > FILTER_MAX:
        raise ApiError(4020)
    return values
