"""``/_sandbox/…``: clock, switches, seeds, faults, ledger, trackings, accounts, reset. Knows no v2 endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from .accounts import Account
from .clock import iso, parse_instant
from .faults import KINDS, LARGEST_QUOTA, Fault, check_settings
from .seeding import OLDEST_DAYS, seed_list, seed_many
from .store import Shipment
from .switches import SWITCHES
from .world import World

_T = TypeVar("_T")


_REFUSAL = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "string", "description": "what is wrong"}},
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": says, "content": {"application/json": {"schema": _REFUSAL}}}
    for status, says in ((400, "the body is not JSON"), (404, "there is no such thing"), (422, "it cannot be done"))
}


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ClockOrder(_Order):
    """What to do with the clock, carried out in this order."""

    time_scale: Annotated[float | None, Field(gt=0, description="clock seconds in a real second")] = None
    advance: Annotated[float | None, Field(ge=0, description="clock seconds to jump forward")] = None
    set: Annotated[str | None, Field(description="ISO 8601 instant to jump to, not in the past")] = None
    frozen: bool | None = None


class SeedOrder(_Order):
    """Shipments to register: ``shipments``, or ``count`` made-up ones."""

    account: int = 0
    count: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    seed: int = 0
    ages_days: tuple[Annotated[float, Field(ge=0, le=OLDEST_DAYS)], Annotated[float, Field(ge=0, le=OLDEST_DAYS)]] = (
        0,
        20,
    )
    carriers: list[str] = []
    journey: str | None = None
    shipments: list[dict[str, Any]] = []


class FaultOrder(_Order):
    """A fault to plan; what else the kind lets one set is in ``settings``."""

    kind: str
    method: str = "*"
    path: str = "*"
    account: int | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int | None, Field(ge=1)] = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1
    seed: int = 0
    settings: dict[str, float | bool] = {}


class AccountOrder(_Order):
    """What to change about an account."""

    quota: Annotated[float | None, Field(ge=0, le=LARGEST_QUOTA)] = None
    deleted: bool | None = None
    deleted_code: Literal[4001, 4002] | None = None
    cool_down: Annotated[bool | None, Field(description="true begins the two-minute silence, false ends it")] = None


class ResetOrder(_Order):
    """How to begin anew; what is left out is as at the start."""

    start: str | None = None
    time_scale: Annotated[float | None, Field(gt=0)] = None
    seed: int | None = None
    limits: bool | None = None


def control_routes(world: World) -> APIRouter:
    """Make the control interface.

    :param world: everything there is.
    :return: its routes.
    """
    router = APIRouter(prefix="/_sandbox", tags=["control"], responses=_REFUSALS)

    def account_at(index: int) -> Account:
        if not 0 <= index < len(world.accounts):
            raise HTTPException(404, f"there are {len(world.accounts)} accounts, counted from 0")
        return world.accounts[index]

    def show_clock() -> dict[str, Any]:
        now = world.clock.now()
        clock = world.clock
        return {"now": iso(now), "unix": now, "time_scale": clock.time_scale, "frozen": clock.frozen}

    @router.get("/clock")
    async def read_clock() -> Response:
        return _shown(show_clock())

    @router.post("/clock")
    async def move_clock(order: ClockOrder) -> Response:
        clock = world.clock
        wanted = order.set
        instant = None if wanted is None else _try(lambda: parse_instant(wanted))
        if order.time_scale is not None:
            clock.set_time_scale(order.time_scale)
        if order.advance is not None:
            seconds = order.advance
            _try(lambda: clock.advance(seconds))
        if instant is not None:
            _try(lambda: clock.set(instant))
        if order.frozen is not None:
            clock.freeze(order.frozen)
        return _shown(show_clock())

    @router.get("/switches")
    async def read_switches() -> Response:
        return _shown(
            {
                name: {
                    "position": world.switches[name],
                    "values": list(switch.values),
                    "default": switch.default,
                    "says": switch.says,
                    "source": switch.source,
                }
                for name, switch in SWITCHES.items()
            }
        )

    @router.post("/switches")
    async def move_switches(positions: dict[str, str | bool | int | float | None]) -> Response:
        _try(lambda: world.switches.move(positions))
        return _shown(world.switches.positions)

    @router.post("/seed")
    async def seed(order: SeedOrder) -> Response:
        account = account_at(order.account)
        if order.shipments:
            added = _try(lambda: seed_list(world, account, order.shipments))
        else:
            added = _try(
                lambda: seed_many(
                    world, account, order.count, order.seed, order.ages_days, order.carriers, order.journey
                )
            )
        rows = [{"carrier_code": found.carrier_code, "tracking_number": found.number} for found in added]
        return _shown({"created": len(rows), "shipments": rows})

    @router.get("/faults")
    async def read_faults() -> Response:
        return _shown({"planned": [fault.public() for fault in world.faults.planned], "kinds": dict(KINDS)})

    @router.post("/faults")
    async def plan_fault(order: FaultOrder) -> Response:
        if order.kind not in KINDS:
            raise HTTPException(422, f"a fault is one of {', '.join(KINDS)}")
        _try(lambda: check_settings(order.settings))
        return _shown(world.faults.add(Fault(**order.model_dump())).public())

    @router.delete("/faults")
    async def clear_faults() -> Response:
        forgotten = len(world.faults.planned)
        world.faults.clear()
        return _shown({"forgotten": forgotten})

    @router.delete("/faults/{fault_id}")
    async def forget_fault(fault_id: int) -> Response:
        if not world.faults.remove(fault_id):
            raise HTTPException(404, "there is no such fault")
        return _shown({"forgotten": 1})

    @router.get("/ledger")
    async def read_ledger(
        account: int | None = None, since: int = 0, limit: Annotated[int, Query(ge=1, le=250_000)] = 10_000
    ) -> Response:
        entries = world.ledger.entries(account, since, limit)
        return _shown({"requests": world.ledger.size, "entries": [entry.public() for entry in entries]})

    @router.get("/ledger/summary")
    async def add_up_ledger(account: int | None = None) -> Response:
        return _shown(world.ledger.summary(account))

    @router.delete("/ledger")
    async def reset_ledger() -> Response:
        forgotten = world.ledger.size
        world.ledger.reset()
        return _shown({"forgotten": forgotten})

    @router.get("/trackings")
    async def read_trackings(
        account: int = 0,
        status: str | None = None,
        tracking_number: str | None = None,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=0, le=200_000)] = 1_000,
    ) -> Response:
        store = account_at(account).store
        now = world.clock.now()
        store.settle(now)
        found = [
            shipment
            for shipment in store.by_age
            if (status is None or shipment.status == status)
            and (tracking_number is None or shipment.number == tracking_number)
        ]
        shown = [_state(shipment) for shipment in found[offset : offset + limit]]
        return _shown({"count": len(found), "trackings": shown})

    @router.get("/accounts")
    async def read_accounts() -> Response:
        return _shown([_account(account, world) for account in world.accounts])

    @router.patch("/accounts/{index}")
    async def change_account(index: int, order: AccountOrder) -> Response:
        account = account_at(index)
        if order.quota is not None:
            account.set_quota(order.quota)
        if order.deleted is not None:
            account.deleted = order.deleted
        if order.deleted_code is not None:
            account.deleted_code = order.deleted_code
        if order.cool_down is not None:
            account.rate.cool_until = account.realtime_rate.cool_until = float("-inf")
            if order.cool_down:
                account.rate.start_cool_down(world.clock.now())
        return _shown(_account(account, world))

    @router.post("/reset")
    async def reset(order: ResetOrder | None = None) -> Response:
        order = order or ResetOrder()
        settings = world.settings
        start = settings.start if order.start is None else _try(lambda: parse_instant(str(order.start)))
        world.begin(start, order.time_scale or settings.time_scale, settings.seed if order.seed is None else order.seed)
        if order.limits is not None:
            world.limits = order.limits
        return _shown(show_clock())

    return router


def _shown(content: Any) -> Response:
    """ASCII, as numbers may hold what UTF-8 cannot; and without the detours that are slow for a long ledger."""
    return Response(json.dumps(content), media_type="application/json")


def _try(act: Callable[[], _T]) -> _T:
    try:
        return act()
    except ValueError as problem:
        raise HTTPException(422, str(problem)) from None


def _account(account: Account, world: World) -> dict[str, Any]:
    return {
        "index": account.index,
        "quota_left": account.quota_left,
        "quota_charged": account.quota_charged,
        "deleted": account.deleted,
        "trackings": len(account.store.by_key),
        "cool_down_seconds": max(0.0, account.rate.cool_until - world.clock.now()),
    }


def _state(shipment: Shipment) -> dict[str, Any]:
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
        "changes": [{"at": at, "status": status} for at, status in shipment.journey.changes()],
    }
