"""Every public method of the hook: its requests, whether they may be repeated, their effects and their cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

Use = Callable[[TrackingMoreHook], Any]
Chunks = tuple[tuple[ShipmentKey, ...], ...]


def keys(first: int, count: int) -> tuple[ShipmentKey, ...]:
    """Return shipments that never arrive, so that they stay as they are."""
    return tuple(ShipmentKey("usps", f"SBX-PENDING-{at:05d}") for at in range(first, first + count))


ONE = keys(0, 1)[0]
THREE: Chunks = tuple((key,) for key in keys(0, 3))
NINETY: Chunks = (keys(0, 40), keys(40, 40), keys(80, 10))
PLACES = [{"country": "US", "postcode": f"REMOTE-{at}"} for at in range(50)]
LANES = [{"carrier_code": "usps", "original": "US", "destination": "DE"}] * 50
WAYBILLS = [f"172-2889{at:04d}" for at in range(21)]


def shipments(chunks: Chunks, **more: str) -> list[dict[str, Any]]:
    return [{**key._asdict(), **more} for key in chain(*chunks)]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of the hook, and its expected behaviour without faults.

    :param use: calls the method.
    :param calls: how many requests the method makes.
    :param hit: which of them meets the fault: one in the middle, if there is one.
    :param repeatable: whether a request may be sent again although the server may have applied it.
    :param effect: the name of its effect in the sandbox's ledger.
    :param done: how many such effects each request has.
    :param idempotent: whether the request is idempotent.
    :param costs: the quota that each request costs.
    :param spends: whether a request is refused if there is no quota left.
    :param extra_requests: how many more requests it makes if a retry finds that the first attempt took effect.
    :param again: the result in that case, if it differs.
    :param report: the shipments of each request, if the method reports on each.
    :param halves: whether a call that fails is halved, until three in a row have failed.
    :param seeded: whether the shipments must exist before.
    """

    use: Use
    calls: int = 1
    hit: int = 1
    repeatable: bool = True
    effect: str = ""
    done: tuple[int, ...] = ()
    idempotent: bool = False
    costs: tuple[float, ...] = ()
    spends: bool = False
    extra_requests: int = 0
    again: Any = None
    report: Chunks = ()
    halves: bool = False
    seeded: bool = True


def batch(use: Use, effect: str, **more: Any) -> Operation:
    return Operation(use=use, calls=3, hit=2, effect=effect, done=(40, 40, 10), report=NINETY, **more)


OPERATIONS: dict[str, Operation] = {
    "create_tracking": Operation(
        use=lambda hook: hook.create_tracking(ONE._asdict()),
        effect="created",
        done=(1,),
        idempotent=True,
        costs=(1,),
        spends=True,
        extra_requests=1,
        seeded=False,
    ),
    "create_trackings": batch(
        lambda hook: hook.create_trackings(shipments(NINETY)),
        "created",
        idempotent=True,
        costs=(40, 40, 10),
        spends=True,
        seeded=False,
    ),
    "get_tracking": Operation(use=lambda hook: hook.get_tracking(*ONE)),
    "list_trackings": Operation(use=lambda hook: list(hook.list_trackings(page_size=40)), calls=3, hit=2),
    "find_trackings": Operation(use=lambda hook: hook.find_trackings(shipments(NINETY)), calls=3, hit=2, halves=True),
    "look_up": Operation(use=lambda hook: hook.look_up(chain(*NINETY)), calls=3, hit=2, halves=True),
    "update_tracking": Operation(use=lambda hook: hook.update_tracking(*ONE, title="New"), effect="updated", done=(1,)),
    "update_trackings": batch(lambda hook: hook.update_trackings(shipments(NINETY, title="New")), "updated"),
    "delete_tracking": Operation(
        use=lambda hook: hook.delete_tracking(*ONE), effect="deleted", done=(1,), idempotent=True, again=False
    ),
    "delete_trackings": batch(lambda hook: hook.delete_trackings(shipments(NINETY)), "deleted", idempotent=True),
    "realtime_tracking": Operation(
        use=lambda hook: hook.realtime_tracking(ONE._asdict()),
        repeatable=False,
        effect="refreshed",
        done=(1,),
        spends=True,
    ),
    "realtime_trackings": Operation(
        use=lambda hook: hook.realtime_trackings(shipments(THREE)),
        calls=3,
        hit=2,
        repeatable=False,
        effect="refreshed",
        done=(1, 1, 1),
        spends=True,
        report=THREE,
    ),
    "change_carrier": Operation(
        use=lambda hook: hook.change_carrier(
            carrier_code="usps", tracking_number=ONE.tracking_number, new_carrier_code="dhl"
        ),
        effect="carrier changed",
        done=(1,),
        idempotent=True,
        extra_requests=1,
    ),
    "stop_updates": batch(lambda hook: hook.stop_updates(shipments(NINETY)), "stopped"),
    "count_by_status": Operation(use=lambda hook: hook.count_by_status()),
    "get_account": Operation(use=lambda hook: hook.get_account()),
    "check_quota": Operation(use=lambda hook: hook.check_quota(0, 0)),
    "test_connection": Operation(use=lambda hook: hook.test_connection()),
    "check_remote_areas": Operation(
        use=lambda hook: hook.check_remote_areas(PLACES),
        calls=2,
        hit=2,
        repeatable=False,
        costs=(0.2, 0.2),
        spends=True,
    ),
    "get_transit_times": Operation(use=lambda hook: hook.get_transit_times(LANES), calls=2, hit=2),
    "track_air_cargo": Operation(
        use=lambda hook: hook.track_air_cargo(WAYBILLS),
        calls=2,
        hit=2,
        repeatable=False,
        costs=(400, 20),
        spends=True,
    ),
    "list_carriers": Operation(use=lambda hook: hook.list_carriers()),
    "detect_carrier": Operation(
        use=lambda hook: hook.detect_carrier("RN123456785CN"), repeatable=False, costs=(0.2,), spends=True
    ),
}
