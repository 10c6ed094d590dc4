"""Endpoints that register shipments: ``/trackings/post`` and ``/trackings/batch`` (reference 1.1, 1.5)."""

from __future__ import annotations

import re
from typing import Any

from .carriers import detect
from .envelope import CODES, Answer, Refusal
from .journeys import rejection
from .limits import FIFTHS_TRACKING
from .store import DETAILS, Key, Shipment
from .visit import Visit, order_time, text_of

_DATE_FORMS = {
    "tracking_ship_date": re.compile(r"[0-9]{8}"),
    "order_create_time": re.compile(r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2} [0-9]{2}:[0-9]{2}"),
}


def create(visit: Visit) -> Answer:
    """``POST /trackings/post``."""
    row = visit.json_object()
    key = wanted_key(visit, row)
    price = price_of(visit, key)
    if price > visit.account.fifths_left:
        raise Refusal(int(visit.switches["quota_code"]))
    existing = visit.account.store.by_key.get(key)
    if existing is None:
        return Answer(visit.renderer.created(register(visit, key, row)), int(visit.switches["created_code"]), items=1)
    form = visit.switches["existing_form"]
    if form == "4016":
        raise Refusal(4016)
    code, _, kind = form.partition("-")
    data = visit.renderer.created(existing) if kind == "object" else visit.nothing
    return Answer(data, int(code), items=1)


def create_batch(visit: Visit) -> Answer:
    """``POST /trackings/batch``."""
    rows = visit.json_rows()
    if visit.account.fifths_left < FIFTHS_TRACKING:
        raise Refusal(int(visit.switches["quota_code"]))
    mode = visit.switches["batch_quota"]
    if mode == "refuse" and _price_of_all(visit, rows) > visit.account.fifths_left:
        raise Refusal(int(visit.switches["quota_code"]))
    renderer = visit.renderer
    trackings: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    added = 0
    ran_out = False
    for row in rows:
        try:
            key = wanted_key(visit, row)
            existing = visit.account.store.by_key.get(key)
            if existing is None:
                trackings.append(renderer.created(register(visit, key, row)))
                added += 1
            elif visit.switches["batch_existing"] == "trackings":
                trackings.append(renderer.created(existing))
            else:
                raise Refusal(4016)
        except Refusal as refusal:
            ran_out |= refusal.code == int(visit.switches["quota_code"])
            errors.append(_error(row, refusal.code))
    if ran_out and mode == "applied-then-4021":
        raise Refusal(int(visit.switches["quota_code"]))
    data = {"submitted": len(rows), "added": added, "trackings": trackings, "errors": errors}
    return Answer(data, int(visit.switches["batch_code"]), items=len(rows))


def wanted_key(visit: Visit, row: Any) -> Key:
    """Read which shipment is to be registered.

    :param visit: the request.
    :param row: the fields of one shipment.
    :return: carrier code and number.
    :raises Refusal: they are not right, or the number asks to be refused.
    """
    if not isinstance(row, dict):
        raise Refusal(4012)
    if row.get("carrier_code") in (None, "") and visit.switches["blank_carrier"] == "detect":
        number = visit.number_of(row)
        candidates = detect(number)
        if not candidates:
            raise Refusal(4032)
        key = candidates[0].code, number
    else:
        key = visit.key_of(row)
    code = rejection(key[1])
    if code is not None and code in CODES:
        raise Refusal(code)
    if visit.switches["field_forms"] == "documented":
        _check_forms(row)
    return key


def price_of(visit: Visit, key: Key) -> int:
    """Tell what registering costs.

    :param visit: the request.
    :param key: carrier code and number.
    :return: fifths of a tracking.
    """
    again = key in visit.account.ever_registered
    return 0 if again and visit.switches["readd_charge"] == "free" else FIFTHS_TRACKING


def register(visit: Visit, key: Key, row: dict[str, Any]) -> Shipment:
    """Register a shipment that is not there yet.

    :param visit: the request.
    :param key: carrier code and number.
    :param row: its fields.
    :return: the shipment.
    :raises Refusal: the quota is used up.
    """
    visit.charge(price_of(visit, key))
    account = visit.account
    details = details_of(row)
    begins = account.heard_of.pop(key, visit.now)
    journey = visit.world.journey(account, key, begins, details.get("destination_code"))
    shipment = account.store.add(key, visit.now, journey, details)
    shipment.order_time = order_time(details.get("order_create_time"))
    account.ever_registered.add(key)
    visit.note("created")
    visit.created.append("/".join(key))
    return shipment


def _check_forms(row: dict[str, Any]) -> None:
    """What the pages document: texts, two of which are dates."""
    if any(row.get(name) is not None and not isinstance(row[name], str) for name in DETAILS):
        raise Refusal(4012)
    for name, form in _DATE_FORMS.items():
        if name in row and not form.fullmatch(row[name]):
            raise Refusal(4012)


def details_of(row: dict[str, Any]) -> dict[str, str]:
    """Pick what the service keeps of the fields of a shipment.

    :param row: the fields.
    :return: the known ones that are set, as text.
    """
    found = {name: text_of(row.get(name)) for name in DETAILS}
    return {name: value for name, value in found.items() if value}


def _price_of_all(visit: Visit, rows: list[Any]) -> int:
    price = 0
    for row in rows:
        try:
            key = wanted_key(visit, row)
        except Refusal:
            continue
        if key not in visit.account.store.by_key:
            price += price_of(visit, key)
    return price


def _error(row: Any, code: int) -> dict[str, Any]:
    fields = row if isinstance(row, dict) else {}
    return {
        "tracking_number": fields.get("tracking_number"),
        "carrier_code": fields.get("carrier_code"),
        "code": code,
        "message": CODES[code][1],
    }
