"""Endpoints for carriers, the account, remote areas and transit times (reference 1.11, 1.14, 1.15, 1.17, 1.18)."""

from __future__ import annotations

from typing import Any

from .carriers import CARRIERS, detect_carriers
from .envelope import ApiError, ApiResult
from .limits import FIFTHS_DETECT, FIFTHS_REMOTE
from .places import COUNTRIES, country_code
from .request_context import RequestContext, to_text, validate_carrier_code
from .seeded_random import SeededRandom

_REMOTE_COMPANIES = ("dhl", "ups", "tnt", "fedex")
"""The vendor has remote-area lists for these four carriers only."""
_REGISTERED = 1_469_000_000


def list_carriers(context: RequestContext) -> ApiResult:
    """``GET /carriers``."""
    relative = context.switches["carrier_urls"] == "relative"
    rows = [carrier.to_dict(relative) for carrier in CARRIERS.values()]
    return ApiResult(rows, items=len(rows), short_meta=context.switches.is_true("carriers_meta_short"))


def detect_carrier(context: RequestContext) -> ApiResult:
    """``POST /carriers/detect``."""
    number = context.tracking_number(context.json_object())
    context.charge(FIFTHS_DETECT)
    candidates = detect_carriers(number)
    if not candidates:
        raise ApiError(4032)
    return ApiResult([{"name": carrier.name, "code": carrier.code} for carrier in candidates], items=1)


def account_info(context: RequestContext) -> ApiResult:
    """``GET /trackings/getuserinfo``."""
    account = context.account
    left = int(account.quota_left)
    phone = f"1000555{account.index:04d}"
    data: dict[str, Any] = {
        "email": account.email,
        "regtime": str(_REGISTERED + account.index),
        "phone": int(phone) if context.switches["userinfo_phone"] == "number" else f"+{phone}",
        "money": 0,
    }
    if context.switches["userinfo_form"] == "plan":
        data["plan"] = {"remaining_order": left}
    else:
        data["track_number"] = left
    return ApiResult(data)


def remote_areas(context: RequestContext) -> ApiResult:
    """``POST /trackings/remote``: a third of all places are remote; ``REMOTE…`` always, ``CITY…`` never."""
    rows = context.json_list()
    for row in rows:
        if not isinstance(row, dict) or not to_text(row.get("country")) or not to_text(row.get("postcode")):
            raise ApiError(4012)
    context.charge(FIFTHS_REMOTE)
    remote: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    for row in rows:
        country, postcode = str(row["country"]), str(row["postcode"])
        code = country_code(country)
        companies = _remote_companies(context, code, postcode, to_text(row.get("company"))) if code else []
        for company in companies:
            remote.append(_area(company, code, country, postcode))
        if not companies and context.switches["remote_other"] == "question":
            other.append({"country": country, "postcode": postcode})
        elif not companies and context.switches["remote_other"] == "answer":
            other.append(_area(to_text(row.get("company")) or "", code, country, postcode))
    data = {"submitted": len(rows), "other": other, "remote": remote}
    return ApiResult(data, items=len(rows), message="The request was successful.")


def transit_times(context: RequestContext) -> ApiResult:
    """``POST /trackings/costtime``."""
    rows = context.json_list()
    for row in rows:
        if not isinstance(row, dict) or not all(to_text(row.get(name)) for name in ("original", "destination")):
            raise ApiError(4012)
        validate_carrier_code(row.get("carrier_code"))
    lanes = [_lane(context, row) for row in rows]
    return ApiResult({"items": lanes} if context.switches["costtime_form"] == "items" else lanes, items=len(rows))


def _area(company: str, code: str | None, country: str, postcode: str) -> dict[str, Any]:
    return {
        "far_express_company": company,
        "two_code": code or "",
        "far_country": COUNTRIES[code].name if code else country,
        "far_city_postcode": postcode,
    }


def _remote_companies(context: RequestContext, code: str, postcode: str, company: str | None) -> list[str]:
    if postcode.upper().startswith("CITY"):
        return []
    rng = SeededRandom(context.state.seed, "remote", code, postcode.casefold())
    if not postcode.upper().startswith("REMOTE") and rng.random() >= 1 / 3:
        return []
    if company:
        return [company.lower()] if company.lower() in _REMOTE_COMPANIES else []
    first = int(rng.random() * len(_REMOTE_COMPANIES))
    return sorted({_REMOTE_COMPANIES[first], _REMOTE_COMPANIES[(first + 1) % len(_REMOTE_COMPANIES)]})


def _lane(context: RequestContext, row: dict[str, Any]) -> dict[str, Any]:
    lane = {name: str(row[name]) for name in ("carrier_code", "original", "destination")}
    rng = SeededRandom(context.state.seed, "lane", *lane.values())
    total = 200 + int(rng.random() * 5_000)
    delivered = int(total * (0.85 + 0.12 * rng.random()))
    weights = [0.1 + rng.random() * weight for weight in (4.0, 2.0, 0.8, 0.2)]
    counts = [int(delivered * weight / sum(weights)) for weight in weights]
    counts[0] += delivered - sum(counts)
    form = context.switches["costtime_ranges"]
    ranges = {
        name: _share(count / delivered, form)
        for name, count in zip(("range1", "range3", "range4", "range5"), counts, strict=True)
    }
    return lane | {"total": total, "delivered": delivered} | ranges


def _share(share: float, form: str) -> float | str:
    if form == "share":
        return round(share, 4)
    return round(share * 100, 2) if form == "percent" else f"{share * 100:.2f}%"
