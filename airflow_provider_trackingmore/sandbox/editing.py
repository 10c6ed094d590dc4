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
    """``PUT /trackings/{carrier_code}/{tracking_number}``."""
    changes = visit.json_object()
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

    def change(row: Mapping[str, Any], key: Key) -> None:
        _check_status(row)
        _edit(visit, _there(visit, key), row)

    submitted, done, entries = _each(visit, change)
    if visit.switches["updatemore_form"] == "empty":
        return Answer(visit.nothing, items=submitted)
    return Answer({"submitted": submitted, "updated": done, "trackings": entries}, items=submitted)


def delete_many(visit: Visit) -> Answer:
    """``POST /trackings/delete``."""
    submitted, done, entries = _each(visit, lambda _, key: _delete(visit, key), always_code=True)
    wrapped = [{"meta": entry | (meta(entry["code"]) if "code" in entry else {})} for entry in entries]
    return Answer({"submitted": submitted, "delete": done, "trackings": wrapped}, items=submitted)


def stop_updates(visit: Visit) -> Answer:
    """``POST /trackings/notupdate``."""

    def change(_: Mapping[str, Any], key: Key) -> None:
        visit.account.store.stop(_there(visit, key), visit.now)
        visit.note("stopped")

    submitted, done, entries = _each(visit, change)
    return Answer({"submitted": submitted, "change": done, "trackings": entries}, items=submitted)


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


def _edit(visit: Visit, shipment: Shipment, changes: Mapping[str, Any]) -> None:
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


def _each(
    visit: Visit, change: Callable[[Mapping[str, Any], Key], None], always_code: bool = False
) -> tuple[int, int, list[dict[str, Any]]]:
    rows = visit.json_rows()
    bare = visit.switches["item_reports"] == "bare"
    done = 0
    entries = []
    for row in rows:
        fields = row if isinstance(row, dict) else {}
        code = 200
        try:
            change(fields, visit.key_of(fields))
            done += 1
        except Refusal as refusal:
            code = refusal.code
        entry: dict[str, Any] = {"tracking_number": fields.get("tracking_number")}
        if not bare:
            entry["carrier_code"] = fields.get("carrier_code")
            if always_code:
                entry["code"] = code
            elif code != 200:
                entry |= {"code": code, "message": meta(code)["message"]}
        entries.append(entry)
    return len(rows), done, entries
