"""Endpoints that register nothing (reference 1.11, 1.14, 1.15, 1.17, 1.18): carriers, account, remote areas, lanes."""

from __future__ import annotations

from typing import Any

from .carriers import CARRIERS, detect
from .chance import Chance
from .envelope import Answer, Refusal
from .limits import FIFTHS_DETECT, FIFTHS_REMOTE
from .places import COUNTRIES, country_code
from .visit import Visit, carrier_code, text_of

_REMOTE_COMPANIES = ("dhl", "ups", "tnt", "fedex")
"""The vendor has the lists of these four only."""
_REGISTERED = 1_469_000_000


def list_carriers(visit: Visit) -> Answer:
    """``GET /carriers``."""
    relative = visit.switches["carrier_urls"] == "relative"
    rows = [carrier.public(relative) for carrier in CARRIERS.values()]
    return Answer(rows, items=len(rows), short_meta=visit.switches.yes("carriers_meta_short"))


def detect_carrier(visit: Visit) -> Answer:
    """``POST /carriers/detect``."""
    number = visit.number_of(visit.json_object())
    visit.charge(FIFTHS_DETECT)
    candidates = detect(number)
    if not candidates:
        raise Refusal(4032)
    return Answer([{"name": carrier.name, "code": carrier.code} for carrier in candidates], items=1)


def account_info(visit: Visit) -> Answer:
    """``GET /trackings/getuserinfo``."""
    account = visit.account
    left = int(account.quota_left)
    phone = f"1000555{account.index:04d}"
    data: dict[str, Any] = {
        "email": f"account-{account.index}@sandbox.example",
        "regtime": str(_REGISTERED + account.index),
        "phone": int(phone) if visit.switches["userinfo_phone"] == "number" else f"+{phone}",
        "money": 0,
    }
    if visit.switches["userinfo_form"] == "plan":
        data["plan"] = {"remaining_order": left}
    else:
        data["track_number"] = left
    return Answer(data)


def remote_areas(visit: Visit) -> Answer:
    """``POST /trackings/remote``: a third of all places is remote, by the seed; ``REMOTE…`` is, ``CITY…`` is not."""
    rows = visit.json_rows()
    for row in rows:
        if not isinstance(row, dict) or not text_of(row.get("country")) or not text_of(row.get("postcode")):
            raise Refusal(4012)
    visit.charge(FIFTHS_REMOTE)
    remote: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    for row in rows:
        country, postcode = str(row["country"]), str(row["postcode"])
        code = country_code(country)
        companies = _remote_companies(visit, code, postcode, text_of(row.get("company"))) if code else []
        for company in companies:
            remote.append(_area(company, code, country, postcode))
        if not companies and visit.switches["remote_other"] == "question":
            other.append({"country": country, "postcode": postcode})
        elif not companies and visit.switches["remote_other"] == "answer":
            other.append(_area(text_of(row.get("company")) or "", code, country, postcode))
    data = {"submitted": len(rows), "other": other, "remote": remote}
    return Answer(data, items=len(rows), message="The request was successful.")


def transit_times(visit: Visit) -> Answer:
    """``POST /trackings/costtime``."""
    rows = visit.json_rows()
    for row in rows:
        if not isinstance(row, dict) or not all(text_of(row.get(name)) for name in ("original", "destination")):
            raise Refusal(4012)
        carrier_code(row.get("carrier_code"))
    lanes = [_lane(visit, row) for row in rows]
    return Answer({"items": lanes} if visit.switches["costtime_form"] == "items" else lanes, items=len(rows))


def _area(company: str, code: str | None, country: str, postcode: str) -> dict[str, Any]:
    return {
        "far_express_company": company,
        "two_code": code or "",
        "far_country": COUNTRIES[code].name if code else country,
        "far_city_postcode": postcode,
    }


def _remote_companies(visit: Visit, code: str, postcode: str, company: str | None) -> list[str]:
    if postcode.upper().startswith("CITY"):
        return []
    chance = Chance(visit.world.seed, "remote", code, postcode.casefold())
    if not postcode.upper().startswith("REMOTE") and chance.draw() >= 1 / 3:
        return []
    if company:
        return [company.lower()] if company.lower() in _REMOTE_COMPANIES else []
    first = int(chance.draw() * len(_REMOTE_COMPANIES))
    return sorted({_REMOTE_COMPANIES[first], _REMOTE_COMPANIES[(first + 1) % len(_REMOTE_COMPANIES)]})


def _lane(visit: Visit, row: dict[str, Any]) -> dict[str, Any]:
    lane = {name: str(row[name]) for name in ("carrier_code", "original", "destination")}
    chance = Chance(visit.world.seed, "lane", *lane.values())
    total = 200 + int(chance.draw() * 5_000)
    delivered = int(total * (0.85 + 0.12 * chance.draw()))
    weights = [0.1 + chance.draw() * weight for weight in (4.0, 2.0, 0.8, 0.2)]
    counts = [int(delivered * weight / sum(weights)) for weight in weights]
    counts[0] += delivered - sum(counts)
    form = visit.switches["costtime_ranges"]
    ranges = {
        name: _share(count / delivered, form)
        for name, count in zip(("range1", "range3", "range4", "range5"), counts, strict=True)
    }
    return lane | {"total": total, "delivered": delivered} | ranges


def _share(share: float, form: str) -> float | str:
    if form == "share":
        return round(share, 4)
    return round(share * 100, 2) if form == "percent" else f"{share * 100:.2f}%"
