"""The control API below ``/_sandbox``: clock, switches, seeding, faults, ledger, trackings, accounts, reset."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query, Response

from .accounts import Account
from .carrier_changes import apply_changes
from .clock import Clock, format_time, parse_time
from .control_models import (
    AccountUpdate,
    AnswersUpdate,
    ClockUpdate,
    FaultRequest,
    ResetRequest,
    SeedRequest,
    TrackingChanges,
    WebhookRequest,
)
from .faults import KINDS, Fault, validate_settings
from .seeding import seed_generated, seed_shipments
from .shipments import Shipment
from .state import SandboxState
from .switches import SWITCHES

_T = TypeVar("_T")


_ERROR_SCHEMA = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "string", "description": "what went wrong"}},
}
_ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": says, "content": {"application/json": {"schema": _ERROR_SCHEMA}}}
    for status, says in ((400, "the body is not JSON"), (404, "not found"), (422, "the request is invalid"))
}


def create_control_router(state: SandboxState) -> APIRouter:
    """Create the control API.

    :param state: the state of the sandbox.
    :return: its routes.
    """
    router = APIRouter(prefix="/_sandbox", tags=["control"], responses=_ERROR_RESPONSES)

    def account_at(index: int) -> Account:
        if not 0 <= index < len(state.accounts):
            raise HTTPException(404, f"there is no account {index}; the last one is {len(state.accounts) - 1}")
        return state.accounts[index]

    def clock_to_dict() -> dict[str, Any]:
        clock = state.clock
        now = clock.now()
        return {"now": format_time(now), "unix": now, "time_scale": clock.time_scale, "frozen": clock.frozen}

    @router.get("/clock")
    async def read_clock() -> Response:
        return _json_response(clock_to_dict())

    @router.post("/clock")
    async def change_clock(request: ClockUpdate) -> Response:
        _or_422(lambda: _change_clock(state.clock, request))
        return _json_response(clock_to_dict())

    @router.get("/switches")
    async def read_switches() -> Response:
        return _json_response(
            {
                name: {
                    "position": state.switches[name],
                    "values": list(switch.values),
                    "default": switch.default,
                    "description": switch.description,
                    "source": switch.source,
                }
                for name, switch in SWITCHES.items()
            }
        )

    @router.post("/switches")
    async def set_switches(positions: dict[str, str | bool | int | float | None]) -> Response:
        _or_422(lambda: state.switches.set(positions))
        return _json_response(state.switches.positions)

    @router.post("/seed")
    async def seed(request: SeedRequest) -> Response:
        account = account_at(request.account)
        if request.shipments:
            added = _or_422(lambda: seed_shipments(state, account, request.shipments))
        else:
            added = _or_422(
                lambda: seed_generated(
                    state,
                    account,
                    request.count,
                    request.seed,
                    request.ages_days,
                    request.carriers,
                    request.journey,
                    request.events,
                    request.details,
                )
            )
        rows = [{"carrier_code": shipment.carrier_code, "tracking_number": shipment.number} for shipment in added]
        return _json_response({"created": len(rows), "shipments": rows})

    @router.get("/faults")
    async def read_faults() -> Response:
        return _json_response({"planned": [fault.to_dict() for fault in state.faults.planned], "kinds": dict(KINDS)})

    @router.post("/faults")
    async def add_fault(request: FaultRequest) -> Response:
        if request.kind not in KINDS:
            raise HTTPException(422, f"kind must be one of {', '.join(KINDS)}")
        _or_422(lambda: validate_settings(request.settings))
        return _json_response(state.faults.add(Fault(**request.model_dump())).to_dict())

    @router.delete("/faults")
    async def clear_faults() -> Response:
        removed = len(state.faults.planned)
        state.faults.clear()
        return _json_response({"removed": removed})

    @router.delete("/faults/{fault_id}")
    async def remove_fault(fault_id: int) -> Response:
        if not state.faults.remove(fault_id):
            raise HTTPException(404, "no such fault")
        return _json_response({"removed": 1})

    @router.get("/ledger")
    async def read_ledger(
        account: int | None = None, since: int = 0, limit: Annotated[int, Query(ge=1, le=250_000)] = 10_000
    ) -> Response:
        entries = state.ledger.entries(account, since, limit)
        return _json_response(
            {"requests": state.ledger.request_count, "entries": [entry.to_dict() for entry in entries]}
        )

    @router.get("/ledger/summary")
    async def read_ledger_summary(account: int | None = None) -> Response:
        return _json_response(state.ledger.summary(account))

    @router.delete("/ledger")
    async def clear_ledger() -> Response:
        removed = state.ledger.request_count
        state.ledger.reset()
        state.answers.reset(state.answers.keep)  # they name requests by serials, which start again
        return _json_response({"removed": removed})

    @router.get("/answers")
    async def read_answers(
        account: int = 0,
        since: Annotated[int, Query(ge=0)] = 0,
        until: int | None = None,
        tracking_number: str | None = None,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    ) -> Response:
        index = account_at(account).index
        shipments, following = state.answers.page(index, since, until, tracking_number, offset, limit)
        keep, following_text = json.dumps(state.answers.keep), json.dumps(following)
        text = f'{{"keep":{keep},"next_offset":{following_text},"shipments":{shipments}}}'
        return Response(text, media_type="application/json")

    @router.post("/answers")
    async def change_answers(request: AnswersUpdate) -> Response:
        state.answers.keep = request.keep
        return _json_response({"keep": request.keep})

    @router.delete("/answers")
    async def clear_answers() -> Response:
        removed = len(state.answers)
        state.answers.reset(state.answers.keep)
        return _json_response({"removed": removed})

    @router.get("/trackings")
    async def read_trackings(
        account: int = 0,
        status: str | None = None,
        tracking_number: str | None = None,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=0, le=200_000)] = 1_000,
    ) -> Response:
        store = account_at(account).store
        now = state.clock.now()
        store.run_due_refreshes(now)
        found = [
            shipment
            for shipment in store.by_age
            if (status is None or shipment.status == status)
            and (tracking_number is None or shipment.number == tracking_number)
        ]
        shown = [_shipment_to_dict(shipment) for shipment in found[offset : offset + limit]]
        return _json_response({"count": len(found), "trackings": shown})

    @router.post("/trackings/changes")
    async def change_trackings(request: TrackingChanges) -> Response:
        account = account_at(request.account)
        now = state.clock.now()
        return _json_response({"changes": _or_422(lambda: apply_changes(account.store, request.changes, now))})

    @router.get("/webhooks")
    async def read_webhooks(since: Annotated[int, Query(ge=0)] = 0) -> Response:
        return _json_response({"webhooks": state.webhooks.deliveries(since)})

    @router.post("/webhooks")
    async def send_webhook(request: WebhookRequest) -> Response:
        account, webhooks = account_at(request.account), state.webhooks
        key = request.carrier_code, request.tracking_number
        try:
            if request.action == "send":
                return _json_response(await webhooks.send(account, key))
            if request.action == "replay":
                return _json_response(await webhooks.replay(account, request.serial))
            data = {"carrier_code": key[0], "tracking_number": key[1], "status": "delivered"} | request.data
            return _json_response(await webhooks.forge(account, data, request.signature, request.age_seconds))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    @router.get("/accounts")
    async def read_accounts() -> Response:
        return _json_response([_account_to_dict(account, state) for account in state.accounts])

    @router.patch("/accounts/{index}")
    async def change_account(index: int, request: AccountUpdate) -> Response:
        account = account_at(index)
        new_key = request.api_key
        if new_key is not None:
            _or_422(lambda: state.rotate_key(account, new_key))
        if request.quota is not None:
            account.set_quota(request.quota)
        if request.deleted is not None:
            account.deleted = request.deleted
        if request.deleted_code is not None:
            account.deleted_code = request.deleted_code
        if request.webhook_url is not None:
            state.webhooks.configure(account, request.webhook_url)
        if request.cool_down is not None:
            account.rate.cool_down_until = account.realtime_rate.cool_down_until = float("-inf")
            if request.cool_down:
                account.rate.start_cool_down(state.clock.now())
        return _json_response(_account_to_dict(account, state))

    @router.post("/reset")
    async def reset(request: ResetRequest | None = None) -> Response:
        request = request or ResetRequest()
        settings = state.settings
        start = settings.start if request.start is None else _or_422(lambda: parse_time(str(request.start)))
        state.reset(
            start, request.time_scale or settings.time_scale, settings.seed if request.seed is None else request.seed
        )
        if request.limits is not None:
            state.limits = request.limits
        return _json_response(clock_to_dict())

    return router


def _json_response(content: Any) -> Response:
    """Encode as ASCII: tracking numbers may hold what UTF-8 cannot. FastAPI's own encoder is slow for a long ledger."""
    return Response(json.dumps(content), media_type="application/json")


