"""Endpoints that register shipments: ``/trackings/post`` and ``/trackings/batch`` (reference 1.1, 1.5)."""

from __future__ import annotations

import re
from typing import Any

from .carriers import detect_carriers
from .envelope import CODES, ApiError, ApiResult
from .journeys import rejection_code
from .limits import FIFTHS_TRACKING
from .request_context import RequestContext, parse_order_time, to_text
from .shipments import DETAIL_FIELDS, Key, Shipment

_DATE_FORMS = {
    "tracking_ship_date": re.compile(r"[0-9]{8}"),
    "order_create_time": re.compile(r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2} [0-9]{2}:[0-9]{2}"),
}


def create(context: RequestContext) -> ApiResult:
    """``POST /trackings/post``."""
    row = context.json_object()
    key = new_shipment_key(context, row)
    price = registration_price(context, key)
    if price > context.account.fifths_left:
        raise ApiError(int(context.switches["quota_code"]))
    existing = context.account.store.by_key.get(key)
    if existing is None:
        return ApiResult(
            context.renderer.created(register(context, key, row)), int(context.switches["created_code"]), items=1
        )
    form = context.switches["existing_form"]
    if form == "4016":
        raise ApiError(4016)
    code, _, kind = form.partition("-")
    data = context.renderer.created(existing) if kind == "object" else context.empty_data
    return ApiResult(data, int(code), items=1)


def create_batch(context: RequestContext) -> ApiResult:
    """``POST /trackings/batch``."""
    rows = context.json_list()
    if context.account.fifths_left < FIFTHS_TRACKING:
        raise ApiError(int(context.switches["quota_code"]))
    mode = context.switches["batch_quota"]
    if mode == "refuse" and _total_price(context, rows) > context.account.fifths_left:
        raise ApiError(int(context.switches["quota_code"]))
    renderer = context.renderer
    trackings: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    added = 0
    ran_out = False
    for row in rows[: len(rows) // 2] if context.half_done else rows:
        try:
            key = new_shipment_key(context, row)
            existing = context.account.store.by_key.get(key)
            if existing is None:
                trackings.append(renderer.created(register(context, key, row)))
                added += 1
            elif context.switches["batch_existing"] == "trackings":
                trackings.append(renderer.created(existing))
            else:
                raise ApiError(4016)
        except ApiError as error:
            ran_out |= error.code == int(context.switches["quota_code"])
            errors.append(_error_entry(row, error.code))
    if ran_out and mode == "applied-then-4021":
        raise ApiError(int(context.switches["quota_code"]))
    data = {"submitted": len(rows), "added": added, "trackings": trackings, "errors": errors}
    return ApiResult(data, int(context.switches["batch_code"]), items=len(rows))


def new_shipment_key(context: RequestContext, row: Any) -> Key:
    """Validate a shipment to register.

    :param context: the request.
    :param row: the fields of one shipment.
    :return: carrier code and number.
    :raises ApiError: the fields are invalid, or the number requests an error.
    """
    if not isinstance(row, dict):
        raise ApiError(4012)
    if row.get("carrier_code") in (None, "") and context.switches["blank_carrier"] == "detect":
        number = context.tracking_number(row)
        candidates = detect_carriers(number)
        if not candidates:
            raise ApiError(4032)
        key = candidates[0].code, number
    else:
        key = context.shipment_key(row)
    code = rejection_code(key[1])
    if code is not None and code in CODES:
        raise ApiError(code)
    if context.switches["field_forms"] == "documented":
        _validate_formats(row)
    return key


def registration_price(context: RequestContext, key: Key) -> int:
    """Return the price of registering a shipment.

    :param context: the request.
    :param key: carrier code and number.
    :return: the price in fifths of a tracking.
    """
    again = key in context.account.ever_registered
    return 0 if again and context.switches["readd_charge"] == "free" else FIFTHS_TRACKING


def register(context: RequestContext, key: Key, row: dict[str, Any]) -> Shipment:
    """Register a new shipment.

    :param context: the request.
    :param key: carrier code and number.
    :param row: its fields.
    :return: the shipment.
    :raises ApiError: the quota is exhausted.
    """
    context.charge(registration_price(context, key))
    account = context.account
    details = detail_fields(row)
    started = account.first_seen_at.pop(key, context.now)
    journey = context.state.plan_journey(account, key, started, details.get("destination_code"))
    shipment = account.store.add(key, context.now, journey, details)
    shipment.order_time = parse_order_time(details.get("order_create_time"))
    account.ever_registered.add(key)
    context.count_effect("created")
    context.created.append("/".join(key))
    return shipment


def _validate_formats(row: dict[str, Any]) -> None:
    """Check the documented formats: every field is a text, two of them are dates."""
    if any(row.get(name) is not None and not isinstance(row[name], str) for name in DETAIL_FIELDS):
        raise ApiError(4012)
    for name, form in _DATE_FORMS.items():
        if name in row and not form.fullmatch(row[name]):
            raise ApiError(4012)


def detail_fields(row: dict[str, Any]) -> dict[str, str]:
    """Select the detail fields that the service stores.

    :param row: the fields.
    :return: known fields with a value, as text.
    """
    found = {name: to_text(row.get(name)) for name in DETAIL_FIELDS}
    return {name: value for name, value in found.items() if value}


def _total_price(context: RequestContext, rows: list[Any]) -> int:
    price = 0
    for row in rows:
        try:
            key = new_shipment_key(context, row)
        except ApiError:
            continue
        if key not in context.account.store.by_key:
            price += registration_price(context, key)
    return price


def _error_entry(row: Any, code: int) -> dict[str, Any]:
    fields = row if isinstance(row, dict) else {}
    return {
        "tracking_number": fields.get("tracking_number"),
        "carrier_code": fields.get("carrier_code"),
        "code": code,
        "message": CODES[code][1],
    }
