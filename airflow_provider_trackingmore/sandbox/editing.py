"""Endpoints that change or delete shipments (reference 1.3, 1.4, 1.7, 1.8, 1.10, 1.13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .envelope import Answer, Refusal, meta
from .store import Key, Shipment
from .visit import Visit, carrier_code, text_of

_FORCED = {"4": "delivered", "7": "exception", "8": None}
_EDITABLE = (
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "destination_code",
)


def update_one(visit: Visit) -> Answer:
    """``PUT /trackings/{carrier_code}/{tracking_number}``. All parameters are optional, and so is the body."""
    changes = visit.json_object(optional=True)
    _check_status(changes)
    shipment = _there(visit, _path_key(visit))
    _edit(visit, shipment, changes)
    return Answer(visit.renderer.updated_object(shipment), items=1)


def delete_one(visit: Visit) -> Answer:
    """``DELETE /trackings/{carrier_code}/{tracking_number}``."""
    _delete(visit, _path_key(visit))
    return Answer(visit.nothing, items=1)


def update_many(visit: Visit) -> Answer:
    """``POST /trackings/updatemore``."""

    def change(row: Mapping[str, Any], key: Key) -> bool:
        _check_status(row)
        return _edit(visit, _there(visit, key), row)

    rows, entries, changed = _each(visit, change)
    if visit.switches["updatemore_form"] == "empty":
        return Answer(visit.nothing, items=rows)
    return _report(visit, rows, {"updated": changed}, entries)


def delete_many(visit: Visit) -> Answer:
    """``POST /trackings/delete``."""

    def delete(_: Mapping[str, Any], key: Key) -> bool:
        _delete(visit, key)
        return True

    rows, entries, deleted = _each(visit, delete, always_code=True)
    return _report(visit, rows, {"delete": deleted}, entries, in_meta=visit.switches["item_meta"] != "none")


def stop_updates(visit: Visit) -> Answer:
    """``POST /trackings/notupdate``."""

    def stop(_: Mapping[str, Any], key: Key) -> bool:
        shipment = _there(visit, key)
        going_on = shipment.stopped_at is None
        visit.account.store.stop(shipment, visit.now)
        visit.note("stopped")
        return going_on

    rows, entries, stopped = _each(visit, stop)
    return _report(visit, rows, {"change": stopped}, entries)


def change_carrier(visit: Visit) -> Answer:
    """``POST /trackings/update``."""
    row = visit.json_object()
    key = visit.key_of(row)
    wanted = row.get("update_carrier_code")
    if wanted in (None, ""):
        raise Refusal(4012)
    new_key = carrier_code(wanted), key[1]
    shipment = _there(visit, key)
    store = visit.account.store
    if new_key != key:
        if new_key in store.by_key:
            raise Refusal(4016)
        store.remove(key)
        journey = visit.world.journey(visit.account, new_key, visit.now, shipment.details.get("destination_code"))
        moved = store.add(new_key, shipment.created_at, journey, shipment.details)
        moved.order_time, moved.archived, moved.changed_at = shipment.order_time, shipment.archived, visit.now
        visit.account.ever_registered.add(new_key)
        visit.note("carrier changed")
    return Answer({"Usertag": ""}, items=1)


def _path_key(visit: Visit) -> Key:
    return visit.params["carrier_code"], visit.params["tracking_number"]


def _there(visit: Visit, key: Key) -> Shipment:
    shipment = visit.account.store.by_key.get(key)
    if shipment is None:
        raise Refusal(4017)
    return shipment


def _delete(visit: Visit, key: Key) -> None:
    if visit.account.store.remove(key) is None:
        raise Refusal(4017)
    visit.note("deleted")


def _check_status(changes: Mapping[str, Any]) -> None:
    """The vendor's samples send the code as number and as text."""
    status = changes.get("status")
    if status not in (None, "") and text_of(status) not in _FORCED:
        raise Refusal(4033)


def _edit(visit: Visit, shipment: Shipment, changes: Mapping[str, Any]) -> bool:
    """Carry out changes, and tell whether anything is different now."""
    before = shipment.details, shipment.archived, shipment.status
    order_before = shipment.details.get("order_id")
    details = dict(shipment.details)
    for name in _EDITABLE:
        if name in changes:
            value = text_of(changes[name])
            if value:
                details[name] = value
            else:
                details.pop(name, None)
    shipment.details = details
    if details.get("order_id") != order_before:
        visit.account.store.index_order(shipment, order_before)
    status = changes.get("status")
    if status not in (None, ""):
        shipment.force(_FORCED[str(status)])
    if str(changes.get("archived")).lower() in ("true", "false"):
        shipment.archived = str(changes["archived"]).lower() == "true"
    shipment.changed_at = visit.now
    visit.note("updated")
    return before != (shipment.details, shipment.archived, shipment.status)


def _each(
    visit: Visit, change: Callable[[Mapping[str, Any], Key], bool], always_code: bool = False
) -> tuple[int, list[dict[str, Any]], int]:
    """Change each shipment of the body; return how many there are, their entries, and how many were changed."""
    rows = visit.json_rows()
    reports = visit.switches["item_reports"]
    left_out = visit.switches["unchanged_count"] == "left-out"
    counted = 0
    entries = []
    for position, row in enumerate(rows):
        fields = row if isinstance(row, dict) else {}
        if visit.half_done and position >= len(rows) // 2:
            if reports == "bare":
                entries.append({"tracking_number": fields.get("tracking_number")})
            continue
        code, changed = 200, False
        try:
            changed = change(fields, visit.key_of(fields)) or not left_out
        except Refusal as refusal:
            code = refusal.code
        counted += changed
        if reports == "none" or (reports == "done" and not changed):
            continue
        entry: dict[str, Any] = {"tracking_number": fields.get("tracking_number")}
        if reports != "bare":
            entry["carrier_code"] = fields.get("carrier_code")
            if always_code or code != 200:
                entry |= meta(code) | ({"code": str(code)} if visit.switches["report_counts"] == "text" else {})
        entries.append(entry)
    return len(rows), entries, counted


def _report(
    visit: Visit, submitted: int, counts: Mapping[str, int], entries: list[dict[str, Any]], in_meta: bool = False
) -> Answer:
    """Answer with counts and entries, in the forms that the switches choose."""
    form = visit.switches["report_counts"]
    data: dict[str, Any] = {}
    if form != "absent":
        everything = {"submitted": submitted, **counts}
        data = {name: str(count) if form == "text" else count for name, count in everything.items()}
    wrapped = in_meta or visit.switches["item_meta"] == "all"
    data["trackings"] = [{"meta": entry} for entry in entries] if wrapped else entries
    return Answer(data, items=submitted)