def _change_clock(clock: Clock, request: ClockUpdate) -> None:
    """Move the clock first, which may be impossible: then nothing changes.

    :raises ClockError: it cannot be moved there.
    """
    if request.advance is not None:
        clock.advance(request.advance)
    if request.set is not None:
        clock.set(parse_time(request.set))
    if request.time_scale is not None:
        clock.set_time_scale(request.time_scale)
    if request.frozen is not None:
        clock.freeze(request.frozen)


def _or_422(action: Callable[[], _T]) -> _T:
    try:
        return action()
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def _account_to_dict(account: Account, state: SandboxState) -> dict[str, Any]:
    account.store.run_due_refreshes(state.clock.now())
    return {
        "index": account.index,
        "quota_left": account.quota_left,
        "quota_charged": account.quota_charged,
        "deleted": account.deleted,
        "trackings": len(account.store.by_key),
        "statuses": dict(Counter(shipment.status for shipment in account.store.by_age)),
        "cool_down_seconds": max(0.0, account.rate.cool_down_until - state.clock.now()),
    }


def _shipment_to_dict(shipment: Shipment) -> dict[str, Any]:
    step = shipment.step
    return {
        "id": shipment.id,
        "carrier_code": shipment.carrier_code,
        "tracking_number": shipment.number,
        "status": shipment.status,
        "substatus": None if step is None or shipment.forced else step.substatus,
        "created_at": shipment.created_at,
        "updated_at": shipment.changed_at,
        "archived": shipment.archived,
        "track_update": shipment.track_update,
        "order_id": shipment.details.get("order_id"),
        "details": {name: value for name, value in shipment.details.items() if not name.startswith("customer_")},
        "changes": [{"at": at, "status": status} for at, status in shipment.journey.status_changes()],
    }
