"""Endpoints that update or delete shipments (reference 1.3, 1.4, 1.7, 1.8, 1.10, 1.13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .envelope import ApiError, ApiResult, build_meta
from .request_context import RequestContext, to_text, validate_carrier_code
from .shipments import Key, Shipment

_STATUS_CODES = {"4": "delivered", "7": "exception", "8": None}
EDITABLE_FIELDS = (
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "destination_code",
)


def update_one(context: RequestContext) -> ApiResult:
    """``PUT /trackings/{carrier_code}/{tracking_number}``. All parameters and the body are optional."""
    changes = context.json_object(optional=True)
    _check_status(changes)
    shipment = _existing_shipment(context, _path_key(context))
    _apply_changes(context, shipment, changes)
    return ApiResult(context.renderer.updated_object(shipment), items=1)


def delete_one(context: RequestContext) -> ApiResult:
    """``DELETE /trackings/{carrier_code}/{tracking_number}``."""
    _delete(context, _path_key(context))
    return ApiResult(context.empty_data, items=1)


def update_many(context: RequestContext) -> ApiResult:
    """``POST /trackings/updatemore``."""

    def change(row: Mapping[str, Any], key: Key) -> bool:
        _check_status(row)
        return _apply_changes(context, _existing_shipment(context, key), row)

    rows, entries, changed = _for_each_row(context, change)
    if context.switches["updatemore_form"] == "empty":
        return ApiResult(context.empty_data, items=rows)
    return _batch_result(context, rows, {"updated": changed}, entries)


def delete_many(context: RequestContext) -> ApiResult:
    """``POST /trackings/delete``."""

    def delete(_: Mapping[str, Any], key: Key) -> bool:
        _delete(context, key)
        return True

    rows, entries, deleted = _for_each_row(context, delete, always_code=True)
    return _batch_result(context, rows, {"delete": deleted}, entries, in_meta=context.switches["item_meta"] != "none")


def stop_updates(context: RequestContext) -> ApiResult:
    """``POST /trackings/notupdate``."""

    def stop(_: Mapping[str, Any], key: Key) -> bool:
        shipment = _existing_shipment(context, key)
        updating = shipment.stopped_at is None
        context.account.store.stop_refreshes(shipment, context.now)
        context.count_effect("stopped")
        return updating

    rows, entries, stopped = _for_each_row(context, stop)
    return _batch_result(context, rows, {"change": stopped}, entries)


def change_carrier(context: RequestContext) -> ApiResult:
    """``POST /trackings/update``."""
    row = context.json_object()
    key = context.shipment_key(row)
    new_code = row.get("update_carrier_code")
    if new_code in (None, ""):
        raise ApiError(4012)
    new_key = validate_carrier_code(new_code), key[1]
    shipment = _existing_shipment(context, key)
    store = context.account.store
    if new_key != key:
        if new_key in store.by_key:
            raise ApiError(4016)
        store.remove(key)
        journey = context.state.plan_journey(
            context.account, new_key, context.now, shipment.details.get("destination_code")
        )
        moved = store.add(new_key, shipment.created_at, journey, shipment.details)
        moved.order_time, moved.archived, moved.changed_at = shipment.order_time, shipment.archived, context.now
        context.account.ever_registered.add(new_key)
        context.count_effect("carrier changed")
    return ApiResult({"Usertag": ""}, items=1)


def _path_key(context: RequestContext) -> Key:
    return context.params["carrier_code"], context.params["tracking_number"]


def _existing_shipment(context: RequestContext, key: Key) -> Shipment:
    shipment = context.account.store.by_key.get(key)
    if shipment is None:
        raise ApiError(4017)
    return shipment


def _delete(context: RequestContext, key: Key) -> None:
    if context.account.store.remove(key) is None:
        raise ApiError(4017)
    context.count_effect("deleted")


def _check_status(changes: Mapping[str, Any]) -> None:
    """Check the status code; the vendor's samples send it as a number and as text."""
    status = changes.get("status")
    if status not in (None, "") and to_text(status) not in _STATUS_CODES:
        raise ApiError(4033)


def _apply_changes(context: RequestContext, shipment: Shipment, changes: Mapping[str, Any]) -> bool:
    """Apply the changes, and return whether anything is different now."""
    before = shipment.details, shipment.archived, shipment.status
    order_before = shipment.details.get("order_id")
    details = dict(shipment.details)
    for name in EDITABLE_FIELDS:
        if name in changes:
            value = to_text(changes[name])
            if value:
                details[name] = value
            else:
                details.pop(name, None)
    shipment.details = details
    if details.get("order_id") != order_before:
        context.account.store.index_order(shipment, order_before)
    status = changes.get("status")
    if status not in (None, ""):
        shipment.force_status(_STATUS_CODES[str(status)])
    if str(changes.get("archived")).lower() in ("true", "false"):
        shipment.archived = str(changes["archived"]).lower() == "true"
    shipment.mark_changed(context.now)
    context.count_effect("updated")
    return before != (shipment.details, shipment.archived, shipment.status)


def _for_each_row(
    context: RequestContext, change: Callable[[Mapping[str, Any], Key], bool], always_code: bool = False
) -> tuple[int, list[dict[str, Any]], int]:
    """Apply a change to each shipment of the body.

    :return: how many shipments were submitted, their entries in the report, how many were changed.
    """
    rows = context.json_list()
    reports = context.switches["item_reports"]
    left_out = context.switches["unchanged_count"] == "left-out"
    counted = 0
    entries = []
    for position, row in enumerate(rows):
        fields = row if isinstance(row, dict) else {}
        if context.half_done and position >= len(rows) // 2:
            if reports == "bare":
                entries.append({"tracking_number": fields.get("tracking_number")})
            continue
        code, changed = 200, False
        try:
            changed = change(fields, context.shipment_key(fields)) or not left_out
        except ApiError as error:
            code = error.code
        counted += changed
        if reports == "none" or (reports == "done" and not changed):
            continue
        entry: dict[str, Any] = {"tracking_number": fields.get("tracking_number")}
        if reports != "bare":
            entry["carrier_code"] = fields.get("carrier_code")
            if always_code or code != 200:
                entry |= build_meta(code) | ({"code": str(code)} if context.switches["report_counts"] == "text" else {})
        entries.append(entry)
    return len(rows), entries, counted


def _batch_result(
    context: RequestContext,
    submitted: int,
    counts: Mapping[str, int],
    entries: list[dict[str, Any]],
    in_meta: bool = False,
) -> ApiResult:
    """Build the report in the form that the switches select."""
    form = context.switches["report_counts"]
    data: dict[str, Any] = {}
    if form != "absent":
        all_counts = {"submitted": submitted, **counts}
        data = {name: str(count) if form == "text" else count for name, count in all_counts.items()}
    wrapped = in_meta or context.switches["item_meta"] == "all"
    data["trackings"] = [{"meta": entry} for entry in entries] if wrapped else entries
    return ApiResult(data, items=submitted)
